"""No sequence of events hides, ends, or forgets an alarm: all short ones, and very many long ones.

HOMEWARD_LONG=1   every sequence of six events (five of all events at once), 10^5 random runs
"""

import os
import random

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from edge.alerts import AlertEngine, AlertSettings, Answer
from edge.records import AlertState, Priority
from tests.edge.alerts.world import EVENTS, PEOPLE, BrokenPromiseError, World

LONG = os.environ.get("HOMEWARD_LONG") == "1"
N_RUNS, RUN_LENGTH = (100_000 if LONG else 1_500), 30
SHORT_PAUSES = ("pause audio", "pause alarms high", "resume", "nothing 40", "nothing 130")

THEMES = {
    "two limits of one value": (
        *("low yes", "low over", "low blind", "very yes", "very over", "very blind"),
        *("ack low", "ack very", "patient acks very", "off", "nothing 130", *SHORT_PAUSES[:2]),
    ),
    "a latching alarm": (
        *("stop yes", "stop over", "ack stop", "low yes", "restart", "reboot", "reboot after 50"),
        *SHORT_PAUSES,
    ),
    "faults of equipment": (
        *("lost a", "lost ab", "lost over", "ack lost", "very yes", "restart", *SHORT_PAUSES),
    ),
    "a score that rises": (
        *("score low", "score medium", "score high", "score over", "ack score", "off"),
        *("pause audio low", "nothing 1", "reboot", *SHORT_PAUSES[:3]),
    ),
}


def place(world):
    """Return all that decides about the future, with times as seen from now."""
    now_s = world.now_s
    stands = tuple(
        (
            *(rule, e.alert.state, e.alert.priority, e.alert.role, e.present, e.over_for_s),
            None if e.present is None else now_s - e.told_s,
            *(tuple(sorted(e.named.items())), e.lesser, e.lesser_for_s),
        )
        for (_, rule), e in sorted(world.on._standing.items())
    )
    mutes = tuple(
        (kind, upto, None if over_s is None else max(0.0, over_s - now_s))
        for kind, (upto, over_s) in sorted(world.must.mutes.items())
    )
    return stands, mutes, world.on._run_id


def explore(events, depth, start=None, kind=AlertEngine):
    """Let every sequence of so many events happen; return how many steps that were.

    Two sequences that lead to the same place have the same future, and are followed once.
    """
    first = World(kind) if start is None else start
    front, known, n_steps = [first], {place(first)}, 0
    for _ in range(depth):
        reached = []
        for world in front:
            for event in events:
                if not world.possible(event):
                    continue
                after = world.copied()
                after.happen(event)
                n_steps += 1
                where = place(after)
                if where not in known:
                    known.add(where)
                    reached.append(after)
        front = reached
    return n_steps


def wander(seed, length=RUN_LENGTH, kind=AlertEngine, events=EVENTS):
    """Let events happen at random; return the world they led to."""
    chance, world = random.Random(seed), World(kind)  # noqa: S311
    for _ in range(length):
        event = chance.choice(events)
        if world.possible(event):
            world.happen(event)
    return world


def wander_often(n, kind=AlertEngine):
    for seed in range(n):
        wander(seed, kind=kind)


@pytest.mark.parametrize("theme", THEMES)
def test_no_sequence_of_six_events_breaks_a_promise(theme):
    assert explore(THEMES[theme], 6 if LONG else 5) > 5000


def test_no_short_sequence_of_all_events_breaks_a_promise():
    assert explore(EVENTS, 5 if LONG else 3) > 5000


def test_no_two_events_break_a_promise_wherever_one_is():
    for seed in range(300 if LONG else 4):
        explore(EVENTS, 2, start=wander(seed, 40))


def test_no_random_run_breaks_a_promise():
    wander_often(N_RUNS)


class Night(RuleBasedStateMachine):
    """The same search by hypothesis, which shrinks what it finds."""

    def __init__(self):
        super().__init__()
        self.world = World()

    @rule(event=st.sampled_from(EVENTS))
    def happen(self, event):
        if self.world.possible(event):
            self.world.happen(event)


Night.TestCase.settings = settings(
    max_examples=2000 if LONG else 60, stateful_step_count=40, deadline=None
)
TestNight = Night.TestCase


def test_the_same_run_gives_the_same_state_twice():
    assert wander(7, 200).on.state() == wander(7, 200).on.state()


# --- controls: an engine with one fault each, which the same search must find


