"""``homeward ledger``: what left the box, word for word, and forgetting what it said."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from edge.cli import DONE
from edge.cli._codes import print_codes
from edge.cli._egress import print_list, print_message, rows_of, totals_of
from edge.cli._record import Times
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    homeward_version,
    load_config,
    parse_span,
    print_json,
)
from edge.clock import BootClock
from edge.config import Config
from edge.control import ForgetSent
from edge.control.client import ControlClient, NotRunningError
from edge.egress.schema import rows as schema_rows
from edge.egress.schema import table as schema_table
from edge.store import DATABASE, History, Run, Sent, Store


class Action(StrEnum):
    """What to do with the ledger."""

    LIST = "list"
    SHOW = "show"
    FORGET = "forget"


def command(  # noqa: PLR0913  # each is an option of the command
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.LIST,
    n: Annotated[
        int | None, typer.Argument(metavar="N", help="show, forget: which message.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    span: Annotated[
        float | None,
        typer.Option(
            "--span", parser=parse_span, metavar="SPAN", help="How far to look back; default 7d."
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only this kind, e.g. notice, ping.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help="Only to this destination.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="forget: all of it.")] = False,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="forget: who you are.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="All that may ever leave: every field, no other.")
    ] = False,
    codes: Annotated[
        bool,
        typer.Option("--codes", help="Our own codes in FHIR, and what they mean."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: AsJson = False,
) -> int:
    """Show every message that left this box, and to whom, and forget what they said.

    `homeward ledger` lists them, `show N` prints one word for word. `forget N`, `forget --span 7d`
    or `forget --all` erase the words; that a message left, its size and its SHA-256 stay, so that
    what a receiver still has can be told to be that message. Receivers are put in line to be asked
    to delete it too. Addresses and tokens are passwords and are never in it.
    """
    if schema:
        return _schema(json=json)
    if codes:
        print_codes(json=json)
        return DONE
    settings = load_config(config, data_dir)
    if action is Action.FORGET:
        return _forget(settings, n, span, by, everything=everything, yes=yes, json=json)
    with History.open(settings.box.data_dir / DATABASE) as history:
        times = Times(history, BootClock().read())
        if action is Action.SHOW:
            sent = history.sent_message(n) if n is not None else None
            if sent is None:
                raise CommandError("which message? `homeward ledger` lists them: show N")
            (row,) = rows_of(history, [sent], times)
            print_message(row, json=json)
            return DONE
        recent = _recent(history.sent(), times, span or 7 * 86400.0)
        rows = rows_of(
            history,
            [s for s in recent if kind in (None, s.kind) and to in (None, s.destination)],
            times,
        )
        today = datetime.now(UTC).astimezone()
        n_erase = len(history.erase_requests())
    print_list(rows, totals_of(rows, today), n_erase, json=json)
    return DONE


def _recent(sent: list[Sent], times: Times, span_s: float) -> list[Sent]:
    """Return what left in the last of the time; what nobody knows the time of is among it."""
    ages = [times.when(one.at_s, one.boot_id).age_s for one in sent]
    return [one for one, age in zip(sent, ages, strict=True) if age is None or age <= span_s]


def _schema(*, json: bool) -> int:
    if json:
        rows = list(schema_rows())
        for row in rows:
            print_json(row)
        print_json({"record": "egress_schema", "n_fields": len(rows)})
    else:
        typer.echo(schema_table(), nl=False)
    return DONE


def _forget(  # options of the command
    settings: Config,
    n: int | None,
    span_s: float | None,
    by: str | None,
    *,
    everything: bool,
    yes: bool,
    json: bool,
) -> int:
    if sum((n is not None, span_s is not None, everything)) != 1:
        raise typer.BadParameter("which? forget N, forget --span 7d, or forget --all")
    if not by or not by.strip():
        raise typer.BadParameter("who forgets it? give --by NAME", param_hint="--by")
    numbers = _numbers(settings, n, span_s)
    if numbers and not yes:
        typer.confirm(f"Erase what {len(numbers)} messages said?", abort=True, err=True)
    told = {"n": 0, "n_to_ask": 0}
    if numbers:
        request = ForgetSent(min(numbers), max(numbers), by.strip())
        try:
            with ControlClient(settings.box.socket) as client:
                told = client.ask(request)
        except NotRunningError:
            told = _forget_here(settings, request)
    if json:
        print_json({"record": "forgotten", **told})
    else:
        typer.echo(f"erased what {told['n']} messages said; that they left stays")
        if told["n_to_ask"]:
            typer.echo(
                f"! {told['n_to_ask']} records receivers are to be asked to delete too: "
                f"`homeward sync` asks them, `homeward ledger` says whether they did"
            )
    return DONE


def _numbers(settings: Config, n: int | None, span_s: float | None) -> list[int]:
    with History.open(settings.box.data_dir / DATABASE) as history:
        if n is not None:
            if history.sent_message(n) is None:
                raise CommandError(f"there is no message {n}: `homeward ledger` lists them")
            return [n]
        sent = history.sent()
        if span_s is not None:
            sent = _recent(sent, Times(history, BootClock().read()), span_s)
        return [one.n for one in sent if not one.erased and (one.size or one.headers)]


def _forget_here(settings: Config, request: ForgetSent) -> dict[str, Any]:
    """Forget without a monitor."""
    clock = BootClock()
    version = f"{homeward_version()} (ledger)"
    run = Run(str(uuid.uuid4()), clock.boot_id, clock.now_s(), version, "")
    with Store.begin(settings.box.data_dir / DATABASE, run) as store:
        store.backlog.add_clock(clock.read())
        store.flush(clock.now_s())
        numbers = range(request.first, request.last + 1)
        erased = store.erase_sent(numbers, request.by, request.why, clock.now_s())
    return {"n": erased.n, "n_to_ask": erased.n_to_ask}
