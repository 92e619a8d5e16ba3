"""When a lamp is lit and a buzzer sounds: patterns in time. Pure.

The numbers are those of ``reference/clinical.md`` §6.2 (IEC 60601-1-8, from memory): high red,
1.4 to 2.8 Hz; medium yellow, 0.4 to 0.8 Hz; both lit for 20 to 60 % of the time; low steady.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from edge.annunciators import Signal
from edge.annunciators._melody import GENERAL, INTERVAL_S, REMINDER_S, beats
from edge.records import Priority

HIGH_HZ: Final = 2.0
"""§6.2: 1.4 to 2.8 Hz."""
MEDIUM_HZ: Final = 0.6
"""§6.2: 0.4 to 0.8 Hz."""
DUTY: Final = 0.4
"""§6.2: 20 to 60 %."""
REMINDER_BEEP_S: Final = 0.2

RED, YELLOW, CYAN, BUZZER = "red", "yellow", "cyan", "buzzer"
OUTPUTS: Final = (RED, YELLOW, CYAN, BUZZER)


class Pattern(NamedTuple):
    """On during some spans of a period, again and again; whole numbers, so that no edge is missed.

    Attributes
    ----------
    period_us : int
        In microseconds; 0 where it never changes.
    spans_us : tuple
        Half open, in order, within the period.
    always : bool
        Where it never changes: on.
    """

    period_us: int
    spans_us: tuple[tuple[int, int], ...]
    always: bool = False

    def is_on(self, age_s: float) -> bool:
        """Return whether it is on so long after it began."""
        if not self.period_us:
            return self.always
        phase_us = math.floor(age_s * 1e6) % self.period_us
        return any(begin <= phase_us < end for begin, end in self.spans_us)

    def next_change_s(self, age_s: float) -> float:
        """Return the age, later than this one, at which it changes next; infinite: never."""
        if not self.period_us:
            return math.inf
        age_us = math.floor(age_s * 1e6)
        phase_us = age_us % self.period_us
        edges = [edge for span in self.spans_us for edge in span]
        ahead = [edge for edge in edges if edge > phase_us] or [edges[0] + self.period_us]
        return (age_us - phase_us + ahead[0]) / 1e6


OFF: Final = Pattern(0, ())
STEADY: Final = Pattern(0, (), always=True)


def patterns_of(signal: Signal, *, cyan_lamp: bool) -> Mapping[str, Pattern]:
    """Return what every output does for a signal.

    Parameters
    ----------
    signal : Signal
        What should be heard and seen.
    cyan_lamp : bool
        Whether a lamp of its own shows the low priority; else the yellow one does.
    """
    low = CYAN if cyan_lamp else YELLOW
    lamps = dict.fromkeys(OUTPUTS, OFF)
    match signal.visual:
        case Priority.HIGH:
            lamps[RED] = _blinking(HIGH_HZ)
        case Priority.MEDIUM:
            lamps[YELLOW] = _blinking(MEDIUM_HZ)
        case Priority.LOW:
            lamps[low] = STEADY
        case Priority.INFORMATION | None:
            pass
    lamps[BUZZER] = _buzzing(signal)
    return lamps


def _blinking(rate_hz: float) -> Pattern:
    return _pattern(1 / rate_hz, [(0.0, DUTY / rate_hz)])


def _buzzing(signal: Signal) -> Pattern:
    """Return the rhythm of the alarm sounds; a buzzer has neither melody nor soft edges."""
    priority = signal.priority
    if signal.audible and priority is not None and priority is not Priority.INFORMATION:
        placed = beats(priority, GENERAL)
        first_s = placed[0].onset_s
        spans_s = [(b.onset_s - first_s, b.onset_s - first_s + b.duration_s) for b in placed]
        return _pattern(spans_s[-1][1] + INTERVAL_S[priority], spans_s)
    return _pattern(REMINDER_S, [(0.0, REMINDER_BEEP_S)]) if signal.reminder else OFF


def _pattern(period_s: float, spans_s: list[tuple[float, float]]) -> Pattern:
    spans_us = ((round(begin * 1e6), round(end * 1e6)) for begin, end in spans_s)
    return Pattern(round(period_s * 1e6), tuple(spans_us))
