"""What was kept of a past, asked again: the very alerts of a whole replay, byte for byte."""

import msgspec
import pytest

import edge.alarms
from edge.alarms import Rule
from edge.alerts import Answer
from edge.assemble import assemble, open_scorer
from edge.discover import discover
from edge.events import (
    HEALTH,
    LIMIT,
    MODEL,
    PERSON,
    BoxHealth,
    Limits,
    ModelState,
    ModelTold,
    RuleLimits,
    tell,
)
from edge.pipeline import ANSWER, START, PipelineSettings, RuleSettings, Start
from edge.pipeline.past import Past, Refold
from edge.playback import replay_packets
from edge.readers import simulated
from edge.records import (
    AlarmEvent,
    Alert,
    AlertState,
    LimitAct,
    Packet,
    Role,
    SettingChange,
    encode_record,
)

PATIENT = "patient-1"
RULES = discover(edge.alarms, "RULE", Rule)
KINDS = (Alert, AlarmEvent, SettingChange)


def set_to(**changes):
    """Return every rule of the patient with its defaults, but those that are given."""
    told = {}
    for rule in RULES:
        values = {**rule.settings, **changes.get(rule.name, {})}
        on = bool(values.pop("enabled", True))
        told[rule.name] = RuleSettings(values, rule.priority, on)
    return PipelineSettings(rules_of={PATIENT: told})


def replay(packets, settings, *, past=None, scorer=None):
    pipeline = assemble(settings, "run", scorer=scorer)
    pipeline.witness = past
    records = []
    replay_packets(sorted(packets, key=lambda p: p.arrived_s), pipeline, records.append)
    return [encode_record(r) for r in records if isinstance(r, KINDS)]


def refold(past, settings, *, rules=RULES, fixed=False):
    again = Refold(settings, rules, "run", fixed=fixed)
    return [r for second in past for r in again.advance(second, past.layouts)], again


def lines(records):
    return [encode_record(r) for r in records]


def say(at_s, **said):
    answer = msgspec.convert({"by": "Ann", "role": "carer", **said}, Answer)
    return Packet(PERSON, ANSWER, at_s, msgspec.json.encode(answer))


def limit(at_s, act=LimitAct.SET, by="Dr Lo", **rules):
    defaults = {rule.name: rule.settings for rule in RULES}
    told = {}
    for name, values in rules.items():
        merged = {**defaults[name], **values}
        told[name] = RuleLimits(bool(merged.pop("enabled", True)), merged)
    payload = Limits(act, PATIENT, by, Role.CLINICIAN, "tried", told)
    return Packet(PERSON, LIMIT, at_s, msgspec.json.encode(payload))


def night(scenario, *more, seed=None):
    packets = [*simulated.packets(simulated.Settings(scenario=scenario, seed=seed)), *more]
    return sorted(packets, key=lambda p: p.arrived_s)


@pytest.fixture(scope="module")
def scorer():
    return open_scorer()


LIMITS = [
    {},
    {"low_spo2": {"limit_pct": 84.0}},
    {"low_spo2": {"limit_pct": 95.0, "delay_s": 0.0}, "very_low_spo2": {"enabled": False}},
    {"low_hr": {"limit_bpm": 65.0}, "anomaly": {"n_needed": 1.0}, "signal_lost": {"limit_s": 5.0}},
]


@pytest.mark.parametrize("scenario", ["demo", "faults", "arrhythmia"])
def test_the_past_under_other_limits_is_the_whole_replay_byte_for_byte(scenario, scorer):
    packets = night(scenario)
    past = Past()
    as_it_was = replay(packets, set_to(), past=past, scorer=scorer)

    for changes in LIMITS:
        whole = replay(packets, set_to(**changes), scorer=scorer)
        assert lines(refold(past, set_to(**changes))[0]) == whole
    assert as_it_was
    assert lines(refold(past, set_to())[0]) == as_it_was


def test_answers_pauses_and_a_change_of_limits_lie_in_the_past_too():
    packets = night("faults")
    first = replay(packets, set_to())
    ids = [msgspec.json.decode(line)["id"] for line in first if b'"raised"' in line]
    at_s = [msgspec.json.decode(line)["at_s"] for line in first if b'"raised"' in line]
    packets += [
        Packet("box", START, 0.0, msgspec.json.encode(Start("run"))),
        say(at_s[0] + 3.0, action="acknowledge", alert_id=ids[0]),
        say(at_s[1] + 2.6, action="pause_audio"),
        say(at_s[2] + 1.0, action="acknowledge", alert_id="nobody's"),
        limit(at_s[2] + 20.3, low_spo2={"limit_pct": 95.0}, high_hr={"enabled": False}),
    ]
    packets.sort(key=lambda p: p.arrived_s)
    past = Past()
    whole = replay(packets, set_to(), past=past)

    again, fold = refold(past, set_to())
    assert lines(again) == whole
    assert fold.n_passed_over == 1
    kinds = {type(r) for r in again}
    assert kinds == {Alert, AlarmEvent, SettingChange}
    # With fixed limits nothing of the change is there.
    assert SettingChange not in {type(r) for r in refold(past, set_to(), fixed=True)[0]}


