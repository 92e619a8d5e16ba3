"""From bytes to numbers: packets, samples, beats, windows, features, scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray: TypeAlias = NDArray[np.float32]
    TimeArray: TypeAlias = NDArray[np.float64]
else:
    # For readers and for mypy. numpy takes 12 MiB, and who sends notices has records and no arrays.
    FloatArray = TimeArray = Any

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
