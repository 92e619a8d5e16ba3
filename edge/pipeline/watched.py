"""One patient as the pipeline watches over them: second by second, and window by window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from edge.alarms import Rule, Scope
from edge.bedside import Bedside
from edge.explain import name_strongest
from edge.features import FeatureFamily
from edge.live import PatientLive
from edge.pipeline.heard import Listening
from edge.pipeline.rules import PatientRules, Watch
from edge.pipeline.settings import (
    SETTLED_LAG_S,
    WINDOW_LAG_S,
    PipelineSettings,
    RuleSettings,
    Scores,
)
from edge.records import (
    CONTEXT_S,
    SECOND_S,
    WINDOW_S,
    Features,
    Record,
    Score,
    Window,
)
from edge.summaries import Tally

NOBODY: Final = ""
"""The patient of a finding and of an alert that is the box's."""


class Stages(msgspec.Struct, frozen=True):
    """What every patient is watched with.

    Attributes
    ----------
    rules : Sequence
        Rules that anybody is watched with, or the box itself, and how they are set for the box.
    watch : Sequence
        Every rule, those that are switched off too.
    watch_of : Mapping
        The same for patients that are watched otherwise than the rest.
    box : Watch
        Every rule that watches over the box itself.
    vitals, families : Sequence[FeatureFamily]
        What is computed every second, and for every window.
    scorer : Scores | None
        The model.
    words : Mapping[str, str]
        Feature -> how people call it.
    """

    rules: Watch
    watch: Watch
    watch_of: Mapping[str, Watch]
    box: Watch
    vitals: Sequence[FeatureFamily]
    families: Sequence[FeatureFamily]
    scorer: Scores | None
    words: Mapping[str, str]

    @classmethod
    def of(
        cls,
        families: Sequence[FeatureFamily],
        rules: Sequence[Rule],
        scorer: Scores | None,
        settings: PipelineSettings,
    ) -> Stages:
        """Return the stages as they are set."""
        of_patients = [rule for rule in rules if rule.scope is Scope.PATIENT]
        everybody = _set(of_patients, settings.rules)
        watch_of = {name: _set(of_patients, told) for name, told in settings.rules_of.items()}
        box = _set([rule for rule in rules if rule.scope is Scope.BOX], settings.rules)
        watches = (everybody, *watch_of.values(), box)
        in_use = {rule.name for one in watches for rule, told in one if told.enabled}
        return cls(
            [(rule, told) for rule, told in (*everybody, *box) if rule.name in in_use],
            everybody,
            watch_of,
            box,
            [f for f in families if f.every_s == SECOND_S],
            [f for f in families if f.every_s == WINDOW_S],
            scorer,
            {name: text for f in families for name, text in f.words.items()},
        )

    def rules_of(self, patient: str) -> PatientRules:
        """Return the rules a patient begins with, or (`NOBODY`) the box."""
        watch = self.watch_of.get(patient, self.watch) if patient != NOBODY else self.box
        return PatientRules(watch, [rule.name for rule, _ in self.rules])


