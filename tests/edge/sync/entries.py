"""Entries of an outbox, as a monitor would hand them out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from edge.egress.allowed import Content
from edge.egress.messages import EraseOut, HeartbeatOut
from edge.egress.outbox import Handed
from edge.sync.parcel import Item


def uuid_of(seq: int, box: str = "") -> str:
    return str(UUID(int=(sum(box.encode()) << 64) + seq))


def item(seq: int, box: str = "", *, text: str = "SpO2 84 %", early: bool = False) -> Item:
    uuid = uuid_of(seq, box)
    resource = {
        "resourceType": "Flag",
        "identifier": [{"system": "urn:x", "value": uuid}],
        "status": "active",
        "code": {"text": text},
        "value": 84.0,
    }
    return Item(Handed(uuid, seq, early), Content.ALERT, (resource,))


def erase(seq: int, uuids: tuple[str, ...], box: str = "") -> Item:
    uuid = uuid_of(seq, box)
    return Item(Handed(uuid, seq, erase=EraseOut(uuid, uuids, None)), Content.ERASE)


def heartbeat(box: str, seq: int = 1) -> HeartbeatOut:
    at = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    return HeartbeatOut(uuid_of(seq), box, "0.1.0", "none", at, None, 60.0, True, 1, 0, 3, 61.5)


async def until(is_so: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110  # what it waits for tells nobody
            await asyncio.sleep(0.01)
