"""What became of each alert at this box: who could hear it, who could see it, and why not.

Pure: it is handed the signal of a tick, the alerts that stand, the pauses, and what the
annunciators say of themselves, and gives rows for the ledger. It decides nothing and is asked
after everything else, so no alarm waits for its proof.

Stages at the box (`detected`, `answered`, `escalated` and `ended` are the records of the alert and
of the alarm events themselves):

- **sounded**: what had to be heard while this alert stood was handed to the hardware: by the
  loudspeaker to the sound card, by the buzzer to its pin. Where another alert spoke for both, its
  id stands beside it. Whether an ear was near nobody here can know.
- **not_sounded**: and why: paused or off and by whom, answered before its sound was due, the
  annunciator does not work, there is none, over before its sound was due.
- **shown**: the lamp was lit, or a client of the control socket (`homeward status`, a live view)
  was handed the alert, each for the first time. Whether an eye looked nobody here can know.

A stage is told when it changes: an alert that sounds, is paused and sounds again has three rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import msgspec

from edge.annunciators import UNHEARD_S
from edge.daemon.local import AnnunciatorReport
from edge.live import MuteLive, Signal
from edge.records import AlarmAct, Alert, AlertState
from edge.store import LedgerEntry, LedgerKind

GRACE_S: Final = 2.0
"""So long an annunciator that does not work may take to work after all, before it is told."""
STARTING: Final = "starting"
"""How an annunciator begins its reason that has yet to show that it works: no fault so far."""
MAX_CHANGES: Final = 50
"""Rows of one alert at most: something that flaps must not fill the disk."""
N_ENDED: Final = 1_000
"""Ids of ended alerts that are remembered."""

SOUNDED, NOT_SOUNDED, SHOWN = "sounded", "not_sounded", "shown"


class _Due(msgspec.Struct):
    """What an annunciator has to give for one alert.

    Attributes
    ----------
    n, at_s : int, float
        Its change that counts, and since when.
    said : str
        What was told last: ``sounded``, or why not.
    speaker : str
        Which alert the sound was made for.
    """

    n: int
    at_s: float
    said: str = ""
    speaker: str = ""


class _Track(msgspec.Struct):
    """How far one alert has come."""

    alert: Alert
    why: str = ""
    sound: dict[str, _Due] = {}
    light: dict[str, _Due] = {}
    shown: set[str] = set()
    n_rows: int = 0


class Delivery:
    """Follows every standing alert until it has been heard and seen, or it is said why not.

    Parameters
    ----------
    began_s : float
        When this run of the monitor began: what was answered before needs no word again.
    """

    def __init__(self, began_s: float = 0.0) -> None:
        self._began_s = began_s
        self._tracks: dict[str, _Track] = {}
        self._ended: deque[str] = deque(maxlen=N_ENDED)
        self._pending = False
        self._last: tuple[Any, ...] = ()

    def knows(self, alert_id: str) -> bool:
        """Return whether an alert stands, or has ended lately."""
        return alert_id in self._tracks or alert_id in self._ended

    def is_idle(self, signal: Signal, reports: Sequence[AnnunciatorReport]) -> bool:
        """Return whether there can be nothing to tell, where no alert and no pause has changed."""
        return not self._pending and self._last == (signal, *reports)

    def look(
        self,
        now_s: float,
        signal: Signal,
        alerts: Collection[Alert],
        mutes: Sequence[MuteLive],
        reports: Sequence[AnnunciatorReport],
    ) -> list[LedgerEntry]:
        """Return what has become of the alerts since the last look.

        Parameters
        ----------
        now_s : float
            Boot clock; the signal was shown before this.
        alerts, mutes : Collection[Alert], Sequence[MuteLive]
            What stands, and what is paused or off now.
        reports : Sequence[AnnunciatorReport]
            Taken after the signal was shown.
        """
        self._pending = False
        self._last = (signal, *reports)
        entries = self._forget({alert.id for alert in alerts}, now_s)
        for alert in alerts:
            track = self._track(alert)
            if alert.priority.rank > 0:  # information makes no sound and no light
                entries += self._hear(track, now_s, signal, mutes, reports)
                entries += self._see(track, now_s, signal, mutes, reports)
        return entries

    def handed_to(self, client: str, alerts: Iterable[Alert], now_s: float) -> list[LedgerEntry]:
        """Return that a client was handed these alerts, where it was the first of its kind."""
        entries = []
        for alert in alerts:
            track = self._track(alert)
            if client not in track.shown:
                track.shown.add(client)
                entries += _row(
                    track, SHOWN, client, now_s, {"to": "a client of the control socket"}
                )
        return entries

    def _track(self, alert: Alert) -> _Track:
        track = self._tracks.get(alert.id)
        if track is None:
            track = self._tracks[alert.id] = _Track(alert)
            if alert.state is AlertState.ACKNOWLEDGED and alert.at_s < self._began_s:
                track.why = "answered"
        if alert.priority is not track.alert.priority:
            track.sound = {}  # it sounds otherwise now
        track.alert = alert
        return track

    def _forget(self, standing: set[str], now_s: float) -> list[LedgerEntry]:
        entries = []
        for alert_id in self._tracks.keys() - standing:
            track = self._tracks.pop(alert_id)
            self._ended.append(alert_id)
            untold = not track.why and not any(due.said for due in track.sound.values())
            if untold and track.alert.priority.rank > 0:
                body = {"why": "over", "reason": "it was over before its sound was due"}
                entries += _row(track, NOT_SOUNDED, "", now_s, body)
        return entries

    def _hear(
        self,
        track: _Track,
        now_s: float,
        signal: Signal,
        mutes: Sequence[MuteLive],
        reports: Sequence[AnnunciatorReport],
    ) -> list[LedgerEntry]:
        """Follow the sound of one alert."""
        alert = track.alert
        mute = _covering(alert, mutes)
        if alert.state is AlertState.ACKNOWLEDGED:
            return self._answered(track, now_s)
        if mute is not None:
            track.sound = {}
            until = "" if mute.until_s is None else f" until {mute.until_s:.0f} s"
            reason = f"{mute.act.value.replace('_', ' ')} up to {mute.upto.value} priority"
            body = {"why": mute.act.value, "reason": reason, "until_s": mute.until_s}
            return _silent(track, f"{mute.act.value}{mute.by}{until}", mute.by, now_s, body)
        if not signal.audible:
            self._pending = True  # the delay of the signal
            return []
        sounding = [report for report in reports if SOUNDED in report.gives]
        if not sounding:
            body = {"why": "none", "reason": "no loudspeaker and no buzzer is in use"}
            return _silent(track, "none", "", now_s, body)
        track.why = ""
        entries = []
        for report in sounding:
            entries += self._given(track, report, now_s, signal)
        return entries

    def _answered(self, track: _Track, now_s: float) -> list[LedgerEntry]:
        untold = not track.why and not any(due.said for due in track.sound.values())
        track.sound = {}
        if not untold:
            track.why = track.why or "answered"
            return []
        body = {"why": "answered", "reason": "answered before its sound was due"}
        return _silent(track, "answered", track.alert.answered_by, now_s, body)

    def _given(
        self, track: _Track, report: AnnunciatorReport, now_s: float, signal: Signal
    ) -> list[LedgerEntry]:
        """Follow one annunciator that has to sound for an alert."""
        name = report.name
        due, own = track.sound.get(name), track.alert.id
        if due is None or (due.said == SOUNDED and due.speaker != own == signal.alert_id):
            due = track.sound[name] = _Due(report.n_shown, now_s)
        at_s = _given_s(due, report)
        if at_s is not None:
            if due.said == SOUNDED:
                return []
            if due.said:  # it failed, and works again
                at_s = max(at_s, report.since_s)
            due.said, due.speaker = SOUNDED, signal.alert_id
            body = {"n": report.n_given, **({"with": due.speaker} if due.speaker != own else {})}
            return _row(track, SOUNDED, name, at_s, body)
        waited_s = now_s - due.at_s
        unproven = report.works or report.reason.startswith(STARTING)
        if due.said != SOUNDED and waited_s < (UNHEARD_S if unproven else GRACE_S):
            self._pending = True
            return []
        reason = report.reason or f"nothing was taken for {waited_s:.0f} s"
        why = "" if report.works else report.reason[:20]  # what hangs counts the seconds
        if due.said == f"broken {why}":
            return []
        due.said = f"broken {why}"
        body = {"why": "broken", "reason": reason}
        return _row(track, NOT_SOUNDED, name, now_s, body)

    def _see(
        self,
        track: _Track,
        now_s: float,
        signal: Signal,
        mutes: Sequence[MuteLive],
        reports: Sequence[AnnunciatorReport],
    ) -> list[LedgerEntry]:
        """Follow the light of one alert: told once for each lamp."""
        mute = _covering(track.alert, [m for m in mutes if m.act is AlarmAct.ALARMS_PAUSED])
        lamps = [r for r in reports if SHOWN in r.gives and r.name not in track.shown]
        if mute is not None or signal.visual is None or not lamps:
            return []
        entries = []
        for report in lamps:
            due = track.light.setdefault(report.name, _Due(report.n_shown, now_s))
            at_s = _given_s(due, report)
            if at_s is None:
                self._pending = True
                continue
            track.shown.add(report.name)
            entries += _row(track, SHOWN, report.name, at_s, {"to": "the lamp"})
        return entries


def _given_s(due: _Due, report: AnnunciatorReport) -> float | None:
    """Return since when what is due comes out; None: it does not.

    What was on already, for another alert, counts from the moment it was due for this one. Nothing
    counts while the annunciator does not work: a player that dies takes a little sound too, and
    what a card took before it was proven counts as soon as it is.
    """
    if report.n_given < due.n or report.given_s is None or not report.works:
        return None
    return max(report.given_s, due.at_s)


def _covering(alert: Alert, mutes: Iterable[MuteLive]) -> MuteLive | None:
    """Return the mute that silences an alert; the one that ends last."""
    found = [
        mute
        for mute in mutes
        if mute.patient in ("", alert.patient) and alert.priority.rank <= mute.upto.rank
    ]
    return max(found, key=lambda mute: mute.until_s or float("inf"), default=None)


def _silent(
    track: _Track, why: str, by: str, now_s: float, body: dict[str, Any]
) -> list[LedgerEntry]:
    if track.why == why:
        return []
    track.why = why
    return _row(track, NOT_SOUNDED, by, now_s, body)


def _row(
    track: _Track, stage: str, by: str, at_s: float, body: dict[str, Any]
) -> list[LedgerEntry]:
    track.n_rows += 1
    if track.n_rows > MAX_CHANGES:
        return []
    last = {"last": True} if track.n_rows == MAX_CHANGES else {}
    priority = track.alert.priority.value
    told = {"priority": priority, **body, **last}
    return [LedgerEntry(LedgerKind.DELIVERY, track.alert.id, stage, by, at_s, told)]
