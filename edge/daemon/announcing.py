"""The local alarms, told at every tick: one that fails does not silence the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import structlog

from edge.live import Signal
from edge.records import AlarmEvent, Alert, AlertState, Outcome, Record, SettingChange

_log = structlog.get_logger("monitor")

Show: TypeAlias = Callable[[Signal], None]
"""A way to be heard or seen: takes what should be heard and seen now, at every tick; must neither
wait nor fail."""


class Annunciator(Protocol):
    """A way to be heard or seen: takes each new state of an alert, at once."""

    def __call__(self, alert: Alert) -> None:
        """Announce it; must neither wait nor fail for long."""
        ...


def log_line(alert: Alert) -> None:
    """Announce an alert in the log, without a word about whom or what was measured."""
    urgent = alert.state is AlertState.RAISED and alert.priority.rank > 0
    (_log.warning if urgent else _log.info)(
        "alert",
        id=alert.id,
        rule=alert.rule,
        priority=alert.priority.value,
        state=alert.state.value,
    )


class Announcing:
    """Tells all local alarms.

    Parameters
    ----------
    annunciators : Sequence[Annunciator]
        Take each new state of an alert.
    note : Callable
        Takes every record that people may ask for, after it has been announced.
    """

    def __init__(self, annunciators: Sequence[Annunciator], note: Callable[[Record], None]) -> None:
        self._annunciators, self._note = tuple(annunciators), note
        self.shows: list[Show] = []
        """Take the signal at every tick."""

    def show(self, signal: Signal) -> None:
        """Let `signal` be heard and seen."""
        for show in self.shows:
            try:
                show(signal)
            except Exception:  # noqa: BLE001  # one that fails must not silence the others
                _log.exception("cannot show", by=repr(show))

    def announce(self, outcome: Outcome) -> None:
        """Announce every alert that is another one now, and what was done about alarms."""
        for record in outcome.records:
            if isinstance(record, AlarmEvent):
                _log.info("alarms", act=record.act.value, step=record.step, alert=record.alert_id)
                self._note(record)
            elif isinstance(record, SettingChange):
                self._note(record)
            if not isinstance(record, Alert):
                continue
            for annunciate in self._annunciators:
                try:
                    annunciate(record)
                except Exception:  # noqa: BLE001  # one that fails must not silence the others
                    _log.exception("cannot announce", by=repr(annunciate), id=record.id)
            self._note(record)
