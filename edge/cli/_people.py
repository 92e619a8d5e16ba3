"""What the commands share by which people answer the alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
import typer

from edge.cli import DONE, FOUND
from edge.cli._shared import CommandError, print_json
from edge.control import Tell
from edge.control.client import ControlClient
from edge.records import Role

if TYPE_CHECKING:
    from edge.config import Config

AsRole: TypeAlias = Annotated[
    Role, typer.Option("--as", help="As whom you answer.", case_sensitive=False)
]
By: TypeAlias = Annotated[
    str | None,
    typer.Option("--by", metavar="NAME", help="Who you are. Default: what --as says."),
]
OfPatient: TypeAlias = Annotated[
    str, typer.Option("--patient", metavar="ID", help="Whose alarms. Default: everybody's.")
]


def tell(settings: Config, **said: Any) -> dict[str, Any]:  # noqa: ANN401  # fields of an Answer
    """Say it to the running monitor; return what it says back.

    Raises
    ------
    CommandError
        It may not be said so.
    """
    try:
        request = msgspec.convert({"command": "tell", "answer": said}, Tell)
    except msgspec.ValidationError as error:
        raise CommandError(str(error).partition(" - at ")[0]) from error
    with ControlClient(settings.box.socket) as client:
        answer: dict[str, Any] = client.ask(request)
    return answer


def told(answer: dict[str, Any], *, json: bool) -> int:
    """Print what came of it; return the exit code."""
    event, stored = answer["event"], bool(answer["stored"])
    if json:
        print_json(event)
        print_json({"record": "told", "act": event["act"], "stored": stored})
    else:
        whose = f" ({event['patient']})" if event["patient"] else ""
        typer.echo(f"{event['reason']}{whose}")
    warn_unstored(stored=stored)
    return DONE if stored else FOUND


def warn_unstored(*, stored: bool) -> None:
    """Say so where an answer counts and is not on the disk."""
    if not stored:
        typer.echo(
            "homeward: it counts, but could not be stored yet: see `homeward status`", err=True
        )
