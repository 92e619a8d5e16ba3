"""The reader of serial devices, real pyserial on pseudo terminals."""

import asyncio
import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Self

import msgspec
import pytest

from edge import frame
from edge.assemble import every_wire
from edge.decoders.homeward_serial import DECODER
from edge.events import LINK, LinkTold
from edge.readers import ReadError, Rim
from edge.readers import uart as read
from edge.readers._uart_names import source_of, stable
from edge.records import LinkState, Packet, Security
from edge.wire import Wire
from tests.rigs.serial.board import FRAME_S, Board
from tests.rigs.serial.cable import Cable

serial = pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")


class Bench:
    """A cable, a reader at its end, and what it delivered."""

    def __init__(self, folder: Path, wires: tuple[Wire, ...] | None = None, **told: object):
        self.cable = Cable(folder / "usb-Rig_Board_0001-if00")
        self.packets: list[Packet] = []
        self.told: list[LinkTold] = []
        self._settings = read.Settings(port=str(self.cable.name), **told)
        self._wires = every_wire() if wires is None else wires
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        rim = Rim(self._take, time.monotonic, None, (), self._wires)
        self._task = asyncio.ensure_future(read.run(self._settings, rim))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.cable.unplug()

    def _take(self, packet: Packet) -> None:
        if packet.stream == LINK:
            self.told.append(msgspec.json.decode(packet.payload, type=LinkTold))
        else:
            self.packets.append(packet)

    def is_open(self) -> bool:
        """Whether the reader has the cable's tty open."""
        tty = str(self.cable.name.resolve())
        opened = (os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir())
        return tty in opened

    @property
    def heard(self) -> bytes:
        return b"".join(packet.payload for packet in self.packets)

    @property
    def said(self) -> list[tuple[LinkState, str]]:
        return [(one.state, one.reason) for one in self.told]

    async def until(self, is_so, span_s: float = 10.0) -> None:
        async with asyncio.timeout(span_s):
            while not is_so():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.005)


def count_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def play(scene) -> None:
    asyncio.run(scene)


async def send(bench: Bench, board: Board, n_frames: int, *, every_s: float = 0.02) -> None:
    for _ in range(n_frames):
        bench.cable.write(board.next())
        await asyncio.sleep(every_s)


def frames_in(heard: bytes) -> list[int]:
    """Return the numbers of the whole samples frames."""
    numbers = []
    for piece in heard.split(b"\0"):
        with contextlib.suppress(frame.FrameError):
            whole = frame.unpack(piece)
            if whole.kind == frame.SAMPLES:
                numbers.append(whole.sequence)
    return numbers


def test_a_board_is_known_by_what_it_sends_and_nothing_of_it_is_lost(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path) as bench:
            board = Board()
            bench.cable.plug()
            await bench.until(bench.is_open)  # what comes before is lost on any wire
            bench.cable.write(board.hello())
            await send(bench, board, 60)
            await bench.until(lambda: len(frames_in(bench.heard)) == 60)

        assert {packet.stream for packet in bench.packets} == {frame.LINE}
        assert frames_in(bench.heard) == list(range(60))
        assert {packet.source for packet in bench.packets} == {"uart-usb-Rig_Board_0001-if00"}
        connected = bench.told[-1]
        assert (connected.state, connected.security) == (LinkState.CONNECTED, Security.WIRED)
        assert connected.name == "Homeward board"
        decoded = DECODER.open_batch()(bench.packets)
        assert not decoded.errors
        assert decoded.n_damaged == 0

    play(scene())


def test_it_is_told_to_start_and_at_which_rate(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path, device="homeward", fs_hz=500.0) as bench:
            bench.cable.plug()
            written = b""
            for _ in range(100):
                written += bench.cable.read()
                await asyncio.sleep(0.01)
            wanted = frame.command(frame.Code.START) + frame.command(frame.Code.RATE, fs_hz=500.0)
            assert written == wanted

    play(scene())


