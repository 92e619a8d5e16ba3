"""How the alarm rules are set, layer over layer.

A rule's own defaults, then the patient's preset, ``[alarms]`` in the file, ``[patients.alarms]``
for one patient, what people changed with `homeward limits` (`edge.config.kept`), and last the
command line. A preset that was chosen with `homeward limits` stands above ``[alarms]``. Presets are
TOML files beside this one; nothing but alarm settings stands in them, so a preset never decides who
somebody is or which SpO2 scale is used. What is set for one patient stands in that patient's own
table: for a new patient nothing of it is left.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from edge.config.checks import check_opposites
from edge.config.complaints import Complaints, dotted, suggestion
from edge.config.fields import is_table, read_rule, read_struct
from edge.config.kept import FILE, Kept, KeptPatient
from edge.config.settings import Alarm, Document, Patient, PluginDefaults
from edge.config.toml_lines import KeyPath, key_lines

Layer: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Rule -> setting -> value, only what is set, checked."""

_PLACE: Final = "edge/config/presets"
_COMMON: Final = ("enabled", "priority")


class Preset(msgspec.Struct, frozen=True):
    """One preset.

    Attributes
    ----------
    name, title, source : str
        The file's name; what it is for; what it rests on.
    alarms : Layer
        What it changes.
    origins : Mapping[str, str]
        ``alarms.rule.setting`` -> where it stands, for people.
    """

    name: str
    title: str
    source: str
    alarms: Layer
    origins: Mapping[str, str]


