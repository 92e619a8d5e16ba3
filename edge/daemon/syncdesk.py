"""What the sender is handed and what it says back: the monitor's side of ``homeward sync``.

The sender is another process, because it may open network connections and this one may not. It
asks on a socket of its own (`edge.control.syncing`). It can have entries of the outbox that people
let leave, and can mark those that left as stored or as refused; nothing it says changes anything
else. Whatever it asks is done with the store in the recorder's thread, and no alarm waits for it.

    syncdesk    the answers
    synchanding out of the outbox into its hand
    synclooking what waits, and how much
    syncnow     how the box and its patients are now
    syncstate   how it goes
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar
from uuid import uuid4

import msgspec
import structlog

from edge.clock import TimeQuality, WallLog
from edge.config import Config, Sink
from edge.control import WITHHELD, Became, ControlError, Leaves, Ping, Request
from edge.control.syncing import (
    SyncBeat,
    SyncFetch,
    SyncNumbers,
    SyncReject,
    SyncSettle,
    SyncState,
    SyncWait,
)
from edge.daemon.handing import blurred
from edge.daemon.noticeboard import Noticeboard
from edge.daemon.outgoing import Outgoing
from edge.daemon.recorder import Recorder
from edge.daemon.synchanding import Hands
from edge.daemon.synclooking import Looking
from edge.daemon.syncnow import heartbeat, numbers
from edge.daemon.syncstate import Heard, SyncReport, sink_report
from edge.egress.allowed import Content
from edge.egress.consent import Switch
from edge.egress.departure import Departure
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.egress.outbox import Queue, SyncBoard
from edge.pipeline import Pipeline
from edge.pseudonyms import Pseudonyms
from edge.store import Run, Settled, Sinks, Store, StoreError, Waits

PROCESS: Final = "sync"
"""What the ledger calls the sender."""
AGAIN_S: Final = 2.0
"""A store that cannot be read is asked again after this."""
REST_S: Final = 0.02
"""Between two looks."""
LINES: Final[Mapping[str, str]] = {"alerts": "alert", "summaries": "summary"}
"""What of a sink's content comes out of the outbox, and the name of its line there."""
NEEDS: Final[Mapping[Content, frozenset[str]]] = {
    Content.ALERT: frozenset({"alerts"}),
    Content.SUMMARY: frozenset({"summaries"}),
    Content.ERASE: frozenset({"alerts", "summaries"}),
    Content.HEARTBEAT: frozenset({"heartbeats"}),
    Content.NUMBERS: frozenset({"numbers"}),
}
"""Kind of message -> the content of a destination it may go to."""

_T = TypeVar("_T")
_log = structlog.get_logger("sync")


