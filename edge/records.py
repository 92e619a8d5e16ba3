"""The records that flow through the monitor, in the order they come to be.

Packet -> Samples -> Window -> Features -> Score -> Finding -> Alert -> Summary

Every name ends in its unit. Times ending in ``_s`` are seconds on the boot clock
(`edge.clock` turns them into UTC for people); spans are half open. Records are frozen and
check themselves at birth where it costs little; what a sensor sent is checked in its decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
TimeArray: TypeAlias = NDArray[np.float64]

SECOND_S = 1.0
"""Cadence of the vital signs that limit alarms watch."""
WINDOW_S = 10.0
"""Cadence of the windows that the model scores."""
CONTEXT_S = 30.0
"""What a window may look back on before its own start."""

UNITS = frozenset(
    "mv ms bpm brpm pct degc g au flag mmhg mgdl mgdlmin kg m v ohm".split()  # noqa: SIM905
)
"""Last words a signal's name may have: its unit, in one spelling."""


class Packet(msgspec.Struct, frozen=True, gc=False, tag="packet", tag_field="record"):
    """Bytes as they came off the wire, and when.

    Attributes
    ----------
    source : str
        Which device sent it: a Bluetooth address, a serial port's stable name, ``sim:strap``.
        Streams of people and of the box itself come from ``person`` and ``box``.
    stream : str
        What the bytes are: a GATT characteristic's UUID, ``uart:homeward``, ``person:answer``.
    arrived_s : float
        Arrival on the boot clock.
    payload : bytes
        The untouched bytes.
    """

    source: str
    stream: str
    arrived_s: float
    payload: bytes


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What a sensor says about the time of a run of samples.

    Attributes
    ----------
    ticks : int
        The sensor's own counter at the first value.
    tick_s : float
        Nominal length of one tick.
    wrap : int
        The counter starts again at this value; 0 when it never does.
    sequence, sequence_wrap : int
        Number of the packet, and where that wraps; ``sequence_wrap`` 0 when there is none.
    host : bool
        The ticks are this box's own boot clock (a recording, a sensor wired to the box):
        nothing needs to be estimated.
    n_packets : int
        Packets that were joined, the first of them numbered `sequence`.
    """

    ticks: int
    tick_s: float
    wrap: int = 0
    sequence: int = 0
    sequence_wrap: int = 0
    host: bool = False
    n_packets: int = 1


class Samples(msgspec.Struct, frozen=True, eq=False):
    """A run of values of one signal.

    A decoder makes them with the arrival time as `start_s`; `edge.dsp.timeline` places them.

    Attributes
    ----------
    signal : str
        Name ending in its unit, e.g. ``ecg_mv``, ``rr_ms``, ``spo2_pct``.
    start_s : float
        Time of the first value.
    fs_hz : float
        Sampling rate; 0.0 where values come one by one and carry their own times.
    values : FloatArray
        Shape (n,), n >= 1. NaN marks a value the sensor called invalid.
    lead : str
        Electrode, axis or site, e.g. ``II`` or ``x``; empty where there is only one.
    uncertainty_s : float
        Bound on the error of every time in the run.
    stamp : Stamp | None
        The sensor's own clock, for `edge.dsp.timeline`. Where ``fs_hz`` is 0: the sensor's date
        and time in ticks of a second since 2000-01-01, see `edge.events.DeviceClock`.
    times_s : TimeArray | None
        Shape (n,), only where ``fs_hz`` is 0: time of every value. None before placing.
    spot : bool
        A measurement of its own (a cuff, a scale), not part of a stream: it is recorded as a
        `Reading`, and nobody waits for the next.
    backfilled : bool
        From the sensor's storage: it is recorded at its own time and alarms nobody now.
    """

    signal: str
    start_s: float
    fs_hz: float
    values: FloatArray
    lead: str = ""
    uncertainty_s: float = 0.0
    stamp: Stamp | None = None
    times_s: TimeArray | None = None
    spot: bool = False
    backfilled: bool = False


def check_signal(signal: str) -> str:
    """Return `signal` when its last word is a unit the monitor knows.

    Raises
    ------
    ValueError
        The name does not end in one of `UNITS`.
    """
    if signal.rpartition("_")[2] not in UNITS:
        raise ValueError(f"signal {signal!r} must end in a unit, one of {', '.join(sorted(UNITS))}")
    return signal


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


class Beat(msgspec.Struct, frozen=True, gc=False, tag="beat", tag_field="record"):
    """One heart beat.

    Attributes
    ----------
    at_s : float
        Time of the R peak.
    rr_ms : float | None
        Interval from the beat before; None where a gap or a restart lies between.
    source, lead : str
        Where it was seen.
    sample_idx : int
        Index of the R peak, counted from the source's first sample; -1 where the sensor
        itself reports beats.
    """

    patient: str
    at_s: float
    rr_ms: float | None
    source: str
    lead: str
    sample_idx: int


class Window(msgspec.Struct, frozen=True, eq=False):
    """A fixed span of time with every signal that covers it, cut by the tick.

    Attributes
    ----------
    start_s, length_s : float
        The span, half open.
    context_s : float
        `signals` begin this much before `start_s`, where data were there.
    signals : Mapping[str, Samples]
        By signal name, over ``[start_s - context_s, start_s + length_s)``. A fixed-rate signal
        is one contiguous read-only view with NaN where samples are missing. ``rr_ms`` has one
        value for each beat, at the time of the beat that ends the interval, NaN where the
        interval is unknown.
    quality : Mapping[str, float]
        Signal quality index over the span, 0 (useless) to 1 (clean); absent: not assessed.
    age_s : Mapping[str, float]
        Time from the last value of each signal the patient ever had to the end of the window.
    frozen_s : Mapping[str, float]
        How long each signal has repeated exactly the same value.
    """

    patient: str
    start_s: float
    length_s: float
    context_s: float
    signals: Mapping[str, Samples]
    quality: Mapping[str, float]
    age_s: Mapping[str, float]
    frozen_s: Mapping[str, float]

    @property
    def end_s(self) -> float:
        """End of the span, not inside it."""
        return self.start_s + self.length_s


class Features(msgspec.Struct, frozen=True, tag="features", tag_field="record"):
    """Named numbers computed from one window; NaN where one could not be computed."""

    patient: str
    start_s: float
    length_s: float
    values: Mapping[str, float]

    @property
    def end_s(self) -> float:
        """End of the window the numbers describe."""
        return self.start_s + self.length_s


class Score(msgspec.Struct, frozen=True, tag="score", tag_field="record"):
    """How unlike normal one window looks.

    Attributes
    ----------
    value : float
        Probability 0..1 that a trained reader would call the window abnormal; NaN: abstained.
    contributions : Mapping[str, float]
        Feature name -> exact addend to the log odds, relative to normal windows.
    threshold : float
        The value from which the model's maker calls a window anomalous.
    strongest : tuple[str, ...]
        The contributions that spoke most strongly for an anomaly, in words with numbers.
    """

    patient: str
    start_s: float
    length_s: float
    value: float
    contributions: Mapping[str, float]
    threshold: float
    model_id: str
    strongest: tuple[str, ...] = ()


class ScorerError(RuntimeError):
    """The model gives no score; limit alarms do not depend on it."""


class Kind(StrEnum):
    """Is the patient the reason, or the equipment (terms of IEC 60601-1-8)."""

    PHYSIOLOGICAL = "physiological"
    TECHNICAL = "technical"


class Priority(StrEnum):
    """Alarm priority, named as in IEC 60601-1-8; INFORMATION makes no alarm signal."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFORMATION = "information"

    @property
    def rank(self) -> int:
        """3 for high down to 0 for information, for sorting."""
        return 3 - list(Priority).index(self)


