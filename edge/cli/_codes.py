"""Our own codes in FHIR content: ``homeward ledger --codes``."""

from __future__ import annotations

import msgspec
import typer

from edge.cli._shared import print_json
from edge.sync.fhir.codes import OWN


class CodeRow(msgspec.Struct, frozen=True, tag="fhir_code", tag_field="record"):
    """One code of ours: in which system, or as which part of an extension, and what it means."""

    system: str
    code: str
    meaning: str


def print_codes(*, json: bool) -> None:
    """Print every code of our own systems."""
    rows = [CodeRow(system, *one) for system, codes in OWN.items() for one in codes.items()]
    if json:
        for row in rows:
            print_json(row)
        print_json({"record": "fhir_codes", "n_codes": len(rows)})
        return
    for system, codes in OWN.items():
        typer.echo(system)
        for code, meaning in codes.items():
            typer.echo(f"    {code}: {meaning}")
