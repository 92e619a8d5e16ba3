"""``homeward report``: one alert on a printable page, with what was sensed around it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from edge.cli import DONE
from edge.cli._record import Times
from edge.cli._shared import (
    CommandError,
    ConfigFile,
    DataDir,
    homeward_version,
    load_config,
    print_json,
)
from edge.cli._sourced import Sourced, open_runs
from edge.cli._spans import PRIVATE, parse_utc
from edge.cli._story import Line, story_of
from edge.cli._unlocking import keys_of
from edge.cli._vault import VAULT
from edge.clock import BootClock
from edge.config import Config
from edge.export.page import draw_html, draw_page
from edge.export.span import Origin
from edge.export.strip import MAX_LISTED, StripTaker, Told
from edge.records import Alert
from edge.store import DATABASE, History, StoredAlert

SHORT: Final = 8
"""Letters of the id in the name of the page."""


def command(
    alert_id: Annotated[str, typer.Argument(help="The alert's id, or its beginning.")],
    source: Annotated[
        str,
        typer.Argument(
            help="Of that time: vault:[RUN|SPAN], what the monitor has kept; or a packet log, "
            "recording or scenario."
        ),
    ] = VAULT,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Page to write: .html (default) or .svg."),
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(
            metavar="UTC", parser=parse_utc, help="When the source began, if nobody recorded it."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what the page says as JSON.")] = False,
) -> int:
    """Draw the ten seconds before and the twenty after an alert on an A4 page, to be printed.

    ECG at 25 mm/s and 10 mm/mV as it was sensed, the vital signs at that moment, why it alarmed,
    how it was told and who answered. What the store of this box knows of the alert is used; else
    what the monitor makes of the source. Print the page from a browser at 100 %, or to a PDF.
    """
    chosen = load_config(config, data_dir)
    if not alert_id:
        raise CommandError("which alert? `homeward alerts` lists them")
    page = out or Path(f"alarm-{alert_id[:SHORT]}.html")
    if page.suffix not in {".html", ".svg"}:
        raise CommandError(f"{page} must end in .html or .svg; a browser prints either as a PDF")
    if page.exists():
        raise CommandError(f"{page} is there already; name a new file")
    known, story = _stored(chosen, alert_id)
    others: list[Alert] = []
    for opened in open_runs(source, chosen, known):
        taker = StripTaker(alert_id, None if known is None else known.alert)
        started_s = _play(opened, taker)
        if taker.met:
            break
        others += taker.others
    else:
        raise CommandError(_not_found(alert_id, source, known, others))
    origin = opened.origin(chosen.box.data_dir, taker.at_s)
    if start is not None and started_s is not None:
        origin = Origin(start - timedelta(seconds=started_s), "given")
    strip = taker.strip(story, opened.name, homeward_version(), origin)
    os.umask(PRIVATE)
    drawn = draw_page(strip) if page.suffix == ".svg" else draw_html(strip)
    try:
        page.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {page}: {error.strerror}; name another place") from error
    if json:
        told = {"alert": strip.alert, "vitals": strip.vitals, "story": strip.story}
        print_json({"record": "report", "page": str(page), **told})
    else:
        typer.echo(f"{page}: {strip.alert.rule}, {strip.alert.reason}")
    return DONE


def _play(opened: Sourced, taker: StripTaker) -> float | None:
    """Let the seconds pass until the strip is whole; return when the first packet arrived."""
    started_s: float | None = None
    with contextlib.ExitStack() as stack:
        show = _progress(stack)
        for second in opened.seconds:
            if started_s is None and second.packets:
                started_s = second.packets[0].arrived_s
            show(second.end_s)
            if not taker.take(second):
                break
    return started_s


def _stored(config: Config, beginning: str) -> tuple[StoredAlert | None, list[Told]]:
    """Return the alert and its story as the store has them; None where it has no such alert."""
    path = config.box.data_dir / DATABASE
    if not path.exists():
        return None, []
    with History.open(path, keys_of(path.parent)) as history:
        if len(ids := history.alert_ids(beginning)) != 1:
            return None, []
        states = [kept for kept in history.alerts() if kept.alert.id == ids[0]]
        if not states:
            return None, []
        story = story_of(history, ids[0], Times(history, BootClock().read()))
    return states[0], [_told(line) for line in story]


def _told(line: Line) -> Told:
    by = f"{line.row.by}: " if line.row.by and line.row.kind != "alert" else ""
    if line.row.stage == "acknowledged":
        by = f"by {line.row.by}: "
    return Told(line.after_s, line.stage, by + line.words)


def _not_found(alert_id: str, source: str, known: StoredAlert | None, others: list[Alert]) -> str:
    if known is not None:
        return (
            f"{source} holds nothing of {known.alert.at_s:.0f} s of run {known.run_id}, when "
            f"{known.alert.rule} alarmed; name the log of that time"
        )
    if not others:
        return f"no alert begins with {alert_id!r}, and none was raised in {source}"
    listed = "".join(
        f"\n  {a.id[:SHORT]}  {a.at_s:8.1f} s  {a.rule}: {a.reason}" for a in others[:MAX_LISTED]
    )
    more = ", among others" if len(others) >= MAX_LISTED else ""
    return f"no alert begins with {alert_id!r} in {source}; there are{more}:{listed}"


def _progress(stack: contextlib.ExitStack) -> Callable[[float], None]:
    if not sys.stderr.isatty():
        return lambda _now_s: None
    from rich.console import Console

    status = stack.enter_context(Console(stderr=True).status("reading"))
    return lambda now_s: status.update(f"reading: {now_s:.0f} s")
