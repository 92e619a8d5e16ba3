"""What a person wants to change in how a patient is watched -> what is kept, told and recorded.

The running monitor and the command without one decide alike, here: who may do what, what is in
force afterwards, and what the pipeline is told (``person:limit``; ``box:facts`` where it is NEWS2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from edge.assemble import facts_of
from edge.config import Alarm, Config, preset_names
from edge.config.changes import in_force
from edge.config.kept import (
    Kept,
    KeptPatient,
    KeptPreset,
    KeptScale,
    KeptValue,
    Who,
    flatten,
)
from edge.config.void import void_value
from edge.config.words import new_ref
from edge.control import ChangeLimits
from edge.events import BegunLimits, Facts, Limits, RuleLimits
from edge.records import LimitAct, Priority, Role

Reload: TypeAlias = Callable[[Kept], Config]
"""The configuration as it is with these limits kept."""

DEFAULT: str = "default"
"""Instead of a preset's name: the limits of the box, with no preset."""


class LimitsError(ValueError):
    """It cannot be changed so; the text says why and what to do."""


class Decision(msgspec.Struct, frozen=True):
    """What comes of a request.

    Attributes
    ----------
    config, kept : Config, Kept
        What is in force from then on, and what is written down for it.
    told, facts : Limits, Facts | None
        What the pipeline is told.
    warnings : tuple[str, ...]
        What should be said in words.
    """

    config: Config
    kept: Kept
    told: Limits
    facts: Facts | None
    warnings: tuple[str, ...]


def decide(config: Config, request: ChangeLimits, at: str, reload: Reload) -> Decision:
    """Return what comes of a request; nothing is changed yet.

    Parameters
    ----------
    config : Config
        What is in force.
    at : str
        The moment (UTC), as 2026-03-01T08:00:00Z.

    Raises
    ------
    LimitsError
        Whoever asks may not, or there is nothing to change.
    edge.config.ConfigError
        What would come of it cannot be.
    """
    patient = _patient(config, request.patient)
    if request.role is Role.PATIENT:
        raise LimitsError("limits are for carers and clinicians; the patient does not set them")
    who = Who(request.by.strip(), request.role.value, at, request.why.strip(), new_ref())
    if not who.by or not who.why:
        raise LimitsError('say who changes it and why: --by NAME --why "..."')
    before = config.kept.get(patient, KeptPatient())
    kept = {**config.kept, patient: _kept(before, request, who, config.tables.get(patient, {}))}
    after = reload(kept)
    old, new = in_force(config, patient), in_force(after, patient)
    warnings = _check(request, old, new)
    rules = {
        name: RuleLimits(one.enabled, dict(one.settings))
        for name, one in new.items()
        if (one.enabled, one.settings) != (old[name].enabled, old[name].settings)
    }
    detail = _detail(request, patient, after)
    scales = [one.spo2_scale for c in (config, after) for one in c.patients if one.id == patient]
    if request.act is LimitAct.SCALE and scales[0] == scales[1]:
        raise LimitsError(f"{patient}: SpO2 scale {request.scale} is in use already")
    told = Limits(request.act, patient, who.by, request.role, who.why, rules, detail)
    facts = None
    if request.act in (LimitAct.SCALE, LimitAct.NEW_PATIENT):
        year = int(at[:4])
        facts = next(one for one in facts_of(after, year) if one.patient == patient)
        if not facts.decided_by:  # back to scale 1: who said so is recorded too
            facts = msgspec.structs.replace(
                facts, decided_by=who.by, decided_on=at[:10], why=who.why
            )
        facts = msgspec.structs.replace(facts, decided_as=request.role)
    return Decision(after, kept, told, facts, warnings)


def begun_limits(config: Config) -> tuple[BegunLimits, ...]:
    """Return how every patient is watched when the monitor starts, for the packet log."""
    return tuple(
        BegunLimits(
            patient.id,
            {
                name: RuleLimits(one.enabled, dict(one.settings))
                for name, one in in_force(config, patient.id).items()
            },
        )
        for patient in config.patients
    )


