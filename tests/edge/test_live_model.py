"""The model in a thread of its own: whatever it does, alarms go on and a night replays with it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from itertools import chain, repeat

import msgspec
import pytest

from edge.assemble import assemble
from edge.daemon.model import ABANDON_S, LIMIT_S, MAX_ABANDONED, PROBE_S, LiveModel
from edge.daemon.steps import Steps
from edge.events import MODEL, ModelState, ModelTold
from edge.pipeline import TICK_S, PipelineSettings
from edge.readers import simulated
from edge.records import Alert, AlertState, Features, Packet, Record, Score, encode_record

TURN_S = 10.0
"""So long the model's thread is given to do what it can at a tick."""
END_S = 130.0


class Clock:
    """A boot clock that is moved by hand, and threads that wait for it."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.held_s: dict[int, float] = {}

    def now_s(self) -> float:
        return self.at_s

    def wait(self, span_s: float, released: threading.Event) -> None:
        until_s = self.held_s[threading.get_ident()] = self.at_s + span_s
        while self.at_s < until_s and not released.is_set():
            time.sleep(0.0002)
        del self.held_s[threading.get_ident()]

    def let_work(self, model: LiveModel) -> None:
        """Return when the model's thread has nothing to do, or waits for a later time."""
        end_s = time.monotonic() + TURN_S
        while any(not job.done.is_set() for job in model._at_work):
            if self.held_s.get(model._worker._thread.ident or 0, 0.0) > self.at_s:
                return
            assert time.monotonic() < end_s
            time.sleep(0.0002)


def honest(seen: Features) -> Score:
    value = round(1 - min(seen.values.get("rr_min_ratio", 1.0), 1.0), 6)
    parts = {} if math.isnan(value) else {"rr_min_ratio": value}
    return Score(seen.patient, seen.start_s, seen.length_s, value, parts, 0.3, "honest")


Act = Callable[[Features], Score]


class Acting:
    """A model with an act for each window in turn, and one for those after them.

    Asked about the same window again, by a probe, it does what `probe` says. None: it works.
    """

    def __init__(self, *acts: Act | None, last: Act | None = None, probe: Act | None = None):
        self.acts, self.probe = chain(acts, repeat(last)), probe
        self.asked: set[float] = set()

    def score(self, features: Features) -> Score:
        act = self.probe if features.start_s in self.asked else next(self.acts)
        self.asked.add(features.start_s)
        return honest(features) if act is None else act(features)


class Night:
    """A simulated patient, watched as the daemon does, with a model in its thread."""

    def __init__(self, scenario: str = "demo", end_s: float = END_S) -> None:
        self.clock, self.released = Clock(), threading.Event()
        told = simulated.Settings(scenario=scenario, duration_s=end_s)
        self.packets = list(simulated.packets(told))
        self.end_s = end_s
        self.log: list[Packet] = []
        self.records: list[Record] = []
        self.model: LiveModel | None = None

    def slow(self, span_s: float) -> Act:
        def act(seen: Features) -> Score:
            self.clock.wait(span_s, self.released)
            return honest(seen)

        return act

    def run(self, scorer: Acting, ticks: list[float] | None = None) -> Night:
        self.model = LiveModel(scorer, lambda: scorer, self.clock.now_s)
        pipeline = assemble(PipelineSettings(), "night", scorer=self.model)
        steps = Steps(pipeline)
        steps.model = self.model
        at = 0
        for now_s in ticks or [i * TICK_S + 0.01 for i in range(1, round(self.end_s / TICK_S))]:
            self.clock.at_s = now_s
            first = at
            while at < len(self.packets) and self.packets[at].arrived_s <= now_s:
                at += 1
            self.clock.let_work(self.model)
            for given, outcome in steps.due(self.packets[first:at], now_s):
                self.log += given
                self.records += outcome.records
            self.clock.let_work(self.model)
        self.released.set()
        self.model.close()
        return self

    def replayed(self) -> list[Record]:
        pipeline = assemble(PipelineSettings(), "night", scorer=Acting())
        last_s = (self.end_s / TICK_S - 1) * TICK_S
        return list(pipeline.advance(self.log, last_s).records)

    def told(self) -> list[ModelTold]:
        said = [packet for packet in self.log if packet.stream == MODEL]
        return [msgspec.json.decode(packet.payload, type=ModelTold) for packet in said]

    def states(self) -> list[ModelState]:
        return [told.state for told in self.told()]

    def alerts(self, rule: str) -> list[Alert]:
        return [r for r in self.records if isinstance(r, Alert) and r.rule == rule]

    def raised_s(self, rule: str) -> list[float]:
        return [a.at_s for a in self.alerts(rule) if a.state is AlertState.RAISED]

    def n_scores(self) -> int:
        return sum(isinstance(record, Score) for record in self.records)


def lines(records: list[Record]) -> list[bytes]:
    return [encode_record(record) for record in records]


def raising(seen: Features) -> Score:
    raise ZeroDivisionError(f"a bug at {seen.start_s}")


