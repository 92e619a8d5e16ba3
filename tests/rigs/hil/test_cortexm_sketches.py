"""The Arduino sketches on an ARM: the same files, built for the Cortex-M3, with chips attached.

The chips are those the sketches meet on the AVR (`chip_*.c`), which complain of whatever a data
sheet forbids; here they live beneath the Arduino core (``arm/arm_bench.c``).
"""

import asyncio
import os
import struct
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

from edge import frame
from edge.assemble import assemble
from edge.pipeline import PipelineSettings
from edge.records import Packet
from tests.rigs.hil.ecg_wave import HR_BPM, PERIOD_S, wave_mv
from tests.rigs.hil.listening import Listening, arrivals, columns, frames_of, holes
from tests.rigs.hil.qemu import TIRELESS, Qemu, build, need_tools
from tests.rigs.hil.terminal import Terminal

HERE = Path(__file__).parent
INPUT_AT = 0x2100_0000
LONG = bool(os.environ.get("HOMEWARD_LONG"))
CLEAN_S = 60.0 if LONG else 13.0
FAST_S = 600.0 if LONG else 25.0
PPM = 300
"""The chips' crystals are so much too fast."""


def put_in(rows: np.ndarray, args: str = f"file=memory,ppm={PPM}") -> dict[int, bytes]:
    """Return the memory in which a chip finds what it measures."""
    head = args.encode().ljust(64, b"\0") + struct.pack("<I", len(rows))
    return {INPUT_AT: head + rows.astype("<f4").tobytes()}


class Sketch(msgspec.Struct, frozen=True):
    """A sketch and the chip it is for."""

    name: str
    chip: str
    fs_hz: float
    rows_a_frame: int
    columns: tuple[str, ...]
    scale: tuple[float, ...]
    """Counts of a unit."""

    def rows(self) -> np.ndarray:
        """Return what the chip measures, in counts, shape (n, columns)."""
        at_s = np.arange(round(PERIOD_S * self.fs_hz)) / self.fs_hz
        slow = np.sin(2 * np.pi * at_s / (PERIOD_S / 5))
        if self.chip == "ads1292r":
            parts = [wave_mv(at_s)[:, 1] * self.scale[0], 700.0 * slow]
        elif self.chip == "max30102":
            pulse = np.sin(2 * np.pi * at_s * HR_BPM / 60.0)
            parts = [90_000 + 300 * pulse, 110_000 + 900 * pulse + 200 * slow]
        else:
            parts = [20 * slow, -11 + 4 * slow, 250 + 9 * slow]
        return np.rint(np.column_stack(parts))


ADS1292R = Sketch(
    "ads1292r",
    "ads1292r",
    250.0,
    20,
    ("ecg_mv:I", "resp_au"),
    (6 * 8_388_607 / 2420, 4 * 8_388_607 / 2420),
)
SKETCHES = (
    ADS1292R,
    Sketch("max30102", "max30102", 100.0, 10, ("pleth_au:red", "pleth_au:ir"), (1.0, 1.0)),
    Sketch(
        "accelerometer",
        "adxl345",
        50.0,
        6,
        ("accel_g:x", "accel_g:y", "accel_g:z"),
        (256.0, 256.0, 256.0),
    ),
)


@pytest.fixture(scope="module")
def make_elf(tmp_path_factory):
    need_tools(libc=True)
    built: dict[str, Path] = {}

    def make(sketch: Sketch) -> Path:
        if sketch.name not in built:
            bench = [f"arm/arm_{part}.c" for part in ("bench", "buses", "libc")]
            parts = (*bench, "chip_bus.c", f"chip_{sketch.chip}.c")
            out = tmp_path_factory.mktemp(sketch.name)
            attach = [HERE / part for part in parts]
            built[sketch.name] = build(f"cortexm-{sketch.name}", out, attach)
        return built[sketch.name]

    return make


def said_by(board: Qemu) -> str:
    """Return what the chip said."""
    board.lines[0].setblocking(False)
    try:
        return board.lines[0].recv(1 << 16).decode()
    except BlockingIOError:
        return ""


MOST_COMPLAINTS = 5
"""Of some 4,000 conversions, on a machine with other work."""


class Session(msgspec.Struct):
    packets: list[Packet]
    n_clean: int
    off_s: float
    said: str
    cpu: float


@pytest.fixture(scope="module")
def session(make_elf):
    """An ADS1292R in real time, whose electrode comes off at the end."""

    async def run(board: Qemu) -> Session:
        async with Listening(board.port) as listening:
            board.go()
            await listening.until(listening.sends, 20.0)
            begun_s, cpu_s = time.monotonic(), board.cpu_s()
            await asyncio.sleep(CLEAN_S)
            n_clean = len(listening.packets)
            cpu = (board.cpu_s() - cpu_s) / (time.monotonic() - begun_s)
            board.lines[0].sendall(b"off 4\n")
            off_s = time.monotonic()
            await asyncio.sleep(1.2)
        return Session(listening.packets, n_clean, off_s, said_by(board), cpu)

    with Qemu(make_elf(ADS1292R), paused=True, memory=put_in(ADS1292R.rows())) as board:
        return asyncio.run(run(board))


