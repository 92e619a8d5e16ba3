"""``homeward config``: every setting in force and where it was set; schema; a file to start."""

from __future__ import annotations

import json as json_text
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli import DONE, WRONG_USE
from edge.cli._shared import (
    AsJson,
    ConfigFile,
    DataDir,
    find_config,
    load_config,
    plugin_defaults,
    print_json,
)

if TYPE_CHECKING:
    from edge.config import Setting


def command(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    json: AsJson = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of the settings file.")
    ] = False,
    toml: Annotated[
        bool, typer.Option("--toml", help="Print a complete commented file to start from.")
    ] = False,
) -> int:
    """Print every setting in force, its unit, and the file and line that set it.

    Fails with exit code 2 and lists every fault, with its line and its mend, when the
    configuration cannot be used; so it also checks a file before the monitor is restarted.
    """
    from edge.config import as_toml, effective, json_schema
    from edge.config.names import names_among

    if json + schema + toml > 1:
        typer.echo("homeward: choose one of --json, --schema and --toml", err=True)
        return WRONG_USE
    plugins = plugin_defaults()
    if schema:
        typer.echo(json_text.dumps(json_schema(plugins), indent=2, ensure_ascii=False))
        return DONE
    settings = load_config(config, data_dir, plugins)
    for warning in names_among(settings):
        typer.echo(f"homeward: {warning}", err=True)
    if toml:
        typer.echo(as_toml(settings, plugins), nl=False)
        return DONE
    rows = effective(settings, plugins)
    if json:
        for row in rows:
            print_json(row)
        print_json(_summary(rows, str(find_config(config) or "")))
    else:
        typer.echo(_table(rows))
    return DONE


def _summary(rows: tuple[Setting, ...], file: str) -> dict[str, object]:
    counts = Counter(row.source.startswith("default") for row in rows)
    return {
        "record": "config",
        "file": file,
        "n_settings": len(rows),
        "n_changed": counts[False],
    }


def _table(rows: tuple[Setting, ...]) -> str:
    """Return the settings in columns, as wide as they must be, so that nothing is cut off."""
    cells = [(row.key, _shown(row.value), row.source) for row in rows]
    key_width = max(len(key) for key, _, _ in cells)
    value_width = max(len(value) for _, value, _ in cells)
    lines: list[str] = []
    table = ""
    for key, value, source in cells:
        above = key.rpartition(".")[0]
        if lines and above != table:
            lines.append("")
        table = above
        lines.append(f"{key:<{key_width}}  {value:<{value_width}}  {source}")
    return "\n".join(lines)


def _shown(value: object) -> str:
    return "not set" if value is None else json_text.dumps(value, ensure_ascii=False)
