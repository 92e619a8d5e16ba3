"""`Config` -> every setting with its value and origin, and back to plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge.config.layers import differences
from edge.config.settings import (
    TABLES,
    Alarm,
    Config,
    Document,
    Notice,
    Patient,
    PluginDefaults,
    Sink,
    Source,
    unit_of,
)


class Setting(msgspec.Struct, frozen=True, tag="setting", tag_field="record"):
    """One line of the effective configuration.

    Attributes
    ----------
    key : str
        As in the TOML, dotted: ``alarms.low_spo2.limit_pct``, ``sources[0].reader``.
    value : object
        A plain value; None: not set.
    unit : str
        Last word of the key; empty where there is none.
    source : str
        ``file:line``, ``command line``, ``environment NAME``, ``preset NAME (file:line)`` or
        ``default (file)``.
    """

    key: str
    value: Any
    unit: str
    source: str


def effective(config: Config, plugins: PluginDefaults) -> tuple[Setting, ...]:
    """Return every setting, in the order of the TOML, and where its value comes from."""
    return tuple(_settings(config, plugins))


def as_document(config: Config) -> Document:
    """Return the configuration as plain values, laid out like the TOML and complete.

    `edge.config.from_document` reads it back; a packet log's checkpoint holds it.
    """
    fixed = {name: _plain(msgspec.structs.asdict(getattr(config, name))) for name in TABLES}
    return {
        "box": fixed.pop("box"),
        "patients": [_patient_table(patient, config) for patient in config.patients],
        "sources": [_source_table(source) for source in config.sources],
        "alarms": {name: _alarm_table(alarm) for name, alarm in config.alarms.items()},
        "annunciators": {
            name: _plain({"enabled": one.enabled, **msgspec.structs.asdict(one.settings)})
            for name, one in config.annunciators.items()
        },
        "notices": [_notice_table(notice) for notice in config.notices],
        "sinks": [_sink_table(sink) for sink in config.sinks],
        **fixed,
    }


def _settings(config: Config, plugins: PluginDefaults) -> Iterator[Setting]:
    for name, content in as_document(config).items():
        if name in ("alarms", "annunciators"):
            known = plugins.rules if name == "alarms" else plugins.annunciators
            for plugin, table in content.items():
                default = f"default ({known[plugin].where})"
                yield from _listed(f"{name}.{plugin}", table, config, default)
        elif isinstance(content, list):
            for idx, table in enumerate(content):
                default = f"default ({_where(name, table, plugins)})"
                theirs = table.pop("alarms", {}) if name == "patients" else {}
                yield from _listed(f"{name}[{idx}]", table, config, default)
                for rule, settings in theirs.items():
                    yield from _listed(f"{name}[{idx}].alarms.{rule}", settings, config, default)
        else:
            default = "default (edge/config/settings.py)"
            yield from _listed(name, content, config, default)


def _where(name: str, table: Mapping[str, Any], plugins: PluginDefaults) -> str:
    """Return the file with the defaults of one element of a list."""
    match name:
        case "sources":
            return plugins.readers[table["reader"]].where
        case "notices":
            return plugins.channels[table["channel"]].where
        case "sinks":
            return plugins.sinks[table["sink"]].where
        case _:
            return "edge/config/settings.py"


def _listed(
    above: str, table: Mapping[str, Any], config: Config, default: str
) -> Iterator[Setting]:
    for name, value in table.items():
        key = f"{above}.{name}"
        yield Setting(key, value, unit_of(name), config.origins.get(key, default))


def _patient_table(patient: Patient, config: Config) -> Document:
    table = _plain(msgspec.structs.asdict(patient))
    theirs = differences(config.alarms, config.patient_alarms.get(patient.id, {}))
    if theirs:
        table["alarms"] = {rule: _numbers(settings) for rule, settings in theirs.items()}
    return table


def _source_table(source: Source) -> Document:
    # The names of the TOML, not of the struct's fields, where a reader renames them.
    options = {
        field.encode_name: getattr(source.settings, field.name)
        for field in msgspec.structs.fields(source.settings)
    }
    return _plain(
        {"reader": source.reader, "name": source.name, "patient": source.patient, **options}
    )


def _notice_table(notice: Notice) -> Document:
    common = msgspec.structs.asdict(notice)
    del common["settings"]
    return _plain({**common, **msgspec.structs.asdict(notice.settings)})


def _sink_table(sink: Sink) -> Document:
    common = msgspec.structs.asdict(sink)
    del common["settings"]
    return _plain({**common, **msgspec.structs.asdict(sink.settings)})


def _alarm_table(alarm: Alarm) -> Document:
    return {
        "enabled": alarm.enabled,
        "priority": str(alarm.priority),
        **_numbers(alarm.settings),
    }


def _numbers(settings: Mapping[str, Any]) -> Document:
    return {n: int(v) if unit_of(n) == "n" else v for n, v in settings.items()}


def _plain(table: Mapping[str, Any]) -> Document:
    """Return the table with paths as text; None stays and says "not set"."""
    plain: Document = msgspec.to_builtins(dict(table), enc_hook=_text)
    return plain


def _text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"a setting cannot hold {type(value).__name__}")
