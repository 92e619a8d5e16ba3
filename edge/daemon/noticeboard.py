"""What the notifier is told, and what it tells back: the monitor's side of the notices.

The notifier is another process, because it may open network connections and this one may not. It
asks on a socket of its own, which gives what `edge.control.board` allows and nothing else. No
answer here waits for it, and nothing it says changes an alarm, but an acknowledgement where
``answers = true`` is configured.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from edge.clock import WallLog
from edge.control import (
    Acknowledge,
    Became,
    ControlError,
    Delivered,
    Leaves,
    Notices,
    NoticesProof,
    NoticesState,
    Ping,
    Request,
)
from edge.control.board import (
    HEARD_S,
    STALLED_S,
    AlertNotice,
    Board,
    NoticesReport,
    notice_of,
)
from edge.daemon.intake import LinkReport
from edge.daemon.outgoing import Outgoing
from edge.daemon.roundtrip import RoundTrip
from edge.egress.board import outside, sentences, urgent_first
from edge.egress.bounds import MAX_NAME, cut
from edge.egress.consent import Switch
from edge.live import Live
from edge.pipeline import Pipeline
from edge.records import AlarmEvent, Alert, AlertState, Record, Role, Step
from edge.store import Run

N_ENDED: Final = 64
"""Ended alerts that are still told of, so that who was told of them is told of their end."""
N_DELIVERED: Final = 1000
"""Reports of the notifier that are kept until somebody takes them."""
START_S: Final = 60.0
"""So long after its own start the monitor waits for a notifier that may be starting too."""
UNHEARD_S: Final = 120.0
"""A patient of whom nothing came for so long is not watched; the alarms say so much earlier."""

_log = structlog.get_logger("notices")


class Noticed(msgspec.Struct, frozen=True):
    """What is configured of the notices.

    Attributes
    ----------
    box : str
        What people call this box.
    wanted, answers : bool
        Somebody is to be told; and may acknowledge from afar.
    patients : tuple[str, ...]
        Who is to be watched.
    """

    box: str = "homeward"
    wanted: bool = False
    answers: bool = False
    patients: tuple[str, ...] = ()


class Noticeboard:
    """What may be said, as it is now; wakes who waits for a change.

    Parameters
    ----------
    pipeline : Pipeline
        Knows what stands.
    run : Run
        This start.
    now_s : Callable
        The boot clock.
    wall : WallLog
        What wall time it was.
    links : Callable
        How the sources are.
    acknowledge : Callable
        Takes an acknowledgement, as the control socket would.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        run: Run,
        now_s: Callable[[], float],
        wall: WallLog,
        links: Callable[[], Iterable[LinkReport]],
        acknowledge: Callable[[Acknowledge], Awaitable[Any]],
    ) -> None:
        self._pipeline, self._run, self._now_s, self._wall = pipeline, run, now_s, wall
        self._links, self._acknowledge = links, acknowledge
        self.noticed = Noticed()
        self.pseudonym: Callable[[str], str] = str
        """Gives the id under which a patient is known outside; what is said of one goes by it."""
        self.delivered: deque[Delivered] = deque(maxlen=N_DELIVERED)
        """What the notifier reported, the latest last."""
        self.ledger: Callable[[Delivered], Awaitable[Any]] | None = None
        """Keeps each report instead, and refuses what it does not believe, where there is one."""
        self.round_trip = RoundTrip(self.report, self._wake)
        """Asks for a test notice, for the self-test."""
        self._outgoing: Outgoing | None = None
        self._change = 0
        self._changed = asyncio.Event()
        self._ended: deque[tuple[Alert, Step]] = deque(maxlen=N_ENDED)
        self._known: dict[str, Step] = {}
        self._heard: NoticesState | None = None
        self._heard_s = run.started_s

    def go_through(self, outgoing: Outgoing) -> None:
        """Tell nothing that people do not let leave, from now on."""
        self._outgoing = outgoing
        outgoing.consent.changed = self._wake
        outgoing.gate.alerts = self._told_of
        outgoing.gate.noticed_as = self.noticed_as
        self.round_trip.may_send = lambda: self._allows(Switch.SELF_TESTS)

    def noticed_as(self, patient: str) -> str:
        """Return what a patient is called in notices."""
        return self.pseudonym(patient)

    def _told_of(self) -> Iterator[Alert]:
        yield from self._pipeline.live().alerts
        yield from (alert for alert, _ in self._ended)

    def _allows(self, switch: Switch) -> bool:
        return self._outgoing is None or self._outgoing.gate.allows(switch)

    async def answer(self, request: Request) -> Any:  # noqa: ANN401  # whatever JSON can say
        """Answer the notifier.

        Raises
        ------
        ControlError
            The request is none of the notifier's.
        """
        match request:
            case Ping():
                return {"pid": os.getpid(), "run_id": self._run.run_id}
            case Notices():
                return await self._board_after(request)
            case Delivered():
                return await self._take(request)
            case NoticesState() | NoticesProof():
                return self._hear(request)
            case Leaves() | Became() if self._outgoing is not None:
                return await self._outgoing.answer(request)
            case Acknowledge() if self.noticed.answers and request.role is Role.CARER:
                return await self._acknowledge(request)
            case _:
                raise ControlError(
                    "this socket tells what a notice may say, and no more; ask the control socket"
                )

    def _hear(self, told: NoticesState | NoticesProof) -> dict[str, Any]:
        if isinstance(told, NoticesProof):
            self.round_trip.take(told)
        else:
            self._heard, self._heard_s = told, self._now_s()
        return {}

    def note(self, record: Record) -> None:
        """Take a new record; who waits for a change is woken where it is one."""
        if not isinstance(record, Alert | AlarmEvent):
            return
        if isinstance(record, Alert) and record.state is AlertState.RAISED:
            self._note_withheld(record)
        if isinstance(record, AlarmEvent):
            if record.step is not None:
                self._known[record.alert_id] = record.step
        elif record.state is AlertState.ENDED:
            self._ended.append((record, self._known.pop(record.id, Step.BOX)))
        self._known.update(self._pipeline.carried())
        self._wake()

    def _note_withheld(self, alert: Alert) -> None:
        """Write beside an alert that nobody far away is told of it, and why."""
        if self._outgoing is None or not self.noticed.wanted or self._allows(Switch.NOTICES):
            return
        self._outgoing.gate.withhold(Switch.NOTICES, alert.id)

    def board(self, *, details: bool = False) -> Board:
        """Return what may be said now."""
        live, now_s = self._pipeline.live(), self._now_s()
        tells = self._allows(Switch.NOTICES)
        details = details and self._allows(Switch.NOTICE_DETAILS)
        alerts, ended = (live.alerts, tuple(self._ended)) if tells else ((), ())
        carried = self._pipeline.carried()
        holders = {watch.patient: watch.holder for watch in live.watches}
        quality = None
        with suppress(LookupError):
            quality = self._wall.utc_of(now_s, self._run.boot_id)[1]

        def told(alert: Alert, step: Step) -> AlertNotice:
            to = holders.get(alert.patient) or holders.get("") or ""
            utc = (self._utc(alert.since_s), self._utc(alert.at_s))
            return notice_of(alert, step, to, utc, details=details, pseudonym=self.pseudonym)

        return Board(
            self._change,
            self._run.run_id,
            self._run.boot_id,
            cut(self.noticed.box, MAX_NAME),
            live.now_s,
            now_s,
            quality,
            live.now_s > self._run.started_s,
            sentences(self._not_watching(live, now_s)),
            live.signal.priority if live.signal.audible else None,
            live.signal.paused,
            urgent_first(told(alert, carried.get(alert.id, Step.BOX)) for alert in alerts),
            tuple(told(alert, step) for alert, step in ended),
            self.round_trip.asked,
            () if self._outgoing is None else self._outgoing.gate.withheld,
        )

    def report(self) -> NoticesReport:
        """Return what the status says of the notices."""
        now_s, heard = self._now_s(), self._heard
        age_s = now_s - self._heard_s
        wanted = self.noticed.wanted
        if wanted and not self._allows(Switch.NOTICES):
            ways = () if heard is None else heard.ways
            why = "consent to notices is off"
            return NoticesReport(False, None, "", None, ways, withheld=why)  # noqa: FBT003
        if heard is None or age_s > HEARD_S:
            late = wanted and age_s > (START_S if heard is None else HEARD_S)
            trouble = "the notifier does not run: start it with `homeward notify`" if late else ""
            known_s = None if heard is None else age_s
            since_s, failing_s = (self._heard_s, age_s) if late else (None, None)
            return NoticesReport(wanted, known_s, trouble, failing_s, since_s=since_s)
        broken = [way for way in heard.ways if not way.works]
        trouble = "; ".join(f"{way.name}: {way.reason}" for way in broken)
        since_s = min((way.since_s for way in broken), default=None)
        failing_s = None if since_s is None else max(0.0, now_s - since_s)
        idle = bool(broken) and not any(way.n_waiting for way in broken)
        told = (heard.ways, heard.deadman, since_s, idle)
        return NoticesReport(wanted, age_s, trouble, failing_s, *told)

    def _wake(self) -> None:
        self._change += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def _board_after(self, request: Notices) -> Board:
        if request.after == self._change and request.wait_s > 0.0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), request.wait_s)
        return self.board(details=request.details)

    async def _take(self, told: Delivered) -> Any:  # noqa: ANN401  # whatever JSON can say
        if self.ledger is not None:
            return await self.ledger(told)
        known = {alert.id for alert in self._pipeline.live().alerts}
        known |= {alert.id for alert, _ in self._ended}
        if told.alert_id not in known:
            raise ControlError(f"there is no alert {told.alert_id!r} to report on")
        _log.info("notice", alert=told.alert_id, stage=told.stage, by=told.by)
        self.delivered.append(told)
        return {}

    def _not_watching(self, live: Live, now_s: float) -> Iterable[str]:
        if now_s - live.now_s > STALLED_S:
            yield "the monitor does not come on"
        for link in self._links():
            if link.state == "waiting":
                yield f"the source {link.name} has failed"
        ages = {source.patient: source.age_s for source in live.sources}
        for source in live.sources:
            ages[source.patient] = min(ages[source.patient], source.age_s)
        for patient in self.noticed.patients:
            if not ages.get(patient, now_s - self._run.started_s) <= UNHEARD_S:
                yield f"nothing is heard of {outside(patient, self.pseudonym)}"

    def not_watching(self) -> tuple[str, ...]:
        """Return what should be watched and is not, a sentence each."""
        return sentences(self._not_watching(self._pipeline.live(), self._now_s()))

    def _utc(self, at_s: float) -> datetime | None:
        with suppress(LookupError):
            return self._wall.utc_of(at_s, self._run.boot_id)[0]
        return None
