"""What left, as ``homeward ledger`` shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
import typer

from edge.cli._privacy import say_spent, spent_by
from edge.cli._record import Times, When
from edge.cli._shared import print_json
from edge.cli._tables import console, table
from edge.store import History, Sent

MAX_WORDS: Final = 60
"""Letters of a message in the list; `homeward ledger show N` has all of it."""


_MANY: Final = {"summary": "summaries", "erase": "requests to delete", "numbers": "numbers"}


class Row(msgspec.Struct, frozen=True):
    """A message, when that was for people, and what became of it."""

    sent: Sent
    when: When
    became: tuple[str, ...]
    detail: str = ""


class Total(msgspec.Struct, frozen=True, tag="egress_total", tag_field="record"):
    """What one destination got of one kind today (local day)."""

    destination: str
    kind: str
    n: int
    n_bytes: int


def rows_of(history: History, sent: Iterable[Sent], times: Times) -> list[Row]:
    """Return messages with what became of them."""
    found = list(sent)
    became = history.became([one.uuid for one in found])
    rows = []
    for one in found:
        told = became[one.uuid]
        detail = next((str(r.body.get("detail", "")) for r in reversed(told) if r.body), "")
        stages = tuple(_stage(row.stage, row.body) for row in told)
        rows.append(Row(one, times.when(one.at_s, one.boot_id), stages, detail))
    return rows


def totals_of(rows: Iterable[Row], today: datetime) -> list[Total]:
    """Return what left on a day; the time of day of a message nobody knows counts as today's."""
    sums: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        at_utc = row.when.at_utc
        if at_utc is not None and at_utc.astimezone(today.tzinfo).date() != today.date():
            continue
        total = sums.setdefault((row.sent.destination, row.sent.kind), [0, 0])
        total[0] += row.sent.times
        total[1] += row.sent.size * row.sent.times
    return [Total(*key, *total) for key, total in sorted(sums.items())]


def print_list(rows: Sequence[Row], totals: Sequence[Total], n_erase: int, *, json: bool) -> None:
    """Print messages, oldest first, what today comes to, and what summaries have told."""
    told = spent_by(row.sent for row in rows)
    if json:
        for row in rows:
            print_json(plain(row))
        for fact in (*totals, *told):
            print_json(fact)
        n = sum(row.sent.times for row in rows)
        summary = {"n_messages": n, "n_rows": len(rows), "n_erase_requests": n_erase}
        print_json({"record": "ledger", **summary})
        return
    if not rows:
        typer.echo("nothing left the box in this time, as far as it is written down")
    else:
        heads = ("n", "when", "kind", "to", "bytes", "became", "said")
        console().print(table("What left the box", heads, [_cells(row) for row in rows]))
    for total in totals:
        kind = total.kind.replace("_", " ")
        what = kind if total.n == 1 else _MANY.get(kind, f"{kind}s")
        typer.echo(f"today to {total.destination}: {total.n} {what}, {total.n_bytes} bytes")
    say_spent(told)
    typer.echo("pings and questions are written every ten minutes, as one row")
    say_erase_requests(n_erase)


def say_erase_requests(n_erase: int) -> None:
    """Say that receivers have not said yet that they deleted what they were asked to."""
    if n_erase:
        typer.echo(
            f"! {n_erase} requests to delete wait for receivers (`homeward sync` asks them; "
            f"`homeward status` says who cannot be asked)"
        )


def print_message(row: Row, *, json: bool) -> None:
    """Print one message, word for word."""
    if json:
        print_json(plain(row))
        return
    sent = row.sent
    what = f"{sent.kind}{f' ({sent.about})' if sent.about else ''}"
    typer.echo(f"message {sent.n}: {what}, version {sent.version} of the list")
    typer.echo(f"  left      {row.when}{' by the clock of then' if sent.quality is None else ''}")
    if sent.times > 1:
        which = "this is the first" if sent.size else "they say nothing"
        typer.echo(f"  in all    {sent.times} within ten minutes, {which}")
    typer.echo(f"  from      {sent.process}{', while the monitor was away' * sent.late}")
    typer.echo(f"  to        {sent.destination} ({sent.host or 'host not known'})")
    known = sent.known_as.split()
    if len(known) > 1:
        typer.echo(f"  holds     {len(known)} records, here as {sent.uuid}:")
        for uuid in known:
            typer.echo(f"            {uuid}")
    else:
        typer.echo(f"  known as  {sent.known_as or '-'}, here as {sent.uuid}")
    typer.echo(f"  became    {', '.join(row.became) or 'nobody knows'}{_because(row)}")
    if sent.refs:
        typer.echo(f"  tells of  {', '.join(sent.refs)}")
    typer.echo(f"  body      {sent.size} bytes, SHA-256 {sent.sha256}")
    if sent.erased:
        typer.echo("  what it said is erased; it hashed to the above")
        return
    for name, value in sent.headers.items():
        typer.echo(f"  {name}: {value}")
    if sent.body:
        typer.echo("")
        typer.echo(sent.body.decode(errors="backslashreplace"))


def plain(row: Row) -> dict[str, Any]:
    """Return a message as JSON has it: its body as text where it is text."""
    facts: dict[str, Any] = msgspec.to_builtins(row.sent)
    body = row.sent.body
    if body is not None:
        try:
            facts["body"] = body.decode()
        except UnicodeDecodeError:
            facts["body_base64"] = facts.pop("body")
    when = {"at_utc": row.when.at_utc, "time_quality": row.when.quality}
    return {**facts, **when, "became": row.became, "detail": row.detail}


def _cells(row: Row) -> tuple[str, ...]:
    sent = row.sent
    kind = f"{sent.kind} {sent.about}".strip() + (f" x {sent.times}" if sent.times > 1 else "")
    to = f"{sent.destination} ({sent.host})"
    became = ", ".join(row.became) or "handed over"
    return (str(sent.n), str(row.when), kind, to, str(sent.size), became, _words(sent))


def _words(sent: Sent) -> str:
    if sent.erased:
        return "(erased)"
    said = sent.headers.get("X-Title") or (sent.body or b"").decode(errors="replace")
    flat = " ".join(said.split())
    return flat if len(flat) <= MAX_WORDS else f"{flat[: MAX_WORDS - 1]}…"


def _stage(stage: str, body: dict[str, Any]) -> str:
    return f"{stage} {body['n']} times" if "n" in body else stage


def _because(row: Row) -> str:
    return f" ({row.detail})" if row.detail else ""
