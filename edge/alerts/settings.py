"""Times of the engine, each with where it comes from.

Values marked [mem] are from memory of IEC 60601-1-8:2006+A2:2020 (clinical.md 6.2): named
defaults, no claim to comply. Those marked [own] are ours and wait for a clinician's word.
"""

from __future__ import annotations

import math

import msgspec

from edge.records import Priority, Step

PAUSE_MOST_S = 120.0
"""The longest pause there is, for sound or for all signals; hazard H7, reliability target A6."""
SIGNAL_DELAY_MOST_S = 10.0
"""A technical alarm is due 10 s after its cause (reliability target A2)."""
WATCH_MOST_S = 24 * 3600.0
"""A hand-over for longer has been forgotten [own]."""


class Steps(msgspec.Struct, frozen=True):
    """After how long without an answer an alert is carried further, from its beginning.

    Attributes
    ----------
    page_s, first_carer_s, second_carer_s : float
        The page on the screens, then people; infinite: never.

    Raises
    ------
    ValueError
        A time is negative, or a later step comes before an earlier one.
    """

    page_s: float = 0.0
    first_carer_s: float = math.inf
    second_carer_s: float = math.inf

    def __post_init__(self) -> None:
        if not 0.0 <= self.page_s <= self.first_carer_s <= self.second_carer_s:
            raise ValueError(
                f"alerts: the steps {self.page_s!r}, {self.first_carer_s!r}, "
                f"{self.second_carer_s!r} s must be 0 or more, none before the one before it"
            )

    def reached(self, waited_s: float) -> Step:
        """Return the last step that is due after so long without an answer."""
        if waited_s >= self.second_carer_s:
            return Step.SECOND_CARER
        if waited_s >= self.first_carer_s:
            return Step.FIRST_CARER
        return Step.PAGE if waited_s >= self.page_s else Step.BOX


class AlertSettings(msgspec.Struct, frozen=True):
    """Times of the engine.

    Attributes
    ----------
    reraise_s : float
        An alert nobody has answered is raised again after this time. 120 s: the longest an
        alarm may be paused (hazard H7) is also the longest it may go without being said again.
    clear_s : float
        A condition is over once it was seen absent for this long; flapping is one episode.
        10 s: a value older than that is blanked (hazard H2).
    unsure_s : float
        When the data have been unable to tell for this long the reason says so. 30 s: the
        longest hold of an artefact (clinical.md 6.3).
    answer_s : float
        An answer stands until the condition is over, but not over a longer time in which nobody
        could see it: found again after that, it sounds again. 120 s: as long as a pause at most
        (hazard H7) [own].
    signal_delay_s : float
        From an alert to its sound, for all but high priority; light, record and steps do not
        wait. The delay of the condition is each rule's own. 0 s: one delay is enough [own].
    pause_s : float
        Length of a pause nobody gave a length. 120 s (clinical.md 6.2, hazard H7), the most.
    watch_s : float
        Length of a watch nobody gave a length: 12 h, a night [own].
    high, medium, low : Steps
        Who is told when nobody answers [own]. The page at once; the first carer after 15 s,
        1 min, 10 min, so that somebody in the room can answer first; the second carer after
        90 s, 5 min, 1 h. Information is carried nowhere.

    Raises
    ------
    ValueError
        A time is not finite, is negative, or is zero where it must not be, or longer than the
        most.
    """

    reraise_s: float = 120.0
    clear_s: float = 10.0
    unsure_s: float = 30.0
    answer_s: float = PAUSE_MOST_S
    signal_delay_s: float = 0.0
    pause_s: float = PAUSE_MOST_S
    watch_s: float = 12 * 3600.0
    high: Steps = Steps(0.0, 15.0, 90.0)
    medium: Steps = Steps(0.0, 60.0, 300.0)
    low: Steps = Steps(0.0, 600.0, 3600.0)

    def __post_init__(self) -> None:
        for name, most in _MOST_S.items():
            value = getattr(self, name)
            least_fits = value > 0.0 or (value == 0.0 and name in _MAY_BE_ZERO)
            if not least_fits or not math.isfinite(value) or value > most:
                raise ValueError(
                    f"alerts: {name} is {value!r}; give a number of seconds above 0"
                    + ("" if math.isinf(most) else f" and at most {most:g}")
                )

    def steps_of(self, priority: Priority) -> Steps:
        """Return when an alert of a priority is carried to whom."""
        return {
            Priority.HIGH: self.high,
            Priority.MEDIUM: self.medium,
            Priority.LOW: self.low,
        }.get(priority, _NOWHERE)

    def first_step(self, priority: Priority) -> Step:
        """Return how far an alert is carried by being raised; no person is told by that alone."""
        at_once = self.steps_of(priority).page_s <= 0.0
        return Step.PAGE if at_once else Step.BOX


_MOST_S = {
    "reraise_s": math.inf,
    "clear_s": math.inf,
    "unsure_s": math.inf,
    "answer_s": math.inf,
    "signal_delay_s": SIGNAL_DELAY_MOST_S,
    "pause_s": PAUSE_MOST_S,
    "watch_s": WATCH_MOST_S,
}
_MAY_BE_ZERO = frozenset({"clear_s", "signal_delay_s"})
_NOWHERE = Steps(math.inf)
