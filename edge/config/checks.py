"""Faults that no single setting has: two that contradict each other, names used twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import chain, combinations, pairwise
from pathlib import Path
from typing import Final

from edge.config.complaints import Complaints
from edge.config.settings import Alarm, Escalation, Patient, Source, steps_of
from edge.config.toml_lines import KeyPath

MAX_SOCKET_BYTES: Final = 107
"""Longest path of a local socket on Linux: ``sun_path`` of unix(7), less its end mark."""

_OPPOSITES: Final = {"low": "high", "min": "max", "lower": "upper", "below": "above"}


def check_opposites(
    alarms: Mapping[str, Alarm], told: Complaints, above: KeyPath = ("alarms",)
) -> None:
    """Complain of a low limit that is not below its high one, in one rule or across two.

    Rules ``low_x`` and ``high_x`` are opposites in whatever settings both have whose name begins
    with ``limit``, as long as both are enabled; so are settings ``..low..`` and ``..high..`` of
    one rule.

    Parameters
    ----------
    above : KeyPath
        Where the rules' tables stand.
    """
    for name, alarm in alarms.items():
        for setting, low in alarm.settings.items():
            other = _opposite(setting)
            if other in alarm.settings:
                _compare(
                    (*above, name, setting), low, (*above, name, other),
                    alarm.settings[other], told,
                )  # fmt: skip
        twin = _opposite(name)
        if twin not in alarms or not (alarm.enabled and alarms[twin].enabled):
            continue
        for setting in alarm.settings.keys() & alarms[twin].settings.keys():
            if setting.startswith("limit"):
                _compare(
                    (*above, name, setting), alarm.settings[setting],
                    (*above, twin, setting), alarms[twin].settings[setting], told,
                )  # fmt: skip


def check_steps(escalation: Escalation, told: Complaints) -> None:
    """Complain of a step that comes before the one before it."""
    for priority in ("high", "medium", "low"):
        for (name, time_s), (later, later_s) in pairwise(
            zip(steps_of(priority), escalation.times_of(priority), strict=True)
        ):
            if later_s < time_s:
                told.add(
                    ("escalation", later),
                    f"is {later_s:g}, before {name} = {time_s:g}",
                    f"give {time_s:g} or more",
                )


def check_names(
    patients: Sequence[Patient], sources: Sequence[Source | None], told: Complaints
) -> None:
    """Complain of a patient's id or a source's name that is there twice."""
    _check_twice("patients", [patient.id for patient in patients], "id", told)
    _check_twice("sources", [s.name if s else None for s in sources], "name", told)


def check_patient(patient: str | None, path: KeyPath, ids: Sequence[str], told: Complaints) -> None:
    """Complain of the source at `path` when it belongs to nobody."""
    known = ", ".join(f'"{one}"' for one in dict.fromkeys(ids))
    if patient is None:
        told.add(path, "patient is missing", f"say whose it is: patient = one of {known}")
    elif patient not in ids:
        told.add(
            (*path, "patient"),
            f"there is no patient {patient!r}",
            f"write one of {known}, or add a [[patients]] table with this id",
        )


def check_scale(patients: Sequence[Patient], told: Complaints) -> None:
    """Complain of an SpO2 scale 2 of which nobody says who decided it, when and why."""
    for idx, patient in enumerate(patients):
        if patient.spo2_scale != 2:
            continue
        path = ("patients", idx, "spo2_scale")
        if not (patient.spo2_scale_by and patient.spo2_scale_on and patient.spo2_scale_why):
            told.add(
                path,
                "scale 2 is a clinician's decision",
                'add who, when and why: spo2_scale_by = "Dr Lo", spo2_scale_on = "2026-03-01", '
                'spo2_scale_why = "hypercapnia confirmed, target 88-92 %"; or write 1',
            )
        elif not _is_date(patient.spo2_scale_on):
            told.add(
                ("patients", idx, "spo2_scale_on"),
                f"{patient.spo2_scale_on!r} is no day",
                'write it as "2026-03-01"',
            )


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == 10


def check_socket(socket: Path, told: Complaints) -> None:
    """Complain of a path that the kernel would not take for a socket."""
    n_bytes = len(str(socket).encode(errors="surrogateescape"))
    if n_bytes > MAX_SOCKET_BYTES:
        told.add(
            ("box", "socket"),
            f"the path has {n_bytes} bytes and a socket's may have {MAX_SOCKET_BYTES}: {socket}",
            'name a shorter one, e.g. socket = "/run/homeward/control.sock"',
        )


def _check_twice(table: str, names: Sequence[str | None], key: str, told: Complaints) -> None:
    for (_, first), (idx, second) in combinations(enumerate(names), 2):
        if first is not None and first == second:
            told.add((table, idx, key), f"{second!r} is there twice", "give each its own")


def _compare(low_at: KeyPath, low: float, high_at: KeyPath, high: float, told: Complaints) -> None:
    if low < high:
        return
    # The fault is told where somebody set something, not at an untouched default.
    at = next((p for p in chain((low_at, high_at)) if p in told.lines or p in told.raw), low_at)
    lower, higher = f"{low_at[-2]}.{low_at[-1]}", f"{high_at[-2]}.{high_at[-1]}"
    what = f"{lower} = {low:g} is not below {higher} = {high:g}"
    told.add(at, what, "lower the first or raise the second")


def _opposite(name: str) -> str:
    """Return the name with its first word of a pair turned, or nothing.

    >>> _opposite("limit_low_bpm"), _opposite("low_spo2"), _opposite("limit_bpm")
    ('limit_high_bpm', 'high_spo2', '')
    """
    words = name.split("_")
    for idx, word in enumerate(words):
        if word in _OPPOSITES:
            return "_".join([*words[:idx], _OPPOSITES[word], *words[idx + 1 :]])
    return ""
