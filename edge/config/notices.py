"""``[[notices]]`` and ``[deadman]``: who is told beyond the box, and through what.

No secret stands in the configuration: an address that is one (a topic, a token, the URL of a chat)
is the content of a file that only its user can read, and here is the file's name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from edge.config import destinations
from edge.config.complaints import Complaints
from edge.config.fields import read_struct
from edge.config.settings import Document, Notice, PluginDefaults
from edge.config.toml_lines import KeyPath

TABLE: Final = "notices"
MAX_NOTICES: Final = 32
"""More destinations than that are a slip of the pen."""


def read_notices(
    document: Document, plugins: PluginDefaults, told: Complaints, folder: Path
) -> tuple[Notice, ...]:
    """Return every destination; complain of what cannot be.

    Parameters
    ----------
    folder : Path
        What relative paths are relative to.
    """
    tables = destinations.tables_of(document, TABLE, MAX_NOTICES, told)
    found = [_read(table, path, plugins, told, folder) for path, table in tables]
    notices = destinations.named([one for one in found if one is not None], "channel")
    destinations.check_names(TABLE, [one.name for one in notices], told)
    return notices


def _read(
    table: Any,  # noqa: ANN401  # whatever stands in the file
    path: KeyPath,
    plugins: PluginDefaults,
    told: Complaints,
    folder: Path,
) -> Notice | None:
    known = destinations.known_of(table, path, "channel", plugins.channels, told)
    if known is None:
        return None
    common, rest = destinations.parted(table, Notice)
    shared = read_struct(common, path, Notice, told, folder)
    missing = "url_file" not in common
    if missing:
        told.add(path, "url_file is missing", 'name the file with its address: url_file = "anna"')
    settings = destinations.settings_of(rest, path, known, told, folder)
    if missing or "url_file" not in shared or settings is None:
        return None
    return Notice(**shared, settings=settings)