def _patient(config: Config, named: str) -> str:
    known = [patient.id for patient in config.patients]
    if not named and len(known) == 1:
        return known[0]
    if named not in known:
        said = f"there is no patient {named!r}" if named else "which patient is meant?"
        raise LimitsError(f"{said}; give one of: {', '.join(known)}")
    return named


def _kept(
    before: KeptPatient, request: ChangeLimits, who: Who, table: Mapping[str, object]
) -> KeptPatient:
    """Return what is kept of the patient after the request."""
    replace = msgspec.structs.replace
    if request.act is LimitAct.SET:
        return _with_values(before, request, who)
    if request.act is LimitAct.RESET:
        return replace(before, alarms=_without(before, request.keys))
    if request.act is LimitAct.SCALE:
        return replace(before, scale=KeptScale(request.scale, who))
    preset = _preset(request, who)
    if request.act is LimitAct.NEW_PATIENT:
        void = {key: void_value(key, value) for key, value in flatten(table)}
        return KeptPatient(preset=preset, void=void, new_patient=who)
    of_limits = {k: v for k, v in flatten(table) if k == "preset" or k.startswith("alarms.")}
    return replace(before, alarms={}, preset=preset, void={**before.void, **of_limits})


def _with_values(before: KeptPatient, request: ChangeLimits, who: Who) -> KeptPatient:
    if not request.settings:
        raise LimitsError("nothing to set: give e.g. alarms.low_spo2.limit_pct=86")
    alarms = {rule: dict(table) for rule, table in before.alarms.items()}
    for rule, table in request.settings.items():
        values = {key: KeptValue(value, who) for key, value in table.items()}
        alarms[rule] = {**alarms.get(rule, {}), **values}
    return msgspec.structs.replace(before, alarms=alarms)


def _without(before: KeptPatient, keys: tuple[str, ...]) -> dict[str, dict[str, KeptValue]]:
    """Return the kept values without those of `keys`, ``rule`` or ``rule.setting``; none: none."""
    if not keys:
        return {}
    gone = {key.removeprefix("alarms.") for key in keys}
    there = set(before.alarms)
    there |= {f"{rule}.{key}" for rule, table in before.alarms.items() for key in table}
    for key in sorted(gone - there):
        known = ", ".join(sorted(there)) or "nothing"
        raise LimitsError(f"{key} is not set by `homeward limits`; set now: {known}")
    return {
        rule: kept
        for rule, table in before.alarms.items()
        if rule not in gone
        and (kept := {key: one for key, one in table.items() if f"{rule}.{key}" not in gone})
    }


def _preset(request: ChangeLimits, who: Who) -> KeptPreset:
    name = "" if request.preset in ("", DEFAULT) else request.preset
    if name and name not in preset_names():
        known = ", ".join(preset_names())
        raise LimitsError(f"there is no preset {name!r}; there are {known}, and {DEFAULT}")
    return KeptPreset(name, who)


def _detail(request: ChangeLimits, patient: str, after: Config) -> str:
    if request.act in (LimitAct.PRESET, LimitAct.NEW_PATIENT):
        chosen = next(one.preset for one in after.patients if one.id == patient)
        return f"preset {chosen or DEFAULT}"
    return ""


def _check(
    request: ChangeLimits, old: Mapping[str, Alarm], new: Mapping[str, Alarm]
) -> tuple[str, ...]:
    """Return what must be said in words.

    Raises
    ------
    LimitsError
        It is a clinician's decision, and no clinician's.
    """
    clinician = request.role is Role.CLINICIAN
    if request.act is LimitAct.SCALE and request.scale == 2 and not clinician:
        raise LimitsError(
            "SpO2 scale 2 is a clinician's decision (hypercapnic respiratory failure confirmed, "
            "88 to 92 % prescribed): --by NAME --as clinician"
        )
    warnings = []
    for name, one in old.items():
        if not one.enabled or new[name].enabled or request.act is LimitAct.NEW_PATIENT:
            continue
        if one.priority is Priority.HIGH and not clinician:
            raise LimitsError(
                f"{name} is of high priority; only a clinician switches it off: "
                f"--by NAME --as clinician"
            )
        words = name.replace("_", " ")
        warnings.append(
            f"{words} will NOT ALARM ANY MORE ({one.priority.value} priority), until somebody "
            f"switches it on again"
        )
    return tuple(warnings)
