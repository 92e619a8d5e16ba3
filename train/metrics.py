"""How well windows are told apart, with what uncertainty.

The figure that counts at a bedside is the sensitivity at a false-alarm rate people bear, and the
unit that varies is the person: intervals are made by drawing people, not windows, again and again
(Efron & Tibshirani 1993). The area under the ROC curve is given because everybody knows it; at
40 % anomalous windows it flatters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

N_DRAWS: Final = 1000
SEED: Final = 20260
HOUR_S: Final = 3600.0


class Interval(msgspec.Struct, frozen=True):
    """A figure and the 95 % interval over people."""

    value: float
    low: float
    high: float


class Scored(msgspec.Struct, frozen=True, eq=False):
    """Windows with the answer and what the model said.

    Attributes
    ----------
    scores : NDArray[np.float64]
        Shape (n,), higher is more anomalous; minus infinity where the model abstained, because an
        abstention alarms nobody.
    anomalous : NDArray[np.bool_]
        Shape (n,).
    subject : NDArray[np.str_]
        Shape (n,).
    window_s : float
        Length of a window.
    """

    scores: NDArray[np.float64]
    anomalous: NDArray[np.bool_]
    subject: NDArray[np.str_]
    window_s: float

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Scored:
        """Return the chosen rows only."""
        return Scored(
            self.scores[chosen], self.anomalous[chosen], self.subject[chosen], self.window_s
        )


def auroc(scored: Scored) -> float:
    """Return the area under the ROC curve, ties counted half; NaN when one class is missing."""
    from scipy.stats import rankdata

    n_anomalous = int(scored.anomalous.sum())
    n_normal = len(scored.anomalous) - n_anomalous
    if not n_anomalous or not n_normal:
        return float("nan")
    ranks = rankdata(scored.scores)[scored.anomalous].sum()
    return float((ranks - n_anomalous * (n_anomalous + 1) / 2) / (n_anomalous * n_normal))


def threshold_at(scored: Scored, false_per_h: float) -> float:
    """Return the lowest score at which normal windows reach `false_per_h` or fewer.

    A window counts when its score is at or above the threshold. All hours of normal windows are
    pooled: a person with few of them has no rate of their own.

    Raises
    ------
    ValueError
        There is no normal window.
    """
    normal = np.sort(scored.scores[~scored.anomalous])[::-1]
    if not len(normal):
        raise ValueError("no normal window to take a threshold from")
    n_allowed = int(false_per_h * len(normal) * scored.window_s / HOUR_S)
    if n_allowed >= len(normal):
        return float(normal[-1])
    return float(np.nextafter(normal[n_allowed], np.inf))


def sensitivity(scored: Scored, threshold: float) -> float:
    """Return the share of anomalous windows at or above `threshold`; NaN without any."""
    if not scored.anomalous.any():
        return float("nan")
    return float((scored.scores[scored.anomalous] >= threshold).mean())


def false_rate_per_h(scored: Scored, threshold: float) -> float:
    """Return how many normal windows an hour of them are at or above; NaN without any."""
    normal = scored.scores[~scored.anomalous]
    if not len(normal):
        return float("nan")
    return float((normal >= threshold).mean() * HOUR_S / scored.window_s)


def sensitivity_at(scored: Scored, false_per_h: float) -> float:
    """Return the sensitivity where the threshold is taken from these very windows."""
    return sensitivity(scored, threshold_at(scored, false_per_h))


def by_subject(
    figure: Callable[[Scored], float], scored: Scored, n_draws: int = N_DRAWS
) -> Interval:
    """Return a figure with its 95 % interval from drawing people with replacement."""
    rng = np.random.default_rng(SEED)
    rows_of = [np.flatnonzero(scored.subject == s) for s in np.unique(scored.subject)]
    drawn = []
    for _ in range(n_draws):
        people = rng.integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[i] for i in people])
        if 0 < np.count_nonzero(scored.anomalous[rows]) < len(rows):
            drawn.append(figure(scored.rows(rows)))
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (float("nan"), float("nan"))
    return Interval(figure(scored), float(low), float(high))


def calibration(
    probabilities: NDArray[np.float64], anomalous: NDArray[np.bool_], n_bins: int = 10
) -> list[tuple[float, float, int]]:
    """Return (mean probability, share anomalous, windows) of each tenth that holds any."""
    bins = np.minimum((probabilities * n_bins).astype(int), n_bins - 1)
    return [
        (
            float(probabilities[bins == b].mean()),
            float(anomalous[bins == b].mean()),
            int((bins == b).sum()),
        )
        for b in np.unique(bins)
    ]


def brier(probabilities: NDArray[np.float64], anomalous: NDArray[np.bool_]) -> float:
    """Return the mean squared error of the probabilities (Brier 1950); 0.25 knows nothing."""
    return float(np.mean((probabilities - anomalous) ** 2))


def false_episodes_per_h(
    scored: Scored, record: NDArray[np.str_], threshold: float, n_needed: int, n_windows: int
) -> float:
    """Return how often an hour the alarm rule would begin an episode with normal windows only.

    Parameters
    ----------
    scored : Scored
        In time order within each record.
    record : NDArray[np.str_]
        Shape (n,), the record of each window; nothing is carried from one to the next.
    threshold : float
        Windows at or above are hits.
    n_needed, n_windows : int
        An episode holds while this many of the last so many windows are hits. One is false when
        no window among those that began it is anomalous.
    """
    n_false = 0
    hits, anomalous = scored.scores >= threshold, scored.anomalous
    for name in np.unique(record):
        rows = np.flatnonzero(record == name)
        active = False
        for i in range(len(rows)):
            last = rows[max(0, i - n_windows + 1) : i + 1]
            present = bool(np.count_nonzero(hits[last]) >= n_needed)
            n_false += int(present and not active and not anomalous[last].any())
            active = present
    hours = float(np.count_nonzero(~anomalous)) * scored.window_s / HOUR_S
    return n_false / hours if hours else float("nan")
