"""The battery of each sensor: does it reach the next test.

`LEAST_PCT` is judgement: makers' data sheets give running times, and what a sensor calls 20 % only
its maker knows. A strap that runs for weeks has days left then, an oximeter ring a few hours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from edge.records import SelfTestRow, Verdict
from edge.selftest import Bench, Part, row

NAME: Final = "battery"
LEAST_PCT: Final = 20.0
_WHY: Final = "a sensor that is flat watches nobody"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Compare what each sensor says of its battery."""
    sensors = bench.live.sensors
    if not sensors:
        yield row(NAME, Verdict.NOT_THERE, "no sensor with a battery is connected")
    for sensor in sensors:
        name, left = sensor.name or sensor.source, sensor.battery_pct
        if math.isnan(left):
            found = f"{name} does not tell its battery"
            yield row(NAME, Verdict.UNKNOWN, found, _WHY, "look at the sensor itself", name)
        elif left < LEAST_PCT:
            found = f"{name} has {left:.0f} % left, less than {LEAST_PCT:.0f} %"
            yield row(NAME, Verdict.FAILED, found, _WHY, f"charge {name} or change its cell", name)
        else:
            yield row(NAME, Verdict.PASSED, f"{name} has {left:.0f} % left", subject=name)


PART = Part(NAME, check, _WHY, "homeward status")
