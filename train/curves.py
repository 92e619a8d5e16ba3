"""An additive model as what it is: one curve for every input.

Boosted trees that may split on one input only each (``interaction_cst="no_interactions"``) sum to
a step function of every input. Written down as such the model has no hidden part: the log odds
are a base plus the sum of the curves, each curve can be drawn, and models fitted on different
people can be averaged curve by curve without loss.

A missing input is neutral: it contributes what it does on average in a normal window, exactly,
whatever the trees made of missing values. So a sensor that is off cannot raise a score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

SAME: Final = 1e-12
"""Heights nearer than this are one step."""
OPSETS: Final = {"": 18, "ai.onnx.ml": 3}


class CurveError(RuntimeError):
    """A model is not additive, so it has no curves."""


class Curve(msgspec.Struct, frozen=True, eq=False):
    """A step function of one input.

    Attributes
    ----------
    edges : NDArray[np.float32]
        Shape (k,), rising. Step i reaches up to and including ``edges[i]``.
    heights : NDArray[np.float64]
        Shape (k + 1,), log odds relative to a normal window.
    """

    edges: NDArray[np.float32]
    heights: NDArray[np.float64]

    def at(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the height at each x; 0 where x is NaN."""
        found: NDArray[np.float64] = np.where(
            np.isnan(x), 0.0, self.heights[np.searchsorted(self.edges, x)]
        )
        return found


