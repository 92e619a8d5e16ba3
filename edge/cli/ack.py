"""``homeward ack``: a person has seen an alert."""

from __future__ import annotations

from typing import Annotated

import typer

from edge.cli import DONE, FOUND
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, print_json
from edge.control import Acknowledge
from edge.control.client import ControlClient


def command(
    id: Annotated[  # noqa: A002  # the word of the command line
        str, typer.Argument(help="The alert's id, or its beginning.", show_default=False)
    ],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who has seen it.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    json: AsJson = False,
) -> int:
    """Acknowledge an alert: somebody has seen it and takes care.

    The beginning of its id is enough, as long as no other standing alert shares it. Says done
    only when the answer is stored; ends with exit code 3 when it counts but could not be stored.
    """
    settings = load_config(config, data_dir)
    with ControlClient(settings.box.socket) as client:
        answer = client.ask(Acknowledge(id=id, by=by))
    alert, stored = answer["alert"], bool(answer["stored"])
    if json:
        print_json(alert)
        print_json({"record": "ack", "id": alert["id"], "stored": stored})
    else:
        typer.echo(f"{alert['rule']} of {alert['patient']} is {alert['state']}, seen by {by}")
        if not stored:
            typer.echo(
                "homeward: it counts, but could not be stored yet: see `homeward status`", err=True
            )
    return DONE if stored else FOUND
