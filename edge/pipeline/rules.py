"""The rules of one patient: how each is set now, and what it remembers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, TypeAlias

import msgspec

from edge.alarms import Rule, Step
from edge.pipeline.settings import TICK_S, RuleSettings
from edge.records import SECOND_S, Features, Finding, Priority, Score

Watch: TypeAlias = Sequence[tuple[Rule, RuleSettings]]
"""Every rule and how it is set; those that are switched off too."""

PROMPT_S: Final = TICK_S
"""The cadence of prompt rules: at every tick at which a number came, if one did."""
OFF: Final = "this rule was switched off"


class PatientRules:
    """Asks the rules of one patient, or those of the box itself.

    A rule whose settings change keeps what it remembers, so that a limit that moves is one
    condition and not two. A rule that is switched off says from then on that its condition is
    absent: an alert of it ends as any alert does, in its time and with a record.

    Parameters
    ----------
    watch : Watch
        Every rule as it is set for this patient.
    known : Collection[str]
        Rules that can have raised an alert before; one of them that is switched off says so.
    """

    def __init__(self, watch: Watch, known: Collection[str] = ()) -> None:
        self._watch = {rule.name: (rule, told) for rule, told in watch}
        self._off = {
            name: rule
            for name, (rule, told) in self._watch.items()
            if not told.enabled and name in known
        }
        self.states: dict[str, Any] = {rule.name: rule.start for rule, _ in watch}
        self._asked: dict[float, list[tuple[str, Step, Mapping[str, float], Priority]]] = {}
        self._n_signals = -1
        self._prompt: set[str] = set()
        self._present: set[str] = set()
        """Prompt rules whose condition was there when they were asked last."""

    def ask(
        self, every_s: float, seen: Features, score: Score | None, had: AbstractSet[str]
    ) -> list[Finding]:
        """Return what the rules of one cadence say that watch any signal the patient ever had.

        Parameters
        ----------
        every_s : float
            `PROMPT_S`: between two whole seconds; only what has newly been found is returned.
        had : AbstractSet[str]
            Every signal the patient ever had; it only grows.
        """
        if len(had) != self._n_signals:  # signals only ever come to it
            self._n_signals = len(had)
            self._choose(had)
        findings, states = [], self.states
        for name, step, values, most in self._asked.get(every_s, ()):
            states[name], finding = step(states[name], seen, score, values)
            findings.append(_capped(finding, most))
        if every_s == PROMPT_S:
            return self._new(findings)
        if every_s == SECOND_S:
            self._new(finding for finding in findings if finding.rule in self._prompt)
        if self._off:
            at_s = seen.end_s
            findings += (
                Finding(seen.patient, rule.name, at_s, False, OFF)  # noqa: FBT003
                for rule in self._off.values()
                if rule.every_s == every_s
            )
        return findings

    def settings(self) -> Mapping[str, RuleSettings]:
        """Return how every rule is set now."""
        return {name: told for name, (_, told) in self._watch.items()}

    def check(self, name: str, values: Mapping[str, float]) -> None:
        """Raise ValueError where a rule cannot be set so."""
        rule = self._watch[name][0]
        if values.keys() != rule.settings.keys():
            raise ValueError(f"{name} has the settings {', '.join(rule.settings)}, all of them")
        for key, (low, high) in rule.limits.items():
            if not low <= values[key] <= high:
                raise ValueError(f"{name}.{key} is {values[key]:g}: from {low:g} to {high:g}")

    def set(self, name: str, told: RuleSettings) -> Rule:
        """Let a rule be set so from its next step on, and return it."""
        rule, before = self._watch[name]
        self._watch[name] = (rule, told)
        if told.enabled:
            self._off.pop(name, None)
        elif before.enabled:
            self._off[name] = rule
        self._n_signals = -1
        return rule

    def forget(self) -> None:
        """Forget what the rules remember: it was of somebody else."""
        self.states = {name: rule.start for name, (rule, _) in self._watch.items()}

    def _choose(self, had: AbstractSet[str]) -> None:
        self._asked = {}
        for rule, told in self._watch.values():
            if told.enabled and (not rule.needs or not had.isdisjoint(rule.needs)):
                asked = self._asked.setdefault(rule.every_s, [])
                asked.append((rule.name, rule.step, told.values, told.priority))
                if rule.prompt:
                    self._asked.setdefault(PROMPT_S, []).append(asked[-1])
        self._prompt = {name for name, *_ in self._asked.get(PROMPT_S, ())}

    def _new(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the findings of conditions that were not there before."""
        there = [finding for finding in findings if finding.present]
        new = [finding for finding in there if finding.rule not in self._present]
        self._present = {finding.rule for finding in there}
        return new


def _capped(finding: Finding, most: Priority) -> Finding:
    """Return a finding that is no more urgent than its rule is set to be.

    A rule may begin at less than its own priority (`edge.alarms._graded`); who has set that
    priority lower does not want it higher at the beginning.
    """
    if finding.priority is None or finding.priority.rank <= most.rank:
        return finding
    return msgspec.structs.replace(finding, priority=None)
