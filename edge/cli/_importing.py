"""``homeward receive import``: what a box has written onto a stick, into the receiver's store."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import typer

from edge.cli import DONE, FOUND
from edge.cli._shared import CommandError, print_json
from edge.clock import BootClock
from edge.receive import ReceiveError
from edge.receive.importing import boxes_in, import_box
from edge.receive.receiver import open_store
from edge.sync.fhir.reading import columns


def import_stick(
    folder: Path | None, where: str, ca: Path | None, pinned: str, *, as_json: bool
) -> int:
    """Import all that is on a stick; return the exit code: 3 where a file was left out."""
    if folder is None:
        raise CommandError("name the folder: homeward receive import /mnt/stick --ca ca.crt")
    counts = {"n_files": 0, "n_new": 0, "n_copies": 0, "n_refused": 0, "n_left_out": 0}
    try:
        vouches = None if ca is None else ca.read_bytes()
        with closing(open_store(where)) as store:
            for box in boxes_in(folder):
                now_s = BootClock().read().wall_s
                for said in import_box(box, store, now_s, ca=vouches, pinned=pinned, facts=columns):
                    _count(counts, said)
                    if as_json:
                        print_json(said)
                    elif said["record"] == "not_imported":
                        typer.echo(f"{said['box']}: {said['file']} is left out: {said['why']}")
    except (ReceiveError, OSError) as error:
        raise CommandError(str(error)) from error
    if as_json:
        print_json({"record": "import", **counts})
    else:
        typer.echo(
            f"{counts['n_files']} files: {counts['n_new']} entries new, {counts['n_copies']} known "
            f"already, {counts['n_refused']} refused; {counts['n_left_out']} files left out"
        )
    return FOUND if counts["n_left_out"] or counts["n_refused"] else DONE


def _count(counts: dict[str, int], said: Mapping[str, Any]) -> None:
    counts["n_files"] += 1
    counts["n_left_out"] += said["record"] == "not_imported"
    for name in ("n_new", "n_copies", "n_refused"):
        counts[name] += int(said.get(name, 0))
