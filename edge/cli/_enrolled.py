"""What is shown of a box's enrolment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer

from edge.cli import DONE, FOUND
from edge.cli._shared import CommandError, print_json
from edge.enrol import EnrolError
from edge.enrol.broker import emqx_acl, mosquitto_acl, nats_user
from edge.enrol.folder import (
    CA,
    NEXT,
    PREVIOUS,
    REQUEST,
    Note,
    note_of,
    read_bounded,
    set_at,
    trouble_of,
    waiting,
)
from edge.enrol.installing import receiver_of, request_of
from edge.enrol.naming import receipt_topic, up_topic

DAY_S = 86400.0


def show_request(folder: Path, box: str | None, *, as_json: bool) -> int:
    """Print the request that waits, and what the clinic's broker needs."""
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
        f"nats-server, per box (verify_and_map on every listener: users have no password):\n\n"
        f"{_indented(nats_user(note.box))}\n"
        f"EMQX:\n\n{_indented(emqx_acl())}"
    )
    return DONE


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def show_installed(note: Note, what: str, folder: Path, *, as_json: bool) -> int:
    """Print what is in force now."""
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


def show_status(folder: Path, now_utc_s: float, *, as_json: bool) -> int:
    """Print what is in force, until when, and what is wrong; return the exit code."""
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
