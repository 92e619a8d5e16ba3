"""What ``homeward status`` says of what leaves for records far away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from edge.cli._shared import print_json
from edge.cli._tables import span_text

DAY_S: Final = 86_400.0
CERTIFICATE_DAYS: Final = 30.0
"""A certificate is to be renewed when it has no longer than this."""


def sync_troubles(report: dict[str, Any]) -> Iterator[str]:
    """Return why receivers would not learn of what happens, a sentence each."""
    sync = report["sync"]
    if sync is None:
        return
    if sync["trouble"]:
        yield f"nothing leaves for a record far away: {sync['trouble']}"
    for sink in sync["sinks"]:
        if sink["works"] is False:
            yield f"nothing reaches {sink['name']}: {sink['trouble'] or 'nobody knows why'}"
        if sink["n_forged"]:
            yield (
                f"{sink['n_forged']} receipts of {sink['name']} were forged or wrong, and do not "
                f"count"
            )
        days = days_left(sink, report["monitor"])
        if days is not None and days < CERTIFICATE_DAYS:
            yield f"the certificate for {sink['name']} {ends_text(days)}: homeward enrol --renew"
    for name, n in sync["impossible"].items():
        yield (
            f"{n} requests to delete cannot be made of {name}: it is no [[sinks]] any more, or "
            f"refused; ask its owner"
        )


def sync_lines(report: dict[str, Any]) -> Iterator[str]:
    """Return how each destination is, what waits for it, and when it last took something."""
    sync = report["sync"]
    if sync is None:
        return
    now_s = report["monitor"]["now_s"]
    yield f"receivers call this box {sync['box'] or '(not known yet)'}"
    for sink in sync["sinks"]:
        health = {True: "works", False: "DOES NOT WORK", None: "not heard of"}[sink["works"]]
        if sink["works"] and sink["quiet"]:
            health = f"quiet, {sink['quiet']}"
        last = "nothing received yet"
        if sink["received_s"] is not None:
            last = f"last receipt {span_text(now_s - sink['received_s'])} ago"
        days = days_left(sink, report["monitor"])
        certificate = "" if days is None else f", certificate {ends_text(days)}"
        size = f", {sink['n_bytes_today']} bytes today" if sink["n_bytes_today"] else ""
        yield f"record {sink['name']}: {health}, {last}, {_waiting(sink, now_s)}{size}{certificate}"
        if sink["n_rejected"]:  # set aside for good: no trouble of today
            why = f"the last because: {sink['rejected']}"
            yield f"record {sink['name']} has refused {sink['n_rejected']} entries, {why}"


def print_json_of_sync(report: dict[str, Any]) -> None:
    """Print it as a line of JSON, where something is to leave."""
    if report["sync"] is not None:
        print_json({"record": "sync", **report["sync"]})


def days_left(sink: dict[str, Any], monitor: dict[str, Any]) -> float | None:
    """Return the days until our certificate for a destination ends; None: nobody knows."""
    if sink["certificate_s"] is None or monitor["now_utc"] is None:
        return None
    now_s = datetime.fromisoformat(monitor["now_utc"]).timestamp()
    return float((sink["certificate_s"] - now_s) / DAY_S)


def ends_text(days: float) -> str:
    """Return when a certificate ends, for people.

    >>> ends_text(12.3), ends_text(-1.0)
    ('ends in 12 days', 'has ended')
    """
    return "has ended" if days <= 0.0 else f"ends in {days:.0f} days"


def _waiting(sink: dict[str, Any], now_s: float) -> str:
    lines = (("n_alerts", "alerts"), ("n_summaries", "summaries"), ("n_erase", "to delete"))
    parts = [f"{sink[key]} {words}" for key, words in lines if sink[key]]
    if not parts:
        return "nothing waits"
    since = ""
    if sink["oldest_s"] is not None:
        since = f" (the oldest alert for {span_text(now_s - sink['oldest_s'])})"
    return f"{', '.join(parts)} wait{since}"
