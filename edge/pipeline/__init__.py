"""The order of the stages: packets in, records out, the same records for the same packets.

Nothing here reads a clock, a disk or a network. Ticks lie on the boot clock's 250 ms grid and a
packet belongs to the first tick after its arrival; when a tick is late, the ticks that were missed
are run one by one. A tick moves packets and time; on every whole second the signals flow, beats
are found, vital signs are computed, rules are asked and alerts follow. Ten-second windows are cut
when their last samples and beats have settled, 1 s after they end and at the latest `WINDOW_LAG_S`,
and a tick later the model has scored them.

    this file   the order
    settings    what it is told once, and the grid it lives on
    parts       what it consists of
    told        what people did and the box noticed
    sent        what sensors sent
    watched     one patient: vital signs, windows, rules
    words       the last words of sensors that fell silent
    rules       how one patient's rules are set, and what they remember
    limits      limits that people change while it runs
    box         the box itself: rules that are no patient's
    scoring     windows that wait for the model
    alarms      the alert engine as it is used here
    words       the last words of sensors that fell silent
    kept        what outlives a restart
    past        what rules were asked, kept: to be asked again under other limits
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from edge.alarms import Rule
from edge.alerts import Answer
from edge.decoders import Decoder
from edge.features import FeatureFamily
from edge.live import Live, MuteLive, Signal
from edge.pipeline.equipment import equipment_of
from edge.pipeline.kept import Remembered, pack
from edge.pipeline.parts import Parts
from edge.pipeline.past import JUDGED, Witness
from edge.pipeline.rules import PROMPT_S, PatientRules
from edge.pipeline.sent import take_sent
from edge.pipeline.settings import (
    ANSWER,
    EVENTS,
    MAX_LAG_TICKS,
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
from edge.pipeline.told import take_told
from edge.pipeline.watched import Stages
from edge.pipeline.words import words_of
from edge.records import (
    SECOND_S,
    WINDOW_S,
    Alert,
    Features,
    Finding,
    Outcome,
    Packet,
    Samples,
    Score,
    Step,
)
from edge.sources import on_grid

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
        self._parts = parts = Parts(
            settings, decoders, Stages.of(families, rules, scorer, settings), run_id
        )
        self._sources, self._sensors, self._box = parts.sources, parts.sensors, parts.box
        self._alarms, self._scoring = parts.alarms, parts.scoring
        self._patients, self._out = parts.patients, parts.out
        self._queue: list[Packet] = []
        self._tick = math.ceil(start_s / TICK_S)
        self._began_s = self._tick * TICK_S
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
            self._parts.note(f"time stood still for {(last_tick - self._tick) * TICK_S:.0f} s")
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
        outcome = Outcome(tuple(self._out))
        self._out.clear()
        return outcome

    def live(self) -> Live:
        """Return this moment's numbers, for the screen and the socket."""
        now_s = self.now_s
        patients = tuple(patient.live(now_s) for patient in self._patients.values())
        sources = self._sources.live(now_s)
        n_unknown, notes = self._sources.n_unknown, tuple(self._parts.notes)
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
            if take(packet) or packet.stream not in EVENTS:
                continue
            if self.witness is not None and packet.stream in JUDGED:
                self.witness.told(packet, tick_s)
            take_told(packet, self._parts, tick_s)
        return taken

    def _live_tick(self, now_s: float) -> None:
        """Take the numbers that have come since the second, and ask the rules that watch them.

        Which ticks these are depends on no limit, and so `past` can ask again.
        """
        fresh: list[str] = []
        for stream in self._sources:
            if stream.by_values and stream.waiting:
                take_sent(stream, self._parts, now_s)
                if stream.patient not in fresh:
                    fresh.append(stream.patient)
        findings: list[Finding] = []
        for patient in map(self._parts.patient, fresh):
            seen = patient.see_tick(now_s, words_of(patient.bedside, now_s, self._alarms))
            findings += self._ask(patient.rules, PROMPT_S, seen, None, patient.bedside.signals)
        if fresh:
            self._judge(findings, now_s)

    def _live_second(self, now_s: float) -> None:
        for stream in self._sources:
            take_sent(stream, self._parts, now_s)
        findings: list[Finding] = []
        for patient in self._patients.values():
            beats = patient.bedside.advance(now_s)
            patient.tally.n_beats += len(beats)
            self._out.extend(beats)
            told = equipment_of(patient, now_s, self._sensors, self._sources)
            words = words_of(patient.bedside, now_s, self._alarms)
            seen = patient.see_second(now_s, self._sensors.n_keys_lost, {**told, **words})
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
        self._parts.give_alerts(self._alarms.step(findings, now_s))

    def _summarise(self, start_s: float, period_s: float) -> None:
        for name, patient in self._patients.items():
            coverage = patient.bedside.close_period(period_s)
            self._out.append(patient.tally.close(name, start_s, period_s, coverage))
