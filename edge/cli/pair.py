"""``homeward pair``: make a sensor in the air one of this box."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from edge.cli import DONE
from edge.cli._prompt import on_terminal
from edge.cli._sensors import (
    SECURITY_WORDS,
    fact,
    made_by,
    need_bluetooth,
    patient_complaint,
)
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, parse_span, print_json
from edge.cli._tables import console

if TYPE_CHECKING:
    from edge.cli._pairing import Flags
    from edge.config import Config


def command(  # noqa: PLR0913  # one parameter an option
    config: ConfigFile = None,
    data_dir: DataDir = None,
    device: Annotated[
        str | None,
        typer.Argument(
            metavar="DEVICE", help="Its address, its name here, or what it calls itself."
        ),
    ] = None,
    *,
    name: Annotated[str, typer.Option("--name", help="What to call it.")] = "",
    patient: Annotated[str, typer.Option("--patient", metavar="ID", help="Whose it is.")] = "",
    place: Annotated[str, typer.Option("--place", help='Where on the body, as "chest".')] = "",
    unpaired: Annotated[
        bool,
        typer.Option(
            "--unpaired", help="It offers no pairing: use it, though anybody can pretend to be it."
        ),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Its key was lost: forget the old bond, make a new one.")
    ] = False,
    passkey: Annotated[
        int | None,
        typer.Option("--passkey", min=0, max=999_999, help="The six digits that it shows."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask, except to compare a number.")
    ] = False,
    listen_s: Annotated[
        float,
        typer.Option(
            "--for", parser=parse_span, metavar="SPAN", help="How long to listen for a name."
        ),
    ] = "10s",  # type: ignore[assignment]  # typer parses the default too
    adapter: Annotated[
        str, typer.Option("--adapter", metavar="HCI", help="Radio, if there are several.")
    ] = "",
    json: AsJson = False,
) -> int:
    """Pair with a Bluetooth sensor: it can then be told from all that pretend to be it.

    On a terminal it shows what is in the air and leads through. Elsewhere it needs DEVICE, and
    --passkey for a sensor that shows one. For one minute the sensor may pair, and nothing else
    may. Numbers are never confirmed unseen: a sensor that wants two compared needs a terminal.
    """
    need_bluetooth()
    from edge.cli._pairing import Flags, add

    settings = load_config(config, data_dir)
    flags = Flags(device, name, patient, place, unpaired, again, passkey, yes, adapter, listen_s)
    _check(flags, settings)
    made = asyncio.run(add(flags, settings))
    if json:
        print_json(fact(made))
        print_json({"record": "pair", "address": made.address, "security": made.security.value})
        return DONE
    what = ", ".join(part for part in (made.words, made_by(made)) if part)
    console().print(
        Text(
            f"{made.name} ({made.address}) is a sensor of this box: {what}.\n"
            f"Security: {SECURITY_WORDS[made.security.value]}."
        )
    )
    return DONE


def _check(flags: Flags, settings: Config) -> None:
    if flags.device is None and (flags.yes or not on_terminal()):
        raise typer.BadParameter(
            "say which sensor; `homeward scan` lists them", param_hint="DEVICE"
        )
    if flags.unpaired and flags.again:
        raise typer.BadParameter(
            "makes no bond, so none is to be made --again", param_hint="--unpaired"
        )
    complaint = patient_complaint(settings, flags.patient) if flags.patient else None
    if complaint is not None:
        raise typer.BadParameter(complaint, param_hint="--patient")
