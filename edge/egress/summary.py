"""What one period looked like, as it may leave: counts, shares and quantiles, never a course."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from edge.clock import TimeQuality
from edge.egress.alert import Stamped
from edge.egress.board import outside
from edge.egress.bounds import (
    MAX_NAME,
    Count,
    Patient,
    RuleName,
    Utc,
    Uuid,
    checked,
    counted,
    cut,
    within,
)
from edge.records import UNITS, Summary

Vital: TypeAlias = Literal[
    "hr_bpm",
    "spo2_pct",
    "pulse_bpm",
    "resp_brpm",
    "temp_degc",
    "news2_lower",
    "news2_upper",
]
"""All vital signs that are described; the unit ends the name."""
_Quantile: TypeAlias = Annotated[float, Meta(ge=0.0, le=500.0)]

MAX_VITALS: Final = 7
MAX_SIGNALS: Final = 16
MAX_RULES: Final = 64
_SIGNAL: Final = re.compile(r"[a-z0-9]+(_[a-z0-9]+){1,5}")


class VitalOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one vital sign was distributed over the period, in its own unit."""

    name: Annotated[Vital, Meta(description="Which vital sign; its unit ends the name")]
    n: Annotated[Count, Meta(description="Seconds with a value")]
    min: Annotated[_Quantile, Meta(description="Smallest")]
    p10: Annotated[_Quantile, Meta(description="10th percentile")]
    p50: Annotated[_Quantile, Meta(description="Median")]
    p90: Annotated[_Quantile, Meta(description="90th percentile")]
    max: Annotated[_Quantile, Meta(description="Largest")]


class CoverageOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of the period one signal covered."""

    signal: Annotated[
        str,
        Meta(
            max_length=MAX_NAME,
            pattern=r"^[a-z0-9_]+$",
            description="Name of the signal; a known unit ends it",
        ),
    ]
    share: Annotated[float, Meta(ge=0.0, le=1.0, description="Share of the period, 0 to 1")]


class AlertCountOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often one rule alarmed in the period."""

    rule: RuleName
    n: Annotated[Count, Meta(description="Alerts raised")]


class SummaryOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One period of one patient."""

    uuid: Uuid
    box: Annotated[str, Meta(max_length=MAX_NAME, description="Pseudonym of the box")]
    patient: Patient
    start_utc: Annotated[Utc | None, Meta(description="Beginning of the period (UTC)")]
    time_quality: Annotated[TimeQuality | None, Meta(description="How far to trust it")]
    length_s: Annotated[float, Meta(ge=10.0, le=86400.0, description="Length of the period")]
    n_beats: Annotated[Count, Meta(description="Heart beats seen")]
    n_broken: Annotated[Count, Meta(description="Packets dropped because they were broken")]
    n_gaps: Annotated[Count, Meta(description="Gaps in the signals")]
    vitals: Annotated[
        tuple[VitalOut, ...], Meta(max_length=MAX_VITALS, description="Vital signs, described")
    ] = ()
    coverage: Annotated[
        tuple[CoverageOut, ...], Meta(max_length=MAX_SIGNALS, description="Signals that were there")
    ] = ()
    alerts: Annotated[
        tuple[AlertCountOut, ...], Meta(max_length=MAX_RULES, description="Alerts by rule")
    ] = ()
    epsilon: Annotated[
        float,
        Meta(
            ge=0.0,
            le=100.0,
            description="Privacy budget spent on it: its numbers are blurred; 0: they are exact",
        ),
    ] = 0.0


def summary_out(
    summary: Summary,
    uuid: str,
    when: Stamped,
    *,
    box: str = "",
    pseudonym: Callable[[str], str] = str,
) -> SummaryOut:
    """Return what may leave of a summary; parameters as of `edge.egress.alert.alert_out`.

    Raises
    ------
    edge.egress.EgressError
        It does not keep to its bounds.
    """
    return checked(
        SummaryOut(
            uuid,
            cut(box, MAX_NAME),
            outside(summary.patient, pseudonym),
            when.since_utc,
            when.quality,
            summary.length_s,
            counted(summary.n_beats),
            counted(summary.n_broken),
            counted(summary.n_gaps),
            _vitals(summary.vitals),
            _coverage(summary.coverage),
            tuple(
                AlertCountOut(cut(rule, MAX_NAME), counted(n))
                for rule, n in sorted(summary.alerts.items())[:MAX_RULES]
            ),
        )
    )


def _vitals(found: Mapping[str, Mapping[str, float]]) -> tuple[VitalOut, ...]:
    described = []
    for name in get_args(Vital):
        seen = found.get(name, {})
        quantiles = [within(seen.get(key), 0.0, 500.0) for key in _QUANTILES]
        whole = [value for value in quantiles if value is not None]
        if len(whole) == len(_QUANTILES):
            described.append(VitalOut(name, counted(seen.get("n")), *whole))
    return tuple(described)


def _coverage(found: Mapping[str, float]) -> tuple[CoverageOut, ...]:
    """Return the shares of signals by their known names: a made-up name could say anything."""
    kept = []
    for signal, share in sorted(found.items()):
        known = _SIGNAL.fullmatch(signal) and signal.rpartition("_")[2] in UNITS
        inside = within(share, 0.0, 1.0)
        if known and len(signal) <= MAX_NAME and inside is not None:
            kept.append(CoverageOut(signal, round(inside, 3)))
    return tuple(kept[:MAX_SIGNALS])


_QUANTILES: Final = ("min", "p10", "p50", "p90", "max")
