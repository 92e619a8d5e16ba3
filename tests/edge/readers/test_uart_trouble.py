"""What a serial port can do to the reader: it floods, takes nothing, is none, is read twice."""

import asyncio
import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

from edge import frame
from edge.assemble import every_wire
from edge.readers import ReadError, Rim
from edge.readers import uart as read
from edge.readers._uart_line import BURST_BYTES, MOST_BYTES_S
from edge.readers._uart_names import stable
from edge.records import LinkState
from edge.wire import Wire
from tests.edge.readers.test_uart import Bench, always, count_open, frames_in, never, play, send
from tests.rigs.serial.board import Board
from tests.rigs.serial.cable import Cable

NOBODY = 65_534
ROOT = Path(__file__).parents[3]


def frames_galore() -> bytes:
    """Frames, one after the other, as fast as they are asked for."""
    board = Board()
    return board.hello() + b"".join(board.next() for _ in range(300))


class Flood:
    """Writes to a cable as fast as it takes it, in a thread of its own."""

    def __init__(self, cable: Cable, unit: bytes) -> None:
        self._fd, self._unit = os.dup(cable.fd), unit
        self._ends = False
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ends:
            with contextlib.suppress(BlockingIOError):
                os.write(self._fd, self._unit)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join()
        os.close(self._fd)


@pytest.mark.parametrize(
    ("kind", "device"), [("zeros", "homeward"), ("noise", ""), ("frames", "homeward")]
)
def test_a_line_that_floods_is_closed_and_the_others_are_read_on(tmp_path, kind, device):
    unit = {
        "zeros": bytes(4096),
        "noise": random.Random(1).randbytes(4096),  # noqa: S311  # repeatable
        "frames": frames_galore(),
    }[kind]

    async def scene() -> None:
        (tmp_path / "other").mkdir()
        async with (
            Bench(tmp_path, device=device) as flooded,
            Bench(tmp_path / "other", device="homeward") as other,
        ):
            flooded.cable.plug()
            other.cable.plug()
            await asyncio.sleep(0.2)
            board, late_s = Board(), []
            with Flood(flooded.cable, unit):
                began_s = time.monotonic()
                while time.monotonic() - began_s < 1.0:
                    asked_s = time.monotonic()
                    other.cable.write(board.next())
                    await asyncio.sleep(0.05)
                    late_s.append(time.monotonic() - asked_s - 0.05)
                spent_s = time.monotonic() - began_s
            assert flooded.told[-1].state is LinkState.LOST
            assert "more than 64 kB a second" in flooded.told[-1].reason
            # Opened again after half a second and a whole one.
            assert len(flooded.heard) <= 3 * BURST_BYTES + MOST_BYTES_S * spent_s
            assert len(frames_in(other.heard)) >= board.n_frames - 2
            assert sorted(late_s)[len(late_s) // 2] < 0.1

    play(scene())


def test_a_burst_that_has_gathered_while_the_box_was_busy_is_no_flood(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path, device="homeward") as bench:
            board = Board()
            bench.cable.plug()
            await send(bench, board, 10)
            await bench.until(lambda: bench.packets)
            for _ in range(10):  # as much as a tty keeps, at once
                time.sleep(0.1)  # noqa: ASYNC251  # the loop stands still
                for _ in range(25):
                    bench.cable.write(board.next())
                await asyncio.sleep(0.01)
            assert bench.told[-1].state is LinkState.CONNECTED

    play(scene())


def test_a_device_that_takes_nothing_holds_up_nobody(tmp_path):
    asked = Wire("asked", "asked device", "uart:asked", always, poll=b"x" * 4000, poll_s=0.02)

    async def scene() -> None:
        async with Bench(tmp_path, wires=(asked,)) as bench:
            bench.cable.plug()
            began_s = time.monotonic()
            while time.monotonic() - began_s < 1.0:  # what is written to it is never read
                bench.cable.write(b"alive")
                await asyncio.sleep(0.02)
            assert bench.told[-1].state is LinkState.CONNECTED
            assert bench.heard.count(b"alive") > 20

    with within(8):  # a writer that turned in a circle would never come back
        play(scene())


@contextlib.contextmanager
def within(span_s: int):
    """Break off what holds the loop up."""

    def break_off(*_: object) -> None:
        raise AssertionError(f"the loop stood still for {span_s} s")

    before = signal.signal(signal.SIGALRM, break_off)
    signal.alarm(span_s)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def plain_file(path: Path) -> None:
    path.write_bytes(b"\0" * 100)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def circle(path: Path) -> None:
    path.symlink_to(path)


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("ttyUSB9"))


def null(path: Path) -> None:
    path.symlink_to("/dev/null")


