"""The order of the stages: packets in, records out, the same records for the same packets.

Nothing here reads a clock, a disk or a network. Ticks lie on the boot clock's 250 ms grid and a
packet belongs to the first tick after its arrival; when a tick is late, the ticks that were missed
are run one by one. A tick moves packets and time; on every whole second the signals flow, beats
are found, vital signs are computed, rules are asked and alerts follow. Ten-second windows are cut
`WINDOW_LAG_S` after they end, when their last beats have settled, and are scored by the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np

from edge.alarms import Rule, Step
from edge.alerts import AlertEngine, AlertRule, AlertSettings, Answer, AnswerError
from edge.bedside import Bedside
from edge.decoders import Decoder
from edge.dsp.timeline import Placement
from edge.events import (
    ASSIGN,
    DEVICE_CLOCK,
    EXPECT,
    LINK,
    Assignment,
    DeviceClock,
    Expectation,
    LinkTold,
)
from edge.explain import name_strongest
from edge.features import FeatureFamily
from edge.live import Live, PatientLive
from edge.records import (
    CONTEXT_S,
    SECOND_S,
    WINDOW_S,
    Features,
    Finding,
    LinkState,
    Outcome,
    Packet,
    Priority,
    Record,
    Samples,
    Score,
    ScorerError,
    Stamp,
    Window,
)
from edge.sensors import Sensors
from edge.sources import Sources, Stream, on_grid
from edge.summaries import Tally

TICK_S: Final = 0.25
TICKS_A_SECOND: Final = 4
WINDOW_LAG_S: Final = 2.0
"""A window is cut this long after its end; `edge.dsp.beats` has reported its beats by then."""
MAX_LAG_TICKS: Final = 4 * 3600
"""Ticks that are made up for one by one; after a longer standstill time goes on from now."""
ANSWER: Final = "person:answer"
START: Final = "box:start"
EVENTS: Final = frozenset({ANSWER, START, ASSIGN, EXPECT, LINK, DEVICE_CLOCK})
BATTERY: Final = "battery_pct"
N_NOTES: Final = 20
MAX_LINKS: Final = 256
"""Sources whose link is remembered."""


class RuleSettings(msgspec.Struct, frozen=True):
    """How one rule is set: its own numbers and, where changed, its priority."""

    values: Mapping[str, float]
    priority: Priority
    enabled: bool = True


class PipelineSettings(msgspec.Struct, frozen=True):
    """What the pipeline is told once, at the start.

    Attributes
    ----------
    default_patient : str
        Whose the sources are that nobody has assigned.
    patient_of : Mapping[str, str]
        Source -> patient.
    rules : Mapping[str, RuleSettings]
        By rule; a rule that is missing has its defaults.
    """

    default_patient: str = "patient-1"
    patient_of: Mapping[str, str] = {}
    rules: Mapping[str, RuleSettings] = {}
    alerts: AlertSettings = AlertSettings()
    summary_period_s: float = 60.0
    ring_s: float = 120.0


class Start(msgspec.Struct, frozen=True):
    """Payload of the packet a log begins with: what the run was made with."""

    run_id: str
    version: str = ""
    model_id: str = ""


class Scores(Protocol):
    """What turns a window's features into a score; `edge.scorer` is one."""

    def score(self, features: Features) -> Score:
        """Return the score of one window."""
        ...


