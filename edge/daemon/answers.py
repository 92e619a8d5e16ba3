"""What the running monitor answers on its socket."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
import numpy as np

from edge.clock import TimeQuality, WallLog
from edge.config import Config
from edge.config.words import Words
from edge.control import (
    Acknowledge,
    Alerts,
    Became,
    ChangeConsent,
    ChangeLimits,
    ControlError,
    Delivered,
    Enter,
    Forget,
    ForgetSent,
    Leaves,
    Live,
    Notices,
    NoticesProof,
    NoticesState,
    Ping,
    Request,
    SelfTestRequest,
    Status,
    Tell,
    Trace,
    Unlock,
    VaultAside,
    VaultBack,
    VaultRequest,
    VaultStay,
)
from edge.control.board import NoticesReport
from edge.control.syncing import (
    SyncBeat,
    SyncFetch,
    SyncNumbers,
    SyncReject,
    SyncSettle,
    SyncState,
    SyncWait,
)
from edge.daemon.consent import ConsentReport
from edge.daemon.forgetting import forget
from edge.daemon.intake import MAX_PACKETS, Intake, LinkReport
from edge.daemon.limits import Desk, LimitsReport
from edge.daemon.local import AnnunciatorReport
from edge.daemon.model import LiveModel
from edge.daemon.noticeboard import Noticeboard
from edge.daemon.outgoing import Outgoing
from edge.daemon.people import People
from edge.daemon.proof import Proof
from edge.daemon.recorder import Recorder, StoreReport
from edge.daemon.selftest import AlarmPath, SelfTests
from edge.daemon.syncdesk import SyncDesk
from edge.daemon.syncstate import SyncReport
from edge.daemon.vaultdesk import VaultDesk
from edge.daemon.vaultstate import VaultState
from edge.journal import NAMES
from edge.limits import Reload
from edge.live import Live as LiveNumbers
from edge.pipeline import Pipeline
from edge.pseudonyms import Pseudonym, Pseudonyms
from edge.records import LimitAct, Record, SettingChange
from edge.store import Run, StoreError

DeskRequest: TypeAlias = (
    ChangeConsent | Forget | ForgetSent | ChangeLimits | SelfTestRequest | VaultRequest
)
"""What people decide, and what not every monitor does."""

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
    annunciators : tuple[AnnunciatorReport, ...]
        Sound and light at the box.
    notices : NoticesReport | None
        How people who are not at the box are told.
    alarm_path : AlarmPath | None
        What the last self-test proved; None: this monitor does not test itself.
    pseudonyms : Mapping[str, str]
        What patients are called in all that leaves the box.
    limits, limits_trouble : tuple[LimitsReport, ...], str
        What people decided about how each patient is watched; why that could not be read.
    consent : ConsentReport | None
        What people let leave, and what was kept back.
    vault : VaultState | None
        How the raw packets are kept; None: they are not to be.
    sync : SyncReport | None
        What leaves for records far away; None: nothing is to.
    """

    monitor: MonitorFacts
    live: LiveNumbers
    links: tuple[LinkReport, ...]
    n_queued: int
    max_queued: int
    n_overflow: int
    store: StoreReport
    annunciators: tuple[AnnunciatorReport, ...] = ()
    notices: NoticesReport | None = None
    alarm_path: AlarmPath | None = None
    limits: tuple[LimitsReport, ...] = ()
    limits_trouble: str = ""
    consent: ConsentReport | None = None
    vault: VaultState | None = None
    pseudonyms: Mapping[str, str] = {}
    sync: SyncReport | None = None


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
        self._people = People(pipeline, intake.put, recorder.stored, now_s)
        self.notices = Noticeboard(
            pipeline, run, now_s, wall, intake.reports, self._people.acknowledge
        )
        self.model_trouble = ""
        self.model: LiveModel | None = None
        self.annunciators: Callable[[], tuple[AnnunciatorReport, ...]] = tuple
        self.proof = Proof(pipeline, recorder, now_s)
        self._people.entered = self.proof.entered
        self.notices.ledger = self._delivered
        self.outgoing = Outgoing(recorder, run, now_s, wall, self._people.is_stored)
        self.notices.go_through(self.outgoing)
        self.self_tests: SelfTests | None = None
        self._desk: Desk | None = None
        self._limits_trouble = ""
        self.vault: VaultDesk | None = None
        self.sync: SyncDesk | None = None
        self.pseudonyms = Pseudonyms(keep=self._keep_name)
        """What patients are called in all that leaves the box."""

    def let_limits_change(self, config: Config, reload: Reload, trouble: str) -> None:
        """Let people change limits from now on; until then they are refused."""
        self._limits_trouble = trouble
        self._desk = Desk(config, reload, self._people, self._now_s)
        self._desk.taken = self._go_by
        self._desk.keep = self._keep_name

    async def settle(self) -> None:
        """Take to the records what an older Homeward kept beside them."""
        if self._desk is not None:
            await self._desk.move_words(self._recorder.stored)

    def _keep_name(self, one: Pseudonym | Words) -> None:
        self._recorder.backlog.name(one, self._now_s())

    def _go_by(self, config: Config) -> None:
        if self.self_tests is not None:
            self.self_tests.go_by(config)

    async def answer(self, request: Request) -> Any:  # noqa: ANN401  # whatever JSON can say
        """Return the answer to one request.

        Raises
        ------
        ControlError
            It cannot be answered; the text says why and what to do.
        """
        NAMES.hear(request)  # what people typed is for the record, and never for the journal
        match request:
            case Acknowledge() | Tell() | Enter():
                return await self._people.hear(request)
            case Alerts(limit=limit):
                return await self._alerts(limit)
            case Delivered():
                return await self._delivered(request)
            case Notices() | NoticesState() | NoticesProof() | Leaves() | Became():
                return await self.notices.answer(request)
            case Ping() | Status() | Live() | Trace():
                return self._now(request)
            case (
                SyncWait()
                | SyncFetch()
                | SyncSettle()
                | SyncReject()
                | SyncBeat()
                | SyncNumbers()
                | SyncState()
            ):
                raise ControlError("this is the sender's to ask, on a socket of its own")
            case _:
                return await self._at_a_desk(request)

    def _now(self, request: Ping | Status | Live | Trace) -> Any:  # noqa: ANN401  # as `answer`
        """Return what is known without waiting."""
        match request:
            case Ping():
                return {"pid": os.getpid(), "run_id": self._run.run_id}
            case Trace():
                return self._trace(request)
            case _:
                report = self.report()
                self.proof.handed_to(type(request).__name__.lower(), report.live.alerts)
                return report

    def _wall_s(self) -> float | None:
        utc = self._facts().now_utc
        return None if utc is None else utc.timestamp()

    async def _delivered(self, told: Delivered) -> dict[str, bool]:
        await self.proof.deliver(told)
        return {"stored": await self._people.is_stored()}

    async def _forget(self, request: Forget) -> Any:  # noqa: ANN401  # as `answer`
        told = await forget(request, self._recorder, self._pipeline, self._wall_s())
        if not request.dry_run and request.from_s is None and request.to_s is None:
            self.pseudonyms.forget(request.patient)
        return told

    async def _at_a_desk(self, request: DeskRequest) -> Any:  # noqa: ANN401  # as `answer`
        """Hand on what people decide, and what not every monitor does."""
        if isinstance(request, Forget):
            return await self._forget(request)
        if isinstance(request, ChangeConsent | ForgetSent):
            return await self.outgoing.answer(request)
        if isinstance(request, Unlock | VaultAside | VaultStay | VaultBack):
            if self.vault is None:
                raise ControlError("this monitor has no keys and keeps no raw data")
            return await self.vault.answer(request)
        if isinstance(request, ChangeLimits):
            if self._desk is None:
                raise ControlError("this monitor takes no changes of limits")
            return await self._desk.change(request)
        if self.self_tests is None:
            raise ControlError("this monitor does not test itself: start `homeward run`")
        return await self.self_tests.answer(request)

    def note(self, record: Record) -> None:
        """Take a new record; whoever waits for what they said to take effect is told."""
        self._people.note(record)
        self.notices.note(record)
        if isinstance(record, SettingChange) and record.act is LimitAct.NEW_PATIENT:
            self.pseudonyms.succeed(record.patient, record.at_s)

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
            self.annunciators(),
            self.notices.report(),
            self.self_tests.live() if self.self_tests is not None else None,
            () if self._desk is None else self._desk.reports(),
            self._limits_trouble,
            self.outgoing.consent.report(),
            self._recorder.vault_report(),
            self.pseudonyms.known,
            None if self.sync is None else self.sync.report(),
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
            self.model_trouble or (self.model.trouble if self.model is not None else ""),
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

    def _trace(self, request: Trace) -> dict[str, Any]:
        patient = self._people.whom(request.patient, "trace")
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
