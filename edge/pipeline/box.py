"""The box as the pipeline watches over it: once a second, whoever lies beside it.

Rules of the box are no patient's: their findings have no patient, no signal and no summary of
anybody changes because of them, and they are asked before the first patient is known. They are
asked as soon as anything has been told of the box, so that a recording of a patient alone is
replayed without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge.alarms import Rule, Scope
from edge.events import BoxHealth
from edge.pipeline.settings import RuleSettings
from edge.pipeline.watched import capped, in_force
from edge.records import SECOND_S, Features, Finding

NOBODY: Final = ""
"""The patient of a finding and of an alert that is the box's."""


class Box:
    """What is known of the box, and the rules that watch over it.

    Parameters
    ----------
    rules : Sequence[Rule]
        As `edge.discover` finds them; those of patients are left out.
    told : Mapping[str, RuleSettings]
        How they are set.
    """

    def __init__(self, rules: Sequence[Rule], told: Mapping[str, RuleSettings]) -> None:
        self.watch = in_force([rule for rule in rules if rule.scope is Scope.BOX], told)
        self.facts: Mapping[str, float] = {}
        """Of this second, by name."""
        self._states: dict[str, Any] = {rule.name: rule.start for rule, _ in self.watch}
        self._known: dict[str, BoxHealth] = {}

    def know(self, stream: str, told: BoxHealth) -> None:
        """Take what was told of the box; it takes the place of what the same stream told before."""
        self._known[stream] = told

    def ask(self, now_s: float) -> list[Finding]:
        """Return what the rules say; nothing while nothing is known of the box."""
        if not self._known:
            return []
        self.facts = {n: v for told in self._known.values() for n, v in told.at(now_s).items()}
        seen = Features(NOBODY, now_s - SECOND_S, SECOND_S, self.facts)
        findings = []
        for rule, told in self.watch:
            state, finding = rule.step(self._states[rule.name], seen, None, told.values)
            self._states[rule.name] = state
            findings.append(capped(finding, told.priority))
        return findings
