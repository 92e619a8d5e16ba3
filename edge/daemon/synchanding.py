"""Out of the outbox into the sender's hand, and what was in it, until that has left."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from edge.clock import WallLog
from edge.control import ControlError
from edge.control.syncing import SyncFetch
from edge.daemon.gate import Gate
from edge.daemon.handing import Blur, Walls, body_of, handed, is_dated
from edge.daemon.recorder import Recorder
from edge.egress.consent import Switch
from edge.egress.departure import Departure
from edge.egress.outbox import Hand, Handed
from edge.store import Due, Run, Sinks, Store, StoreError

_T = TypeVar("_T")

MAX_HELD: Final = 4_096
"""Entries in the sender's hand that are remembered."""
SWITCH: Final[Mapping[str, Switch]] = {"alert": Switch.ALERTS, "summary": Switch.SUMMARIES}


class Hands:
    """Gives entries out, each destination its own.

    Parameters
    ----------
    recorder : Recorder
        Asks the store, in its thread.
    run : Run
        This start of the monitor.
    now_s : Callable
        The boot clock.
    wall : WallLog
        What wall time it was in this run.
    gate : Gate
        What may leave.
    sinks : Sinks
        The destinations of today.

    Attributes
    ----------
    box : Callable
        What receivers call this box.
    blur : Blur | None
        Goes over every summary.
    """

    def __init__(  # each is another's to give
        self,
        recorder: Recorder,
        run: Run,
        now_s: Callable[[], float],
        wall: WallLog,
        gate: Gate,
        sinks: Sinks,
    ) -> None:
        self._recorder, self._run, self._now_s, self._wall = recorder, run, now_s, wall
        self._gate, self._sinks = gate, sinks
        self.box: Callable[[], str] = str
        self.blur: Blur | None = None
        self._walls: Walls | None = None
        self._held: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._dated: set[tuple[str, str]] = set()

    @property
    def wall(self) -> Walls | WallLog:
        """What wall time it was, as far as was asked for."""
        return self._walls or self._wall

    async def fetch(self, request: SyncFetch) -> Hand:
        """Return entries that wait for a destination.

        Raises
        ------
        ControlError
            They cannot be read.
        """
        switch = SWITCH.get(request.kind)
        if switch is not None and (
            not self._gate.allows(switch) or request.kind not in self._sinks[request.sink]
        ):
            return Hand()
        now = self._now_s(), self._run.boot_id

        def act(store: Store) -> tuple[list[Due], WallLog | None]:
            more = request.sink, request.kind, request.after, request.but, request.limit
            before = WallLog(store.clock_log()) if self._walls is None else None
            return store.waiting_for(*more, now=now), before

        due, before = await self._using(act)
        if before is not None:
            self._walls = Walls(self._wall, self._run.started_s, self._run.boot_id, before)
        given = [self._hand(request.sink, one) for one in due]
        entries = tuple(one for one in given if one is not None)
        for one in entries:
            if one.trouble:
                await self._set_aside(request.sink, one)
        return Hand(entries)

    def of(self, what: Departure) -> dict[str, bytes]:
        """Return what was handed out of the entries a message is made of."""
        keys = [(what.destination, uuid) for uuid in what.known_as.split()]
        return {key[1]: self._held[key] for key in keys if key in self._held}

    def done(self, sink: str, uuids: tuple[str, ...]) -> None:
        """Forget what is settled."""
        for uuid in uuids:
            self._held.pop((sink, uuid), None)
            self._dated.discard((sink, uuid))

    def _hand(self, sink: str, due: Due) -> Handed | None:
        key = sink, due.uuid
        if not due.body and key in self._dated:
            # In hand, and may leave any moment: it says the same when it is asked for again.
            due = msgspec.structs.replace(due, body=self._held[key])
        one = handed(due, self._gate, self.wall, self.box(), self.blur)
        if one is None or one.trouble or one.erase is not None:
            return one
        self._held[key] = body_of(one)
        self._held.move_to_end(key)
        if is_dated(one):
            self._dated.add(key)
        while len(self._held) > MAX_HELD:
            old, _ = self._held.popitem(last=False)
            self._dated.discard(old)
        return one

    async def _set_aside(self, sink: str, one: Handed) -> None:
        now_s = self._now_s()
        await self._using(
            lambda store: store.reject_for(sink, [one.uuid], one.trouble, now_s, self._sinks)
        )

    async def _using(self, act: Callable[[Store], _T]) -> _T:
        try:
            return await self._recorder.using(act)
        except StoreError as error:
            raise ControlError(str(error)) from error