def full(path: Path) -> None:
    path.symlink_to("/dev/full")


NO_PORT = "no serial port"
NO_PORTS = {
    plain_file: NO_PORT,
    fifo: NO_PORT,
    folder: NO_PORT,
    circle: NO_PORT,
    dangling: "is the device plugged in",
    null: NO_PORT,
    full: NO_PORT,
}


def test_what_is_no_port_is_said_in_words_and_waited_out(tmp_path):
    async def one(make, words: str, device: str) -> None:
        root = tmp_path / f"{make.__name__}{device}"
        root.mkdir()
        async with Bench(root, device=device) as bench:
            name = bench.cable.name
            make(name)
            await bench.until(lambda: bench.told and words in bench.told[-1].reason, 5.0)
            # It goes on, and takes the true port when it comes.
            name.rename(root / "aside")
            bench.cable.plug()
            board = Board()
            while bench.told[-1].state is not LinkState.CONNECTED:
                await send(bench, board, 1)

    async def scene() -> None:
        n_open = count_open()
        async with asyncio.timeout(15.0):
            await asyncio.gather(
                *(
                    one(make, words, device)
                    for make, words in NO_PORTS.items()
                    for device in ("homeward", "")
                )
            )
        assert count_open() == n_open

    play(scene())


@pytest.mark.parametrize("hidden", [True, False])
def test_a_port_this_user_may_not_open_is_said_to_be_one(tmp_path, hidden):
    if os.getuid():
        pytest.skip("only root can become somebody else")
    port = tmp_path / "locked" / "port"
    port.parent.mkdir(mode=0o700 if hidden else 0o755)
    cable = Cable(port)
    cable.plug()
    port.resolve().chmod(0o600)
    for above in [tmp_path, *tmp_path.parents][:3]:
        above.chmod(0o755)
    reading = subprocess.run(
        [sys.executable, "-c", SEEN_AS.format(port=str(port))],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        cwd=ROOT,
    )
    cable.unplug()
    assert "may not be opened by this user" in reading.stdout, reading.stderr[-500:]


SEEN_AS = f"""
import asyncio, os, time
from edge.assemble import every_wire
from edge.readers import Rim, uart
wires = every_wire()
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
async def scene():
    told = []
    rim = Rim(lambda packet: told.append(packet.payload.decode()), time.monotonic, None, (), wires)
    reading = asyncio.ensure_future(uart.run(uart.Settings(port="{{port}}"), rim))
    await asyncio.sleep(0.5)
    reading.cancel()
    print(told)
asyncio.run(scene())
"""


def test_a_terminal_program_of_another_user_does_not_get_half_of_the_bytes(tmp_path):
    if os.getuid():
        pytest.skip("only root can become somebody else")

    async def scene() -> None:
        async with Bench(tmp_path, device="homeward") as bench:
            bench.cable.plug()
            await send(bench, Board(), 10)
            await bench.until(lambda: bench.packets)
            tty = bench.cable.name.resolve()
            tty.chmod(0o666)
            assert "busy" in tried_by_nobody(tty)
            held = os.open(tty, os.O_RDWR | os.O_NOCTTY)
        # And nobody is kept out once it is read no more.
        cable = Cable(tmp_path / "again")
        cable.plug()
        with read._open(cable.name, Wire("a", "a", "uart:a", never)):
            pass
        tty = cable.name.resolve()
        tty.chmod(0o666)
        assert tried_by_nobody(tty) == ""
        cable.unplug()
        os.close(held)

    play(scene())


def tried_by_nobody(tty: Path) -> str:
    """Return what another user is told who opens a port; empty where he may."""
    opens = f"import os; os.setgid({NOBODY}); os.setuid({NOBODY}); os.open({str(tty)!r}, os.O_RDWR)"
    tried = subprocess.run(
        [sys.executable, "-c", opens], capture_output=True, text=True, timeout=20, check=False
    )
    return tried.stderr.lower()


def test_udevs_names_that_go_in_a_circle_or_vanish_end_nothing(tmp_path):
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    port = tmp_path / "dev/ttyUSB0"
    port.touch()
    circle(tmp_path / "dev/serial/by-id/a")
    assert stable(port, tmp_path / "dev") == port
    lasting = tmp_path / "dev/serial/by-id/b"
    lasting.symlink_to(port)
    assert stable(port, tmp_path / "dev") == lasting


