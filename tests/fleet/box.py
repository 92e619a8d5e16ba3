"""One simulated box: an outbox, a link that comes and goes, and nothing settled but by a receipt.

It keeps to the rules of the real sender (order per kind, lowest unreceipted first after every
reconnect, full jitter), in a few hundred bytes and no process. ``settle="puback"`` is the control:
it believes the broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import uuid as uuids
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.fleet import wire
from tests.fleet.mqtt import Client, connect
from tests.rigs.sync.history import Made

KINDS: Final = ("alert", "summary")
SILENT_S: Final = 3.0
"""A link over which no receipt comes for so long is given up, and all begins again."""


class Entry(msgspec.Struct):
    """One entry of the outbox."""

    made: Made
    resources: list[dict[str, Any]]
    sent_s: float = -1.0


class Box:
    """One box.

    Parameters
    ----------
    ports : Sequence[int]
        Brokers it may use; it goes round.
    first_s, most_s : float
        Backoff: a random wait below a bound that doubles from the first to the second.
    jitter : bool
        False: it waits `first_s`, always; as a fleet that storms.
    """

    def __init__(  # noqa: PLR0913  # what a box consists of
        self,
        name: str,
        ports: Sequence[int],
        *,
        settle: Literal["receipt", "puback"] = "receipt",
        key: Ed25519PublicKey | None = None,
        window: int = 64,
        batch: int = 8,
        first_s: float = 0.05,
        most_s: float = 1.0,
        jitter: bool = True,
        tls: ssl.SSLContext | None = None,
        local: str = "",
        seed: int = 1,
    ) -> None:
        self.name, self.ports, self.settle, self.key = name, list(ports), settle, key
        self.window, self.batch = window, batch
        self.first_s, self.most_s, self.jitter, self.tls = first_s, most_s, jitter, tls
        self.local = local
        self.chance = random.Random(f"{seed}/{name}")  # noqa: S311
        self.made: list[Made] = []
        self.waiting: dict[str, dict[str, Entry]] = {kind: {} for kind in KINDS}
        self.settled: set[str] = set()
        self.n_connects = self.n_failed = self.n_published = self.n_receipts = 0
        self.n_forged = 0
        self.up = False
        self._seq = 0
        self._client: Client | None = None
        self._taken: dict[int, list[str]] = {}
        self._wake = asyncio.Event()
        self._heard_s = 0.0

    @property
    def n_waiting(self) -> int:
        return sum(map(len, self.waiting.values()))

    def make(self, kind: str = "alert") -> str:
        """Put one entry into the outbox."""
        self._seq += 1
        uuid = str(uuids.UUID(int=self.chance.getrandbits(128), version=4))
        resources = [wire.observation(uuid, self._seq)]
        made = Made(self.name, uuid, self._seq, kind, wire.digest(resources))
        self.made.append(made)
        self.waiting[kind][uuid] = Entry(made, resources)
        self._wake.set()
        return uuid

    async def run(self) -> None:
        """Connect again and again, and send what waits."""
        tries = 0
        while True:
            try:
                await self._connected(self.ports[self.n_connects % len(self.ports)])
                tries = 0
            except (OSError, TimeoutError):
                self.n_failed += 1
            tries += 1
            await asyncio.sleep(self._wait_s(tries))

    def _wait_s(self, tries: int) -> float:
        most_s = min(self.most_s, self.first_s * 2.0 ** min(tries, 20))
        return self.chance.uniform(0.0, most_s) if self.jitter else self.first_s

    async def _connected(self, port: int) -> None:
        self.n_connects += 1
        client = await connect(port, self.name, tls=self.tls, local=self.local)
        gone = asyncio.Event()
        client.on_gone = lambda: (gone.set(), self._wake.set())  # type: ignore[func-returns-value]
        client.on_message, client.on_puback = self._take, self._taken_over
        try:
            await client.subscribe(f"{wire.ROOT}/{self.name}/receipt")
            self._begin(client)
            while not client.gone:
                self._send()
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SILENT_S):
                        await self._wake.wait()
                if self._silent():
                    break
        finally:
            self.up, self._client = False, None
            if client.transport is not None:
                client.transport.abort()

    def _begin(self, client: Client) -> None:
        self._client, self.up = client, True
        self._heard_s = asyncio.get_running_loop().time()
        self._taken.clear()
        for entries in self.waiting.values():
            for entry in entries.values():
                entry.sent_s = -1.0

    def _silent(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        under_way = any(e.sent_s >= 0 for kind in self.waiting.values() for e in kind.values())
        return under_way and now_s - self._heard_s > SILENT_S

    def _send(self) -> None:
        client = self._client
        if client is None or client.gone:
            return
        now_s = asyncio.get_running_loop().time()
        for kind, entries in self.waiting.items():
            first = list(_first(entries, self.window))
            if first and not any(entry.sent_s >= 0 for entry in first):
                self._heard_s = now_s
            fresh = [entry for entry in first if entry.sent_s < 0]
            for i in range(0, len(fresh), self.batch):
                self._publish(client, kind, fresh[i : i + self.batch], now_s)

    def _publish(self, client: Client, kind: str, entries: list[Entry], now_s: float) -> None:
        said = [
            {"uuid": one.made.uuid, "seq": one.made.seq, "resources": one.resources}
            for one in entries
        ]
        mid = client.publish(
            f"{wire.ROOT}/{self.name}/up/{kind}", wire.envelope(self.name, kind, said)
        )
        self.n_published += 1
        for one in entries:
            one.sent_s = now_s
        self._taken[mid] = [one.made.uuid for one in entries]

    def _take(self, _topic: str, said: bytes) -> bool:
        if self.settle == "receipt":
            try:
                stored = wire.stored_in(said, self.key)
            except (InvalidSignature, ValueError, KeyError, msgspec.MsgspecError):
                self.n_forged += 1
                return True
            self.n_receipts += 1
            self._settle(stored)
        return True

    def _taken_over(self, mid: int) -> None:
        taken = self._taken.pop(mid, [])
        if self.settle == "puback":
            self._settle(dict.fromkeys(taken, ""))

    def _settle(self, stored: dict[str, str]) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        for uuid, held in stored.items():
            for entries in self.waiting.values():
                entry = entries.get(uuid)
                if entry is not None and held in ("", entry.made.digest):
                    del entries[uuid]
                    self.settled.add(uuid)
        self._wake.set()


def _first(entries: dict[str, Entry], n: int) -> Sequence[Entry]:
    return [entry for entry, _ in zip(entries.values(), range(n), strict=False)]
