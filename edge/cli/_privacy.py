"""What sent summaries have told, as ``homeward ledger`` adds it up: privacy budget by day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
import typer

from edge.egress.allowed import Content
from edge.egress.private import Spent, Told, spent
from edge.store import Sent
from edge.sync.fhir.parts import ContentError
from edge.sync.fhir.reading import facts

MAX_DEPTH: Final = 8
"""How deep in a message its resources may be."""


def spent_by(sent: Iterable[Sent]) -> tuple[Spent, ...]:
    """Return what the summaries among some messages have told, by day (UTC) and patient.

    It stands in the messages themselves, as they left: what was forgotten is not counted.
    """
    return spent(
        told
        for one in sent
        if one.kind == Content.SUMMARY.value and one.body is not None
        for told in summaries_in(one.body)
    )


def summaries_in(body: bytes) -> Iterator[Told]:
    """Give the summaries in a message: JSON of any form with FHIR in it, or lines of that."""
    for part in (body, *body.splitlines()) if b"\n" in body else (body,):
        try:
            plain = msgspec.json.decode(part)
        except (msgspec.DecodeError, RecursionError):
            continue
        yield from _within(plain, MAX_DEPTH)


def say_spent(told: Iterable[Spent]) -> None:
    """Print it for people."""
    for one in told:
        whom = f"{one.day or 'day unknown'}, {one.patient or 'the box'}"
        if one.n_blurred:
            typer.echo(
                f"privacy, {whom}: epsilon {one.epsilon:g} spent on {one.n_blurred} "
                f"blurred {'summary' if one.n_blurred == 1 else 'summaries'}"
            )
        if one.n_exact:
            typer.echo(
                f"privacy, {whom}: {one.n_exact} {'summary' if one.n_exact == 1 else 'summaries'} "
                f"left exact (sync.epsilon_per_day blurs them)"
            )


def _within(plain: Any, depth: int) -> Iterator[Told]:  # noqa: ANN401  # JSON
    if depth == 0:
        return
    if isinstance(plain, list):
        for one in plain:
            yield from _within(one, depth - 1)
    elif isinstance(plain, dict) and plain.get("resourceType") == "Observation":
        try:
            told = facts([plain])
        except ContentError:
            return  # a vital sign of a summary: its budget stands in that of the period
        day = told.at_utc.date().isoformat() if told.at_utc is not None else ""
        yield Told(told.uuid, day, told.patient, told.epsilon)
    elif isinstance(plain, dict):
        for one in plain.values():
            yield from _within(one, depth - 1)