def test_one_port_under_two_names_is_read_once_and_said_so(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path, device="homeward") as bench:
            bench.cable.plug()
            board = Board()
            await send(bench, board, 10)
            await bench.until(lambda: bench.packets)
            other = tmp_path / "ttyUSB0"
            other.symlink_to(bench.cable.name)
            told = []
            rim = Rim(told.append, time.monotonic, None, (), every_wire())
            with pytest.raises(ReadError, match=r"is read already, as another of the \[\[sources"):
                async with asyncio.timeout(5.0):
                    await read.run(read.Settings(port=str(other)), rim)
            assert not told  # the one that reads has told of this source, and it is well
            await send(bench, board, 10)
            await bench.until(lambda: len(frames_in(bench.heard)) >= 18)
            assert bench.told[-1].state is LinkState.CONNECTED

    play(scene())


def test_a_board_is_not_taken_for_the_device_it_should_be(tmp_path):
    """A wrong device at the port: not one byte of it may be read as the right one's."""
    asked = Wire("gps", "clock", "uart:gps", lambda line: b"$GP" in line, listen_s=0.3)

    async def scene() -> None:
        async with Bench(tmp_path, wires=(asked,), device="gps") as bench:
            bench.cable.plug()
            await send(bench, Board(), 50)
            assert not bench.packets
            assert [state for state, _ in bench.said].count(LinkState.CONNECTED) == 0
            assert "not what a clock sends" in bench.told[-1].reason

    play(scene())


def test_it_can_be_ended_at_any_moment(tmp_path):
    """At start, while it waits, listens, asks and reads: soon, quietly, with nothing left open."""
    rng = random.Random(5)  # noqa: S311  # repeatable

    async def once(span_s: float, *, device: str, plugged: bool, sends: bool) -> float:
        cable = Cable(tmp_path / "port")
        if plugged:
            cable.plug()
        rim = Rim([].append, time.monotonic, None, (), WIRES)
        reading = asyncio.ensure_future(
            read.run(read.Settings(port=str(cable.name), device=device), rim)
        )
        board, until_s = Board(), time.monotonic() + span_s
        while time.monotonic() < until_s:
            if sends:
                cable.write(board.next())
            await asyncio.sleep(min(0.01, span_s))
        began_s = time.monotonic()
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        ended_s = time.monotonic() - began_s
        cable.unplug()
        return ended_s

    async def scene() -> list[float]:
        errors: list[dict] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: errors.append(told))
        n_open = count_open()
        took_s = [
            await once(
                rng.uniform(0.0, 0.2) if turn % 3 else 0.0,
                device=("", "homeward", "asked")[turn % 3],
                plugged=turn % 4 != 0,
                sends=turn % 2 == 0,
            )
            for turn in range(60)
        ]
        gc.collect()
        await asyncio.sleep(0.05)
        assert not errors
        assert len(asyncio.all_tasks()) == 1
        assert count_open() == n_open
        return took_s

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert max(asyncio.run(scene(), debug=True)) < 0.2


WIRES = (
    *every_wire(),
    Wire("asked", "asked device", "uart:asked", never, start=(b"hi",), listen_s=0.02, silent_s=0.1),
)


def test_a_loose_plug_is_told_a_few_times_and_read_again_when_it_holds(tmp_path):
    span_s, period_s = 4.0, 0.2

    async def scene() -> None:
        async with Bench(tmp_path) as bench:
            board = Board()
            bench.cable.plug()
            await send(bench, board, 40)
            await bench.until(lambda: bench.told and bench.told[-1].state is LinkState.CONNECTED)
            n_open, until_s = count_open(), time.monotonic() + span_s
            while time.monotonic() < until_s:
                bench.cable.unplug()
                await asyncio.sleep(period_s / 2)
                bench.cable.plug()
                await send(bench, board, 5, every_s=period_s / 10)
            assert len(bench.told) < 25
            assert "it comes and goes" in bench.told[-1].reason
            held_s = time.monotonic()
            while bench.told[-1].state is not LinkState.CONNECTED:
                await send(bench, board, 1)
            assert time.monotonic() - held_s < 2.0
            assert count_open() <= n_open + 1

    play(scene())


def test_bytes_after_a_pause_are_marked_as_of_a_line_opened_anew(tmp_path):
    async def scene() -> None:
        async with Bench(tmp_path, device="homeward") as bench:
            board = Board()
            for _ in range(3):
                bench.cable.plug()
                n_before = len(frames_in(bench.heard))
                await send(bench, board, 20)
                await bench.until(lambda n=n_before: len(frames_in(bench.heard)) > n)
                bench.cable.write(board.next()[:20])
                bench.cable.unplug()
                await bench.until(lambda: bench.told[-1].state is LinkState.LOST)
        opened = [at for at, packet in enumerate(bench.packets) if not packet.payload]
        assert len(opened) == 3
        assert opened[0] == 0
        assert {packet.stream for packet in bench.packets} == {frame.LINE}

    play(scene())
