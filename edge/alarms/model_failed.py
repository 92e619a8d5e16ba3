"""The anomaly model gives no score.

Present from the first window that the model failed on until the first one it scored again. The
limit alarms do not depend on it (the model can only add); a carer should still know that one pair
of eyes is missing. Abstaining, for want of a usable signal, is not failing. None where no model
was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "model_failed"


def step(
    state: None, seen: Features, _score: Score | None, _settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Say whether the model failed on the last window; see the module."""
    failed = seen.values.get("model_failed_flag", nan)
    if isnan(failed):
        return state, Finding(seen.patient, NAME, seen.end_s, None, "no model was asked for")
    if failed == 0.0:
        return state, Finding(seen.patient, NAME, seen.end_s, False, "model scores")  # noqa: FBT003
    reason = "the anomaly model gives no score; limit alarms go on"
    evidence = {"model_failed_flag": failed}
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, evidence)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.LOW,
    latching=False,
    every_s=SECOND_S,
    needs=("ecg_mv", "spo2_pct", "pleth_au", "rr_ms"),
    settings={},
    limits={},
    start=None,
    step=step,
    source="DESIGN 1: a missing, slow or broken model is a technical alert; hazard H10",
    category=Category.EQUIPMENT,
)