class Watched:
    """A bedside and what watches over it."""

    def __init__(self, bedside: Bedside, stages: Stages) -> None:
        self.bedside = bedside
        self._stages = stages
        self.rules = stages.rules_of(bedside.patient)
        self.spo2_scale = 1
        self.tally = Tally()
        self.vitals: Mapping[str, float] = {}
        self.score = math.nan
        self.n_windows = 0
        self.model_failed = False
        self._cut_s = -math.inf
        self.sources: set[str] = set()
        """Sensors whose link somebody told of."""
        self.listening = Listening()
        self.unheard: dict[str, float] = {}
        """Links that have brought nothing yet -> since when something is expected of them."""

    def see_tick(self, now_s: float, words: Mapping[str, float]) -> Features:
        """Return the vital signs of the second before a tick, for rules that are asked promptly.

        `words`: what silent sensors said last (`edge.pipeline.words`).
        """
        window = self.bedside.second(now_s, SECOND_S, CONTEXT_S)
        values = _compute(self._stages.vitals, window, self.bedside.signals)
        values.update(words)
        return Features(self.bedside.patient, now_s - SECOND_S, SECOND_S, values)

    def see_second(
        self,
        now_s: float,
        n_keys_lost: Callable[[set[str]], int],
        equipment: Mapping[str, float],
    ) -> Features:
        """Return the vital signs of the second that ends now, with what is told of the sensors."""
        window = self.bedside.second(now_s, SECOND_S, CONTEXT_S)
        values = _compute(self._stages.vitals, window, self.bedside.signals)
        if self._stages.scorer is not None:
            values["model_failed_flag"] = float(self.model_failed)
        values["n_awaited"] = float(len(window.age_s))
        if self.sources:
            values["n_keys_lost"] = float(n_keys_lost(self.sources))
        values["n_lead_off_flag"] = float(self.bedside.n_saying("lead_off_flag", 1.0, now_s))
        values["n_contact_flag"] = float(self.bedside.n_saying("contact_flag", 0.0, now_s))
        values["unheard_s"] = now_s - min(self.unheard.values(), default=now_s)
        values.update(equipment)
        self.vitals = values
        self.tally.add_vitals(values)
        return Features(self.bedside.patient, now_s - SECOND_S, SECOND_S, values)

    def cut_window(self, end_s: float, now_s: float) -> Features:
        """Return the features of the window that ends at `end_s`."""
        window = self.bedside.window(end_s, WINDOW_S, CONTEXT_S, now_s)
        values = _compute(self._stages.families, window, set(window.signals))
        self.n_windows += 1
        return Features(self.bedside.patient, end_s - WINDOW_S, WINDOW_S, values)

    def is_due(self, now_s: float, began_s: float) -> float | None:
        """Return the end of the window that is to be cut now; None: none is."""
        end_s = now_s - now_s % WINDOW_S
        lag_s = now_s - end_s
        if not SETTLED_LAG_S <= lag_s <= WINDOW_LAG_S or end_s == self._cut_s:
            return None
        if end_s - WINDOW_S < began_s:
            return None
        if lag_s < WINDOW_LAG_S and not self.bedside.has_settled(end_s):
            return None
        self._cut_s = end_s
        return end_s

    def take_score(self, seen: Features, out: list[Record]) -> Score | None:
        """Return the model's score of a window; it goes to `out` too.

        Raises
        ------
        ScorerError
            The model failed; the limits go on without it.
        """
        scorer = self._stages.scorer
        if scorer is None:
            return None
        score = name_strongest(scorer.score(seen), seen, self._stages.words)
        self.model_failed = False
        self.score = score.value
        out.append(score)
        return score

    def miss_score(self) -> None:
        """Note that the model failed; `edge.alarms.model_failed` tells."""
        self.model_failed, self.score = True, math.nan

    def live(self, now_s: float) -> PatientLive:
        """Return this moment's numbers."""
        bedside = self.bedside
        return PatientLive(
            bedside.patient,
            self.vitals,
            bedside.age_s(now_s),
            self.score,
            bedside.n_beats,
            self.n_windows,
            bedside.n_implausible,
            bedside.n_refused + bedside.n_overrun,
        )


def _set(rules: Iterable[Rule], told: Mapping[str, RuleSettings]) -> Watch:
    return [
        (rule, told.get(rule.name) or RuleSettings(rule.settings, rule.priority, rule.enabled))
        for rule in rules
    ]


def _compute(
    families: Iterable[FeatureFamily], window: Window, there: set[str]
) -> dict[str, float]:
    values: dict[str, float] = {}
    for family in families:
        if there.issuperset(family.needs):
            values.update(family.compute(window))
        else:
            values.update(dict.fromkeys(family.names, math.nan))
    return values
