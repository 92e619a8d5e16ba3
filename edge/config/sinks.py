"""``[[sinks]]``: destinations of alerts and summaries, read.

No secret stands in the configuration: keys, tokens and passwords are the content of files that
only their user can read, and in the settings are the files' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config import destinations
from edge.config.complaints import Complaints
from edge.config.fields import read_struct
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
    tables = destinations.tables_of(document, TABLE, MAX_SINKS, told)
    found = [_read(table, path, plugins, told, folder) for path, table in tables]
    sinks = destinations.named([one for one in found if one is not None], "sink")
    destinations.check_names(TABLE, [one.name for one in sinks], told, others)
    return sinks


def _read(
    table: Any,  # noqa: ANN401  # whatever stands in the file
    path: KeyPath,
    plugins: PluginDefaults,
    told: Complaints,
    folder: Path,
) -> Sink | None:
    known = destinations.known_of(table, path, "sink", plugins.sinks, told)
    if known is None:
        return None
    common, rest = destinations.parted(table, Sink)
    shared = read_struct(common, path, Sink, told, folder)
    shared["content"] = _content(shared.get("content"), known, path, told)
    settings = destinations.settings_of(rest, path, known, told, folder)
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
