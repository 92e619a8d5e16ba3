"""A configured sensor that has brought nothing since the monitor started.

`signal_lost` watches signals that were there. After a restart in the night a sensor that is flat
or out of reach was never there, and its silence must not be read as well (hazards H1, H2).

Present when the link that has been waited for longest is older than ``limit_s`` (``>``). 60 s: a
Bluetooth sensor may take that long to connect. False as soon as every configured link has brought
something. None while one is waited for and it is too early to say: an alert that stood before a
restart does not end by that.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.alarms import Rule
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "never_heard"


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Compare the longest wait with its limit; see the module."""
    unheard_s = seen.values.get("unheard_s", 0.0)
    # Comparisons with NaN are false.
    if not unheard_s > 0.0:
        return state, Finding(seen.patient, NAME, seen.end_s, False, "heard")  # noqa: FBT003
    if not unheard_s > settings["limit_s"]:
        return state, Finding(seen.patient, NAME, seen.end_s, None, "a sensor is waited for")
    reason = f"nothing from a configured sensor for {unheard_s:.0f} s; see homeward status"
    evidence = {"unheard_s": unheard_s}
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, evidence)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"limit_s": 60.0},
    limits={"limit_s": (20.0, 300.0)},
    start=None,
    step=step,
    source="security-safety.md 7, H1 and H2; clinical.md 6.3: link lost, 30-60 s, medium",
    category=Category.EQUIPMENT,
)
