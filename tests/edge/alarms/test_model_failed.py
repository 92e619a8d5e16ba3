"""A model that fails is told, and nothing else stops."""

import math

import pytest

from edge.alarms.model_failed import RULE
from edge.assemble import NoModel, assemble, open_scorer
from edge.pipeline import PipelineSettings
from edge.readers import simulated
from edge.records import Alert, AlertState, Features, Kind, Priority, ScorerError


@pytest.mark.parametrize(
    ("values", "present"),
    [
        ({"model_failed_flag": 1.0}, True),
        ({"model_failed_flag": 0.0}, False),
        ({"model_failed_flag": math.nan}, None),
        ({}, None),
    ],
)
def test_it_says_what_the_last_window_said(values, present):
    finding = RULE.step(RULE.start, Features("p1", 0.0, 1.0, values), None, RULE.settings)[1]

    assert finding.present is present


def test_it_is_technical_and_low():
    assert (RULE.kind, RULE.priority) == (Kind.TECHNICAL, Priority.LOW)


class Mends(NoModel):
    """A model that fails on its first windows and works from then on."""

    def __init__(self, scorer, n_failing):
        super().__init__("out of order")
        self.scorer, self.left = scorer, n_failing

    def score(self, features):
        self.left -= 1
        return super().score(features) if self.left >= 0 else self.scorer.score(features)


def alerts(scorer):
    packets = list(simulated.packets(simulated.Settings(scenario="demo", duration_s=110.0)))
    watched = assemble(PipelineSettings(), "test", scorer=scorer)
    records = watched.advance(packets, 110.0).records
    return [r for r in records if isinstance(r, Alert)], watched.live()


def test_without_a_model_the_limits_go_on_and_the_fault_is_an_alert():
    found, live = alerts(NoModel("the file is gone"))
    raised = {a.rule for a in found if a.state is AlertState.RAISED}

    assert {"model_failed", "very_low_spo2", "low_spo2"} <= raised
    assert sum("the file is gone" in note for note in live.notes) == 1


def test_a_model_that_comes_back_ends_it():
    found, _ = alerts(Mends(open_scorer(), 4))
    states = [a.state for a in found if a.rule == "model_failed"]

    assert states == [AlertState.RAISED, AlertState.ENDED]


def test_a_model_that_is_not_there_says_so():
    with pytest.raises(ScorerError, match="gone"):
        NoModel("gone").score(Features("p", 0.0, 10.0, {}))
