"""``homeward receive``: the other end of `homeward sync`, for a clinic or a home."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
import typer

from edge.cli import DONE, FOUND
from edge.cli._shared import AsJson, CommandError, ConfigFile, DataDir, find_config, print_json
from edge.cli._tables import console, table
from edge.config import PluginDefaults, load
from edge.journal import open_journal
from edge.receive import ReceiveError
from edge.receive.receiver import Plan, Receiver, open_store, utc
from edge.receive.store import FACTS, Row, Store, StoreError
from edge.secret import SecretError, read_secret
from edge.sync import SyncError
from edge.sync.bounded import Broker
from edge.sync.identity import client_context, server_context

MQTT_PORT: Final = 1883
MQTTS_PORT: Final = 8883
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LISTED: Final = ("box", "uuid", "seq", "kind", "digest", "early", "content", "received_s", *FACTS)


class Action(StrEnum):
    """What is done."""

    RUN = "run"
    LIST = "list"
    BOXES = "boxes"


def command(  # noqa: PLR0913  # each is an option of the command
    config: ConfigFile = None,
    data_dir: DataDir = None,
    action: Annotated[
        Action, typer.Argument(help="Receive; or show what has come, or from which boxes.")
    ] = Action.RUN,
    *,
    broker: Annotated[
        str, typer.Option(metavar="URL", help="mqtts://[USER@]HOST[:PORT]; mqtt:// without TLS.")
    ] = "",
    password_file: Annotated[
        str, typer.Option(metavar="FILE", help="Password of that user; readable by you alone.")
    ] = "",
    name: Annotated[
        str, typer.Option(help="This receiver's name at the broker; default: the machine's.")
    ] = "",
    shared: Annotated[
        str,
        typer.Option(
            metavar="GROUP", help="Share what comes with the other receivers of this group."
        ),
    ] = "",
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Also take messages over HTTP.")
    ] = "",
    secrets: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Of HTTP: BOX.secret for each box that signs (HMAC)."),
    ] = None,
    store: Annotated[
        str,
        typer.Option(metavar="STORE", help="A file (SQLite), or postgresql://HOST/NAME."),
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Signs the receipts; made at the first start."),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Who vouches for broker and boxes.")
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate of this receiver.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Key of that certificate.")
    ] = None,
    silence_s: Annotated[
        float,
        typer.Option(min=1.0, max=7 * 86400.0, help="A box silent for so long is missing."),
    ] = 900.0,
    box: Annotated[str, typer.Option(help="Of list: only what came from this box.")] = "",
    alerts: Annotated[bool, typer.Option("--alerts", help="Of list: alerts only.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Of list: so many.")] = 1_000,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="On this machine only, nothing is kept: print what comes."),
    ] = False,
    json: AsJson = False,
) -> int:
    """Receive what boxes send, store it once, and answer with signed receipts; until Ctrl-C.

    A box settles an entry when it has such a receipt, and only then: what is not on this machine's
    disk is sent again. Start it, give the key it prints to the boxes (`homeward enrol`), and name
    a broker both can reach, or an address to listen on.

    Run as many of them as you like with one --shared group and one PostgreSQL: they keep nothing
    but what is in there. `receive list` and `receive boxes` show what has come; `receive boxes`
    ends with exit code 3 where a box has fallen silent.
    """
    os.umask(0o077)
    settings = load(
        find_config(config),
        PluginDefaults(),
        overrides={} if data_dir is None else {"box.data_dir": str(data_dir)},
        only=("box",),
    )
    home = settings.box.data_dir / "receive"
    where = store or str(home / "received.db")
    if action is Action.LIST:
        return _list(where, box, "alert" if alerts else "", limit, as_json=json)
    if action is Action.BOXES:
        return _boxes(where, as_json=json)
    with ExitStack() as at_end:
        if demo:
            home = Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="homeward-")))
            where, listen = str(home / "received.db"), listen or "127.0.0.1:0"
        try:
            plan = Plan(
                store=where,
                key=key or home / "receiver.key",
                broker=_broker(broker, password_file, name, shared, (ca, cert, key_file), home)
                if broker
                else None,
                group=shared,
                listen=_address(listen) if listen else None,
                context=_server(ca, cert, key_file),
                secrets=secrets,
                silence_s=silence_s,
            )
            open_journal(sys.stderr)
            printed = _Printed(as_json=json)
            receiver = Receiver(plan, printed.say, with_content=demo)
            asyncio.run(_until_stopped(receiver))
        except (ReceiveError, SyncError, SecretError) as error:
            raise CommandError(str(error)) from error
    if json:
        print_json({"record": "receive", **printed.counts})
    return DONE


async def _until_stopped(receiver: Receiver) -> None:
    stopped = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stopped.set)
    await receiver.run(stopped)


class _Printed:
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


def _line(said: Mapping[str, Any]) -> str:
    record, box = said["record"], said.get("box", "")
    if record == "receiver":
        places = [said[name] for name in ("broker", "listen") if said[name]]
        return (
            f"Receiving at {' and '.join(places)} into {said['store']}.\n"
            f"Boxes check receipts with this key ({said['receipt_key_file']}):\n"
            f"  {said['receipt_key']}"
        )
    if record == "silence":
        return f"{box}: SILENT since {said['since_utc']}: look after it"
    if record == "speaks_again":
        return f"{box}: speaks again"
    if record == "heartbeat":
        return f"{box}: lives"
    if record == "refused":
        return f"{box}: {said['uuid']} refused, {said['why']}"
    told = " ".join(str(said[name]) for name in FACTS if name in said)
    return f"{box}: {said['kind']} {said['seq']}{' early' if said['early'] else ''} {told}".rstrip()


def _broker(  # as they stand on the command line
    url: str,
    password_file: str,
    name: str,
    shared: str,
    files: tuple[Path | None, Path | None, Path | None],
    home: Path,
) -> Broker:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ReceiveError(f"{url} is no address: write mqtts://HOST") from error
    host, secured = parts.hostname or "", parts.scheme == "mqtts"
    if parts.scheme not in {"mqtt", "mqtts"} or not host:
        raise ReceiveError("the broker's address must begin with mqtts:// (or mqtt://)")
    if not secured and host not in _LOCAL:
        raise ReceiveError(
            f"mqtt:// to {host} is open to everybody in the network: write mqtts:// (mqtt:// is "
            f"for a broker on this machine)"
        )
    if parts.password:
        raise ReceiveError("a password in an address is seen by others: use --password-file")
    ca, cert, key = files
    context = None
    if secured:
        if ca is None:
            raise ReceiveError("mqtts:// needs --ca: who vouches for the broker")
        context = client_context(ca, cert, key)
    return Broker(
        host,
        port or (MQTTS_PORT if secured else MQTT_PORT),
        (name or f"receive-{socket.gethostname()}")[:64],
        context,
        unquote(parts.username or ""),
        read_secret(password_file, home).url if password_file else "",
        30,
        keeps=not shared,  # of a group, the others get what comes while this one is away
        acks=True,
        max_unsent=1_000,
    )


def _server(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    return None if cert is None or key is None else server_context(cert, key, ca)


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ReceiveError(f"{listen} is no address: write HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def _list(where: str, box: str, kind: str, limit: int, *, as_json: bool) -> int:
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


def _boxes(where: str, *, as_json: bool) -> int:
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


_COLUMNS: Final = ("box", "heard (UTC)", "entries", "copies", "conflicts", "refused", "silent")


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
