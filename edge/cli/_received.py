"""What a receiver has received, on a terminal or as JSON lines: as it comes, and afterwards."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import typer

from edge.cli import DONE, FOUND
from edge.cli._shared import CommandError, print_json
from edge.cli._tables import console, table
from edge.receive import ReceiveError
from edge.receive.receiver import open_store, utc
from edge.receive.store import Row, Store, StoreError
from edge.receive.tables import FACTS

_LISTED: Final = ("box", "uuid", "seq", "kind", "digest", "early", "content", "received_s", *FACTS)
_COLUMNS: Final = ("box", "heard (UTC)", "entries", "copies", "conflicts", "refused", "silent")


class Printed:
    """Prints what comes, as it comes."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.counts = {"n_new": 0, "n_copies": 0, "n_refused": 0, "n_heartbeats": 0}

    def say(self, said: Mapping[str, Any]) -> None:
        """Print one record."""
        name = {
            "received": "n_new" if said.get("new") else "n_copies",
            "refused": "n_refused",
            "heartbeat": "n_heartbeats",
        }.get(said["record"])
        if name is not None:
            self.counts[name] += 1
        if self._as_json:
            print_json(said)
        elif said["record"] != "received" or said["new"]:
            typer.echo(_line(said))
        sys.stdout.flush()


_LINES: Final = {
    "listening": "Listening to {broker}.",
    "broker_away": "The broker is away, and no box is accused of it: {why}",
    "silence": "{box}: SILENT since {since_utc}: look after it",
    "speaks_again": "{box}: speaks again",
    "heartbeat": "{box}: lives",
    "refused": "{box}: {uuid} refused, {why}",
}


def _line(said: Mapping[str, Any]) -> str:
    if said["record"] in _LINES:
        return _LINES[said["record"]].format_map(said)
    if said["record"] == "receiver":
        places = [said[name] for name in ("broker", "listen") if said[name]]
        return (
            f"Receiving at {' and '.join(places)} into {said['store']}.\n"
            f"Boxes check receipts with this key ({said['receipt_key_file']}):\n"
            f"  {said['receipt_key']}"
        )
    told = " ".join(str(said[name]) for name in FACTS if name in said)
    early = " early" if said["early"] else ""
    return f"{said['box']}: {said['kind']} {said['seq']}{early} {told}".rstrip()


def show_entries(where: str, box: str, kind: str, limit: int, *, as_json: bool) -> int:
    """Show what has come, the newest of it; return the exit code."""
    try:
        rows = _opened(where).entries(box, kind, limit)
    except (ReceiveError, StoreError) as error:
        raise CommandError(str(error)) from error
    if as_json:
        for row in rows:
            print_json(_plain(row))
        print_json({"record": "receive_list", "n": len(rows)})
        return DONE
    shown = [
        (
            str(said["box"]),
            str(said["seq"]),
            str(said["kind"]),
            utc(float(said["received_s"])),
            *(str(said[name]) for name in FACTS),
            "deleted" if said["content"] is None else "",
        )
        for said in map(_plain, rows)
    ]
    columns = ("box", "no.", "kind", "received (UTC)", *(name.split("_")[0] for name in FACTS), "")
    console().print(table(f"{len(rows)} received", columns, shown))
    return DONE


def _plain(row: Row) -> dict[str, Any]:
    said: dict[str, Any] = {"record": "entry", **dict(zip(_LISTED, row, strict=True))}
    said["early"] = bool(said["early"])
    if said["content"] is not None:
        said["content"] = msgspec.Raw(said["content"].encode())
    return said


def show_boxes(where: str, *, as_json: bool) -> int:
    """Show who has sent; return the exit code."""
    try:
        rows = _opened(where).boxes()
    except (ReceiveError, StoreError) as error:
        raise CommandError(str(error)) from error
    n_silent = sum(row[8] is not None for row in rows)
    if as_json:
        for row in rows:
            print_json(_box(row))
        print_json({"record": "receive_boxes", "n": len(rows), "n_silent": n_silent})
    else:
        console().print(table(f"{len(rows)} boxes", _COLUMNS, [_cells(row) for row in rows]))
    return FOUND if n_silent else DONE


def _box(row: Row) -> dict[str, Any]:
    return {
        "record": "box",
        "box": row[0],
        "first_utc": utc(row[1]),
        "heard_utc": utc(row[2]),
        "heartbeat": None if row[3] is None else msgspec.Raw(row[3].encode()),
        "n_copies": row[4],
        "n_conflicts": row[5],
        "n_refused": row[6],
        "n_entries": row[7],
        "silent_since_utc": None if row[8] is None else utc(row[8]),
    }


def _cells(row: Row) -> Sequence[str]:
    silent = "" if row[8] is None else utc(row[8])
    return row[0], utc(row[2]), str(row[7]), str(row[4]), str(row[5]), str(row[6]), silent


def _opened(where: str) -> Store:
    if "://" not in where and not Path(where).expanduser().exists():
        raise ReceiveError(f"nothing was received into {where} yet; --store names another store")
    return open_store(where)
