"""Windows that wait for the model, and what was told of it.

The model is asked at a fixed tick after a window was cut. Where it runs in a thread of its own
(`edge.daemon.model`) its score may not be there by then; this must not make the pipeline wait, and
a replay, in which the model answers at once, must do without the same scores. So the box says
before that tick, in a packet, what is not there (`edge.events.ModelTold`): late, there after all,
or failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from edge.events import ModelState, ModelTold
from edge.pipeline.settings import SCORE_LIMIT_S, SCORE_S
from edge.pipeline.watched import Watched
from edge.records import Features, Record, Score, ScorerError


class Waiting(msgspec.Struct):
    """A window whose features are known and whose score is not."""

    patient: Watched
    seen: Features
    due_s: float
    limit_s: float
    trouble: str = ""


class Scoring:
    """Asks for each window's score when it is due.

    Parameters
    ----------
    note : Callable
        Takes what the status should say.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self.waiting: list[Waiting] = []

    def add(self, patient: Watched, seen: Features, now_s: float) -> None:
        """Let a window wait for its score."""
        self.waiting.append(Waiting(patient, seen, now_s + SCORE_S, now_s + SCORE_LIMIT_S))

    def take(self, told: ModelTold, patients: Iterable[Watched], now_s: float) -> None:
        """Take what was told of the model."""
        if not told.patient:
            for patient in patients:
                self._miss(patient, told.reason)
            return
        for one in self.waiting:
            if (one.seen.patient, one.seen.start_s) != (told.patient, told.start_s):
                continue
            one.due_s = one.limit_s if told.state is ModelState.LATE else now_s
            if told.state is ModelState.FAILED:
                one.trouble = told.reason or "the model failed"

    def collect(
        self, now_s: float, out: list[Record]
    ) -> list[tuple[Watched, Features, Score | None]]:
        """Return the windows whose score is due, with it; None: there is none."""
        due = [one for one in self.waiting if one.due_s <= now_s]
        if not due:
            return []
        self.waiting = [one for one in self.waiting if one.due_s > now_s]
        return [(one.patient, one.seen, self._score(one, out)) for one in due]

    def _score(self, one: Waiting, out: list[Record]) -> Score | None:
        trouble = one.trouble
        if one.due_s == one.limit_s and not trouble:
            trouble = f"the model has not answered for {SCORE_LIMIT_S:g} s"
        if not trouble:
            try:
                return one.patient.take_score(one.seen, out)
            except ScorerError as error:
                trouble = str(error)
        self._miss(one.patient, trouble)
        return None

    def _miss(self, patient: Watched, reason: str) -> None:
        if not patient.model_failed:
            self._note(reason)
        patient.miss_score()
