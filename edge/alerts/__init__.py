"""Findings -> Alert: raise, re-raise, acknowledge, latch, end.

A pure engine without a clock: what happens depends on the findings, the answers and the times
handed in, so a replay of the same night gives the same alerts, byte for byte.

One alert is one episode of one rule for one patient. Its life (terms of IEC 60601-1-8):

- **raised** when a finding says True; then **active** with every update: the reason has changed
  in substance, nobody has answered for ``reraise_s``, or the condition is back.
- **acknowledged** by a person: stays quiet until the condition is over. A new episode sounds.
- **latched**: the condition is over, the rule is latching and nobody has answered yet.
- **ended**: the condition was seen to be over for ``clear_s``, and a latching alert was answered.

Findings carry what decided in their evidence, by name; a number that moves is no news, or a
falling SpO2 would write a record every second. For equipment each name is a fault of its own: a
new one, or one gone for ``clear_s``, changes the substance of the reason, and a new one while the
alert is acknowledged ends that episode and raises the next: having answered for the oximeter must
not hide the ECG (hazard H6). For a patient the names only tell why.

None never ends an alert and never begins one. While the data cannot tell, the count towards the
end stands still, and after ``unsure_s`` the alert says so in its reason.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import msgspec

from edge.alerts.episode import AlertSettings, Episode, begin, follow, plain, repeat, say
from edge.records import Alert, AlertState, Finding, Kind, Priority

__all__ = [
    "N_ENDED_KEPT",
    "AlertEngine",
    "AlertRule",
    "AlertSettings",
    "Answer",
    "AnswerError",
    "alert_id",
]

N_ENDED_KEPT = 64
"""Ids of ended alerts that are remembered, to tell a late answer from a wrong one."""

Key: TypeAlias = tuple[str, str]
"""Patient and rule."""


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person said to an alert; the payload of a packet of the stream ``person:answer``."""

    action: Literal["acknowledge"]
    alert_id: str
    by: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class AnswerError(ValueError):
    """An answer that fits no standing alert; the text says why and what to do."""


class AlertRule(msgspec.Struct, frozen=True):
    """What the engine has to know of a rule."""

    kind: Kind
    priority: Priority
    latching: bool


class _State(msgspec.Struct):
    """All the engine remembers."""

    standing: list[Episode]
    numbers: list[tuple[str, str, int]]
    ended: list[str]


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

    def answer(self, answer: Answer, now_s: float) -> list[Alert]:
        """Take what a person said and return the alerts that changed.

        A second acknowledgement of the same alert changes nothing. A latched alert is over once
        it was seen: it is acknowledged and ended in one go.

        Raises
        ------
        AnswerError
            No alert with this id stands.
        """
        for episode in self._standing.values():
            if episode.alert.id == answer.alert_id:
                return self._acknowledge(episode, answer.by, now_s)
        if answer.alert_id in self._ended:
            raise AnswerError(
                f"alert {answer.alert_id} has already ended; there is nothing to acknowledge"
            )
        raise AnswerError(
            f"no alert {answer.alert_id!r} stands; take the id from the list of standing alerts"
        )

    def standing(self) -> tuple[Alert, ...]:
        """Return the alerts that have not ended: highest priority first, then the oldest."""
        alerts = (episode.alert for episode in self._standing.values())
        return tuple(sorted(alerts, key=lambda a: (-a.priority.rank, a.since_s, a.episode)))

    def state(self) -> bytes:
        """Return all the engine remembers, for `restore`."""
        numbers = [(patient, rule, n) for (patient, rule), n in self._numbers.items()]
        return msgspec.msgpack.encode(_State([*self._standing.values()], numbers, self._ended))

    def restore(self, state: bytes) -> None:
        """Continue where an engine was when it gave `state`.

        A standing alert of a rule that is not known any more stays until it is answered.

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
            priority=rule.priority,
            state=AlertState.RAISED,
            since_s=finding.at_s,
            at_s=now_s,
            reason=finding.reason,
            evidence=plain(finding.evidence),
        )
        self._numbers[key] = number
        self._standing[key] = begin(alert, finding, now_s)
        return alert

    def _follow(self, episode: Episode, finding: Finding, now_s: float) -> list[Alert]:
        rule = self._rules.get(finding.rule)
        latching = rule is not None and rule.latching
        said = follow(episode, finding, now_s, self._settings, latching=latching)
        if said is None:
            return []
        if said.state is not AlertState.ENDED:
            return [said]
        self._forget(said)
        return [said, self._raise(finding, now_s)] if finding.present else [said]

    def _acknowledge(self, episode: Episode, by: str, now_s: float) -> list[Alert]:
        alert = episode.alert
        if alert.state is AlertState.ACKNOWLEDGED:
            return []
        over = alert.state is AlertState.LATCHED or alert.rule not in self._rules
        episode.alert = msgspec.structs.replace(alert, answered_by=by)
        said = [say(episode, AlertState.ACKNOWLEDGED, now_s, self._settings)]
        if over:
            said.append(say(episode, AlertState.ENDED, now_s, self._settings))
            self._forget(alert)
        return said

    def _forget(self, alert: Alert) -> None:
        del self._standing[(alert.patient, alert.rule)]
        self._ended = [*self._ended, alert.id][-N_ENDED_KEPT:]


def alert_id(run_id: str, patient: str, rule: str, number: int) -> str:
    """Return the id of an episode: the same for the same run, patient, rule and number.

    A UUID of version 8 (RFC 9562, 5.8) whose bits are a BLAKE2b digest of the four.

    Examples
    --------
    >>> alert_id("run", "p1", "low_spo2", 1)
    '...-8...-...'
    """
    digest = hashlib.blake2b(
        msgspec.json.encode([run_id, patient, rule, number]), digest_size=16
    ).digest()
    bits = int.from_bytes(digest, "big")
    bits = bits & ~(0xF << 76) | 0x8 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))
