"""Limits as people type them, ``alarms.low_spo2.limit_pct=86``, checked against what is set."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from edge.config.checks import check_opposites
from edge.config.complaints import COMMAND_LINE, Complaints
from edge.config.layers import Layer, read_layer
from edge.config.settings import Alarm, Config, ConfigError, PluginDefaults
from edge.config.toml_lines import KeyPath

MAX_STEPS: Final = 60
"""Values of a sweep; more would say nothing new."""


def in_force(config: Config, patient: str) -> Mapping[str, Alarm]:
    """Return how every rule is set for a patient."""
    return config.patient_alarms.get(patient, config.alarms)


def read_changes(
    words: Sequence[str], before: Mapping[str, Alarm], plugins: PluginDefaults
) -> Layer:
    """Return what the words set, by rule and setting.

    Parameters
    ----------
    words : Sequence[str]
        ``alarms.low_spo2.limit_pct=86`` each; ``alarms.`` may be left out.
    before : Mapping[str, Alarm]
        What is in force, to be told of two limits that contradict each other.

    Raises
    ------
    ConfigError
        There is no such rule or setting, or it is out of its bounds; all faults are told.
    """
    tables: dict[str, dict[str, Any]] = {}
    raw: dict[KeyPath, str] = {}
    for word in words:
        rule, setting, typed = split(word)
        try:
            value = tomllib.loads(f"value = {typed}")["value"]
        except (ValueError, RecursionError):
            value = typed
        tables.setdefault(rule, {})[setting] = value
        raw["alarms", rule, setting] = typed
    told = Complaints(COMMAND_LINE, {}, raw)
    layer = read_layer(tables, ("alarms",), plugins, told, one_patient=True)
    told.raise_if_any()
    check_opposites(laid_over(before, layer), told)
    told.raise_if_any()
    return layer


def laid_over(before: Mapping[str, Alarm], layer: Layer) -> dict[str, Alarm]:
    """Return every rule as the layer sets it over what was before."""
    after = dict(before)
    for rule, table in layer.items():
        values = {key: value for key, value in table.items() if key != "enabled"}
        one = before[rule]
        after[rule] = msgspec.structs.replace(
            one,
            enabled=table.get("enabled", one.enabled),
            settings={**one.settings, **values},
        )
    return after


def read_sweep(
    word: str, before: Mapping[str, Alarm], plugins: PluginDefaults
) -> tuple[str, str, tuple[float, ...]]:
    """Return rule, setting and values of ``alarms.low_spo2.limit_pct=84..92`` (``..92:2``).

    Raises
    ------
    ConfigError
        It is no such thing, a value is out of its bounds, or there are too many.
    """
    rule, setting, typed = split(word)
    span, _, step_text = typed.partition(":")
    first, dots, last = span.partition("..")
    try:
        low, high, step = float(first), float(last), float(step_text or 1.0)
    except ValueError:
        dots = ""
    if not dots or not low < high or not step > 0.0 or (high - low) / step >= MAX_STEPS:
        raise ConfigError(
            f"{COMMAND_LINE}: {word!r} is no sweep; write e.g. alarms.low_spo2.limit_pct=84..92, "
            f"or =84..92:2 for every second one, {MAX_STEPS} values at most"
        )
    n = int((high - low) / step + 1e-9) + 1
    values = tuple(round(low + idx * step, 6) for idx in range(n))
    for value in (values[0], values[-1]):
        read_changes([f"{rule}.{setting}={value!r}"], before, plugins)
    return rule, setting, values


def split(word: str) -> tuple[str, str, str]:
    """Return rule, setting and value of ``alarms.rule.setting=value``.

    Raises
    ------
    ConfigError
        It is no such thing.

    >>> split("alarms.low_spo2.limit_pct=86")
    ('low_spo2', 'limit_pct', '86')
    """
    key, equals, value = word.partition("=")
    parts = key.strip().removeprefix("alarms.").split(".")
    if not equals or len(parts) != 2 or not all(parts) or not value.strip():
        raise ConfigError(
            f"{COMMAND_LINE}: {word!r} sets no limit; write e.g. alarms.low_spo2.limit_pct=86 "
            f"(`homeward limits` lists them)"
        )
    return parts[0], parts[1], value.strip()
