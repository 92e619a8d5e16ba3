"""The seconds around one alert, taken while the packets pass: what its printed page shows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from edge.export.placing import Run, Second
from edge.export.span import Origin
from edge.export.spool import ExportError
from edge.records import AlarmAct, AlarmEvent, Alert, AlertState, Beat

BEFORE_S: Final = 10.0
AFTER_S: Final = 20.0
LATE_S: Final = 10.0
"""Samples of the strip may come so late."""
KEEP_S: Final = 30.0
"""While the alert is not met, what is older than this is forgotten."""
NEAR_S: Final = 60.0
"""A log holds the time of an alert if anything arrived so near: the box tells every minute."""
MAX_RUNS: Final = 20_000
MAX_LISTED: Final = 12


class Vital(msgspec.Struct, frozen=True):
    """One of the monitor's numbers in the second of the alarm."""

    signal: str
    value: float


class Told(msgspec.Struct, frozen=True):
    """One stage of the alert's story: how long after the alarm, what happened, in words."""

    after_s: float | None
    stage: str
    words: str


class Strip(msgspec.Struct, frozen=True):
    """One alert with what was sensed around it.

    Attributes
    ----------
    alert : Alert
        Its first state.
    runs : tuple[Run, ...]
        All waves of the patient from `BEFORE_S` before to `AFTER_S` after.
    beats : tuple[Beat, ...]
        As the monitor saw them.
    vitals : tuple[Vital, ...]
        What the monitor showed in the second of the alarm; what was too old is not among them.
    story : tuple[Told, ...]
        Detected, told, answered, ended.
    source, version : str
        What it was made from, and by what.
    origin : Origin
        When that was.
    """

    alert: Alert
    runs: tuple[Run, ...]
    beats: tuple[Beat, ...]
    vitals: tuple[Vital, ...]
    story: tuple[Told, ...]
    source: str
    version: str
    origin: Origin

    @property
    def from_s(self) -> float:
        """Where the strip begins, by the box's clock."""
        return self.alert.at_s - BEFORE_S

    @property
    def to_s(self) -> float:
        """Where it ends."""
        return self.alert.at_s + AFTER_S


class StripTaker:
    """Watches the seconds pass, and keeps those around the alert it looks for.

    Parameters
    ----------
    beginning : str
        With what the alert's id begins.
    known : Alert | None
        The alert, where the store knows it already: its first state.

    Attributes
    ----------
    alert : Alert | None
        The one that was looked for; None: not yet.
    others : list[Alert]
        Other alerts that were raised, for whoever mistyped; at most `MAX_LISTED`.
    """

    def __init__(self, beginning: str, known: Alert | None = None) -> None:
        self._beginning = beginning
        self.alert = known
        self.others: list[Alert] = []
        self._runs: deque[Run] = deque(maxlen=MAX_RUNS)
        self._beats: deque[Beat] = deque(maxlen=MAX_RUNS)
        self._vitals: tuple[Vital, ...] | None = None
        self._story: list[Told] = []
        self._passed = False
        self._ended = known is not None  # the store tells the rest

    def take(self, second: Second) -> bool:
        """Take one second; return whether more is needed."""
        for record in second.records:
            if isinstance(record, Alert):
                self._note_alert(record)
            elif isinstance(record, AlarmEvent):
                self._note_event(record)
            elif isinstance(record, Beat):
                self._beats.append(record)
        if self.alert is not None and second.packets:
            self._passed = self._passed or abs(second.end_s - self.alert.at_s) <= NEAR_S
        if self.alert is not None and self._vitals is None and second.end_s >= self.alert.at_s:
            self._vitals = _vitals_of(self.alert, second)
        until_s = math.inf if self.alert is None else self.alert.at_s + AFTER_S
        for run in second.runs:
            if run.start_s <= until_s:
                self._runs.append(run)
        self._forget(second.end_s if self.alert is None else self.alert.at_s)
        return not (self._ended and second.end_s > until_s + LATE_S)

    @property
    def met(self) -> bool:
        """Whether the alert was there, or at least its time."""
        return self.alert is not None and self._passed

    @property
    def at_s(self) -> float:
        """When the alarm was given; 0 where it was not met."""
        return 0.0 if self.alert is None else self.alert.at_s

    def strip(self, story: Sequence[Told], source: str, version: str, origin: Origin) -> Strip:
        """Return the strip.

        Parameters
        ----------
        story : Sequence[Told]
            What the store tells; empty: what was seen on the way.

        Raises
        ------
        ExportError
            No such alert was met.
        """
        alert = self.alert
        if alert is None:
            raise ExportError(f"no alert begins with {self._beginning!r}")
        runs = [r for r in self._runs if alert.patient in {r.patient, ""}]
        beats = [b for b in self._beats if alert.patient in {b.patient, ""}]
        return Strip(
            alert,
            tuple(r for r in runs if r.fs_hz >= 1.0),
            tuple(beats),
            self._vitals or (),
            tuple(story or self._story),
            source,
            version,
            origin,
        )

    def _note_alert(self, alert: Alert) -> None:
        raised = alert.state is AlertState.RAISED
        if self.alert is None and raised:
            if self._beginning and alert.id.startswith(self._beginning):
                self.alert, self._passed = alert, True
            elif len(self.others) < MAX_LISTED:
                self.others.append(alert)
        if self.alert is None or alert.id != self.alert.id:
            return
        self._ended = self._ended or alert.state is AlertState.ENDED
        after_s = round(alert.at_s - self.alert.at_s, 3)
        self._story.append(Told(after_s, _stage_of(alert), _words_of(alert)))

    def _note_event(self, event: AlarmEvent) -> None:
        alert = self.alert
        if alert is None or event.patient not in {alert.patient, ""}:
            return
        if event.act is AlarmAct.ESCALATED and event.alert_id != alert.id:
            return
        by = f"{event.by}: " if event.by else ""
        after_s = round(event.at_s - alert.at_s, 3)
        self._story.append(Told(after_s, event.act.replace("_", " "), by + event.reason))

    def _forget(self, now_s: float) -> None:
        keep_s = now_s - KEEP_S - BEFORE_S
        while self._runs and self._runs[0].start_s < keep_s:
            self._runs.popleft()
        while self._beats and self._beats[0].at_s < keep_s:
            self._beats.popleft()


def _vitals_of(alert: Alert, second: Second) -> tuple[Vital, ...]:
    if second.ask is None:
        return ()
    live = second.ask()
    shown = [p for p in live.patients if alert.patient in {p.patient, ""}][:1]
    return tuple(
        Vital(name, value)
        for patient in shown
        for name, value in patient.vitals.items()
        if not math.isnan(value)
    )


def _stage_of(alert: Alert) -> str:
    said = {
        AlertState.RAISED: "detected",
        AlertState.ACTIVE: "said again",
        AlertState.ACKNOWLEDGED: "answered",
        AlertState.LATCHED: "over, unanswered",
        AlertState.ENDED: "ended",
    }
    return said[alert.state]


def _words_of(alert: Alert) -> str:
    if alert.state in (AlertState.LATCHED, AlertState.ENDED):
        return f"no longer so; last: {alert.reason}"
    if alert.state is not AlertState.ACKNOWLEDGED:
        return alert.reason
    meaning = alert.meaning.replace("_", " ") if alert.meaning else ""
    how = ", ".join(filter(None, (alert.role or "", meaning)))
    return f"by {alert.answered_by}" + (f" ({how})" if how else "")