class HidesHigher(AlertEngine):
    """A pause covers everything, whatever it was given for."""

    def answer(self, answer, now_s):
        said = super().answer(answer, now_s)
        for mute in self._silence.mutes:
            mute.upto = Priority.HIGH
        return said


class AnswersForTheFamily(AlertEngine):
    """Having answered one alert quietens all."""

    def answer(self, answer, now_s):
        said = super().answer(answer, now_s)
        if answer.action == "acknowledge":
            for alert in self.standing():
                said += super().answer(Answer("acknowledge", alert.id, "x"), now_s)
        return said


class EndsOnNone(AlertEngine):
    """Data that cannot tell count as all well."""

    def __init__(self, run_id, rules):
        super().__init__(run_id, rules, AlertSettings(clear_s=0.0))

    def step(self, findings, now_s):
        plain = [f if f.present is not None else _said(f, present=False) for f in findings]
        return super().step(plain, now_s)


class BelievesTheLastValue(AlertEngine):
    """Data that cannot tell count as what they were: a stale value is worse again."""

    def step(self, findings, now_s):
        return super().step(
            [f if f.present is not None else _said(f, present=True) for f in findings], now_s
        )


class FallsSilent(AlertEngine):
    """Without findings there is nothing to say."""

    def signal(self, now_s, patient=""):
        signal = super().signal(now_s, patient)
        told = [now_s - episode.told_s < 30.0 for episode in self._standing.values()]
        return signal if any(told) or not told else msgspec.structs.replace(signal, audible=False)


class KeepsPausesOfAnotherBoot(AlertEngine):
    """The end of a pause is taken for a time of this boot."""

    def restore(self, state, restart=None):
        super().restore(state, restart)
        other = AlertEngine("x", {})
        other.restore(state)
        self._silence = other._silence
        for mute in self._silence.mutes:
            mute.since_s = mute.since_s if restart is None else restart.now_s
        return []


class ForgetsPauses(AlertEngine):
    """A restart forgets what was paused, off and acknowledged."""

    def restore(self, state, restart=None):
        if restart is None:
            super().restore(state)
        return []


class StaysQuietWhenItGetsWorse(AlertEngine):
    """What was answered stays quiet, even when its priority has risen."""

    def step(self, findings, now_s):
        quiet = {a.rule: a for a in self.standing() if a.state is AlertState.ACKNOWLEDGED}
        said = super().step(findings, now_s)
        for alert in self.standing():
            if alert.rule in quiet and alert.state is AlertState.ACTIVE:
                said += super().answer(Answer("acknowledge", alert.id, "x"), now_s)
        return said


class BelievesAnAnswerForEver(AlertEngine):
    """Who answered in the evening has answered for what is found in the morning."""

    def __init__(self, run_id, rules):
        super().__init__(run_id, rules, AlertSettings(answer_s=1e12))


def test_the_search_finds_an_answer_that_is_believed_for_ever():
    with pytest.raises(BrokenPromiseError, match="stays silent"):
        explore(("low yes", "ack low", "nothing 130"), 4, kind=BelievesAnAnswerForEver)


def _said(finding, *, present):
    evidence = {"x": 1.0} if present else {}
    return type(finding)(finding.patient, finding.rule, finding.at_s, present, "guessed", evidence)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (HidesHigher, "stays silent|hides a higher priority"),
        (AnswersForTheFamily, "stays silent|hides a higher priority"),
        (EndsOnNone, "ends on None"),
        (BelievesTheLastValue, "alarms on stale data"),
        (FallsSilent, "stays silent"),
        (KeepsPausesOfAnotherBoot, "stays silent|not marked"),
        (ForgetsPauses, "stays silent|sounds for nothing|not marked"),
        (StaysQuietWhenItGetsWorse, "stays silent|hides a higher priority"),
    ],
)
def test_the_search_finds_an_engine_with_a_fault(kind, fault):
    with pytest.raises(BrokenPromiseError, match=fault):
        explore(EVENTS, 3, kind=kind)
    with pytest.raises(BrokenPromiseError):
        wander_often(200, kind)


def test_every_event_of_people_happens_in_random_runs():
    happened = set()

    class Noting(World):
        def happen(self, event):
            happened.add(event)
            super().happen(event)

    chance, world = random.Random(1), Noting()  # noqa: S311
    for _ in range(2000):
        event = chance.choice(EVENTS)
        if world.possible(event):
            world.happen(event)
    assert happened >= set(PEOPLE)
    assert happened == set(EVENTS)
