"""How many boxes the mean of blurred medians needs, and whether it comes out right.

    python -m tests.bench.privacy [--boxes 4000]

The spread of one estimate follows from the distribution of the noise, exactly; the last column
draws that many boxes and says how far their mean is off, in standard errors (2 is usual at most).
"""

from __future__ import annotations

import argparse
import math
import statistics
from fractions import Fraction
from uuid import UUID

from edge.egress.private import Number, blur, medians, numbers_of, shares_of, unbiased
from edge.egress.summary import CoverageOut, SummaryOut, VitalOut

EPSILONS = (0.1, 1.0, 4.0, 10.0, 40.0)
VITALS = ("hr_bpm", "spo2_pct", "pulse_bpm", "resp_brpm")
TRUE = 75.0
WITHIN = 2.0
SEED = b"of one box, and of 32 bytes only"


def summary_of(n: int, hr_bpm: float = TRUE) -> SummaryOut:
    """Return a day of box number n."""
    told = (hr_bpm - 15.0, hr_bpm - 8.0, hr_bpm, hr_bpm + 9.0, hr_bpm + 30.0)
    return SummaryOut(
        *(str(UUID(int=n + 1)), "box", "patient", None, None, 86400.0, 100_000, 0, 3),
        tuple(VitalOut(name, 80_000, *told) for name in VITALS),
        tuple(CoverageOut(name, 0.9) for name in ("ecg_mv", "pleth_au", "accel_g", "resp_au")),
    )


def spread(number: Number, value: float, share: Fraction) -> tuple[float, float]:
    """Return mean and standard deviation of what a released number counts as."""
    alpha = math.exp(-share / number.n_steps)
    at = number.index(value)
    chance = [
        (1.0 - alpha) / (1.0 + alpha) * alpha ** abs(index - at)
        for index in range(number.n_steps + 1)
    ]
    chance[0] = alpha**at / (1.0 + alpha)
    chance[-1] = alpha ** (number.n_steps - at) / (1.0 + alpha)
    told = [unbiased(number, number.value(n), share) for n in range(number.n_steps + 1)]
    mean = math.fsum(p * one for p, one in zip(chance, told, strict=True))
    square = math.fsum(p * (one - mean) ** 2 for p, one in zip(chance, told, strict=True))
    return mean, math.sqrt(square)


def row(epsilon: float, n_boxes: int) -> tuple[str, ...]:
    """Return a row: budget, spread of one box, boxes needed, and a trial."""
    numbers = numbers_of(summary_of(0))
    shares = shares_of(numbers, epsilon)
    number, value = next(one for one in numbers if one[0].name == "hr_bpm p50")
    _, sd = spread(number, value, shares[number.name])
    needed = math.ceil((1.96 * sd / WITHIN) ** 2)
    found = [medians(blur(summary_of(n), epsilon, SEED))["hr_bpm"] for n in range(n_boxes)]
    off = (statistics.fmean(found) - TRUE) / (sd / math.sqrt(n_boxes))
    return f"{epsilon:g}", f"{sd:.0f}", f"{needed:,}", f"{off:+.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.privacy", description=__doc__)
    parser.add_argument("--boxes", type=int, default=4000, help="boxes of the trial")
    chosen = parser.parse_args()
    print("| epsilon of the summary | sd of one box, bpm | boxes for +-2 bpm | trial off by, se |")
    print("| ---: | ---: | ---: | ---: |")
    for epsilon in EPSILONS:
        print("|", " | ".join(row(epsilon, chosen.boxes)), "|")


if __name__ == "__main__":
    main()
