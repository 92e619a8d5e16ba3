"""NEWS2, the National Early Warning Score 2: what is known of a patient -> an interval of points.

The table is that of the Royal College of Physicians (National Early Warning Score (NEWS) 2,
London 2017, chart 1), reproduced with acknowledgement. A person takes all seven parameters; a
monitor sees some of them. What is not known is not taken for normal: it widens the score to all
that it could be, and `News2.lower` is certain while `News2.upper` is only possible.

- Values are rounded before the table is entered, halves upwards: whole numbers, temperature to
  0.1 degrees. Each band ends where the next begins, so none overlap and nothing lies between.
- SpO2 scale 2 is for a hypercapnic respiratory failure that was confirmed, with a target of 88 to
  92 % that a clinician has set. There, what 93 % and more means depends on oxygen: while it is not
  known whether oxygen is given, the points are an interval.
- Under 16 years and in pregnancy the score says nothing true. It is refused, not marked.

This is no diagnosis. It is an intermittent score; `edge.alarms` says how it is used live.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, TypeAlias

import msgspec

Band: TypeAlias = tuple[float, int]
"""Up to and including this value: so many points."""
Points: TypeAlias = tuple[int, int]
"""Least and most points of one parameter; the same where they are known."""

RESP: Final = "resp_brpm"
SPO2: Final = "spo2_pct"
OXYGEN: Final = "oxygen_flag"
SYSTOLIC: Final = "nibp_sys_mmhg"
PULSE: Final = "pulse_bpm"
CONSCIOUSNESS: Final = "acvpu_au"
TEMPERATURE: Final = "temp_degc"
PARAMETERS: Final = (RESP, SPO2, OXYGEN, SYSTOLIC, PULSE, CONSCIOUSNESS, TEMPERATURE)
"""In the order of the chart."""
WORDS: Final[Mapping[str, str]] = {
    RESP: "respiration rate",
    SPO2: "SpO2",
    OXYGEN: "air or oxygen",
    SYSTOLIC: "systolic pressure",
    PULSE: "pulse",
    CONSCIOUSNESS: "consciousness",
    TEMPERATURE: "temperature",
}
MOST: Final[Mapping[str, int]] = dict.fromkeys(PARAMETERS, 3) | {OXYGEN: 2}
"""Points a parameter can have at most; 20 together."""
POINTS: Final[Mapping[str, str]] = {
    name: f"news2_{name.rpartition('_')[0]}_points" for name in PARAMETERS
}
"""What `edge.features.news2` calls the points of each parameter."""
ACVPU: Final = "ACVPU"
"""Alert, new confusion, voice, pain, unresponsive: a level's number is its place here."""
YOUNGEST_YEARS: Final = 16

_BANDS: Final[Mapping[str, tuple[Band, ...]]] = {
    RESP: ((8, 3), (11, 1), (20, 0), (24, 2), (math.inf, 3)),
    OXYGEN: ((0, 0), (math.inf, 2)),
    SYSTOLIC: ((90, 3), (100, 2), (110, 1), (219, 0), (math.inf, 3)),
    PULSE: ((40, 3), (50, 1), (90, 0), (110, 1), (130, 2), (math.inf, 3)),
    CONSCIOUSNESS: ((0, 0), (math.inf, 3)),
    TEMPERATURE: ((35.0, 3), (36.0, 1), (38.0, 0), (39.0, 1), (math.inf, 2)),
}
_SCALE_1: Final[tuple[Band, ...]] = ((91, 3), (93, 2), (95, 1), (math.inf, 0))
_SCALE_2_AIR: Final[tuple[Band, ...]] = ((83, 3), (85, 2), (87, 1), (math.inf, 0))
_SCALE_2_OXYGEN: Final[tuple[Band, ...]] = (
    (83, 3), (85, 2), (87, 1), (92, 0), (94, 1), (96, 2), (math.inf, 3),
)  # fmt: skip
_POSSIBLE: Final[Mapping[str, tuple[float, float]]] = {
    RESP: (0.0, 100.0),
    SPO2: (0.0, 100.0),
    OXYGEN: (0.0, 1.0),
    SYSTOLIC: (1.0, 400.0),
    PULSE: (0.0, 400.0),
    CONSCIOUSNESS: (0.0, 4.0),
    TEMPERATURE: (20.0, 46.0),
}
"""What is outside cannot be this measurement of a living person and counts as missing."""


