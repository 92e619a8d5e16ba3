"""The AD8232 firmware on an emulated Arduino: commands, other rates, a full queue, the cable."""

import asyncio
import contextlib
import functools
import itertools
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge import frame
from edge.assemble import assemble
from edge.events import LINK, LinkTold
from edge.frame import Code, Frame, Result
from edge.pipeline import PipelineSettings
from edge.records import Gap
from tests.rigs.hil.avr import HZ, Avr, bench, firmware, need_tools, read, samples_of, wires_at
from tests.rigs.hil.avr_talk import Talk, serial
from tests.rigs.hil.ecg_wave import wave_mv

FED_HZ = 1000.0
TICK_US, CYCLES_A_US = 2000, HZ // 1_000_000
JITTER_CYCLES = 15 * CYCLES_A_US


@functools.cache
def voltages(length_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what is at the pins, in millivolts."""
    at_s = np.arange(round(length_s * FED_HZ)) / FED_HZ
    return 1650.0 + 1100.0 * wave_mv(at_s)[:, 1], 1650.0 + 1000.0 * np.sin(7.0 * at_s)


@contextlib.contextmanager
def board(*defines: str, speed: float = 20.0, **options):
    """Run an Arduino with electrodes on; its time waits for whoever listens."""
    need_tools()
    bench()
    ecg, pleth = voltages(60.0)
    adc = {"A0": (ecg, FED_HZ), "A1": (pleth, FED_HZ)}
    pins = {"D10": 0, "D11": 0}
    options = {"speed": speed, "lag_ms": 50.0, "adc": adc, "pins": pins} | options
    with Avr(firmware("ad8232", *defines), **options) as avr:
        yield avr


def samples(frames: list[Frame]) -> list[Frame]:
    return [one for one in frames if one.kind == frame.SAMPLES]


def rows(one: Frame) -> np.ndarray:
    """Return the counts of a samples frame, shape (n, 2)."""
    return np.frombuffer(one.body, "<i2").reshape(-1, 2)


def in_order(frames: list[Frame]) -> bool:
    """Return whether no samples frame is missing."""
    return all(
        after.sequence == (before.sequence + 1) % frame.SEQUENCE_WRAP
        for before, after in itertools.pairwise(samples(frames))
    )


def codes_by_tick(avr: Avr) -> dict[int, tuple[int, int]]:
    """Return what the converter made, by the number of the tick that started it."""
    first, second = avr.starts("A0"), avr.starts("A1")
    # Ticks are 32,000 cycles apart, and a start lags its tick by less than 300.
    ticks = (first["cycle"] - first["cycle"][0]) / (TICK_US * CYCLES_A_US)
    assert np.abs(ticks - np.rint(ticks)).max() * TICK_US < 15.0
    codes = [np.floor(one["number"] / 5000 * 1024 + 0.5).astype(int) for one in (first, second)]
    return dict(zip(np.rint(ticks).astype(int).tolist(), zip(*codes, strict=False), strict=False))


def assert_true(avr: Avr, frames: list[Frame], first_us: int, rate_of: dict[int, float]) -> int:
    """Hold every row of every frame against the conversion at its time; return how many.

    `rate_of` has the rate in force from a frame's number on; `first_us` is the clock of the first
    conversion.
    """
    truth, n_rows, fs_hz = codes_by_tick(avr), 0, 0.0
    for one in samples(frames):
        fs_hz = rate_of.get(one.sequence, fs_hz)
        for i, row in enumerate(rows(one)):
            tick = round((one.clock_us - first_us + i * 1e6 / fs_hz) / TICK_US)
            assert tuple(row.tolist()) == truth[tick], f"row {i} of frame {one.sequence}"
            n_rows += 1
    return n_rows


def test_a_listener_that_comes_late_asks_and_is_told_at_once():
    with board(await_open=False) as avr:
        avr.until(3.0)
        with Talk(avr) as talk:
            answer = talk.ask(Code.DESCRIBE, sequence=513)
            talk.until(frame.STATUS, talk.n_answered)
            described, status = talk.frames[talk.n_answered + 1 :][:2]
    told = frame.unpack_description(described.body)

    assert answer == frame.Answer(Code.DESCRIBE, 513, Result.DONE, 250.0)
    assert [(c.signal, c.lead) for c in told.channels] == [("ecg_mv", "II"), ("pleth_au", "finger")]
    assert told.channels[0].gain == pytest.approx(1100 * 1024 / 5000)
    assert told.channels[0].baseline == pytest.approx(1650 * 1024 / 5000)
    assert (told.fs_hz, told.device, told.host_clock) == (250.0, "AD8232", False)
    assert frame.unpack_status(status.body) == frame.Status(0, None)


def test_an_answer_comes_within_half_a_second():
    with board(speed=0.5) as avr, Talk(avr) as talk:
        talk.until(frame.SAMPLES)
        asked_s = avr.now_s()
        talk.ask(Code.DESCRIBE)
        took_s = talk.at_s[talk.n_answered] - asked_s

    print(f"answered after {1e3 * took_s:.0f} ms")
    assert took_s < 0.5


def test_what_was_stopped_is_silent_but_for_its_description_until_it_is_started():
    with board() as avr, Talk(avr) as talk:
        talk.until(frame.SAMPLES)
        stopped = talk.ask(Code.STOP)
        n_stopped = talk.n_answered
        talk.listen(21.0)
        pause = talk.frames[n_stopped:]
        started = talk.ask(Code.START)
        talk.listen(1.0)

    # The frame that was begun is sent behind the answer, and nothing after it.
    assert frame.SAMPLES not in [one.kind for one in pause[2:]]
    assert [one.kind for one in pause].count(frame.DESCRIPTION) == 2
    assert [one.kind for one in pause].count(frame.STATUS) == 2
    assert (stopped.fs_hz, started.fs_hz) == (0.0, 250.0)
    kinds = [one.kind for one in talk.frames[talk.n_answered :]]
    assert kinds[:4] == [frame.ANSWER, frame.DESCRIPTION, frame.STATUS, frame.SAMPLES]
    assert in_order(talk.frames)


def test_it_refuses_a_rate_it_cannot_keep_and_does_not_know_what_is_newer():
    with board() as avr, Talk(avr) as talk:
        talk.until(frame.SAMPLES)
        refused = [talk.ask(Code.RATE, fs_hz) for fs_hz in (300.0, 249.999, 1000.0)]
        unknown = talk.ask(77, sequence=9)
        after = talk.listen(2.0)

    assert {(one.result, one.fs_hz) for one in refused} == {(Result.REFUSED, 250.0)}
    assert unknown == frame.Answer(77, 9, Result.UNKNOWN, 250.0)
    clocks = [one.clock_us for one in samples(after)]
    assert set(np.diff(clocks)) == {100_000}


def test_every_row_is_the_conversion_of_its_time_at_every_rate_it_has():
    with board() as avr, Talk(avr) as talk:
        first_us = talk.until(frame.SAMPLES).clock_us
        rate_of = {0: 250.0}
        for fs_hz in (500.0, 125.0, 250.0, 125.0, 500.0, 250.0):
            answer = talk.ask(Code.RATE, fs_hz)
            assert (answer.result, answer.fs_hz) == (Result.DONE, fs_hz)
            described = talk.until(frame.DESCRIPTION, talk.n_answered)
            assert frame.unpack_description(described.body).fs_hz == fs_hz
            rate_of[described.sequence] = fs_hz
            talk.listen(2.0)
        frames = talk.frames
        n_rows = assert_true(avr, frames, first_us, rate_of)

    assert in_order(frames)
    assert talk.n_damaged == 0
    counted = {(len(rows(one)), rate) for one, rate in _with_rate(frames, rate_of)}
    assert {(25, 500.0), (25, 250.0), (12, 125.0)} <= counted
    assert n_rows > 2 * 2 * (500 + 250 + 125) - 100


def _with_rate(frames: list[Frame], rate_of: dict[int, float]):
    fs_hz = 0.0
    for one in samples(frames):
        fs_hz = rate_of.get(one.sequence, fs_hz)
        yield one, fs_hz


def test_the_reader_makes_it_sample_at_the_configured_rate():
    with board(for_s=6.0) as avr:
        packets = asyncio.run(
            read(avr, wires_at(avr.speed, "homeward"), device="homeward", fs_hz=500.0)
        )
    pipeline = assemble(PipelineSettings(), "hil")
    pipeline.advance(packets, 7.0)
    trace = pipeline.trace("patient-1", "ecg_mv", 2.0)

    assert trace is not None
    assert trace.fs_hz == 500.0


def test_a_line_full_of_noise_neither_shifts_a_sample_nor_loses_one():
    noise = np.random.default_rng(1).integers(0, 256, 500, dtype=np.uint8).tobytes()
    with board("RATE_HZ=500", speed=5.0) as avr, Talk(avr) as talk:
        first_us = talk.until(frame.SAMPLES).clock_us
        for _ in range(60):
            talk.write(noise)  # 43 ms at 115,200 baud
            talk.listen(0.03)
        answer = talk.ask(Code.DESCRIBE)
        frames = talk.frames
        starts = avr.starts("A0")["cycle"].astype(np.int64)
        n_rows = assert_true(avr, frames, first_us, {samples(frames)[0].sequence: 500.0})
    interval = HZ // 500
    late = starts - interval * np.arange(len(starts))

    print(f"starts spread over {np.ptp(late)} cycles, {np.ptp(late) / CYCLES_A_US:.2f} us")
    assert np.ptp(late) <= JITTER_CYCLES
    assert answer.result == Result.DONE
    assert in_order(frames)
    assert talk.n_damaged == 0
    assert n_rows == 25 * len(samples(frames)) > 500


def test_rows_that_find_no_room_are_told_and_move_no_other():
    # Two rows of room at 500 Hz: writing a frame takes longer than that.
    with board("RATE_HZ=500", "QUEUE_LENGTH=2u") as avr, Talk(avr) as talk:
        first_us = talk.until(frame.SAMPLES).clock_us
        talk.listen(4.0)
        frames = talk.frames
        n_rows = assert_true(avr, frames, first_us, {samples(frames)[0].sequence: 500.0})
    ours = samples(frames)
    whole_us = (ours[-1].clock_us - ours[0].clock_us) % frame.CLOCK_WRAP
    n_missing = whole_us // TICK_US - (n_rows - len(rows(ours[-1])))

    print(f"{n_missing} of {whole_us // TICK_US} rows found no room")
    assert n_missing > 0
    # Every hole is between two frames, where the clock and a skipped number show it.
    for before, after in itertools.pairwise(ours):
        n_hole = (after.clock_us - before.clock_us) // TICK_US - len(rows(before))
        n_numbers = (after.sequence - before.sequence) % frame.SEQUENCE_WRAP
        assert n_numbers == (2 if n_hole else 1)
        n_missing -= n_hole
    assert n_missing == 0


def test_rows_that_found_no_room_are_gaps_of_the_record():
    with board("RATE_HZ=500", "QUEUE_LENGTH=2u", for_s=8.0) as avr:
        packets = asyncio.run(read(avr, wires_at(avr.speed, "homeward"), device="homeward"))
        n_taken = len(avr.starts("A0"))
    pipeline = assemble(PipelineSettings(), "hil")
    records = pipeline.advance(packets, 9.0).records
    gaps = [one for one in records if isinstance(one, Gap)]
    runs = [one for one in samples_of(packets) if one.signal == "ecg_mv"]
    n_rows = sum(len(one.values) for one in runs)

    print(f"{n_taken} rows taken, {n_rows} heard, {sum(one.n_lost for one in gaps)} told missing")
    assert {one.reason for one in gaps} == {"lost"}
    # But for the frame that was not full at the end, and one on the line.
    assert 0 <= n_taken - n_rows - sum(one.n_lost for one in gaps) < 50


@pytest.mark.parametrize(
    ("defines", "channels"),
    [
        (("SECOND_CHANNEL=NOTHING",), [("ecg_mv", "II")]),
        (("SECOND_CHANNEL=SECOND_AD8232",), [("ecg_mv", "II"), ("ecg_mv", "I")]),
    ],
)
def test_what_is_on_the_second_input_is_a_setting(defines, channels):
    with board(*defines) as avr, Talk(avr) as talk:
        talk.tell(Code.DESCRIBE)
        told = frame.unpack_description(talk.until(frame.DESCRIPTION).body)
        avr.tell("pin D9 1")
        off = [
            frame.unpack_status(one.body).lead_off
            for one in talk.listen(2.0)
            if one.kind == frame.STATUS
        ]

    assert [(one.signal, one.lead) for one in told.channels] == channels
    assert (2 in off) == (len(channels) == 2)


def test_a_loose_electrode_does_not_flood_the_line():
    flutter = [(2.0 + 0.01 * i, f"pin D10 {i % 2}") for i in range(201)]
    with board(script=flutter) as avr, Talk(avr) as talk:
        talk.until(frame.SAMPLES)
        frames = talk.listen(5.0)
    told = [frame.unpack_status(one.body).lead_off for one in frames if one.kind == frame.STATUS]

    assert told == [1, 0]
    assert in_order(frames)


def test_the_reader_finds_out_by_itself_that_it_is_a_board_of_ours():
    with board(speed=5.0, for_s=6.0) as avr:
        packets = asyncio.run(read(avr, wires_at(avr.speed)))
    told = [msgspec.json.decode(p.payload, type=LinkTold) for p in packets if p.stream == LINK]

    assert told[0].name == "Homeward board"
    assert any(packet.stream == frame.LINE for packet in packets)


def test_a_cable_that_is_pulled_in_the_middle_of_a_frame_costs_one_frame_and_the_outage():
    cycle_s, away_s, n_cycles, speed = 2.5, 0.5, 4, 3.0
    pulled = [(1.0 + cycle_s * i, "unplug 40") for i in range(n_cycles)]
    put_back = [(1.0 + away_s + cycle_s * i, "plug") for i in range(n_cycles)]
    with board(speed=speed, script=pulled + put_back, for_s=1.0 + cycle_s * n_cycles) as avr:
        packets = asyncio.run(read(avr, wires_at(speed, "homeward"), device="homeward"))
        n_plugged = avr.counts()["n_plugged"]
    line = [(packet.arrived_s, packet.payload) for packet in packets if packet.stream == frame.LINE]
    frames, rest = [], b""
    for arrived_s, payload in line:
        *ended, rest = (rest + payload).split(b"\0")
        for piece in filter(None, ended):
            with contextlib.suppress(frame.FrameError):
                frames.append((arrived_s, frame.unpack(piece)))
    heard = [(at_s, one.sequence) for at_s, one in frames if one.kind == frame.SAMPLES]

    assert n_plugged == n_cycles + 1
    for back_s, _ in put_back:
        again_s = next(at_s for at_s, _ in heard if at_s > back_s)
        lost_s, last = max((at_s, number) for at_s, number in heard if at_s < back_s)
        first = next(number for at_s, number in heard if at_s > back_s)
        print(f"back after {1e3 * (again_s - back_s):.0f} ms; {first - last - 1} frames missing")
        assert again_s - back_s < 2.0
        # The frames of the time without a listener, and at most one more at each of its ends.
        assert first - last - 1 <= (again_s - lost_s) / 0.1 + 1


def test_a_restart_is_a_gap_and_everything_is_right_behind_it():
    with board(for_s=8.0, script=[(4.0, "reset 1.5")]) as avr:
        packets = asyncio.run(read(avr, wires_at(avr.speed, "homeward"), device="homeward"))
        assert avr.counts()["n_resets"] == 1
    pipeline = assemble(PipelineSettings(), "hil")
    records = pipeline.advance(packets, 9.0).records
    gaps = [one for one in records if isinstance(one, Gap)]
    (source,) = [one for one in pipeline.live().sources if one.stream == frame.LINE]

    assert {one.reason for one in gaps} == {"restart"}
    assert all(abs(one.start_s - 4.0) < 1.0 for one in gaps)
    assert source.n_broken == 0
    assert source.age_s < 1.5


def test_at_another_baud_rate_nothing_is_readable():
    with board() as avr, Talk(avr, baud=57_600) as talk:
        talk.listen(2.0)
        n_garbled = avr.counts()["n_garbled"]

    assert talk.frames == []
    assert n_garbled > 1000


def test_time_stands_still_for_a_reader_that_does_not_read():
    with board(speed=0.0) as avr:
        line = serial.Serial(str(avr.port), 115_200, timeout=0)
        stood_s, end_s = -1.0, time.monotonic() + 30.0
        while avr.now_s() != stood_s:  # a busy machine takes its time to fill the terminal
            assert time.monotonic() < end_s, "it goes on, and nobody reads"
            stood_s = avr.now_s()
            time.sleep(1.0)
        time.sleep(0.5)
        assert avr.now_s() == stood_s  # not one byte more than the terminal holds
        heard = b""
        while len(heard) < 40_000:
            heard += line.read(4096)
        line.close()
    *pieces, _ = heard.split(b"\0")
    frames = [frame.unpack(piece) for piece in pieces[1:] if piece]

    assert in_order(frames)
    assert len(frames) > 100


def test_the_bench_ends_with_the_one_who_started_it():
    with board(speed=1.0, await_open=False) as avr:
        avr.until(0.2)
        assert avr.is_running()
        began_s = time.monotonic()
        avr.events()  # closes its stdin and waits
        assert time.monotonic() - began_s < 2.0
        assert not avr.is_running()
        assert not Path(avr.port).is_symlink()
