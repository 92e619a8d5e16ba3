"""Three sketches on an emulated Arduino, each with its chip, read by the real reader.

The chips are strict models of their registers (`chip_*.c`); what they are fed are random counts, so
that a row is known by its values: each must come once, in order, to the bit. One run a sketch, at
which most tests look:

    0 s    the chip, absent so far, is plugged in
    20 s   for ten seconds one address in 30 on the I2C bus is not heard, then transfers break off
    62 s   until here nothing may be missing
    64 s   it is overrun: FIFO chips by a deaf bus, the ADS1292R by two conversions at once
    66 s   it is unplugged, and plugged in again at 68 s
    72 s   its supply dips, and it forgets its settings
"""

import functools
import itertools

import msgspec
import numpy as np
import pytest

from edge import frame
from edge.dsp.timeline import StreamClock
from tests.rigs.hil.chip_run import Run, run

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

QUIET_S, OVERRUN_S, OUT_S, IN_S, DIP_S, END_S = 62.0, 64.0, 66.0, 68.0, 72.0, 76.0
OFF_S, ON_S = 40.0, 42.0
"""Finger or electrode off, roughly: the MAX30102 has it in its rows, which begin a little later."""


class Case(msgspec.Struct, frozen=True):
    """A sketch, its chip, and what is to be expected of them."""

    sketch: str
    chip: str
    fs_hz: float
    ppm: float  # the chip's oscillator is that much too fast
    all_off: int
    lowest: tuple[int, ...]
    highest: tuple[int, ...]
    overrun: str
    clock_within_us: float
    back_within_s: float


MAX30102 = Case(
    "max30102", "max30102", 100.0, -8_000.0, 3,
    (0, 60_000), (2**18 - 1, 2**18 - 1), "deaf 430", 4_300.0, 1.5,
)  # fmt: skip
ADXL345 = Case(
    "accelerometer", "adxl345", 50.0, 20_000.0, 7,
    (-4096, -4096, -4096), (4095, 4095, 4095), "hurry 33", 4_300.0, 1.5,
)  # fmt: skip
ADS1292R = Case(
    "ads1292r", "ads1292r", 250.0, 5_000.0, 3,
    (-(2**23), -(2**23)), (2**23 - 1, 2**23 - 1), "hurry 2", 50.0, 3.7,
)  # fmt: skip
CASES = (MAX30102, ADXL345, ADS1292R)
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.chip)


def rows_for(case: Case, seconds: float) -> np.ndarray:
    """Return random rows, the extremes among them; without a finger while it is off."""
    random = np.random.default_rng(30102)
    n = round(seconds * case.fs_hz * 1.1)
    fed = random.integers(case.lowest, case.highest, (n, len(case.lowest)), endpoint=True)
    fed[100], fed[101] = case.lowest, case.highest
    if case is MAX30102:
        fed[round(OFF_S * case.fs_hz) : round(ON_S * case.fs_hz), 1] //= 32
    return fed


@functools.cache
def made(case: Case) -> Run:
    """Return the one long run of a sketch."""
    chip = f"chip {case.chip}"
    script = [
        (0.0, f"{chip} plug"),
        (OVERRUN_S, f"{chip} {case.overrun}"),
        (OUT_S, f"{chip} cut 4" if case is ADS1292R else f"{chip} unplug"),
        (IN_S, f"{chip} plug"),
        (DIP_S, f"{chip} brown"),
        (END_S, "quit"),
    ]
    if case is ADS1292R:
        script += [(OFF_S, f"{chip} off 8"), (ON_S, f"{chip} off 0")]
    else:
        script += [(20.0, f"{chip} noise 30"), (30.0, f"{chip} noise 0")]
    if case is MAX30102:
        # A transfer that breaks off is begun again at the sample where it began.
        script += [(31.0 + k / 10, f"{chip} spoil {k + 1}") for k in range(60)]
    fed = rows_for(case, END_S)
    return run(case.sketch, case.chip, fed, script, options=f",absent=1,ppm={case.ppm}")


