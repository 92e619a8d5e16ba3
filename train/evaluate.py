"""How well the monitor finds beats and anomalous windows, record by record.

Beats: the pipeline's own against the cardiologists', as ANSI/AAMI EC57 counts them
(`train.ec57`). Windows: by models that never saw the person, each with a threshold from the other
people. Every figure comes with its interval over people, because people are what varies.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.records import WINDOW_S, Features
from edge.scorer import Scorer
from train.ec57 import BeatCounts, compare
from train.fit import FALSE_PER_H, CrossValidated, final_threshold, sensitivity_by_kind
from train.metrics import (
    Scored,
    auroc,
    brier,
    by_subject,
    calibration,
    false_episodes_per_h,
    sensitivity_at,
    threshold_at,
)
from train.recordings import SAME_SUBJECT, Recording, read_annotations
from train.table import Run, Table

RATES_PER_H: Final = (1.0, 6.0)
"""False windows an hour at which the sensitivity is given."""
RULE: Final = (3, 6)
"""Hits needed of the last windows, as `edge.alarms.anomaly` is set by default."""
GAPS: Final = (
    "Atrial fibrillation comes from two people only, ventricular tachycardia from two minutes.",
    "Ventricular flutter comes from one person; figures for it say little.",
    "Every recording is a two-lead Holter tape of the 1970s; nobody at home, nobody exercising.",
    "It has not been shown children, or anybody with a pacemaker.",
    "The first lead was nearly always a modified lead II; elsewhere beats look different.",
    "A premature beat of supraventricular origin is found far less often than a ventricular one.",
    "Ischaemia (ST), the QT interval and conduction blocks with regular beats are not looked for.",
    "A heart that always beats abnormally in the same way can look normal.",
    "Chosen and tested on the same people by cross-validation; no other database was tried.",
)


def count_beats(
    recordings: Sequence[Recording], runs: Mapping[str, Run]
) -> Iterator[tuple[str, BeatCounts]]:
    """Yield each record's name and how its beats were found, from 5:00 on, within 150 ms."""
    for recording in recordings:
        marks = read_annotations(recording)
        spans = [(a / marks.fs_hz, (b - 1) / marks.fs_hz) for a, b in marks.flutter]
        found = runs[recording.name].beat_idx
        yield (
            recording.name,
            compare(marks.beat_idx.tolist(), found.tolist(), marks.fs_hz, excluded_s=spans),
        )


def beat_facts(counts: BeatCounts) -> dict[str, Any]:
    """Return counts and rates of beats under the names printed for people and machines."""
    return {
        "tp": counts.tp,
        "fn": counts.fn,
        "fp": counts.fp,
        "se_pct": _percent(counts.se),
        "ppv_pct": _percent(counts.ppv),
    }


def record_facts(table: Table, result: CrossValidated) -> dict[str, dict[str, Any]]:
    """Return for each record how its windows were told apart by a model that never saw it."""
    rows = table.rows(table.readable)
    called = result.as_met()
    facts = {}
    for name in np.unique(rows.record).tolist():
        own = rows.record == name
        scored = result.scored.rows(own)
        normal, anomalous = own & ~rows.anomalous, own & rows.anomalous
        facts[name] = {
            "n_normal": int(normal.sum()),
            "n_anomalous": int(anomalous.sum()),
            "n_abstained": int(result.abstained[own].sum()),
            "auroc": _number(auroc(scored)),
            "se_pct": _share_pct(called, anomalous),
            "n_false": int(called[normal].sum()),
            "false_per_h": _number(_rate_per_h(called, normal), 2),
        }
    return facts