class Refusal(IntEnum):
    """Why there is no score; the number goes into `Features`."""

    NONE = 0
    AGE_UNKNOWN = 1
    TOO_YOUNG = 2
    PREGNANT = 3

    @property
    def reason(self) -> str:
        """What a carer reads."""
        return _REASONS[self]


_REASONS: Final[Mapping[Refusal, str]] = {
    Refusal.NONE: "NEWS2 can be computed",
    Refusal.AGE_UNKNOWN: "NEWS2 is not computed: the year of birth is not set",
    Refusal.TOO_YOUNG: "NEWS2 is not computed: it is not valid under 16 years",
    Refusal.PREGNANT: "NEWS2 is not computed: it is not valid in pregnancy",
}


class Subject(msgspec.Struct, frozen=True):
    """What has to be known of the patient.

    Attributes
    ----------
    at_least_years : float
        The patient is at least so old; NaN: not known.
    pregnant : bool
        Whether the patient is pregnant, as far as anybody has said.
    scale : int
        SpO2 scale; 2 only after a clinician's decision.
    """

    at_least_years: float
    pregnant: bool = False
    scale: int = 1

    def __post_init__(self) -> None:
        if self.scale not in (1, 2):
            raise ValueError(f"NEWS2: SpO2 scale {self.scale!r}; there are 1 and 2")