def n_quiet(case: Case) -> int:
    """Return the conversions until the quiet time ends."""
    taken_s = made(case).happened("sample")["ns"] * 1e-9
    return int(np.searchsorted(taken_s, made(case).opened_s + QUIET_S))


@each
def test_the_chip_is_used_as_its_data_sheet_says(case):
    assert len(made(case).happened("fault")) == 0


@each
def test_every_count_arrives_once_in_order_and_to_the_bit(case):
    one, n = made(case), n_quiet(case)

    print(f"{n} conversions of {len(case.lowest)} counts")
    assert n >= (QUIET_S - case.back_within_s) * case.fs_hz * (1 + case.ppm * 1e-6)
    assert np.array_equal(one.rows[:n], one.fed[:n])
    assert len(one.happened("lost")[one.happened("lost")["number"] < n]) == 0


@each
def test_no_frame_is_damaged_and_none_is_missing(case):
    one = made(case)
    skips = np.flatnonzero(np.diff(one.sequences) != 1)

    assert one.samples  # asserts that nothing was damaged
    assert one.sequences[0] == 0
    assert len(one.firsts) > n_quiet(case) / 20
    assert (np.diff(one.sequences)[skips] == 2).all()
    assert (one.firsts[skips + 1] >= n_quiet(case)).all()


@each
def test_the_decoder_gives_the_values_in_their_unit(case):
    one, n = made(case), n_quiet(case)
    for idx, channel in enumerate(one.described.channels):
        runs = [
            samples.values
            for samples, _ in one.samples
            if (samples.signal, samples.lead) == (channel.signal, channel.lead)
        ]
        expected = (one.fed[:n, idx] / channel.gain).astype(np.float32)
        assert np.array_equal(np.concatenate(runs)[:n], expected)


@each
def test_the_description_is_right(case):
    described = made(case).described
    signals = {
        "max30102": [("pleth_au", "red", 1.0), ("pleth_au", "ir", 1.0)],
        "adxl345": [("accel_g", axis, 256.0) for axis in "xyz"],
        "ads1292r": [
            ("ecg_mv", "I", pytest.approx(6 * (2**23 - 1) / 2420.0, rel=1e-7)),
            ("resp_au", "", pytest.approx(4 * (2**23 - 1) / 2420.0, rel=1e-7)),
        ],
    }[case.chip]

    assert described.fs_hz == case.fs_hz
    assert [(c.signal, c.lead, c.gain) for c in described.channels] == signals
    assert {c.baseline for c in described.channels} == {0.0}


@each
def test_the_clock_of_a_row_is_that_of_its_conversion(case):
    """By the board's clock, although the chip's own is off; it begins some us after the power."""
    one, n = made(case), n_quiet(case)
    starts = one.firsts[one.firsts < n]
    stamps = np.array([at for at, _ in one.blocks])[: len(starts)]
    off_us = stamps - one.true_us[starts]
    since_s = (one.true_us[starts] - one.true_us[0]) * 1e-6

    late = off_us[since_s > 10.0]
    slope_ppm = np.polyfit(since_s[since_s > 10.0], late, 1)[0]
    print(
        f"{off_us.min():.0f} to {off_us.max():.0f} us off, after 10 s {late.min():.0f} to ", end=""
    )
    print(f"{late.max():.0f} us, sd {late.std():.1f} us; its rate {slope_ppm:+.2f} ppm off")
    assert np.abs(off_us - np.median(off_us)).max() < case.clock_within_us
    assert np.ptp(late) < max(0.3 * case.clock_within_us, 50.0)
    assert abs(slope_ppm) < 5.0


