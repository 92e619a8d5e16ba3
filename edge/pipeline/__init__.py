"""The order of the stages: packets in, records out, the same records for the same packets.

Nothing here reads a clock, a disk or a network. Ticks lie on the boot clock's 250 ms grid and a
packet belongs to the first tick after its arrival; when a tick is late, the ticks that were missed
are run one by one. A tick moves packets and time; on every whole second the signals flow, beats
are found, vital signs are computed, rules are asked and alerts follow. Ten-second windows are cut
when their last samples and beats have settled, 1 s after they end and at the latest `WINDOW_LAG_S`,
and a tick later the model has scored them.

    this file   the order
    settings    what it is told once, and the grid it lives on
    watched     one patient: vital signs, windows, rules
    rules       how one patient's rules are set, and what they remember
    limits      limits that people change while it runs
    box         the box itself: rules that are no patient's
    scoring     windows that wait for the model
    alarms      the alert engine as it is used here
    kept        what outlives a restart
    past        what rules were asked, kept: to be asked again under other limits
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec
import numpy as np

from edge.alarms import Rule
from edge.alerts import Answer
from edge.bedside import BEATS, Bedside
from edge.decoders import Decoder
from edge.dsp.timeline import Placement
from edge.events import (
    ASSIGN,
    ENTRY,
    EXPECT,
    FACTS,
    HEALTH,
    LINK,
    MODEL,
    SELF_TEST,
    Assignment,
    BoxHealth,
    DeviceClock,
    Entry,
    Expectation,
    Facts,
    LinkTold,
    ModelTold,
    SelfTestTold,
)
from edge.features import FeatureFamily
from edge.live import Live, MuteLive, Signal
from edge.pipeline.alarms import Alarms
from edge.pipeline.box import Box
from edge.pipeline.equipment import equipment_of
from edge.pipeline.kept import Remembered, moved_by_s, pack, unpack
from edge.pipeline.limits import alert_rule, change_scale, follow
from edge.pipeline.past import JUDGED, Witness
from edge.pipeline.rules import PROMPT_S, PatientRules
from edge.pipeline.scoring import Scoring
from edge.pipeline.settings import (
    ANSWER,
    BATTERY,
    EVENTS,
    LIMITS,
    MAX_LAG_TICKS,
    MAX_LINKS,
    N_NOTES,
    SCORE_S,
    START,
    TICK_S,
    TICKS_A_SECOND,
    WINDOW_LAG_S,
    Kept,
    PipelineSettings,
    RuleSettings,
    Scores,
    Start,
)
from edge.pipeline.watched import NOBODY, Stages, Watched
from edge.records import (
    SECOND_S,
    WINDOW_S,
    AlarmEvent,
    Alert,
    Features,
    Finding,
    LinkState,
    Outcome,
    Packet,
    Record,
    Samples,
    Score,
    Stamp,
    Step,
)
from edge.sensors import Sensors
from edge.sources import Sources, Stream, on_grid

__all__ = [
    "ANSWER",
    "MAX_LAG_TICKS",
    "SCORE_S",
    "START",
    "TICK_S",
    "WINDOW_LAG_S",
    "Kept",
    "Pipeline",
    "PipelineSettings",
    "RuleSettings",
    "Scores",
    "Start",
]


class Pipeline:
    """Deterministic: the same packets, settings and model give the same records.

    Parameters
    ----------
    settings : PipelineSettings
        What was configured.
    decoders, families, rules : sequences
        As `edge.discover` finds them.
    scorer : Scores | None
        The model; None: limits only, and the anomaly rule cannot tell.
    run_id : str
        Part of every alert's id, so that two runs never share one.
    start_s : float
        The first tick is the first grid point at or after this.
    """

    def __init__(
        self,
        settings: PipelineSettings,
        decoders: Sequence[Decoder],
        families: Sequence[FeatureFamily],
        rules: Sequence[Rule],
        scorer: Scores | None,
        run_id: str,
        start_s: float = 0.0,
    ) -> None:
        self._settings = settings
        self._sources = Sources(decoders, settings.patient_of, settings.default_patient)
        self._stages = Stages.of(families, rules, scorer, settings)
        facts = {rule.name: alert_rule(rule, told) for rule, told in self._stages.rules}
        self._alarms = Alarms(facts, settings.alerts, run_id)
        self._box = Box(self._stages.rules_of(NOBODY))
        self._scoring = Scoring(self._note)
        self._sensors = Sensors()
        self._link_of: dict[str, str] = {}
        self._patients: dict[str, Watched] = {}
        self._queue: list[Packet] = []
        self._tick = math.ceil(start_s / TICK_S)
        self._began_s = self._tick * TICK_S
        self._notes: list[str] = []
        self._out: list[Record] = []
        self.witness: Witness | None = None
        """Is told all that rules and alerts are made of; see `edge.pipeline.past`."""

    @property
    def now_s(self) -> float:
        """Time of the last tick that was run."""
        return (self._tick - 1) * TICK_S

    def advance(self, packets: Sequence[Packet], now_s: float) -> Outcome:
        """Take what arrived since the last call and live up to `now_s`.

        Parameters
        ----------
        packets : Sequence[Packet]
            In the order of their arrival, none of it after `now_s`.
        now_s : float
            Boot clock; ticks up to and including it are run.

        Returns
        -------
        Outcome
            Records in the order in which they came to be.
        """
        self._queue.extend(packets)
        last_tick = on_grid(now_s, TICK_S)
        if last_tick - self._tick > MAX_LAG_TICKS and not self._queue:
            self._note(f"time stood still for {(last_tick - self._tick) * TICK_S:.0f} s")
            self._tick = last_tick
        taken = 0
        while self._tick <= last_tick:
            tick_s = self._tick * TICK_S
            if self._queue:
                taken = self._take_arrived(tick_s, taken)
            if self._scoring.waiting:
                self._collect_scores(tick_s)
            if self._tick % TICKS_A_SECOND == 0:
                self._live_second(tick_s)
            else:
                self._live_tick(tick_s)
            self._tick += 1
        del self._queue[:taken]
        out, self._out = self._out, []
        return Outcome(tuple(out))

    def live(self) -> Live:
        """Return this moment's numbers, for the screen and the socket."""
        now_s = self.now_s
        patients = tuple(patient.live(now_s) for patient in self._patients.values())
        sources = self._sources.live(now_s)
        n_unknown, notes = self._sources.n_unknown, tuple(self._notes)
        patient_of = {source: self._sources.patient_of(source) for source in self._sensors.linked}
        sensors = self._sensors.live(patient_of, now_s)
        alarms = self._alarms
        return Live(
            now_s,
            patients,
            alarms.standing(),
            sources,
            n_unknown,
            notes,
            sensors,
            self._sensors.latest,
            alarms.signal(now_s),
            alarms.mutes(now_s),
            alarms.watches(now_s),
            self._box.facts,
        )

    def signal(self, now_s: float, patient: str = "") -> Signal:
        """Return what should be heard and seen at `now_s`; cheap, to be asked at every tick."""
        return self._alarms.signal(now_s, patient)

    def alarms(self, now_s: float) -> tuple[tuple[Alert, ...], tuple[MuteLive, ...]]:
        """Return what stands, and what is paused or off; cheap, of `live` only this."""
        return self._alarms.standing(), self._alarms.mutes(now_s)

    def check(self, answer: Answer) -> None:
        """Raise `edge.alerts.AnswerError` where this answer could not be followed now."""
        self._alarms.check(answer)

    def carried(self) -> Mapping[str, Step]:
        """Return how far each standing alert was carried, by its id."""
        return self._alarms.carried()

    def alert_state(self) -> bytes:
        """Return what outlives a restart, for `Start.alerts` of the next start."""
        held = {name: kept for name, p in self._patients.items() if (kept := p.bedside.held.kept())}
        return pack(Remembered(self._alarms.state(), held))

    @property
    def n_entered(self) -> int:
        """How many values were entered or measured once: more means more to be kept."""
        return sum(patient.bedside.held.n_taken for patient in self._patients.values())

    def trace(self, patient: str, signal: str, length_s: float) -> Samples | None:
        """Return a copy of the last seconds of a signal; None where there is none."""
        seen = self._patients.get(patient)
        return seen.bedside.trace(signal, length_s, self.now_s) if seen else None

    def _take_arrived(self, tick_s: float, taken: int) -> int:
        queue, take = self._queue, self._sources.take
        n_queued = len(queue)
        while taken < n_queued:
            packet = queue[taken]
            if packet.arrived_s > tick_s:
                break
            taken += 1
            if not take(packet) and packet.stream in EVENTS:
                self._take_event(packet, tick_s)
        return taken

    def _take(self, stream: Stream) -> None:
        """Read and place what a stream sent in the last second."""
        n_broken = stream.n_broken
        found = stream.decode()
        if not found and stream.n_broken == n_broken:
            return
        if stream.by_values is not False:
            stream.by_values = all(_is_number(samples) for samples, _ in found)
        patient = self._patient(stream.patient)
        patient.tally.n_broken += stream.n_broken - n_broken
        patient.listening.note(stream.source, self._tick * TICK_S, found)
        if patient.unheard and _has_value(found):
            patient.unheard.pop(self._link_of.get(stream.source, ""), None)
        place: Placement | None = None
        stamp: Stamp | float | None = None
        channels: set[tuple[str, str]] = set()
        for samples, arrived_s in found:
            if samples.fs_hz == 0.0:
                self._take_values(patient, stream, samples, arrived_s)
                continue
            # The channels of one packet were sampled together and are placed together.
            sent = arrived_s if samples.stamp is None else samples.stamp
            channel = (samples.signal, samples.lead)
            if place is None or not (sent is stamp or sent == stamp) or channel in channels:
                place, gap = stream.place(samples, arrived_s)
                stamp, channels = sent, set()
                if gap is not None:
                    patient.tally.n_gaps += 1
                    self._out.append(gap)
            channels.add(channel)
            if place.n_stale < len(samples.values):
                patient.bedside.take_run(samples, place, stream.source)

    def _take_values(
        self, patient: Watched, stream: Stream, samples: Samples, arrived_s: float
    ) -> None:
        """Take values that come one by one; a measurement of its own is also recorded."""
        if samples.spot or samples.backfilled:
            readings, past = self._sensors.read(samples, arrived_s, stream.source, stream.patient)
            self._out.extend(readings)
            if past:
                return
        elif samples.signal == BATTERY:
            self._sensors.take_battery(samples, stream.source)
        beats = patient.bedside.take_values(samples, arrived_s, stream.source)
        patient.tally.n_beats += len(beats)
        self._out.extend(beats)

    def _take_event(self, packet: Packet, tick_s: float) -> None:
        """Take what a person did or the box noticed."""
        if self.witness is not None and packet.stream in JUDGED:
            self.witness.told(packet, tick_s)
        try:
            if packet.stream == ANSWER:
                answer = msgspec.json.decode(packet.payload, type=Answer)
                self._give_alerts(self._alarms.answer(answer, tick_s))
            elif packet.stream == START:
                self._begin(msgspec.json.decode(packet.payload, type=Start), tick_s)
            elif packet.stream in (ENTRY, FACTS):
                self._take_known(packet, tick_s)
            elif packet.stream in LIMITS:
                self._out += follow(packet, self._awaiting, self._alarms, tick_s)
            elif packet.stream in (HEALTH, SELF_TEST, MODEL):
                self._take_of_box(packet, tick_s)
            else:
                self._take_told(packet, tick_s)
        # No such payload, alert or state; a number no float holds; nested without an end.
        except (ValueError, OverflowError, RecursionError) as error:
            self._note(f"{packet.stream} from {packet.source}: {error}")

    def _begin(self, start: Start, tick_s: float) -> None:
        kept = start.alerts
        if kept is not None and not self._alarms.started:
            by_s = moved_by_s(kept, tick_s)
            if by_s is not None:
                for patient, held in unpack(kept.state).held.items():
                    self._awaiting(patient).bedside.held.restore(held, by_s)
        self._give_alerts(self._alarms.begin(start, tick_s))

    def _take_known(self, packet: Packet, tick_s: float) -> None:
        """Take what a person entered, or what is known of a patient."""
        if packet.stream == ENTRY:
            entry = msgspec.json.decode(packet.payload, type=Entry)
            held, until_s = self._awaiting(entry.patient).bedside.held, tick_s + entry.left_s
            held.take(entry.signal, tick_s - entry.age_s, entry.number, until_s)
        else:
            facts = msgspec.json.decode(packet.payload, type=Facts)
            self._out += change_scale(self._awaiting(facts.patient), facts, tick_s)
            for signal, value in facts.signals.items():
                self._awaiting(facts.patient).bedside.held.take(signal, tick_s, value)

    def _take_told(self, packet: Packet, tick_s: float) -> None:
        """Take what the box noticed of a sensor."""
        if packet.stream == ASSIGN:
            told = msgspec.json.decode(packet.payload, type=Assignment)
            if self._sources.assign(told.source, told.patient):
                for watched in self._patients.values():
                    watched.listening.forget(told.source)
            if told.source in self._link_of or len(self._link_of) < MAX_LINKS:
                self._link_of[told.source] = told.link
        elif packet.stream == EXPECT:
            awaited = msgspec.json.decode(packet.payload, type=Expectation)
            unheard = self._awaiting(awaited.patient).unheard
            unheard.pop(awaited.link, None)
            if not awaited.withdrawn:
                unheard[awaited.link] = tick_s
        elif packet.stream == LINK:
            self._take_link(msgspec.json.decode(packet.payload, type=LinkTold), tick_s)
        else:
            self._sensors.take_clock(msgspec.json.decode(packet.payload, type=DeviceClock))

    def _take_of_box(self, packet: Packet, tick_s: float) -> None:
        """Take what the box noticed of itself."""
        if packet.stream == HEALTH:
            self._box.know(HEALTH, msgspec.json.decode(packet.payload, type=BoxHealth))
        elif packet.stream == SELF_TEST:
            test = msgspec.json.decode(packet.payload, type=SelfTestTold)
            self._box.know(SELF_TEST, test.health(packet.arrived_s))
            if test.test is not None and not test.known:
                self._out.append(test.test)
        else:
            said = msgspec.json.decode(packet.payload, type=ModelTold)
            self._scoring.take(said, self._patients.values(), tick_s)

    def _take_link(self, told: LinkTold, tick_s: float) -> None:
        patient = self._sources.patient_of(told.source)
        change = self._sensors.take_link(told, patient, tick_s)
        if change is None:
            return
        self._out.append(change)
        watched = self._patient(patient)
        watched.sources.add(told.source)
        if told.state is LinkState.REMOVED:
            watched.sources.discard(told.source)
            watched.listening.forget(told.source)
            watched.bedside.forget(told.source)

    def _awaiting(self, patient: str) -> Watched:
        return self._patient(patient or self._settings.default_patient)

    def _live_tick(self, now_s: float) -> None:
        """Take the numbers that have come since the second, and ask the rules that watch them.

        Which ticks these are depends on no limit, and so `past` can ask again.
        """
        fresh: list[str] = []
        for stream in self._sources:
            if stream.by_values and stream.waiting:
                self._take(stream)
                if stream.patient not in fresh:
                    fresh.append(stream.patient)
        findings: list[Finding] = []
        for patient in map(self._patient, fresh):
            seen = patient.see_tick(now_s)
            findings += self._ask(patient.rules, PROMPT_S, seen, None, patient.bedside.signals)
        if fresh:
            self._judge(findings, now_s)

    def _live_second(self, now_s: float) -> None:
        for stream in self._sources:
            self._take(stream)
        findings: list[Finding] = []
        for patient in self._patients.values():
            beats = patient.bedside.advance(now_s)
            patient.tally.n_beats += len(beats)
            self._out.extend(beats)
            told = equipment_of(patient, now_s, self._sensors, self._sources)
            seen = patient.see_second(now_s, self._sensors.n_keys_lost, told)
            findings += self._ask(patient.rules, SECOND_S, seen, None, patient.bedside.signals)
            window_end_s = patient.is_due(now_s, self._began_s)
            if window_end_s is not None:
                features = patient.cut_window(window_end_s, now_s)
                self._out.append(features)
                self._scoring.add(patient, features, now_s)
        of_box = self._box.see_second(now_s)
        if of_box is not None:
            findings += self._ask(self._box.rules, SECOND_S, of_box, None, frozenset())
        self._judge(findings, now_s)
        period_s = self._settings.summary_period_s
        if now_s % period_s == 0.0 and now_s - period_s >= self._began_s:
            self._summarise(now_s - period_s, period_s)

    def _collect_scores(self, now_s: float) -> None:
        findings: list[Finding] = []
        for patient, seen, score in self._scoring.collect(now_s, self._out):
            findings += self._ask(patient.rules, WINDOW_S, seen, score, patient.bedside.signals)
        if findings:
            self._judge(findings, now_s)

    def _ask(
        self,
        rules: PatientRules,
        every_s: float,
        seen: Features,
        score: Score | None,
        had: AbstractSet[str],
    ) -> list[Finding]:
        if self.witness is not None:
            self.witness.asked(every_s, seen, score, had)
        return rules.ask(every_s, seen, score, had)

    def _judge(self, findings: Sequence[Finding], now_s: float) -> None:
        if self.witness is not None:
            self.witness.passed(now_s)
        self._give_alerts(self._alarms.step(findings, now_s))

    def _give_alerts(self, records: Sequence[Alert | AlarmEvent]) -> None:
        for record in records:
            if isinstance(record, Alert) and record.patient != NOBODY:
                self._patient(record.patient).tally.add_alerts((record,))
        self._out.extend(records)

    def _summarise(self, start_s: float, period_s: float) -> None:
        for name, patient in self._patients.items():
            coverage = patient.bedside.close_period(period_s)
            self._out.append(patient.tally.close(name, start_s, period_s, coverage))

    def _patient(self, name: str) -> Watched:
        patient = self._patients.get(name)
        if patient is None:
            bedside = Bedside(name, self._settings.ring_s)
            patient = self._patients[name] = Watched(bedside, self._stages)
        return patient

    def _note(self, text: str) -> None:
        self._notes = [*self._notes, text][-N_NOTES:]


def _is_number(samples: Samples) -> bool:
    """Return whether samples are numbers of this moment: no wave, no beats, no spot check."""
    return samples.fs_hz == 0.0 and samples.signal != BEATS and not samples.spot


def _has_value(found: Iterable[tuple[Samples, float]]) -> bool:
    """Return whether there is a measurement among samples: no battery, and no mere flag."""
    return any(
        samples.signal != BATTERY
        and not samples.signal.endswith("_flag")
        and not np.isnan(samples.values).all()
        for samples, _ in found
    )
