"""The three rules that watch NEWS2: what lasts, what is certain, what is only possible."""

import math

import pytest

from edge.alarms import news2_emergency, news2_possible, news2_urgent
from edge.news2 import MOST, POINTS, Refusal
from edge.records import Features, Kind, Priority

WELL = dict.fromkeys(MOST, 0)


def score(**points):
    """Return the features of a score; a parameter that is None is missing."""
    stems = {name.rpartition("_")[0]: name for name in MOST}
    known = {**WELL, **{stems[stem]: value for stem, value in points.items()}}
    missing = [name for name, value in known.items() if value is None]
    lower = sum(value for value in known.values() if value is not None)
    values = {POINTS[name]: float(v) for name, v in known.items() if v is not None}
    return {
        "news2_refusal": 0.0,
        "news2_lower": float(lower),
        "news2_upper": float(lower + sum(MOST[name] for name in missing)),
        "news2_n_missing": float(len(missing)),
        "news2_n_red": float(sum(v == 3 for v in known.values())),
        **values,
    }


ILL = score(resp=2, spo2=2, oxygen=2, pulse=1)
FIVE = score(resp=2, spo2=2, pulse=1)
RED = score(resp=3)
FINE = score(pulse=1)


def run(rule, night):
    """Return what is said of every second of ``[(score, seconds), ...]``."""
    state, said, at_s = rule.start, [], 1000.0
    for values, length_s in night:
        for _ in range(length_s):
            state, finding = rule.step(
                state, Features("p1", at_s, 1.0, values), None, rule.settings
            )
            said.append(finding)
            at_s += 1.0
    return said


def present(rule, night):
    return [finding.present for finding in run(rule, night)]


@pytest.mark.parametrize(
    ("module", "values"), [(news2_emergency, ILL), (news2_urgent, FIVE), (news2_urgent, RED)]
)
def test_a_score_is_found_after_five_minutes_and_not_before(module, values):
    said = present(module.RULE, [(FINE, 5), (values, 400)])

    assert said[:305] == [False] * 5 + [None] * 300
    assert set(said[305:]) == {True}


def test_one_point_less_is_fine_for_ever():
    assert set(present(news2_emergency.RULE, [(score(resp=2, spo2=2, oxygen=2), 2000)])) == {False}
    assert set(present(news2_urgent.RULE, [(score(resp=2, spo2=2), 2000)])) == {False}


def test_priorities_are_those_of_the_table():
    rules = news2_emergency.RULE, news2_urgent.RULE, news2_possible.RULE

    assert [r.priority for r in rules] == [Priority.MEDIUM, Priority.LOW, Priority.LOW]
    assert {r.kind for r in rules} == {Kind.PHYSIOLOGICAL}
    assert not any(r.latching for r in rules)
    assert all(r.settings["delay_s"] >= 300.0 == r.limits["delay_s"][0] for r in rules)


def test_the_reason_names_the_score_and_what_made_it():
    finding = run(news2_emergency.RULE, [(ILL, 301)])[-1]

    assert finding.reason == (
        "NEWS2 7 (respiration rate 2, SpO2 2, air or oxygen 2, pulse 1) for 5 min"
    )
    assert finding.evidence["news2_lower"] == 7.0


def test_an_interval_is_told_as_one():
    half = score(resp=3, spo2=3, pulse=2, temp=None)

    assert "NEWS2 at least 8, at most 11" in run(news2_emergency.RULE, [(half, 301)])[-1].reason


def test_a_short_dip_neither_begins_the_count_anew_nor_ends_the_alert():
    night = [(ILL, 200), (FINE, 20), (ILL, 200), (FINE, 20), (ILL, 50)]
    said = present(news2_emergency.RULE, night)

    assert said[300] is True
    assert False not in said[300:]


def test_a_score_that_got_better_is_over_and_stays_over_until_the_alert_can_end():
    said = present(news2_emergency.RULE, [(ILL, 400), (FINE, 120)])

    assert said[400:430] == [None] * 30
    assert set(said[430:]) == {False}


def test_a_score_that_got_better_ends_though_other_values_are_missing():
    ill = score(resp=3, spo2=3, pulse=2, temp=None, nibp_sys=None, acvpu=None, oxygen=None)
    fine = score(temp=None, nibp_sys=None, acvpu=None, oxygen=None)
    said = present(news2_emergency.RULE, [(fine, 5), (ill, 400), (fine, 120)])

    assert said[:5] == [None] * 5
    assert said[310] is True
    assert set(said[440:]) == {False}


def test_losing_the_sensor_that_made_the_points_ends_nothing():
    lost = score(resp=2, spo2=None, oxygen=2, pulse=1)
    said = present(news2_emergency.RULE, [(ILL, 400), (lost, 4000)])

    assert set(said[400:]) == {None}


@pytest.mark.parametrize("module", [news2_emergency, news2_urgent])
def test_an_entry_that_expired_ends_nothing_unless_the_rest_is_fine_without_it(module):
    ill = score(resp=2, spo2=3, nibp_sys=3)
    gone = score(resp=0, spo2=0, nibp_sys=None)
    said = present(module.RULE, [(ill, 400), (gone, 100)])

    # Three points of the pressure alone make no seven, but they are three points.
    expected = False if module is news2_emergency else None
    assert said[-1] is expected


def test_a_patient_of_whom_little_is_known_is_neither_well_nor_ill():
    little = score(resp=None, oxygen=None, nibp_sys=None, acvpu=None, temp=None)

    for module in (news2_emergency, news2_urgent, news2_possible):
        assert set(present(module.RULE, [(little, 400)])) == {None}


def test_what_is_only_possible_needs_nearly_all_and_tells_low():
    four = {"resp": 2, "spo2": 2}
    assert present(news2_possible.RULE, [(score(**four, temp=None), 400)])[-1] is True
    assert present(news2_possible.RULE, [(score(**four, temp=None, acvpu=None), 400)])[-1] is None
    assert present(news2_possible.RULE, [(score(resp=2, spo2=1, temp=None), 400)])[-1] is False


def test_measuring_what_was_missing_ends_what_was_only_possible():
    four = {"resp": 2, "spo2": 2}
    said = present(news2_possible.RULE, [(score(**four, temp=None), 400), (score(**four), 60)])

    assert said[-1] is False


@pytest.mark.parametrize("why", [r for r in Refusal if r is not Refusal.NONE])
def test_a_refused_score_cannot_be_told_and_says_why(why):
    finding = run(news2_emergency.RULE, [({"news2_refusal": float(why)}, 1)])[0]

    assert finding.present is None
    assert finding.reason == why.reason


def test_a_number_nobody_knows_is_no_reason():
    odd = run(news2_urgent.RULE, [({"news2_refusal": 99.5, "news2_lower": math.nan}, 1)])[0]

    assert (odd.present, odd.reason) == (None, "NEWS2 is not computed")
