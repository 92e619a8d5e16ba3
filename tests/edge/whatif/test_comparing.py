"""Two worlds side by side, each case made by hand."""

from array import array

import pytest

from edge.records import Priority
from edge.whatif.comparing import Watched, compare, untold, watched_by
from edge.whatif.worlds import Episode, World

NAN = float("nan")


def alarm(raised_s, ended_s, rule="low_spo2", night=0, patient="p", priority=Priority.MEDIUM):
    return Episode(
        night, patient, rule, f"{rule}{night}{raised_s}", priority, raised_s, ended_s, "why",
        {"spo2_pct": 85.0, "limit_pct": 88.0, "lasted_s": 15.0}, open=False,
    )  # fmt: skip


def world(*episodes):
    return World(list(episodes), 86400.0)


def change(before, after):
    (found,) = compare(world(*before), world(*after))
    return found


def test_alarms_that_overlap_are_the_same_and_tell_how_much_later():
    found = change([alarm(100, 160)], [alarm(118, 150)])
    assert [(one.later_s, len(one.after)) for one in found.kept] == [(18.0, 1)]
    assert (found.missed, found.new, found.delays_s()) == ((), (), (18.0, 18.0))


def test_an_alarm_that_falls_into_two_is_kept_once_and_nothing_is_new():
    found = change([alarm(100, 160)], [alarm(105, 120), alarm(140, 150)])
    assert [(one.later_s, len(one.after)) for one in found.kept] == [(5.0, 2)]
    assert (len(found.missed), len(found.new)) == (0, 0)


def test_two_alarms_that_become_one_are_both_kept():
    found = change([alarm(100, 120), alarm(150, 160)], [alarm(90, 170)])
    assert [one.later_s for one in found.kept] == [-10.0, -60.0]
    assert (found.n_before, found.n_after, len(found.new)) == (2, 1, 0)


@pytest.mark.parametrize(
    "other", [{"rule": "low_hr"}, {"night": 1}, {"patient": "q"}, {"raised_s": 200, "ended_s": 250}]
)
def test_another_rule_night_patient_or_time_is_another_alarm(other):
    after = alarm(**{"raised_s": 100, "ended_s": 160, **other})
    found = compare(world(alarm(100, 160)), world(after))
    assert sum(len(one.missed) for one in found) == 1
    assert sum(len(one.new) for one in found) == 1


LOW = Watched(("spo2_pct",), "limit_pct", below=True)


def told(before, after, values, **more):
    (found,) = [c for c in compare(world(*before), world(*after)) if c.rule == "low_spo2"]
    times = array("d", range(len(values)))
    curves = {(0, "p"): (times, array("d", values))}
    same = more.pop("same", ())
    return untold(found, world(*after), LOW, 88.0, curves, same)


def test_of_a_missed_alarm_all_time_under_the_old_limit_counts_with_its_lowest_value():
    values = [95.0] * 40 + [87.0] * 10 + [85.5] * 20 + [NAN] * 3 + [87.5] * 5 + [95.0] * 40
    # Met from 40 s on, raised after its delay at 55 s, ended at 88 s.
    (one,) = told([alarm(55, 88)], [], values)
    assert (one.seconds, one.worst, one.also) == (35.0, 85.5, ())


def test_a_dip_before_it_that_was_too_short_to_alarm_does_not_count():
    values = [95.0] * 10 + [80.0] * 5 + [95.0] * 25 + [87.0] * 30 + [95.0] * 40
    (one,) = told([alarm(55, 80)], [], values)
    assert (one.seconds, one.worst) == (30.0, 87.0)


def test_of_an_alarm_that_comes_later_only_the_time_until_then_counts():
    values = [95.0] * 40 + [87.0] * 60 + [95.0] * 40
    (one,) = told([alarm(55, 110)], [alarm(75, 110)], values)
    assert (one.seconds, one.worst) == (20.0, 87.0)


def test_another_rule_on_the_same_number_that_would_tell_is_named():
    values = [95.0] * 40 + [83.0] * 60 + [95.0] * 40
    very = alarm(50, 110, rule="very_low_spo2", priority=Priority.HIGH)
    (one,) = told([alarm(55, 110), very], [very], values, same=["very_low_spo2"])
    assert one.also == ("very_low_spo2",)


def test_which_number_a_rule_watches_is_read_from_what_it_said():
    assert watched_by({"limit_pct": 88.0, "delay_s": 15.0}, [alarm(1, 2)]) == LOW
    assert watched_by({"limit_pct": 88.0}, []) is None
    odd = alarm(1, 2)
    odd.evidence = {"a": 1.0, "b": 2.0}
    assert watched_by({"limit_pct": 88.0}, [odd]) is None
