"""Whether a condition has lasted long enough (part of the rules, not one of them).

What counts, in one place so that all rules count alike:

- A condition has lasted `delay_s` when it was met at two moments at least that far apart, was
  never seen not met between them, and was never out of sight for longer than `hold_s`.
- Met, but not for long enough: the rule answers None. Nothing is raised by that, and nothing ends
  by it: after a restart every count begins anew, and an alert that stands must not end, and sound
  again as another, while its condition goes on.
- A moment that cannot tell changes nothing. A pending count that was out of sight for longer
  than `hold_s` begins anew; a condition that had already lasted is present again at once when it
  comes back into sight, because losing the sensor cures no one.
- A condition that had lasted and was not met for less than `hold_s` is present again at once:
  a value that trembles around its limit is one episode, not a new delay each time.
- A boot clock that went back (the box was started again) begins every count anew.
"""

from __future__ import annotations

from typing import TypeAlias

Lasting: TypeAlias = tuple[float, float, bool, float | None] | None
"""(since_s, seen_s, lasted, over_s): met since when, last met when, whether it has lasted long
enough, and since when it is not met any more. None: not met. A plain value, so that a list with
the same items, as it comes back from a checkpoint, does as well."""

HOLD_S = 10.0
"""Default of every rule's ``hold_s``: the time after which a stale value is blanked (hazard H2)
and the time a condition must be over before its alert ends. Never above 30 s, the longest
artefact hold of clinical.md 6.3."""
HOLD_LIMITS_S = (1.0, 30.0)
"""A hold shorter than the cadence of the steps would never let anything last."""
DELAY_LIMITS_S = (0.0, 60.0)
"""clinical.md 6.3: delays of 10 to 60 s for continuous sensors; zero alarms at first sight."""


def met(state: Lasting, at_s: float, delay_s: float, hold_s: float) -> tuple[Lasting, float, bool]:
    """Count a moment at which the condition is met.

    Parameters
    ----------
    state : Lasting
        From the moment before.
    at_s : float
        This moment.
    delay_s, hold_s : float
        See the module.

    Returns
    -------
    tuple[Lasting, float, bool]
        The next state; how long the condition has lasted, in seconds; whether that is
        ``>= delay_s``, or it had lasted before.
    """
    since_s, lasted = at_s, False
    if state is not None:
        since_s, seen_s, lasted, over_s = state
        if over_s is not None:
            lasted = 0.0 <= at_s - over_s < hold_s
            since_s = at_s
        elif not 0.0 <= at_s - seen_s <= hold_s:
            since_s = at_s
    lasted = lasted or at_s - since_s >= delay_s
    return (since_s, at_s, lasted, None), at_s - since_s, lasted


def unmet(state: Lasting, at_s: float, hold_s: float) -> Lasting:
    """Count a moment at which the condition is seen not to be met; return the next state."""
    if state is None:
        return None
    since_s, seen_s, lasted, over_s = state
    if not lasted:
        return None
    if over_s is None:
        return since_s, seen_s, True, at_s
    return state if 0.0 <= at_s - over_s < hold_s else None
