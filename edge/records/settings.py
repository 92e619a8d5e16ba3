"""What people decide about how a patient is watched, as it is recorded."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from edge.records.alarms import Role


class LimitAct(StrEnum):
    """What a person did to the limits of a patient.

    SET: some of them. RESET: back to the preset. PRESET: another preset was chosen. NEW_PATIENT:
    somebody else lies here from now on. SCALE: of NEWS2's oxygen saturation.
    """

    SET = "set"
    RESET = "reset"
    PRESET = "preset"
    NEW_PATIENT = "new_patient"
    SCALE = "scale"


class SettingChange(msgspec.Struct, frozen=True, tag="setting_change", tag_field="record"):
    """One setting of one patient that a person changed; kept for ever, never edited.

    Attributes
    ----------
    at_s : float
        When it came into force.
    key : str
        ``alarms.low_spo2.limit_pct``, ``spo2_scale``; empty: the act changed no setting.
    old, new : float | None
        A switch is 0 or 1; None: there is nothing to compare.
    detail : str
        What the act was about, for people: the preset's name.
    by, role, why : str, Role, str
        Who did it, as what, for what reason.
    """

    act: LimitAct
    patient: str
    at_s: float
    key: str
    old: float | None
    new: float | None
    by: str
    role: Role
    why: str
    detail: str = ""
