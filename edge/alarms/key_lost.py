"""A paired sensor that can no longer prove that it is itself.

The bond is the only thing a Bluetooth sensor is trusted by (security-safety.md, BLE): its name and
its address anybody can send. When one side has lost the key, what answers to the address may be
the sensor after a reset, or something else; nothing of it is used, and nothing is paired again by
itself. A person has to look.

Present while at least one of the patient's sensors is so. False as soon as none is: it was paired
again, or removed. None where no link was ever told of.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

from edge.alarms import Rule
from edge.records import SECOND_S, Category, Features, Finding, Kind, Priority, Score

NAME = "key_lost"


def step(
    state: None, seen: Features, _score: Score | None, settings: Mapping[str, float]
) -> tuple[None, Finding]:
    """Compare the number of sensors without their key with the limit; see the module."""
    n_lost = seen.values.get("n_keys_lost", nan)
    if isnan(n_lost):
        return state, Finding(seen.patient, NAME, seen.end_s, None, "no paired sensor")
    if n_lost < settings["n_sensors"]:
        return state, Finding(seen.patient, NAME, seen.end_s, False, "keys hold")  # noqa: FBT003
    what = "a paired sensor has" if n_lost == 1 else f"{n_lost:.0f} paired sensors have"
    reason = f"{what} lost the pairing key and is not used; see homeward devices"
    # One more is a new condition, even while the first is acknowledged (hazard H6).
    evidence = {"n_keys_lost": n_lost}
    evidence |= {f"key_lost_{i}": 1.0 for i in range(2, int(n_lost) + 1)}
    return state, Finding(seen.patient, NAME, seen.end_s, True, reason, evidence)  # noqa: FBT003


RULE = Rule(
    name=NAME,
    kind=Kind.TECHNICAL,
    priority=Priority.MEDIUM,
    latching=False,
    every_s=SECOND_S,
    needs=(),
    settings={"n_sensors": 1.0},
    limits={"n_sensors": (1.0, 8.0)},
    start=None,
    step=step,
    source="security-safety.md 6, BLE: lost key on a bonded device = alarm, not re-pair; threat 1",
    category=Category.EQUIPMENT,
)
