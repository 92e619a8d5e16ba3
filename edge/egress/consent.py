"""Which kinds of content people let leave, as they stand now.

The switches stand in ``[consent]`` of the settings; what people changed while the monitor runs
(`homeward consent set`) stands above them. Whether anything leaves at all needs a destination too:
without ``[[notices]]``, ``[deadman]`` or a receiver there is nobody to send to.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from edge.config.consent import Consent


class Switch(StrEnum):
    """What can be let leave, or not."""

    ALERTS = "alerts"
    SUMMARIES = "summaries"
    NOTICES = "notices"
    NOTICE_DETAILS = "notice_details"
    PINGS = "pings"
    SELF_TESTS = "self_tests"
    HEARTBEATS = "heartbeats"
    NUMBERS = "numbers"


Switches: TypeAlias = Mapping[Switch, bool]

COVERS: Final[Mapping[Switch, str]] = {
    Switch.ALERTS: "alerts with their reasons and vital signs, to a receiver's record",
    Switch.SUMMARIES: "what each period looked like, to a receiver's record",
    Switch.NOTICES: "notices of alarms to people, and asking the service whether they were read",
    Switch.NOTICE_DETAILS: "measured values in these notices (where details = true)",
    Switch.PINGS: "pings to the watcher that calls when this box falls silent",
    Switch.SELF_TESTS: "test notices",
    Switch.HEARTBEATS: "how the box is, to whoever looks after many",
    Switch.NUMBERS: "the numbers of now, to a display in the home (Home Assistant)",
}
"""What each switch lets leave."""

WITHOUT: Final[Mapping[Switch, str]] = {
    Switch.ALERTS: "no receiver far away learns of an alarm; notices to people are another switch",
    Switch.SUMMARIES: "no receiver far away sees how it went",
    Switch.NOTICES: "NOBODY OUTSIDE THIS ROOM IS TOLD OF ANY ALARM: the box sounds, and that is "
    "all. Somebody must be within hearing at all times",
    Switch.NOTICE_DETAILS: "notices say which alarm it is, and no measured value",
    Switch.PINGS: "NOBODY FAR AWAY NOTICES WHEN THIS BOX FAILS or loses power",
    Switch.SELF_TESTS: "that a way to tell people has broken is found when it is needed",
    Switch.HEARTBEATS: "nobody who looks after many boxes sees how this one is",
    Switch.NUMBERS: "displays in the home show nothing of the monitor",
}
"""What it means when a switch is off, said before it is done."""

NEEDED: Final = frozenset({Switch.NOTICES, Switch.PINGS, Switch.SELF_TESTS})
"""These say nothing that was measured, and somebody may depend on them."""

GRAVE: Final = frozenset({Switch.NOTICES, Switch.PINGS})
"""Off, these take away a part of the alarm path."""


def off(switches: Switches) -> tuple[str, ...]:
    """Return the names of the switches that are off; one that is not there is.

    >>> off({**dict.fromkeys(Switch, True), Switch.PINGS: False})
    ('pings',)
    """
    return tuple(switch.value for switch in Switch if not switches.get(switch, False))


def switches_of(settings: Consent, kept: Mapping[str, bool] | None) -> dict[Switch, bool]:
    """Return every switch as it stands.

    Parameters
    ----------
    kept : Mapping[str, bool] | None
        What people set, above the settings; None: that is lost, and then nothing leaves that was
        measured.
    """
    if kept is None:
        return {one: one in NEEDED and getattr(settings, one.value) for one in Switch}
    return {one: kept.get(one.value, getattr(settings, one.value)) for one in Switch}
