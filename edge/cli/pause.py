"""``homeward pause``: silence for a while, and its end."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edge.cli._people import AsRole, By, OfPatient, tell, told
from edge.cli._shared import AsJson, CommandError, ConfigFile, DataDir, load_config, parse_span
from edge.records import Priority, Role


def command(  # noqa: PLR0913  # each is an option of the command
    by: By = None,
    role: AsRole = Role.CARER,
    patient: OfPatient = "",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    lasts_s: Annotated[
        float | None,
        typer.Option("--for", metavar="SPAN", parser=parse_span, help="How long; at most 2m."),
    ] = None,
    upto: Annotated[
        Priority | None,
        typer.Option(
            "--up-to",
            help="The highest priority it covers. Default: the highest that sounds now, or medium.",
            case_sensitive=False,
        ),
    ] = None,
    alarms: Annotated[
        bool, typer.Option("--alarms", help="Light and notices too, not only the sound.")
    ] = False,
    off: Annotated[
        bool, typer.Option("--off", help="No sound until --resume; never for high priority.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="End what is paused or off.")] = False,
    json: AsJson = False,
) -> int:
    """Pause the sound of the alarms, for two minutes at most; it comes back by itself.

    What is worse than what was paused sounds all the same. Everything is recorded: who, what,
    until when. Ends with exit code 3 when it counts but could not be stored.
    """
    if alarms + off + resume > 1:
        raise CommandError("give one of --alarms, --off and --resume")
    action = "pause_alarms" if alarms else "audio_off" if off else "pause_audio"
    said: dict[str, Any] = {
        "action": "resume" if resume else action,
        "by": by or role.value,
        "role": role,
    }
    given = {"patient": patient, "priority": upto, "lasts_s": lasts_s}
    said |= {name: value for name, value in given.items() if value}
    return told(tell(load_config(config, data_dir), **said), json=json)