def test_a_port_that_comes_back_as_another_tty_is_read_on(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path, device="homeward") as bench:
            board, terminals = Board(), set()
            for _ in range(4):
                bench.cable.plug()
                terminals.add(bench.cable.name.resolve())
                n_before = len(frames_in(bench.heard))
                await send(bench, board, 10)
                await bench.until(lambda n=n_before: len(frames_in(bench.heard)) >= n + 5)
                bench.cable.write(board.next()[:30])  # torn in mid-frame
                blocker = os.openpty()  # so that the next tty has another number
                bench.cable.unplug()
                await bench.until(lambda: bench.told[-1].state is LinkState.LOST)
                for fd in blocker:
                    os.close(fd)

        states = [one.state for one in bench.told]
        assert states.count(LinkState.CONNECTED) == 4
        assert LinkState.LOST in states
        # Torn frames end at the next zero: no frame is made of two halves.
        assert frames_in(bench.heard) == sorted(set(frames_in(bench.heard)))

    play(scene())


def test_a_port_that_is_not_there_is_waited_for_and_said_once(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path, device="homeward") as bench:
            await asyncio.sleep(0.5)
            assert [state for state, _ in bench.said] == [LinkState.LOST]
            assert "is the device plugged in" in bench.said[0][1]
            bench.cable.plug()
            await send(bench, Board(), 20)
            await bench.until(lambda: bench.told[-1].state is LinkState.CONNECTED)

    play(scene())


