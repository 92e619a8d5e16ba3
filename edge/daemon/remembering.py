"""What outlives a restart, put in line for the disk whenever it has become another."""

from __future__ import annotations

import math

from edge.clock import BootClock
from edge.daemon.recorder import Recorder
from edge.pipeline import Pipeline
from edge.records import AlarmEvent, Alert, LimitAct, Outcome, Record, SettingChange
from edge.store import KeptAlerts

KEEP_EVERY_S = 60.0
"""While an alert stands, what the engine remembers is kept this often, changed or not: its clocks
run on. With every alert, every act on the alarms and every entry it is kept at once."""


class Remembering:
    """Keeps what `edge.daemon.resume` finds at the next start.

    Parameters
    ----------
    pipeline : Pipeline
        What remembers.
    clock : BootClock
        The clocks of this box.
    recorder : Recorder
        What writes it.
    """

    def __init__(self, pipeline: Pipeline, clock: BootClock, recorder: Recorder) -> None:
        self._pipeline, self._clock, self._recorder = pipeline, clock, recorder
        self._due_s = math.inf
        self._n_entered = 0

    def keep(self, outcome: Outcome, now_s: float) -> None:
        """Put what outlives a restart in line for the disk, with what was said."""
        changed = any(map(_changes, outcome.records))
        n_entered, self._n_entered = self._n_entered, self._pipeline.n_entered
        if changed or self._n_entered != n_entered or now_s >= self._due_s:
            self._remember()
            stands = bool(self._pipeline.live().alerts)
            self._due_s = now_s + KEEP_EVERY_S if stands else math.inf

    def keep_last(self) -> None:
        """Put it in line as it is at the end, where there is anything to remember."""
        if self._pipeline.live().alerts or self._n_entered:
            self._remember()

    def _remember(self) -> None:
        kept = KeptAlerts(self._pipeline.alert_state(), self._clock.read())
        self._recorder.backlog.keep(kept)


def _changes(record: Record) -> bool:
    """Return whether what outlives a restart is another one after this record.

    Where another patient lies down, what was entered of the one before must not come back.
    """
    if isinstance(record, SettingChange):
        return record.act is LimitAct.NEW_PATIENT
    return isinstance(record, Alert | AlarmEvent)
