"""The raw data of the sensors are not kept.

Present when one of these has failed for ``delay_s`` or longer (``>=``): the key of the vault cannot
be had (``vault_key_fails_s``: gone, its passphrase not typed, its stick not plugged in); the disk
refuses what is written to it (``vault_write_fails_s``), or does not come back
(``vault_stuck_fails_s``); packets were given up in the last minute because they could not be
written (``vault_lost_fails_s``). Each is a fault of its own.

Alarms, alerts and summaries need no vault and go on. `homeward status` says what is wrong.

Priority (clinical.md 6.2): nobody is harmed; what is missing is the past, to see why and to ask
what if: LOW.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.alarms import Rule, Scope
from edge.alarms._failing import failing
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "vault_down"

PARTS = {
    "vault_key_fails_s": "raw data are not kept, their key cannot be had for {:.0f} s",
    "vault_write_fails_s": "raw data are not kept, the disk has refused them for {:.0f} s",
    "vault_stuck_fails_s": "raw data are not kept, the disk has not come back for {:.0f} s",
    "vault_lost_fails_s": "raw data were lost because they could not be written",
}
"""Name of the part -> what a carer reads."""
WHAT_TO_DO = (
    "alarms go on, and so do the records; homeward status says what is wrong, homeward unlock "
    "takes a passphrase"
)


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Name why raw data are not kept; see the module."""
    found = failing(PARTS, seen.values, settings["delay_s"])
    if not found.for_s:
        reason = "raw data are kept" if found.present is False else "nothing tells of the vault"
        return state, Finding(seen.patient, NAME, seen.end_s, found.present, reason)
    said = ", ".join(PARTS[name].format(for_s) for name, for_s in found.for_s.items())
    return state, Finding(
        seen.patient, NAME, seen.end_s, True, f"{said}: {WHAT_TO_DO}", found.for_s  # noqa: FBT003
    )  # fmt: skip


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.LOW,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"delay_s": 3.0},
    limits={"delay_s": (0.0, 30.0)},
    start=None,
    step=step,
    source="reliability-targets.md D6; security-safety.md H12",
    category=Category.EQUIPMENT,
    scope=Scope.BOX,
)
