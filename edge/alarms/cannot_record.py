"""What happens is not recorded.

Present when one of these has failed for ``delay_s`` or longer (``>=``): the store refuses what is
written to it, or has not come back from writing (``store_fails_s``); the key that opens it cannot
be had (``locked_fails_s``); the disk refuses a write, is read-only or full (``disk_fails_s``);
records were given up in the last minute because nothing could be written (``given_up_fails_s``).
The packet log, for looking back, that ended before its time (``log_fails_s``) is low priority. Each
is a fault of its own.

Alarms need no disk and go on. `homeward status` says what the disk or the store said.

Priority (clinical.md 6.2): the patient is watched, and nobody is harmed at once; but alerts,
answers and pauses are not kept, and after a power cut the box would begin without them: reversible
and prompt at the worst: MEDIUM.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.alarms import Rule, Scope
from edge.alarms._failing import failing
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "cannot_record"

LOG = "log_fails_s"
LOCKED = "locked_fails_s"
PARTS = {
    "store_fails_s": "the store of the records has taken nothing for {:.0f} s",
    LOCKED: "the records have been locked for {:.0f} s, for their key cannot be had",
    "disk_fails_s": "the disk has refused to be written for {:.0f} s",
    "given_up_fails_s": "records were lost because they could not be written",
    LOG: "the packet log has ended: this night cannot be replayed",
}
"""Name of the part -> what a carer reads."""
WHAT_OPENS = (
    "alarms go on, but what happens now is not kept; homeward status says what opens them: a "
    "passphrase, the USB stick, or a key from a backup"
)
WHAT_TO_DO = (
    "alarms go on, but what happens now is not kept; look at homeward status, make room on the "
    "card or put in a new one"
)


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Name what cannot be written; see the module."""
    found = failing(PARTS, seen.values, settings["delay_s"])
    if not found.for_s:
        reason = "it is recorded" if found.present is False else "nothing tells of the recording"
        return state, Finding(seen.patient, NAME, seen.end_s, found.present, reason)
    said = ", ".join(PARTS[name].format(for_s) for name, for_s in found.for_s.items())
    cure = WHAT_OPENS if LOCKED in found.for_s else WHAT_TO_DO
    priority = Priority.LOW if set(found.for_s) == {LOG} else None
    return state, Finding(
        seen.patient, NAME, seen.end_s, True, f"{said}: {cure}", found.for_s, priority  # noqa: FBT003
    )  # fmt: skip


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"delay_s": 3.0},
    limits={"delay_s": (0.0, 30.0)},
    start=None,
    step=step,
    source="reliability-targets.md A2, D4, D5; security-safety.md H12, H13",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
