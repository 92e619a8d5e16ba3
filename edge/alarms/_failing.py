"""Parts of the box that work or do not (part of the rules, not one of them).

What is told of such a part is one number, ``..._fails_s``: 0 while it works, else for how long it
has not. One that is absent is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import nan

import msgspec


class Failing(msgspec.Struct, frozen=True):
    """What fails of several parts, and what that says.

    Attributes
    ----------
    for_s : Mapping[str, float]
        Name -> for how long, of those that have failed for as long as it takes.
    n_known : int
        Parts of which it is known whether they work.
    pending : bool
        One fails, and not yet for long enough: that is neither a fault nor its end.
    """

    for_s: Mapping[str, float]
    n_known: int
    pending: bool

    @property
    def present(self) -> bool | None:
        """What a rule says that watches these parts."""
        if self.for_s:
            return True
        return None if self.pending or not self.n_known else False


def failing(names: Iterable[str], values: Mapping[str, float], delay_s: float) -> Failing:
    """Return what has failed for at least ``delay_s``.

    >>> failing(("a_s", "b_s"), {"a_s": 0.0, "b_s": 4.0}, 3.0).for_s
    {'b_s': 4.0}
    """
    known = [(name, value) for name in names if (value := values.get(name, nan)) >= 0.0]
    for_s = {name: value for name, value in known if value > 0.0 and value >= delay_s}
    return Failing(for_s, len(known), any(0.0 < value < delay_s for _, value in known))


def named(prefix: str, values: Mapping[str, float]) -> list[str]:
    """Return the names that begin so, in a fixed order.

    >>> named("unheard_s:", {"unheard_s:sound": 0.0, "cpu_degc": 50.0})
    ['unheard_s:sound']
    """
    return sorted(name for name in values if name.startswith(prefix))
