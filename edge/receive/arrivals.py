"""Messages of boxes as they are to be stored, with what is computed of them once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from edge.egress.bounds import cut
from edge.receive.tables import FACTS
from edge.sync.wire import Envelope, fault_of

Facts: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, str]]
"""Resources -> what a list shows of them: patient, rule, priority, state, at_utc."""


class Good(msgspec.Struct, frozen=True):
    """An entry that can be stored, with what is computed of it once."""

    uuid: str
    seq: int
    early: bool
    content: str
    digest: str
    uuids: tuple[str, ...]
    facts: tuple[str, ...]


class Arrived(msgspec.Struct, frozen=True):
    """A message of a box, as it is to be stored.

    Attributes
    ----------
    refused : Mapping[str, str]
        Uuid -> why it never can be.
    """

    box: str
    kind: str
    at_s: float
    entries: tuple[Good, ...] = ()
    refused: Mapping[str, str] = {}
    heartbeat: str | None = None


def arrived(envelope: Envelope, at_s: float, facts: Facts | None = None) -> Arrived:
    """Return a message as it is to be stored.

    Parameters
    ----------
    facts : Facts
        Reads what lists show out of the resources; what it cannot read is stored all the same.
    """
    entries, refused = [], {}
    for entry in envelope.entries:
        why = fault_of(envelope.kind, entry)
        if why:
            refused[entry.uuid] = why
            continue
        said = entry.content
        told = (facts or no_facts)(entry.resources)
        entries.append(
            Good(
                entry.uuid,
                entry.seq,
                entry.early,
                said.decode(),
                hashlib.sha256(said).hexdigest(),
                entry.uuids,
                tuple(cut(str(told.get(name, "")), 200) for name in FACTS),
            )
        )
    heartbeat = envelope.heartbeat
    beat = None if heartbeat is None else msgspec.json.encode(heartbeat).decode()
    return Arrived(envelope.box, envelope.kind, at_s, tuple(entries), refused, beat)


def no_facts(_: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """Return nothing of any resource."""
    return {}
