"""The life of one alert: what a finding, an answer or the mere passing of time makes of it.

`edge.alerts` keeps the standing ones and tells the story; here is one of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from edge.alerts.settings import AlertSettings
from edge.records import Alert, AlertState, Finding, Kind, Priority, Step

_THERE = -1.0


class Episode(msgspec.Struct):
    """One standing alert and what decides about its next state.

    Attributes
    ----------
    alert : Alert
        Its last record; `said_s` is when that was made and `said_unsure` whether it says that
        the data cannot tell.
    told_s, present : float, bool | None
        When the last finding came and what it said.
    reason, evidence : str, dict[str, float]
        Of the last finding that said True.
    named : dict[str, float]
        Names in the evidence -> how long they were seen to be gone; -1 when they are there.
    over_for_s : float
        How long the condition was seen to be absent.
    unsure_since_s, blind : float | None, str
        Since when the data cannot tell, and the rule's reason for it.
    sounds_since_s : float
        When it began to ask for an answer: at its beginning, and when its priority rose after
        one.
    lesser, lesser_for_s : Priority | None, float
        The highest priority of the findings since it was last found at its own, and for how
        long that was seen.
    waited_s, step : float, Step
        For how long nobody has answered it while nothing was paused, and whom that has reached.
    seen_s : float
        When a finding last said True or False, or a person answered; minus infinity: nobody
        knows.
    """

    alert: Alert
    said_s: float
    told_s: float
    present: bool | None
    reason: str
    evidence: dict[str, float]
    named: dict[str, float]
    said_unsure: bool = False
    over_for_s: float = 0.0
    unsure_since_s: float | None = None
    blind: str = ""
    sounds_since_s: float = 0.0
    lesser: Priority | None = None
    lesser_for_s: float = 0.0
    waited_s: float = 0.0
    step: Step = Step.BOX
    seen_s: float = -math.inf


def begin(alert: Alert, finding: Finding, now_s: float, settings: AlertSettings) -> Episode:
    """Return the episode that begins with `alert`, just raised."""
    return Episode(
        alert=alert,
        said_s=now_s,
        told_s=now_s,
        present=True,
        reason=finding.reason,
        evidence=plain(finding.evidence),
        named=dict.fromkeys(finding.evidence, _THERE),
        sounds_since_s=now_s,
        seen_s=now_s,
        step=settings.first_step(alert.priority),
    )


def follow(
    episode: Episode,
    finding: Finding,
    now_s: float,
    settings: AlertSettings,
    priority: Priority,
    *,
    latching: bool,
) -> Alert | None:
    """Take one finding about the alert; return its new record where there is one.

    `priority` is that of the finding; it counts only where the condition is present.
    """
    if finding.present is None:
        said = _cannot_tell(episode, finding, now_s, settings)
    elif finding.present:
        said = _still_there(episode, finding, now_s, settings, priority)
    else:
        said = _not_there(episode, now_s, settings, latching=latching)
    episode.present = finding.present
    episode.told_s = now_s
    if finding.present is not None:
        episode.seen_s = now_s
    return said


def repeat(episode: Episode, now_s: float, settings: AlertSettings) -> Alert | None:
    """Say an alert again that nobody has answered for ``reraise_s``."""
    state = episode.alert.state
    # A boot clock that went back: the box was started again, and nobody has heard it since.
    waits = 0.0 <= now_s - episode.said_s < settings.reraise_s
    if waits or state is AlertState.ACKNOWLEDGED:
        return None
    return say(
        episode, state if state is AlertState.LATCHED else AlertState.ACTIVE, now_s, settings
    )


def say(episode: Episode, state: AlertState, now_s: float, settings: AlertSettings) -> Alert:
    """Make and return the next record of an alert, with the newest reason."""
    reason = episode.reason
    since_s = episode.unsure_since_s
    unsure = since_s is not None and now_s - since_s >= settings.unsure_s
    if state is AlertState.LATCHED:
        reason = f"over, nobody has answered yet: {reason}"
    elif since_s is not None and unsure:
        reason = f"{reason}; cannot tell for {now_s - since_s:.0f} s: {episode.blind}"
    episode.said_s = now_s
    episode.said_unsure = unsure
    episode.alert = msgspec.structs.replace(
        episode.alert, state=state, at_s=now_s, reason=reason, evidence=dict(episode.evidence)
    )
    return episode.alert


def move(episode: Episode, by_s: float, now_s: float, *, known: bool) -> None:
    """Put the times of an alert on the clock of another boot, and forget what was seen last.

    Nothing has told of its condition since: it is as if the data could not tell, and `known`
    whether it can be said for how long.
    """
    alert = episode.alert
    episode.alert = msgspec.structs.replace(
        alert, since_s=alert.since_s + by_s, at_s=alert.at_s + by_s
    )
    episode.said_s += by_s
    episode.sounds_since_s += by_s
    episode.told_s = now_s
    episode.seen_s = episode.seen_s + by_s if known else -math.inf
    episode.present = None
    if episode.unsure_since_s is not None:
        episode.unsure_since_s += by_s
    else:
        episode.unsure_since_s, episode.blind = now_s, "nothing heard since the monitor began again"


def plain(evidence: Mapping[str, float]) -> dict[str, float]:
    """Return a copy in plain floats: a number of numpy could not be kept in the state."""
    return {name: float(value) for name, value in evidence.items()}


def _still_there(
    episode: Episode,
    finding: Finding,
    now_s: float,
    settings: AlertSettings,
    priority: Priority,
) -> Alert | None:
    more, fewer = _compare_names(episode, finding, now_s, settings)
    alert = episode.alert
    episode.over_for_s = 0.0
    episode.unsure_since_s = None
    quiet = alert.state is AlertState.ACKNOWLEDGED
    if more and quiet and alert.kind is Kind.TECHNICAL:
        # Another fault: what was answered ends here, with its own reason, and the next begins.
        return say(episode, AlertState.ENDED, now_s, settings)
    episode.reason = finding.reason
    episode.evidence = plain(finding.evidence)
    # Of equipment each name is a fault of its own. Of a patient the names only tell why, and a
    # reason that shifts from window to window is no news.
    changed = alert.kind is Kind.TECHNICAL and (more or fewer)
    if priority.rank > alert.priority.rank:
        _rise(episode, priority, now_s, settings)
        quiet, changed = False, True
    else:
        changed = _has_eased(episode, priority, now_s, settings) or changed
        if quiet and _has_outlived(episode, now_s, settings):
            _ask_anew(episode, now_s, settings)
            quiet, changed = False, True
    if changed or episode.said_unsure or alert.state is AlertState.LATCHED:
        return say(episode, alert.state if quiet else AlertState.ACTIVE, now_s, settings)
    return None


def _rise(episode: Episode, priority: Priority, now_s: float, settings: AlertSettings) -> None:
    """Make the alert more urgent; an answer was given for less, and counts no more."""
    episode.lesser, episode.lesser_for_s = None, 0.0
    episode.alert = msgspec.structs.replace(episode.alert, priority=priority)
    if episode.alert.answered_by:
        _ask_anew(episode, now_s, settings)


def _ask_anew(episode: Episode, now_s: float, settings: AlertSettings) -> None:
    """Let an alert ask for an answer as if it had had none."""
    alert = episode.alert
    episode.alert = msgspec.structs.replace(
        alert, answered_by="", role=msgspec.UNSET, meaning=msgspec.UNSET
    )
    episode.sounds_since_s = now_s
    episode.waited_s, episode.step = 0.0, settings.first_step(alert.priority)


def _has_outlived(episode: Episode, now_s: float, settings: AlertSettings) -> bool:
    """Return whether the condition was out of sight for longer than an answer may stand.

    Who said "seen" of the evening's saturation has not seen that of the morning, when the sensor
    is put on again.
    """
    # A boot clock that went back does not tell how long it was.
    return not 0.0 <= now_s - episode.seen_s <= settings.answer_s


def _has_eased(episode: Episode, priority: Priority, now_s: float, settings: AlertSettings) -> bool:
    """Return whether the alert has become less urgent; for that it was seen so for ``clear_s``."""
    if priority is episode.alert.priority:
        episode.lesser, episode.lesser_for_s = None, 0.0
        return False
    lesser = episode.lesser
    if lesser is not None and episode.present:
        episode.lesser_for_s += max(0.0, now_s - episode.told_s)
    if lesser is None or priority.rank > lesser.rank:
        episode.lesser = lesser = priority
    if episode.lesser_for_s < settings.clear_s:
        return False
    episode.lesser, episode.lesser_for_s = None, 0.0
    episode.alert = msgspec.structs.replace(episode.alert, priority=lesser)
    return True


def _compare_names(
    episode: Episode, finding: Finding, now_s: float, settings: AlertSettings
) -> tuple[bool, bool]:
    """Return whether the evidence has names that are new, and lost some for good."""
    named = episode.named
    # Only time between two findings that said True counts: nothing is gone unseen.
    passed_s = max(0.0, now_s - episode.told_s) if episode.present else 0.0
    more = any(name not in named for name in finding.evidence)
    fewer = False
    for name, gone_for_s in list(named.items()):
        if name in finding.evidence:
            continue
        named[name] = 0.0 if gone_for_s == _THERE else gone_for_s + passed_s
        if named[name] >= settings.clear_s:
            del named[name]
            fewer = True
    named.update(dict.fromkeys(finding.evidence, _THERE))
    return more, fewer


def _not_there(
    episode: Episode, now_s: float, settings: AlertSettings, *, latching: bool
) -> Alert | None:
    episode.unsure_since_s = None
    if episode.present is False:
        # A boot clock that went back does not tell how long it was.
        episode.over_for_s += max(0.0, now_s - episode.told_s)
    alert = episode.alert
    if episode.over_for_s < settings.clear_s or alert.state is AlertState.LATCHED:
        return None
    unseen = latching and not alert.answered_by
    return say(episode, AlertState.LATCHED if unseen else AlertState.ENDED, now_s, settings)


def _cannot_tell(
    episode: Episode, finding: Finding, now_s: float, settings: AlertSettings
) -> Alert | None:
    since_s = episode.unsure_since_s
    if since_s is None or now_s < since_s:
        since_s = episode.unsure_since_s = now_s
    episode.blind = finding.reason
    state = episode.alert.state
    unsure = now_s - since_s >= settings.unsure_s
    if not unsure or episode.said_unsure or state is AlertState.LATCHED:
        return None
    quiet = state is AlertState.ACKNOWLEDGED
    return say(episode, state if quiet else AlertState.ACTIVE, now_s, settings)
