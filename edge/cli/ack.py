"""``homeward ack``: a person has seen an alert."""

from __future__ import annotations

from typing import Annotated

import typer

from edge.cli import DONE, FOUND
from edge.cli._people import AsRole, By, warn_unstored
from edge.cli._shared import AsJson, CommandError, ConfigFile, DataDir, load_config, print_json
from edge.control import Acknowledge
from edge.control.client import ControlClient
from edge.records import Meaning, Role


def command(  # noqa: PLR0913  # each is an option of the command
    id: Annotated[  # noqa: A002  # the word of the command line
        str, typer.Argument(help="The alert's id, or its beginning.", show_default=False)
    ],
    by: By = None,
    role: AsRole = Role.CARER,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    seen: Annotated[bool, typer.Option("--seen", help="Somebody knows (the default).")] = False,
    false_alarm: Annotated[
        bool, typer.Option("--false-alarm", help="There was nothing to it.")
    ] = False,
    handled: Annotated[bool, typer.Option("--handled", help="It was taken care of.")] = False,
    json: AsJson = False,
) -> int:
    """Acknowledge an alert: somebody has seen it and takes care.

    It stays quiet until its condition is over; a new alert sounds, and so does this one when it
    gets worse. The patient's own answer quietens the box, but an alert of high priority is
    still carried to a carer.

    The beginning of its id is enough, as long as no other standing alert shares it. Says done
    only when the answer is stored; ends with exit code 3 when it counts but could not be stored.
    """
    chosen = [
        meaning
        for meaning, wanted in zip(Meaning, (seen, false_alarm, handled), strict=True)
        if wanted
    ]
    if len(chosen) > 1:
        raise CommandError("give one of --seen, --false-alarm and --handled")
    settings = load_config(config, data_dir)
    said = Acknowledge(id, by or role.value, role, chosen[0] if chosen else Meaning.SEEN)
    with ControlClient(settings.box.socket) as client:
        answer = client.ask(said)
    alert, stored = answer["alert"], bool(answer["stored"])
    if json:
        print_json(alert)
        print_json({"record": "ack", "id": alert["id"], "stored": stored})
    else:
        meaning = alert["meaning"].replace("_", " ")
        who = f"{meaning} by {alert['answered_by']}"
        typer.echo(f"{alert['rule']} of {alert['patient'] or 'the box'} is {alert['state']}, {who}")
    warn_unstored(stored=stored)
    return DONE if stored else FOUND
