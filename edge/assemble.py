"""Put a pipeline together: what `edge.discover` finds, what was configured, and the model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import edge.alarms
import edge.decoders
import edge.features
from edge.alarms import Rule
from edge.alerts import AlertSettings, Steps
from edge.bundle import load
from edge.config import Config
from edge.decoders import Decoder
from edge.discover import discover
from edge.events import Facts
from edge.features import FeatureFamily
from edge.gatt import Profile
from edge.pipeline import Pipeline, PipelineSettings, RuleSettings, Scores
from edge.records import Features, Score, ScorerError
from edge.wire import Wire

FIRST_YEAR: Final = 2025
"""A wall clock that shows an earlier year has not been set since the box was switched on."""


def assemble(
    settings: PipelineSettings,
    run_id: str,
    *,
    scorer: Scores | None = None,
    start_s: float = 0.0,
) -> Pipeline:
    """Return a pipeline with every decoder, feature family and rule there is.

    Parameters
    ----------
    settings : PipelineSettings
        What was configured; `settings_of` makes them from the configuration.
    run_id : str
        Part of every alert's id.
    scorer : Scores | None
        The model, from `open_scorer`; None: limits only.
    start_s : float
        Boot time of the first tick.
    """
    return Pipeline(
        settings,
        discover(edge.decoders, "DECODER", Decoder),
        discover(edge.features, "FEATURES", FeatureFamily),
        discover(edge.alarms, "RULE", Rule),
        scorer,
        run_id,
        start_s,
    )


def every_profile() -> tuple[Profile, ...]:
    """Return what all decoders know of Bluetooth devices."""
    decoders = discover(edge.decoders, "DECODER", Decoder)
    return tuple(profile for decoder in decoders for profile in decoder.profiles)


def every_wire() -> tuple[Wire, ...]:
    """Return what all decoders know of serial devices."""
    decoders = discover(edge.decoders, "DECODER", Decoder)
    return tuple(wire for decoder in decoders for wire in decoder.wires)


class NoModel:
    """Stands where a model should be that could not be opened: every window says why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def score(self, features: Features) -> Score:
        """Raise `ScorerError`: the pipeline makes it a technical finding and goes on."""
        raise ScorerError(f"no score from {features.start_s:.0f} s on: {self._reason}")


def open_scorer(folder: Path | None = None) -> Scores:
    """Return the model of a folder, verified and self-tested; None: the one shipped.

    Raises
    ------
    edge.bundle.BundleError
        The folder does not hold a whole, unchanged model.
    edge.records.ScorerError
        The model does not give its own golden results.
    """
    from edge.scorer import Scorer  # noqa: PLC0415  # onnxruntime costs 30 MB where unused

    return Scorer(load(folder))


def facts_of(config: Config, year: int) -> tuple[Facts, ...]:
    """Return what is known of each patient that no sensor tells.

    Parameters
    ----------
    year : int
        By the wall clock. Before `FIRST_YEAR` the clock is not set, and no age is known.
    """
    return tuple(
        Facts(
            patient.id,
            _at_least_years(patient.birth_year, year),
            patient.pregnant,
            patient.spo2_scale,
            patient.spo2_scale_by or "",
            patient.spo2_scale_on or "",
            patient.spo2_scale_why or "",
        )
        for patient in config.patients
    )


def _at_least_years(birth_year: int | None, year: int) -> int | None:
    if birth_year is None or year < FIRST_YEAR:
        return None
    # Whoever was born in December is a year younger for most of the year.
    return max(0, year - birth_year - 1)


def settings_of(config: Config) -> PipelineSettings:
    """Return what the pipeline has to know of the configuration."""
    return PipelineSettings(
        default_patient=config.patients[0].id,
        rules={
            name: RuleSettings(alarm.settings, alarm.priority, alarm.enabled)
            for name, alarm in config.alarms.items()
        },
        rules_of={
            patient: {
                name: RuleSettings(alarm.settings, alarm.priority, alarm.enabled)
                for name, alarm in alarms.items()
            }
            for patient, alarms in config.patient_alarms.items()
        },
        alerts=_alerts_of(config),
        summary_period_s=config.summaries.period_s,
        ring_s=config.ring.capacity_s,
    )


def _alerts_of(config: Config) -> AlertSettings:
    told, carried = config.alerts, config.escalation
    return AlertSettings(
        reraise_s=told.reraise_s,
        clear_s=told.clear_s,
        unsure_s=told.unsure_s,
        signal_delay_s=told.signal_delay_s,
        pause_s=told.pause_s,
        watch_s=told.watch_s,
        high=Steps(*carried.times_of("high")),
        medium=Steps(*carried.times_of("medium")),
        low=Steps(*carried.times_of("low")),
    )