class Finding(msgspec.Struct, frozen=True, tag="finding", tag_field="record"):
    """What one rule says of one moment.

    Attributes
    ----------
    present : bool | None
        True or False; None when the data cannot tell. None never ends an alert.
    reason : str
        The sentence a carer reads, with the numbers that decided.
    evidence : Mapping[str, float]
        The numbers by name, for machines.
    """

    patient: str
    rule: str
    at_s: float
    present: bool | None
    reason: str
    evidence: Mapping[str, float] = {}


class AlertState(StrEnum):
    """Life of an alert: raised -> active -> (acknowledged) -> ended.

    RAISED is its first record, ACTIVE an update (a new reason, a re-raise), LATCHED means that
    the condition is over and a person has yet to see it.
    """

    RAISED = "raised"
    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    LATCHED = "latched"
    ENDED = "ended"


class Alert(msgspec.Struct, frozen=True, tag="alert", tag_field="record"):
    """One state of one alert; the alert's story is all records with its `id`.

    Attributes
    ----------
    id : str
        The same for the whole episode; made from what caused it, so that a replay makes it again.
    episode : str
        Key of the episode: patient, rule, and its number.
    since_s, at_s : float
        When the condition was first found, and when this state began.
    answered_by : str
        Who acknowledged it; empty while nobody has.
    """

    id: str
    patient: str
    episode: str
    rule: str
    kind: Kind
    priority: Priority
    state: AlertState
    since_s: float
    at_s: float
    reason: str
    evidence: Mapping[str, float]
    answered_by: str = ""


class Summary(msgspec.Struct, frozen=True, tag="summary", tag_field="record"):
    """What one period looked like; with alerts it is all that may ever leave the box.

    Attributes
    ----------
    coverage : Mapping[str, float]
        Signal -> share of the period with values, 0..1.
    vitals : Mapping[str, Mapping[str, float]]
        Vital sign -> ``n``, ``min``, ``p10``, ``p50``, ``p90``, ``max``.
    n_beats, n_broken, n_gaps : int
        Beats seen; packets dropped because they broke their format; gaps.
    alerts : Mapping[str, int]
        Rule -> alerts raised in the period.
    """

    patient: str
    start_s: float
    length_s: float
    coverage: Mapping[str, float]
    vitals: Mapping[str, Mapping[str, float]]
    n_beats: int
    n_broken: int
    n_gaps: int
    alerts: Mapping[str, int]


Record: TypeAlias = LinkChange | Gap | Beat | Reading | Features | Score | Alert | Summary
"""What the pipeline gives out, in the order it came to be."""


class Outcome(msgspec.Struct, frozen=True):
    """All records one call of the pipeline made; false when there are none."""

    records: tuple[Record, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.records)


def encode_record(record: Record) -> bytes:
    """Return the record as one line of JSON, without the line end; NaN becomes null."""
    return _ENCODER.encode(record)


def _plain(value: Any) -> Any:  # noqa: ANN401  # whatever numpy hands us
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"a record cannot hold {type(value).__name__}")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
