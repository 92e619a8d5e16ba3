"""What every alarm rule must do; a new rule is tested by being dropped in."""

import math
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge.alarms
import edge.features
from edge.alarms import Rule
from edge.discover import discover, plugin_names
from edge.records import (
    SECOND_S,
    UNITS,
    WINDOW_S,
    Category,
    Features,
    Finding,
    Kind,
    Priority,
    Score,
    check_signal,
)
from tests.edge.alarms.box_night import FINE

RULES = discover(edge.alarms, "RULE", Rule)
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
every_physiological_rule = pytest.mark.parametrize(
    "rule", [r for r in RULES if r.kind is Kind.PHYSIOLOGICAL], ids=lambda rule: rule.name
)

NAMES = tuple(
    name
    for family in discover(edge.features, "FEATURES", edge.features.FeatureFamily)
    if family.every_s == SECOND_S
    for name in family.names
)
EQUIPMENT = (
    *FINE,
    "battery_pct:strap",
    "n_implausible",
    "n_implausible:ecg_mv:board",
    "silent_s:strap",
    "rhythm_s:strap",
)
"""What rules are told of the box, and of the sensors themselves."""
NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, 4.0, 5.0, 8.0, 40.0, 50.0, 85.0, 88.0, 120.0, 150.0, math.nan]),
    st.floats(0.0, 10_000.0),
)
VALUES = st.dictionaries(st.sampled_from(NAMES) | st.sampled_from(EQUIPMENT), NUMBERS, max_size=16)
SCORES = st.none() | st.builds(
    Score,
    patient=st.just("p1"),
    start_s=st.just(0.0),
    length_s=st.just(10.0),
    value=st.floats(0.0, 1.0) | st.just(math.nan),
    contributions=st.dictionaries(
        st.sampled_from(["rmssd_ms", "quality", "new_one"]), st.floats(-5, 5)
    ),
    threshold=st.just(0.5),
    model_id=st.just("m1"),
)
NIGHTS = st.lists(st.tuples(VALUES, SCORES), max_size=40)


def seen(rule, i, values):
    return Features("p1", 1000.0 + i * rule.every_s, rule.every_s, values)


def run(rule, night, state, first=0):
    """Return the findings and the last state."""
    said = []
    for i, (values, score) in enumerate(night, first):
        state, finding = rule.step(state, seen(rule, i, values), score, rule.settings)
        said.append(finding)
    return said, state


def test_there_are_rules():
    assert {"asystole", "low_spo2", "signal_lost", "anomaly"} <= {rule.name for rule in RULES}


def test_a_rule_is_named_like_its_file():
    assert plugin_names(edge.alarms) == tuple(rule.name for rule in RULES)


@every_rule
def test_the_data_sheet_is_complete(rule):
    assert isinstance(rule.kind, Kind)
    assert isinstance(rule.priority, Priority)
    assert rule.every_s in (SECOND_S, WINDOW_S)
    assert rule.source.strip()
    assert rule.needs or rule.kind is Kind.TECHNICAL
    for signal in rule.needs:
        assert check_signal(signal) == signal


@every_rule
def test_every_setting_has_a_unit_and_a_default_within_its_limits(rule):
    assert set(rule.settings) == set(rule.limits)
    for name, value in rule.settings.items():
        least, most = rule.limits[name]
        assert name.startswith("n_") or name.rpartition("_")[2] in UNITS | {"s"}, name
        assert isinstance(value, float)
        assert least <= value <= most
        assert least < most


@every_physiological_rule
@pytest.mark.parametrize("values", [{}, dict.fromkeys(NAMES, math.nan)], ids=["empty", "nan"])
def test_nothing_to_see_never_says_present_or_absent(rule, values):
    said, _ = run(rule, [(values, None)] * 100, rule.start)

    assert {finding.present for finding in said} == {None}


@every_physiological_rule
@settings(max_examples=30, deadline=None)
@given(night=NIGHTS)
def test_blindness_never_says_absent(rule, night):
    _, state = run(rule, night, rule.start)
    n = int(rule.settings.get("n_windows", 0.0))
    blind, _ = run(rule, [({}, None)] * (n + 20), state, first=len(night))

    # A rule over n windows still knows about those it saw; afterwards it does not.
    assert all(finding.present is None for finding in blind[n:])
    assert n > 0 or all(finding.present is None for finding in blind)


@every_rule
@settings(max_examples=30, deadline=None)
@given(night=NIGHTS)
def test_the_same_night_gives_the_same_findings(rule, night):
    first, _ = run(rule, night, rule.start)
    again, _ = run(rule, night, rule.start)

    assert msgspec.json.encode(first) == msgspec.json.encode(again)


@every_rule
@settings(max_examples=30, deadline=None)
@given(night=NIGHTS, cut=st.integers(0, 40))
def test_a_kept_state_goes_on_as_if_nothing_had_been(rule, night, cut):
    whole, _ = run(rule, night, rule.start)
    _, state = run(rule, night[:cut], rule.start)
    kept = msgspec.json.decode(msgspec.json.encode(state))
    rest, _ = run(rule, night[cut:], kept, first=min(cut, len(night)))

    assert msgspec.json.encode(rest) == msgspec.json.encode(whole[cut:])


@every_rule
@settings(max_examples=30, deadline=None)
@given(night=NIGHTS)
def test_every_finding_is_whole(rule, night):
    said, _ = run(rule, night, rule.start)

    for i, finding in enumerate(said):
        assert isinstance(finding, Finding)
        assert finding.rule == rule.name
        assert finding.patient == "p1"
        assert finding.at_s == 1000.0 + (i + 1) * rule.every_s
        assert finding.present in (True, False, None)
        assert finding.reason
        assert not re.search(r"\bnan\b", finding.reason)  # but "pregnancy" may be
        if finding.present:
            assert finding.evidence
            assert all(math.isfinite(value) for value in finding.evidence.values())


@every_rule
@settings(max_examples=30, deadline=None)
@given(night=NIGHTS)
def test_a_rule_does_not_touch_what_it_is_shown(rule, night):
    before = msgspec.json.encode(night), msgspec.json.encode(rule.settings)
    run(rule, night, rule.start)

    assert (msgspec.json.encode(night), msgspec.json.encode(rule.settings)) == before


HEART, OXYGEN = Category.CARDIOVASCULAR, Category.OXYGENATION


@every_rule
def test_a_rule_sounds_like_what_it_is_about(rule):
    wanted = {
        "hr_bpm": HEART,
        "ecg_mv": HEART,
        "spo2_pct": OXYGEN,
        "resp_brpm": Category.VENTILATION,
    }
    if rule.kind is Kind.TECHNICAL:
        assert rule.category is Category.EQUIPMENT
    elif len(rule.needs) <= 2:
        assert rule.category in {wanted.get(name, rule.category) for name in rule.needs}
