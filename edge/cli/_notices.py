"""What ``homeward status`` says of the notices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge.cli._shared import print_json
from edge.cli._tables import span_text


def notice_troubles(notices: dict[str, Any]) -> Iterator[str]:
    """Return why people would not be told, a sentence each."""
    if notices.get("withheld"):
        yield f"nobody outside this room is told of alarms: {notices['withheld']}"
    if notices["trouble"]:
        yield f"notices do not go out: {notices['trouble']}"
    deadman = notices["deadman"]
    if deadman is not None and not deadman["works"]:
        yield f"the dead-man ping is not sent: {deadman['reason']}"


def notice_lines(notices: dict[str, Any], now_s: float) -> Iterator[str]:
    """Return by which ways people are told, and when each last took something."""
    ways = [*notices["ways"], *([notices["deadman"]] if notices["deadman"] else [])]
    for way in ways:
        sent_s = way["sent_s"]
        last = "nothing sent yet" if sent_s is None else f"last {span_text(now_s - sent_s)} ago"
        waiting = f", {way['n_waiting']} wait" if way["n_waiting"] else ""
        health = "works" if way["works"] else "DOES NOT WORK"
        yield f"notices through {way['name']}: {health}, {last}{waiting}"


def proof_lines(report: dict[str, Any]) -> Iterator[str]:
    """Return what the last test notices proved, and how long ago, where there are any."""
    if (proof := _proof(report)) is not None:
        ago = span_text(report["monitor"]["now_s"] - proof["ended_s"])
        shown = {"passed": "passed", "failed": "FAILED"}.get(proof["verdict"], "not known")
        yield f"notices last tested {ago} ago: {shown}: {proof['found']}"


def print_json_of(report: dict[str, Any]) -> None:
    """Print them as a line of JSON, where anybody is to be told or a notifier runs."""
    notices = report["notices"]
    if notices["wanted"] or notices["age_s"] is not None:
        print_json({"record": "notices", **notices, "proof": _proof(report)})


def _proof(report: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the last self-test says of the notices; None: they are not wanted, or untried."""
    path = report["alarm_path"] or {}
    rows = (path.get("last") or {"rows": ()})["rows"]
    if not report["notices"]["wanted"]:
        return None
    for row in rows:
        if row["part"] == "notices" and row["verdict"] != "not there":
            return {
                "verdict": row["verdict"],
                "found": row["found"],
                "ended_s": path["ended_s"],
            }
    return None
