"""One table of the TOML against the struct or the rule it fills, value by value."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from edge.config.complaints import Complaints
from edge.config.settings import UNIT_WORDS, RuleDefaults, unit_of
from edge.config.toml_lines import KeyPath

_NUMBER: Final = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)")


def is_table(value: object, path: KeyPath, told: Complaints) -> bool:
    """Return whether `value` is a table; complain where it is not."""
    if isinstance(value, dict):
        return True
    told.add(path, f"must be a table, not {_shown(value)}", f"write [{path[0]}] and its keys below")
    return False


def tables_of(
    document: Mapping[str, Any], name: str, told: Complaints
) -> list[dict[str, Any] | None]:
    """Return the elements of an array of tables; None where one is something else."""
    array = document.get(name, [])
    if not isinstance(array, list):
        told.add((name,), "must be a list of tables", f"write [[{name}]], with two brackets")
        return []
    return [
        table if is_table(table, (name, idx), told) else None for idx, table in enumerate(array)
    ]


def read_struct(
    table: Mapping[str, Any],
    path: KeyPath,
    struct: type[msgspec.Struct],
    told: Complaints,
    folder: Path,
) -> dict[str, Any]:
    """Return the values of `table` that suit `struct`, by field; complain of all others.

    Parameters
    ----------
    folder : Path
        What relative paths are relative to.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    values: dict[str, Any] = {}
    for name, value in table.items():
        at = (*path, name)
        if name not in fields:
            told.unknown(at, fields)
            continue
        given = _as_typed(value, fields[name].type, told.raw.get(at))
        base = Path.cwd() if at in told.raw else folder
        try:
            values[fields[name].name] = _converted(given, fields[name].type, base)
        except (msgspec.ValidationError, ValueError, OverflowError):
            told.add(
                at,
                f"must be {expected(fields[name].type, name)}, not {_shown(given)}",
                _mend(name, given, "take the line out" if not fields[name].required else ""),
            )
    return values


def missing_fields(
    table: Mapping[str, Any], path: KeyPath, struct: type[msgspec.Struct], told: Complaints
) -> None:
    """Complain of every field without a default that `table` lacks."""
    for field in msgspec.structs.fields(struct):
        if field.required and field.encode_name not in table:
            what = expected(field.type, field.encode_name)
            told.add(path, f"{field.encode_name} is missing", f"add it: it is {what}")


def read_rule(
    table: Mapping[str, Any], path: KeyPath, rule: RuleDefaults, told: Complaints
) -> dict[str, float]:
    """Return the rule's settings as `table` changes them; complain of what it may not hold."""
    settings = dict(rule.settings)
    for name, value in table.items():
        at = (*path, name)
        if name not in settings:
            told.unknown(at, (*settings, "enabled", "priority"))
            continue
        low, high = rule.limits.get(name, (-math.inf, math.inf))
        if _is_number(value, whole=unit_of(name) == "n") and low <= value <= high:
            settings[name] = float(value)
        else:
            told.add(
                at,
                f"must be {rule_words(name, rule)}, not {_shown(value)}",
                _mend(name, value, f"take the line out for {rule.settings[name]:g}"),
            )
    return settings


def expected(kind: Any, name: str) -> str:  # noqa: ANN401  # any type a field may have
    """Return in words what a setting of that type and name may be.

    >>> expected(bool, "enabled")
    'true or false'
    """
    return _words(inspect.type_info(kind), name)


def rule_words(name: str, rule: RuleDefaults) -> str:
    """Return in words what a rule's setting may be."""
    low, high = rule.limits.get(name, (-math.inf, math.inf))
    return _number_words(name, low, high)


def meaning(kind: Any) -> str:  # noqa: ANN401  # any type a field may have
    """Return the description a field's type carries; empty where it has none."""
    info = inspect.type_info(kind)
    for part in (info, *(info.types if isinstance(info, inspect.UnionType) else ())):
        if isinstance(part, inspect.Metadata) and part.extra_json_schema:
            return str(part.extra_json_schema.get("description", ""))
    return ""


