"""Signal -> sound, light: one file a way to be heard or seen; each ends with ``ANNUNCIATOR``.

An annunciator is handed what should be heard and seen now. It knows nothing of alerts, of people
or of time-outs: the alarm engine has decided. It must never make the monitor wait, and it must
say so when it can not be heard: silence nobody knows of is the worst fault an alarm can have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from edge.records import Priority

UNHEARD_S: Final = 10.0
"""An annunciator that does not work says so within this time; reliability target A2."""


class Signal(Protocol):
    """What should be heard and seen now: the part of the engine's record that is used here."""

    @property
    def priority(self) -> Priority | None:
        """Of the sound; None or `Priority.INFORMATION` where nothing sounds."""
        ...

    @property
    def category(self) -> str:
        """``cardiovascular``, ``oxygenation`` ...; one that is not known sounds as ``general``."""
        ...

    @property
    def audible(self) -> bool:
        """The alarm sounds: nobody has paused it, and there is one."""
        ...

    @property
    def reminder(self) -> bool:
        """The sound is off or paused, and this must not be forgotten."""
        ...

    @property
    def visual(self) -> Priority | None:
        """Priority of the light; it stays while the sound is paused."""
        ...

    @property
    def paused(self) -> bool:
        """A person has paused the sound."""
        ...


class Quiet(msgspec.Struct, frozen=True):
    """A signal by its fields, quiet where nothing is said; for self-tests and for beginning."""

    priority: Priority | None = None
    category: str = "general"
    audible: bool = False
    reminder: bool = False
    visual: Priority | None = None
    paused: bool = False


class Rim(msgspec.Struct, frozen=True):
    """What an annunciator is handed.

    Attributes
    ----------
    now_s : Callable
        The boot clock.
    minute_of_day : Callable
        Minutes since local midnight, None while the wall clock can not be trusted; then it is
        day, and loud. Called from any thread.
    answered : Callable
        Called, from any thread, when a person has pressed the button of this annunciator.
    """

    now_s: Callable[[], float]
    minute_of_day: Callable[[], float | None] = lambda: None
    answered: Callable[[], None] = lambda: None


class State(msgspec.Struct, frozen=True):
    """Whether an annunciator can be heard or seen, and what of it was.

    Attributes
    ----------
    works : bool
        False: whoever relies on it alone is not told of an alarm.
    reason : str
        What happened, to what, and what to do; empty while it works.
    since_s : float
        Boot clock of the last change of `works`.
    n_given : int
        Signals that changed what should be heard or seen and have begun to come out, in the
        order in which they were shown. One that was overtaken by the next before it could begin
        counts as given with that one.
    given_s : float
        Boot clock at which the last of these was handed to the hardware; NaN before the first.
    n_shown : int
        Signals that changed what should be heard or seen; all have come out at `n_given`.
    """

    works: bool
    reason: str
    since_s: float
    n_given: int
    given_s: float
    n_shown: int = 0


class Proof(msgspec.Struct, frozen=True):
    """What a self-test found.

    Attributes
    ----------
    passed : bool
        Whether everything that can be known from here works.
    finding : str
        One sentence: what was tried, what was measured, and what could not be known.
    """

    passed: bool
    finding: str


class Opened(Protocol):
    """An annunciator in use."""

    def show(self, signal: Signal) -> None:
        """Take what should be heard and seen from now on; never waits, never raises."""
        ...

    def state(self) -> State:
        """Return whether it works; never waits. To be asked at least every two seconds."""
        ...

    def prove(self, *, soft: bool = False) -> Proof:
        """Try it, so that a person can hear or see it; takes seconds, so call it in a thread.

        An alarm that begins meanwhile comes out at once, as ever. `soft`: nobody has asked for it,
        so as quietly as it will be noticed.
        """
        ...

    def close(self) -> None:
        """Be silent and give the hardware back; may be called twice."""
        ...


class Annunciator(msgspec.Struct, frozen=True):
    """A way to be heard or seen.

    Attributes
    ----------
    name : str
        The file's name; also its table in the configuration.
    settings : type[msgspec.Struct]
        Frozen struct of its options with defaults, bounds and meaning. A value that would make an
        alarm unheard raises ValueError.
    open : Callable
        ``open(settings, rim)`` returns at once; what does not work is said by `Opened.state`.
    wanted : Callable
        ``wanted(settings)``: whether anything is to be opened, so set. Pins that nobody has named
        are no fault; a loudspeaker is always wanted.
    gives : Callable
        ``gives(settings)``: ``sounded``, ``shown`` or both: what it means for an alert when it
        came out here.
    """

    name: str
    settings: type[msgspec.Struct]
    open: Callable[[Any, Rim], Opened]
    wanted: Callable[[Any], bool] = lambda _: True
    gives: Callable[[Any], tuple[str, ...]] = lambda _: ("sounded",)
