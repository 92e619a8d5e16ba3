"""NEWS2 against the chart as it is printed, cell by cell, and against what any score must keep."""

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.news2 import (
    CONSCIOUSNESS,
    MOST,
    OXYGEN,
    PARAMETERS,
    PULSE,
    RESP,
    SPO2,
    SYSTOLIC,
    TEMPERATURE,
    WORDS,
    Refusal,
    RefusedError,
    Subject,
    assess,
    half_up,
    refusal,
)

# The page's columns: 3, 2, 1, 0, 1, 2, 3 points. Read cell by cell, not band by band.
CHART = """
resp_brpm            | ≤8  |        | 9-11      | 12-20     |         | 21-24   | ≥25
spo2_pct 1           | ≤91 | 92-93  | 94-95     | ≥96       |         |         |
spo2_pct 2 air       | ≤83 | 84-85  | 86-87     | ≥88       |         |         |
spo2_pct 2 oxygen    | ≤83 | 84-85  | 86-87     | 88-92     | 93-94   | 95-96   | ≥97
nibp_sys_mmhg        | ≤90 | 91-100 | 101-110   | 111-219   |         |         | ≥220
pulse_bpm            | ≤40 |        | 41-50     | 51-90     | 91-110  | 111-130 | ≥131
temp_degc            | ≤35.0 |      | 35.1-36.0 | 36.1-38.0 | 38.1-39.0 | ≥39.1 |
"""
COLUMNS = (3, 2, 1, 0, 1, 2, 3)
SPANS = {RESP: (0, 60), SPO2: (0, 100), SYSTOLIC: (1, 300), PULSE: (0, 300)}
ADULT = Subject(at_least_years=50)
NORMAL = {
    RESP: 16.0,
    SPO2: 98.0,
    OXYGEN: 0.0,
    SYSTOLIC: 130.0,
    PULSE: 70.0,
    CONSCIOUSNESS: 0.0,
    TEMPERATURE: 37.0,
}


def cells():
    """Yield name, scale, oxygen, points and a test of whether a value lies in the cell."""
    for line in CHART.strip().splitlines():
        head, *row = (cell.strip() for cell in line.split("|"))
        name, scale, gas = (*head.split(), "1", "air")[:3] if " " in head else (head, "1", "air")
        for points, cell in zip(COLUMNS, row, strict=True):
            if cell:
                yield name, int(scale), float(gas == "oxygen"), points, cell


def lies_in(value, cell):
    if cell[0] == "≤":
        return value <= float(cell[1:])
    if cell[0] == "≥":
        return value >= float(cell[1:])
    low, high = cell.split("-")
    return float(low) <= value <= float(high)


def printed(name, scale, oxygen, value):
    found = [
        points
        for n, s, gas, points, cell in cells()
        if (n, s) == (name, scale if name == SPO2 else 1)
        and (name != SPO2 or scale == 1 or gas == oxygen)
        and lies_in(value, cell)
    ]
    assert len(found) == 1, (name, value, found)
    return found[0]


def every_value():
    for name, (low, high) in SPANS.items():
        scales = (1, 2) if name == SPO2 else (1,)
        gases = (0.0, 1.0) if name == SPO2 else (0.0,)
        for scale, gas, value in itertools.product(scales, gases, range(low, high + 1)):
            yield name, scale, gas, float(value)
    for tenth in range(300, 451):
        yield TEMPERATURE, 1, 0.0, tenth / 10


def boundaries():
    """Every number printed in the chart, and one unit below and above it."""
    for name, scale, gas, _, cell in cells():
        step = 0.1 if name == TEMPERATURE else 1.0
        for number in re.findall(r"[\d.]+", cell):
            for n in (-1, 0, 1):
                yield name, scale, gas, round(float(number) + n * step, 1)


def points_of(name, scale, gas, value):
    seen = assess({**NORMAL, OXYGEN: gas, name: value}, Subject(50, scale=scale))
    least, most = seen.points[name]
    assert least == most
    return least