@each
def test_the_chips_own_rate_can_be_seen_in_the_stamps_and_the_timeline_finds_no_gap(case):
    one, n = made(case), n_quiet(case)
    starts = one.firsts[one.firsts < n]
    stamps = np.array([at for at, _ in one.blocks])[: len(starts)]
    settled = stamps > stamps[0] + 10e6
    period_us = np.polyfit(starts[settled], stamps[settled], 1)[0]

    ppm = (1e6 / period_us / case.fs_hz - 1.0) * 1e6
    print(f"the chip runs {ppm:+.1f} ppm fast, in truth {case.ppm:+.0f}")
    assert ppm == pytest.approx(case.ppm, abs=10.0)
    channel = one.described.channels[0]
    clock, n_placed = StreamClock(case.fs_hz, polled=False), 0
    for samples, arrived_s in one.samples:
        if (samples.signal, samples.lead) == (channel.signal, channel.lead) and n_placed < n:
            placed = clock.place(samples, arrived_s)
            assert (placed.n_skipped, placed.n_stale) == (0, 0)
            n_placed += len(samples.values)


@each
def test_an_absent_chip_is_told_and_sends_nothing_until_it_is_found(case):
    one = made(case)
    before = [off for at, off in one.statuses if at < one.at_us(0.0)][-1]
    found_s = (one.blocks[0][0] - one.at_us(0.0)) * 1e-6

    print(f"found {found_s:.2f} s after it was plugged in")
    assert before == case.all_off
    assert 0.0 < found_s < case.back_within_s
    assert one.told(0, 0.0) < found_s + 1.0


def check_hole(one: Run, lost: np.ndarray) -> None:
    """Check that conversions that were lost are told as missing, where they are, and no other."""
    before, after = np.searchsorted(one.numbers, [lost[0] - 1, lost[-1] + 1])
    at = int(np.searchsorted(one.firsts, after))

    print(f"{len(lost)} lost")
    assert after == before + 1
    assert (one.numbers[before], one.numbers[after]) == (lost[0] - 1, lost[-1] + 1)
    assert one.firsts[at] == after  # a frame begins there, and one number is skipped
    assert one.sequences[at] - one.sequences[at - 1] == 2
    assert abs(one.clocks_us[after] - one.true_us[lost[-1] + 1]) < 4_500.0


@pytest.mark.parametrize("case", [MAX30102, ADS1292R], ids=lambda case: case.chip)
def test_what_an_overrun_loses_is_told_as_missing(case):
    one = made(case)
    lost = one.happened("lost")
    lost = lost["number"][lost["ns"] * 1e-9 < one.opened_s + OUT_S - 0.5].astype(int)

    check_hole(one, lost)


def test_what_an_overrun_of_the_accelerometer_loses_is_told_as_missing():
    """At 100 Hz: its FIFO lasts longer than it takes to be gone at 50 Hz."""
    fed = rows_for(ADXL345, 16.0)
    script = [(0.0, "chip adxl345 plug"), (4.0, "chip adxl345 deaf 450"), (6.0, "quit")]

    one = run("accelerometer", "adxl345", fed, script, options=",absent=1", fs_hz=100.0)

    check_hole(one, one.happened("lost")["number"].astype(int))


def test_a_sample_of_the_accelerometer_that_a_broken_transfer_loses_is_told_as_missing():
    fed = rows_for(ADXL345, 10.0)
    script = [(1.5 + k / 5, f"chip adxl345 spoil {k % 9 + 1}") for k in range(24)]

    one = run("accelerometer", "adxl345", fed, [*script, (0.0, "chip adxl345 plug"), (7.0, "quit")])

    holes = np.flatnonzero(np.diff(one.numbers) != 1) + 1
    skips = one.firsts[1:][np.diff(one.sequences) == 2]
    print(f"{len(holes)} of {len(script)} spikes lost a sample")
    assert 2 <= len(holes) <= len(script)
    assert set(np.diff(one.numbers)) == {1, 2}
    assert list(holes) == list(skips)
    assert np.abs(one.clocks_us[holes] - one.true_us[one.numbers[holes]]).max() < 4_500.0


