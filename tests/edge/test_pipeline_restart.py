"""What stood before a restart stands after it, with its answers and with no others."""

import msgspec
import pytest

from edge.assemble import assemble
from edge.events import EXPECT, Expectation, tell
from edge.pipeline import ANSWER, START, Kept, PipelineSettings, Start
from edge.records import Alert, AlertState, Packet
from tests.edge.test_pipeline_news2 import all_entered, facts, oximeter

STARTED_S = 200.0


def run(packets, start_s, end_s, **settings):
    watched = assemble(PipelineSettings(**settings), "x", start_s=start_s)
    records = watched.advance(sorted(packets, key=lambda p: p.arrived_s), end_s).records
    return watched, [r for r in records if isinstance(r, Alert)]


def said(at_s, **answer):
    return Packet("person", ANSWER, at_s, msgspec.json.encode(answer))


def acknowledged(alert, at_s):
    return said(at_s, action="acknowledge", alert_id=alert.id, by="Ann")


def restart(watched, kept_s, rest, end_s, *, at_s=STARTED_S, same_boot=True, away_s=None):
    """Go on with what `watched` remembers, `at_s` on the clock of the new start."""
    kept = Kept(watched.alert_state(), kept_s, same_boot, away_s)
    start = Start("run-2", alerts=kept)
    begun = Packet("box", START, at_s, msgspec.json.encode(start))
    return run([begun, *rest], at_s, end_s)


@pytest.mark.parametrize(
    ("spo2_pct", "pulse_bpm", "rule"),
    [(87, 70, "low_spo2"), (80, 70, "very_low_spo2"), (97, 130, "high_hr"), (97, 160, "high_hr")],
)
def test_a_condition_that_goes_on_over_a_restart_is_the_same_alert(spo2_pct, pulse_bpm, rule):
    # After a start every delay is counted anew. That is no reason to end what stands, to tell
    # everybody that it is over, and to forget who has answered.
    before, _ = run(oximeter(0, 190, spo2_pct, pulse_bpm), 0.0, 190.0)
    stood = next(a for a in before.live().alerts if a.rule == rule)
    before.advance([acknowledged(stood, 190.25)], 190.25)

    after, records = restart(before, 190.25, oximeter(201, 290, spo2_pct, pulse_bpm), 290.0)

    assert [a.state for a in records if a.rule == rule and a.state is AlertState.ENDED] == []
    stands = next(a for a in after.live().alerts if a.rule == rule)
    assert (stands.id, stands.state, stands.answered_by) == (
        stood.id,
        AlertState.ACKNOWLEDGED,
        "Ann",
    )


def test_a_score_that_goes_on_over_a_restart_is_the_same_alert():
    ill = {"consciousness": "C", "nibp_sys_mmhg": 85}
    first = [facts(0.0), *oximeter(0, 400, 91, 115), *all_entered(1.0, **ill)]
    before, _ = run(first, 0.0, 400.0)
    (stood,) = [a for a in before.live().alerts if a.rule == "news2_emergency"]
    again = [facts(400.0), *oximeter(401, 760, 91, 115), *all_entered(401.0, **ill)]

    after, records = restart(before, 400.0, again, 760.0, at_s=400.0)

    assert [a for a in records if a.rule == stood.rule and a.state is AlertState.ENDED] == []
    assert stood.id in {a.id for a in after.live().alerts}


def test_a_sensor_put_on_again_after_an_hour_alarms_though_the_last_alarm_was_answered():
    ill = oximeter(0, 60, 80, 70)
    watched, _ = run(ill, 0.0, 60.0)
    stood = {a.rule: a.id for a in watched.live().alerts}
    watched.advance([], 80.0)
    watched.advance([acknowledged(a, 80.25) for a in watched.live().alerts], 3599.0)
    assert not watched.signal(3599.0).audible

    watched.advance(oximeter(3600, 3630, 80, 70), 3630.0)

    assert watched.signal(3630.0).audible
    assert watched.signal(3630.0).priority.value == "high"
    sounding = [a for a in watched.live().alerts if a.state is AlertState.ACTIVE]
    assert {a.rule: a.id for a in sounding} == {
        rule: stood[rule] for rule in ("low_spo2", "very_low_spo2")
    }


def test_a_condition_that_is_over_after_a_restart_ends():
    before, _ = run(oximeter(0, 190, 80, 70), 0.0, 190.0)

    after, records = restart(before, 190.0, oximeter(201, 240, 97, 70), 240.0)

    assert {a.rule for a in records if a.state is AlertState.ENDED} >= {"low_spo2", "very_low_spo2"}
    assert after.live().alerts == ()


def test_a_sensor_that_was_never_heard_is_still_missed_after_a_restart():
    awaited = tell(EXPECT, Expectation("strap", "patient-1"), 0.5)
    before, _ = run([awaited], 0.0, 190.0)
    (stood,) = before.live().alerts

    again = tell(EXPECT, Expectation("strap", "patient-1"), 200.5)
    after, records = restart(before, 190.0, [again], 290.0)

    assert stood.rule == "never_heard"
    assert [a for a in records if a.state in (AlertState.ENDED, AlertState.RAISED)] == []
    assert [a.id for a in after.live().alerts] == [stood.id]