def _words(info: inspect.Type, name: str) -> str:
    match info:
        case inspect.Metadata():
            words = _words(info.type, name)
        case inspect.UnionType():
            parts = (t for t in info.types if not isinstance(t, inspect.NoneType))
            words = " or ".join(_words(part, name) for part in parts)
        case inspect.FloatType() | inspect.IntType():
            low = info.ge if info.ge is not None else -math.inf
            high = info.le if info.le is not None else math.inf
            words = _number_words(name, low, high, whole=isinstance(info, inspect.IntType))
        case inspect.EnumType():
            words = "one of " + ", ".join(f'"{member.value}"' for member in info.cls)
        case inspect.LiteralType():
            words = "one of " + ", ".join(f'"{value}"' for value in info.values)
        case inspect.StrType() if info.pattern and ":" in info.pattern:
            words = 'a time of day in "quotes", as "22:00"'
        case inspect.StrType() if info.pattern:
            words = 'text in "quotes" of letters, digits and . _ - that begins with none of these'
        case _:
            cls = getattr(info, "cls", type(info))
            words = _PLAIN_WORDS.get(cls, f"a {cls.__name__.removesuffix('Type').lower()}")
    return words


_PLAIN_WORDS: Final[Mapping[type, str]] = {
    inspect.BoolType: "true or false",
    inspect.StrType: 'text in "quotes"',
    inspect.DictType: "a table",
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
    Path: 'a path in "quotes"',
}


def _number_words(name: str, low: float, high: float, *, whole: bool = False) -> str:
    unit = unit_of(name)
    words = "a whole number" if whole or unit == "n" else "a number"
    if unit and unit != "n":
        words += f" ({UNIT_WORDS[unit]})"
    if math.isfinite(low) and math.isfinite(high):
        return f"{words} from {low:g} to {high:g}"
    if math.isfinite(low):
        return f"{words} of {low:g} or more"
    return f"{words} of {high:g} or less" if math.isfinite(high) else words


def _is_number(value: object, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        number = float(value)
    except OverflowError:
        return False
    return math.isfinite(number) and not (whole and number != int(number))


def _converted(value: object, kind: Any, base: Path) -> Any:  # noqa: ANN401  # a field's value
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a setting is a finite number")
    if _holds_path(kind):
        if value == "" and _may_be_unset(inspect.type_info(kind)):
            return None
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError("not a path")
        return Path(os.path.abspath(base / os.path.expanduser(value)))  # noqa: PTH100, PTH111  # ~ of nobody stays as it is
    return msgspec.convert(value, kind, strict=True)


def _holds_path(kind: Any) -> bool:  # noqa: ANN401  # any type a field may have
    return "a path" in expected(kind, "")


def _may_be_unset(info: inspect.Type) -> bool:
    inner = info.type if isinstance(info, inspect.Metadata) else info
    return isinstance(inner, inspect.UnionType) and inner.includes_none


def _as_typed(value: object, kind: Any, raw: str | None) -> object:  # noqa: ANN401  # any type
    """Return what was typed on the command line as text where text is wanted."""
    if raw is None:
        return value
    words = expected(kind, "")
    return raw if "quotes" in words or "one of" in words else value


def _shown(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {value[:40]!r}"
        case dict():
            return "a table"
        case list():
            return "a list"
        case int() if abs(value) > 10**20:
            return "a number that long"
        case _:
            return str(value)


def _mend(name: str, value: object, otherwise: str) -> str:
    """Return how to write it: the number without quotes and unit, where it holds one."""
    number = _NUMBER.match(value) if isinstance(value, str) else None
    if number and unit_of(name):
        return f"write {name} = {number[1]}, without quotes or unit"
    return f"correct it, or {otherwise}" if otherwise else "correct it"
