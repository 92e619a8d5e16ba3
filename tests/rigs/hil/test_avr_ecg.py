"""Ten minutes of an AD8232 on an emulated Arduino, through the real reader and pipeline.

One run, which every test looks at: 250 Hz, an ECG and a pleth, a crystal that is 37 ppm fast, at
fifty times real time where the machine can. `HOMEWARD_LONG=1` makes it an hour, and tries other
crystals as long as that.
"""

import asyncio
import itertools
import math
import os
import time

import msgspec
import numpy as np
import pytest

from edge import frame
from edge.assemble import assemble
from edge.live import Live
from edge.pipeline import PipelineSettings
from edge.records import Beat, Gap, Packet, Record
from tests.rigs.hil.avr import HZ, Avr, bench, firmware, need_tools, read, samples_of, wires_at
from tests.rigs.hil.ecg_wave import HR_BPM, wave_mv

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

LONG = bool(os.environ.get("HOMEWARD_LONG"))
LENGTH_S = 3600.0 if LONG else 605.0
OTHER_PPM = (-80.0, 150.0, 0.0) if LONG else (-80.0,)
SPEED = 50.0
LAG_MS = 5.0
"""About what the reader lets gather, and an idle machine takes, at real time."""
PPM = 37.0
FS_HZ, ROWS = 250.0, 25
FED_HZ = 1000.0
AMPLIFICATION, MIDDLE_MV, REFERENCE_MV = 1100.0, 1650.0, 5000.0
LSB_MV = REFERENCE_MV / 1024 / AMPLIFICATION
"""One count of the converter, on the skin."""
JITTER_US = 15.0
OFF_S = ((LENGTH_S - 30.0, "D10"), (LENGTH_S - 20.0, "D11"))
"""When an electrode comes off, and at which pin it shows; for `AWAY_S`."""
AWAY_S = 5.0
QUIET_S = LENGTH_S - 35.0
"""Until then nothing happens but the heart beating."""


class Second(msgspec.Struct):
    """What the monitor showed."""

    at_s: float
    live: Live


class Run(msgspec.Struct):
    """A run: what came, what it was made from, and what the pipeline made of it."""

    packets: list[Packet]
    starts: dict[str, np.ndarray]  # conversions by pin; see `Avr.starts`
    records: list[Record]
    seconds: list[Second]
    counts: dict[str, int]
    wall_s: float

    def vitals(self, name: str, from_s: float, to_s: float) -> list[float]:
        """Return a number as it was shown, second by second."""
        return [
            one.live.patients[0].vitals[name] for one in self.seconds if from_s <= one.at_s < to_s
        ]

    @property
    def source(self):
        """What the pipeline counted of the board's line."""
        (source,) = [s for s in self.seconds[-1].live.sources if s.stream == frame.LINE]
        return source


def voltages(length_s: float) -> dict[str, tuple[np.ndarray, float]]:
    """Return what is at the pins, in millivolts: lead II behind the AD8232, and a pulse sensor."""
    at_s = np.arange(round(length_s * FED_HZ)) / FED_HZ
    ecg = MIDDLE_MV + AMPLIFICATION * wave_mv(at_s)[:, 1]
    pleth = MIDDLE_MV + 400.0 * np.sin(2 * np.pi * at_s * HR_BPM / 60.0)
    return {"A0": (ecg, FED_HZ), "A1": (pleth, FED_HZ)}


def record(length_s: float, ppm: float, script=()) -> Run:
    """Let the board run, the reader read it, and the pipeline live through it second by second."""
    need_tools()
    bench()
    elf = firmware("ad8232")
    began_s = time.monotonic()
    with Avr(
        elf,
        speed=SPEED,
        lag_ms=LAG_MS,
        ppm=ppm,
        adc=voltages(length_s),
        pins={"D10": 0, "D11": 0},
        script=script,
        for_s=length_s,
    ) as board:
        packets = asyncio.run(read(board, wires_at(SPEED, "homeward"), device="homeward"))
        wall_s = time.monotonic() - began_s
        starts = {pin: board.starts(pin) for pin in ("A0", "A1")}
        counts = board.counts()
    records, seconds = live_through(packets, int(length_s))
    return Run(packets, starts, records, seconds, counts, wall_s)


