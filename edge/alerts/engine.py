"""All alerts of a box: what stands, what was silenced, who has the watch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from edge.alerts.answer import Answer, AnswerError, adds
from edge.alerts.carrying import carry, tell_again
from edge.alerts.episode import Episode, begin, follow, move, plain, repeat, say
from edge.alerts.ids import alert_id
from edge.alerts.settings import AlertSettings
from edge.alerts.signals import signal_of
from edge.alerts.silence import Silence
from edge.live import MuteLive, Signal, WatchLive
from edge.records import AlarmEvent, Alert, AlertState, Category, Finding, Kind, Priority, Step

N_ENDED_KEPT = 64
"""Ids of ended alerts that are remembered, to tell a late answer from a wrong one."""

Key: TypeAlias = tuple[str, str]
"""Patient and rule."""


class AlertRule(msgspec.Struct, frozen=True):
    """What the engine has to know of a rule; a finding may name a priority of its own."""

    kind: Kind
    priority: Priority
    latching: bool
    category: Category = Category.GENERAL


class Restart(msgspec.Struct, frozen=True):
    """That the monitor began again: how the times in a kept state are to be read.

    Attributes
    ----------
    now_s, kept_s : float
        The boot clock now, and when the state was kept.
    same_boot : bool
        Both are of the same boot.
    away_s : float | None
        How long ago the state was kept, where it was another boot; None: nobody knows.
    """

    now_s: float
    kept_s: float
    same_boot: bool
    away_s: float | None = None


class _State(msgspec.Struct):
    """All the engine remembers."""

    standing: list[Episode]
    numbers: list[tuple[str, str, int]]
    ended: list[str]
    silence: Silence
    now_s: float | None


class AlertEngine:
    """Makes alerts of findings and answers.

    Parameters
    ----------
    run_id : str
        Names the run; part of every alert's id, so that two runs never share one.
    rules : Mapping[str, AlertRule]
        By name.
    settings : AlertSettings
        The times.
    """

    def __init__(
        self, run_id: str, rules: Mapping[str, AlertRule], settings: AlertSettings | None = None
    ) -> None:
        self._run_id = run_id
        self._rules = dict(rules)
        self._settings = settings or AlertSettings()
        self._standing: dict[Key, Episode] = {}
        self._numbers: dict[Key, int] = {}
        self._ended: list[str] = []
        self._silence = Silence()
        self._now_s: float | None = None

    def step(self, findings: Sequence[Finding], now_s: float) -> list[Alert]:
        """Take what the rules said and return the alerts that changed, in a fixed order.

        Parameters
        ----------
        findings : Sequence[Finding]
            In the order in which they came to be; rules that said nothing are left alone.
        now_s : float
            The moment of the step; becomes ``at_s`` of the records.

        Raises
        ------
        ValueError
            A finding says True for a rule the engine does not know.
        """
        changed: list[Alert] = []
        standing = self._standing
        for finding in findings:
            episode = standing.get((finding.patient, finding.rule)) if standing else None
            if episode is not None:
                changed += self._follow(episode, finding, now_s)
            elif finding.present:
                changed.append(self._raise(finding, now_s))
        for episode in standing.values():
            said = repeat(episode, now_s, self._settings)
            if said is not None:
                changed.append(said)
        return changed

    def elapse(self, now_s: float) -> list[AlarmEvent]:
        """Let time pass: pauses and watches end, unanswered alerts are carried further.

        To be called after each `step`. Between calls `signal` is right all the same.
        """
        passed_s = 0.0 if self._now_s is None else max(0.0, now_s - self._now_s)
        self._now_s = now_s
        events = self._silence.elapse(now_s)
        episodes = self._standing.values()
        return events + carry(episodes, self._silence, passed_s, now_s, self._settings)

    def answer(self, answer: Answer, now_s: float) -> list[Alert | AlarmEvent]:
        """Take what a person said and return what changed.

        A second acknowledgement of the same alert changes nothing, unless it says more (handled,
        a false alarm) or comes from a carer after the patient's own. A latched alert is over
        once it was seen: it is acknowledged and ended in one go.

        Raises
        ------
        AnswerError
            It cannot be followed: no such alert stands.
        """
        if answer.action == "acknowledge":
            return list(self._acknowledge(self._answered(answer), answer, now_s))
        loudest = self.signal(now_s, answer.patient).priority
        changed = self._silence.take(answer, loudest, now_s, self._settings)
        if answer.action == "hand_off":
            changed += self._tell_the_next(answer, now_s)
        return list(changed)

    def check(self, answer: Answer) -> None:
        """Raise `AnswerError` where `answer` would; change nothing."""
        if answer.action == "acknowledge":
            self._answered(answer)
        else:
            self._silence.check(answer)

    def standing(self) -> tuple[Alert, ...]:
        """Return the alerts that have not ended: highest priority first, then the oldest."""
        alerts = (episode.alert for episode in self._standing.values())
        return tuple(sorted(alerts, key=lambda a: (-a.priority.rank, a.since_s, a.episode)))

    def signal(self, now_s: float, patient: str = "") -> Signal:
        """Return what should be heard and seen, of one patient or (empty) at the whole box."""
        return signal_of(
            (e for e in self._standing.values() if patient in ("", e.alert.patient)),
            self._silence.mutes_of(patient),
            now_s,
            self._settings,
            self._category_of,
        )

    def mutes(self, now_s: float) -> tuple[MuteLive, ...]:
        """Return the pauses in force and what is off, for the screen."""
        return self._silence.mutes_live(now_s)

    def watches(self, now_s: float) -> tuple[WatchLive, ...]:
        """Return who has the watch."""
        return self._silence.watches_live(now_s)

    def carried(self) -> dict[str, Step]:
        """Return how far each standing alert was carried, by its id."""
        return {episode.alert.id: episode.step for episode in self._standing.values()}

    def state(self) -> bytes:
        """Return all the engine remembers, for `restore`."""
        numbers = [(patient, rule, n) for (patient, rule), n in self._numbers.items()]
        standing = [*self._standing.values()]
        return msgspec.msgpack.encode(
            _State(standing, numbers, self._ended, self._silence, self._now_s)
        )

    def restore(self, state: bytes, restart: Restart | None = None) -> list[AlarmEvent]:
        """Continue where an engine was when it gave `state`; return what ended meanwhile.

        A standing alert of a rule that is not known any more stays until it is answered.

        Parameters
        ----------
        state : bytes
            From `state`.
        restart : Restart | None
            None: the times are this clock's, and nothing was missed: the future is the same,
            byte for byte. Otherwise the monitor was away, and every standing alert says that
            nothing has told of its condition since. Pauses go on where it is known how long it
            was away, and are over where it is not.

        Raises
        ------
        ValueError
            The bytes are no state of an engine.
        """
        try:
            kept = msgspec.msgpack.decode(state, type=_State)
        except msgspec.DecodeError as error:
            raise ValueError(
                f"alerts: the stored alert state cannot be read ({error}); start without it: "
                "conditions that still hold are raised again"
            ) from error
        self._standing = {(e.alert.patient, e.alert.rule): e for e in kept.standing}
        self._numbers = {(patient, rule): n for patient, rule, n in kept.numbers}
        self._ended = kept.ended
        self._silence = kept.silence
        self._now_s = kept.now_s
        return [] if restart is None else self._move(restart)

    def know(self, name: str, rule: AlertRule) -> None:
        """Take findings of one more rule: it has been switched on."""
        self._rules.setdefault(name, rule)

    def begin_patient(self, answer: Answer, now_s: float) -> list[Alert | AlarmEvent]:
        """End what stood of the one who lay here before: alerts, answers and pauses.

        What holds for the new patient as well is raised again; `answer` is a ``resume`` of
        whoever says that somebody else lies here.
        """
        ended: list[Alert | AlarmEvent] = []
        for episode in [*self._standing.values()]:
            if episode.alert.patient == answer.patient:
                episode.reason = f"over, a new patient lies here: {episode.reason}"
                ended.append(say(episode, AlertState.ENDED, now_s, self._settings))
                self._forget(episode.alert)
        if self._silence.mutes_of(answer.patient):
            ended += self._silence.take(answer, None, now_s, self._settings)
        return ended

    def _move(self, restart: Restart) -> list[AlarmEvent]:
        now_s = restart.now_s
        away_s = restart.away_s
        known = restart.same_boot or (away_s is not None and away_s >= 0.0)
        by_s = 0.0
        if not restart.same_boot:
            # What nobody knows is taken for no time at all: alerts stand for at least as long.
            by_s = now_s - (away_s if known and away_s else 0.0) - restart.kept_s
        for episode in self._standing.values():
            move(episode, by_s, now_s, known=known)
        if not restart.same_boot:
            # A process that keeps dying still carries its alerts on, step by step; after a box
            # was off for a night nobody is called for what stood the evening before.
            self._now_s = now_s
        return self._silence.move(by_s, now_s, known=known)

    def _raise(self, finding: Finding, now_s: float) -> Alert:
        key = (finding.patient, finding.rule)
        rule = self._rules.get(finding.rule)
        if rule is None:
            raise ValueError(
                f"alerts: a finding of the unknown rule {finding.rule!r}; hand the engine every "
                f"rule the pipeline steps (it knows {', '.join(sorted(self._rules))})"
            )
        number = self._numbers.get(key, 0) + 1
        alert = Alert(
            id=alert_id(self._run_id, finding.patient, finding.rule, number),
            patient=finding.patient,
            episode=f"{finding.patient}/{finding.rule}/{number}",
            rule=finding.rule,
            kind=rule.kind,
            priority=finding.priority or rule.priority,
            state=AlertState.RAISED,
            since_s=finding.at_s,
            at_s=now_s,
            reason=finding.reason,
            evidence=plain(finding.evidence),
        )
        self._numbers[key] = number
        self._standing[key] = begin(alert, finding, now_s, self._settings)
        return alert

    def _follow(self, episode: Episode, finding: Finding, now_s: float) -> list[Alert]:
        rule = self._rules.get(finding.rule)
        latching = rule is not None and rule.latching
        priority = finding.priority or (episode.alert if rule is None else rule).priority
        said = follow(episode, finding, now_s, self._settings, priority, latching=latching)
        if said is None:
            return []
        if said.state is not AlertState.ENDED:
            return [said]
        self._forget(said)
        return [said, self._raise(finding, now_s)] if finding.present else [said]

    def _answered(self, answer: Answer) -> Episode:
        for episode in self._standing.values():
            if episode.alert.id == answer.alert_id:
                return episode
        if answer.alert_id in self._ended:
            raise AnswerError(
                f"alert {answer.alert_id} has already ended; there is nothing to acknowledge"
            )
        raise AnswerError(
            f"no alert {answer.alert_id!r} stands; take the id from the list of standing alerts"
        )

    def _acknowledge(self, episode: Episode, answer: Answer, now_s: float) -> Iterable[Alert]:
        alert = episode.alert
        episode.seen_s = now_s
        if alert.state is AlertState.ACKNOWLEDGED and not adds(alert, answer):
            return
        over = alert.state is AlertState.LATCHED or alert.rule not in self._rules
        episode.alert = msgspec.structs.replace(
            alert, answered_by=answer.by, role=answer.role, meaning=answer.meaning
        )
        yield say(episode, AlertState.ACKNOWLEDGED, now_s, self._settings)
        if over:
            yield say(episode, AlertState.ENDED, now_s, self._settings)
            self._forget(alert)

    def _tell_the_next(self, answer: Answer, now_s: float) -> list[AlarmEvent]:
        """Carry what waits to who has the watch now, where a carer had been told before."""
        standing = self._standing.values()
        return tell_again(standing, self._silence, answer.patient, now_s)

    def _category_of(self, alert: Alert) -> Category:
        rule = self._rules.get(alert.rule)
        return Category.GENERAL if rule is None else rule.category

    def _forget(self, alert: Alert) -> None:
        del self._standing[(alert.patient, alert.rule)]
        self._ended = [*self._ended, alert.id][-N_ENDED_KEPT:]
