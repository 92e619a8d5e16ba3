"""A scenario played whole: the patient, what people do, and a box that dies and begins again.

`edge.readers.simulated` plays the patient and the devices. Here the acts of the scenario join in as
the packets that real people and the real box make of them, and the monitor is killed, or loses its
power, and is started again with what it had kept, as `edge.daemon` would. Each life of the monitor
has a run of its own and, after a power cut, a boot clock of its own.

Deterministic, and without a clock: `Rehearsal.moments` yields a moment every tick; whoever shows it
keeps the pace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final, TypeAlias

import msgspec

from edge.alerts import Answer
from edge.events import BOX, ENTRY, FACTS, LINK, PERSON, Entry, Facts, LinkTold, tell
from edge.pipeline import ANSWER, START, TICK_S, Kept, Pipeline, Start
from edge.readers import ReadError, simulated
from edge.readers._acts import Act, Enters, Killed, LinkIs, PowerCut, Says
from edge.records import AlarmEvent, Alert, Outcome, Packet

BOOTED_S: Final = 12.0
"""What the boot clock shows when the monitor runs after a power cut."""
KEEP_EVERY_S: Final = 60.0
"""As in `edge.daemon`: what stands is kept at once when it changes, else this often."""

Begin: TypeAlias = Callable[[str, float], Pipeline]
"""``begin(run_id, start_s)`` returns a fresh pipeline."""


class Life(msgspec.Struct, frozen=True):
    """One run of the monitor, in the time of the scenario.

    Attributes
    ----------
    run_id : str
        Its name.
    start_s, end_s : float
        From when to when it lives, half open.
    ahead_s : float
        The scenario's time is so far ahead of this life's boot clock.
    """

    run_id: str
    start_s: float
    end_s: float
    ahead_s: float = 0.0


class Moment(msgspec.Struct, frozen=True):
    """One tick.

    Attributes
    ----------
    at_s : float
        Time of the scenario.
    life : Life
        Which run of the monitor; its boot clock shows ``at_s - life.ahead_s``.
    packets : tuple[Packet, ...]
        What it was handed, in its boot clock's time: a log of them replays this life.
    outcome : Outcome
        What it made of them.
    """

    at_s: float
    life: Life
    packets: tuple[Packet, ...]
    outcome: Outcome


class Rehearsal:
    """Plays one scenario from its beginning to its end.

    Parameters
    ----------
    settings : simulated.Settings
        Scenario, devices, seed and length.
    begin : Begin
        Makes the pipeline of each life.
    run_id : str
        Name of the first life; the second is ``<run_id>-2``.
    facts : Facts
        Whose night it is, and what is known of them.

    Attributes
    ----------
    lives : tuple[Life, ...]
        All runs of the monitor there will be.
    pipeline : Pipeline
        The one that lives now.
    passed_over : list[str]
        Answers of the scenario to alerts that did not stand.

    Raises
    ------
    edge.readers.ReadError
        The scenario cannot be read, or an act in it cannot be.
    """

    def __init__(
        self, settings: simulated.Settings, begin: Begin, run_id: str, facts: Facts
    ) -> None:
        scenario = simulated.scenario_of(settings)
        self.title, self.begins = scenario.title, scenario.begins
        self.duration_s = settings.duration_s or scenario.duration_s
        self._begin, self._facts = begin, facts
        acts = sorted(scenario.acts, key=lambda act: act.at_s)
        self.lives = _lives(acts, run_id, self.duration_s)
        self._acts = [act for act in acts if not isinstance(act, Killed | PowerCut)]
        for act in self._acts:
            self._check(act)
        self._sensed = simulated.packets(settings)
        self._said: list[Packet] = []
        self._kept: tuple[bytes, float, float] | None = None
        self.passed_over: list[str] = []
        self.pipeline = begin(run_id, 0.0)

    def clock(self, at_s: float) -> str:
        """Return the time of day at a time of the scenario, which begins at midnight if unsaid."""
        hours, minutes = map(int, (self.begins or "00:00").split(":"))
        second = int(at_s) + 3600 * hours + 60 * minutes
        return f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"

    def say(self, answer: Answer) -> None:
        """Let whoever watches answer, at the next tick."""
        self._said.append(Packet(PERSON, ANSWER, 0.0, msgspec.json.encode(answer)))

    def moments(self) -> Iterator[Moment]:
        """Yield every tick of every life; between two lives there is none."""
        ahead = next(self._sensed, None)
        before: Life | None = None
        for life in self.lives:
            waiting = [*self._first_packets(life, before)]
            self.pipeline = self._begin(life.run_id, life.start_s - life.ahead_s)
            for tick in range(round(life.start_s / TICK_S) + 1, round(life.end_s / TICK_S) + 1):
                at_s = tick * TICK_S
                while ahead is not None and ahead.arrived_s <= at_s:
                    if ahead.arrived_s > life.start_s:  # what came while nobody lived is lost
                        waiting.append(_at(ahead, ahead.arrived_s - life.ahead_s))
                    ahead = next(self._sensed, None)
                waiting += self._told(at_s, life)
                outcome = self.pipeline.advance(waiting, at_s - life.ahead_s)
                self._keep(outcome, at_s - life.ahead_s, at_s)
                yield Moment(at_s, life, tuple(waiting), outcome)
                waiting.clear()
            before = life

    def _first_packets(self, life: Life, before: Life | None) -> Iterator[Packet]:
        boot_s = life.start_s - life.ahead_s
        kept: Kept | None = None
        if self._kept is not None and before is not None:
            state, kept_boot_s, kept_s = self._kept
            same_boot = life.ahead_s == before.ahead_s
            away_s = None if same_boot else life.start_s - kept_s
            kept = Kept(state, kept_boot_s, same_boot, away_s)
        start = Start(life.run_id, alerts=kept)
        yield Packet(BOX, START, boot_s, msgspec.json.encode(start))
        yield tell(FACTS, self._facts, boot_s)

    def _told(self, at_s: float, life: Life) -> Iterator[Packet]:
        """Yield what is said and noticed by now; what nobody was there to hear is lost."""
        boot_s = at_s - life.ahead_s
        while self._acts and self._acts[0].at_s <= at_s:
            act = self._acts.pop(0)
            if act.at_s > life.start_s and (packet := self._packet(act, boot_s)) is not None:
                yield packet
        for packet in self._said:
            yield _at(packet, boot_s)
        self._said.clear()

    def _packet(self, act: Act, boot_s: float) -> Packet | None:
        match act:
            case Says(rule=rule) if rule:
                standing = [a.id for a in self.pipeline.live().alerts if a.rule == rule]
                if not standing:
                    self.passed_over.append(f"{act.by} at {act.at_s:g} s: no {rule} stands")
                    return None
                return _person(ANSWER, _answer(act, standing[0]), boot_s)
            case Says():
                return _person(ANSWER, _answer(act), boot_s)
            case Enters():
                return _person(ENTRY, _entry(act, self._facts.patient), boot_s)
            case LinkIs():
                told = LinkTold(f"sim:{act.device}", act.state, name=act.device, reason=act.reason)
                return tell(LINK, told, boot_s)
            case _:
                return None

    def _check(self, act: Act) -> None:
        try:
            if isinstance(act, Says):
                _answer(act, "an alert" if act.rule else "")
            elif isinstance(act, Enters):
                _entry(act, self._facts.patient)
        except ValueError as error:
            raise ReadError(
                f"the scenario {self.title!r}: what somebody does at {act.at_s:g} s cannot be "
                f"done: {error}"
            ) from error

    def _keep(self, outcome: Outcome, boot_s: float, at_s: float) -> None:
        """Keep what the daemon would have on its disk, should it die now."""
        changed = any(isinstance(record, Alert | AlarmEvent) for record in outcome.records)
        due = self._kept is None or at_s - self._kept[2] >= KEEP_EVERY_S
        if changed or due:
            self._kept = self.pipeline.alert_state(), boot_s, at_s


def _lives(acts: list[Act], run_id: str, end_s: float) -> tuple[Life, ...]:
    ends = [act for act in acts if isinstance(act, Killed | PowerCut) and act.at_s < end_s]
    for one, other in pairwise(ends):
        if one.at_s + one.away_s >= other.at_s:
            raise ReadError(
                f"the monitor ends at {other.at_s:g} s, before it runs again; move one of the acts"
            )
    lives, start_s, ahead_s = [], 0.0, 0.0
    for number, act in enumerate(ends, 1):
        lives.append(Life(_name(run_id, number), start_s, act.at_s, ahead_s))
        start_s = act.at_s + act.away_s
        if isinstance(act, PowerCut):
            ahead_s = start_s - BOOTED_S
    if start_s < end_s:
        lives.append(Life(_name(run_id, len(ends) + 1), start_s, end_s, ahead_s))
    return tuple(lives)


def _name(run_id: str, number: int) -> str:
    return run_id if number == 1 else f"{run_id}-{number}"


def _answer(act: Says, alert_id: str = "") -> Answer:
    said = {
        name: value
        for name in ("by", "role", "meaning", "priority", "lasts_s", "to")
        if (value := getattr(act, name))
    }
    return msgspec.convert({"action": act.action, "alert_id": alert_id, **said}, Answer)


def _entry(act: Enters, patient: str) -> Entry:
    return Entry(patient, act.what, act.value, act.by, act.role, act.valid_for_s, act.age_s)


def _person(stream: str, payload: msgspec.Struct, at_s: float) -> Packet:
    return Packet(PERSON, stream, at_s, msgspec.json.encode(payload))


def _at(packet: Packet, arrived_s: float) -> Packet:
    return msgspec.structs.replace(packet, arrived_s=arrived_s)
