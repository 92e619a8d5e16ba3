"""What several sensors of one patient say of the same thing: the worst of it counts.

Two oximeters, two straps, a board and a strap: each tells its own flag or number, and the later
packet of a second must not hide the other sensor's. What a sensor said stands beside what others
say for as long as it would stand alone; a number that is not known hides no other.

- Of what a sensor says of itself (contact, electrodes, battery) the worst counts.
- Of saturations the lowest counts: a clip on the wrong finger, or one that shows what it showed an
  hour ago, must not hide the one that sees the patient fall.
- Of rates the one further from the usual counts. Which of them is right nobody knows; an alarm too
  many is looked at, one too few is not.

A sensor that falls silent has not taken back what it said last. After `NUMBER_S` that counts no
more as a number, and so raises nothing; but it is kept as its last word, which rules ask for
before they take another sensor's good number for the end of an alert (`edge.alarms._last_word`).
Whether it fell silent with an empty battery, out of reach or off the finger makes no difference,
even where it said "no contact" before: a clip that falls off a finger and one that is put aside
look alike, and neither cures. The word is gone when the sensor speaks again, and when a person took
the sensor away or gave it to somebody else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from edge.dsp.plausible import range_of

SAID_S: Final = 15.0
"""How long a flag one sensor raised stands beside those of the others."""
NUMBER_S: Final = 10.0
"""The same of a number: a value older than that is blanked (hazard H2)."""
EARLY_S: Final = 2.0
"""A last word is told so much before its number counts no more: between the two nothing may end."""
BATTERY_S: Final = 24 * 3600.0
USUAL_BPM: Final = 70.0
"""In the middle, by ratio, of the heart-rate limits of clinical.md 6.3 (40 and 120)."""
USUAL_BRPM: Final = 15.5
"""The same of the breathing rate (8 and 30)."""
MAX_SENSORS: Final = 64
"""Sensors of one signal that are kept apart; more means that something makes names up."""


def furthest(usual: float) -> Callable[[Iterable[float]], float]:
    """Return what picks the number whose ratio to `usual` is the greatest, either way.

    >>> furthest(70.0)([72.0, 38.0]), furthest(70.0)([72.0, 160.0]), furthest(70.0)([0.0, 200.0])
    (38.0, 160.0, 0.0)
    """
    usual_log = math.log(usual)

    def distance(value: float) -> float:
        # Not the logarithm of the ratio, which may be too small a number for any.
        return abs(math.log(value) - usual_log) if value > 0.0 else math.inf

    return lambda known: max(known, key=distance)


class _Kind:
    """How the worst is found, and how long what a sensor said stands."""

    def __init__(
        self, worst: Callable[[Iterable[float]], float], span_s: float, *, flag: bool = False
    ) -> None:
        self.worst, self.span_s, self.flag = worst, span_s, flag


_KINDS: Final[Mapping[str, _Kind]] = {
    "contact_flag": _Kind(min, SAID_S, flag=True),
    "lead_off_flag": _Kind(max, SAID_S, flag=True),
    "battery_pct": _Kind(min, BATTERY_S),
    "spo2_pct": _Kind(min, NUMBER_S),
    "hr_bpm": _Kind(furthest(USUAL_BPM), NUMBER_S),
    "pulse_bpm": _Kind(furthest(USUAL_BPM), NUMBER_S),
    "resp_brpm": _Kind(furthest(USUAL_BRPM), NUMBER_S),
}

WORDS: Final = frozenset(s for s, kind in _KINDS.items() if kind.span_s == NUMBER_S)
"""Signals of which the last word of a silent sensor is kept."""


class Several:
    """What the sensors of one patient said last."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, tuple[float, float]]] = {}

    def worst(self, signal: str, source: str, at_s: float, value: float) -> float:
        """Return what counts now that `source` says `value`; NaN is what it does not know.

        A number that can be no measurement (`edge.dsp.plausible`) is given back as it is.
        """
        kind = _KINDS.get(signal)
        if kind is None:
            return value
        said = self._said.setdefault(signal, {})
        low, high = range_of(signal)
        if low <= value <= high:
            if source in said or len(said) < MAX_SENSORS:
                said[source] = (at_s, value)
        elif not kind.flag:
            # What this sensor said last stands on as it would alone, and so does what others say.
            return value
        else:
            said.pop(source, None)
        known = [told for since_s, told in said.values() if at_s - since_s <= kind.span_s]
        return kind.worst(known) if known else value

    def count(self, signal: str, at_s: float, value: float) -> int:
        """Return how many sensors say this of a signal at `at_s`."""
        kind, said = _KINDS.get(signal), self._said.get(signal, {})
        if kind is None:
            return 0
        return sum(
            at_s - since_s <= kind.span_s and told == value for since_s, told in said.values()
        )

    def last_words(self, at_s: float) -> list[tuple[str, str, float, float]]:
        """Return what sensors said last that are silent now, where others brought the same signal.

        Returns
        -------
        list of (str, str, float, float)
            Signal, source, number and how old it is, in s.
        """
        return [
            (signal, source, told, at_s - since_s)
            for signal, said in self._said.items()
            if len(said) > 1 and signal in WORDS
            for source, (since_s, told) in said.items()
            if at_s - since_s > NUMBER_S - EARLY_S
        ]

    def forget(self, source: str) -> None:
        """Let what a sensor said count no more."""
        for said in self._said.values():
            said.pop(source, None)
