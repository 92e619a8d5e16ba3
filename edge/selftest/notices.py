"""Notices: does one reach the outside, and does its receipt come back.

Notices are sent by a process of their own (``homeward notify``), because whoever may open a
network connection may read nothing raw. It proves itself through `edge.selftest.Bench.notice`
(`edge.daemon.roundtrip`): one test notice by every way, and what its service says of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.records import SelfTestRow, Verdict
from edge.selftest import Bench, Part, row

NAME: Final = "notices"
DEADLINE_S: Final = 30.0
_WHY: Final = "nobody outside this room is told of an alarm"
_CURE: Final = "homeward notify --test"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Ask the notifier for a test notice and its receipt."""
    if bench.notice is None:
        yield row(NAME, Verdict.NOT_THERE, "no notifier runs: alarms stay in this room")
        return
    verdict, found = bench.notice()
    wrong = verdict in (Verdict.FAILED, Verdict.UNKNOWN)
    yield row(NAME, verdict, found, _WHY if wrong else "", _CURE if wrong else "")


PART = Part(NAME, check, _WHY, _CURE, deadline_s=DEADLINE_S)
