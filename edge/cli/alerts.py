"""``homeward alerts``: what alarmed, how each alarm was told, and whether that record is whole."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from edge.cli import DONE, FOUND
from edge.cli._record import Moment, Times, When, in_order
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    load_config,
    parse_span,
    print_json,
)
from edge.cli._story import show
from edge.cli._tables import PRIORITY_STYLE, console, span_text, table
from edge.cli._unlocking import keys_of
from edge.cli._verify import check
from edge.clock import BootClock
from edge.control import ControlError, Status
from edge.control.client import ControlClient, NotRunningError
from edge.store import DATABASE, History, StoredAlarmEvent, StoredAlert


class Action(StrEnum):
    """What to do with the record of the alarms."""

    LIST = "list"
    SHOW = "show"
    VERIFY = "verify"


def command(  # noqa: PLR0913  # each is an option of the command
    action: Annotated[
        Action,
        typer.Argument(help="The latest (default); how one was told; whether all is unchanged."),
    ] = Action.LIST,
    id: Annotated[  # noqa: A002  # the word of the command line
        str, typer.Argument(help="show: the alert's id, or its beginning.", show_default=False)
    ] = "",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    since: Annotated[
        float,
        typer.Option("--since", parser=parse_span, metavar="SPAN", help="How far to look back."),
    ] = "24h",  # type: ignore[assignment]  # typer parses the default too
    standing: Annotated[
        bool, typer.Option("--standing", help="Only the alerts that stand now.")
    ] = False,
    expect: Annotated[
        str,
        typer.Option("--expect", metavar="HEAD", help="verify: a head that was written down."),
    ] = "",
    json: AsJson = False,
) -> int:
    """List the alerts of the last hours and what was done about them, oldest first.

    `homeward alerts show ID` tells how one alert was delivered: detected, sounded (or why not),
    shown, sent, received, answered by whom, ended, each with the seconds since its detection.
    `homeward alerts verify` reads the whole record through and says whether anything was edited,
    deleted or put in: exit code 0 when it is whole and 1 when it is not. The head it prints, kept
    somewhere else and handed back with --expect, proves that nothing before it has changed.

    All of it works without a running monitor, from what was stored. The list ends with exit code
    3 when an alert stands, holds every state of each with --json, and always holds an alert whose
    time cannot be told (the clock was never set).
    """
    settings = load_config(config, data_dir)
    database = settings.box.data_dir / DATABASE
    if id and action is not Action.SHOW:
        raise CommandError(f"`homeward alerts {action}` takes no id; `homeward alerts show {id}`?")
    if action is Action.VERIFY:
        return check(database, expect, json=json)
    with History.open(database, keys_of(database.parent)) as history:
        times = Times(history, BootClock().read())
        if action is Action.SHOW:
            return show(history, id, times, json=json)
        told = in_order(history, times)
    return _list(told, _standing_ids(settings.box.socket), since, standing=standing, json=json)


def _list(
    told: list[Moment], alive: set[str] | None, since_s: float, *, standing: bool, json: bool
) -> int:
    open_ids = _open_ids(told) if alive is None else alive
    recent = [m for m in told if m.when.age_s is None or m.when.age_s <= since_s]
    wanted = open_ids | ({m.alert.alert.id for m in recent if m.alert} if not standing else set())
    acts = {m.act.n for m in recent if m.act is not None and not standing}
    shown = [
        m for m in told if (m.alert and m.alert.alert.id in wanted) or (m.act and m.act.n in acts)
    ]
    print_them = _print_lines if json else _print_table
    print_them(shown, open_ids, monitor_answers=alive is not None)
    return FOUND if open_ids else DONE


def _standing_ids(socket: Path) -> set[str] | None:
    """Return the ids of the alerts that stand in the running monitor; None: none is running."""
    try:
        with ControlClient(socket) as client:
            return {alert["id"] for alert in client.ask(Status())["live"]["alerts"]}
    except NotRunningError:
        return None
    except ControlError as error:
        typer.echo(f"homeward: {error}", err=True)
        return None


def _open_ids(moments: list[Moment]) -> set[str]:
    """Return the alerts whose last stored state is not the end."""
    last = {m.alert.alert.id: m.alert.alert.state.value for m in moments if m.alert}
    return {alert_id for alert_id, state in last.items() if state != "ended"}


def _print_lines(moments: list[Moment], open_ids: set[str], *, monitor_answers: bool) -> None:
    for moment in moments:
        facts: dict[str, Any] = msgspec.to_builtins(moment.alert or moment.act)
        inner = facts.pop("alert" if moment.alert else "event")
        times = {"at_utc": moment.when.at_utc, "time_quality": moment.when.quality}
        print_json({**inner, **facts, **times})
    states = [m.alert for m in moments if m.alert]
    print_json(
        {
            "record": "alerts",
            "n_alerts": len({state.alert.id for state in states}),
            "n_states": len(states),
            "n_acts": len(moments) - len(states),
            "n_standing": len(open_ids),
            "standing": sorted(open_ids),
            "monitor_answers": monitor_answers,
        }
    )


def _print_table(moments: list[Moment], open_ids: set[str], *, monitor_answers: bool) -> None:
    out = console()
    stories: dict[str, list[tuple[When, StoredAlert]]] = {}
    for moment in moments:
        if moment.alert:
            told = (moment.when, moment.alert)
            stories.setdefault(moment.alert.alert.id, []).append(told)
    rows = []
    for moment in moments:
        if moment.act:
            rows.append(_act_row(moment.when, moment.act))
        elif moment.alert and stories[moment.alert.alert.id][0][1] is moment.alert:
            rows.append(_story_row(stories[moment.alert.alert.id], open_ids))
    if not stories:
        out.print(Text("no alert", style="green"))
    if rows:
        heads = ("began (UTC)", "priority", "patient", "what", "state", "for", "reason", "id")
        out.print(table("Alerts, and what was done about them", heads, rows))
    if not monitor_answers:
        out.print(Text("no monitor answers: this is what was stored", style="yellow"))


def _story_row(story: list[tuple[When, StoredAlert]], open_ids: set[str]) -> list[str | Text]:
    (first_when, first), (last_when, stored) = story[0], story[-1]
    last = stored.alert
    answer = next((told.alert for _, told in story[::-1] if told.alert.answered_by), None)
    stands = last.id in open_ids
    state = last.state.value
    if answer is not None:
        meaning = str(answer.meaning or "seen").replace("_", " ")
        state += f", {meaning} by {answer.answered_by}"
    lasted_s = last.at_s - last.since_s
    if stands and last_when.age_s is not None:
        lasted_s += last_when.age_s
    priority = Text(last.priority.value, style=PRIORITY_STYLE.get(last.priority.value, ""))
    return [
        str(first_when),
        priority,
        last.patient or "the box",
        last.rule,
        Text(state, style="bold" if stands else ""),
        span_text(lasted_s),
        first.alert.reason,
        last.id,
    ]


def _act_row(when: When, stored: StoredAlarmEvent) -> list[str | Text]:
    event = stored.event
    act = event.act.value.replace("_", " ")
    of = f" of {event.of.value.replace('_', ' ')}" if event.of else ""
    lasts_s = None if event.until_s is None else event.until_s - event.at_s
    return [
        str(when),
        event.priority.value if event.priority else "",
        event.patient or ("the box" if event.alert_id else "everybody"),
        Text(act + of, style="italic"),
        f"by {event.by}" if event.by else "",
        span_text(lasts_s),
        event.reason,
        event.alert_id,
    ]
