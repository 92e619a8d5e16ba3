"""``homeward enter``: a person says what no sensor sees, or what was measured by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from edge.cli import DONE, FOUND
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, parse_span, print_json
from edge.control import Enter
from edge.control.client import ControlClient
from edge.events import ENTERABLE

_WHAT = ", ".join(
    f"{name} ({', '.join(known.choices)})" if known.choices else name
    for name, known in ENTERABLE.items()
)


def command(  # noqa: PLR0913  # each is an option of the command
    what: Annotated[str, typer.Argument(help=f"One of: {_WHAT}.", show_default=False)],
    value: Annotated[str, typer.Argument(help="The number, or the word.", show_default=False)],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    role: Annotated[
        str, typer.Option("--as", metavar="ROLE", help="As what: carer, nurse, patient ...")
    ] = "carer",
    valid_for_s: Annotated[
        float | None,
        typer.Option(
            "--for",
            metavar="SPAN",
            parser=parse_span,
            help="How long it counts, 24h at most. Default: 4h for oxygen and consciousness, 1h "
            "for what was measured.",
        ),
    ] = None,
    age_s: Annotated[
        float | None,
        typer.Option("--ago", metavar="SPAN", parser=parse_span, help="It was so long ago."),
    ] = None,
    patient: Annotated[
        str, typer.Option("--patient", metavar="ID", help="Of whom; default: the only patient.")
    ] = "",
    json: AsJson = False,
) -> int:
    """Enter what no sensor sees (oxygen, consciousness) or what was measured by hand, for NEWS2.

    It counts until it expires or something newer is entered. Says done only when it is stored;
    ends with exit code 3 when it counts but could not be stored.
    """
    settings = load_config(config, data_dir)
    asked = Enter(
        what=what,
        value=value,
        by=by,
        role=role,
        patient=patient,
        valid_for_s=valid_for_s,
        age_s=age_s or 0.0,
    )
    with ControlClient(settings.box.socket) as client:
        answer = client.ask(asked)
    entry, stored = answer["entry"], bool(answer["stored"])
    if json:
        print_json(entry)
        print_json({"record": "enter", "what": what, "stored": stored})
    else:
        hours = (entry["valid_for_s"] - entry["age_s"]) / 3600.0
        told = f"{what} of {entry['patient']} is {entry['value']}, said by {by}"
        typer.echo(f"{told}; it counts for {hours:.3g} h")
        if not stored:
            typer.echo(
                "homeward: it counts, but could not be stored yet: see `homeward status`", err=True
            )
    return DONE if stored else FOUND
