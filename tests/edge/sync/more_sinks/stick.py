"""A file that takes lines, for tests: what stands in it is stored, and that is the receipt."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edge.egress.allowed import Content
from edge.sync import SyncError
from edge.sync.parcel import MAX_PARCEL_BYTES, Item, Parcel, Receipt
from edge.sync.sinks import Place, Sink, SinkError


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    path: Annotated[str, Meta(description="The file.")] = "held.jsonl"
    host: Annotated[str, Meta(description="What it calls its host.")] = ""


class Stick:
    uses_tls = False
    window = 200

    def __init__(self, settings: Settings, place: Place) -> None:
        self.host = settings.host
        self._path = place.data_dir / settings.path
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue(100)

    def pack(self, kind: Content, items: Sequence[Item]) -> Parcel:
        lines, taken = b"", []
        for item in items:
            seq, early = item.handed.seq, item.handed.early
            told = {"uuid": item.uuid, "kind": kind, "seq": seq, "early": early}
            line = msgspec.json.encode({**told, "resources": item.resources}) + b"\n"
            if taken and len(lines) + len(line) > MAX_PARCEL_BYTES:
                break
            lines += line
            taken.append(item)
        return Parcel(kind, tuple(taken), lines)

    async def send(self, parcel: Parcel) -> None:
        try:
            await asyncio.to_thread(self._write, parcel.body)
        except OSError as error:
            raise SinkError(f"the file cannot be written ({error.strerror})") from error
        await self.receipts.put(Receipt({item.uuid: item.digest for item in parcel.items}))

    def _write(self, body: bytes) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())

    def state_message(self, what: Any) -> Parcel | None:
        return Parcel(Content.HEARTBEAT, (), msgspec.json.encode(what) + b"\n")

    async def send_state(self, parcel: Parcel) -> None:
        await asyncio.to_thread(self._write, parcel.body)

    def certificate_s(self) -> float | None:
        return None

    async def close(self) -> None:
        """Nothing is open."""


def _open(settings: Settings, place: Place) -> Stick:
    if not Path(settings.path).name:
        raise SyncError("no file is named: set path")
    return Stick(settings, place)


SINK = Sink("stick", Settings, _open, frozenset({"alerts", "summaries", "heartbeats"}))
