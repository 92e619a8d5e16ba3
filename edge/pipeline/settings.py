"""What the pipeline is told once, and the grid it lives on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from edge.alerts import AlertSettings
from edge.events import (
    ASSIGN,
    BEGUN_LIMITS,
    DEVICE_CLOCK,
    ENTRY,
    EXPECT,
    FACTS,
    HEALTH,
    LIMIT,
    LINK,
    MODEL,
    SELF_TEST,
)
from edge.records import Features, Priority, Score

TICK_S: Final = 0.25
TICKS_A_SECOND: Final = 4
SETTLED_LAG_S: Final = 1.0
"""A window is cut this long after its end where all its samples and beats have come by then."""
WINDOW_LAG_S: Final = 2.0
"""Where a link is late, the window is cut with what has come until so long after its end."""
SCORE_S: Final = TICK_S
"""How long after its features the score of a window is due."""
SCORE_LIMIT_S: Final = 5.0
"""A late score nobody has told of for so long has failed."""
MAX_LAG_TICKS: Final = 4 * 3600
"""Ticks that are made up for one by one; after a longer standstill time goes on from now."""
ANSWER: Final = "person:answer"
START: Final = "box:start"
LIMITS: Final = frozenset({LIMIT, BEGUN_LIMITS})
OF_BOX: Final = frozenset({HEALTH, MODEL, SELF_TEST})
EVENTS: Final = LIMITS | OF_BOX | {ANSWER, START, ASSIGN, EXPECT, LINK, DEVICE_CLOCK, ENTRY, FACTS}
BATTERY: Final = "battery_pct"
N_NOTES: Final = 20
MAX_LINKS: Final = 256
"""Sources whose link is remembered."""


class RuleSettings(msgspec.Struct, frozen=True):
    """How one rule is set: its own numbers and, where changed, its priority."""

    values: Mapping[str, float]
    priority: Priority
    enabled: bool = True


class PipelineSettings(msgspec.Struct, frozen=True):
    """What the pipeline is told once, at the start.

    Attributes
    ----------
    default_patient : str
        Whose the sources are that nobody has assigned.
    patient_of : Mapping[str, str]
        Source -> patient.
    rules : Mapping[str, RuleSettings]
        By rule; a rule that is missing has its defaults.
    rules_of : Mapping[str, Mapping[str, RuleSettings]]
        The same for patients that are watched otherwise than the rest: by patient, then by rule.
        Only what `RuleSettings.values` and `enabled` say is the patient's own; priorities are the
        box's.
    """

    default_patient: str = "patient-1"
    patient_of: Mapping[str, str] = {}
    rules: Mapping[str, RuleSettings] = {}
    rules_of: Mapping[str, Mapping[str, RuleSettings]] = {}
    alerts: AlertSettings = AlertSettings()
    summary_period_s: float = 60.0
    ring_s: float = 120.0


class Kept(msgspec.Struct, frozen=True):
    """What outlived the last run: alerts, pauses, watches, and what people entered.

    Attributes
    ----------
    state : bytes
        Of `edge.pipeline.Pipeline.alert_state`.
    kept_s, same_boot, away_s : float, bool, float | None
        As in `edge.alerts.Restart`.
    """

    state: bytes
    kept_s: float
    same_boot: bool
    away_s: float | None = None


class Start(msgspec.Struct, frozen=True, omit_defaults=True):
    """Payload of the packet a log begins with: what the run was made with, and what stood."""

    run_id: str
    version: str = ""
    model_id: str = ""
    alerts: Kept | None = None


class Scores(Protocol):
    """What turns a window's features into a score; `edge.scorer` is one."""

    def score(self, features: Features) -> Score:
        """Return the score of one window."""
        ...
