"""An additive model -> ``model.onnx`` and ``model.json``.

The graph has four operators. One TreeEnsembleRegressor with as many targets as inputs holds one
tree for each input: its curve, as a balanced search for the step the input lies on. Its output is
``contributions``; their sum and the base are the log odds, and their sigmoid the
``probability``. So what the monitor shows as the reason is what the model computed.

The root of each tree asks whether its input is a number at all: NaN compares false with
everything and leads to a leaf of exactly 0.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.bundle import (
    CARD_FILE,
    MAX_MODEL_BYTES,
    MODEL_FILE,
    Golden,
    ModelCard,
    Source,
    encode_card,
    load,
)
from edge.records import CONTEXT_S, WINDOW_S
from edge.scorer import INPUT, OUTPUTS, Scorer
from train.curves import OPSETS, Additive, Curve

ALLOWED: Final = frozenset(
    {("ai.onnx.ml", "TreeEnsembleRegressor"), ("", "ReduceSum"), ("", "Add"), ("", "Sigmoid")}
)
"""Operators a model of ours may hold, as (domain, name): nothing that loops, branches, reads
files or allocates by what it is told."""
IR_VERSION: Final = 9
PARITY: Final = 1e-5
"""How far the graph's probability may be from the model's."""
BIGGEST: Final = float(np.finfo(np.float32).max)
PROGRAMS: Final = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy")


class ExportError(RuntimeError):
    """The graph would not be what was fitted, or not what a monitor may load."""


class About(msgspec.Struct, frozen=True):
    """What the card says beside the model itself; see `edge.bundle.ModelCard`."""

    id: str
    version: str
    threshold: float
    sources: tuple[Source, ...]
    figures: Mapping[str, Any]
    known_gaps: tuple[str, ...]
    needs: tuple[str, ...] = ()
    floors: Mapping[str, float] = {}


def write_bundle(
    model: Additive, about: About, sample: NDArray[np.float32], folder: Path
) -> ModelCard:
    """Write ``model.onnx`` and ``model.json``, load them back as the monitor will, and check.

    Parameters
    ----------
    model : Additive
        What was fitted.
    about : About
        What the card says of it.
    sample : NDArray[np.float32]
        Shape (n, d), rows to check the graph with; golden vectors are made of their quantiles,
        so that no window of any person goes into the model folder.
    folder : Path
        Made when it does not exist.

    Raises
    ------
    ExportError
        The graph is not allowed, too large, or differs from `model` by more than `PARITY`.
    """
    graph = build_graph(model)
    check_graph(graph)
    content: bytes = graph.SerializeToString()
    if len(content) > MAX_MODEL_BYTES:
        raise ExportError(f"the model has {len(content)} bytes, at most {MAX_MODEL_BYTES} may be")
    worst = parity(content, model, np.concatenate([sample, trying_rows(model, sample)]))
    if worst > PARITY:
        raise ExportError(f"the graph's probability is off by {worst:.2g}, allowed {PARITY:g}")
    card = ModelCard(
        id=about.id,
        version=about.version,
        features=model.names,
        needs=about.needs,
        floors=about.floors,
        window_s=WINDOW_S,
        context_s=CONTEXT_S,
        threshold=about.threshold,
        reference=tuple(round(float(x), 6) for x in model.reference),
        sha256=hashlib.sha256(content).hexdigest(),
        made_with=versions(),
        sources=about.sources,
        figures=about.figures,
        known_gaps=about.known_gaps,
        golden=golden_vectors(model, sample),
    )
    text = encode_card(card)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(content)
    (folder / CARD_FILE).write_bytes(text)
    Scorer(load(folder))
    return card


def build_graph(model: Additive) -> Any:  # noqa: ANN401  # onnx has no types
    """Return the ONNX model of an additive model; input and outputs as `edge.scorer` names them.

    The batch is free so that tables can be scored at once; everything else has a fixed shape.
    """
    from onnx import TensorProto, helper, numpy_helper

    d = len(model.names)
    forest: Any = _forest(model.curves)
    probability, contributions = OUTPUTS
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor",
            [INPUT],
            [contributions],
            domain="ai.onnx.ml",
            n_targets=d,
            aggregate_function="SUM",
            post_transform="NONE",
            **forest,
        ),
        helper.make_node("ReduceSum", [contributions, "inputs_axis"], ["sum"], keepdims=1),
        helper.make_node("Add", ["sum", "base"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], [probability]),
    ]
    graph = helper.make_graph(
        nodes,
        "homeward",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", d])],
        [
            helper.make_tensor_value_info(probability, TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info(contributions, TensorProto.FLOAT, ["n", d]),
        ],
        [
            numpy_helper.from_array(np.array([1], np.int64), "inputs_axis"),
            numpy_helper.from_array(np.array([model.base_logit], np.float32), "base"),
        ],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="homeward"
    )


def check_graph(model: Any) -> None:  # noqa: ANN401  # onnx has no types
    """Check a graph before it may go into a bundle.

    Raises
    ------
    ExportError
        It is not valid ONNX, holds an operator not in `ALLOWED`, a graph in a graph, or a tensor
        kept in another file.
    """
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the graph is not valid ONNX: {error}") from error
    foreign = {(n.domain, n.op_type) for n in model.graph.node} - ALLOWED
    if foreign or model.functions:
        raise ExportError(f"operators that no model of ours may hold: {sorted(foreign)}")
    for tensor in model.graph.initializer:
        if tensor.external_data or tensor.data_location != onnx.TensorProto.DEFAULT:
            raise ExportError(f"tensor {tensor.name!r} is kept in another file")


def parity(content: bytes, model: Additive, rows: NDArray[np.float32]) -> float:
    """Return the largest difference of the graph's probability from the model's over `rows`."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run([OUTPUTS[0]], {INPUT: rows})[0][:, 0]
    return float(np.abs(found - model.probabilities(rows)).max())