class _Patient:
    """A bedside and what watches over it."""

    def __init__(self, bedside: Bedside, watch: Sequence[tuple[Rule, RuleSettings]]) -> None:
        self.bedside = bedside
        self.states: dict[str, Any] = {rule.name: rule.start for rule, _ in watch}
        self._watch = watch
        self._asked: dict[float, list[tuple[str, Step, Mapping[str, float]]]] = {}
        self._n_signals = -1
        self.tally = Tally()
        self.vitals: Mapping[str, float] = {}
        self.score = math.nan
        self.n_windows = 0
        self.model_failed = False
        self.sources: set[str] = set()
        """Sensors whose link somebody told of."""
        self.unheard: dict[str, float] = {}
        """Links that have brought nothing yet -> since when something is expected of them."""

    def ask(self, every_s: float, seen: Features, score: Score | None) -> list[Finding]:
        """Return what the rules of one cadence say that watch any signal the patient ever had."""
        had = self.bedside.signals
        if len(had) != self._n_signals:  # signals only ever come to it
            self._n_signals = len(had)
            self._asked = {}
            for rule, told in self._watch:
                if not rule.needs or not had.isdisjoint(rule.needs):
                    asked = self._asked.setdefault(rule.every_s, [])
                    asked.append((rule.name, rule.step, told.values))
        findings, states = [], self.states
        for name, step, values in self._asked.get(every_s, ()):
            states[name], finding = step(states[name], seen, score, values)
            findings.append(finding)
        return findings


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
        self._vitals = [f for f in families if f.every_s == SECOND_S]
        self._families = [f for f in families if f.every_s == WINDOW_S]
        self._words = {name: text for f in families for name, text in f.words.items()}
        self._watch = [(rule, _set(rule, settings)) for rule in rules]
        self._watch = [(rule, told) for rule, told in self._watch if told.enabled]
        facts = {
            rule.name: AlertRule(rule.kind, told.priority, rule.latching)
            for rule, told in self._watch
        }
        self._new_engine: Callable[[str], AlertEngine] = lambda run: AlertEngine(
            run, facts, settings.alerts
        )
        self._alerts = self._new_engine(run_id)
        self._scorer = scorer
        self._sensors = Sensors()
        self._link_of: dict[str, str] = {}
        self._patients: dict[str, _Patient] = {}
        self._queue: list[Packet] = []
        self._tick = math.ceil(start_s / TICK_S)
        self._began_s = self._tick * TICK_S
        self._started = False
        self._notes: list[str] = []
        self._out: list[Record] = []

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
            if self._tick % TICKS_A_SECOND == 0:
                self._live_second(tick_s)
            self._tick += 1
        del self._queue[:taken]
        out, self._out = self._out, []
        return Outcome(tuple(out))

    def live(self) -> Live:
        """Return this moment's numbers, for the screen and the socket."""
        now_s = self.now_s
        patients = tuple(
            PatientLive(
                name,
                p.vitals,
                p.bedside.age_s(now_s),
                p.score,
                p.bedside.n_beats,
                p.n_windows,
                p.bedside.n_implausible,
                p.bedside.n_refused + p.bedside.n_overrun,
            )
            for name, p in self._patients.items()
        )
        sources = self._sources.live(now_s)
        n_unknown, notes = self._sources.n_unknown, tuple(self._notes)
        patient_of = {source: self._sources.patient_of(source) for source in self._sensors.linked}
        sensors = self._sensors.live(patient_of, now_s)
        standing, readings = self._alerts.standing(), self._sensors.latest
        return Live(now_s, patients, standing, sources, n_unknown, notes, sensors, readings)

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
        patient = self._patient(stream.patient)
        patient.tally.n_broken += stream.n_broken - n_broken
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
        self, patient: _Patient, stream: Stream, samples: Samples, arrived_s: float
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
        try:
            if packet.stream == ANSWER:
                answer = msgspec.json.decode(packet.payload, type=Answer)
                self._give_alerts(self._alerts.answer(answer, tick_s))
            elif packet.stream != START:
                self._take_told(packet, tick_s)
            elif not self._started and not self._alerts.standing():
                start = msgspec.json.decode(packet.payload, type=Start)
                self._alerts = self._new_engine(start.run_id)
                self._started = True
        except (msgspec.DecodeError, AnswerError) as error:
            self._note(f"{packet.stream} from {packet.source}: {error}")

    def _take_told(self, packet: Packet, tick_s: float) -> None:
        """Take what the box noticed of a sensor."""
        if packet.stream == ASSIGN:
            told = msgspec.json.decode(packet.payload, type=Assignment)
            self._sources.assign(told.source, told.patient)
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
            watched.bedside.forget(told.source)

    def _awaiting(self, patient: str) -> _Patient:
        return self._patient(patient or self._settings.default_patient)

    def _live_second(self, now_s: float) -> None:
        for stream in self._sources:
            self._take(stream)
        findings: list[Finding] = []
        for name, patient in self._patients.items():
            beats = patient.bedside.advance(now_s)
            patient.tally.n_beats += len(beats)
            self._out.extend(beats)
            seen = self._see_second(name, patient, now_s)
            findings += patient.ask(SECOND_S, seen, None)
            window_end_s = now_s - WINDOW_LAG_S
            if window_end_s % WINDOW_S == 0.0 and window_end_s - WINDOW_S >= self._began_s:
                features, score = self._see_window(name, patient, window_end_s, now_s)
                findings += patient.ask(WINDOW_S, features, score)
        self._give_alerts(self._alerts.step(findings, now_s))
        period_s = self._settings.summary_period_s
        if now_s % period_s == 0.0 and now_s - period_s >= self._began_s:
            self._summarise(now_s - period_s, period_s)

    def _see_second(self, name: str, patient: _Patient, now_s: float) -> Features:
        window = patient.bedside.second(now_s, SECOND_S, CONTEXT_S)
        values = _compute(self._vitals, window, patient.bedside.signals)
        if self._scorer is not None:
            values["model_failed_flag"] = float(patient.model_failed)
        values["n_awaited"] = float(len(window.age_s))
        if patient.sources:
            values["n_keys_lost"] = float(self._sensors.n_keys_lost(patient.sources))
        values["unheard_s"] = now_s - min(patient.unheard.values(), default=now_s)
        patient.vitals = values
        patient.tally.add_vitals(values)
        return Features(name, now_s - SECOND_S, SECOND_S, values)

    def _see_window(
        self, name: str, patient: _Patient, end_s: float, now_s: float
    ) -> tuple[Features, Score | None]:
        window = patient.bedside.window(end_s, WINDOW_S, CONTEXT_S, now_s)
        values = _compute(self._families, window, set(window.signals))
        features = Features(name, end_s - WINDOW_S, WINDOW_S, values)
        self._out.append(features)
        patient.n_windows += 1
        if self._scorer is None:
            return features, None
        try:
            score = name_strongest(self._scorer.score(features), features, self._words)
        except ScorerError as error:
            # The limits go on without it; `edge.alarms.model_failed` tells.
            if not patient.model_failed:
                self._note(str(error))
            patient.model_failed, patient.score = True, math.nan
            return features, None
        patient.model_failed = False
        patient.score = score.value
        self._out.append(score)
        return features, score

    def _give_alerts(self, alerts: Sequence[Any]) -> None:
        for alert in alerts:
            self._patient(alert.patient).tally.add_alerts((alert,))
        self._out.extend(alerts)

    def _summarise(self, start_s: float, period_s: float) -> None:
        for name, patient in self._patients.items():
            coverage = patient.bedside.close_period(period_s)
            self._out.append(patient.tally.close(name, start_s, period_s, coverage))

    def _patient(self, name: str) -> _Patient:
        patient = self._patients.get(name)
        if patient is None:
            bedside = Bedside(name, self._settings.ring_s)
            patient = self._patients[name] = _Patient(bedside, self._watch)
        return patient

    def _note(self, text: str) -> None:
        self._notes = [*self._notes, text][-N_NOTES:]


def _has_value(found: Iterable[tuple[Samples, float]]) -> bool:
    """Return whether there is a measurement among samples: no battery, and no mere flag."""
    return any(
        samples.signal != BATTERY
        and not samples.signal.endswith("_flag")
        and not np.isnan(samples.values).all()
        for samples, _ in found
    )


def _set(rule: Rule, settings: PipelineSettings) -> RuleSettings:
    return settings.rules.get(rule.name) or RuleSettings(rule.settings, rule.priority)


def _compute(
    families: Iterable[FeatureFamily], window: Window, there: set[str]
) -> dict[str, float]:
    values: dict[str, float] = {}
    for family in families:
        if there.issuperset(family.needs):
            values.update(family.compute(window))
        else:
            values.update(dict.fromkeys(family.names, math.nan))
    return values
