"""``homeward alerts show ID``: how one alert was told, from its detection to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from rich.text import Text

from edge.cli import DONE
from edge.cli._record import Times, When
from edge.cli._shared import CommandError, print_json
from edge.cli._tables import console, table
from edge.store import History, LedgerRow

_STAGE_OF: Final = {
    "raised": "detected",
    "active": "said again",
    "acknowledged": "answered",
    "latched": "over, unanswered",
    "not_sounded": "NOT sounded",
    "failed": "NOT sent",
    "audio_paused": "sound paused",
    "alarms_paused": "alarms paused",
    "audio_off": "sound off",
    "rearmed": "pause over",
    "handed_off": "watch handed over",
    "watch_over": "watch over",
}
_STYLE: Final = {
    "detected": "bold",
    "sounded": "green",
    "shown": "green",
    "received": "green",
    "answered": "green",
    "ended": "bold",
    "escalated": "yellow",
    "NOT sounded": "bold red",
    "NOT sent": "bold red",
}


class Line(msgspec.Struct, frozen=True):
    """One stage: its row, when that was, and how long after the detection."""

    row: LedgerRow
    when: When
    after_s: float | None

    @property
    def stage(self) -> str:
        """What people call it."""
        return _STAGE_OF.get(self.row.stage, self.row.stage)

    @property
    def words(self) -> str:
        """What there is to say of it."""
        return _words(self.row)


def show(history: History, beginning: str, times: Times, *, json: bool) -> int:
    """Print the story of one alert.

    Raises
    ------
    CommandError
        No alert, or more than one, begins so.
    """
    story = story_of(history, beginning, times)
    if json:
        for line in story:
            told = msgspec.to_builtins(line.row)
            when = line.when
            more = {"at_utc": when.at_utc, "time_quality": when.quality}
            print_json({**told, "after_s": line.after_s, **more})
        print_json(_summary(story))
    else:
        _print(story)
    return DONE


def story_of(history: History, beginning: str, times: Times) -> list[Line]:
    """Return the stages of one alert, in order.

    Raises
    ------
    CommandError
        No alert, or more than one, begins so.
    """
    rows = _rows(history, beginning)
    first = rows[0]
    began = times.when(first.at_s, first.boot_id)
    story = []
    for row in rows:
        when = times.when(row.at_s, row.boot_id)
        story.append(Line(row, when, _after_s(first, began, row, when)))
    return story


def _rows(history: History, beginning: str) -> list[LedgerRow]:
    if not beginning:
        raise CommandError("which alert? `homeward alerts show ID`; `homeward alerts` lists them")
    ids = history.alert_ids(beginning)
    if not ids:
        raise CommandError(f"no alert begins with {beginning!r}: `homeward alerts` lists them")
    if len(ids) > 1:
        raise CommandError(f"more than one alert begins with {beginning!r}: say more of it")
    rows = history.ledger_of(ids[0])
    if not rows:
        raise CommandError(
            f"{ids[0]} is not in the ledger: `homeward alerts verify` says what is wrong with it"
        )
    ended = rows[-1].n if any(row.stage == "ended" for row in rows) else 2**62
    patient = rows[0].body.get("patient", "")
    acts = [
        row
        for row in history.ledger_of_acts(rows[0].n, ended)
        if row.body.get("patient", "") in ("", patient)
    ]
    told = [row for row in rows if row.kind in ("alert", "alarm_event", "delivery")]
    # By the moment itself: a sound is written down a little after it was given. Times of two
    # boots cannot be compared; the order of the rows can.
    began: dict[str, int] = {}
    for row in rows:
        began.setdefault(row.run_id, row.n)
    return sorted([*told, *acts], key=lambda row: (began.get(row.run_id, row.n), row.at_s, row.n))


def _after_s(first: LedgerRow, began: When, row: LedgerRow, when: When) -> float | None:
    """Return the seconds since the detection; None where nobody can tell across a boot."""
    if row.boot_id == first.boot_id:
        return round(row.at_s - first.at_s, 3)
    if began.age_s is None or when.age_s is None:
        return None
    return round(began.age_s - when.age_s, 3)


def _summary(story: Sequence[Line]) -> dict[str, Any]:
    reached: dict[str, float | None] = {}
    for line in story:
        reached.setdefault(line.row.stage, line.after_s)
    first = story[0].row
    return {
        "record": "story",
        "id": first.ref,
        "patient": first.body.get("patient"),
        "rule": first.body.get("rule"),
        "n_rows": len(story),
        "ended": "ended" in reached,
        "after_s": reached,
    }


def _print(story: Sequence[Line]) -> None:
    out = console()
    first, told = story[0], story[0].row.body
    head = f"{told['rule']} of {told['patient'] or 'the box'}, {told['priority']} priority"
    out.print(Text(head, style="bold"))
    out.print(f"detected {first.when} UTC, alert {first.row.ref}")
    rows: list[list[str | Text]] = []
    for line in story:
        row, stage = line.row, line.stage
        since = "?" if line.after_s is None else f"{line.after_s:+.2f} s"
        style = _STYLE.get(stage, "")
        rows.append([since, Text(stage, style=style), row.by, _words(row), str(row.n)])
    out.print(table("", ("after", "stage", "by", "", "row"), rows))
    if not any(line.row.kind == "delivery" for line in story):
        out.print(Text("how it was told is not recorded: it is from before the ledger"))


def _words(row: LedgerRow) -> str:
    body = row.body
    if row.kind == "alert":
        answer = " ".join(filter(None, (body["role"], body["meaning"].replace("_", " "))))
        return answer if row.stage == "acknowledged" else str(body["reason"])
    parts = [str(body[name]) for name in ("reason", "detail") if body.get(name)]
    if row.kind == "delivery" and body.get("to"):
        parts.append(f"by {body['to']}" if row.by == "gpio" else f"to {body['to']}")
    if row.kind == "delivery" and body.get("until_s"):
        parts.append(f"for another {body['until_s'] - row.at_s:.0f} s")
    if row.kind == "delivery" and body.get("with"):
        parts.append(f"one sound with {body['with']}")
    if body.get("last"):
        parts.append("(no more is written down of it)")
    return ", ".join(parts)