def trying_rows(model: Additive, sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows that lie on every edge of every curve, just beside it, and with NaN."""
    middle = _middle(sample)
    rows = [np.full_like(middle, np.nan)]
    for j, curve in enumerate(model.curves):
        above = np.nextafter(curve.edges, np.float32(np.inf))
        for x in np.concatenate([curve.edges, above, np.array([np.nan], np.float32)]):
            row = middle.copy()
            row[j] = x
            rows.append(row)
    return np.array(rows, np.float32)


def golden_vectors(model: Additive, sample: NDArray[np.float32]) -> tuple[Golden, ...]:
    """Return inputs with the answers the model gives: quantiles, missing ones, one on an edge."""
    quantiles = np.nan_to_num(np.nanquantile(sample, [0.02, 0.25, 0.5, 0.75, 0.98], axis=0))
    rows = [*quantiles.astype(np.float32)]
    half = rows[2].copy()
    half[::2] = np.nan
    on_edge = np.array(
        [c.edges[len(c.edges) // 2] if len(c.edges) else 0.0 for c in model.curves], np.float32
    )
    rows += [half, np.full_like(half, np.nan), on_edge]
    answers = model.probabilities(np.array(rows))
    return tuple(
        Golden(tuple(None if np.isnan(x) else float(x) for x in row), round(float(answer), 7))
        for row, answer in zip(rows, answers, strict=True)
    )


def versions() -> dict[str, str]:
    """Return the versions of what makes a model."""
    found = {name: importlib.metadata.version(name) for name in PROGRAMS}
    return {"python": platform.python_version(), **found}


def _middle(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.nan_to_num(np.nanmedian(sample, axis=0)), np.float32)


def _forest(curves: Sequence[Curve]) -> dict[str, list[Any]]:
    """Return the attributes of the ensemble: one tree for each curve that has a step."""
    nodes = _Nodes()
    for j, curve in enumerate(curves):
        if len(curve.edges):
            nodes.add_curve(j, curve)
    if not nodes.attributes["nodes_treeids"]:
        raise ExportError("no input has any say in the model; it was fitted on too little")
    return nodes.attributes


class _Nodes:
    """Writes down trees node by node, as ONNX wants them: a list for each attribute."""

    FIELDS = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids")
    MORE = ("falsenodeids", "missing_value_tracks_true")
    TARGETS = ("target_treeids", "target_nodeids", "target_ids", "target_weights")

    def __init__(self) -> None:
        names = [f"nodes_{field}" for field in self.FIELDS + self.MORE]
        self.attributes: dict[str, list[Any]] = {name: [] for name in (*names, *self.TARGETS)}
        self._n = 0

    def add_curve(self, j: int, curve: Curve) -> None:
        """Add the tree of input `j`: missing or not, then a balanced search."""
        self._n = 0
        root = self._branch(j, BIGGEST)
        search = self._search(j, curve, 0, len(curve.edges))
        self._point(root, search, self._leaf(j, 0.0))

    def _search(self, j: int, curve: Curve, first: int, last: int) -> int:
        if first == last:
            return self._leaf(j, float(curve.heights[first]))
        middle = (first + last) // 2
        node = self._branch(j, float(curve.edges[middle]))
        below = self._search(j, curve, first, middle)
        self._point(node, below, self._search(j, curve, middle + 1, last))
        return node

    def _branch(self, j: int, edge: float) -> int:
        return self._node(j, "BRANCH_LEQ", edge)

    def _leaf(self, j: int, height: float) -> int:
        node = self._node(j, "LEAF", 0.0)
        for name, value in zip(self.TARGETS, (j, node, j, height), strict=True):
            self.attributes[name].append(value)
        return node

    def _node(self, j: int, mode: str, value: float) -> int:
        node, self._n = self._n, self._n + 1
        row = (j, node, j, mode, value, 0, 0, 0)
        for name, entry in zip(self.FIELDS + self.MORE, row, strict=True):
            self.attributes[f"nodes_{name}"].append(entry)
        return node

    def _point(self, node: int, below: int, above: int) -> None:
        at = len(self.attributes["nodes_nodeids"]) - self._n + node
        self.attributes["nodes_truenodeids"][at] = below
        self.attributes["nodes_falsenodeids"][at] = above