def live_through(packets: list[Packet], n_s: int) -> tuple[list[Record], list[Second]]:
    """Return the records of the pipeline, and what it showed each second."""
    pipeline = assemble(PipelineSettings(), "hil")
    records, seconds, waiting = [], [], iter(packets)
    held = next(waiting, None)
    for second in range(1, n_s + 1):
        arrived = []
        while held is not None and held.arrived_s <= second:
            arrived.append(held)
            held = next(waiting, None)
        records += pipeline.advance(arrived, float(second)).records
        live = pipeline.live()
        if live.patients:
            seconds.append(Second(second, live))
    return records, seconds


@pytest.fixture(scope="module")
def run():
    off = [(at_s, f"pin {pin} 1") for at_s, pin in OFF_S]
    on = [(at_s + AWAY_S, f"pin {pin} 0") for at_s, pin in OFF_S]
    made = record(LENGTH_S, PPM, off + on)
    speed, stalls = LENGTH_S / made.wall_s, made.counts["n_stalls"]
    print(f"{LENGTH_S:.0f} s in {made.wall_s:.0f} s, {speed:.0f} x real time, {stalls} stalls")
    return made


def rows_of(run: Run, signal: str) -> tuple[int, np.ndarray]:
    """Return the number of the first conversion that was heard of, and all values from it on."""
    runs = [one for one in samples_of(run.packets) if one.signal == signal]
    first_us = next(f.clock_us for _, f in arrivals(run.packets) if f.kind == frame.SAMPLES)
    # The first conversion is at the end of the first interval.
    return round(first_us * 1e-6 * FS_HZ) - 1, np.concatenate([one.values for one in runs])


def arrivals(packets: list[Packet]) -> list[tuple[float, frame.Frame]]:
    """Return every frame and when its end came; fails at one that is damaged."""
    found, rest = [], b""
    for packet in packets:
        if packet.stream == frame.LINE:
            *ended, rest = (rest + packet.payload).split(b"\0")
            found += [(packet.arrived_s, piece) for piece in ended]
    # What comes before the first zero may be cut by the opening of the port.
    return [(arrived_s, frame.unpack(piece)) for arrived_s, piece in found[1:] if piece]


def test_no_frame_is_damaged_and_none_is_missing(run):
    frames = [whole for _, whole in arrivals(run.packets)]
    samples = [whole for whole in frames if whole.kind == frame.SAMPLES]
    first, values = rows_of(run, "ecg_mv")

    print(f"{len(frames)} frames, {len(values)} rows, {run.counts['n_sent']} bytes")
    assert len(samples) >= (LENGTH_S - 5.0) * FS_HZ / ROWS
    for before, after in itertools.pairwise(samples):
        assert after.sequence == (before.sequence + 1) % frame.SEQUENCE_WRAP
        assert (after.clock_us - before.clock_us) % frame.CLOCK_WRAP == 100_000
    assert (run.source.n_broken, run.source.n_not_mine, run.source.n_lost) == (0, 0, 0)
    assert [one for one in run.records if isinstance(one, Gap)] == []
    # Every conversion is there but those of the last frames: one was not full at the end, one
    # was on the line.
    assert len(run.starts["A0"]) - first - len(values) < 2 * ROWS
    assert run.counts["n_garbled"] == 0


def test_the_rate_is_the_nominal_one(run):
    taken_ns = run.starts["A0"]["ns"]
    rate_hz = (len(taken_ns) - 1) / (float(taken_ns[-1] - taken_ns[0]) * 1e-9)

    print(f"{rate_hz:.4f} Hz against the true time")
    assert rate_hz == pytest.approx(FS_HZ, rel=0.005)
    assert rate_hz == pytest.approx(FS_HZ * (1 + PPM * 1e-6), rel=1e-6)


def test_the_timeline_measures_the_crystal(run):
    print(f"the board's clock is {-run.source.ppm:+.2f} ppm fast, in truth {PPM:+.1f}")
    assert -run.source.ppm == pytest.approx(PPM, abs=10.0)


@pytest.mark.parametrize("ppm", OTHER_PPM)
def test_the_timeline_measures_another_crystal(ppm):
    made = record(LENGTH_S, ppm)

    print(f"the board's clock is {-made.source.ppm:+.2f} ppm fast, in truth {ppm:+.1f}")
    assert -made.source.ppm == pytest.approx(ppm, abs=10.0)
    assert [one for one in made.records if isinstance(one, Gap)] == []


