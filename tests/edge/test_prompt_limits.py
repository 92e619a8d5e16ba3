"""A number beyond its limit alarms at the tick at which its delay is over."""

from __future__ import annotations

import math

import pytest

from edge.assemble import assemble
from edge.events import BEGUN_LIMITS, BegunLimits, RuleLimits, tell
from edge.pipeline import TICK_S, Pipeline, PipelineSettings, RuleSettings
from edge.records import Alert, AlertState, Packet, Priority, encode_record

STREAM = "uart:nonin_df8"
FALLS_S = (20.01, 20.26, 20.49, 20.51, 20.74, 20.99)


def packet(at_s: float, spo2_pct: int) -> Packet:
    return Packet("clip", STREAM, at_s, bytes([0x80, 70, spo2_pct, 0]))


def falling(at_s: float, until_s: float = 60.0) -> list[Packet]:
    """Return numbers once a second that fall to 80 % at a moment."""
    first_s = at_s % 1.0
    times_s = [first_s + k for k in range(1, 60)]
    return [packet(t, 80 if at_s <= t + 1e-9 < until_s else 97) for t in times_s]


def pipeline(delay_s: float) -> Pipeline:
    values = {"limit_pct": 85.0, "delay_s": delay_s, "hold_s": 10.0}
    rules = {"very_low_spo2": RuleSettings(values, Priority.HIGH)}
    return assemble(PipelineSettings(rules=rules), "test")


def raised_s(packets: list[Packet], delay_s: float) -> list[float]:
    records = pipeline(delay_s).advance(packets, 59.0).records
    return [
        r.at_s
        for r in records
        if isinstance(r, Alert) and r.rule == "very_low_spo2" and r.state is AlertState.RAISED
    ]


@pytest.mark.parametrize("delay_s", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("at_s", FALLS_S)
def test_it_alarms_at_the_tick_after_its_delay(at_s: float, delay_s: float) -> None:
    seen_s = math.ceil(round(at_s / TICK_S, 6)) * TICK_S

    assert raised_s(falling(at_s), delay_s) == [seen_s + delay_s]


@pytest.mark.parametrize("at_s", FALLS_S)
def test_it_does_not_alarm_before_its_delay(at_s: float) -> None:
    assert raised_s(falling(at_s, at_s + 9.0), 10.0) == []


def test_it_is_the_same_however_time_is_cut() -> None:
    packets = falling(20.26, 41.0)
    at_once = pipeline(10.0).advance(packets, 59.0).records
    step_by_step = pipeline(10.0)
    records = []
    for tick in range(round(59.0 / TICK_S) + 1):
        now_s = tick * TICK_S
        given = [p for p in packets if now_s - TICK_S < p.arrived_s <= now_s]
        records += step_by_step.advance(given, now_s).records

    assert [encode_record(r) for r in records] == [encode_record(r) for r in at_once]


def test_one_fall_is_one_alert_that_ends_as_ever() -> None:
    records = pipeline(10.0).advance(falling(20.26, 40.0), 59.0).records
    states = [
        (r.at_s, r.state) for r in records if isinstance(r, Alert) and r.rule == "very_low_spo2"
    ]

    assert [state for _, state in states] == [AlertState.RAISED, AlertState.ENDED]
    assert states[1][0] == math.ceil(states[1][0])


def test_one_limit_of_another_version_keeps_no_other_of_the_night_from_its_place() -> None:
    watched = assemble(PipelineSettings(), "x")
    rules = {
        "low_spo2": RuleLimits(enabled=True, values={"limit_pct": 1.0}),
        "very_low_spo2": RuleLimits(
            enabled=True, values={"limit_pct": 80.0, "delay_s": 5.0, "hold_s": 10.0}
        ),
    }
    watched.advance([tell(BEGUN_LIMITS, BegunLimits("patient-1", rules), 0.0)], 1.0)
    now = watched._patients["patient-1"].rules.settings()
    assert now["low_spo2"].values["limit_pct"] == 88.0
    assert now["very_low_spo2"].values == rules["very_low_spo2"].values
