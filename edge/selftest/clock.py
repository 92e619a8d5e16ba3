"""The wall clock: is it set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.doctor import check_clock
from edge.records import SelfTestRow
from edge.selftest import Bench, Part, row_of

NAME: Final = "clock"
_WHY: Final = "alarms work, but their times of day may be wrong"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Ask the kernel."""
    yield row_of(NAME, check_clock(synchronised=bench.clock_is_set()))


PART = Part(NAME, check, _WHY, "timedatectl")
