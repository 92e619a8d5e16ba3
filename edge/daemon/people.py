"""What people say through the socket: into the queue as packets, and back what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import msgspec

from edge.alerts import ACT_OF, Answer, AnswerError, adds
from edge.control import Acknowledge, ControlError, Enter, Tell
from edge.events import ENTERABLE, ENTRY, HOURLY_S, PERSON, Entry
from edge.pipeline import ANSWER, TICK_S, Pipeline
from edge.records import AlarmEvent, Alert, Packet, Record

ANSWER_S = 4.0
"""How long the monitor may take to act on what a person said, and again to store it."""

Fits: TypeAlias = Callable[[Record], bool]


class People:
    """Hands on what people say, and tells them whether it counts and is stored.

    Parameters
    ----------
    pipeline : Pipeline
        Knows what stands.
    put : Callable
        Takes a packet.
    stored : Callable
        ``await stored()`` says whether all that was made by now is on the disk.
    now_s : Callable
        The boot clock.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        put: Callable[[Packet], None],
        stored: Callable[[], Awaitable[bool]],
        now_s: Callable[[], float],
    ) -> None:
        self._pipeline, self._put, self._stored, self._now_s = pipeline, put, stored, now_s
        self.entered: Callable[[Entry], None] = lambda _: None
        """Told of everything that was entered, before it is said to be stored."""
        self._awaited: list[tuple[Fits, asyncio.Future[Record]]] = []

    def note(self, record: Record) -> None:
        """Take a new record; whoever waits for it is told."""
        for fits, waiting in self._awaited:
            # Asked of every record, for it may collect more than the first that fits.
            if fits(record) and not waiting.done():
                waiting.set_result(record)

    async def hear(self, request: Acknowledge | Tell | Enter) -> dict[str, Any]:
        """Take what a person says, and return what became of it.

        Raises
        ------
        ControlError
            It cannot be followed; the text says why and what to do.
        """
        match request:
            case Acknowledge():
                return await self.acknowledge(request)
            case Tell(answer=answer):
                return await self.tell(answer)
            case Enter():
                return await self.enter(request)

    async def acknowledge(self, request: Acknowledge) -> dict[str, Any]:
        """Answer an alert.

        Raises
        ------
        ControlError
            No such alert stands, it has been answered, or the monitor did not act in time.
        """
        alert = self._standing(request.id)
        by = request.by.strip()
        if not by:
            raise ControlError("who acknowledges? give a name, e.g. --by Ann")
        answer = Answer("acknowledge", alert.id, by, request.role, request.meaning)
        if alert.answered_by and not adds(alert, answer):
            raise ControlError(f"{alert.id} is acknowledged already, by {alert.answered_by}")

        def own(record: Alert) -> bool:
            return (record.answered_by, record.meaning) == (by, answer.meaning)

        def fits(record: Record) -> bool:
            return (
                isinstance(record, Alert)
                and record.id == alert.id
                and (own(record) or (record.answered_by != "" and not adds(record, answer)))
            )

        late = f"{alert.id} was not acknowledged within {ANSWER_S:.0f} s: it may just have ended"
        changed, stored = await self._say(answer, fits, late)
        if isinstance(changed, Alert) and not own(changed):
            raise ControlError(f"{alert.id} is acknowledged already, by {changed.answered_by}")
        return {"alert": changed, "stored": stored}

    async def tell(self, answer: Answer) -> dict[str, Any]:
        """Pause, turn off, resume or hand over.

        Raises
        ------
        ControlError
            It cannot be followed, or the monitor did not act in time.
        """
        if answer.action == "acknowledge":
            raise ControlError("acknowledge an alert with the request of that name")
        known = [patient.patient for patient in self._pipeline.live().patients]
        if answer.patient and answer.patient not in known:
            raise ControlError(
                f"nobody here is called {answer.patient!r}: " + (", ".join(known) or "no patient")
            )
        try:
            self._pipeline.check(answer)
        except AnswerError as error:
            raise ControlError(str(error)) from error
        act, said_s = ACT_OF[answer.action], self._now_s()

        def fits(record: Record) -> bool:
            return (
                isinstance(record, AlarmEvent)
                and (record.act, record.by) == (act, answer.by)
                and record.at_s >= said_s
            )

        late = f"the monitor did not act on {answer.action} within {ANSWER_S:.0f} s"
        event, stored = await self._say(answer, fits, late)
        return {"event": event, "stored": stored}

    async def enter(self, request: Enter) -> dict[str, Any]:
        """Take what a person entered.

        Raises
        ------
        ControlError
            It cannot be entered, or it is not clear of whom.
        """
        patient = self.whom(request.patient, "enter")
        try:
            entry = entered(request, patient)
        except ValueError as error:
            raise ControlError(str(error)) from error
        said_s = self._now_s()
        self._put(Packet(PERSON, ENTRY, said_s, msgspec.json.encode(entry)))
        if not await self._is_taken(said_s):
            raise ControlError(
                f"the monitor did not take {request.what} within {ANSWER_S:.0f} s; look with "
                "`homeward status`"
            )
        self.entered(entry)
        return {"entry": entry, "stored": await self.is_stored()}

    def whom(self, named: str, verb: str) -> str:
        """Return the patient that was named, or the only one.

        Raises
        ------
        ControlError
            There is no such patient, or more than one.
        """
        patients = [patient.patient for patient in self._pipeline.live().patients]
        if named in patients:
            return named
        known = f"say which patient: {', '.join(patients)}" if patients else "nobody seen yet"
        if named:
            raise ControlError(f"there is no patient {named!r}; {known}")
        if len(patients) != 1:
            raise ControlError(f"nothing to {verb}: {known}")
        return patients[0]

    async def _say(self, answer: Answer, fits: Fits, late: str) -> tuple[Record, bool]:
        said = Packet("person", ANSWER, self._now_s(), msgspec.json.encode(answer))
        return await self.put_and_wait([said], fits, late)

    async def put_and_wait(
        self, said: Sequence[Packet], fits: Fits, late: str
    ) -> tuple[Record, bool]:
        """Put packets in the queue; return the record that comes of it, and whether it is stored.

        Raises
        ------
        ControlError
            The monitor did not act in time.
        """
        answered: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        waiting = (fits, answered)
        self._awaited.append(waiting)
        for packet in said:
            self._put(packet)
        try:
            changed = await asyncio.wait_for(answered, ANSWER_S)
        except TimeoutError:
            raise ControlError(f"{late}; look with `homeward status`") from None
        finally:
            self._awaited.remove(waiting)
        return changed, await self.is_stored()

    async def _is_taken(self, said_s: float) -> bool:
        """Wait for the tick that takes what was said; only then is it in line for the disk."""
        while self._pipeline.now_s < said_s:
            if self._now_s() - said_s > ANSWER_S:
                return False
            await asyncio.sleep(TICK_S / 2)
        return True

    async def is_stored(self) -> bool:
        """Wait until all that was made by now is on the disk; false: it took too long."""
        try:
            return await asyncio.wait_for(self._stored(), ANSWER_S)
        except TimeoutError:
            return False  # the disk hangs: said to the person, and shown in the status

    def _standing(self, beginning: str) -> Alert:
        standing = self._pipeline.live().alerts
        exact = [alert for alert in standing if alert.id == beginning]
        found = exact or [alert for alert in standing if alert.id.startswith(beginning)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(alert.id for alert in found or standing)
        if found:
            raise ControlError(f"{len(found)} alerts begin with {beginning!r}: {known}; say more")
        raise ControlError(
            f"no standing alert begins with {beginning!r}; "
            + (f"standing now: {known}" if known else "none stands now")
        )


def entered(request: Enter, patient: str) -> Entry:
    """Return what a person entered, as it goes into the pipeline.

    Raises
    ------
    ValueError
        It cannot be entered, or cannot be true; the text says what can.
    """
    known = ENTERABLE.get(request.what)
    value: float | str = request.value
    if known is not None and not known.choices:
        with suppress(ValueError):
            value = float(request.value)
    valid_for_s = request.valid_for_s
    if valid_for_s is None:
        valid_for_s = known.valid_for_s if known is not None else HOURLY_S
    return Entry(patient, request.what, value, request.by, request.role, valid_for_s, request.age_s)
