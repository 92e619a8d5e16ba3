"""What the rules were asked and the alerts were told, kept small, to be asked again.

Signals, beats and windows do not depend on any limit: only rules and alerts do. Whoever has kept
what the rules saw of a night can therefore ask them again under other limits, in seconds instead
of minutes, and gets the very alerts that a replay of the packets under these limits gives
(`tests/edge/test_past.py` compares them byte for byte).

    Pipeline.witness = Past()   keeps it while packets are replayed
    Refold                      asks again
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

import msgspec

from edge.alarms import Rule
from edge.alerts import Answer, AnswerError, alert_id
from edge.events import BEGUN_LIMITS, LIMIT, BegunLimits, Limits
from edge.pipeline.alarms import Alarms
from edge.pipeline.limits import alert_rule, begin_with, take_limits
from edge.pipeline.rules import PatientRules
from edge.pipeline.settings import ANSWER, START, PipelineSettings, Start
from edge.pipeline.watched import Stages
from edge.pipeline.words import answered_here
from edge.records import (
    AlarmEvent,
    Alert,
    Features,
    Finding,
    LimitAct,
    Packet,
    Score,
    SettingChange,
)

JUDGED: Final = frozenset({ANSWER, START, LIMIT, BEGUN_LIMITS})
"""Packets that go to rules and alerts without a way through the signals."""
BLOCK_S: Final = 600
"""Seconds, and ticks between them at which something was asked, that are packed together."""
N_IDS: Final = 1000
"""Episodes of one rule whose ids are known beforehand, to find what an answer was given to."""


class Witness(Protocol):
    """Is told all that rules and alerts are made of."""

    def told(self, packet: Packet, tick_s: float) -> None:
        """Take one of `JUDGED`."""
        ...

    def asked(
        self, every_s: float, seen: Features, score: Score | None, had: AbstractSet[str]
    ) -> None:
        """Take what the rules of one cadence are about to see."""
        ...

    def passed(self, now_s: float) -> None:
        """Take that a second is over."""
        ...


class Layout(msgspec.Struct, frozen=True, array_like=True):
    """What stays the same from second to second: whose numbers they are, and their names."""

    patient: str
    every_s: float
    length_s: float
    names: tuple[str, ...]
    had: frozenset[str]


class Asked(msgspec.Struct, array_like=True):
    """The rules of one cadence were asked; `layout` is the number of its `Layout`."""

    layout: int
    start_s: float
    values: list[float]
    score: Score | None = None


class Told(msgspec.Struct, array_like=True):
    """A packet of `JUDGED` was taken at a tick."""

    tick_s: float
    stream: str
    payload: bytes


class Second(msgspec.Struct, array_like=True):
    """One second: first what was told in its ticks, then what was asked at its end."""

    now_s: float
    told: list[Told]
    asked: list[Asked]


class Past:
    """A witness that keeps everything: about 150 bytes a second for one patient with an ECG."""

    def __init__(self) -> None:
        self.layouts: list[Layout] = []
        self.n_seconds = 0
        self._n_layout: dict[tuple[str, float], int] = {}
        self._blocks: list[bytes] = []
        self._open: list[Second] = []
        self._told: list[Told] = []
        self._asked: list[Asked] = []

    def told(self, packet: Packet, tick_s: float) -> None:
        """Take one of `JUDGED`."""
        self._told.append(Told(tick_s, packet.stream, packet.payload))

    def asked(
        self, every_s: float, seen: Features, score: Score | None, had: AbstractSet[str]
    ) -> None:
        """Take what the rules of one cadence are about to see."""
        n = self._n_layout.get((seen.patient, every_s), -1)
        layout = self.layouts[n] if n >= 0 else None
        if layout is None or len(layout.had) != len(had) or layout.names != tuple(seen.values):
            n = self._n_layout[seen.patient, every_s] = len(self.layouts)
            names = tuple(seen.values)
            self.layouts.append(Layout(seen.patient, every_s, seen.length_s, names, frozenset(had)))
        self._asked.append(Asked(n, seen.start_s, list(seen.values.values()), score))

    def passed(self, now_s: float) -> None:
        """Take that a second is over."""
        self._open.append(Second(now_s, self._told, self._asked))
        self._told, self._asked = [], []
        self.n_seconds += 1
        if len(self._open) >= BLOCK_S:
            self._blocks.append(zlib.compress(msgspec.msgpack.encode(self._open), 1))
            self._open = []

    @property
    def n_bytes(self) -> int:
        """Size of what is packed."""
        return sum(map(len, self._blocks))

    def __iter__(self) -> Iterator[Second]:
        for block in self._blocks:
            yield from _SECONDS.decode(zlib.decompress(block))
        yield from self._open


_SECONDS: Final = msgspec.msgpack.Decoder(list[Second])


class Refold:
    """Asks the rules again what they were asked in the past, under settings of its own.

    Answers are followed as they were given. An acknowledgement goes to the alert of the same rule
    and patient that stands then; where none stands it is passed over and counted.

    Parameters
    ----------
    settings : PipelineSettings
        The limits.
    rules : Sequence[Rule]
        The rules that are asked; leaving some out changes nothing in the alerts of the others.
    run_id : str
        As the replay had it; a ``box:start`` names another.
    fixed : bool
        The limits are these all the time; False: changes that lie in the past are followed.
    """

    def __init__(
        self, settings: PipelineSettings, rules: Sequence[Rule], run_id: str, *, fixed: bool
    ) -> None:
        self._stages = Stages.of((), rules, None, settings)
        facts = {rule.name: alert_rule(rule, told) for rule, told in self._stages.rules}
        self.alarms = Alarms(facts, settings.alerts, run_id)
        self._rules: dict[str, PatientRules] = {}
        self._names = [rule.name for rule in rules]
        self._fixed = fixed
        self._run_id = run_id
        self._begun: dict[str, tuple[str, str]] = {}
        self._ids: dict[str, dict[str, tuple[str, str]]] = {}
        self.n_passed_over = 0
        """Acknowledgements of alerts that do not stand here."""

    def advance(
        self, second: Second, layouts: Sequence[Layout]
    ) -> list[Alert | AlarmEvent | SettingChange]:
        """Live through one second of the past and return what it made."""
        out: list[Alert | AlarmEvent | SettingChange] = []
        for told in second.told:
            try:
                out += _TAKE[told.stream](self, told)
            except AnswerError:
                self.n_passed_over += 1
            except ValueError:
                continue  # as the pipeline does: it could not be followed then either
        findings: list[Finding] = []
        for asked in second.asked:
            layout = layouts[asked.layout]
            known = dict(zip(layout.names, asked.values, strict=True))
            values = answered_here(layout.patient, known, self.alarms)
            seen = Features(layout.patient, asked.start_s, layout.length_s, values)
            rules = self._rules_of(layout.patient)
            findings += rules.ask(layout.every_s, seen, asked.score, layout.had)
        out += self.alarms.step(findings, second.now_s)
        return out

    def _rules_of(self, patient: str) -> PatientRules:
        rules = self._rules.get(patient)
        if rules is None:
            rules = self._rules[patient] = self._stages.rules_of(patient)
        return rules

    def _start(self, told: Told) -> Sequence[AlarmEvent]:
        start = msgspec.json.decode(told.payload, type=Start)
        events = self.alarms.begin(start, told.tick_s)
        self._run_id = start.run_id
        self._begun |= {a.id: (a.patient, a.rule) for a in self.alarms.standing()}
        return events

    def _answer(self, told: Told) -> Sequence[Alert | AlarmEvent]:
        answer = msgspec.json.decode(told.payload, type=Answer)
        if answer.alert_id:
            answer = msgspec.structs.replace(answer, alert_id=self._meant(answer.alert_id))
        return self.alarms.answer(answer, told.tick_s)

    def _meant(self, given: str) -> str:
        """Return the id of what stands here of the rule and patient an id was of."""
        key = self._begun.get(given)
        for patient in self._rules:
            if key is not None:
                break
            key = self._ids_of(patient).get(given)
        for alert in self.alarms.standing():
            if (alert.patient, alert.rule) == key:
                return alert.id
        return given

    def _ids_of(self, patient: str) -> dict[str, tuple[str, str]]:
        of = f"{self._run_id}/{patient}"
        if of not in self._ids:
            self._ids[of] = {
                alert_id(self._run_id, patient, name, n): (patient, name)
                for name in self._names
                for n in range(1, N_IDS)
            }
        return self._ids[of]

    def _limits(self, told: Told) -> Sequence[Alert | AlarmEvent | SettingChange]:
        limits = msgspec.json.decode(told.payload, type=Limits)
        if self._fixed:
            if limits.act is not LimitAct.NEW_PATIENT:
                return []
            limits = msgspec.structs.replace(limits, rules={})
        return take_limits(limits, self._rules_of(limits.patient), self.alarms, told.tick_s)

    def _begun_limits(self, told: Told) -> Sequence[Alert]:
        begun = msgspec.json.decode(told.payload, type=BegunLimits)
        if not self._fixed:
            begin_with(begun, self._rules_of(begun.patient), self.alarms)
        return []


_Taken = Sequence[Alert | AlarmEvent | SettingChange]
_TAKE: Final[dict[str, Callable[[Refold, Told], _Taken]]] = {
    START: Refold._start,  # noqa: SLF001
    ANSWER: Refold._answer,  # noqa: SLF001
    BEGUN_LIMITS: Refold._begun_limits,  # noqa: SLF001
    LIMIT: Refold._limits,  # noqa: SLF001
}
