"""The proof of what was told to whom: from the running parts into the ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import structlog

from edge.control import ControlError, Delivered
from edge.daemon.delivery import Delivery
from edge.daemon.local import AnnunciatorReport
from edge.daemon.recorder import Recorder
from edge.events import Entry, Facts
from edge.live import Signal
from edge.pipeline import Pipeline
from edge.records import AlarmEvent, Alert, Record
from edge.store import LedgerEntry, LedgerKind, StoreError

MAX_REPORTS: Final = 200
"""Reports on one alert at most: a notifier that has gone wild must not fill the disk."""
N_REPORTED: Final = 1_000
"""Alerts whose reports are counted."""
EARLY_S: Final = 1.0
"""A report may be so far ahead of our clock: the two processes read it at different moments."""

_log = structlog.get_logger("proof")


class Proof:
    """Writes down how every alert was told.

    Parameters
    ----------
    pipeline : Pipeline
        Knows what stands.
    recorder : Recorder
        Takes what is to be kept.
    now_s : Callable
        The boot clock.

    Attributes
    ----------
    reports : Callable
        How the annunciators are now.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        recorder: Recorder,
        now_s: Callable[[], float],
    ) -> None:
        self._pipeline, self._recorder, self._now_s = pipeline, recorder, now_s
        self.reports: Callable[[], tuple[AnnunciatorReport, ...]] = tuple
        self._delivery = Delivery(now_s())
        self._told: dict[str, set[tuple[str, str, float]]] = {}
        self._order: deque[str] = deque()

    def begin(self, in_force: Mapping[str, Any], facts: Iterable[Facts], at_s: float) -> None:
        """Write down what the alarms go by, and who decided it, where it is not as it was."""
        try:
            self._begin(in_force, facts, at_s)
        except Exception:  # noqa: BLE001  # the alarms go on without their proof
            _log.exception("cannot write down the settings")

    def _begin(self, in_force: Mapping[str, Any], facts: Iterable[Facts], at_s: float) -> None:
        if in_force:
            self._vouch(LedgerKind.SETTING, "alarms", "in_force", "", at_s, in_force, if_news=True)
        for known in facts:
            decided = known.spo2_scale == 2
            kind = LedgerKind.DECISION if decided else LedgerKind.SETTING
            body = {"facts": known}
            by, ref = known.decided_by, f"facts:{known.patient}"
            self._vouch(kind, ref, "in_force", by, at_s, body, if_news=True)

    def look(self, signal: Signal, records: Sequence[Record]) -> None:
        """See what has become of the alerts in this tick; after all else, and it never fails."""
        try:
            reports = self.reports()
            changed = any(isinstance(record, Alert | AlarmEvent) for record in records)
            if not changed and self._delivery.is_idle(signal, reports):
                return
            now_s = self._now_s()
            alerts, mutes = self._pipeline.alarms(now_s)
            for entry in self._delivery.look(now_s, signal, alerts, mutes, reports):
                self._recorder.vouch(entry)
        except Exception:  # noqa: BLE001  # the alarms go on without their proof
            _log.exception("cannot follow the alerts")

    def handed_to(self, client: str, alerts: Iterable[Alert]) -> None:
        """Take that a client of the socket was handed these alerts."""
        for entry in self._delivery.handed_to(client, alerts, self._now_s()):
            self._recorder.vouch(entry)

    def entered(self, entry: Entry) -> None:
        """Take what a person entered."""
        body = {"entry": entry}
        self._vouch(LedgerKind.ENTRY, entry.patient, entry.what, entry.by, self._now_s(), body)

    async def deliver(self, told: Delivered) -> None:
        """Take a stage that a process outside has seen; it can only add.

        Raises
        ------
        ControlError
            There is no such alert, or the report cannot be true.
        """
        if not self._delivery.knows(told.alert_id):
            try:
                known = await self._recorder.knows(told.alert_id)
            except StoreError as error:
                raise ControlError(str(error)) from error
            if not known:
                raise ControlError(f"there is no alert {told.alert_id!r} to report on")
        self.take(told)

    def take(self, told: Delivered) -> None:
        """Take a stage of a known alert; the same again is taken as said.

        Raises
        ------
        ControlError
            It cannot be true, or there have been too many.
        """
        if not 0.0 <= told.at_s <= self._now_s() + EARLY_S:
            raise ControlError(
                f"{told.stage} at {told.at_s:.0f} s of the boot clock, and it is "
                f"{self._now_s():.0f} s now: report the moment itself, by CLOCK_BOOTTIME"
            )
        said = (told.stage, told.by, told.at_s)
        reports = self._reports_on(told.alert_id)
        if said in reports:
            return
        if len(reports) >= MAX_REPORTS:
            raise ControlError(f"there are {MAX_REPORTS} reports on {told.alert_id} already")
        body = {"detail": told.detail} if told.detail else {}
        try:
            self._vouch(LedgerKind.DELIVERY, told.alert_id, told.stage, told.by, told.at_s, body)
        except ValueError as error:
            raise ControlError(f"this cannot be stored: {error}") from error
        reports.add(said)

    def _reports_on(self, alert_id: str) -> set[tuple[str, str, float]]:
        if alert_id not in self._told:
            self._told[alert_id] = set()
            self._order.append(alert_id)
            if len(self._order) > N_REPORTED:
                del self._told[self._order.popleft()]
        return self._told[alert_id]

    def _vouch(
        self,
        kind: LedgerKind,
        ref: str,
        stage: str,
        by: str,
        at_s: float,
        body: Mapping[str, Any],
        *,
        if_news: bool = False,
    ) -> None:
        self._recorder.vouch(LedgerEntry(kind, ref, stage, by, at_s, body, if_news))
