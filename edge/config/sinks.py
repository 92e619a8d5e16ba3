"""``[[sinks]]``: destinations of alerts and summaries, read.

No secret stands in the configuration: keys, tokens and passwords are the content of files that
only their user can read, and in the settings are the files' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config.complaints import Complaints, suggestion
from edge.config.fields import is_table, missing_fields, read_struct
from edge.config.plugins import PluginDefaults, SinkDefaults
from edge.config.settings import Document, Sink
from edge.config.toml_lines import KeyPath

TABLE: Final = "sinks"
MAX_SINKS: Final = 16
"""As many as the monitor has places for (`edge.egress.outbox.MAX_SINKS`)."""


def read_sinks(
    document: Document,
    plugins: PluginDefaults,
    told: Complaints,
    folder: Path,
    others: Sequence[str] = (),
) -> tuple[Sink, ...]:
    """Return every destination; complain of what cannot be.

    Parameters
    ----------
    folder : Path
        What relative paths are relative to.
    others : Sequence[str]
        Names that are taken: the ledger knows a destination by its name alone.
    """
    array = document.get(TABLE, [])
    if not isinstance(array, list):
        told.add((TABLE,), "must be a list of tables", f"write [[{TABLE}]], with two brackets")
        return ()
    if len(array) > MAX_SINKS:
        told.add((TABLE,), f"are {len(array)}, more than {MAX_SINKS}", "take some out")
    found = [
        _read(table, (TABLE, idx), plugins, told, folder)
        for idx, table in enumerate(array[:MAX_SINKS])
    ]
    sinks = _named([one for one in found if one is not None])
    _check_names([*(one.name for one in sinks), *others], others, told)
    return sinks


def _read(
    table: Any,  # noqa: ANN401  # whatever stands in the file
    path: KeyPath,
    plugins: PluginDefaults,
    told: Complaints,
    folder: Path,
) -> Sink | None:
    if not is_table(table, path, told):
        return None
    name = table.get("sink")
    known = plugins.sinks.get(name) if isinstance(name, str) else None
    if known is None:
        mend = suggestion(str(name or ""), tuple(plugins.sinks))
        told.add((*path, "sink"), f"there is no sink {name!r}", mend)
        return None
    own = {field.encode_name for field in msgspec.structs.fields(Sink)} - {"settings"}
    common = {key: value for key, value in table.items() if key in own}
    rest = {key: value for key, value in table.items() if key not in own}
    shared = read_struct(common, path, Sink, told, folder)
    shared["content"] = _content(shared.get("content"), known, path, told)
    settings = _settings(rest, path, known, told, folder)
    return None if settings is None else Sink(**shared, settings=settings)


def _content(
    given: tuple[str, ...] | None, known: SinkDefaults, path: KeyPath, told: Complaints
) -> tuple[str, ...]:
    """Return what goes there: without a word in the file what it can carry of the default."""
    if given is None:
        default = next(f for f in msgspec.structs.fields(Sink) if f.name == "content").default
        carried = tuple(one for one in default if one in known.takes)
        return carried or tuple(sorted(known.takes))
    for one in given:
        if one not in known.takes:
            able = ", ".join(f'"{name}"' for name in sorted(known.takes))
            told.add((*path, "content"), f"it cannot carry {one!r}", f"it can carry {able}")
    return tuple(dict.fromkeys(given))


def _settings(
    rest: Document, path: KeyPath, known: SinkDefaults, told: Complaints, folder: Path
) -> msgspec.Struct | None:
    values = read_struct(rest, path, known.settings, told, folder)
    missing_fields(rest, path, known.settings, told)
    try:
        return known.settings(**values)
    except (TypeError, ValueError) as error:
        if isinstance(error, ValueError):
            told.add(path, str(error), "see the sink's options in `homeward config --schema`")
        return None  # a value is missing, which was just said


def _named(sinks: Sequence[Sink]) -> tuple[Sink, ...]:
    """Return them all with a name: the sink's, counted, where none was given."""
    named: list[Sink] = []
    for sink in sinks:
        n_alike = sum(one.sink == sink.sink for one in named)
        default = sink.sink + (f"-{n_alike + 1}" if n_alike else "")
        named.append(msgspec.structs.replace(sink, name=sink.name or default))
    return tuple(named)


def _check_names(names: Sequence[str], others: Sequence[str], told: Complaints) -> None:
    for name in sorted({name for name in names if names.count(name) > 1} - _twice(others)):
        told.add((TABLE,), f"{name!r} is the name of two", "give each a name of its own")


def _twice(names: Sequence[str]) -> set[str]:
    """Return what was complained of already."""
    return {name for name in names if names.count(name) > 1}
