"""``homeward receive ca``: an authority for homes and small clinics that have none."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from edge.cli import DONE, guarded
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    channel_defaults,
    find_config,
    print_json,
)
from edge.enrol.authority import BROKER, Authority, Issued, create
from edge.enrol.broker import PORT, mosquitto_acl, mosquitto_conf, nats_conf
from edge.enrol.chain import receiver_key
from edge.enrol.folder import MAX_BYTES, read_bounded, write_file
from edge.enrol.leaves import LEAF_DAYS
from edge.enrol.request import common_name, fingerprint_of, read_request

PASSPHRASE_FILE: Final = "HOMEWARD_CA_PASSPHRASE_FILE"  # noqa: S105  # a variable's name
STATE: Final = Path("/var/lib/mosquitto")
NATS_STATE: Final = Path("/var/lib/nats")

Folder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        metavar="DIR",
        help="Of the authority; default: ca in the data folder.",
        show_default=False,
    ),
]
Days: TypeAlias = Annotated[
    int, typer.Option("--days", min=1, max=825, help="How long the certificate holds.")
]

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
    place = _place(config, folder)
    known = (place / "ca.crt").exists()
    if known and receipt_key is not None:
        authority = Authority(place, _passphrase)
    else:
        authority = create(place, name, _new_passphrase() if protect else "", _now_utc_s())
    if receipt_key is not None:
        authority.keep_receipt_key(receiver_key(_read(receipt_key)))
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
    authority = Authority(_place(config, folder), _passphrase)
    content = sys.stdin.buffer.read(MAX_BYTES) if str(request) == "-" else _read(request)
    if not fingerprint and not yes:
        _compare(content)
    issued, bundle = authority.sign(
        content, _now_utc_s(), fingerprint=fingerprint, again=again, days=days
    )
    target = out or Path(f"{issued.name}.pem")
    target.write_bytes(bundle)
    if json:
        print_json({"record": "signed", "file": str(target), **_facts(issued)})
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
    issued = Authority(_place(config, folder), _passphrase).issued()
    now_utc_s = _now_utc_s()
    if json:
        for one in issued:
            print_json({"record": "certificate", **_facts(one)})
        n_valid = sum(one.is_valid(now_utc_s) for one in issued)
        print_json({"record": "certificates", "n": len(issued), "n_valid": n_valid})
        return DONE
    from edge.cli._tables import console, table

    rows = [
        (one.name, one.purpose, _state(one, now_utc_s), _utc(one.ends_s)[:10], one.serial)
        for one in issued
    ]
    console().print(table("Certificates", ("name", "of a", "", "until", "number"), rows))
    return DONE


def _state(one: Issued, now_utc_s: float) -> str:
    if one.revoked_s:
        return f"revoked {_utc(one.revoked_s)[:10]}"
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
    place = _place(config, folder)
    for one in Authority(place, _passphrase).revoke(named, _now_utc_s()):
        if json:
            print_json({"record": "revoked", **_facts(one)})
        else:
            typer.echo(f"{one.name} {one.serial}: taken back")
    typer.echo(
        f"give the broker {place / 'crl.pem'} and have it read it again (SIGHUP); mosquitto ends "
        f"connections that are open only when it is restarted",
        err=True,
    )
    return DONE


@APP.command("broker")
@guarded
def broker(
    hosts: Annotated[list[str], typer.Argument(metavar="HOST...", help="As boxes reach it.")],
    config: ConfigFile = None,
    folder: Folder = None,
    *,
    days: Days = LEAF_DAYS,
    json: AsJson = False,
) -> int:
    """Make key and certificate of the broker: for a host name or address, or several."""
    return _equip(BROKER, hosts, config, folder, days, json=json)


@APP.command("receiver")
@guarded
def receiver(  # each is an option of the command
    hosts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[HOST...]", help="As boxes reach it, where it takes HTTPS."),
    ] = None,
    config: ConfigFile = None,
    folder: Folder = None,
    *,
    name: Annotated[
        str, typer.Option("--name", help="receiver; a second one: receiver-2.")
    ] = "receiver",
    days: Days = LEAF_DAYS,
    json: AsJson = False,
) -> int:
    """Make key and certificate of a receiver: it may read what all boxes write."""
    return _equip(name, hosts or [], config, folder, days, json=json)


def _equip(  # as above
    name: str,
    hosts: list[str],
    config: Path | None,
    folder: Path | None,
    days: int,
    *,
    json: bool,
) -> int:
    place = _place(config, folder)
    issued = Authority(place, _passphrase).equip(name, hosts, _now_utc_s(), days)
    if json:
        print_json({"record": "signed", "file": str(place / f"{name}.crt"), **_facts(issued)})
    else:
        typer.echo(f"{place / name}.crt and .key: until {_utc(issued.ends_s)[:10]}")
    return DONE


@APP.command("mosquitto")
@guarded
def mosquitto(
    config: ConfigFile = None,
    folder: Folder = None,
    *,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="DIR",
            help="Put it into this folder, with certificates, key and list of those taken back.",
        ),
    ] = None,
    state: Annotated[
        Path, typer.Option("--state", metavar="DIR", help="Where the broker keeps what waits.")
    ] = STATE,
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = PORT,
) -> int:
    """Print what makes a mosquitto take certificates of this authority, and nobody else."""
    place = _place(config, folder)
    authority = Authority(place, _passphrase)
    now_utc_s = _now_utc_s()
    names = {one.name for one in authority.issued() if one.purpose == "receiver"}
    conf = mosquitto_conf((write or place).absolute(), state.absolute(), port)
    acl = mosquitto_acl(sorted(names | {"receiver"}))
    if write is None:
        typer.echo(f"# mosquitto.conf\n{conf}\n# acl: a file beside it\n{acl}", nl=False)
        return DONE
    if not any(one.purpose == "broker" and one.is_valid(now_utc_s) for one in authority.issued()):
        raise CommandError("the broker has no certificate yet: `homeward receive ca broker HOST`")
    write.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in ("ca.crt", "crl.pem", "broker.crt"):
        write_file(write / name, _read(place / name), 0o644)
    write_file(write / "broker.key", _read(place / "broker.key"))
    write_file(write / "acl", acl.encode(), 0o644)
    write_file(write / "mosquitto.conf", conf.encode(), 0o644)
    typer.echo(
        f"{write / 'mosquitto.conf'}: `chown mosquitto {write / 'broker.key'}`, then "
        f"`mosquitto -c {write / 'mosquitto.conf'}`"
    )
    return DONE


@APP.command("nats")
@guarded
def nats(
    config: ConfigFile = None,
    folder: Folder = None,
    *,
    state: Annotated[
        Path, typer.Option("--state", metavar="DIR", help="Where the broker keeps what waits.")
    ] = NATS_STATE,
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = PORT,
) -> int:
    """Print what makes a nats-server take the boxes of this authority, by name: a line each."""
    place = _place(config, folder)
    now_utc_s = _now_utc_s()
    valid = [one for one in Authority(place, _passphrase).issued() if one.is_valid(now_utc_s)]
    named = {of: {one.name for one in valid if one.purpose == of} for of in ("box", "receiver")}
    typer.echo(
        nats_conf(
            place.absolute(), state.absolute(), list(named["box"]), list(named["receiver"]), port
        ),
        nl=False,
    )
    return DONE


def _place(config: Path | None, folder: Path | None) -> Path:
    """Return the authority's folder."""
    os.umask(0o077)
    if folder is not None:
        return folder
    from edge.config import load

    return load(find_config(config), channel_defaults(), only=("box",)).box.data_dir / "ca"


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror})") from error


def _passphrase() -> str:
    return _typed("passphrase of the authority", new=False)


def _new_passphrase() -> str:
    return _typed("new passphrase of the authority", new=True)


def _typed(text: str, *, new: bool) -> str:
    named = os.environ.get(PASSPHRASE_FILE, "")
    if named:
        lines = _read(Path(named)).decode("utf-8", "replace").splitlines()
        if not lines or not lines[0]:
            raise CommandError(f"{named} holds no passphrase: it is the first line")
        return lines[0]
    if not sys.stdin.isatty():
        raise CommandError(
            f"a passphrase is to be typed at a terminal, or given in {PASSPHRASE_FILE}"
        )
    return str(typer.prompt(text, hide_input=True, confirmation_prompt=new, err=True))


def _facts(issued: Issued) -> dict[str, object]:
    return {
        "name": issued.name,
        "purpose": issued.purpose,
        "serial": issued.serial,
        "fingerprint": issued.fingerprint,
        "signed_utc": _utc(issued.signed_s),
        "ends_utc": _utc(issued.ends_s),
        "revoked_utc": _utc(issued.revoked_s) if issued.revoked_s else None,
    }


def _utc(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat()


def _now_utc_s() -> float:
    return datetime.now(UTC).timestamp()