def test_a_port_another_program_holds_is_left_alone_and_taken_when_it_is_free(tmp_path):
    async def scene() -> None:
        cable = Cable(tmp_path / "usb-Rig_Board_0001-if00")
        cable.plug()
        other = os.open(cable.name, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(other, fcntl.LOCK_EX)
        async with Bench(tmp_path, device="homeward") as bench:
            bench.cable = cable
            await bench.until(lambda: bench.told)
            assert "in use by another program" in bench.told[-1].reason
            os.close(other)
            board = Board()
            for _ in range(100):
                cable.write(board.next())
                await asyncio.sleep(0.02)
                if bench.packets:
                    break
            assert bench.told[-1].state is LinkState.CONNECTED

    play(scene())


def test_what_is_no_serial_port_is_said_to_be_none(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path, device="homeward") as bench:
            bench.cable.name.write_text("a file")
            await bench.until(lambda: bench.told and "no serial port" in bench.told[-1].reason)
            assert "homeward scan --serial" in bench.told[-1].reason

    play(scene())


def always(line: bytes) -> bool:
    return bool(line)


def never(line: bytes) -> bool:
    return line is None


QUICK = Wire("quick", "quick board", "uart:quick", lambda line: b"quick" in line, silent_s=0.4)


def test_a_line_that_falls_silent_is_opened_anew(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path, wires=(QUICK,)) as bench:
            bench.cable.plug()
            await asyncio.sleep(0.2)
            bench.cable.write(b"quick")
            await bench.until(lambda: bench.packets)
            await bench.until(lambda: bench.told[-1].state is LinkState.LOST)
            assert bench.told[-1].reason == "nothing came for 0.4 s"
            await asyncio.sleep(0.6)
            bench.cable.write(b"quick again")
            await bench.until(lambda: bench.told[-1].state is LinkState.CONNECTED)

    play(scene())


def test_a_device_that_must_be_asked_is_asked_only_after_listening(tmp_path):
    asked = Wire(
        "asked",
        "asked device",
        "uart:asked",
        lambda line: b"answer" in line,
        start=(b"please",),
        poll=b"still here",
        poll_s=0.3,
        listen_s=0.4,
    )
    quiet = Wire("quiet", "quiet device", "uart:quiet", lambda line: b"q" in line, listen_s=0.4)

    async def scene() -> None:
        async with Bench(tmp_path, wires=(quiet, asked)) as bench:
            bench.cable.plug()
            written, began_s = b"", time.monotonic()
            while b"please" not in written:
                await asyncio.sleep(0.005)
                written += bench.cable.read()
            assert time.monotonic() - began_s >= 0.4
            while written.count(b"still here") < 2:
                bench.cable.write(b"answer")
                await asyncio.sleep(0.02)
                written += bench.cable.read()
            assert bench.told[-1].name == "asked device"
            assert {packet.stream for packet in bench.packets} == {"uart:asked"}

    play(scene())


def test_another_device_at_the_same_port_is_found_out(tmp_path):
    one = Wire("one", "device one", "uart:one", lambda line: b"one" in line, listen_s=0.3)
    two = Wire("two", "device two", "uart:two", lambda line: b"two" in line, listen_s=0.3)

    async def scene() -> None:
        async with Bench(tmp_path, wires=(one, two)) as bench:

            async def speak(word: bytes, name: str) -> None:
                async with asyncio.timeout(8):
                    while not bench.told or bench.told[-1].name != name:
                        bench.cable.write(word)
                        await asyncio.sleep(0.02)

            bench.cable.plug()
            await speak(b"one", "device one")
            bench.cable.unplug()
            await asyncio.sleep(0.2)
            bench.cable.plug()
            await speak(b"two", "device two")

    play(scene())


def test_what_nobody_knows_is_said_with_what_was_heard(tmp_path):
    one = Wire("one", "device one", "uart:one", lambda line: b"one" in line, listen_s=0.3)
    two = Wire("two", "device two", "uart:two", never, baud=9600, listen_s=0.3)

    async def scene() -> None:
        cable = Cable(tmp_path / "port")
        cable.plug()
        with pytest.raises(ReadError, match="nothing comes"):
            await read.identify(cable.name, (one, two))

        async def chatter() -> None:
            while True:
                cable.write(b"gps")
                await asyncio.sleep(0.01)

        speaking = asyncio.ensure_future(chatter())
        with pytest.raises(ReadError, match=r"not from any device Homeward reads .* at 9600 baud"):
            await read.identify(cable.name, (one, two))
        speaking.cancel()
        cable.unplug()
        with pytest.raises(ReadError, match="is the device plugged in"):
            await read.identify(cable.name, (one, two))

    play(scene())


def test_a_device_nobody_has_heard_of_is_refused_by_name(tmp_path):
    async def scene() -> None:
        with pytest.raises(ReadError, match="no serial device is called 'toaster'; there are "):
            async with Bench(tmp_path, device="toaster") as bench:
                await bench.until(lambda: False, 2.0)

    play(scene())


def test_bytes_that_trickle_do_not_wake_the_loop_one_by_one(tmp_path):
    slow = Wire("slow", "slow device", "uart:slow", always, gather_s=0.05)

    async def scene() -> None:
        async with Bench(tmp_path, wires=(slow,)) as bench:
            bench.cable.plug()
            await asyncio.sleep(0.3)
            sent = bytes(range(1, 201))
            for value in sent:
                bench.cable.write(bytes([value]))
                await asyncio.sleep(0.002)
            await bench.until(lambda: bench.heard == sent)
            assert len(bench.packets) <= 40

    play(scene())


def test_it_ends_when_it_is_told_to_and_leaves_nothing_open(tmp_path):
    async def scene() -> None:
        n_open = count_open()
        for _ in range(3):
            async with Bench(tmp_path, device="homeward") as bench:
                bench.cable.plug()
                await send(bench, Board(), 15)
                await bench.until(lambda: bench.packets)
        assert count_open() == n_open

    play(scene())


def test_the_lasting_name_is_udevs_and_a_port_without_one_keeps_its_own(tmp_path):
    dev = tmp_path / "dev"
    (dev / "serial/by-id").mkdir(parents=True)
    (dev / "ttyACM0").touch()
    (dev / "ttyUSB0").touch()
    lasting = dev / "serial/by-id/usb-Arduino_Uno_5573-if00"
    lasting.symlink_to("../../ttyACM0")

    assert stable(dev / "ttyACM0", dev) == lasting
    assert stable(lasting, dev) == lasting
    assert stable(dev / "ttyUSB0", dev) == dev / "ttyUSB0"
    assert stable(dev / "ttyUSB9", dev) == dev / "ttyUSB9"
    assert source_of(lasting) == "uart-usb-Arduino_Uno_5573-if00"
    assert source_of(Path("/dev/pts/7")) == "uart-pts7"
    twins = [source_of(Path("x" * 100 + end)) for end in ("-port0", "-port1")]
    assert [len(name) for name in twins] == [64, 64]
    assert twins[0] != twins[1]

    (dev / "homeward").mkdir()
    ours = dev / "homeward/ch340-usb-0_1_3"
    ours.symlink_to("../ttyACM0")
    assert stable(dev / "ttyACM0", dev) == ours


def test_a_frame_is_seen_soon_after_its_last_byte(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path, device="homeward") as bench:
            board = Board()
            bench.cable.plug()
            await send(bench, board, 10)
            late_s = []
            for _ in range(30):
                n_packets = len(bench.packets)
                sent_s = time.monotonic()
                bench.cable.write(board.next())
                await bench.until(lambda n=n_packets: len(bench.packets) > n)
                late_s.append(bench.packets[-1].arrived_s - sent_s)
                await asyncio.sleep(0.02)
            assert sorted(late_s)[len(late_s) // 2] < FRAME_S / 5

    play(scene())
