"""Of sensors: what is missing, how their links are, single measurements."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Gap(msgspec.Struct, frozen=True, tag="gap", tag_field="record"):
    """Samples that should be there and are not; a gap is stored, never closed up.

    Attributes
    ----------
    patient, source, stream : str
        Whose, from which device, which stream.
    start_s, end_s : float
        The span without samples, half open.
    n_lost : int
        Samples missing at the nominal rate.
    reason : str
        ``lost`` (packets missing), ``restart`` (the sensor began anew), ``clock`` (its clock
        jumped) or ``overrun`` (the box could not take them).
    """

    patient: str
    source: str
    stream: str
    start_s: float
    end_s: float
    n_lost: int
    reason: str


class Security(StrEnum):
    """How a sensor's link is protected (Bluetooth Core 5.4, volume 3, part C, 10.2).

    OPEN: not encrypted, anybody can pretend to be the sensor. ENCRYPTED: just works, nobody
    listens in, and who paired was not proved (mode 1 level 2). AUTHENTICATED: a number was
    compared or typed (level 3). SECURE: the same with LE Secure Connections and a key of 16
    bytes (level 4). WIRED: a cable. UNKNOWN: nothing was told.
    """

    OPEN = "open"
    ENCRYPTED = "encrypted"
    AUTHENTICATED = "authenticated"
    SECURE = "secure"
    WIRED = "wired"
    UNKNOWN = "unknown"


class LinkState(StrEnum):
    """What became of the link to a sensor.

    CONNECTED: it sends. LOST: it was there, and is being looked for. REFUSED: it will not have
    us (its `LinkChange.reason` says why). KEY_LOST: one side has lost the pairing; never mended
    without a person. REMOVED: a person has removed it.
    """

    CONNECTED = "connected"
    LOST = "lost"
    REFUSED = "refused"
    KEY_LOST = "key_lost"
    REMOVED = "removed"


class LinkChange(msgspec.Struct, frozen=True, gc=False, tag="link", tag_field="record"):
    """The link to a sensor came, went or was refused; says how far its samples can be trusted.

    Attributes
    ----------
    security : Security
        Of all that the source sends from here on.
    name, place : str
        What people call the sensor, and where on the body it is.
    reason : str
        Why, for people.
    """

    patient: str
    source: str
    at_s: float
    state: LinkState
    security: Security
    name: str
    place: str
    reason: str


class Reading(msgspec.Struct, frozen=True, gc=False, tag="reading", tag_field="record"):
    """One measurement of its own: a cuff's, a scale's, a meter's, a spot check's.

    Attributes
    ----------
    id : str
        Made from source, signal and the sensor's own time (or the arrival), so that the same
        measurement fetched twice is the same reading.
    at_s : float | None
        When it was taken, on the boot clock (before the boot: negative). None: the sensor's clock
        is not known, so that only its arrival is.
    uncertainty_s : float
        Bound on the error of `at_s`.
    arrived_s : float
        When it reached the box.
    backfilled : bool
        It is of the past, and alarmed nobody.
    """

    id: str
    patient: str
    source: str
    signal: str
    value: float
    at_s: float | None
    uncertainty_s: float
    arrived_s: float
    backfilled: bool
