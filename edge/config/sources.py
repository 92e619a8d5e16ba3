"""``[[patients]]`` and ``[[sources]]``: who is watched, and what reads their sensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edge.config.checks import check_patient
from edge.config.complaints import Complaints, suggestion
from edge.config.fields import missing_fields, read_struct, tables_of
from edge.config.settings import Document, Patient, PluginDefaults, Source
from edge.config.toml_lines import KeyPath


def read_patients(
    document: Document, told: Complaints, folder: Path
) -> tuple[tuple[Patient, ...], list[object]]:
    """Return the patients, and the alarms table of each as it stands in the file."""
    if "patients" not in document:
        return (Patient(),), [{}]
    patients, own = [], []
    for idx, table in enumerate(tables_of(document, "patients", told)):
        path = ("patients", idx)
        facts = {key: value for key, value in (table or {}).items() if key != "alarms"}
        own.append((table or {}).get("alarms", {}))
        values = read_struct(facts, path, Patient, told, folder)
        # A first patient may go unnamed; two unnamed ones could not be told apart.
        if idx and table is not None and "id" not in table:
            told.add(path, "id is missing", 'give each patient an id, e.g. id = "patient-2"')
            values["id"] = f"patient-{idx + 1}"
        patients.append(Patient(**values))
    if not patients:
        told.add(("patients",), "nobody is watched", "add a [[patients]] table or take it out")
    return tuple(patients), own


def read_sources(
    document: Document,
    patients: tuple[Patient, ...],
    plugins: PluginDefaults,
    told: Complaints,
    folder: Path,
) -> tuple[Source | None, ...]:
    """Return the sources in their order; None where one cannot be made."""
    sources: list[Source | None] = []
    for idx, table in enumerate(tables_of(document, "sources", told)):
        n_alike = sum(
            s is not None and table is not None and s.reader == table.get("reader") for s in sources
        )
        source = None
        if table is not None:
            source = _source(table, ("sources", idx), patients, plugins, told, folder)
        if source is not None and not source.name:
            suffix = f"-{n_alike + 1}" if n_alike else ""
            source = msgspec.structs.replace(source, name=source.reader + suffix)
        sources.append(source)
    return tuple(sources)


def _source(
    table: dict[str, Any],
    path: KeyPath,
    patients: tuple[Patient, ...],
    plugins: PluginDefaults,
    told: Complaints,
    folder: Path,
) -> Source | None:
    reader = table.get("reader")
    if not isinstance(reader, str):
        what = f"known readers: {', '.join(plugins.readers)}"
        told.add((*path, "reader"), "the reader is missing or no text", what)
        return None
    if reader not in plugins.readers:
        told.add(
            (*path, "reader"),
            f"there is no reader {reader!r}",
            suggestion(reader, tuple(plugins.readers)),
        )
        return None
    options = plugins.readers[reader].settings
    own = {field.encode_name for field in msgspec.structs.fields(Source)} - {"settings"}
    shared = {key: value for key, value in table.items() if key in own}
    common = {"patient": patients[0].id} if len(patients) == 1 else {}
    common |= read_struct(shared, path, Source, told, folder)
    rest = {key: value for key, value in table.items() if key not in own}
    values = read_struct(rest, path, options, told, folder)
    missing_fields(rest, path, options, told)
    check_patient(common.get("patient"), path, [patient.id for patient in patients], told)
    settings = _made(options, values, path, told)
    if settings is None or "patient" not in common:
        return None
    return Source(
        reader=reader, name=common.get("name", ""), patient=common["patient"], settings=settings
    )


def _made(
    options: type[msgspec.Struct], values: dict[str, Any], path: KeyPath, told: Complaints
) -> msgspec.Struct | None:
    """Return the reader's settings; what the reader itself refuses is a fault like any other."""
    if any(f.required and f.name not in values for f in msgspec.structs.fields(options)):
        return None  # told already
    try:
        return options(**values)
    except (TypeError, ValueError) as error:
        told.add(path, str(error), "see the reader's options in `homeward config`")
        return None