class Additive(msgspec.Struct, frozen=True, eq=False):
    """Log odds = `base_logit` + the sum of the curves.

    Attributes
    ----------
    names : tuple[str, ...]
        Inputs, in order.
    base_logit : float
        Log odds when every input is at its normal mean contribution, or missing.
    curves : tuple[Curve, ...]
        One for each name.
    reference : NDArray[np.float64]
        Shape (d,), mean contribution of each input over normal windows before it was taken off
        the curve, relative to the curve's middle height.
    """

    names: tuple[str, ...]
    base_logit: float
    curves: tuple[Curve, ...]
    reference: NDArray[np.float64]

    def contributions(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each input's addend, shape (n, d), for rows x of shape (n, d)."""
        return np.column_stack([c.at(x[:, j]) for j, c in enumerate(self.curves)])

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log odds, shape (n,)."""
        found: NDArray[np.float64] = self.base_logit + self.contributions(x).sum(axis=1)
        return found

    def probabilities(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability that a window is anomalous, shape (n,)."""
        return 1.0 / (1.0 + np.exp(-self.logits(x)))


def read_curves(
    model: Any,  # noqa: ANN401  # scikit-learn has no types
    names: Sequence[str],
    normal: NDArray[np.float32],
) -> Additive:
    """Return the curves of a fitted ``HistGradientBoostingClassifier`` without interactions.

    Parameters
    ----------
    model : HistGradientBoostingClassifier
        Fitted with ``interaction_cst="no_interactions"`` on values that float32 can hold.
    names : Sequence[str]
        Its inputs, in order.
    normal : NDArray[np.float32]
        Shape (n, d), normal windows; contributions are relative to their mean.

    Raises
    ------
    CurveError
        A tree splits on two inputs.

    Notes
    -----
    The edges come from the trees skl2onnx writes. It rounds a threshold to the nearest float32
    (onnx/sklearn-onnx#1192), so the true step for float32 inputs ends at that number or at the
    one below it: both are probed, scikit-learn itself tells the heights, and steps of equal
    height become one.
    """
    exported = [_probes(values) for values in _thresholds(model, normal[:1])]
    origin = np.nan_to_num(np.nanmedian(normal, axis=0)).astype(np.float32)
    rows = np.repeat(origin[None], 1 + sum(map(len, exported)), axis=0)
    first = 1  # row 0 stays at the origin
    for j, probes in enumerate(exported):
        rows[first : first + len(probes), j] = probes
        first += len(probes)
    at_origin, *logits = _decide(model, rows)
    curves, reference = [], []
    first = 0
    for j, probes in enumerate(exported):
        curve = _steps(probes, np.array(logits[first : first + len(probes)]) - at_origin)
        first += len(probes)
        seen = normal[np.isfinite(normal[:, j]), j]
        mean = float(curve.at(seen).mean()) if len(seen) else 0.0
        reference.append(mean)
        curves.append(Curve(curve.edges, curve.heights - mean))
    base_logit = float(at_origin + sum(reference))
    return Additive(tuple(names), base_logit, tuple(curves), np.array(reference))


def average(models: Sequence[Additive]) -> Additive:
    """Return the mean of several models over the same inputs; exact, since all are additive."""
    curves = []
    for j in range(len(models[0].names)):
        edges = np.unique(np.concatenate([m.curves[j].edges for m in models]))
        probes = np.append(edges, np.float32(np.finfo(np.float32).max))
        heights = np.mean([m.curves[j].at(probes) for m in models], axis=0)
        curves.append(_steps(probes, heights))
    return Additive(
        models[0].names,
        float(np.mean([m.base_logit for m in models])),
        tuple(curves),
        np.mean([m.reference for m in models], axis=0),
    )


def _decide(model: Any, rows: NDArray[np.float32]) -> NDArray[np.float64]:  # noqa: ANN401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        return np.asarray(model.decision_function(rows.astype(np.float64)), np.float64)


def _probes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return every place a step may end, rising; the largest number probes the last step."""
    below = np.nextafter(values, np.float32(-np.inf))
    last = np.array([np.finfo(np.float32).max], np.float32)
    return np.unique(np.concatenate([below, values, last]))


def _steps(probes: NDArray[np.float32], heights: NDArray[np.float64]) -> Curve:
    """Return the curve whose step i ends at ``probes[i]``, equal neighbours merged."""
    is_end = np.abs(np.diff(heights)) > SAME
    return Curve(probes[:-1][is_end], np.append(heights[:-1][is_end], heights[-1]))


def _thresholds(model: Any, row: NDArray[np.float32]) -> list[NDArray[np.float32]]:  # noqa: ANN401
    """Return for each input the thresholds of the trees that split on it."""
    nodes = exported_trees(model, row)
    feature_of: dict[int, int] = {}
    found: list[list[float]] = [[] for _ in range(row.shape[1])]
    for tree, feature, value, mode in zip(
        nodes["nodes_treeids"],
        nodes["nodes_featureids"],
        nodes["nodes_values"],
        nodes["nodes_modes"],
        strict=True,
    ):
        if mode == b"LEAF":
            continue
        if feature_of.setdefault(tree, feature) != feature:
            raise CurveError(
                f"tree {tree} splits on two inputs; fit with interaction_cst='no_interactions'"
            )
        found[feature].append(value)
    return [np.unique(np.array(values, np.float32)) for values in found]


def exported_trees(model: Any, row: NDArray[np.float32]) -> dict[str, Any]:  # noqa: ANN401
    """Return the attributes of the tree ensemble that skl2onnx makes of a boosted model."""
    from onnx import helper

    graph = plain_onnx(model, row).graph
    node = next(n for n in graph.node if n.op_type.startswith("TreeEnsemble"))
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def plain_onnx(model: Any, row: NDArray[np.float32]) -> Any:  # noqa: ANN401  # onnx: no types
    """Return skl2onnx's own conversion of a boosted model, opset `OPSETS`."""
    from skl2onnx import to_onnx

    with _whole_number_flags():
        return to_onnx(model, row, target_opset=OPSETS, options={"zipmap": False})


@contextmanager
def _whole_number_flags() -> Iterator[None]:
    # skl2onnx 1.20 hands a bool to an attribute of integers, which protobuf 7 refuses.
    from skl2onnx.common import tree_ensemble

    add_node = tree_ensemble.add_node
    flag = "nodes_missing_value_tracks_true"

    def add_whole(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if flag in kwargs:
            kwargs[flag] = int(kwargs[flag])
        return add_node(*args, **kwargs)

    tree_ensemble.add_node = add_whole
    try:
        yield
    finally:
        tree_ensemble.add_node = add_node
