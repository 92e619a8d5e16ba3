"""``homeward enrol``: who this box is to those who receive from it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
import typer

from edge.cli import DONE, FAILED, FOUND
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
from edge.enrol import EnrolError
from edge.enrol.broker import PORT, emqx_acl, mosquitto_acl, nats_user
from edge.enrol.folder import (
    CA,
    CHAIN,
    CURRENT,
    KEY,
    NEXT,
    PREVIOUS,
    REQUEST,
    Note,
    note_of,
    read_bounded,
    set_at,
    sync_folder,
    trouble_of,
    waiting,
)
from edge.enrol.handshake import refusal
from edge.enrol.installing import begin, go_back, install, prove, receiver_of, request_of
from edge.enrol.naming import receipt_topic, up_topic
from edge.tls import client_context

ASKED_S = 5.0
DAY_S = 86400.0


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
        return _status(folder, now_utc_s, as_json=json)
    if check is not None:
        return _check(folder, check, as_json=json)
    if back:
        return _told(go_back(folder), "back_in_force", folder, as_json=json)
    if chain is not None:
        texts = [None if path is None else _read(path) for path in (ca, receipt_key)]
        note = install(folder, _read(chain), texts[0], texts[1], now_utc_s)
        return _told(note, "installed", folder, as_json=json)
    if _wanted(folder, renew=renew, new=new):
        begin(folder, box or _box_name(settings, folder), now_utc_s)
    if waiting(folder) is None:
        return _status(folder, now_utc_s, as_json=json)
    return _show_request(folder, box, as_json=json)


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
    sync = getattr(settings, "sync", None)
    if sync is not None and sync.box:
        return str(sync.box)
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


def _show_request(folder: Path, box: str | None, *, as_json: bool) -> int:
    note, request = note_of(folder, NEXT), request_of(folder)
    if note is None or request is None:
        raise EnrolError(f"the request in {folder / NEXT} is damaged: `homeward enrol --new`")
    if box is not None and box != note.box:
        raise CommandError(
            f"a request in the name {note.box} waits already: --new gives it up for {box}"
        )
    acl = mosquitto_acl(("receiver",))
    if as_json:
        print_json(
            {
                "record": "enrol",
                "state": "waiting",
                **_facts(note),
                "request": request.decode("ascii"),
                "topics": {"up": up_topic(note.box), "receipt": receipt_topic(note.box)},
                "broker": {"mosquitto": acl, "nats": nats_user(note.box), "emqx": emqx_acl()},
            }
        )
        return DONE
    typer.echo(
        f"{note.box}: its key was made here and never leaves. This asks for its certificate, and "
        f"is no secret\n({folder / NEXT / REQUEST}):\n\n{request.decode('ascii')}\n"
        f"Hand it to the clinic, and read out this fingerprint:\n\n    {note.fingerprint}\n\n"
        f"The clinic signs it, with its own authority (extendedKeyUsage=clientAuth,\n"
        f"keyUsage=digitalSignature, CN={note.box}) or with ours:\n\n"
        f"    homeward receive ca sign {REQUEST} --fingerprint '{note.fingerprint}'\n\n"
        f"and hands back a file. Then, here:\n\n    homeward enrol --install FILE\n\n"
        f"Its broker lets the box write to {up_topic(note.box)}/# and read\n"
        f"{receipt_topic(note.box)}, and no more. mosquitto (the same for every box):\n\n"
        f"{_indented(acl)}\n"
        f"nats-server, per box:\n\n{_indented(nats_user(note.box))}\n"
        f"EMQX:\n\n{_indented(emqx_acl())}"
    )
    return DONE


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def _told(note: Note, what: str, folder: Path, *, as_json: bool) -> int:
    kept = set_at(folder, PREVIOUS) is not None
    if as_json:
        record = {"record": "enrol", "state": what, **_facts(note), "previous_kept": kept}
        print_json({**record, "receipts": bool(receiver_of(folder))})
        return DONE
    typer.echo(f"{note.box}: in force until {_day(note.ends_s)}, from {note.issuer}")
    typer.echo(f"the clinic's CA has the fingerprint {_ca_fingerprint(folder)}: compare it too")
    if not receiver_of(folder):
        typer.echo("no receiver's key is here: receipts by MQTT cannot be believed without it")
    if kept:
        typer.echo(
            "the certificate before it is kept until this one has worked; "
            "`homeward enrol --check HOST` tries it, `homeward enrol --back` returns to it"
        )
    return DONE


def _ca_fingerprint(folder: Path) -> str:
    from cryptography import x509

    from edge.enrol.request import fingerprint_of

    return fingerprint_of(x509.load_pem_x509_certificate(read_bounded(folder / CA)))


def _status(folder: Path, now_utc_s: float, *, as_json: bool) -> int:
    note, trouble = note_of(folder), trouble_of(folder, now_utc_s)
    coming = None if waiting(folder) is None else note_of(folder, NEXT)
    state = "enrolled" if note is not None else "waiting" if coming is not None else "not_enrolled"
    kept = set_at(folder, PREVIOUS) is not None
    if as_json:
        shown = note or coming
        print_json(
            {
                "record": "enrol",
                "state": state,
                **({} if shown is None else _facts(shown)),
                "request_waits": coming is not None,
                "previous_kept": kept,
                "receipts": bool(receiver_of(folder)),
                "days_left": None if note is None else (note.ends_s - now_utc_s) / DAY_S,
                "trouble": trouble,
            }
        )
    else:
        from edge.cli._tables import console, table

        rows = _rows(note, coming, kept=kept, receipts=bool(receiver_of(folder)))
        console().print(table("Enrolment", ("", ""), rows))
        if trouble:
            typer.echo(f"! {trouble}")
    return FOUND if trouble else DONE


def _rows(
    note: Note | None, coming: Note | None, *, kept: bool, receipts: bool
) -> Sequence[tuple[str, str]]:
    rows = []
    if note is not None:
        rows += [
            ("box", note.box),
            ("certificate", f"until {_day(note.ends_s)}, number {note.serial}"),
            ("from", f"{note.issuer}, until {_day(note.ca_ends_s)}"),
            ("key", note.fingerprint),
            ("receipts", "can be believed" if receipts else "no receiver's key is here"),
        ]
    if coming is not None:
        rows.append(("waits", f"a request of {_day(coming.made_s)}, key {coming.fingerprint}"))
    if kept:
        rows.append(("kept", "the certificate before, until this one has worked"))
    return rows or [("", "this box has no certificate and has asked for none: `homeward enrol`")]


def _facts(note: Note) -> dict[str, object]:
    facts = msgspec.structs.asdict(note)
    for name in ("made_s", "installed_s", "begins_s", "ends_s", "ca_ends_s"):
        wall_s = facts.pop(name)
        at = datetime.fromtimestamp(wall_s, UTC).isoformat() if wall_s else None
        facts[f"{name.removesuffix('_s')}_utc"] = at
    return facts


def _day(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%d")


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