def test_every_boundary_and_one_unit_beside_it_has_the_points_of_the_chart():
    found = [
        (name, scale, gas, value)
        for name, scale, gas, value in boundaries()
        if value <= SPANS.get(name, (0, 400))[1]
    ]

    assert len(set(found)) == 99
    for name, scale, gas, value in found:
        assert points_of(name, scale, gas, value) == printed(name, scale, gas, value), (name, value)


def test_every_value_a_monitor_can_show_has_the_points_of_the_chart():
    for name, scale, gas, value in every_value():
        assert points_of(name, scale, gas, value) == printed(name, scale, gas, value), (name, value)


@pytest.mark.parametrize("kept", [float, "single"], ids=["double", "single"])
def test_what_lies_between_two_values_is_rounded_half_up_before_the_chart_is_entered(kept):
    numpy = pytest.importorskip("numpy")
    keep = numpy.float32 if kept == "single" else float
    for name, scale, gas, value in every_value():
        step = 0.1 if name == TEMPERATURE else 1.0
        if name == SPO2 and value == 100.0:
            continue
        below, half = float(keep(value + 0.49 * step)), float(keep(value + 0.5 * step))
        above = round(value + step, 1)
        assert points_of(name, scale, gas, below) == printed(name, scale, gas, value)
        assert points_of(name, scale, gas, half) == printed(name, scale, gas, above), (name, half)


def test_halves_go_up_and_not_to_even():
    assert [half_up(n + 0.5, 1.0) for n in range(20)] == [float(n + 1) for n in range(20)]
    for hundredth in range(3005, 4500, 10):
        assert half_up(hundredth / 100, 0.1) == pytest.approx((hundredth + 5) / 100, abs=1e-9)


@pytest.mark.parametrize(("level", "points"), [(0, 0), (1, 3), (2, 3), (3, 3), (4, 3)])
def test_only_an_alert_patient_has_no_points_for_consciousness(level, points):
    assert points_of(CONSCIOUSNESS, 1, 0.0, float(level)) == points


@pytest.mark.parametrize("scale", [1, 2])
def test_oxygen_itself_has_two_points(scale):
    seen = {**NORMAL, SPO2: 90.0}
    on_air = assess({**seen, OXYGEN: 0.0}, Subject(50, scale=scale))
    on_oxygen = assess({**seen, OXYGEN: 1.0}, Subject(50, scale=scale))

    assert on_oxygen.total - on_air.total == 2


def test_the_worst_patient_has_twenty_points_and_the_best_none():
    worst = {
        RESP: 30.0,
        SPO2: 80.0,
        OXYGEN: 1.0,
        SYSTOLIC: 80.0,
        PULSE: 140.0,
        CONSCIOUSNESS: 4.0,
        TEMPERATURE: 34.0,
    }

    assert assess(worst, ADULT).total == 20
    assert assess(NORMAL, ADULT).total == 0
    assert sum(MOST.values()) == 20


def test_on_scale_2_the_points_are_an_interval_until_it_is_known_whether_oxygen_is_given():
    seen = {name: value for name, value in NORMAL.items() if name != OXYGEN}
    found = assess({**seen, SPO2: 97.0}, Subject(50, scale=2))

    assert found.points[SPO2] == (0, 3)
    assert (found.lower, found.upper) == (0, 5)
    assert found.missing == (OXYGEN,)
    assert assess({**seen, SPO2: 90.0}, Subject(50, scale=2)).points[SPO2] == (0, 0)


def test_nothing_known_is_everything_possible():
    found = assess({}, ADULT)

    assert (found.lower, found.upper, found.total) == (0, 20, None)
    assert found.missing == PARAMETERS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (SPO2, 100.6),
        (SPO2, -1.0),
        (RESP, 101.0),
        (SYSTOLIC, 0.0),
        (PULSE, 401.0),
        (TEMPERATURE, 19.0),
        (TEMPERATURE, 370.0),
        (CONSCIOUSNESS, 5.0),
        (OXYGEN, 2.0),
        (PULSE, math.nan),
        (PULSE, math.inf),
    ],
)
def test_what_cannot_be_true_counts_as_missing(name, value):
    found = assess({**NORMAL, name: value}, ADULT)

    assert found.missing == (name,)
    assert found.points[name] == (0, MOST[name])


