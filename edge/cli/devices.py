"""``homeward devices``: the sensors of this box: list, name, assign, remove."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.text import Text

from edge.cli import DONE, FOUND
from edge.cli._prompt import say
from edge.cli._sensors import (
    SECURITY_STYLE,
    SECURITY_WORDS,
    fact,
    made_by,
    need_bluetooth,
    patient_complaint,
)
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, print_json
from edge.cli._tables import console, table
from edge.devices import Device, find, load, update

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.table import Table

    from edge.config import Config
    from edge.pairing import Bonded


class Action(StrEnum):
    """What is done with a sensor."""

    LIST = "list"
    NAME = "name"
    ASSIGN = "assign"
    REMOVE = "remove"


def command(  # noqa: PLR0913  # one parameter an option
    config: ConfigFile = None,
    data_dir: DataDir = None,
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.LIST,
    device: Annotated[
        str | None,
        typer.Argument(metavar="DEVICE", help="A sensor: its name or address, or the beginning."),
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NEW", help="Its new name.")] = None,
    *,
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="ID", help="assign: whose it is.")
    ] = None,
    place: Annotated[
        str | None,
        typer.Option("--place", metavar="PLACE", help='assign: where on the body, as "chest".'),
    ] = None,
    keep_bond: Annotated[
        bool, typer.Option("--keep-bond", help="remove: leave the bond in BlueZ.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Show the sensors of this box, name them, say whose they are, or remove them.

    `list`; `name DEVICE NEW`; `assign DEVICE --patient ID --place "chest"`; `remove DEVICE`,
    which also makes BlueZ forget the bond. A monitor that runs takes changes over by itself.
    Ends with exit code 3 when a bond is lost, or could not be forgotten.
    """
    need_bluetooth()
    settings = load_config(config, data_dir)
    if action is Action.LIST:
        if device is not None:
            raise typer.BadParameter("list takes no sensor", param_hint="DEVICE")
        return _list(settings, json=json)
    if device is None:
        raise typer.BadParameter(f"which sensor is it to {action}?", param_hint="DEVICE")
    known = load(settings.box.data_dir)
    wanted = find(known, device)
    if action is Action.REMOVE:
        return _remove(settings.box.data_dir, wanted, keep_bond=keep_bond, json=json)
    if action is Action.NAME:
        changed = _named(known, wanted, name)
    else:
        changed = _assigned(wanted, settings, patient, place)
    update(
        settings.box.data_dir,
        lambda known: [changed if one.address == changed.address else one for one in known],
    )
    if json:
        print_json(fact(changed))
        print_json({"record": "devices", "changed": changed.address})
    else:
        where = f", {changed.place}" if changed.place else ""
        whose = changed.patient or settings.patients[0].id
        console().print(Text(f"{changed.name} ({changed.address}): {whose}{where}"))
    return DONE


def _named(known: Sequence[Device], wanted: Device, name: str | None) -> Device:
    from edge.pairing.names import chosen

    if name is None:
        raise typer.BadParameter("which name is it to have?", param_hint="NEW")
    return msgspec.structs.replace(wanted, name=chosen(known, name, wanted.address))


def _assigned(wanted: Device, settings: Config, patient: str | None, place: str | None) -> Device:
    from edge.pairing.names import clean

    if patient is None and place is None:
        raise typer.BadParameter("say whose it is, or where", param_hint="--patient or --place")
    if patient is not None:
        complaint = patient_complaint(settings, patient)
        if complaint is not None:
            raise typer.BadParameter(complaint, param_hint="--patient")
        wanted = msgspec.structs.replace(wanted, patient=patient)
    if place is not None:
        wanted = msgspec.structs.replace(wanted, place=clean(place))
    return wanted


def _remove(folder: Path, wanted: Device, *, keep_bond: bool, json: bool) -> int:
    """Take a sensor off the list first, so that it is no longer read whatever BlueZ says."""
    from edge.pairing import PairingError

    update(folder, lambda known: [one for one in known if one.address != wanted.address])
    n_forgotten, trouble = 0, ""
    if wanted.bonded and not keep_bond:
        try:
            n_forgotten = asyncio.run(_forget(wanted.address))
        except PairingError as error:
            trouble = f"{error}. Later: `bluetoothctl remove {wanted.address}`"
    if json:
        print_json(
            {
                "record": "devices",
                "removed": wanted.address,
                "n_bonds_forgotten": n_forgotten,
                "trouble": trouble,
            }
        )
    else:
        bond = "its bond is forgotten" if n_forgotten else "no bond was forgotten"
        console().print(Text(f"{wanted.name} ({wanted.address}) is removed; {bond}"))
    if trouble:
        say(f"homeward: it is off the list, but {trouble}")
        return FOUND
    return DONE


async def _forget(address: str) -> int:
    from edge.bluez import Bluez, BluezError
    from edge.pairing import explained, forget

    try:
        async with Bluez.connect() as bluez:
            return await forget(bluez, address)
    except BluezError as error:
        raise explained(error, f"cannot forget the bond with {address}") from error


def _list(settings: Config, *, json: bool) -> int:
    known = load(settings.box.data_dir)
    standing, trouble = _standing(known) if known else ({}, "")
    n_lost = sum(one == "bond lost" for one in standing.values())
    if json:
        for one in known:
            print_json(fact(one, standing[one.address]))
        print_json(
            {"record": "devices", "n_devices": len(known), "n_lost": n_lost, "trouble": trouble}
        )
    elif known:
        console().print(_table(known, standing, settings))
    else:
        console().print("No sensor is paired yet: `homeward pair`")
    if trouble:
        say(f"homeward: {trouble}")
    if n_lost:
        say("homeward: a lost bond is not mended by itself: `homeward pair --again DEVICE`")
    return FOUND if n_lost else DONE


def _standing(known: tuple[Device, ...]) -> tuple[Mapping[str, Bonded], str]:
    """Return how each stands with BlueZ, and why that could not be asked."""
    from edge.bluez import Bluez, BluezError
    from edge.pairing import Bonded, PairingError, bonds, explained

    async def asked() -> Mapping[str, Bonded]:
        async with Bluez.connect() as bluez:
            return await bonds(bluez, known)

    unknown = {one.address: Bonded.UNKNOWN if one.bonded else Bonded.NO_BOND for one in known}
    try:
        return asyncio.run(asked()), ""
    except BluezError as error:
        return unknown, str(explained(error, "cannot see whether the bonds stand"))
    except PairingError as error:
        return unknown, str(error)


_BOND_STYLE = {"bond lost": "bold red", "no bond": "red", "not known": "yellow"}


def _table(known: tuple[Device, ...], standing: Mapping[str, Bonded], settings: Config) -> Table:
    rows = [
        (
            one.name,
            one.words,
            one.patient or settings.patients[0].id,
            one.place or "-",
            Text(standing[one.address], style=_BOND_STYLE.get(standing[one.address], "")),
            Text(SECURITY_WORDS[one.security], style=SECURITY_STYLE.get(one.security, "")),
            one.address,
            made_by(one) or "-",
        )
        for one in known
    ]
    heads = ("name", "what it is", "patient", "place", "bond", "security", "address", "made by")
    return table("Sensors", heads, rows)
