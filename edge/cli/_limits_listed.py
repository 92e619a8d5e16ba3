"""``homeward limits list`` and ``log``: what is in force for whom, and what was changed by whom."""

from __future__ import annotations

import msgspec
from rich.text import Text

from edge.cli import DONE
from edge.cli._past import the_patient
from edge.cli._shared import CommandError, print_json
from edge.cli._tables import console, table
from edge.cli._unlocking import keys_of
from edge.config import Config, PluginDefaults
from edge.config.changes import in_force
from edge.store import DATABASE, History, StoreError
from edge.whatif.study import unit_words


def list_limits(
    settings: Config, plugins: PluginDefaults, patient: str | None, *, json: bool
) -> int:
    """Print the limits in force, and where each was set."""
    facts = [
        fact
        for idx, one in enumerate(settings.patients)
        if patient is None or one.id == the_patient(settings, patient)
        for fact in _facts(settings, plugins, one.id, idx)
    ]
    if json:
        for fact in facts:
            print_json(fact)
        n_changed = sum(not str(fact["source"]).startswith("default") for fact in facts)
        print_json({"record": "limits", "n_limits": len(facts), "n_changed": n_changed})
        return DONE
    for one in settings.patients:
        rows = [_row(fact) for fact in facts if fact["patient"] == one.id]
        if rows:
            title = f"{one.id}: preset {one.preset or 'none'}, SpO2 scale {one.spo2_scale}"
            heads = ("limit", "in force", "default", "from .. to", "set by")
            console().print(table(title, heads, rows))
    return DONE


def _facts(
    settings: Config, plugins: PluginDefaults, patient: str, idx: int
) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for rule, one in in_force(settings, patient).items():
        known = plugins.rules[rule]
        values: dict[str, bool | float] = {"enabled": one.enabled, **one.settings}
        for name, value in values.items():
            low, high = known.limits.get(name, (None, None))
            found.append(
                {
                    "record": "limit",
                    "patient": patient,
                    "key": f"alarms.{rule}.{name}",
                    "value": value,
                    "default": known.settings.get(name, True),
                    "low": low,
                    "high": high,
                    "priority": one.priority.value,
                    "source": _source(settings, f"alarms.{rule}.{name}", idx, known.where),
                    "rests_on": known.source,
                }
            )
    return found


def _source(settings: Config, key: str, idx: int, where: str) -> str:
    origins = settings.origins
    return origins.get(f"patients[{idx}].{key}") or origins.get(key) or f"default ({where})"


def _row(fact: dict[str, object]) -> tuple[str | Text, ...]:
    changed = fact["value"] != fact["default"]
    unit = unit_words(str(fact["key"]).rpartition(".")[2])
    low, high = fact["low"], fact["high"]
    bounds = "" if low is None else f"{low:g} .. {high:g}"
    value, default = (_shown(fact[name], unit) for name in ("value", "default"))
    key = str(fact["key"]).removeprefix("alarms.")
    return key, Text(value, style="bold" if changed else ""), default, bounds, str(fact["source"])


def _shown(value: object, unit: str) -> str:
    if isinstance(value, bool):
        return "on" if value else "OFF"
    return f"{value:g} {unit}".rstrip()


def list_changes(settings: Config, *, json: bool) -> int:
    """Print every change that was recorded, the oldest first."""
    path = settings.box.data_dir / DATABASE
    try:
        with History.open(path, keys_of(path.parent)) as history:
            stored = history.setting_changes()
    except StoreError as error:
        raise CommandError(str(error)) from error
    if json:
        for one in stored:
            print_json({"n": one.n, "run_id": one.run_id, **msgspec.to_builtins(one.change)})
        print_json({"record": "limits_log", "n_changes": len(stored)})
        return DONE
    rows = [
        (
            str(one.n),
            one.change.patient,
            one.change.act.value,
            one.change.key.removeprefix("alarms.") or one.change.detail,
            "" if one.change.old is None else f"{one.change.old:g} -> {one.change.new:g}",
            f"{one.change.by} ({one.change.role})",
            one.change.why,
        )
        for one in stored
    ]
    heads = ("n", "patient", "what", "of", "change", "by", "why")
    console().print(table("Limits that were changed", heads, rows))
    return DONE