def test_the_heart_rate_is_that_of_the_heart(run):
    shown = run.vitals("hr_bpm", 30.0, QUIET_S)

    print(f"heart rate {min(shown):.2f} to {max(shown):.2f} bpm, in truth {HR_BPM}")
    assert min(shown) > HR_BPM - 0.5
    assert max(shown) < HR_BPM + 0.5


def test_beats_are_where_the_heart_beat(run):
    beats_s = [one.at_s for one in run.records if isinstance(one, Beat)]
    beats_s = np.array([at_s for at_s in beats_s if 120.0 < at_s < QUIET_S])
    off_s = (beats_s * HR_BPM / 60.0 + 0.5) % 1.0 - 0.5
    off_ms = off_s * 60_000.0 / HR_BPM

    print(f"beats late by {off_ms.mean():.1f} ms, standard deviation {off_ms.std():.2f} ms")
    assert len(beats_s) == pytest.approx((QUIET_S - 120.0) * HR_BPM / 60.0, abs=1.0)
    # A frame of 111 bytes takes 10 ms on the line, and nothing can know that it was not later.
    assert 0.0 <= off_ms.mean() < 25.0
    assert np.abs(off_ms - off_ms.mean()).max() < 12.0


def test_the_ecg_is_what_was_on_the_skin_to_the_count(run):
    first, values = rows_of(run, "ecg_mv")
    truth = (run.starts["A0"]["number"][first:][: len(values)] - MIDDLE_MV) / AMPLIFICATION
    off = (values[: len(truth)] - truth) / LSB_MV

    rms, most, swing = np.sqrt(np.mean(off**2)), np.abs(off).max(), np.ptp(values)
    print(f"ecg: rms {rms:.3f}, most {most:.3f} counts of {1e3 * LSB_MV:.2f} uV; {swing:.2f} mV")
    assert swing > 1.2  # there was something to get wrong
    assert rms <= 1.0
    assert most <= 0.51  # nothing but rounding


def test_the_pleth_is_what_was_at_the_pin_to_the_count(run):
    first, values = rows_of(run, "pleth_au")
    truth = run.starts["A1"]["number"][first:][: len(values)] / (REFERENCE_MV / 1024)
    off = values[: len(truth)] - truth

    print(f"pleth: rms {np.sqrt(np.mean(off**2)):.3f}, most {np.abs(off).max():.3f} counts")
    assert np.ptp(values) > 100
    assert np.abs(off).max() <= 0.51


def test_samples_are_taken_on_time(run):
    cycles = run.starts["A0"]["cycle"].astype(np.int64)
    interval = round(HZ / FS_HZ)
    late = cycles - interval * np.arange(len(cycles))
    between = (run.starts["A1"]["cycle"].astype(np.int64)[: len(cycles)] - cycles)[1:]

    print(f"starts spread over {np.ptp(late)} cycles, {1e6 * np.ptp(late) / HZ:.2f} us; the")
    print(f"second channel is {between.min() / 16:.1f} to {between.max() / 16:.1f} us behind")
    assert np.ptp(late) <= JITTER_US * 1e-6 * HZ
    assert np.ptp(between) <= JITTER_US * 1e-6 * HZ


@pytest.mark.parametrize(("off_s", "pin"), OFF_S)
def test_an_electrode_that_comes_off_is_told_within_a_second_and_so_is_its_return(run, off_s, pin):
    changes = [
        (at_s, frame.unpack_status(one.body).lead_off)
        for at_s, one in arrivals(run.packets)
        if one.kind == frame.STATUS and off_s <= at_s
    ]
    off_at_s = next(at_s for at_s, lead_off in changes if lead_off == 1)
    on_at_s = next(at_s for at_s, lead_off in changes if lead_off == 0 and at_s > off_at_s)

    print(f"{pin}: off told after {1e3 * (off_at_s - off_s):.0f} ms, ", end="")
    print(f"on after {1e3 * (on_at_s - off_s - AWAY_S):.0f} ms")
    assert 0.0 <= off_at_s - off_s < 1.0
    assert 0.0 <= on_at_s - off_s - AWAY_S < 1.0
    shown = run.vitals("lead_off_flag", math.ceil(off_s + 1.0), off_s + AWAY_S)
    assert set(shown) == {1.0}
    assert set(run.vitals("lead_off_flag", off_s + AWAY_S + 2.0, off_s + AWAY_S + 4.0)) == {0.0}
