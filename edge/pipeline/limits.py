"""Limits that people change while the monitor runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from typing import TypeAlias

import msgspec

from edge.alarms import Rule
from edge.alerts import AlertRule, Answer
from edge.events import BEGUN_LIMITS, BegunLimits, Facts, Limits, RuleLimits
from edge.pipeline.alarms import Alarms
from edge.pipeline.rules import PatientRules
from edge.pipeline.settings import RuleSettings
from edge.pipeline.watched import Watched
from edge.records import AlarmEvent, Alert, LimitAct, Packet, SettingChange

Made: TypeAlias = list[Alert | AlarmEvent | SettingChange]


def follow(
    packet: Packet, patient_of: Callable[[str], Watched], alarms: Alarms, now_s: float
) -> Made:
    """Take a packet ``person:limit`` (see `take_limits`) or ``box:limits``."""
    if packet.stream == BEGUN_LIMITS:
        begun = msgspec.json.decode(packet.payload, type=BegunLimits)
        begin_with(begun, patient_of(begun.patient).rules, alarms)
        return []
    told = msgspec.json.decode(packet.payload, type=Limits)
    patient = patient_of(told.patient)
    out = take_limits(told, patient.rules, alarms, now_s)
    if told.act is LimitAct.NEW_PATIENT:
        patient.bedside.held.clear()
    return out


def begin_with(begun: BegunLimits, rules: PatientRules, alarms: Alarms) -> None:
    """Let a patient be watched as when the run began; rules of another version are passed over."""
    known = rules.settings()
    for name, limits in begun.rules.items():
        before = known.get(name)
        if before is None or not changed(name, before, limits):
            continue
        try:
            rules.check(name, limits.values)
        except ValueError:  # of another version: the other rules are none the worse for it
            continue
        new = RuleSettings(dict(limits.values), before.priority, limits.enabled)
        alarms.know(name, alert_rule(rules.set(name, new), new))


def take_limits(told: Limits, rules: PatientRules, alarms: Alarms, now_s: float) -> Made:
    """Let a patient be watched as `told` says, from the next step of each rule on.

    Returns
    -------
    list
        One record for each setting that is another one now, at least one for the act; before
        them, where a new patient came, the end of what stood.

    Raises
    ------
    ValueError
        There is no such rule or setting, or the value is out of its bounds; nothing is changed.
    """
    known = rules.settings()
    for name, limits in told.rules.items():
        if name not in known:
            raise ValueError(f"{told.patient}: there is no alarm rule {name!r}")
        rules.check(name, limits.values)
    out: Made = []
    if told.act is LimitAct.NEW_PATIENT:
        resume = Answer("resume", by=told.by, role=told.role, patient=told.patient)
        out += alarms.begin_patient(resume, now_s)
        rules.forget()
    changes = []
    for name, limits in told.rules.items():
        before = known[name]
        new = RuleSettings(dict(limits.values), before.priority, limits.enabled)
        rule = rules.set(name, new)
        alarms.know(name, alert_rule(rule, new))
        changes += [_record(told, key, now_s, *pair) for key, pair in changed(name, before, new)]
    return [*out, *(changes or [_record(told, "", now_s, None, None)])]


def changed(
    name: str, before: RuleSettings, after: RuleSettings | RuleLimits
) -> list[tuple[str, tuple[float, float]]]:
    """Return the settings of a rule that differ, with both values."""
    pairs: list[tuple[str, float, float]] = [
        ("enabled", float(before.enabled), float(after.enabled))
    ]
    pairs += [(key, before.values.get(key, nan), value) for key, value in after.values.items()]
    return [(f"alarms.{name}.{key}", (old, new)) for key, old, new in pairs if old != new]


def change_scale(patient: Watched, facts: Facts, now_s: float) -> list[SettingChange]:
    """Return the record that NEWS2 uses another scale of the oxygen saturation from now on."""
    before, patient.spo2_scale = patient.spo2_scale, facts.spo2_scale
    return scale_record(facts, before, now_s)


def scale_record(facts: Facts, before: int, now_s: float) -> list[SettingChange]:
    """Return the record of a change of the scale; none where it is none."""
    if facts.spo2_scale == before:
        return []
    why = facts.why or "the settings say so"
    change = SettingChange(
        LimitAct.SCALE,
        facts.patient,
        now_s,
        "spo2_scale",
        float(before),
        float(facts.spo2_scale),
        facts.decided_by,
        facts.decided_as,
        f"{why} (decided on {facts.decided_on})" if facts.decided_on else why,
    )
    return [change]


def alert_rule(rule: Rule, told: RuleSettings) -> AlertRule:
    """Return what the alert engine has to know of a rule."""
    return AlertRule(rule.kind, told.priority, rule.latching, rule.category)


def _record(
    told: Limits, key: str, now_s: float, old: float | None, new: float | None
) -> SettingChange:
    return SettingChange(
        told.act, told.patient, now_s, key, old, new, told.by, told.role, told.why, told.detail
    )


def as_told(settings: Mapping[str, RuleSettings]) -> dict[str, RuleLimits]:
    """Return settings as ``person:limit`` carries them."""
    return {name: RuleLimits(one.enabled, dict(one.values)) for name, one in settings.items()}