def model_facts(table: Table, result: CrossValidated) -> dict[str, Any]:
    """Return the gross figures of a cross-validated model; they also go on its card."""
    rows = table.rows(table.readable)
    scored, normal = result.scored, ~rows.anomalous
    called = result.as_met()
    able = ~result.abstained
    probabilities = 1.0 / (1.0 + np.exp(-scored.scores[able]))
    limit = threshold_at(scored, FALSE_PER_H)
    facts: dict[str, Any] = {
        "n_subjects": len(np.unique(rows.subject)),
        "n_windows": len(normal),
        "anomalous_pct": _percent(float(rows.anomalous.mean())),
        "normal_h": round(float(normal.sum()) * WINDOW_S / 3600.0, 2),
        "abstained_pct": _percent(float(result.abstained.mean())),
        "auroc": _interval(auroc, result),
    }
    for rate in RATES_PER_H:
        figure = f"se_pct_at_{rate:g}_false_per_h"
        facts[figure] = _interval(lambda s, rate=rate: 100.0 * sensitivity_at(s, rate), result, 1)
    facts["threshold"] = round(final_threshold(result), 6)
    facts["as_met_by_a_stranger"] = {
        "se_pct": _share_pct(called, rows.anomalous),
        "false_per_h": _number(_rate_per_h(called, normal), 2),
    }
    facts["se_pct_by_kind"] = {
        kind: _percent(se) for kind, se in sensitivity_by_kind(result, rows.why, limit).items()
    }
    facts["false_episodes_per_h"] = _number(
        false_episodes_per_h(scored, rows.record, limit, *RULE), 2
    )
    facts["brier"] = _number(brier(probabilities, rows.anomalous[able]))
    facts["calibration"] = [
        [round(mean, 3), round(share, 3), n]
        for mean, share, n in calibration(probabilities, rows.anomalous[able])
    ]
    return facts


def shipped_facts(table: Table, scorer: Scorer) -> dict[str, Any] | None:
    """Return how the shipped model does on people it was not trained on; None without any.

    The threshold is the one on its card: nothing is chosen here.
    """
    trained_on = [record for source in scorer.card.sources for record in source.records]
    known = {SAME_SUBJECT.get(record, record) for record in trained_on}
    rows = table.rows(table.readable & ~np.isin(table.subject, sorted(known)))
    if not len(rows.why):
        return None
    scores = np.array([_score(rows, i, scorer) for i in range(len(rows.why))])
    scored = Scored(scores, rows.anomalous, rows.subject, WINDOW_S)
    called = scores >= scorer.card.threshold
    return {
        "model_id": scorer.card.model_id,
        "n_subjects": len(np.unique(rows.subject)),
        "n_windows": len(scores),
        "anomalous_pct": _percent(float(rows.anomalous.mean())),
        "abstained_pct": _percent(float(np.isneginf(scores).mean())),
        "auroc": _number(auroc(scored)),
        "se_pct": _share_pct(called, rows.anomalous),
        "false_per_h": _number(_rate_per_h(called, ~rows.anomalous), 2),
    }


def _score(rows: Table, i: int, scorer: Scorer) -> float:
    """Return the model's answer to one row; minus infinity where it abstained."""
    named = dict(zip(rows.names, rows.values[i].tolist(), strict=True))
    value = scorer.score(Features("", float(rows.starts_s[i]), WINDOW_S, named)).value
    return -math.inf if math.isnan(value) else value


def _interval(figure: Any, result: CrossValidated, digits: int = 3) -> list[float]:  # noqa: ANN401
    found = by_subject(figure, result.scored)
    return [round(x, digits) for x in (found.value, found.low, found.high)]


def _share_pct(called: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> float | None:
    return _percent(float(called[chosen].mean())) if chosen.any() else None


def _rate_per_h(called: NDArray[np.bool_], normal: NDArray[np.bool_]) -> float:
    if not normal.any():
        return math.nan
    return float(called[normal].mean()) * 3600.0 / WINDOW_S


def _percent(share: float) -> float | None:
    return _number(100.0 * share, 2)


def _number(value: float, digits: int = 3) -> float | None:
    """Return the value as JSON can hold it: null where it does not exist."""
    return None if math.isnan(value) else round(value, digits)
