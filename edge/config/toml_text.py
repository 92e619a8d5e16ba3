"""`Config` -> a commented TOML file to start from; `edge.config.load` reads it back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import wrap
from typing import Final

import msgspec

from edge.config.fields import expected, meaning, rule_words
from edge.config.listing import Setting, effective
from edge.config.settings import (
    TABLES,
    Alarm,
    Annunciator,
    Config,
    Notice,
    Patient,
    PluginDefaults,
    Sink,
    Source,
)

_WIDTH: Final = 96
_NOT_SET_HERE: Final = ("default", "environment", "preset")


def as_toml(config: Config, plugins: PluginDefaults) -> str:
    """Return a complete commented TOML file; what has its default is commented out.

    `edge.config.load` reads it back into the same configuration.
    """
    lines = [
        "# Homeward's settings. Everything here is optional: a name right after # shows a default,",
        "# take the # away to change it. The last word of a name is its unit: _s seconds, _pct %.",
    ]
    previous = ""
    for setting in effective(config, plugins):
        table, _, _ = setting.key.rpartition(".")
        if table != previous:
            lines += ["", *_header(table, plugins)]
            previous = table
        lines += _lines(setting, table, config, plugins)
    if not config.sources:
        names = ", ".join(plugins.readers)
        lines += ["", "# One table for each sensor; its reader is one of: " + names, "#[[sources]]"]
        lines.append(f'#reader = "{next(iter(plugins.readers), "")}"')
    return "\n".join(lines) + "\n"


def _header(table: str, plugins: PluginDefaults) -> Iterator[str]:
    patient, _, rule = table.partition(".alarms.")
    if rule:
        yield f"[{patient.partition('[')[0]}.alarms.{rule}]"
        return
    if table.startswith("alarms."):
        source = plugins.rules[table.removeprefix("alarms.")].source
        yield from (f"# {line}" for line in source.splitlines())
    name, is_element, _ = table.partition("[")
    yield f"[[{name}]]" if is_element else f"[{name}]"


def _lines(setting: Setting, table: str, config: Config, plugins: PluginDefaults) -> Iterator[str]:
    name = setting.key.rpartition(".")[2]
    yield from (f"# {line}" for line in wrap(_meaning(name, table, config, plugins), _WIDTH))
    sign = "#" if setting.source.startswith(_NOT_SET_HERE) else ""
    yield f"{sign}{name} = {'' if setting.value is None else toml_value(setting.value)}"


def _meaning(name: str, table: str, config: Config, plugins: PluginDefaults) -> str:
    """Return what a setting may be, in one line."""
    of_rule = table.removeprefix("alarms.") if table.startswith("alarms.") else ""
    of_rule = of_rule or table.partition(".alarms.")[2]
    if of_rule and name in plugins.rules[of_rule].settings:
        return f"Write {rule_words(name, plugins.rules[of_rule])}."
    structs = (Alarm,) if of_rule else _structs(table, config)
    for struct in structs:
        for field in msgspec.structs.fields(struct):
            if field.encode_name == name:
                told = meaning(field.type)
                return f"{told} Write {expected(field.type, name)}.".strip()
    raise KeyError(name)


def _structs(table: str, config: Config) -> tuple[type[msgspec.Struct], ...]:
    """Return what the keys of a table are fields of."""
    name, _, at = table.partition("[")
    n = int(at.rstrip("]")) if at else 0
    match name:
        case "sources":
            return Source, type(config.sources[n].settings)
        case "notices":
            return Notice, type(config.notices[n].settings)
        case "sinks":
            return Sink, type(config.sinks[n].settings)
        case "patients":
            return (Patient,)
        case _ if name.startswith("annunciators."):
            annunciator = config.annunciators[table.removeprefix("annunciators.")]
            return Annunciator, type(annunciator.settings)
        case _:
            return (TABLES[table],)


def toml_value(value: object) -> str:
    r"""Return a plain value as TOML writes it.

    >>> toml_value('a "b"'), toml_value(88.0), toml_value(True), toml_value([1, {"a": 2}])
    ('"a \\"b\\""', '88.0', 'true', '[1, {"a" = 2}]')
    """
    match value:
        case str():
            # JSON's escapes are TOML's, but for the one control character JSON lets through.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(toml_value(v) for v in value)}]"
        case dict():
            pairs = (f"{toml_value(str(k))} = {toml_value(v)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            raise TypeError(f"TOML has no word for {type(value).__name__}")
