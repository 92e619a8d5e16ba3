"""A far end of a page: stores what comes in SQLite, answers with signed receipts, keeps a log.

The independent reading that the real sender is held against, and the ruler beside which the real
receiver is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fleet import wire
from tests.fleet.mqtt import Client, connect
from tests.rigs.sync.history import Came, Made


class Far:
    """One receiver; `mute`: it stores, and says nothing."""

    def __init__(
        self, file: Path, ports: Sequence[int], key: Ed25519PrivateKey, *, mute: bool = False
    ) -> None:
        self.ports, self.key, self.mute = list(ports), key, mute
        self.came: list[Came] = []
        self.known: set[str] = set()
        self.n_messages = self.n_connects = self.n_heartbeats = 0
        self.stay_away = False
        self.client: Client | None = None
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS got (uuid TEXT PRIMARY KEY, box TEXT, seq INTEGER,"
            " kind TEXT, digest TEXT, body BLOB)"
        )

    async def run(self) -> None:
        """Listen again and again."""
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                if not self.stay_away:
                    await self._listen(self.ports[self.n_connects % len(self.ports)])
            await asyncio.sleep(0.05)

    async def _listen(self, port: int) -> None:
        self.n_connects += 1

        def make() -> Client:
            client = Client()
            client.on_message = lambda topic, said: self._take(client, topic, said)
            client.on_gone = gone.set
            return client

        gone = asyncio.Event()
        self.client = await connect(port, "far", clean=False, make=make)
        try:
            await self.client.subscribe(f"{wire.ROOT}/+/up/#")
            await gone.wait()
        finally:
            if self.client.transport is not None:
                self.client.transport.abort()

    def leave(self) -> None:
        """Hang up without a word, and stay away until `stay_away` is False again."""
        self.stay_away = True
        if self.client is not None and self.client.transport is not None:
            self.client.transport.abort()

    def _take(self, client: Client, topic: str, said: bytes) -> bool:
        self.n_messages += 1
        _, _, box, _, kind = topic.split("/")
        what = msgspec.json.decode(said)
        if kind == "heartbeat":
            self.n_heartbeats += 1
            return True
        rows = [
            (
                e["uuid"],
                box,
                e["seq"],
                kind,
                wire.digest(e["resources"]),
                wire.canonical(e["resources"]),
            )
            for e in what["entries"]
        ]
        self.came += [
            Came(box, row[0], row[2], kind, row[4], early=bool(entry.get("early")))
            for row, entry in zip(rows, what["entries"], strict=True)
        ]
        self.known.update(row[0] for row in rows)
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO got VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")
        if not self.mute:
            stored = {row[0]: row[4] for row in rows}
            client.publish(f"{wire.ROOT}/{box}/receipt", wire.receipt(box, stored, self.key))
        return True

    @property
    def stored(self) -> list[Made]:
        rows = self._database.execute("SELECT box, uuid, seq, kind, digest FROM got")
        return [Made(*row) for row in rows]

    @property
    def n_bytes(self) -> int:
        """What the database takes, without its log."""
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((pages, size),) = self._database.execute(
            "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size"
        )
        return int(pages * size)

    def close(self) -> None:
        self._database.close()
