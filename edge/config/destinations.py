"""``[[notices]]`` and ``[[sinks]]``: what reading one array of destinations has in common.

A table names its plug-in under one key and holds the options of that plug-in beside those that all
of its kind have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from edge.config.complaints import Complaints, suggestion
from edge.config.fields import is_table, missing_fields, read_struct
from edge.config.settings import Document
from edge.config.toml_lines import KeyPath


class Known(Protocol):
    """What this floor must know of a plug-in: the struct of its options."""

    @property
    def settings(self) -> type[msgspec.Struct]:
        """Return it."""
        ...


_K = TypeVar("_K", bound=Known)
_S = TypeVar("_S", bound=msgspec.Struct)


def tables_of(
    document: Document, name: str, most: int, told: Complaints
) -> list[tuple[KeyPath, Any]]:
    """Return the tables of an array with where they stand; complain of what is no array."""
    array = document.get(name, [])
    if not isinstance(array, list):
        told.add((name,), "must be a list of tables", f"write [[{name}]], with two brackets")
        return []
    if len(array) > most:
        told.add((name,), f"are {len(array)}, more than {most}", "take some out")
    return [((name, number), table) for number, table in enumerate(array[:most])]


def known_of(
    table: Any,  # noqa: ANN401  # whatever stands in the file
    path: KeyPath,
    key: str,
    plugins: Mapping[str, _K],
    told: Complaints,
) -> _K | None:
    """Return the plug-in a table names under `key`; complain where there is none."""
    if not is_table(table, path, told):
        return None
    name = table.get(key)
    known = plugins.get(name) if isinstance(name, str) else None
    if known is None:
        mend = suggestion(str(name or ""), tuple(plugins))
        told.add((*path, key), f"there is no {key} {name!r}", mend)
    return known


def parted(table: Document, struct: type[msgspec.Struct]) -> tuple[Document, Document]:
    """Return the options that all of a kind have, and the plug-in's own."""
    own = {field.encode_name for field in msgspec.structs.fields(struct)} - {"settings"}
    common = {key: value for key, value in table.items() if key in own}
    return common, {key: value for key, value in table.items() if key not in own}


def settings_of(
    rest: Document, path: KeyPath, known: Known, told: Complaints, folder: Path
) -> msgspec.Struct | None:
    """Return a plug-in's own options; None: they cannot be, which was said."""
    values = read_struct(rest, path, known.settings, told, folder)
    missing_fields(rest, path, known.settings, told)
    try:
        return known.settings(**values)
    except TypeError:
        return None  # a value is missing, which was just said
    except ValueError as error:
        told.add(path, str(error), "see its options in `homeward config --schema`")
        return None


def named(found: Sequence[_S], key: str) -> tuple[_S, ...]:
    """Return them all with a name: the plug-in's, counted, where none was given."""
    made: list[_S] = []
    for one in found:
        plugin = getattr(one, key)
        n_alike = sum(getattr(other, key) == plugin for other in made)
        default = plugin + (f"-{n_alike + 1}" if n_alike else "")
        made.append(msgspec.structs.replace(one, name=getattr(one, "name", "") or default))
    return tuple(made)


def check_names(
    table: str, names: Sequence[str], told: Complaints, others: Sequence[str] = ()
) -> None:
    """Complain of a name that two have; `others`: names of another array, taken too."""
    every = [*names, *others]
    for name in sorted({one for one in every if every.count(one) > 1}):
        if others.count(name) < 2:  # of that was complained where they stand
            told.add((table,), f"{name!r} is the name of two", "give each a name of its own")
