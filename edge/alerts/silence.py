"""What is silenced and who has the watch, kept and let go."""

from __future__ import annotations

import msgspec

from edge.alerts.answer import ACT_OF, Answer, AnswerError, settles
from edge.alerts.mutes import Mute, Watch, holder_of
from edge.alerts.settings import AlertSettings
from edge.live import MuteLive, WatchLive
from edge.records import AlarmAct, AlarmEvent, Alert, Priority

TIME_IS_OVER = "the time is over"
NOT_KNOWN = "the box was started again and does not know for how long it was off"

MAX_KEPT = 64
"""Mutes and watches that are kept; more means that something makes patients up."""


class Silence(msgspec.Struct):
    """Mutes and watches; at most one of a kind for each patient."""

    mutes: list[Mute] = []
    watches: list[Watch] = []

    def check(self, answer: Answer) -> None:
        """Raise `AnswerError` where there is nothing to resume, or no room."""
        if answer.action == "resume":
            if not self.mutes_of(answer.patient):
                raise AnswerError("nothing is paused or off; there is nothing to resume")
        elif max(len(self.mutes), len(self.watches)) >= MAX_KEPT:
            raise AnswerError(f"there are {MAX_KEPT} pauses or watches already; resume first")

    def take(
        self, answer: Answer, loudest: Priority | None, now_s: float, settings: AlertSettings
    ) -> list[AlarmEvent]:
        """Follow an answer that is no acknowledgement; `loudest`: what sounds now."""
        self.check(answer)
        if answer.action == "resume":
            return self._resume(answer, now_s)
        if answer.action == "hand_off":
            return [self._hand_off(answer, now_s, settings)]
        return [self._mute(answer, loudest, now_s, settings)]

    def elapse(self, now_s: float) -> list[AlarmEvent]:
        """Let go of what has ended by itself, and return that it has."""
        if not self.mutes and not self.watches:
            return []
        events = [m.over(now_s, TIME_IS_OVER) for m in self.mutes if not m.holds(now_s)]
        events += [_watch_over(w, now_s, TIME_IS_OVER) for w in self.watches if not w.holds(now_s)]
        if events:
            self.mutes = [mute for mute in self.mutes if mute.holds(now_s)]
            self.watches = [watch for watch in self.watches if watch.holds(now_s)]
        return events

    def move(self, by_s: float, now_s: float, *, known: bool) -> list[AlarmEvent]:
        """Put all times on another clock; where that is not `known`, what is timed has ended."""
        for mute in self.mutes:
            mute.since_s += by_s
            mute.until_s = None if mute.until_s is None else mute.until_s + by_s
        for watch in self.watches:
            watch.since_s += by_s
            watch.until_s += by_s
        if known:
            return self.elapse(now_s)
        events = [m.over(now_s, NOT_KNOWN) for m in self.mutes if m.until_s is not None]
        events += [_watch_over(watch, now_s, NOT_KNOWN) for watch in self.watches]
        self.mutes = [mute for mute in self.mutes if mute.until_s is None]
        self.watches = []
        return events

    def mutes_of(self, patient: str) -> list[Mute]:
        """Return the mutes that concern a patient; all of them where it is empty."""
        return [m for m in self.mutes if "" in (patient, m.patient) or m.patient == patient]

    def holds_up(self, alert: Alert, now_s: float) -> bool:
        """Return whether somebody who can help has paused this alert, and so is there."""
        return any(
            mute.until_s is not None
            and mute.covers(alert, now_s)
            and settles(mute.role, alert.priority)
            for mute in self.mutes
        )

    def holder_of(self, patient: str, now_s: float) -> str:
        """Return who has the watch over a patient; empty: nobody in particular."""
        return holder_of(self.watches, patient, now_s)

    def mutes_live(self, now_s: float) -> tuple[MuteLive, ...]:
        """Return the mutes in force, for the screen."""
        held = (mute for mute in self.mutes if mute.holds(now_s))
        return tuple(MuteLive(m.act, m.patient, m.upto, m.by, m.until_s) for m in held)

    def watches_live(self, now_s: float) -> tuple[WatchLive, ...]:
        """Return the watches in force, for the screen."""
        held = (watch for watch in self.watches if watch.holds(now_s))
        return tuple(WatchLive(w.patient, w.holder, w.until_s) for w in held)

    def _mute(
        self, answer: Answer, loudest: Priority | None, now_s: float, settings: AlertSettings
    ) -> AlarmEvent:
        act = ACT_OF[answer.action]
        upto = answer.priority or loudest or Priority.MEDIUM
        until_s: float | None = None
        if act is AlarmAct.AUDIO_OFF:
            upto = Priority.MEDIUM if upto is Priority.HIGH else upto
        else:
            # Configured times are bounded too, and so nothing is ever paused for longer.
            until_s = now_s + (answer.lasts_s or settings.pause_s)
        mute = Mute(act, answer.patient, upto, answer.by, answer.role, now_s, until_s)
        self.mutes = [m for m in self.mutes if (m.act, m.patient) != (act, answer.patient)]
        self.mutes.append(mute)
        return mute.begun()

    def _resume(self, answer: Answer, now_s: float) -> list[AlarmEvent]:
        ended = self.mutes_of(answer.patient)
        self.mutes = [mute for mute in self.mutes if mute not in ended]
        return [
            msgspec.structs.replace(
                mute.over(now_s, f"{answer.by} says so"), by=answer.by, role=answer.role
            )
            for mute in ended
        ]

    def _hand_off(self, answer: Answer, now_s: float, settings: AlertSettings) -> AlarmEvent:
        self.watches = [w for w in self.watches if w.patient != answer.patient]
        until_s: float | None = None
        if answer.to:
            until_s = now_s + (answer.lasts_s or settings.watch_s)
            self.watches.append(Watch(answer.patient, answer.to, now_s, until_s))
        who = answer.to or "nobody in particular"
        return AlarmEvent(
            AlarmAct.HANDED_OFF,
            answer.patient,
            now_s,
            f"{who} has the watch",
            answer.by,
            answer.role,
            until_s=until_s,
            to=answer.to,
        )


def _watch_over(watch: Watch, now_s: float, reason: str) -> AlarmEvent:
    return AlarmEvent(AlarmAct.WATCH_OVER, watch.patient, now_s, reason, to=watch.holder)
