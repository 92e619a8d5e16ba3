"""Summaries for many, not for one: local differential privacy, with the budget shown.

Every number of a summary is clamped to a plausible range that is published here (`RANGES`), laid
on a grid, and gets noise from the two-sided geometric distribution, whose scale is range over
epsilon; what falls off the range is laid on its end. Whatever the true number was, any output is
at most e^epsilon times as likely as from any other: nobody, the receiver included, has to be
trusted with the truth (local model).

- The mechanism: Ghosh, Roughgarden, Sundararajan, "Universally utility-maximizing privacy
  mechanisms", SIAM J. Comput. 41 (2012), doi:10.1137/09076828X (the truncated geometric one).
- Budgets add up over the numbers of a summary and over summaries (sequential composition), and
  what is computed from the output costs nothing: Dwork, Roth, "The algorithmic foundations of
  differential privacy" (2014), doi:10.1561/0400000042, 2.1 and 3.5.
- The noise is exact (`edge.egress.noise`).
- The bits are HMAC-SHA256, by a secret of the box, of the summary's id and the number's name: the
  same summary always gets the same noise, so asking twice tells nothing more. With that the bound
  holds against whoever cannot break HMAC, not against anybody at all.

What is hidden: the values. What is not: that there was a summary, when, how long, which vital signs
and signals it has (epsilon is divided over these), who sends it. How often which rule alarmed is
left out: alerts leave by themselves, exact, or people do not let them. Of no use for a single
patient, and not to be read as one's measurements; it is for means over many.

How many boxes until the mean of their median heart rates is within +-2 bpm (95 %), from a summary
each, with four vital signs and four signals (``python -m tests.bench.privacy``):

| epsilon of the summary | sd of one box, bpm | boxes for +-2 bpm |
| ---: | ---: | ---: |
| 0.1 | 10212 | 100,152,556 |
| 1 | 1060 | 1,079,358 |
| 4 | 289 | 80,453 |
| 10 | 127 | 15,447 |
| 40 | 35 | 1,186 |

A budget a day is far better spent on few, long summaries than on many short ones: an hour's has
1/24 of it, and 24 times the noise. With summaries of a minute nothing is left of the numbers.

Pure: the secret is handed in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from edge.egress import EgressError
from edge.egress.bounds import checked
from edge.egress.noise import Bits, draw
from edge.egress.summary import CoverageOut, SummaryOut, Vital, VitalOut

MIN_SEED_BYTES: Final = 16
DAY_S: Final = 86_400.0
MIN_EPSILON: Final = Fraction(1, 1_000_000_000)

RANGES: Final[Mapping[Vital, tuple[float, float, float]]] = {
    "hr_bpm": (30.0, 220.0, 1.0),
    "spo2_pct": (60.0, 100.0, 1.0),
    "pulse_bpm": (30.0, 220.0, 1.0),
    "resp_brpm": (4.0, 40.0, 1.0),
    "temp_degc": (34.0, 42.0, 0.1),
    "news2_lower": (0.0, 20.0, 1.0),
    "news2_upper": (0.0, 20.0, 1.0),
}
"""Lowest, highest and step of the grid."""
MOST_BEATS_PER_S: Final = 4.0
MOST_COUNTED: Final = 100
"""Broken packets and gaps beyond this count as so many."""
GRID_STEPS: Final = 100
"""Of a count of beats or of seconds."""
WEIGHTS: Final[Mapping[str, int]] = {"min": 1, "p10": 1, "p50": 20, "p90": 1, "max": 1}
"""How the budget is divided: the median, which means are made of, gets most; all else gets 1."""


class Number(msgspec.Struct, frozen=True):
    """One number that is released: where it lies, on which grid, and its part of the budget."""

    name: str
    low: float
    step: float
    n_steps: int
    weight: int

    def index(self, value: float) -> int:
        """Return the place of a value on the grid; one out of the range lies on its end."""
        if value != value:  # noqa: PLR0124  # a NaN is not itself
            return 0
        inside = min(max(value, self.low), self.low + self.step * self.n_steps)
        return min(max(round((inside - self.low) / self.step), 0), self.n_steps)

    def value(self, index: int) -> float:
        """Return the value at a place of the grid."""
        return round(self.low + index * self.step, 3)


class Spent(msgspec.Struct, frozen=True, tag="privacy_spent", tag_field="record"):
    """What summaries of one patient have told, on one day (UTC).

    Attributes
    ----------
    day : str
        ISO date; empty: nobody knows the time.
    epsilon : float
        Sum over its blurred summaries; each counts once, however often it was sent.
    n_blurred, n_exact : int
        Summaries that were blurred, and those that told all.
    """

    day: str
    patient: str
    epsilon: float
    n_blurred: int
    n_exact: int


class Told(NamedTuple):
    """A summary that was sent: its id, the day, of whom, and the budget spent on it."""

    uuid: str
    day: str
    patient: str
    epsilon: float


def share_of_day(epsilon_per_day: float, length_s: float) -> float:
    """Return the budget of a summary: what of the day's is its part of the day.

    Periods do not overlap, so a day's summaries together never spend more than the day's budget.

    >>> share_of_day(2.4, 3600.0)
    0.1
    """
    return math.floor(epsilon_per_day * min(length_s, DAY_S) / DAY_S * 1e12 + 1e-3) / 1e12


def blur(summary: SummaryOut, epsilon: float, seed: bytes) -> SummaryOut:
    """Return a summary that tells at most `epsilon` of what it says.

    Parameters
    ----------
    epsilon : float
        Budget of this summary; 0: it is returned as it is.
    seed : bytes
        Secret of the box, at least 16 bytes.

    Raises
    ------
    EgressError
        It is blurred already, the secret is too short, or the budget is none.
    """
    if epsilon == 0.0:
        return summary
    if summary.epsilon:
        raise EgressError("a blurred summary is not blurred again: its budget would be told wrong")
    if len(seed) < MIN_SEED_BYTES:
        raise EgressError(f"the secret for blurring has less than {MIN_SEED_BYTES} bytes")
    if not MIN_EPSILON <= epsilon <= 100.0:
        raise EgressError(f"a privacy budget is {float(MIN_EPSILON):g} to 100 for a summary")
    numbers = numbers_of(summary)
    shares = shares_of(numbers, epsilon)
    drawn: dict[str, float] = {}
    for number, value in numbers:
        bits = Bits(seed, f"{summary.uuid}\0{number.name}")
        drawn[number.name] = release(number, value, shares[number.name], bits)
    return checked(
        msgspec.structs.replace(
            summary,
            n_beats=int(drawn["n_beats"]),
            n_broken=int(drawn["n_broken"]),
            n_gaps=int(drawn["n_gaps"]),
            vitals=tuple(_vital(one.name, drawn) for one in summary.vitals),
            coverage=tuple(
                CoverageOut(one.signal, drawn[f"coverage {n}"])
                for n, one in enumerate(summary.coverage)
            ),
            alerts=(),
            epsilon=epsilon,
        )
    )


def release(number: Number, value: float, share: Fraction, bits: Bits) -> float:
    """Return a number with the noise that its part of the budget asks for."""
    index = number.index(value) + draw(number.n_steps / share, bits)
    return number.value(min(max(index, 0), number.n_steps))


def numbers_of(summary: SummaryOut) -> list[tuple[Number, float]]:
    """Return every number a blurred summary releases, and what it truly is.

    Which they are follows from what is not hidden: its length, its vital signs, its signals.
    """
    found: list[tuple[Number, float]] = [
        (_count("n_beats", MOST_BEATS_PER_S * summary.length_s), summary.n_beats),
        (Number("n_broken", 0.0, 1.0, MOST_COUNTED, 1), summary.n_broken),
        (Number("n_gaps", 0.0, 1.0, MOST_COUNTED, 1), summary.n_gaps),
    ]
    for vital in summary.vitals:
        low, high, step = RANGES[vital.name]
        n_steps = round((high - low) / step)
        found += [
            (Number(f"{vital.name} {name}", low, step, n_steps, weight), getattr(vital, name))
            for name, weight in WEIGHTS.items()
        ]
        found.append((_count(f"{vital.name} n", summary.length_s), vital.n))
    found += [
        (Number(f"coverage {n}", 0.0, 0.01, 100, 1), one.share)
        for n, one in enumerate(summary.coverage)
    ]
    return found


def shares_of(numbers: Iterable[tuple[Number, float]], epsilon: float) -> dict[str, Fraction]:
    """Return the part of the budget each number gets, by name; together never more than all.

    Raises
    ------
    EgressError
        A number is there twice.
    """
    found = list(numbers)
    weights = {number.name: number.weight for number, _ in found}
    if len(weights) != len(found):
        raise EgressError("a summary has a vital sign twice: its noise would be the same")
    all_of_it = Fraction(math.floor(Fraction(epsilon) / MIN_EPSILON)) * MIN_EPSILON
    whole = sum(weights.values())
    return {name: all_of_it * weight / whole for name, weight in weights.items()}


def medians(summary: SummaryOut) -> dict[str, float]:
    """Return what to average over many blurred summaries: the mean is that of the true medians.

    A value at the end of its range stands for all that fell off there, whose mean is known: the
    geometric distribution forgets (`Ghosh`, above). With that the truncation takes nothing away.
    True medians out of the range count as its end.
    """
    if not summary.epsilon:
        return {one.name: one.p50 for one in summary.vitals}
    numbers = numbers_of(summary)
    shares = shares_of(numbers, summary.epsilon)
    told = {}
    for number, value in numbers:
        vital, _, which = number.name.partition(" ")
        if which == "p50":
            told[vital] = unbiased(number, value, shares[number.name])
    return told


def unbiased(number: Number, value: float, share: Fraction) -> float:
    """Return what a released number is to count as in a mean."""
    index = number.index(value)
    beyond = 1.0 / math.expm1(share / number.n_steps)
    if index == 0:
        return number.low - beyond * number.step
    if index == number.n_steps:
        return number.low + (index + beyond) * number.step
    return number.value(index)


def spent(told: Iterable[Told]) -> tuple[Spent, ...]:
    """Return what sent summaries have told, by day and patient.

    A summary counts once, however often and wherever it was sent: its noise is the same.
    """
    once = {one.uuid: one for one in told}
    sums: dict[tuple[str, str], list[Told]] = {}
    for one in once.values():
        sums.setdefault((one.day, one.patient), []).append(one)
    return tuple(
        Spent(
            *key,
            round(math.fsum(one.epsilon for one in some), 9),
            sum(one.epsilon > 0.0 for one in some),
            sum(one.epsilon == 0.0 for one in some),
        )
        for key, some in sorted(sums.items())
    )


def _count(name: str, most: float) -> Number:
    step = max(1, math.ceil(most / GRID_STEPS))
    return Number(name, 0.0, float(step), max(1, math.ceil(most / step)), 1)


def _vital(name: Vital, drawn: Mapping[str, float]) -> VitalOut:
    """Return a vital sign with its quantiles in order again; the median stays as it was drawn."""
    told = {key: drawn[f"{name} {key}"] for key in (*WEIGHTS, "n")}
    p10, p90 = min(told["p10"], told["p50"]), max(told["p90"], told["p50"])
    return VitalOut(
        name,
        int(told["n"]),
        min(told["min"], p10),
        p10,
        told["p50"],
        p90,
        max(told["max"], p90),
    )
