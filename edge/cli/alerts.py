"""``homeward alerts``: alerts of the last hours, and those that stand now."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from edge.cli import DONE, FOUND
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, parse_span, print_json
from edge.cli._tables import PRIORITY_STYLE, console, span_text, table
from edge.clock import BootClock, TimeQuality, WallEntry, WallLog
from edge.control import ControlError, Status
from edge.control.client import ControlClient, NotRunningError
from edge.store import DATABASE, History, StoredAlert


class Moment(msgspec.Struct, frozen=True):
    """A stored state of an alert, and when that was for people."""

    stored: StoredAlert
    at_utc: datetime | None
    quality: TimeQuality | None
    age_s: float | None


def command(
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
    json: AsJson = False,
) -> int:
    """List the alerts of the last hours, oldest first; with --json every state of each.

    Works without a running monitor, from what was stored. Ends with exit code 3 when an alert
    stands. An alert whose time cannot be told (the clock was never set) is always listed.
    """
    settings = load_config(config, data_dir)
    alive = _standing_ids(settings.box.socket)
    with History.open(settings.box.data_dir / DATABASE) as history:
        moments = _moments(history, BootClock().read())
    wanted = {m.stored.alert.id for m in moments if m.age_s is None or m.age_s <= since}
    open_ids = _open_ids(moments) if alive is None else alive
    if standing:
        wanted = open_ids
    shown = [m for m in moments if m.stored.alert.id in wanted | open_ids]
    if json:
        _print_lines(shown, open_ids, monitor_answers=alive is not None)
    else:
        _print_table(shown, open_ids, monitor_answers=alive is not None)
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


def _moments(history: History, now: WallEntry) -> list[Moment]:
    wall = WallLog([*history.clock_log(), now])
    found = []
    for stored in history.alerts():
        utc: datetime | None = None
        quality: TimeQuality | None = None
        age_s: float | None = None
        with suppress(LookupError):  # that boot's clock log is lost: shown as unknown
            utc, quality = wall.utc_of(stored.alert.at_s, stored.boot_id)
        if stored.boot_id == now.boot_id:
            age_s = now.boot_s - stored.alert.at_s
        elif utc is not None and quality is not TimeQuality.UNSYNCED:
            age_s = (datetime.fromtimestamp(now.wall_s, UTC) - utc).total_seconds()
        found.append(Moment(stored, utc, quality, age_s))
    return found


def _open_ids(moments: Iterable[Moment]) -> set[str]:
    """Return the alerts whose last stored state is not the end."""
    last = {m.stored.alert.id: m.stored.alert.state.value for m in moments}
    return {alert_id for alert_id, state in last.items() if state != "ended"}


def _print_lines(moments: list[Moment], open_ids: set[str], *, monitor_answers: bool) -> None:
    for moment in moments:
        facts: dict[str, Any] = msgspec.to_builtins(moment.stored)
        alert = facts.pop("alert")
        print_json({**alert, **facts, "at_utc": moment.at_utc, "time_quality": moment.quality})
    print_json(
        {
            "record": "alerts",
            "n_alerts": len({m.stored.alert.id for m in moments}),
            "n_states": len(moments),
            "n_standing": len(open_ids),
            "standing": sorted(open_ids),
            "monitor_answers": monitor_answers,
        }
    )


def _print_table(moments: list[Moment], open_ids: set[str], *, monitor_answers: bool) -> None:
    out = console()
    stories: dict[str, list[Moment]] = {}
    for moment in moments:
        stories.setdefault(moment.stored.alert.id, []).append(moment)
    if not stories:
        out.print(Text("no alert", style="green"))
    else:
        rows = [_story_row(story, open_ids) for story in stories.values()]
        heads = ("raised (UTC)", "priority", "patient", "rule", "state", "for", "reason", "id")
        out.print(table("Alerts", heads, rows))
    if not monitor_answers:
        out.print(Text("no monitor answers: this is what was stored", style="yellow"))


def _story_row(story: list[Moment], open_ids: set[str]) -> list[str | Text]:
    first, last = story[0], story[-1].stored.alert
    answered = next((m.stored.alert.answered_by for m in story if m.stored.alert.answered_by), "")
    stands = last.id in open_ids
    state = last.state.value + (f", seen by {answered}" if answered else "")
    when = "unknown" if first.at_utc is None else f"{first.at_utc:%Y-%m-%d %H:%M:%S}"
    if first.quality is TimeQuality.UNSYNCED:
        when += " ?"
    lasted_s = last.at_s - last.since_s
    if stands and story[-1].age_s is not None:
        lasted_s += story[-1].age_s
    priority = Text(last.priority.value, style=PRIORITY_STYLE.get(last.priority.value, ""))
    return [
        when,
        priority,
        last.patient or "the box",
        last.rule,
        Text(state, style="bold" if stands else ""),
        span_text(lasted_s),
        first.stored.alert.reason,
        last.id,
    ]