def test_what_the_box_told_of_itself_and_of_its_model_lies_in_the_past_too(scorer):
    told = [
        tell(HEALTH, BoxHealth({"disk_free_pct": 4.0, "clock_synced_flag": 1.0}), 20.0),
        tell(MODEL, ModelTold("patient-1", 10.0, ModelState.FAILED, "it hangs"), 21.1),
        tell(HEALTH, BoxHealth({"disk_free_pct": 50.0, "clock_synced_flag": 1.0}), 80.0),
    ]
    packets = night("demo", *told)
    past = Past()
    whole = replay(packets, set_to(), past=past, scorer=scorer)

    rules = [msgspec.json.decode(line).get("rule") for line in whole]
    assert {"disk_low", "model_failed", "low_spo2"} <= set(rules)
    assert lines(refold(past, set_to())[0]) == whole


def test_rules_that_are_left_out_change_nothing_in_the_others():
    past = Past()
    replay(night("faults"), set_to(), past=past)
    only = [rule for rule in RULES if rule.name == "low_spo2"]

    every, _ = refold(past, set_to())
    one, _ = refold(past, set_to(), rules=only)
    assert lines(one) == lines(r for r in every if getattr(r, "rule", "") == "low_spo2")


def test_an_answer_goes_to_what_stands_there_of_the_same_rule():
    """Under a stricter limit the answered episode is another number, and the same alert."""
    packets = night("demo")
    strict = set_to(low_spo2={"limit_pct": 95.0, "delay_s": 0.0})
    raised = [
        r for r in map(msgspec.json.decode, replay(packets, set_to())) if r["record"] == "alert"
    ]
    low = next(r for r in raised if r["rule"] == "low_spo2")
    packets.append(say(low["at_s"] + 2.0, action="acknowledge", alert_id=low["id"]))
    packets.sort(key=lambda p: p.arrived_s)
    past = Past()
    replay(packets, set_to(), past=past)

    again, fold = refold(past, strict, fixed=True)
    answered = [r for r in again if isinstance(r, Alert) and r.answered_by == "Ann"]
    assert {r.rule for r in answered} == {"low_spo2"}
    assert fold.n_passed_over == 0
    lax, fold = refold(past, set_to(low_spo2={"limit_pct": 80.0}), fixed=True)
    assert not [r for r in lax if isinstance(r, Alert) and r.rule == "low_spo2"]
    assert fold.n_passed_over == 1


def test_an_alert_that_no_longer_meets_its_limit_ends_as_any_alert_does():
    packets = night("demo")
    alerts = [a for a in map(msgspec.json.decode, replay(packets, set_to())) if a.get("rule")]
    low = next(a for a in alerts if a["rule"] == "low_spo2")
    later_s = low["at_s"] + 4.0
    for change in ({"limit_pct": 80.0}, {"enabled": False}):
        after = replay([*packets, limit(later_s, low_spo2=change)], set_to())
        story = [a for a in map(msgspec.json.decode, after) if a.get("id") == low["id"]]
        assert story[-1]["state"] == AlertState.ENDED
        assert 10.0 <= story[-1]["at_s"] - later_s <= 13.0


def test_a_rule_that_was_off_can_be_switched_on_and_alarms():
    off = set_to(low_spo2={"enabled": False})
    packets = night("demo")
    assert not [line for line in replay(packets, off) if b'"low_spo2"' in line]
    on = replay([*packets, limit(1.0, low_spo2={})], off)
    assert [line for line in on if b'"rule":"low_spo2"' in line]
    change = next(r for r in map(msgspec.json.decode, on) if r["record"] == "setting_change")
    assert (change["key"], change["old"], change["new"]) == ("alarms.low_spo2.enabled", 0.0, 1.0)
    assert (change["by"], change["role"], change["why"]) == ("Dr Lo", "clinician", "tried")


@pytest.mark.parametrize(
    "rules",
    [
        {"low_spo2": {"limit_pct": 20.0}},
        {"low_spo2": {"what": 1.0}},
    ],
)
def test_a_limit_that_cannot_be_changes_nothing_and_is_noted(rules):
    pipeline = assemble(PipelineSettings(), "run")
    records = []
    replay_packets([*night("quiet")[:50], limit(100.0, **rules)], pipeline, records.append)
    assert not [r for r in records if isinstance(r, SettingChange)]
    assert any(LIMIT in note for note in pipeline.live().notes)


def test_a_new_patient_ends_what_stood_answers_and_pauses():
    packets = night("demo")
    alerts = [a for a in map(msgspec.json.decode, replay(packets, set_to())) if a.get("rule")]
    low = next(a for a in alerts if a["rule"] == "low_spo2")
    at_s = low["at_s"]
    packets += [
        say(at_s + 1.0, action="acknowledge", alert_id=low["id"]),
        say(at_s + 1.5, action="pause_audio", lasts_s=120.0),
        limit(at_s + 2.0, LimitAct.NEW_PATIENT),
    ]
    packets.sort(key=lambda p: p.arrived_s)
    past = Past()
    after = [msgspec.json.decode(line) for line in replay(packets, set_to(), past=past)]
    story = [a["state"] for a in after if a.get("id") == low["id"]]
    assert story[-2:] == [AlertState.ACKNOWLEDGED, AlertState.ENDED]
    assert any(r.get("act") == "rearmed" and r["at_s"] == at_s + 2.0 for r in after)
    # What holds for the new patient is found anew, after the whole delay, unanswered.
    again = [a for a in after if a.get("rule") == "low_spo2" and a["id"] != low["id"]]
    assert again[0]["state"] == AlertState.RAISED
    assert again[0]["at_s"] >= at_s + 2.0 + 14.0
    assert again[0]["answered_by"] == ""
    assert lines(refold(past, set_to())[0]) == lines_of(after)


def lines_of(decoded):
    return [msgspec.json.encode(one) for one in decoded]
