"""``[annunciators.<name>]``: the ways to be heard and seen at the box itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from edge.config.complaints import Complaints
from edge.config.fields import is_table, read_struct
from edge.config.settings import Annunciator, Document, PluginDefaults
from edge.config.toml_lines import KeyPath

TABLE: Final = "annunciators"
_COMMON: Final = ("enabled",)


def read_annunciators(
    document: Document, plugins: PluginDefaults, told: Complaints, folder: Path
) -> dict[str, Annunciator]:
    """Return every annunciator that exists as it is set; complain of what cannot be.

    Parameters
    ----------
    folder : Path
        What relative paths are relative to.
    """
    tables = document.get(TABLE, {})
    if not is_table(tables, (TABLE,), told):
        tables = {}
    for name in tables.keys() - plugins.annunciators.keys():
        told.unknown((TABLE, name), plugins.annunciators, "annunciator")
    return {
        name: _read(tables.get(name, {}), (TABLE, name), known.settings, told, folder)
        for name, known in plugins.annunciators.items()
    }


def _read(
    table: Any,  # noqa: ANN401  # whatever stands in the file
    path: KeyPath,
    options: type[msgspec.Struct],
    told: Complaints,
    folder: Path,
) -> Annunciator:
    if not is_table(table, path, told):
        table = {}
    common = {key: value for key, value in table.items() if key in _COMMON}
    rest = {key: value for key, value in table.items() if key not in common}
    shared = read_struct(common, path, Annunciator, told, folder)
    values = read_struct(rest, path, options, told, folder)
    try:
        settings = options(**values)
    except ValueError as error:  # what the annunciator itself refuses: an alarm nobody would hear
        told.add(path, str(error), "see its options in `homeward config --toml`")
        settings = options()
    return Annunciator(**shared, settings=settings)
