"""TOML -> `Config`: every fault is found in one go and told with its line and its mend."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from edge.config.annunciators import read_annunciators
from edge.config.checks import (
    check_names,
    check_scale,
    check_socket,
    check_steps,
)
from edge.config.complaints import COMMAND_LINE, Complaints, dotted, syntax_error
from edge.config.fields import is_table, read_struct
from edge.config.kept import Kept, as_kept, named, set_aside, tables_by_id
from edge.config.layers import read_alarms
from edge.config.notices import read_notices
from edge.config.retention import Retention
from edge.config.selftest import SelfTest
from edge.config.settings import (
    TABLES,
    Alerts,
    Box,
    Config,
    ConfigError,
    Consent,
    Deadman,
    Document,
    Escalation,
    Ledger,
    Model,
    Patient,
    PluginDefaults,
    Ring,
    Summaries,
    Sync,
    Vault,
)
from edge.config.sinks import read_sinks
from edge.config.sources import read_patients, read_sources
from edge.config.store import Store
from edge.config.toml_lines import KeyPath, key_lines

_SYSTEM_DATA_DIR: Final = Path("/var/lib/homeward")


def load(
    path: Path | None,
    plugins: PluginDefaults,
    *,
    overrides: Mapping[str, str] | None = None,
    kept: Callable[[Path], Kept] | None = None,
    only: Collection[str] = (),
) -> Config:
    """Return the complete configuration: defaults, changed by the file, changed by `overrides`.

    Parameters
    ----------
    path : Path | None
        A TOML file; None: the defaults alone.
    plugins : PluginDefaults
        Rules and readers that exist, with their defaults.
    overrides : Mapping[str, str]
        Dotted key -> value as typed, e.g. ``{"alarms.low_spo2.limit_pct": "85"}``. Lists
        (patients, sources) cannot be reached.
    kept : Callable | None
        What gives what people changed from the data directory (`edge.config.kept.read_kept`).
    only : Collection[str]
        Tables that are read, where not all are: what stands in the others is not looked at, and
        they have their defaults.

    Raises
    ------
    ConfigError
        The file cannot be read or is not TOML, or settings in it are wrong; all of them are told.
    """
    text = _read(path) if path else ""
    file = str(path) if path else "defaults"
    try:
        document = tomllib.loads(text)
        lines = dict(key_lines(text))
    except (ValueError, RecursionError) as error:
        raise syntax_error(file, text, error) from error
    raw: dict[KeyPath, str] = {}
    for key, value in (overrides or {}).items():
        raw[_set(document, key, value)] = value
    if only:
        unread = {*TABLES, *_OTHERS}.difference(only)
        document = {name: table for name, table in document.items() if name not in unread}
    folder = path.absolute().parent if path else Path.cwd()
    return _checked(document, plugins, Complaints(file, lines, raw), folder, kept)


def from_document(document: Document, plugins: PluginDefaults, *, name: str = "stored") -> Config:
    """Return the configuration that `edge.config.as_document` wrote down, checked anew.

    Parameters
    ----------
    name : str
        What faults are said to be in.

    Raises
    ------
    ConfigError
        The document does not suit the rules and readers that exist now.
    """
    lines = dict.fromkeys(_key_paths(document), 0)
    return _checked(_without_none(document), plugins, Complaints(name, lines), Path("/"))


def default_data_dir() -> tuple[Path, str]:
    """Return where the box keeps its records when nobody says, and what decided it."""
    for variable in ("HOMEWARD_DATA_DIR", "STATE_DIRECTORY"):
        # systemd lists several state directories with colons; the first is the box's own.
        value = os.environ.get(variable, "").partition(":")[0]
        if value:
            return Path(value).expanduser().absolute(), f"environment {variable}"
    if os.geteuid() == 0:
        return _SYSTEM_DATA_DIR, "default (root)"
    shared = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(shared).expanduser().absolute() / "homeward", "default (edge/config/loading.py)"


def _without_none(document: Document) -> Document:
    """Return the document as the TOML would have it: what is not set is not there."""

    def without(value: Any) -> Any:  # noqa: ANN401  # plain values of any depth
        if isinstance(value, dict):
            return {key: without(inner) for key, inner in value.items() if inner is not None}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    return {key: without(value) for key, value in document.items()}


def _key_paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _key_paths(inner, (*path, key))
    elif isinstance(value, list):
        for idx, inner in enumerate(value):
            yield from _key_paths(inner, (*path, idx))


def _read(path: Path) -> str:
    try:
        # utf-8-sig: editors on Windows begin a file with a mark that is not TOML.
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; write one with `homeward config --toml > {path}`"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); name a file that this user may read"
        ) from error


def _set(document: Document, key: str, typed: str) -> KeyPath:
    """Put what was typed into the document; return where."""
    *above, last = key.split(".")
    table: Any = document
    for name in above:
        table = table.setdefault(name, {}) if isinstance(table, dict) else None
    if not isinstance(table, dict) or isinstance(table.get(last), dict | list):
        raise ConfigError(
            f"{COMMAND_LINE}: {key} cannot be set here; set it in the configuration file"
        )
    try:
        table[last] = tomllib.loads(f"value = {typed}")["value"]
    except (ValueError, RecursionError):
        table[last] = typed
    return (*above, last)


_OTHERS: Final = ("patients", "sources", "alarms", "annunciators", "notices", "sinks")
"""Tables that hold tables."""


def _checked(
    document: Document,
    plugins: PluginDefaults,
    told: Complaints,
    folder: Path,
    read: Callable[[Path], Kept] | None = None,
) -> Config:
    for name in document.keys() - TABLES.keys() - set(_OTHERS):
        told.unknown((name,), (*TABLES, *_OTHERS), "table")
    origins = {dotted(path): told.origin(path) for path in (*told.lines, *told.raw)}
    tables = {name: _table(document, name, told, folder) for name in TABLES}
    box = _box(tables.pop("box"), origins)
    check_socket(box.socket, told)
    ids = {Patient().id, *tables_by_id(document)}
    kept = {} if read is None else named(read(box.data_dir), ids)
    counting = set_aside(document, kept)
    patients, own = read_patients(counting, told, folder)
    tables_of = {} if read is None else tables_by_id(document)
    patients = tuple(as_kept(patient, kept) for patient in patients)
    sources = read_sources(document, patients, plugins, told, folder)
    check_names(patients, sources, told)
    check_scale(patients, told)
    alarms = read_alarms(document, patients, own, plugins, told, kept)
    escalation = Escalation(**tables["escalation"])
    check_steps(escalation, told)
    annunciators = read_annunciators(document, plugins, told, folder)
    notices = read_notices(document, plugins, told, folder)
    others = [one.name for one in notices]
    sinks = read_sinks(document, plugins, told, folder, others)
    told.raise_if_any()
    origins = {**alarms.origins, **origins}
    return Config(
        box=box,
        patients=patients,
        sources=tuple(source for source in sources if source is not None),
        alarms=alarms.box,
        patient_alarms=alarms.patients,
        origins=origins,
        annunciators=annunciators,
        notices=notices,
        deadman=Deadman(**tables["deadman"]),
        sync=Sync(**tables["sync"]),
        sinks=sinks,
        consent=Consent(**tables["consent"]),
        ledger=Ledger(**tables["ledger"]),
        alerts=Alerts(**tables["alerts"]),
        escalation=escalation,
        model=Model(**tables["model"]),
        summaries=Summaries(**tables["summaries"]),
        ring=Ring(**tables["ring"]),
        selftest=SelfTest(**tables["selftest"]),
        vault=Vault(**tables["vault"]),
        store=Store(**tables["store"]),
        retention=Retention(**tables["retention"]),
        kept=kept,
        tables=tables_of,
    )


def _table(document: Document, name: str, told: Complaints, folder: Path) -> dict[str, Any]:
    table = document.get(name, {})
    if not is_table(table, (name,), told):
        return {}
    return read_struct(table, (name,), TABLES[name], told, folder)


def _box(values: dict[str, Any], origins: dict[str, str]) -> Box:
    if "data_dir" not in values:
        values["data_dir"], origins["box.data_dir"] = default_data_dir()
    values.setdefault("socket", values["data_dir"] / "control.sock")
    return Box(**values)
