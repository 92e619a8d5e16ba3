"""The records that flow through the monitor, in the order they come to be.

Packet -> Samples -> Window -> Features -> Score -> Finding -> Alert -> Summary

Every name ends in its unit. Times ending in ``_s`` are seconds on the boot clock
(`edge.clock` turns them into UTC for people); spans are half open. Records are frozen and
check themselves at birth where it costs little; what a sensor sent is checked in its decoder.

    signals     packets, samples, beats, windows, features, scores
    sensors     gaps, links, single measurements
    alarms      findings, alerts, and what people do about them
    settings    what people decide about how a patient is watched
    selftests   what a self-test of the alarm path found
    this file   summaries, and all of it together
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from edge.records.alarms import (
    AlarmAct,
    AlarmEvent,
    Alert,
    AlertState,
    Category,
    Finding,
    Kind,
    Meaning,
    Priority,
    Role,
    Step,
)
from edge.records.selftests import SelfTest, SelfTestRow, Verdict
from edge.records.sensors import Gap, LinkChange, LinkState, Reading, Security
from edge.records.settings import LimitAct, SettingChange
from edge.records.signals import (
    CONTEXT_S,
    SECOND_S,
    UNITS,
    WINDOW_S,
    Beat,
    Features,
    FloatArray,
    Packet,
    Samples,
    Score,
    ScorerError,
    Stamp,
    TimeArray,
    Window,
    check_signal,
)

__all__ = [
    "CONTEXT_S",
    "SECOND_S",
    "UNITS",
    "WINDOW_S",
    "AlarmAct",
    "AlarmEvent",
    "Alert",
    "AlertState",
    "Beat",
    "Category",
    "Features",
    "Finding",
    "FloatArray",
    "Gap",
    "Kind",
    "LimitAct",
    "LinkChange",
    "LinkState",
    "Meaning",
    "Outcome",
    "Packet",
    "Priority",
    "Reading",
    "Record",
    "Role",
    "Samples",
    "Score",
    "ScorerError",
    "Security",
    "SelfTest",
    "SelfTestRow",
    "SettingChange",
    "Stamp",
    "Step",
    "Summary",
    "TimeArray",
    "Verdict",
    "Window",
    "check_signal",
    "encode_record",
]


class Summary(msgspec.Struct, frozen=True, tag="summary", tag_field="record"):
    """What one period looked like; with alerts it is all that may ever leave the box.

    Attributes
    ----------
    coverage : Mapping[str, float]
        Signal -> share of the period with values, 0..1.
    vitals : Mapping[str, Mapping[str, float]]
        Vital sign, or bound of NEWS2 -> ``n``, ``min``, ``p10``, ``p50``, ``p90``, ``max``.
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


Record: TypeAlias = (
    LinkChange
    | Gap
    | Beat
    | Reading
    | Features
    | Score
    | Alert
    | AlarmEvent
    | SettingChange
    | SelfTest
    | Summary
)
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
    import numpy as np  # noqa: PLC0415  # whoever has such a value has numpy; others save 12 MiB

    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"a record cannot hold {type(value).__name__}")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
