"""``homeward enrol``: who this box is to those who receive from it."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from edge.cli import DONE, FAILED
from edge.cli._enrolled import show_installed, show_request, show_status
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    channel_defaults,
    find_config,
    print_json,
)
from edge.config import Config, load
from edge.control import ControlError
from edge.control.client import ControlClient
from edge.control.syncing import SYNC_SOCKET, SyncWait
from edge.enrol.broker import PORT
from edge.enrol.folder import (
    CA,
    CHAIN,
    CURRENT,
    KEY,
    NEXT,
    note_of,
    read_bounded,
    sync_folder,
    waiting,
)
from edge.enrol.handshake import refusal
from edge.enrol.installing import begin, go_back, install, prove
from edge.tls import client_context

ASKED_S = 5.0


def command(  # noqa: PLR0913  # each is an option of the command
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    box: Annotated[
        str | None,
        typer.Option(
            "--box",
            metavar="NAME",
            help="What receivers call this box; default: [sync] box, or what the monitor says.",
        ),
    ] = None,
    chain: Annotated[
        Path | None,
        typer.Option(
            "--install", metavar="CHAIN", help="Put what the clinic handed back in force (PEM)."
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", help="The clinic's CA, where CHAIN does not hold it."),
    ] = None,
    receipt_key: Annotated[
        Path | None,
        typer.Option(
            "--receipt-key",
            metavar="FILE",
            help="The receiver's public key, where CHAIN does not hold it.",
        ),
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="A new key and request, beside what is in force.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Give up the request that waits, and make another.")
    ] = False,
    check: Annotated[
        str | None,
        typer.Option(
            "--check", metavar="HOST[:PORT]", help="Shake hands with a broker; send nothing."
        ),
    ] = None,
    back: Annotated[
        bool, typer.Option("--back", help="Put the certificate before this one back in force.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="What is in force, until when, what is wrong.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Make this box's key and the request for its certificate; install what comes back.

    The key is made here and never leaves. Without an option it prints what the clinic needs: the
    request, a fingerprint to compare by phone, and the lines for its broker; asked again it prints
    the same again. --install tries a chain out before anything is replaced, and keeps what was in
    force before until the new one has worked; --back returns to it.

    With --status it ends with exit code 3 where something is wrong or a certificate ends within 30
    days, with --check with exit code 1 where the other end refuses.
    """
    os.umask(0o077)
    chosen = [renew or new, chain is not None, check is not None, back, status]
    if sum(chosen) > 1:
        raise typer.BadParameter("one at a time: --renew, --install, --check, --back or --status")
    if chain is None and (ca is not None or receipt_key is not None):
        raise typer.BadParameter("it goes with --install", param_hint="--ca or --receipt-key")
    settings = _settings(config, data_dir)
    folder = sync_folder(settings.box.data_dir)
    now_utc_s = datetime.now(UTC).timestamp()
    if status:
        return show_status(folder, now_utc_s, as_json=json)
    if check is not None:
        return _check(folder, check, as_json=json)
    if back:
        return show_installed(go_back(folder), "back_in_force", folder, as_json=json)
    if chain is not None:
        texts = [None if path is None else _read(path) for path in (ca, receipt_key)]
        note = install(folder, _read(chain), texts[0], texts[1], now_utc_s)
        return show_installed(note, "installed", folder, as_json=json)
    if _wanted(folder, renew=renew, new=new):
        begin(folder, box or _box_name(settings, folder), now_utc_s)
    if waiting(folder) is None:
        return show_status(folder, now_utc_s, as_json=json)
    return show_request(folder, box, as_json=json)


def _settings(config: Path | None, data_dir: Path | None) -> Config:
    overrides = {"box.data_dir": str(data_dir)} if data_dir is not None else {}
    return load(find_config(config), channel_defaults(), overrides=overrides, only=("box", "sync"))


def _wanted(folder: Path, *, renew: bool, new: bool) -> bool:
    """Return whether a key is to be made now."""
    if new or waiting(folder) is not None:
        return new
    return renew or note_of(folder) is None


def _box_name(settings: Config, folder: Path) -> str:
    """Return what receivers call this box: as set, as it is enrolled, or as the monitor says."""
    if settings.sync.box:
        return settings.sync.box
    for which in (NEXT, CURRENT):
        note = note_of(folder, which)
        if note is not None:
            return note.box
    try:
        with ControlClient(settings.box.socket.with_name(SYNC_SOCKET), ASKED_S) as monitor:
            answer: Any = monitor.ask(SyncWait())
    except ControlError as error:
        raise CommandError(
            f"what do receivers call this box? The monitor knows, and does not answer ({error}): "
            f"start it, set box in [sync], or give --box NAME"
        ) from error
    named = answer.get("box") if isinstance(answer, dict) else None
    if not isinstance(named, str) or not named:
        raise CommandError("the monitor has no name for this box: set box in [sync], or --box NAME")
    return named


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror})") from error


def _check(folder: Path, address: str, *, as_json: bool) -> int:
    try:
        where = urlsplit(f"//{address}")
        host, port = where.hostname or "", where.port or PORT
    except ValueError:
        host, port = "", 0
    if not host:
        raise typer.BadParameter("write HOST or HOST:PORT", param_hint="--check")
    if note_of(folder) is None:
        raise CommandError("this box has no certificate yet: `homeward enrol`")
    context = client_context(folder / CA, folder / CHAIN, folder / KEY)
    why = asyncio.run(refusal(host, port, context))
    proven = not why and prove(folder)
    if as_json:
        record = {"record": "enrol_check", "host": host, "port": port}
        print_json({**record, "taken": not why, "trouble": why, "previous_removed": proven})
    elif why:
        typer.echo(f"{host}: {why}")
    else:
        typer.echo(f"{host}: it takes this box's certificate, and is who it should be")
    return FAILED if why else DONE
