"""What the rate at which a card takes samples says of it, with clocks of our own."""

import pytest

from edge.annunciators import UNHEARD_S
from edge.annunciators._pace import OFFERED_RATE, Pace

FS_HZ, BLOCK = 48_000, 960


def run(rate, until_s, pace=None, now_s=0.0):
    """A card that takes `rate` of what it should; return (pace, first complaint, when)."""
    pace = pace or Pace(FS_HZ, now_s)
    begin_s, taken = now_s, 0
    while now_s < until_s:
        if words := pace.complaint(now_s):
            return pace, words, now_s - begin_s
        while taken + BLOCK <= rate * FS_HZ * (now_s - begin_s) and pace.wait_s(now_s, BLOCK) == 0:
            pace.took(now_s, BLOCK)
            taken += BLOCK
        now_s += 0.01
    return pace, "", until_s


@pytest.mark.parametrize("rate", [0.999, 1.0, 1.001, 0.95])
def test_a_card_at_its_rate_is_proven_and_never_complained_of(rate):
    pace, words, _ = run(rate, 60.0)
    assert words == ""
    assert pace.proven
    assert pace.rate == pytest.approx(rate, abs=0.02)


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.0, "no sound for"), (0.5, "only 50 %"), (0.85, "only 85 %"), (100.0, "no sound card")],
)
def test_a_card_that_does_not_play_is_known_in_time_and_never_proven(rate, words):
    pace, said, at_s = run(rate, 60.0)
    assert words in said
    assert at_s < UNHEARD_S - 2
    assert not pace.proven


@pytest.mark.parametrize(("rate", "words"), [(0.0, "sound"), (0.5, "only"), (9.0, "faster")])
def test_a_card_that_fails_after_an_hour_is_known_in_time(rate, words):
    pace, said, _ = run(1.0, 3600.0)
    assert said == ""
    _, said, at_s = run(rate, 3660.0, pace, 3600.0)
    assert words in said
    assert at_s < UNHEARD_S - 2


def test_no_more_is_offered_than_a_tenth_over_the_rate():
    pace, taken = Pace(FS_HZ, 0.0), 0
    for k in range(1000):
        while pace.wait_s(k * 0.01, BLOCK) == 0:
            pace.took(k * 0.01, BLOCK)
            taken += BLOCK
    assert taken < FS_HZ * (10 * OFFERED_RATE + 0.5)


def test_our_own_absence_is_not_held_against_the_card():
    pace, _, _ = run(1.0, 10.0)
    assert pace.complaint(25.0) == ""
    _, said, _ = run(1.0, 40.0, pace, 25.0)
    assert said == ""


def test_the_wait_that_is_told_is_enough():
    pace = Pace(FS_HZ, 0.0)
    while (wait_s := pace.wait_s(0.0, BLOCK)) == 0:
        pace.took(0.0, BLOCK)
    assert wait_s > 0
    assert pace.wait_s(wait_s + 1e-9, BLOCK) == 0