def not_a_number(seen: Features) -> Score:
    return msgspec.structs.replace(honest(seen), value=float("nan"), contributions={"x": 1.0})


def of_another_window(seen: Features) -> Score:
    return msgspec.structs.replace(honest(seen), start_s=seen.start_s - 10.0)


def above_one(seen: Features) -> Score:
    return msgspec.structs.replace(honest(seen), value=1.5)


def test_a_night_of_a_stumbling_model_replays_byte_for_byte() -> None:
    night = Night()
    acts = (None, night.slow(0.6), raising, night.slow(3.0), not_a_number, night.slow(0.4))
    night.run(Acting(*acts, probe=night.slow(0.4)))

    assert set(night.states()) == set(ModelState)
    assert 4 <= night.n_scores() < sum(isinstance(r, Features) for r in night.records)
    assert lines(night.replayed()) == lines(night.records)


def test_a_model_that_answers_in_time_needs_no_word() -> None:
    night = Night(end_s=60.0).run(Acting())

    assert ModelState.FAILED not in night.states()
    assert night.n_scores() == sum(isinstance(r, Features) for r in night.records)
    assert lines(night.replayed()) == lines(night.records)


def test_a_hung_model_is_told_within_ten_seconds_and_limits_alarm_as_ever() -> None:
    night = Night()
    night.run(Acting(None, last=night.slow(1e9)))
    without = Night().run(Acting())

    hung_s = 20.0 + 1.0  # the second window is cut
    (told_s,) = night.raised_s("model_failed")
    assert told_s - hung_s <= 10.0
    assert night.n_scores() == 1
    for rule in ("very_low_spo2", "low_spo2"):
        assert night.raised_s(rule) == without.raised_s(rule) != []
    assert lines(night.replayed()) == lines(night.records)


def test_a_model_that_hangs_between_two_windows_is_found_by_a_probe() -> None:
    night = Night(end_s=40.0)
    night.run(Acting(probe=night.slow(1e9)))

    first_s = 10.0 + 1.0
    (told_s,) = night.raised_s("model_failed")
    assert told_s <= first_s + PROBE_S + LIMIT_S + 2.0  # before the window that ends at 20 s
    assert night.told()[0].patient == ""
    assert lines(night.replayed()) == lines(night.records)


def test_threads_that_hang_are_left_alone_and_are_few() -> None:
    before = threading.active_count()
    night = Night("quiet", end_s=200.0)
    night.run(Acting(last=night.slow(1e9)))

    assert night.model is not None
    assert before <= threading.active_count() <= before + 1 + MAX_ABANDONED
    assert len(night.raised_s("model_failed")) == 1


def test_a_fresh_thread_scores_again_after_a_hang() -> None:
    night = Night()
    night.run(Acting(None, night.slow(1e9)))

    states = [a.state for a in night.alerts("model_failed")]
    assert states[:2] == [AlertState.RAISED, AlertState.ENDED]
    assert night.n_scores() >= 7
    assert lines(night.replayed()) == lines(night.records)


@pytest.mark.parametrize("fault", [raising, not_a_number, of_another_window, above_one])
def test_every_wrong_answer_is_a_failed_model(fault: Act) -> None:
    night = Night(end_s=30.0).run(Acting(last=fault))

    assert night.n_scores() == 0
    assert night.raised_s("model_failed")
    assert night.model is not None
    assert night.model.trouble
    assert lines(night.replayed()) == lines(night.records)


@pytest.mark.parametrize(
    ("span_s", "scored"), [(0.2, True), (0.5, True), (1.5, False), (5.0, False)]
)
def test_a_slow_model_counts_up_to_a_second(span_s: float, scored: bool) -> None:
    night = Night(end_s=60.0)
    night.run(Acting(last=night.slow(span_s)))

    assert (night.n_scores() >= 4) is scored
    assert bool(night.raised_s("model_failed")) is not scored
    assert lines(night.replayed()) == lines(night.records)


def test_a_late_monitor_gives_the_records_of_its_log() -> None:
    night = Night()
    steady = [i * TICK_S + 0.01 for i in range(1, round(END_S / TICK_S))]
    late = [at for at in steady if not 20.5 < at < 34.0 and not 61.0 < at < 62.4]
    night.run(Acting(None, night.slow(0.6)), late)

    assert lines(night.replayed()) == lines(night.records)
    assert night.n_scores() >= 10


def test_nothing_hangs_for_ever_where_nobody_tells() -> None:
    """A log that was cut off after ``late``: the pipeline itself gives the score up."""
    night = Night(end_s=60.0)
    night.run(Acting(night.slow(0.6)))
    cut = [p for p in night.log if p.stream != MODEL or b'"late"' in p.payload]
    assert len(cut) < len(night.log)

    pipeline = assemble(PipelineSettings(), "night", scorer=Acting())
    records = pipeline.advance(cut, 59.0).records
    raised = [r.at_s for r in records if isinstance(r, Alert) and r.rule == "model_failed"]
    assert raised[0] <= 10.0 + 2.0 + ABANDON_S
