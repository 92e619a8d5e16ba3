"""``homeward receive``: the other end of `homeward sync`, for a clinic or a home."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge.cli import DONE
from edge.cli._importing import import_stick
from edge.cli._received import Printed, show_boxes, show_entries
from edge.cli._receiving import address_of, broker_at, server_tls
from edge.cli._shared import AsJson, CommandError, ConfigFile, DataDir, find_config, print_json
from edge.config import PluginDefaults, load
from edge.journal import open_journal
from edge.receive import ReceiveError
from edge.receive.receiver import Plan, Receiver
from edge.secret import SecretError, read_secret
from edge.sync import SyncError


class Action(StrEnum):
    """What is done."""

    RUN = "run"
    LIST = "list"
    BOXES = "boxes"
    IMPORT = "import"


def command(  # noqa: PLR0913  # each is an option of the command
    config: ConfigFile = None,
    data_dir: DataDir = None,
    action: Annotated[
        Action,
        typer.Argument(help="Receive; show what has come, or from which boxes; read a stick."),
    ] = Action.RUN,
    folder: Annotated[
        Path | None, typer.Argument(help="Of import: where a box's stick is mounted.")
    ] = None,
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
    crl: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Of HTTPS: certificates that the CA took back."),
    ] = None,
    silence_s: Annotated[
        float,
        typer.Option(min=1.0, max=7 * 86400.0, help="A box silent for so long is missing."),
    ] = 900.0,
    notify: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="Tell the address in it (ntfy: https://...) of a silent box."
        ),
    ] = "",
    box: Annotated[str, typer.Option(help="Of list: only what came from this box.")] = "",
    folder_key: Annotated[
        str, typer.Option(metavar="KEY", help="Of import, instead of --ca: the box's key.")
    ] = "",
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
        return show_entries(where, box, "alert" if alerts else "", limit, as_json=json)
    if action is Action.IMPORT:
        return import_stick(folder, where, ca, folder_key, as_json=json)
    if action is Action.BOXES:
        return show_boxes(where, as_json=json)
    with ExitStack() as at_end:
        if demo:
            home = Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="homeward-")))
            where, listen = str(home / "received.db"), listen or "127.0.0.1:0"
        try:
            plan = Plan(
                store=where,
                key=key or home / "receiver.key",
                broker=broker_at(broker, password_file, name, shared, (ca, cert, key_file), home)
                if broker
                else None,
                group=shared,
                listen=address_of(listen) if listen else None,
                context=server_tls(ca, cert, key_file, crl),
                secrets=secrets,
                silence_s=silence_s,
                notify=read_secret(notify, home) if notify else None,
            )
            open_journal(sys.stderr)
            printed = Printed(as_json=json)
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
