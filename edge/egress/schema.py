"""The list of what may leave as a table for people, and what no struct in it may have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import inspect

from edge.egress.allowed import ALLOWED
from edge.egress.bounds import MAX_TEXT, N_QUANTILES
from edge.egress.outbox import Handed

MAX_WITH_NUMBERS: Final = 16
"""Structs with numbers in one message at most, where they come in a row."""
_UNITS: Final = {
    "_s": "s",
    "_bpm": "per min",
    "_brpm": "per min",
    "_pct": "%",
    "_degc": "degC",
}
_NUMBERS: Final = (inspect.IntType, inspect.FloatType)
_SIMPLE: Final = {
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "date and time",
    inspect.StructType: "fields of its own",
    inspect.IntType: "whole number",
    inspect.FloatType: "number",
}
_CLOSED: Final = (
    inspect.BoolType,
    inspect.NoneType,
    inspect.DateTimeType,
    inspect.EnumType,
    inspect.LiteralType,
)


class FieldRow(msgspec.Struct, frozen=True, tag="egress_field", tag_field="record"):
    """One field that may leave.

    Attributes
    ----------
    kind, version : str, int
        Of which kind of content.
    field : str
        Its name; a dotted one is a field of what is in it, ``[]`` one of several.
    holds : str
        Its type and bounds, for people.
    unit : str
        Empty: it has none.
    meaning : str
        What it is.
    """

    kind: str
    version: int
    field: str
    holds: str
    unit: str
    meaning: str


def rows() -> Iterator[FieldRow]:
    """Give every field of every kind."""
    for content, allowed in ALLOWED.items():
        for name, kind, said in _walk(inspect.type_info(allowed.struct), ""):
            unit = _unit(name) if _is_number(kind) else ""
            yield FieldRow(content.value, allowed.version, name, _words(kind), unit, said)


def faults(struct: type[msgspec.Struct]) -> list[str]:
    """Return what a struct of the list must not have; empty: nothing."""
    return list(_faults(inspect.type_info(struct), struct.__name__))


def _walk(info: inspect.Type, above: str) -> Iterator[tuple[str, inspect.Type, str]]:
    """Give the fields in a type: their dotted names, types and meanings."""
    match _bare(info):
        case inspect.StructType(fields=fields):
            for field in fields:
                name = f"{above}.{field.encode_name}" if above else field.encode_name
                inner = list(_walk(field.type, name))
                if not inner or _is_row(field.type):
                    yield name, field.type, _meaning(field.type)
                yield from inner
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            yield from _walk(item, f"{above}[]")
        case inspect.UnionType(types=types):
            for one in types:
                yield from _walk(one, above)
        case _:
            return


def _faults(info: inspect.Type, at: str) -> Iterator[str]:
    bare = _bare(info)
    match bare:
        case inspect.StructType(fields=fields):
            for field in fields:
                where = f"{at}.{field.encode_name}"
                if not _meaning(field.type):
                    yield f"{where} has no meaning: give its Meta a description"
                yield from _faults(field.type, where)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _faults(one, at)
        case inspect.VarTupleType(item_type=item, max_length=most):
            yield from _row_faults(item, most, at)
        case _:
            yield from _leaf_faults(bare, at)


def _leaf_faults(bare: inspect.Type, at: str) -> Iterator[str]:
    """Give what is wrong with a single value."""
    match bare:
        case inspect.StrType(max_length=most, pattern=pattern):
            if not _short(most, pattern):
                yield f"{at} is a text without a bound"
        case inspect.IntType(ge=low):
            if low is None:
                yield f"{at} is a number without bounds"
        case inspect.FloatType(ge=low, le=high):
            if low is None or high is None:
                yield f"{at} is a number without bounds"
        case _:
            if not isinstance(bare, _CLOSED):
                yield f"{at} is a {type(bare).__name__}: nobody can say what it may hold"


def _row_faults(item: inspect.Type, most: int | None, at: str) -> Iterator[str]:
    """Give what is wrong with several of something: numbers in a row could be a signal."""
    if most is None:
        yield f"{at} has no bound on how many"
    elif _is_number(item) and most > N_QUANTILES:
        yield f"{at} holds {most} numbers in a row, more than {N_QUANTILES}"
    elif isinstance(item, inspect.StructType) and item.cls is Handed:
        pass  # each is an entry of the outbox, and may leave by itself: no run of anything
    elif _has_numbers(item) and most > MAX_WITH_NUMBERS and not _only_counts(item):
        yield f"{at} holds {most} rows of numbers, more than {MAX_WITH_NUMBERS}"
    yield from _faults(item, f"{at}[]")


def _bare(info: inspect.Type) -> inspect.Type:
    while isinstance(info, inspect.Metadata):
        info = info.type
    return info


def _is_row(info: inspect.Type) -> bool:
    return isinstance(_bare(info), inspect.VarTupleType | inspect.ListType)


def _is_number(info: inspect.Type) -> bool:
    bare = _bare(info)
    if isinstance(bare, inspect.UnionType):
        return any(_is_number(one) for one in bare.types)
    return isinstance(bare, _NUMBERS)


def _has_numbers(info: inspect.Type) -> bool:
    return any(_is_number(kind) for _, kind, _ in _walk(info, ""))


def _only_counts(info: inspect.Type) -> bool:
    """Return whether its numbers are single counts: how often a rule alarmed, say."""
    numbers = [_bare(kind) for _, kind, _ in _walk(info, "") if _is_number(kind)]
    return len(numbers) == 1 and isinstance(numbers[0], inspect.IntType)


def _short(most: int | None, pattern: str | None) -> bool:
    if most is not None:
        return most <= MAX_TEXT
    ends = re.findall(r"\{\d+,(\d+)\}\$$", pattern or "")
    return bool(ends) and int(ends[0]) <= MAX_TEXT


def _meaning(info: inspect.Type) -> str:
    if isinstance(info, inspect.Metadata):
        said = (info.extra_json_schema or {}).get("description", "")
        return str(said) or _meaning(info.type)
    if isinstance(info, inspect.UnionType):
        return next(filter(None, map(_meaning, info.types)), "")
    return ""


def _words(info: inspect.Type) -> str:
    """Return a type and its bounds in words."""
    bare = _bare(info)
    words = _SIMPLE.get(type(bare), type(bare).__name__)
    match bare:
        case inspect.StrType(max_length=most, pattern=pattern):
            words = f"text of at most {most}" if most is not None else f"text like {pattern}"
        case inspect.IntType(ge=low, le=high) | inspect.FloatType(ge=low, le=high):
            words += f", {_range(low, high)}"
        case inspect.EnumType(cls=cls):
            words = "one of " + ", ".join(str(one.value) for one in cls)
        case inspect.LiteralType(values=values):
            words = "one of " + ", ".join(map(str, values))
        case inspect.VarTupleType(item_type=item, max_length=most):
            words = f"at most {most}, each {_words(item)}"
        case inspect.UnionType(types=types):
            kinds = [_words(one) for one in types if not isinstance(one, inspect.NoneType)]
            words = " or ".join([*kinds, "nothing"])
        case _:
            pass
    return words


def _range(low: float | None, high: float | None) -> str:
    return f"{low:g} to {high:g}" if high is not None else f"{low:g} or more"


def _unit(name: str) -> str:
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")


def table() -> str:
    """Return the list as text, one field a line."""
    lines: list[str] = []
    for content, allowed in ALLOWED.items():
        consent = f"consent: {allowed.consent}" if allowed.consent else "no consent needed"
        lines.append(f"{content.value} (version {allowed.version}; {consent}): {allowed.words}")
        for row in rows():
            if row.kind == content.value:
                unit = f" [{row.unit}]" if row.unit else ""
                lines.append(f"    {row.field}: {row.holds}{unit}. {row.meaning}.")
        lines.append("")
    return "\n".join(lines)
