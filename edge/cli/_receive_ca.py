"""``homeward receive ca``: an authority for homes and small clinics that have none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge.cli import DONE, guarded
from edge.cli._ca import (
    Days,
    Folder,
    ca_folder,
    facts,
    new_passphrase,
    passphrase,
    read_file,
    utc_text,
    wall_s,
)
from edge.cli._ca_broker import broker, mosquitto, nats, receiver
from edge.cli._shared import AsJson, CommandError, ConfigFile, print_json
from edge.enrol.authority import Authority, Issued, create
from edge.enrol.chain import receiver_key
from edge.enrol.folder import MAX_BYTES
from edge.enrol.leaves import LEAF_DAYS
from edge.enrol.request import common_name, fingerprint_of, read_request

APP = typer.Typer(
    help="An authority that vouches for boxes, receivers and the broker.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@APP.command("init")
@guarded
def init(
    config: ConfigFile = None,
    folder: Folder = None,
    *,
    name: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="What the authority is called.")
    ] = "Homeward CA",
    protect: Annotated[
        bool, typer.Option("--passphrase", help="Keep its key under a passphrase.")
    ] = False,
    receipt_key: Annotated[
        Path | None,
        typer.Option(
            "--receipt-key",
            metavar="FILE",
            help="The receiver's public key: every box is handed it with its certificate.",
        ),
    ] = None,
    json: AsJson = False,
) -> int:
    """Make an authority: once for a clinic. Its key stays in the folder; keep a copy offline.

    Called again with --receipt-key alone it remembers that key for the boxes to come.
    """
    place = ca_folder(config, folder)
    known = (place / "ca.crt").exists()
    if known and receipt_key is not None:
        authority = Authority(place, passphrase)
    else:
        authority = create(place, name, new_passphrase() if protect else "", wall_s())
    if receipt_key is not None:
        authority.keep_receipt_key(receiver_key(read_file(receipt_key)))
    made = fingerprint_of(authority.certificate)
    if json:
        print_json({"record": "ca", "folder": str(place), "fingerprint": made, "new": not known})
    else:
        typer.echo(f"{place}: the authority's fingerprint is {made}")
        typer.echo("next: `homeward receive ca broker HOST`, then `homeward receive ca mosquitto`")
    return DONE


@APP.command("sign")
@guarded
def sign(  # noqa: PLR0913  # each is an option of the command
    request: Annotated[
        Path, typer.Argument(metavar="REQUEST", help="What `homeward enrol` printed; -: stdin.")
    ],
    config: ConfigFile = None,
    folder: Folder = None,
    *,
    fingerprint: Annotated[
        str, typer.Option("--fingerprint", metavar="TEXT", help="As it was read out by phone.")
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="The request came by a way you trust: do not ask.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="The box has a valid certificate: renew it.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to; default: BOX.pem here.")
    ] = None,
    days: Days = LEAF_DAYS,
    json: AsJson = False,
) -> int:
    """Sign a box's request, when it is that box's: the fingerprint says so."""
    authority = Authority(ca_folder(config, folder), passphrase)
    content = sys.stdin.buffer.read(MAX_BYTES) if str(request) == "-" else read_file(request)
    if not fingerprint and not yes:
        _compare(content)
    issued, bundle = authority.sign(
        content, wall_s(), fingerprint=fingerprint, again=again, days=days
    )
    target = out or Path(f"{issued.name}.pem")
    target.write_bytes(bundle)
    if json:
        print_json({"record": "signed", "file": str(target), **facts(issued)})
    else:
        typer.echo(
            f"{target}: hand it to {issued.name}; there: `homeward enrol --install {target.name}`"
        )
        if b"PUBLIC KEY" not in bundle:
            typer.echo(
                "! it holds no receiver's key, and the box cannot believe receipts by MQTT: "
                "`homeward receive ca init --receipt-key FILE`, then sign again"
            )
    return DONE


def _compare(content: bytes) -> None:
    """Let a person compare the fingerprint; nobody there: it has to be given."""
    request = read_request(content, "the request")
    told = f"{common_name(request.subject)} asks, with the fingerprint {fingerprint_of(request)}"
    if not sys.stdin.isatty():
        raise CommandError(f"{told}. Compare it, then say --fingerprint TEXT or --yes")
    if not typer.confirm(f"{told}. Is that what its people read out?", err=True):
        raise CommandError("nothing was signed")


@APP.command("list")
@guarded
def list_(config: ConfigFile = None, folder: Folder = None, *, json: AsJson = False) -> int:
    """List every certificate it ever signed."""
    issued = Authority(ca_folder(config, folder), passphrase).issued()
    now_utc_s = wall_s()
    if json:
        for one in issued:
            print_json({"record": "certificate", **facts(one)})
        n_valid = sum(one.is_valid(now_utc_s) for one in issued)
        print_json({"record": "certificates", "n": len(issued), "n_valid": n_valid})
        return DONE
    from edge.cli._tables import console, table

    rows = [
        (one.name, one.purpose, _state(one, now_utc_s), utc_text(one.ends_s)[:10], one.serial)
        for one in issued
    ]
    console().print(table("Certificates", ("name", "of a", "", "until", "number"), rows))
    return DONE


def _state(one: Issued, now_utc_s: float) -> str:
    if one.revoked_s:
        return f"revoked {utc_text(one.revoked_s)[:10]}"
    return "valid" if one.is_valid(now_utc_s) else "ended"


@APP.command("revoke")
@guarded
def revoke(
    named: Annotated[str, typer.Argument(metavar="NAME|NUMBER", help="As `list` shows it.")],
    config: ConfigFile = None,
    folder: Folder = None,
    *,
    json: AsJson = False,
) -> int:
    """Take certificates back: of a box that was lost, or of a key somebody else may have."""
    place = ca_folder(config, folder)
    for one in Authority(place, passphrase).revoke(named, wall_s()):
        if json:
            print_json({"record": "revoked", **facts(one)})
        else:
            typer.echo(f"{one.name} {one.serial}: taken back")
    typer.echo(
        f"give the broker {place / 'crl.pem'} and have it read it again (SIGHUP); mosquitto ends "
        f"connections that are open only when it is restarted",
        err=True,
    )
    return DONE


for _command in (broker, receiver, mosquitto, nats):
    APP.command(_command.__name__)(guarded(_command))