class SyncDesk:
    """Answers the sender.

    Parameters
    ----------
    config : Config
        The destinations.
    pipeline : Pipeline
        Knows how everybody is now.
    recorder : Recorder
        Asks the store.
    run : Run
        This start.
    now_s : Callable
        The boot clock.
    wall : WallLog
        What wall time it was.
    outgoing : Outgoing
        What may leave.
    pseudonyms : Pseudonyms
        What is whose name outside.
    notices : Noticeboard
        Knows what is not watched.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # each is another's to give
        self,
        config: Config,
        pipeline: Pipeline,
        recorder: Recorder,
        run: Run,
        now_s: Callable[[], float],
        wall: WallLog,
        outgoing: Outgoing,
        pseudonyms: Pseudonyms,
        notices: Noticeboard,
    ) -> None:
        self._config, self._pipeline, self._recorder, self._run = config, pipeline, recorder, run
        self._now_s, self._wall, self._notices = now_s, wall, notices
        self._outgoing, self._gate, self._pseudonyms = outgoing, outgoing.gate, pseudonyms
        self._named: Mapping[str, Sink] = {sink.name: sink for sink in config.sinks}
        self._sinks: Sinks = {
            name: frozenset(LINES[one] for one in sink.content if one in LINES)
            for name, sink in self._named.items()
        }
        self._hands = Hands(recorder, run, now_s, wall, self._gate, self._sinks)
        self._hands.box = self.box
        self._gate.handed = self._hands.of
        self._heard = Heard(run.started_s)
        self._line = Looking(recorder, run, now_s, self._sinks)
        self._begun = False
        self._change = 0
        self._changed, self._stale = asyncio.Event(), asyncio.Event()
        self._quality: TimeQuality | None = None
        recorder.written.append(self._stale.set)
        after, outgoing.consent.changed = outgoing.consent.changed, self._consent_changed
        self._others_told = after

    def box(self) -> str:
        """Return what receivers call this box; empty: that is not known yet."""
        if self._config.sync.box:
            return self._config.sync.box
        return self._pseudonyms.box() if self._begun else ""

    async def answer(self, request: Request) -> Any:  # noqa: ANN401, PLR0911  # whatever JSON can say
        """Answer the sender.

        Raises
        ------
        ControlError
            The request is none of the sender's, or it cannot be done.
        """
        match request:
            case Ping():
                return {"pid": os.getpid(), "run_id": self._run.run_id}
            case SyncWait():
                return await self._board_after(request)
            case SyncFetch():
                self._check_sink(request.sink)
                self._check_begun()
                return await self._hands.fetch(request)
            case SyncSettle() | SyncReject():
                return await self._mark(request)
            case SyncBeat() | SyncNumbers():
                return self._now(request)
            case SyncState():
                self._heard.hear(request, self._now_s())
                return {}
            case Leaves():
                return await self._leaves(request.what)
            case Became():
                return await self._gate.became(request)
            case _:
                raise ControlError(
                    "this socket hands out what may leave, and no more; ask the control socket"
                )

    async def run(self) -> None:
        """Look at what waits, and wake who waits for a change, until cancelled."""
        while True:
            if not self._begun and not await self._begin():
                await asyncio.sleep(AGAIN_S)
                continue
            self._stale.clear()
            self.look()
            before = self._line.waits
            wait_s = await self._line.look()
            if before != self._line.waits:
                self._wake()
            await asyncio.sleep(REST_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._stale.wait()

    def look(self) -> None:
        """Look whether the clock is set now or not any more; wake who waits for that."""
        quality = self._time_quality()
        if quality is not self._quality:
            self._quality = quality
            self._wake()

    def oldest_s(self) -> tuple[bool, float | None]:
        """Return whether it is known how long alerts have waited, and since when one has.

        In boot time; of an alert of an earlier boot that lies before this one's beginning.
        """
        if self._line.waits is None or not any("alert" in takes for takes in self._sinks.values()):
            return False, None
        if not self._gate.allows(Switch.ALERTS):
            return True, None
        since = [self._since_s(*one.oldest) for one in self._line.waits if one.oldest is not None]
        return True, min(since, default=None)

    def report(self) -> SyncReport:
        """Return what the status says."""
        now_s = self._now_s()
        waits = {one.sink: one for one in self._line.waits or ()}
        sinks = tuple(
            sink_report(sink, self._heard.of(name, now_s), waits.get(name), self._since_s)
            for name, sink in self._named.items()
        )
        heard = self._heard
        told = (heard.age_s(now_s), heard.trouble(now_s), sinks, self._line.impossible)
        return SyncReport(self.box(), *told)

    async def _begin(self) -> bool:
        """Go by the destinations of today, and know what the box is called; false: not yet."""
        now_s = self._now_s()

        def act(store: Store) -> tuple[bool, list[Any]]:
            store.go_by(self._sinks, now_s)
            return store.salvage is None, store.pseudonyms()

        try:
            whole, known = await self._recorder.using(act)
        except StoreError:
            return False
        if not self._pseudonyms.has_box:
            # Not before the records could be read: another name would be another box.
            self._pseudonyms.know([one for one in known if one.patient.startswith("@")])
        if not (whole or self._pseudonyms.has_box):
            return False
        self._begun = True
        self._pseudonyms.box()
        seed, epsilon = self._pseudonyms.seed(), self._config.sync.epsilon_per_day
        if epsilon > 0.0:
            self._hands.blur = blurred(epsilon, seed)
        for patient in self._config.patients:
            self._pseudonyms.of(patient.id)
        return True

    async def _board_after(self, request: SyncWait) -> SyncBoard:
        if request.after == self._change and request.wait_s > 0.0:
            changed = self._changed
            with suppress(TimeoutError):
                async with asyncio.timeout(request.wait_s):
                    await changed.wait()
        return SyncBoard(
            self._change,
            self._run.run_id,
            self._run.boot_id,
            self.box(),
            self._now_s(),
            self._time_quality(),
            self._gate.withheld,
            tuple(self._queue(one) for one in self._line.waits or ()),
        )

    def _queue(self, waits: Waits) -> Queue:
        told = waits.n_urgent, waits.n_alerts, waits.n_summaries, waits.n_erase
        since_s = None if waits.oldest is None else max(0.0, self._since_s(*waits.oldest))
        return Queue(waits.sink, *told, since_s, waits.n_rejected)

    async def _mark(self, request: SyncSettle | SyncReject) -> Settled:
        self._check_sink(request.sink)
        now_s, sink = self._now_s(), request.sink
        if isinstance(request, SyncSettle):
            uuids = request.uuids
            marked = await self._using(
                lambda store: store.settle_for(sink, uuids, now_s, self._sinks)
            )
        else:
            uuids, why = (request.uuid,), request.why
            marked = await self._using(
                lambda store: store.reject_for(sink, uuids, why, now_s, self._sinks)
            )
        self._hands.done(sink, uuids)
        self._stale.set()
        return marked

    async def _leaves(self, what: Departure) -> dict[str, Any]:
        """Take that a message is about to leave: it does once that is on the disk."""
        self._check_sink(what.destination)
        wanted = NEEDS.get(what.kind)
        if wanted is None or wanted.isdisjoint(self._named[what.destination].content):
            raise ControlError(
                f"not sent: {what.destination} gets no {what.kind.value}, see [[sinks]]"
            )
        if what.late:
            raise ControlError("not sent: of the outbox nothing leaves that was not told before")
        told = self._gate.leaves(msgspec.structs.replace(what, process=PROCESS))
        waits = what.kind not in (Content.HEARTBEAT, Content.NUMBERS)
        if waits and not await self._recorder.stored():
            raise ControlError("not sent: the disk does not take what leaves")
        return told

    def _now(self, request: SyncBeat | SyncNumbers) -> HeartbeatOut | list[NumbersOut]:
        beats = isinstance(request, SyncBeat)
        switch = Switch.HEARTBEATS if beats else Switch.NUMBERS
        if not self._gate.allows(switch):
            raise ControlError(f"{WITHHELD}consent to {switch.value} is off")
        self._check_begun()
        live, now_s, wanted = self._pipeline.live(), self._now_s(), self._config.patients
        at = self._wall, now_s, self._run
        if not beats:
            ids = [patient.id for patient in wanted]
            return numbers(live, at, self.box(), ids, self._gate.pseudonym)
        n_unsent = self._recorder.report().n_outbox or 0
        watching = not self._notices.not_watching()
        facts = len(wanted), n_unsent, watching
        return heartbeat(live, at, self.box(), str(uuid4()), facts)

    def _check_sink(self, name: str) -> None:
        if name not in self._named:
            raise ControlError(f"there is no [[sinks]] named {name!r} in the monitor's settings")

    def _check_begun(self) -> None:
        if not self._begun:
            raise ControlError("the records cannot be read yet: ask again in a moment")

    def _since_s(self, at_s: float, boot_id: str) -> float:
        """Return a moment on the clock of this boot; as long ago as can be told."""
        if boot_id == self._run.boot_id:
            return at_s
        now_s = self._now_s()
        with suppress(LookupError):
            utc, quality = self._hands.wall.utc_of(at_s, boot_id)
            now, trusted = self._wall.utc_of(now_s, self._run.boot_id)
            if TimeQuality.UNSYNCED not in (quality, trusted):
                return now_s - max(0.0, (now - utc).total_seconds())
        return 0.0

    def _time_quality(self) -> TimeQuality | None:
        with suppress(LookupError):
            return self._wall.utc_of(self._now_s(), self._run.boot_id)[1]
        return None

    def _consent_changed(self) -> None:
        self._others_told()
        self._stale.set()
        self._wake()

    def _wake(self) -> None:
        self._change += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def _using(self, act: Callable[[Store], _T]) -> _T:
        try:
            return await self._recorder.using(act)
        except StoreError as error:
            raise ControlError(str(error)) from error
