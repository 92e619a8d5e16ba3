"""``homeward receive ca broker | receiver | mosquitto | nats``: what the other ends need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from edge.cli import DONE
from edge.cli._ca import Days, Folder, ca_folder, facts, passphrase, read_file, utc_text, wall_s
from edge.cli._shared import AsJson, CommandError, ConfigFile, print_json
from edge.enrol.authority import BROKER, Authority
from edge.enrol.broker import PORT, mosquitto_acl, mosquitto_conf, nats_conf
from edge.enrol.folder import write_file
from edge.enrol.leaves import LEAF_DAYS

STATE: Final = Path("/var/lib/mosquitto")
NATS_STATE: Final = Path("/var/lib/nats")


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
    place = ca_folder(config, folder)
    issued = Authority(place, passphrase).equip(name, hosts, wall_s(), days)
    if json:
        print_json({"record": "signed", "file": str(place / f"{name}.crt"), **facts(issued)})
    else:
        typer.echo(f"{place / name}.crt and .key: until {utc_text(issued.ends_s)[:10]}")
    return DONE


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
    place = ca_folder(config, folder)
    authority = Authority(place, passphrase)
    now_utc_s = wall_s()
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
        write_file(write / name, read_file(place / name), 0o644)
    write_file(write / "broker.key", read_file(place / "broker.key"))
    write_file(write / "acl", acl.encode(), 0o644)
    write_file(write / "mosquitto.conf", conf.encode(), 0o644)
    typer.echo(
        f"{write / 'mosquitto.conf'}: `chown mosquitto {write / 'broker.key'}`, then "
        f"`mosquitto -c {write / 'mosquitto.conf'}`"
    )
    return DONE


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
    place = ca_folder(config, folder)
    now_utc_s = wall_s()
    valid = [one for one in Authority(place, passphrase).issued() if one.is_valid(now_utc_s)]
    named = {of: {one.name for one in valid if one.purpose == of} for of in ("box", "receiver")}
    typer.echo(
        nats_conf(
            place.absolute(), state.absolute(), list(named["box"]), list(named["receiver"]), port
        ),
        nl=False,
    )
    return DONE
