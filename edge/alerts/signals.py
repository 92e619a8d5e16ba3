"""What should be heard and seen now: derived from what stands and what is muted, never kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from edge.alerts.answer import settles
from edge.alerts.episode import Episode
from edge.alerts.mutes import Mute
from edge.alerts.settings import AlertSettings
from edge.live import Signal
from edge.records import AlarmAct, Alert, AlertState, Category, Priority, Step

_QUIET = frozenset({AlertState.ACKNOWLEDGED, AlertState.ENDED})


def signal_of(
    episodes: Iterable[Episode],
    mutes: Collection[Mute],
    now_s: float,
    settings: AlertSettings,
    category_of: Callable[[Alert], Category],
) -> Signal:
    """Return what should be heard and seen.

    Parameters
    ----------
    episodes : Iterable[Episode]
        What stands.
    mutes : Collection[Mute]
        What was silenced; those that have ended by themselves are passed over.
    """
    in_force = [mute for mute in mutes if mute.holds(now_s)]
    by_rank = sorted(
        (episode for episode in episodes if episode.alert.priority.rank > 0), key=_urgency
    )
    seen = [e for e in by_rank if not _covered(e.alert, in_force, now_s, light=True)]
    waiting = [e for e in by_rank if e.alert.state not in _QUIET]
    heard = [
        e for e in waiting if not _covered(e.alert, in_force, now_s) and _due(e, now_s, settings)
    ]
    first = next(iter(heard or waiting or by_rank), None)
    speaking = next(iter(heard or waiting), None)
    carried = [e.step for e in episodes_that_wait(by_rank)]
    return Signal(
        priority=None if speaking is None else speaking.alert.priority,
        category=Category.GENERAL if first is None else category_of(first.alert),
        audible=bool(heard),
        reminder=any(mute.act is AlarmAct.AUDIO_OFF for mute in in_force),
        visual=seen[0].alert.priority if seen else None,
        audio_paused_until_s=_latest(in_force, AlarmAct.AUDIO_PAUSED),
        alarms_paused_until_s=_latest(in_force, AlarmAct.ALARMS_PAUSED),
        off_upto=_highest(in_force),
        step=max(carried, key=lambda step: step.rank, default=Step.BOX),
        patient="" if first is None else first.alert.patient,
        alert_id="" if first is None else first.alert.id,
        n_waiting=len(waiting),
    )


def episodes_that_wait(episodes: Iterable[Episode]) -> Iterable[Episode]:
    """Return those that nobody who can help has answered, information left out."""
    for episode in episodes:
        alert = episode.alert
        answered = alert.state in _QUIET and settles(alert.role, alert.priority)
        if alert.priority.rank > 0 and not answered:
            yield episode


def _urgency(episode: Episode) -> tuple[int, float, str]:
    alert = episode.alert
    return (-alert.priority.rank, alert.since_s, alert.episode)


def _due(episode: Episode, now_s: float, settings: AlertSettings) -> bool:
    """Return whether the delay of the signal has passed; high priority has none."""
    if episode.alert.priority is Priority.HIGH:
        return True
    # A boot clock that went back does not delay anything.
    return not 0.0 <= now_s - episode.sounds_since_s < settings.signal_delay_s


def _covered(alert: Alert, mutes: Iterable[Mute], now_s: float, *, light: bool = False) -> bool:
    return any(
        mute.covers(alert, now_s)
        for mute in mutes
        if not light or mute.act is AlarmAct.ALARMS_PAUSED
    )


def _latest(mutes: Iterable[Mute], act: AlarmAct) -> float | None:
    ends = [m.until_s for m in mutes if m.act is act and m.until_s is not None]
    return max(ends, default=None)


def _highest(mutes: Iterable[Mute]) -> Priority | None:
    off = [mute.upto for mute in mutes if mute.act is AlarmAct.AUDIO_OFF]
    return max(off, key=lambda priority: priority.rank, default=None)
