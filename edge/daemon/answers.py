"""What the running monitor answers on its socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from edge.alerts import Answer
from edge.clock import TimeQuality, WallLog
from edge.control import Acknowledge, Alerts, ControlError, Live, Ping, Request, Status, Trace
from edge.daemon.intake import MAX_PACKETS, Intake, LinkReport
from edge.daemon.recorder import Recorder, StoreReport
from edge.live import Live as LiveNumbers
from edge.pipeline import ANSWER, Pipeline
from edge.records import Alert, Packet
from edge.store import Run, StoreError

ANSWER_S = 4.0
"""How long the monitor may take to act on what a person said, and again to store it."""

N_DECIMALS = 4
"""Places of a trace's values: a tenth of a microvolt."""


class MonitorFacts(msgspec.Struct, frozen=True):
    """Which monitor this is; `model_trouble`: why it goes without a model, empty if it has one."""

    pid: int
    run_id: str
    boot_id: str
    version: str
    model_id: str
    model_trouble: str
    started_s: float
    now_s: float
    now_utc: datetime | None
    time_quality: TimeQuality | None


class Report(msgspec.Struct, frozen=True, tag="status", tag_field="record"):
    """All that `homeward status` shows.

    Attributes
    ----------
    monitor : MonitorFacts
        Process, run, clocks.
    live : edge.live.Live
        Patients, standing alerts, streams.
    links : tuple[LinkReport, ...]
        Configured sources.
    n_queued, max_queued, n_overflow : int
        The packet queue now, its bound, and what was dropped over it.
    store : StoreReport
        How recording goes.
    """

    monitor: MonitorFacts
    live: LiveNumbers
    links: tuple[LinkReport, ...]
    n_queued: int
    max_queued: int
    n_overflow: int
    store: StoreReport


class Answers:
    """Answers requests from the state of the running parts."""

    def __init__(
        self,
        pipeline: Pipeline,
        intake: Intake,
        recorder: Recorder,
        run: Run,
        now_s: Callable[[], float],
        wall: WallLog,
    ) -> None:
        self._pipeline, self._intake, self._recorder = pipeline, intake, recorder
        self._run, self._now_s, self._wall = run, now_s, wall
        self._awaited: dict[str, list[asyncio.Future[Alert]]] = {}
        self.model_trouble = ""

    async def answer(self, request: Request) -> Any:  # noqa: ANN401  # whatever JSON can say
        """Return the answer to one request.

        Raises
        ------
        ControlError
            It cannot be answered; the text says why and what to do.
        """
        match request:
            case Ping():
                return {"pid": os.getpid(), "run_id": self._run.run_id}
            case Status() | Live():
                return self.report()
            case Alerts(limit=limit):
                return await self._alerts(limit)
            case Acknowledge(id=beginning, by=by):
                return await self._acknowledge(beginning, by)
            case Trace():
                return self._trace(request)

    def note(self, alert: Alert) -> None:
        """Take a new state of an alert; whoever waits for its acknowledgement is told."""
        if alert.answered_by:
            for waiting in self._awaited.pop(alert.id, ()):
                if not waiting.done():
                    waiting.set_result(alert)

    def report(self) -> Report:
        """Return the status of this moment."""
        return Report(
            self._facts(),
            self._pipeline.live(),
            self._intake.reports(),
            len(self._intake),
            MAX_PACKETS,
            self._intake.n_overflow,
            self._recorder.report(),
        )

    def _facts(self) -> MonitorFacts:
        run, now_s = self._run, self._now_s()
        utc: datetime | None = None
        quality: TimeQuality | None = None
        with suppress(LookupError):  # before the first tick no wall time is known
            utc, quality = self._wall.utc_of(now_s, run.boot_id)
        return MonitorFacts(
            os.getpid(),
            run.run_id,
            run.boot_id,
            run.version,
            run.model_id,
            self.model_trouble,
            run.started_s,
            now_s,
            utc,
            quality,
        )

    async def _alerts(self, limit: int) -> dict[str, Any]:
        try:
            history = await self._recorder.alerts(limit)
        except StoreError as error:
            raise ControlError(str(error)) from error
        return {"standing": self._pipeline.live().alerts, "history": history}

    async def _acknowledge(self, beginning: str, by: str) -> dict[str, Any]:
        alert = self._standing(beginning)
        if not by.strip():
            raise ControlError("who acknowledges? give a name, e.g. --by Ann")
        if alert.answered_by:
            raise ControlError(f"{alert.id} is acknowledged already, by {alert.answered_by}")
        answered = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(alert.id, []).append(answered)
        said = Answer(action="acknowledge", alert_id=alert.id, by=by.strip())
        packet = Packet("person", ANSWER, self._now_s(), msgspec.json.encode(said))
        self._intake.put(packet)
        try:
            changed = await asyncio.wait_for(answered, ANSWER_S)
        except TimeoutError:
            raise ControlError(
                f"{alert.id} was not acknowledged within {ANSWER_S:.0f} s: it may just have "
                f"ended; look with `homeward status`"
            ) from None
        finally:
            self._forget(alert.id, answered)
        try:
            stored = await asyncio.wait_for(self._recorder.stored(), ANSWER_S)
        except TimeoutError:
            stored = False  # the disk hangs: said to the person, and shown in the status
        return {"alert": changed, "stored": stored}

    def _forget(self, alert_id: str, answered: asyncio.Future[Alert]) -> None:
        waiting = self._awaited.get(alert_id, [])
        if answered in waiting:
            waiting.remove(answered)
        if not waiting:
            self._awaited.pop(alert_id, None)

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

    def _trace(self, request: Trace) -> dict[str, Any]:
        live = self._pipeline.live()
        patients = [patient.patient for patient in live.patients]
        patient = request.patient or (patients[0] if len(patients) == 1 else "")
        if not patient:
            known = f"say which patient: {', '.join(patients)}" if patients else "nobody seen yet"
            raise ControlError(f"nothing to trace: {known}")
        samples = self._pipeline.trace(patient, request.signal, request.seconds)
        if samples is None:
            raise ControlError(
                f"{patient} has no signal {request.signal!r}: `homeward status` lists what there is"
            )
        values = np.round(samples.values.astype(np.float64), N_DECIMALS).tolist()
        times_s = None if samples.times_s is None else samples.times_s.tolist()
        return {
            "patient": patient,
            "signal": samples.signal,
            "lead": samples.lead,
            "start_s": samples.start_s,
            "fs_hz": samples.fs_hz,
            "uncertainty_s": samples.uncertainty_s,
            "times_s": times_s,
            "values": values,
        }
