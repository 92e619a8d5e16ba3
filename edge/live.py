"""The monitor at this moment: for the screen and the socket, never stored."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edge.records import Alert, LinkState, Reading, Security


class SourceLive(msgspec.Struct, frozen=True):
    """What has come from one stream of one source since the start."""

    source: str
    stream: str
    patient: str
    n_packets: int
    n_not_mine: int
    n_broken: int
    n_lost: int
    age_s: float
    ppm: float
    last_error: str


class SensorLive(msgspec.Struct, frozen=True):
    """One sensor: how its link is and since when, how it is protected, its battery.

    `battery_pct` is NaN where the sensor does not tell; `reason` says in words what is wrong.
    """

    source: str
    name: str
    place: str
    patient: str
    state: LinkState
    security: Security
    reason: str
    battery_pct: float
    since_s: float


class PatientLive(msgspec.Struct, frozen=True):
    """One patient's numbers of this second; a value that is not known is NaN.

    `n_implausible` counts values that could be no measurement, `n_refused` runs that
    found no room: more signals than a patient can have, or a clock far ahead of time.
    """

    patient: str
    vitals: Mapping[str, float]
    age_s: Mapping[str, float]
    score: float
    n_beats: int
    n_windows: int
    n_implausible: int = 0
    n_refused: int = 0


class Live(msgspec.Struct, frozen=True):
    """The monitor at this moment, for the screen and the socket; nothing here is stored.

    `n_unknown` counts packets of streams that no decoder knows; `readings` are the latest of
    every patient and signal.
    """

    now_s: float
    patients: tuple[PatientLive, ...]
    alerts: tuple[Alert, ...]
    sources: tuple[SourceLive, ...]
    n_unknown: int
    notes: tuple[str, ...]
    sensors: tuple[SensorLive, ...] = ()
    readings: tuple[Reading, ...] = ()