def not_read(frames: list[frame.Frame], row_bytes: int, period_us: float) -> float:
    """Return the share of conversions that the clock says there were and the frames have not."""
    samples = [whole for whole in frames if whole.kind == frame.SAMPLES]
    n_rows = sum(len(whole.body) for whole in samples[:-1]) / row_bytes
    passed_us = (samples[-1].clock_us - samples[0].clock_us) % frame.CLOCK_WRAP
    return 1.0 - n_rows * period_us / passed_us


def test_the_ads1292r_sketch_gives_an_ecg_and_its_heart_rate_in_real_time(session):
    packets = session.packets[: session.n_clean]
    frames = frames_of(packets)
    pipeline = assemble(PipelineSettings(), "hil", start_s=packets[0].arrived_s)
    pipeline.advance(packets, packets[-1].arrived_s)
    live = pipeline.live()
    (source,) = [one for one in live.sources if one.stream == frame.LINE]
    hr_bpm = live.patients[0].vitals["hr_bpm"]
    missed = not_read(frames, row_bytes=8, period_us=4_000 / (1 + PPM * 1e-6))

    print(f"rate {source.ppm:+.1f} ppm, heart rate {hr_bpm:.2f} bpm")
    print(f"QEMU {100 * session.cpu:.1f} % of a core; conversions not read {100 * missed:.2f} %")
    assert frame.unpack_description(frames[0].body).device == "ADS1292R"
    # What a data sheet forbids would be told at every conversion. A pause of the host between two
    # bytes looks like it too, now and then; without the host, see below, there is no word.
    complaints = [line for line in session.said.splitlines() if not line.startswith("lost")]
    assert len(complaints) < MOST_COMPLAINTS, complaints
    assert (source.n_broken, source.n_not_mine) == (0, 0)
    assert hr_bpm == pytest.approx(HR_BPM, abs=0.5)
    # A conversion that falls into a pause of the host cannot be read by anybody: the chip has no
    # store. Without the host, see below, there are none.
    assert missed < 0.1


def test_the_ads1292r_sketch_tells_an_electrode_that_comes_off_within_a_second(session):
    told = [
        (arrived_s - session.off_s, frame.unpack_status(whole.body).lead_off)
        for arrived_s, whole in arrivals(session.packets)
        if whole.kind == frame.STATUS and arrived_s > session.off_s
    ]

    print(f"electrode told after {1e3 * told[0][0]:.0f} ms")
    assert told[0][1] == 3
    assert told[0][0] < 1.0


@pytest.mark.parametrize("sketch", SKETCHES, ids=[sketch.name for sketch in SKETCHES])
def test_every_sample_of_a_chip_comes_out_as_it_went_in(make_elf, sketch):
    """Faster than real time, so that the host's pauses are none of the board's."""
    rows = sketch.rows()
    n_rows = round(FAST_S * sketch.fs_hz)
    step_us = sketch.rows_a_frame / sketch.fs_hz * 1e6

    async def run(board: Qemu) -> list[Packet]:
        def has_enough() -> bool:
            n_bytes = sum(len(packet.payload) for packet in listening.packets)
            return n_bytes > n_rows * row_bytes

        row_bytes = 2 * len(rows[0]) if sketch.chip == "adxl345" else 4 * len(rows[0])
        async with Listening(board.port) as listening:
            board.go()
            await listening.until(has_enough, 10.0 + FAST_S)
            board.pause()
            await asyncio.sleep(0.2)
        return listening.packets

    memory = put_in(rows)
    with Qemu(make_elf(sketch), icount=TIRELESS, paused=True, memory=memory) as board:
        packets = asyncio.run(run(board))
        said = said_by(board)
    samples = [whole for whole in frames_of(packets) if whole.kind == frame.SAMPLES]
    counts = columns(packets, sketch.columns) * sketch.scale
    # A FIFO's time is estimated, and that takes some minutes to settle to a few ppm.
    within_ppm = 10.0 if sketch is ADS1292R else 100.0 if LONG else 1_000.0
    later = samples[len(samples) // 2 :]
    passed_us = (later[-1].clock_us - later[0].clock_us) / (len(later) - 1)
    ppm = (step_us / passed_us - 1.0) * 1e6

    print(f"{len(counts)} rows, {ppm:+.1f} ppm")
    assert said == ""
    assert holes(samples, step_us) == 0
    assert ppm == pytest.approx(PPM, abs=within_ppm)
    expected = rows[np.arange(len(counts)) % len(rows)]
    assert np.abs(counts - expected).max() < 0.5


@pytest.mark.parametrize("sketch", SKETCHES, ids=[sketch.name for sketch in SKETCHES])
def test_without_a_chip_a_sketch_says_so_and_goes_on(tmp_path, sketch):
    need_tools()
    elf = build(f"cortexm-{sketch.name}", tmp_path)

    with Qemu(elf, paused=True) as board, Terminal(board.port) as terminal:
        board.go()
        heard = terminal.listen(1.3)
        answer = terminal.tell(frame.Code.DESCRIBE)

    kinds = {whole.kind for whole in heard}
    status = [frame.unpack_status(w.body) for w in heard if w.kind == frame.STATUS][-1]
    assert kinds <= {frame.DESCRIPTION, frame.STATUS, frame.SAMPLES}
    assert answer.result == 0
    if sketch.chip == "ads1292r":
        assert status.lead_off == 3