@each
def test_unplugged_it_is_told_within_a_second_and_nothing_is_made_up(case):
    one = made(case)
    told_s = one.told(case.all_off, OUT_S)
    last_us = max(at for at, _ in one.blocks if at < one.at_us(OUT_S))
    next_us = min(at for at, _ in one.blocks if at > one.at_us(IN_S))

    print(
        f"told after {told_s:.2f} s, samples again {next_us * 1e-6 - one.opened_s - IN_S:.2f} s ",
        end="",
    )
    print("after it was back")
    assert told_s < 0.6
    assert not [at for at, _ in one.blocks if last_us < at < one.at_us(IN_S)]
    assert next_us - one.at_us(IN_S) < case.back_within_s * 1e6
    assert one.told(0, IN_S) < case.back_within_s + 0.1


@each
def test_after_it_was_back_rows_and_times_are_right_again(case):
    one = made(case)
    taken_s = one.happened("sample")["ns"] * 1e-9 - one.opened_s
    numbers = one.numbers[one.clocks_us > one.at_us(IN_S)]
    numbers = numbers[: np.searchsorted(taken_s[numbers], DIP_S - 0.1)]
    first_us = one.clocks_us[one.clocks_us > one.at_us(IN_S)][0]

    assert len(numbers) > (DIP_S - IN_S - case.back_within_s - 0.1) * case.fs_hz
    assert (np.diff(numbers) == 1).all()
    assert abs(first_us - one.true_us[numbers[0]]) < 4_500.0


@each
def test_a_chip_that_forgot_its_settings_is_set_up_anew(case):
    one = made(case)
    n_after = int((one.clocks_us > one.at_us(DIP_S + case.back_within_s)).sum())
    numbers = one.numbers[-n_after:]

    assert n_after > (END_S - DIP_S - case.back_within_s - 0.5) * case.fs_hz
    assert (np.diff(numbers) == 1).all()
    told = [off for at, off in one.statuses if at > one.at_us(DIP_S)]
    assert told[0] == case.all_off
    assert told[-1] == 0


@pytest.mark.parametrize("case", [MAX30102, ADS1292R], ids=lambda case: case.chip)
def test_a_finger_or_electrode_that_is_off_is_told_and_so_is_its_return(case):
    one = made(case)
    begin_s = (one.true_us[0] - one.at_us(0.0)) * 1e-6 if case is MAX30102 else 0.0
    stretch = 1.0 - case.ppm * 1e-6 if case is MAX30102 else 1.0

    off_s = one.told(3, begin_s + OFF_S * stretch - 0.2) - 0.2
    on_s = one.told(0, begin_s + ON_S * stretch - 0.2) - 0.2
    print(f"off told after {off_s * 1e3:.0f} ms, on after {on_s * 1e3:.0f} ms")
    assert abs(off_s) < 0.1
    assert abs(on_s) < 0.1


@each
def test_the_firmware_asks_often_enough(case):
    """The longest time away from the chip, against what it can keep for us."""
    one, n = made(case), n_quiet(case)
    looked, sample = one.happened("looked"), one.happened("sample")
    if case is ADS1292R:
        # Each conversion is read before the next one.
        after = looked["cycle"][np.searchsorted(looked["cycle"], sample["cycle"][:n])]
        away_us, most_us = (after - sample["cycle"][:n]) / 16.0, 1e6 / case.fs_hz
    else:
        looks = looked["cycle"][looked["cycle"] < sample["cycle"][n]]
        away_us, most_us = np.diff(looks[looks > sample["cycle"][0]]) / 16.0, 50_000.0
    print(f"away for {np.median(away_us):.0f} us as a rule, {away_us.max():.0f} us at most")
    assert away_us.max() < most_us


