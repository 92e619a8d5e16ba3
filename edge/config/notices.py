"""``[[notices]]`` and ``[deadman]``: who is told beyond the box, and through what.

No secret stands in the configuration: an address that is one (a topic, a token, the URL of a chat)
is the content of a file that only its user can read, and here is the file's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config.complaints import Complaints, suggestion
from edge.config.fields import is_table, missing_fields, read_struct
from edge.config.settings import ChannelDefaults, Document, Notice, PluginDefaults
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
    array = document.get(TABLE, [])
    if not isinstance(array, list):
        told.add((TABLE,), "must be a list of tables", f"write [[{TABLE}]], with two brackets")
        return ()
    if len(array) > MAX_NOTICES:
        told.add((TABLE,), f"are {len(array)}, more than {MAX_NOTICES}", "take some out")
    found = [
        _read(table, (TABLE, idx), plugins, told, folder)
        for idx, table in enumerate(array[:MAX_NOTICES])
    ]
    notices = _named([one for one in found if one is not None])
    _check_names([one.name for one in notices], told)
    return notices


def _read(
    table: Any,  # noqa: ANN401  # whatever stands in the file
    path: KeyPath,
    plugins: PluginDefaults,
    told: Complaints,
    folder: Path,
) -> Notice | None:
    if not is_table(table, path, told):
        return None
    channel = table.get("channel")
    known = plugins.channels.get(channel) if isinstance(channel, str) else None
    if known is None:
        mend = suggestion(str(channel or ""), tuple(plugins.channels))
        told.add((*path, "channel"), f"there is no channel {channel!r}", mend)
        return None
    own = {field.encode_name for field in msgspec.structs.fields(Notice)} - {"settings"}
    common = {key: value for key, value in table.items() if key in own}
    rest = {key: value for key, value in table.items() if key not in own}
    shared = read_struct(common, path, Notice, told, folder)
    missing = "url_file" not in common
    if missing:
        told.add(path, "url_file is missing", 'name the file with its address: url_file = "anna"')
    settings = _settings(rest, path, known, told, folder)
    return None if missing or "url_file" not in shared else Notice(**shared, settings=settings)


def _settings(
    rest: Document, path: KeyPath, known: ChannelDefaults, told: Complaints, folder: Path
) -> msgspec.Struct:
    values = read_struct(rest, path, known.settings, told, folder)
    missing_fields(rest, path, known.settings, told)
    try:
        return known.settings(**values)
    except (TypeError, ValueError) as error:
        told.add(path, str(error), "see the channel's options in `homeward config`")
        return known.settings()


def _named(notices: Sequence[Notice]) -> tuple[Notice, ...]:
    """Return them all with a name: the channel's, counted, where none was given."""
    named: list[Notice] = []
    for notice in notices:
        n_alike = sum(one.channel == notice.channel for one in named)
        default = notice.channel + (f"-{n_alike + 1}" if n_alike else "")
        named.append(msgspec.structs.replace(notice, name=notice.name or default))
    return tuple(named)


def _check_names(names: Sequence[str], told: Complaints) -> None:
    for name in sorted({name for name in names if names.count(name) > 1}):
        told.add((TABLE,), f"{name!r} is the name of two", "give each a name of its own")
