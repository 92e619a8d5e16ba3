"""Table -> an additive model, tested on people it has not seen.

Gradient boosting whose trees may each look at one input only (Lou, Caruana & Gehrke 2012,
doi:10.1145/2339530.2339556): in the prototype it found as much as unrestricted boosting, and
every contribution is exact. The model is the mean of several such fits, each on people drawn with
replacement: the mean of additive models is additive again (`train.curves.average`), so this
steadies the curves and costs the monitor nothing.

Everything is split by subject. The threshold comes from out-of-fold scores of normal windows, so
no model scored its own people; the threshold itself saw all of them. What it does to somebody
whose windows had no part in it is `CrossValidated.as_met`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.records import WINDOW_S
from train.curves import Additive, average, read_curves
from train.metrics import Scored, sensitivity, threshold_at
from train.table import Table

FALSE_PER_H: Final = 1.0
"""False anomalous windows an hour of normal windows, before the alarm rule's "m of the last n",
which can only lower it. Met on average over the people the threshold was taken from; on somebody
new it varies widely (`CrossValidated.as_met`)."""

NEEDS: Final = ("corr_min", "mean_rr_ms")
"""Without a beat's shape or an interval there is nothing to judge: the model abstains."""
FLOORS: Final = {"quality": 0.3}
"""Below this the beats themselves are not to be trusted."""

Progress = Callable[[Sequence[str]], Iterable[str]]


class Recipe(msgspec.Struct, frozen=True):
    """How one model is fitted."""

    n_trees: int = 300
    learning_rate: float = 0.06
    n_leaves: int = 6
    min_leaf: int = 40
    l2: float = 5.0
    n_bags: int = 5
    seed: int = 1


class CrossValidated(msgspec.Struct, frozen=True, eq=False):
    """What models that had not seen the person say of each window.

    Attributes
    ----------
    scored : Scored
        Log odds; minus infinity where the model abstains.
    abstained : NDArray[np.bool_]
        Shape (n,).
    thresholds : Mapping[str, float]
        For each subject the threshold (log odds) at `FALSE_PER_H` that the other subjects' normal
        windows give: using it on the subject is what a stranger will meet.
    """

    scored: Scored
    abstained: NDArray[np.bool_]
    thresholds: Mapping[str, float]

    def as_met(self) -> NDArray[np.bool_]:
        """Return the windows called anomalous with each subject's threshold from the others."""
        limits = np.array([self.thresholds[s] for s in self.scored.subject])
        return np.asarray(self.scored.scores >= limits)


def may_score(table: Table) -> NDArray[np.bool_]:
    """Return for each row whether the monitor's scorer would answer; as `edge.scorer` decides."""
    from edge.scorer import LEAST_SHARE

    finite = np.isfinite(table.values)
    able = finite.mean(axis=1) >= LEAST_SHARE
    for name in NEEDS:
        if name in table.names:
            able &= finite[:, table.names.index(name)]
    for name, floor in FLOORS.items():
        if name in table.names:
            able &= table.values[:, table.names.index(name)] >= np.float32(floor)
    return np.asarray(able)


def fit_model(table: Table, recipe: Recipe | None = None) -> Additive:
    """Return the mean of `Recipe.n_bags` models, each fitted on people drawn with replacement.

    Raises
    ------
    ValueError
        The table has no normal or no anomalous window.
    """
    recipe = recipe or Recipe()
    rows = table.rows(may_score(table) & table.readable)
    anomalous = rows.anomalous
    if not 0 < np.count_nonzero(anomalous) < len(anomalous):
        raise ValueError("the table needs normal and anomalous windows; give more recordings")
    normal = rows.values[~anomalous]
    bags = [
        read_curves(_boost(rows.values[drawn], anomalous[drawn], recipe), rows.names, normal)
        for drawn in _draw_people(rows.subject, recipe)
    ]
    return average(bags)


def cross_validate(
    table: Table, recipe: Recipe | None = None, progress: Progress = iter
) -> CrossValidated:
    """Score each subject's windows with a model fitted on all other subjects."""
    able = may_score(table)
    logits = np.full(len(able), -np.inf)
    subjects = np.unique(table.subject).tolist()
    for subject in progress(subjects):
        own = table.subject == subject
        model = fit_model(table.rows(~own), recipe)
        logits[own & able] = model.logits(table.values[own & able])
    readable = table.readable
    scored = Scored(logits, table.anomalous, table.subject, WINDOW_S)
    thresholds = {
        s: threshold_at(scored.rows(readable & (table.subject != s)), FALSE_PER_H) for s in subjects
    }
    return CrossValidated(scored.rows(readable), ~able[readable], thresholds)


def final_threshold(result: CrossValidated) -> float:
    """Return the probability from which a window is anomalous, at `FALSE_PER_H` out of fold."""
    logit = threshold_at(result.scored, FALSE_PER_H)
    return float(1.0 / (1.0 + np.exp(-logit)))


def sensitivity_by_kind(
    result: CrossValidated, why: NDArray[np.int16], threshold: float
) -> dict[str, float]:
    """Return the sensitivity for windows of each kind (`train.recordings.Why`), by its name."""
    from train.recordings import ANOMALOUS

    return {
        kind.name or "": sensitivity(result.scored.rows((why & int(kind)) != 0), threshold)
        for kind in ANOMALOUS
    }


def _boost(values: NDArray[np.float32], anomalous: NDArray[np.bool_], recipe: Recipe) -> Any:  # noqa: ANN401
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = HistGradientBoostingClassifier(
        max_iter=recipe.n_trees,
        learning_rate=recipe.learning_rate,
        max_leaf_nodes=recipe.n_leaves,
        min_samples_leaf=recipe.min_leaf,
        l2_regularization=recipe.l2,
        interaction_cst="no_interactions",
        early_stopping=False,
        random_state=recipe.seed,
    )
    # One thread adds up in one order: the same model on every machine. It is also quicker here.
    with threadpool_limits(1):
        return model.fit(values, anomalous)


def _draw_people(subject: NDArray[np.str_], recipe: Recipe) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each bag: everybody's once where there is one bag only."""
    if recipe.n_bags == 1:
        yield np.arange(len(subject))
        return
    rng = np.random.default_rng(recipe.seed)
    rows_of = [np.flatnonzero(subject == person) for person in np.unique(subject)]
    for _ in range(recipe.n_bags):
        drawn = rng.integers(len(rows_of), size=len(rows_of))
        yield np.concatenate([rows_of[person] for person in drawn])
