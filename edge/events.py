"""What people do and what the box notices: payloads of packets that are no sensor's.

They go through the pipeline like any packet and lie in the log with them, so that a night replays
with its answers. ``box:start`` and ``person:answer`` belong to the pipeline and to `edge.alerts`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from edge.records import LinkState, Packet, Security

BOX: Final = "box"
"""Source of what the box itself notices."""
ASSIGN: Final = "box:assign"
EXPECT: Final = "box:expect"
LINK: Final = "box:link"
DEVICE_CLOCK: Final = "box:device_clock"


class Assignment(msgspec.Struct, frozen=True):
    """Payload of ``box:assign``: a source was heard on a link, and whose it is from now on."""

    source: str
    patient: str
    link: str = ""


class Expectation(msgspec.Struct, frozen=True):
    """Payload of ``box:expect``: a link was configured, and should bring something."""

    link: str
    patient: str
    withdrawn: bool = False


class LinkTold(msgspec.Struct, frozen=True):
    """Payload of ``box:link``: how the link to a sensor is from now on.

    Attributes
    ----------
    source : str
        Whose link it is.
    state : LinkState
        What became of it.
    security : Security
        How far what comes over it can be trusted.
    name, place : str
        What people call the sensor, and where on the body it is.
    reason : str
        Why, for people; empty where nothing needs saying.
    """

    source: str
    state: LinkState
    security: Security = Security.UNKNOWN
    name: str = ""
    place: str = ""
    reason: str = ""


class ClockBasis(StrEnum):
    """How it is known what a sensor's clock means."""

    READ = "read"
    ASSUMED = "assumed"


class DeviceClock(msgspec.Struct, frozen=True):
    """Payload of ``box:device_clock``: what a sensor's own clock showed, and when.

    Attributes
    ----------
    device_s : float
        The sensor's date and time, seconds since 2000-01-01 in its own idea of local time
        (`edge.bits.date_time_s`).
    boot_s : float
        Boot clock at that moment.
    uncertainty_s : float
        Bound on the error of the pair.
    basis : ClockBasis
        READ from the sensor, or ASSUMED: it was taken to show the box's local time.
    """

    source: str
    device_s: float
    boot_s: float
    uncertainty_s: float
    basis: ClockBasis = ClockBasis.READ


def tell(stream: str, payload: msgspec.Struct, at_s: float) -> Packet:
    """Return the packet with which the box says something.

    >>> tell(EXPECT, Expectation("strap", "p1"), 2.5).payload
    b'{"link":"strap","patient":"p1","withdrawn":false}'
    """
    return Packet(BOX, stream, at_s, msgspec.json.encode(payload))
