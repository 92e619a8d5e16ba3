"""The file of the records was damaged and begun anew.

Present while ``damaged_flag`` is not 0: the file was found damaged in this run, a minute ago at the
most, or what still reads of it is being recovered. Latching: it stays until a person has seen it,
for a card that changes or forgets what was written to it will do so again, and next time it may be
the card's last.

Priority (clinical.md 6.2): alarms go on and are recorded in a fresh file from the first seconds;
what may be lost is past. Nobody is harmed by that, but a box whose card fails should not be found
dead some morning: LOW.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule, Scope
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "store_damaged"


def step(
    state: None, seen: Features, _score: Score | None, _settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Say that it was damaged; see the module."""
    damaged = seen.values.get("damaged_flag", nan)
    if isnan(damaged):
        return state, Finding(seen.patient, NAME, seen.end_s, None, "nothing tells of the records")
    if damaged <= 0.0:
        return state, Finding(seen.patient, NAME, seen.end_s, False, "the records are sound")  # noqa: FBT003
    reason = (
        "the records were damaged and are begun anew, what can still be read of them is recovered; "
        "alarms go on; the box's card may be failing: look at homeward doctor, and replace it"
    )
    evidence = {"damaged_flag": damaged}
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, evidence)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.LOW,
    latching=True,
    every_s=SECOND_S,
    needs=(),
    settings={},
    limits={},
    start=None,
    step=step,
    source="reliability-targets.md D6; security-safety.md H13",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
