"""The box as the pipeline watches over it: once a second, whoever lies beside it.

Rules of the box are no patient's: their findings have no patient, no signal and no summary of
anybody changes because of them, and they are asked before the first patient is known. They are
asked as soon as anything has been told of the box, so that a recording of a patient alone is
replayed without them.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.events import BoxHealth
from edge.pipeline.rules import PatientRules
from edge.pipeline.watched import NOBODY
from edge.records import SECOND_S, Features


class Box:
    """What is known of the box, and the rules that watch over it.

    Parameters
    ----------
    rules : PatientRules
        The rules of the box.
    """

    def __init__(self, rules: PatientRules) -> None:
        self.rules = rules
        self.facts: Mapping[str, float] = {}
        """Of this second, by name."""
        self._known: dict[str, BoxHealth] = {}

    def know(self, stream: str, told: BoxHealth) -> None:
        """Take what was told of the box; it takes the place of what the same stream told before."""
        self._known[stream] = told

    def see_second(self, now_s: float) -> Features | None:
        """Return what the rules of the box are to see; None while nothing is known of it."""
        if not self._known:
            return None
        self.facts = {n: v for told in self._known.values() for n, v in told.at(now_s).items()}
        return Features(NOBODY, now_s - SECOND_S, SECOND_S, self.facts)
