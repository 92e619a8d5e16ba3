"""Features -> Score: how unlike normal a window looks, and which numbers made it so.

The only file that knows onnxruntime. The model is an additive one: every input has its own curve,
the log odds are a constant plus the sum of the curves, so the contributions in a `Score` are the
model itself and not an explanation made up afterwards. The constant is what a normal window gets;
an input that is missing adds exactly nothing to it.

A model can only add: nothing here mutes or delays a limit alarm.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from edge.bundle import Bundle, ModelCard
from edge.records import Features, Score, ScorerError

LEAST_SHARE: Final = 0.5
"""The model abstains when fewer than this share of its inputs could be computed."""
GOLDEN_TOLERANCE: Final = 1e-4
"""How far a golden vector's probability may be off: another processor rounds differently."""
PROVIDER: Final = "CPUExecutionProvider"
INPUT: Final = "features"
OUTPUTS: Final = ("probability", "contributions")
DECIMALS: Final = 6
"""Places kept of what the model says: float32 holds no more."""


class Scorer:
    """One model, loaded and tested.

    Parameters
    ----------
    bundle : Bundle
        From `edge.bundle.load`.

    Raises
    ------
    ScorerError
        The runtime is missing or refuses the model, the model's shape is not what its card
        says, or a golden vector gives another answer than its maker's.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.card: ModelCard = bundle.card
        self._session = _open_session(bundle)
        _check_shape(self._session, bundle)
        n = len(self.card.features)
        self._row = np.empty((1, n), np.float32)
        self._feed = {INPUT: self._row}
        self._outputs = list(OUTPUTS)
        self._n_least = math.ceil(LEAST_SHARE * n)
        self._needs = np.array([name in self.card.needs for name in self.card.features])
        # NaN compares false with every floor, so a missing quality abstains as a low one does.
        floors = [self.card.floors.get(name, -math.inf) for name in self.card.features]
        self._floors = np.array(floors, np.float32)
        self._has_floor = np.isfinite(self._floors)
        self.self_test()

    @property
    def model_id(self) -> str:
        """What every `Score` of this model carries."""
        return self.card.model_id

    def score(self, features: Features) -> Score:
        """Return the score of one window.

        Parameters
        ----------
        features : Features
            Inputs by name; others are ignored, absent ones count as missing.

        Returns
        -------
        Score
            ``value`` is NaN and ``contributions`` empty where the model abstains: an input it
            needs is missing, a quality is below its floor, or fewer than `LEAST_SHARE` of its
            inputs could be computed.

        Raises
        ------
        ScorerError
            The model failed or gave something that is no probability.
        """
        value = math.nan
        contributions: dict[str, float] = {}
        if self._fill(features):
            probability, addends = self._run()
            value = round(probability, DECIMALS)
            rounded = addends.astype(np.float64).round(DECIMALS).tolist()
            contributions = dict(zip(self.card.features, rounded, strict=True))
        return Score(
            patient=features.patient,
            start_s=features.start_s,
            length_s=features.length_s,
            value=value,
            contributions=contributions,
            threshold=self.card.threshold,
            model_id=self.card.model_id,
        )

    def self_test(self) -> float:
        """Put every golden vector through the model; return the largest difference.

        Raises
        ------
        ScorerError
            A difference is larger than `GOLDEN_TOLERANCE`.
        """
        worst = 0.0
        for golden in self.card.golden:
            self._row[0] = [math.nan if x is None else x for x in golden.inputs]
            probability, _ = self._run()
            worst = max(worst, abs(probability - golden.probability))
        if worst > GOLDEN_TOLERANCE:
            raise ScorerError(
                f"model {self.card.model_id} answers a golden vector wrongly, off by {worst:.2g} "
                f"(allowed {GOLDEN_TOLERANCE:g}): this processor or this onnxruntime computes it "
                f"otherwise; reinstall onnxruntime or the model"
            )
        return worst

    def _fill(self, features: Features) -> bool:
        """Put the inputs in place; return whether the model may speak."""
        get = features.values.get
        row = self._row[0]
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite, then missing
            row[:] = [get(name, math.nan) for name in self.card.features]
        usable = np.isfinite(row)
        n_usable = int(np.count_nonzero(usable))
        if n_usable < usable.size:
            row[~usable] = math.nan
            if n_usable < self._n_least or (self._needs & ~usable).any():
                return False
        return bool(((row >= self._floors) | ~self._has_floor).all())

    def _run(self) -> tuple[float, Any]:
        try:
            probability, contributions = self._session.run(self._outputs, self._feed)
        except Exception as error:  # onnxruntime has no base class of its own for its errors
            raise ScorerError(f"model {self.card.model_id} failed: {error}") from error
        n = self._row.size
        if probability.shape != (1, 1) or contributions.shape != (1, n):
            raise ScorerError(
                f"model {self.card.model_id} answered in the shapes {probability.shape} and "
                f"{contributions.shape}, not in (1, 1) and (1, {n})"
            )
        value = float(probability[0, 0])
        if not 0.0 <= value <= 1.0:
            raise ScorerError(f"model {self.card.model_id} answered {value}, no probability")
        if not np.isfinite(contributions).all():
            raise ScorerError(f"model {self.card.model_id} gave a contribution that is no number")
        return value, contributions[0]


def _open_session(bundle: Bundle) -> Any:  # noqa: ANN401  # onnxruntime has no types
    try:
        # 30 MB and a tenth of a second: only who scores pays for it.
        import onnxruntime  # noqa: PLC0415
    except ImportError as error:
        raise ScorerError(
            f"onnxruntime cannot be imported ({error}); pip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4  # what goes wrong comes as an exception, once
    try:
        # Bytes that were checked are what runs, whatever happens to the file meanwhile.
        return onnxruntime.InferenceSession(bundle.model, options, providers=[PROVIDER])
    except Exception as error:  # onnxruntime has no base class of its own for its errors
        raise ScorerError(f"onnxruntime refuses the model in {bundle.folder}: {error}") from error


def _check_shape(session: Any, bundle: Bundle) -> None:  # noqa: ANN401  # onnxruntime has no types
    n = len(bundle.card.features)
    inputs = [(i.name, i.shape[-1]) for i in session.get_inputs()]
    outputs = {o.name: o.shape[-1] for o in session.get_outputs()}
    if inputs != [(INPUT, n)] or outputs != dict(zip(OUTPUTS, (1, n), strict=True)):
        raise ScorerError(
            f"the model in {bundle.folder} takes {inputs} and gives {outputs}; its card promises "
            f"{n} inputs {INPUT!r}, one probability and {n} contributions"
        )