def test_the_age_is_that_of_the_oldest_value_used():
    ages_s = {RESP: 10.0, SYSTOLIC: 1800.0, TEMPERATURE: 7200.0}
    seen = {RESP: 16.0, SYSTOLIC: 130.0}

    assert assess(seen, ADULT, ages_s).age_s == 1800.0
    assert math.isnan(assess(seen, ADULT).age_s)


def test_a_single_three_is_named():
    assert assess({**NORMAL, RESP: 25.0}, ADULT).red == (RESP,)
    assert assess({}, ADULT).red == ()


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        (Subject(math.nan), Refusal.AGE_UNKNOWN),
        (Subject(15), Refusal.TOO_YOUNG),
        (Subject(0), Refusal.TOO_YOUNG),
        (Subject(30, pregnant=True), Refusal.PREGNANT),
        (Subject(15, pregnant=True), Refusal.PREGNANT),
    ],
)
def test_a_patient_for_whom_the_score_is_not_valid_is_refused_with_the_reason(subject, why):
    assert refusal(subject) is why
    with pytest.raises(RefusedError, match="NEWS2 is not computed") as refused:
        assess(NORMAL, subject)
    assert refused.value.refusal is why


def test_from_sixteen_years_on_there_is_a_score():
    assert refusal(Subject(16)) is Refusal.NONE
    assert assess(NORMAL, Subject(16)).total == 0


def test_there_is_no_third_scale():
    with pytest.raises(ValueError, match="there are 1 and 2"):
        Subject(50, scale=3)


def test_every_parameter_has_a_name_people_read():
    assert set(WORDS) == set(PARAMETERS)


HALF = st.fixed_dictionaries(
    {},
    optional={
        RESP: st.floats(0, 100),
        SPO2: st.floats(0, 100),
        OXYGEN: st.sampled_from([0.0, 1.0]),
        SYSTOLIC: st.floats(1, 400),
        PULSE: st.floats(0, 400),
        CONSCIOUSNESS: st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0]),
        TEMPERATURE: st.floats(20, 46),
    },
)
SUBJECTS = st.builds(Subject, st.integers(16, 110), scale=st.sampled_from([1, 2]))


@given(seen=HALF, subject=SUBJECTS)
def test_the_score_lies_between_its_bounds_and_is_known_when_nothing_is_missing(seen, subject):
    found = assess(seen, subject)

    assert 0 <= found.lower <= found.upper <= 20
    assert set(found.missing) == set(PARAMETERS) - set(seen)
    if not found.missing:
        assert found.total == found.lower == found.upper


@given(seen=HALF, more=HALF, subject=SUBJECTS)
def test_what_becomes_known_only_narrows_the_interval(seen, more, subject):
    before, after = assess(seen, subject), assess({**more, **seen}, subject)

    assert before.lower <= after.lower <= after.upper <= before.upper


NORMAL_SPAN = {RESP: (12, 20), SYSTOLIC: (111, 219), PULSE: (51, 90), TEMPERATURE: (36.1, 38.0)}


@given(st.sampled_from(list(NORMAL_SPAN)), st.floats(0, 60), st.floats(0, 60), st.booleans())
def test_further_from_normal_is_never_fewer_points(name, near, far, is_low):
    near, far = sorted((near, far))
    low, high = NORMAL_SPAN[name]
    scale = 0.1 if name == TEMPERATURE else 1.0
    one, other = ((low - scale * d) if is_low else (high + scale * d) for d in (near, far))
    if min(one, other) < 1.0:
        return
    assert points_of(name, 1, 0.0, one) <= points_of(name, 1, 0.0, other)


@given(st.floats(0, 100), st.floats(0, 100), st.sampled_from([1, 2]))
def test_less_oxygen_in_the_blood_is_never_fewer_points_on_air(one, other, scale):
    low, high = sorted((one, other))

    assert points_of(SPO2, scale, 0.0, low) >= points_of(SPO2, scale, 0.0, high)