class RefusedError(ValueError):
    """There is no NEWS2 for this patient; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class News2(msgspec.Struct, frozen=True):
    """A score, as far as it is known.

    Attributes
    ----------
    lower, upper : int
        Least and most points that fit what is known, 0 to 20.
    points : Mapping[str, Points]
        The same for every one of `PARAMETERS`.
    missing : tuple[str, ...]
        Parameters without a value, in the order of the chart.
    scale : int
        SpO2 scale, 1 or 2.
    age_s : float
        Age of the oldest value used; NaN when no age was given.
    """

    lower: int
    upper: int
    points: Mapping[str, Points]
    missing: tuple[str, ...]
    scale: int
    age_s: float

    @property
    def total(self) -> int | None:
        """The score; None while it is not known to the point."""
        return self.lower if self.lower == self.upper else None

    @property
    def red(self) -> tuple[str, ...]:
        """Parameters that have 3 points for certain."""
        return tuple(name for name in PARAMETERS if self.points[name][0] == 3)


def refusal(subject: Subject) -> Refusal:
    """Return why there is no score for this patient; `Refusal.NONE` where there is."""
    if subject.pregnant:
        return Refusal.PREGNANT
    if math.isnan(subject.at_least_years):
        return Refusal.AGE_UNKNOWN
    return Refusal.TOO_YOUNG if subject.at_least_years < YOUNGEST_YEARS else Refusal.NONE


def in_words(values: Mapping[str, float | None]) -> str:
    """Return the score of `edge.features.news2` as people read it, or why there is none.

    >>> in_words({"news2_refusal": 0.0, "news2_lower": 4.0, "news2_upper": 4.0})
    '4'
    >>> in_words({"news2_lower": 4.0, "news2_upper": 10.0, "news2_n_missing": 2.0})
    '4 to 10, 2 of 7 values are missing'
    >>> in_words({"news2_refusal": 3.0})
    'NEWS2 is not computed: it is not valid in pregnancy'
    """
    lower, upper = values.get("news2_lower"), values.get("news2_upper")
    if lower is None or upper is None or math.isnan(lower) or math.isnan(upper):
        code = values.get("news2_refusal")
        told = next((one for one in Refusal if one == code), Refusal.NONE)
        return told.reason if told is not Refusal.NONE else "NEWS2 is not computed"
    n_missing = values.get("news2_n_missing") or 0.0
    missing = f", {n_missing:g} of 7 values are missing" if n_missing else ""
    return f"{lower:g}{missing}" if lower == upper else f"{lower:g} to {upper:g}{missing}"


def in_brief(values: Mapping[str, float | None]) -> str:
    """Return the score as it fits beside other numbers.

    >>> in_brief({"news2_lower": 4.0, "news2_upper": 4.0})
    '4'
    >>> in_brief({"news2_lower": 4.0, "news2_upper": 10.0}), in_brief({})
    ('4-10', '--')
    """
    lower, upper = values.get("news2_lower"), values.get("news2_upper")
    if lower is None or upper is None or math.isnan(lower) or math.isnan(upper):
        return "--"
    return f"{lower:g}" if lower == upper else f"{lower:g}-{upper:g}"


def assess(
    values: Mapping[str, float], subject: Subject, ages_s: Mapping[str, float] | None = None
) -> News2:
    """Return the score of what is known.

    Parameters
    ----------
    values : Mapping[str, float]
        By the names of `PARAMETERS`, in their units; oxygen is 0 (air) or 1, consciousness a
        place in `ACVPU`. Absent, NaN or not possible at all: missing.
    ages_s : Mapping[str, float] | None
        How old each value is.

    Raises
    ------
    RefusedError
        The patient is under 16, or may be, or is pregnant.

    >>> seen = {RESP: 22.0, SPO2: 95.4, OXYGEN: 0.0, PULSE: 90.5, CONSCIOUSNESS: 0.0}
    >>> found = assess(seen, Subject(at_least_years=71))
    >>> found.lower, found.upper, found.total, found.missing
    (4, 10, None, ('nibp_sys_mmhg', 'temp_degc'))
    """
    refused = refusal(subject)
    if refused is not Refusal.NONE:
        raise RefusedError(refused)
    known = {name: values[name] for name in PARAMETERS if _is_possible(name, values)}
    points = {name: _points(name, known, subject.scale) for name in PARAMETERS}
    used = [ages_s[name] for name in known if name in ages_s] if ages_s else []
    return News2(
        lower=sum(least for least, _ in points.values()),
        upper=sum(most for _, most in points.values()),
        points=points,
        missing=tuple(name for name in PARAMETERS if name not in known),
        scale=subject.scale,
        age_s=max(used, default=math.nan),
    )


def half_up(value: float, step: float) -> float:
    """Round to the next step, halves upwards, as the chart is read; not to even.

    Counted in thousandths, so that 38.05 kept in single precision (38.04999...) is a half too.

    >>> half_up(90.5, 1), half_up(91.5, 1), half_up(38.05, 0.1), half_up(35.04, 0.1)
    (91.0, 92.0, 38.1, 35.0)
    """
    n_step = round(step * 1000)
    n = (2 * round(value * 1000) + n_step) // (2 * n_step)
    return n * n_step / 1000


def _is_possible(name: str, values: Mapping[str, float]) -> bool:
    low, high = _POSSIBLE[name]
    return low <= values.get(name, math.nan) <= high


def _points(name: str, known: Mapping[str, float], scale: int) -> Points:
    value = known.get(name)
    if value is None:
        return 0, MOST[name]
    rounded = half_up(value, 0.1 if name == TEMPERATURE else 1.0)
    if name != SPO2:
        points = _look_up(_BANDS[name], rounded)
        return points, points
    if scale == 1:
        points = _look_up(_SCALE_1, rounded)
        return points, points
    oxygen = known.get(OXYGEN)
    on_air = _look_up(_SCALE_2_AIR, rounded)
    on_oxygen = _look_up(_SCALE_2_OXYGEN, rounded)
    if oxygen is None:
        return on_air, on_oxygen
    points = on_oxygen if half_up(oxygen, 1.0) else on_air
    return points, points


def _look_up(bands: tuple[Band, ...], value: float) -> int:
    return next(points for highest, points in bands if value <= highest)