class AlarmSettings(msgspec.Struct, frozen=True):
    """What all layers together say.

    Attributes
    ----------
    box : Mapping[str, Alarm]
        By rule, for every patient that is not in `patients`.
    patients : Mapping[str, Mapping[str, Alarm]]
        By patient, then by rule.
    origins : Mapping[str, str]
        Where what comes from a preset stands.
    """

    box: Mapping[str, Alarm]
    patients: Mapping[str, Mapping[str, Alarm]]
    origins: Mapping[str, str]


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets that come with the monitor, sorted."""
    folder = resources.files("edge.config").joinpath("presets")
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def read_preset(name: str, plugins: PluginDefaults) -> Preset:
    """Return a preset.

    Raises
    ------
    edge.config.ConfigError
        It does not suit the rules that exist.
    """
    path = resources.files("edge.config").joinpath("presets", f"{name}.toml")
    text = path.read_text(encoding="utf-8")
    document = tomllib.loads(text)
    told = Complaints(f"preset {name} ({_PLACE}/{name}.toml", key_lines(text))
    alarms = read_layer(document["alarms"], ("alarms",), plugins, told, one_patient=True)
    told.raise_if_any()
    paths = [("alarms", rule, key) for rule, table in alarms.items() for key in table]
    origins = {dotted(path): f"{told.origin(path)})" for path in paths}
    return Preset(name, document["title"], document["source"].strip(), alarms, origins)


def read_alarms(
    document: Document,
    patients: Sequence[Patient],
    own: Sequence[object],
    plugins: PluginDefaults,
    told: Complaints,
    kept: Kept | None = None,
) -> AlarmSettings:
    """Return how every rule is set for everybody; complain of what cannot be.

    Parameters
    ----------
    own : Sequence
        The ``alarms`` table of each patient, as it stands in the file.
    kept : Kept | None
        What people changed.
    """
    kept = kept or {}
    base = read_layer(document.get("alarms", {}), ("alarms",), plugins, told)
    typed = _typed(base, told)
    presets = _presets(patients, plugins, told)
    chosen = [presets.get(patient.preset or "") for patient in patients]
    shared = chosen[0] if chosen and all(preset is chosen[0] for preset in chosen) else None
    origins = dict(shared.origins) if shared else {}
    box = _overlaid(plugins, (shared.alarms if shared else {}, base))
    check_opposites(box, told)
    theirs: dict[str, Mapping[str, Alarm]] = {}
    for idx, (patient, preset, table) in enumerate(zip(patients, chosen, own, strict=True)):
        path = ("patients", idx, "alarms")
        layer = read_layer(table, path, plugins, told, one_patient=True)
        stored = kept.get(patient.id, _NOTHING)
        if not layer and preset is shared and not (stored.alarms or stored.preset):
            continue
        below: tuple[Layer, ...] = (preset.alarms if preset else {}, base)
        if stored.preset is not None:
            chosen_here = stored.preset.name
            below = (base, read_preset(chosen_here, plugins).alarms if chosen_here else {})
        changed = _kept_layer(stored, plugins, path, origins)
        set_so = _overlaid(plugins, (*below, layer, changed, typed))
        check_opposites(set_so, told, path)
        theirs[patient.id] = set_so
        if preset is not None:
            origins |= {f"patients[{idx}].{key}": at for key, at in preset.origins.items()}
    return AlarmSettings(box, theirs, origins)


def read_layer(
    tables: object,
    path: KeyPath,
    plugins: PluginDefaults,
    told: Complaints,
    *,
    one_patient: bool = False,
) -> Layer:
    """Return what one ``alarms`` table sets; complain of what it may not hold.

    Parameters
    ----------
    one_patient : bool
        It is one patient's: priorities are the box's and cannot be set there.
    """
    if not is_table(tables, path, told) or not isinstance(tables, dict):
        return {}
    for name in tables.keys() - plugins.rules.keys():
        told.unknown((*path, name), plugins.rules, "alarm rule")
    layer: dict[str, Mapping[str, Any]] = {}
    for name, rule in plugins.rules.items():
        table, at = tables.get(name, {}), (*path, name)
        if not is_table(table, at, told):
            continue
        if one_patient and rule.of_box and table:
            told.add(at, "watches over the box, not over a patient", f"set it in [alarms.{name}]")
            continue
        if one_patient and "priority" in table:
            told.add((*at, "priority"), "is the box's", f"set it in [alarms.{name}]")
        common = {key: value for key, value in table.items() if key in _COMMON}
        rest = {key: value for key, value in table.items() if key not in common}
        values = read_struct(common, at, Alarm, told, Path("/"))
        checked = read_rule(rest, at, rule, told)
        values |= {key: checked[key] for key in rest if key in checked}
        if values:
            layer[name] = values
    return layer


def differences(box: Mapping[str, Alarm], theirs: Mapping[str, Alarm]) -> Layer:
    """Return what is set for one patient otherwise than for the box."""
    found: dict[str, dict[str, Any]] = {}
    for rule, alarm in theirs.items():
        common = box[rule]
        changed: dict[str, Any] = {
            key: value for key, value in alarm.settings.items() if common.settings.get(key) != value
        }
        if alarm.enabled != common.enabled:
            changed = {"enabled": alarm.enabled, **changed}
        if changed:
            found[rule] = changed
    return found


_NOTHING: Final = KeptPatient()


def _kept_layer(
    stored: KeptPatient, plugins: PluginDefaults, path: KeyPath, origins: dict[str, str]
) -> Layer:
    """Return what people changed for one patient; where each came from goes to `origins`."""
    tables = {
        rule: {key: one.value for key, one in table.items()}
        for rule, table in stored.alarms.items()
    }
    told = Complaints(f"{FILE} (see `homeward limits`)", {})
    layer = read_layer(tables, ("alarms",), plugins, told, one_patient=True)
    told.raise_if_any()
    for rule, table in stored.alarms.items():
        for key, one in table.items():
            origins[dotted((*path, rule, key))] = f"homeward limits, {one.who.words}"
    return layer


def _presets(
    patients: Sequence[Patient], plugins: PluginDefaults, told: Complaints
) -> dict[str, Preset]:
    """Return the presets that are asked for, by name."""
    known, found = preset_names(), {}
    for idx, patient in enumerate(patients):
        name = patient.preset
        if name is None:
            continue
        if name not in known:
            what = f"there is no preset {name!r}"
            told.add(("patients", idx, "preset"), what, suggestion(name, known))
        elif name not in found:
            found[name] = read_preset(name, plugins)
    return found


def _typed(base: Layer, told: Complaints) -> Layer:
    """Return the part of a layer that was given on the command line."""
    typed = {
        rule: {key: value for key, value in table.items() if ("alarms", rule, key) in told.raw}
        for rule, table in base.items()
    }
    return {rule: table for rule, table in typed.items() if table}


def _overlaid(plugins: PluginDefaults, layers: Iterable[Layer]) -> dict[str, Alarm]:
    """Return every rule as the layers set it, the last one first."""
    layers = tuple(layers)
    alarms = {}
    for name, rule in plugins.rules.items():
        set_so: dict[str, Any] = {
            "enabled": rule.enabled,
            "priority": rule.priority,
            **rule.settings,
        }
        for layer in layers:
            set_so |= layer.get(name, {})
        enabled, priority = set_so.pop("enabled"), set_so.pop("priority")
        alarms[name] = Alarm(enabled=enabled, priority=priority, settings=set_so)
    return alarms
