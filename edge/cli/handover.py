"""``homeward handover``: who has the watch, until when."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edge.cli._people import AsRole, By, OfPatient, tell, told
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, parse_span
from edge.records import Role


def command(  # noqa: PLR0913  # each is an option of the command
    to: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help='Who has the watch now; "" for nobody.', show_default=False
        ),
    ],
    by: By = None,
    role: AsRole = Role.CARER,
    patient: OfPatient = "",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    lasts_s: Annotated[
        float | None,
        typer.Option("--for", metavar="SPAN", parser=parse_span, help="How long; at most 24h."),
    ] = None,
    json: AsJson = False,
) -> int:
    """Hand the watch to another carer: who has it is told first of what nobody answers.

    It ends by itself, after twelve hours where nothing else is said. What waits for an answer
    and had reached a carer is told to the new one at once.
    """
    said: dict[str, Any] = {"action": "hand_off", "by": by or role.value, "role": role, "to": to}
    given = {"patient": patient, "lasts_s": lasts_s}
    said |= {name: value for name, value in given.items() if value}
    return told(tell(load_config(config, data_dir), **said), json=json)
