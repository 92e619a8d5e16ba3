"""A `Port` with a clock of its own, on which a peripheral runs without waiting.

`Bench` steps coroutines itself, in the order of their wake-up times: same seed, same bytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Coroutine, Generator
from typing import Any, NamedTuple

from edge.virtual import Peripheral, Wearable


class Sent(NamedTuple):
    at_s: float
    uuid: str
    payload: bytes


class _Wake:
    def __init__(self, at_s: float) -> None:
        self.at_s = at_s

    def __await__(self) -> Generator[float, None, None]:
        yield self.at_s


class Bench:
    """One switched-on wearable and the central that listens to it.

    `sent` is what reached the central; `listens` is what it is subscribed to (empty: no link).
    `air_s` is how long one payload is on the air, so that others may act while it is.
    """

    def __init__(self, wearable: Wearable, seed: int = 1, *, air_s: float = 0.0) -> None:
        self.wearable, self.air_s = wearable, air_s
        self.listens: set[str] = set()
        self.sent: list[Sent] = []
        self._now_s, self._n, self._n_given = 0.0, 0, 0
        self._due: list[tuple[float, int, Coroutine[float, None, None]]] = []
        self.peripheral: Peripheral = wearable.open(seed)
        self._step(self.peripheral.run(self))

    # What the peripheral sees.

    def now_s(self) -> float:
        return self._now_s

    async def sleep(self, span_s: float) -> None:
        await _Wake(self._now_s + max(span_s, 0.0))

    def subscribed(self, uuid: str) -> bool:
        return uuid in self.listens

    async def send(self, uuid: str, payload: bytes) -> bool:
        if self.air_s:
            await self.sleep(self.air_s)
        if uuid not in self.listens:
            return False
        self.sent.append(Sent(self._now_s, uuid, payload))
        return True

    # What the test does.

    def run(self, span_s: float) -> list[Sent]:
        """Let time pass; return what was sent since the last time."""
        end_s = self._now_s + span_s
        while self._due and self._due[0][0] <= end_s:
            at_s, _, task = heapq.heappop(self._due)
            self._now_s = max(at_s, self._now_s)
            self._step(task)
        self._now_s = end_s
        before, self._n_given = self._n_given, len(self.sent)
        return self.sent[before:]

    def subscribe_all(self) -> None:
        """Connect, and subscribe to all that notifies or indicates."""
        for service in self.wearable.services:
            for one in service.characteristics:
                if {"notify", "indicate"} & set(one.can):
                    self.listens.add(one.uuid)

    def write(self, uuid: str, payload: bytes) -> None:
        """Write to a characteristic, which must allow it; the device begins to act on it."""
        self._step(self.peripheral.written(self, uuid, self._allowed(uuid, "write", payload)))

    def read(self, uuid: str) -> bytes:
        fixed = self._allowed(uuid, "read", b"")
        value = self.peripheral.value(uuid, self._now_s)
        return fixed if value is None else value

    def _allowed(self, uuid: str, what: str, payload: bytes) -> bytes:
        for service in self.wearable.services:
            for one in service.characteristics:
                if one.uuid == uuid and any(can.startswith(what) for can in one.can):
                    return payload or one.value
        raise AssertionError(f"{self.wearable.name} lets nobody {what} {uuid}")

    def _step(self, task: Coroutine[Any, Any, None]) -> None:
        """Let a coroutine go on until it sleeps or ends."""
        try:
            at_s = task.send(None)
        except StopIteration:
            return
        self._n += 1
        heapq.heappush(self._due, (at_s, self._n, task))
