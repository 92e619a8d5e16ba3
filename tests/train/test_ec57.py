"""The comparator, against cases counted by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.ec57 import BeatCounts, compare, reference_beats

FS_HZ = 1000.0


def count(reference: list[int], test: list[int], **options: object) -> tuple[int, int, int]:
    settings: dict[str, object] = {"start_s": 0.0} | options
    counts = compare(reference, test, FS_HZ, **settings)  # type: ignore[arg-type]
    return counts.tp, counts.fn, counts.fp


@pytest.mark.parametrize(
    ("reference", "test", "counts"),
    [
        pytest.param([1000, 2000, 3000], [1000, 2000, 3000], (3, 0, 0), id="all found"),
        pytest.param([1000, 2000, 3000], [1000, 3000], (2, 1, 0), id="one missed"),
        pytest.param([1000, 3000], [1000, 2000, 3000], (2, 0, 1), id="one made up"),
        pytest.param([1000], [1150], (1, 0, 0), id="late by just the tolerance"),
        pytest.param([1000], [850], (1, 0, 0), id="early by just the tolerance"),
        pytest.param([1000], [1151], (0, 1, 1), id="a sample too late is missed and made up"),
        pytest.param([1000], [900, 1010], (1, 0, 1), id="two for one beat: one is false"),
        pytest.param([1000, 1200], [1100], (1, 1, 0), id="one for two beats: one is missed"),
        pytest.param([1000, 1200], [1090, 1195], (2, 0, 0), id="each takes its own"),
        pytest.param([], [1000], (0, 0, 1), id="no reference"),
        pytest.param([1000], [], (0, 1, 0), id="nothing found"),
        pytest.param([3000, 1000], [2000, 1000], (1, 1, 1), id="order does not matter"),
    ],
)
def test_hand_counted(reference: list[int], test: list[int], counts: tuple[int, int, int]) -> None:
    assert count(reference, test) == counts


def test_the_first_five_minutes_are_not_counted() -> None:
    early, late = [1000, 2000], [301_000, 302_000]
    assert compare(early + late, late, FS_HZ) == BeatCounts(tp=2, fn=0, fp=0)
    assert compare(late, early + late, FS_HZ) == BeatCounts(tp=2, fn=0, fp=0)


def test_a_beat_found_just_before_the_start_matches_the_first_one_counted() -> None:
    assert count([5010], [4990], start_s=5.0) == (1, 0, 0)
    assert count([4990], [4990], start_s=5.0) == (0, 0, 0)


def test_flutter_is_left_out_for_both() -> None:
    reference, test = [1000, 5000, 6000, 9000], [1000, 5500, 9000]
    assert count(reference, test, excluded_s=[(4.9, 6.0)]) == (2, 0, 0)
    assert count(reference, test) == (2, 2, 1)


def test_a_wider_tolerance_can_be_asked_for() -> None:
    assert count([1000], [1300], tolerance_s=0.3) == (1, 0, 0)


@pytest.mark.parametrize("wrong", [{"fs_hz": 0.0}, {"tolerance_s": 0.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    settings = {"fs_hz": FS_HZ} | wrong
    with pytest.raises(ValueError, match="must be positive"):
        compare([], [], **settings)  # type: ignore[arg-type]


beats = st.lists(st.integers(0, 20_000), max_size=30, unique=True)


@given(beats, beats)
def test_every_beat_is_counted_once(reference: list[int], test: list[int]) -> None:
    tp, fn, fp = count(reference, test)
    assert tp + fn == len(reference)
    assert tp + fp == len(test)


@given(st.lists(st.integers(0, 500), max_size=30), st.integers(-150, 150))
def test_beats_far_apart_are_matched_whatever_their_shift(steps: list[int], shift: int) -> None:
    reference = [1000 * (k + 1) + step for k, step in enumerate(steps)]
    assert count(reference, [idx + shift for idx in reference]) == (len(reference), 0, 0)


def test_shares_are_nan_where_there_is_nothing_to_share() -> None:
    nothing = BeatCounts(tp=0, fn=0, fp=0)
    assert math.isnan(nothing.se)
    assert math.isnan(nothing.ppv)
    assert math.isnan(nothing.f1)
    some = BeatCounts(tp=3, fn=1, fp=2)
    assert (some.se, some.ppv, some.f1) == (0.75, 0.6, pytest.approx(2 / 3))


def test_counts_of_records_add_up() -> None:
    assert BeatCounts(1, 2, 3) + BeatCounts(10, 20, 30) == BeatCounts(11, 22, 33)


def test_beats_and_flutter_are_told_apart_from_other_annotations() -> None:
    samples = [5, 10, 20, 30, 40, 50, 60]
    symbols = ["+", "N", "V", "[", "!", "]", "/"]
    assert reference_beats(samples, symbols) == ([10, 20, 60], [(30, 50)])


def test_flutter_that_never_ends_goes_on_to_the_last_annotation() -> None:
    assert reference_beats([10, 20, 30], ["N", "[", "!"]) == ([10], [(20, 30)])


def test_annotations_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        reference_beats([1, 2], ["N"])