@pytest.mark.parametrize(
    ("case", "fs_hz"), [(ADXL345, 25.0), (ADXL345, 100.0), (ADS1292R, 125.0), (ADS1292R, 500.0)]
)
def test_the_rate_can_be_told_while_it_runs(case, fs_hz):
    fed = rows_for(case, 12.0 * max(fs_hz / case.fs_hz, 1.0))

    one = run(case.sketch, case.chip, fed, [(4.0, "quit")], alone_s=3.0, fs_hz=fs_hz)

    answers = [frame.unpack_answer(f.body) for f in one.frames if f.kind == frame.ANSWER]
    assert (frame.Code.RATE, frame.Result.DONE, fs_hz) in [
        (answer.code, answer.result, answer.fs_hz) for answer in answers
    ]
    kinds = [whole.kind for whole in one.frames]
    told = max(idx for idx, kind in enumerate(kinds) if kind == frame.ANSWER)
    n_before = kinds[:told].count(frame.SAMPLES) + 1  # what had begun is sent first
    blocks, numbers = one.blocks[n_before:], one.numbers[one.firsts[n_before] :]
    assert len(numbers) > 3.0 * fs_hz
    assert (np.diff(numbers) == 1).all()
    periods_us = np.diff([at for at, _ in blocks]) / [len(rows) for _, rows in blocks[:-1]]
    assert np.median(periods_us) == pytest.approx(1e6 / fs_hz, rel=1e-3)
    assert len(one.happened("fault")) == 0


@each
def test_a_rate_it_does_not_have_is_refused_and_changes_nothing(case):
    fed = rows_for(case, 6.0)
    script = [(0.0, f"chip {case.chip} plug"), (5.0, "quit")]

    one = run(case.sketch, case.chip, fed, script, options=",absent=1", fs_hz=77.0)

    (answer,) = [
        a
        for a in (frame.unpack_answer(f.body) for f in one.frames if f.kind == frame.ANSWER)
        if a.code == frame.Code.RATE
    ]
    assert (answer.result, answer.fs_hz) == (frame.Result.REFUSED, case.fs_hz)
    assert np.array_equal(one.rows, one.fed[: len(one.rows)])


@pytest.mark.parametrize(("case", "part"), [(MAX30102, 0x11), (ADXL345, 0xF2), (ADS1292R, 0x53)])
def test_another_part_is_not_taken_for_the_chip(case, part):
    """MAX30100, ADXL355 and ADS1292 answer too, and would be misread."""
    fed = rows_for(case, 4.0)

    one = run(case.sketch, case.chip, fed, [(3.0, "quit")], options=f",part={part}")

    assert one.blocks == []
    assert one.statuses[-1][1] == case.all_off
    assert len(one.happened("sample")) == 0


def test_two_ecg_leads_instead_of_respiration():
    fed = rows_for(ADS1292R, 8.0)
    script = [(0.0, "chip ads1292r plug"), (4.5, "chip ads1292r off 1"), (6.0, "quit")]

    one = run("ads1292r", "ads1292r", fed, script, options=",absent=1", defines=["CHANNEL_1=1"])

    gain = pytest.approx(6 * (2**23 - 1) / 2420.0, rel=1e-7)
    assert [(c.signal, c.lead, c.gain) for c in one.described.channels] == [
        ("ecg_mv", "I", gain),
        ("ecg_mv", "II", gain),
    ]
    assert len(one.rows) > 2.5 * ADS1292R.fs_hz
    assert np.array_equal(one.rows, one.fed[: len(one.rows)])
    assert one.told(2, 4.5) < 0.1  # IN1P belongs to the second lead only
    assert len(one.happened("fault")) == 0


def test_frames_are_sent_four_to_twentyfive_times_a_second():
    for case in CASES:
        stamps = [at for at, _ in made(case).blocks]
        full = [after - before for before, after in itertools.pairwise(stamps)]
        assert 4.0 < 1e6 / np.median(full) <= 25.0
