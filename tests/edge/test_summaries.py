"""A summary says what a period looked like and begins the next one empty."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.records import Alert, AlertState, Kind, Priority
from edge.summaries import VITALS, Tally, describe


def alert(state):
    return Alert(
        "id",
        "p",
        "p/low_spo2/1",
        "low_spo2",
        Kind.PHYSIOLOGICAL,
        Priority.MEDIUM,
        state,
        0,
        0,
        "",
        {},
    )


def test_only_raised_alerts_are_counted():
    tally = Tally()
    tally.add_alerts([alert(AlertState.RAISED), alert(AlertState.ACTIVE), alert(AlertState.ENDED)])

    assert tally.close("p", 0.0, 60.0, {}).alerts == {"low_spo2": 1}


def test_unknown_values_are_left_out_and_the_next_period_is_empty():
    tally = Tally()
    for value in (math.nan, 97.0, 95.0):
        tally.add_vitals({"spo2_pct": value})
    first = tally.close("p", 0.0, 60.0, {"spo2_pct": 0.5})
    second = tally.close("p", 60.0, 60.0, {})

    assert first.vitals["spo2_pct"]["n"] == 2
    assert (first.vitals["spo2_pct"]["min"], first.vitals["spo2_pct"]["max"]) == (95.0, 97.0)
    assert first.coverage == {"spo2_pct": 0.5}
    assert second.vitals == {}


def test_a_summary_describes_what_is_on_the_list_and_nothing_else():
    tally = Tally()
    seen = {
        "news2_lower": 4.0,
        "news2_upper": 9.0,
        "resp_brpm": 18.0,
        "rr_ms": 800.0,
        "new_au": 1.0,
    }
    tally.add_vitals(seen)
    vitals = tally.close("p", 0.0, 60.0, {}).vitals

    assert set(vitals) == {"news2_lower", "news2_upper", "resp_brpm"} < set(VITALS)
    assert (vitals["news2_lower"]["p50"], vitals["news2_upper"]["p50"]) == (4.0, 9.0)
    assert not any("raw" in name or name.endswith("_mv") for name in VITALS)


@given(st.lists(st.floats(20, 300), min_size=1, max_size=200))
def test_quantiles_are_ordered_and_agree_with_numpy(values):
    numpy = pytest.importorskip("numpy")
    found = describe(values)

    assert found["min"] <= found["p10"] <= found["p50"] <= found["p90"] <= found["max"]
    assert found["p90"] == pytest.approx(numpy.quantile(values, 0.9), abs=0.051)
