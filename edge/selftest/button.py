"""The button at the box: does a press reach the monitor. Only a person can press it.

A press while the test waits for it, and no alarm waits for an answer, is taken for the test and
pauses nothing; while one does, it means what it always means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.records import SelfTestRow, Verdict
from edge.selftest import ANSWER_S, Bench, Part, row

NAME: Final = "button"
_WHY: Final = "at the bed an alarm could not be quietened"
_CURE: Final = "see that the button goes from its pin to ground, and annunciators.gpio.button_pin"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Wait for a press, where there is a button and a person."""
    gpio = bench.config.annunciators.get("gpio")
    if gpio is None or not gpio.enabled or getattr(gpio.settings, "button_pin", None) is None:
        yield row(NAME, Verdict.NOT_THERE, "no button is configured")
    elif not bench.listening:
        cure = "homeward doctor --alarm-path --listen"
        yield row(NAME, Verdict.UNKNOWN, "only a person can press it", _WHY, cure)
    elif bench.pressed(ANSWER_S):
        yield row(NAME, Verdict.PASSED, "a press reached the monitor")
    else:
        yield row(NAME, Verdict.FAILED, f"no press came within {ANSWER_S:.0f} s", _WHY, _CURE)


PART = Part(NAME, check, _WHY, _CURE, asks=True)
