"""Escalation: an alert nobody answers is carried further, step by step."""

from __future__ import annotations

from collections.abc import Iterable

from edge.alerts.episode import Episode
from edge.alerts.settings import AlertSettings
from edge.alerts.signals import episodes_that_wait
from edge.alerts.silence import Silence
from edge.records import AlarmAct, AlarmEvent, Step

_WHO = {
    Step.BOX: "the box",
    Step.PAGE: "the page",
    Step.FIRST_CARER: "the first carer",
    Step.SECOND_CARER: "the second carer",
}


def carry(
    episodes: Iterable[Episode],
    silence: Silence,
    passed_s: float,
    now_s: float,
    settings: AlertSettings,
) -> list[AlarmEvent]:
    """Let unanswered alerts wait for `passed_s`; return the steps that were reached.

    A pause by somebody who can help stops the clock: there is a person at the box. Sound that
    is off does not: then it is all the more needed that somebody is told.
    """
    events = []
    for episode in episodes_that_wait(episodes):
        alert = episode.alert
        if silence.holds_up(alert, now_s):
            continue
        # Not from before it began; a boot clock that went back does not tell when that was.
        age_s = now_s - episode.sounds_since_s
        episode.waited_s += min(passed_s, age_s) if age_s >= 0.0 else passed_s
        step = settings.steps_of(alert.priority).reached(episode.waited_s)
        if step.rank > episode.step.rank:
            episode.step = step
            events.append(_carried(episode, silence, now_s))
    return events


def tell_again(
    episodes: Iterable[Episode], silence: Silence, patient: str, now_s: float
) -> list[AlarmEvent]:
    """Return what somebody has to be told who has just taken the watch."""
    return [
        _carried(episode, silence, now_s)
        for episode in episodes_that_wait(episodes)
        if patient in ("", episode.alert.patient) and episode.step.rank >= Step.FIRST_CARER.rank
    ]


def _carried(episode: Episode, silence: Silence, now_s: float) -> AlarmEvent:
    alert, step = episode.alert, episode.step
    holder = silence.holder_of(alert.patient, now_s) if step is Step.FIRST_CARER else ""
    return AlarmEvent(
        AlarmAct.ESCALATED,
        alert.patient,
        now_s,
        f"nobody has answered {alert.rule} for {episode.waited_s:.0f} s: "
        f"{holder or _WHO[step]} is told",
        priority=alert.priority,
        alert_id=alert.id,
        step=step,
        to=holder,
    )
