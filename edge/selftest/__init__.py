"""The self-test of the alarm path: one file a part; each ends with ``PART``.

    adapter       is there a Bluetooth radio, and is it on
    annunciator   sound and light, each tried so that a person can hear and see it
    battery       of each sensor
    bond          of each paired sensor
    button        pressed by a person
    clock         is it set
    contact       do data come now, is the sensor on the body, is the signal any good
    disk          write, force to the medium, read back
    engine        a made-up emergency through a pipeline of its own, up to the sound
    model         its maker's golden vectors
    notices       a notice to the outside and its receipt
    store         a transaction that is forced to the medium

    _running      every part in a thread of its own, with a deadline
    _schedule     when the daily test is due (pure)
    _words        what is said of the last one (pure)

A self-test disturbs nothing: it makes no alert of the real patient, its tone gives way to an alarm
at once, and what hangs fails after its deadline while the others go on.

What is proven, and what is not: everything from a number to the samples in the sound card is tried
for real. Whether a loudspeaker turns them into sound only an ear can tell, which is why a person
is asked with ``homeward doctor --alarm-path --listen``, and the answer is recorded with the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from edge.annunciators import Opened
from edge.config import Config
from edge.doctor.findings import Finding, Health
from edge.live import Live
from edge.records import SelfTestRow, Verdict

__all__ = [
    "ANSWER_S",
    "DEADLINE_S",
    "Bench",
    "Heard",
    "Part",
    "row",
    "row_of",
]

DEADLINE_S: Final = 10.0
"""A part that has said nothing for so long has failed."""
ANSWER_S: Final = 60.0
"""How long a person may take to answer or to press a button."""


class Heard(msgspec.Struct, frozen=True):
    """What a person answered."""

    yes: bool
    by: str


class Bench(msgspec.Struct, frozen=True):
    """What a part is handed. All of it may be used from any thread.

    Attributes
    ----------
    config : Config
        What was configured.
    live : Live
        The monitor at the beginning of the test.
    clock_is_set : Callable
        Whether the kernel vouches for the wall time.
    opened : Mapping[str, Opened]
        Sound and light in use, by name.
    unopened : Mapping[str, str]
        Those that could not be opened -> why.
    prove_store : Callable
        Commits a transaction of the store's and reads it back; returns the seconds that took, or
        raises what says why not.
    model_id, model_trouble : str
        Of the model that is running; why there is none.
    silent_links : Mapping[str, str]
        Configured sources that have brought nothing since the start -> what they last said.
    up_s : float
        For how long the monitor has run.
    notice : Callable | None
        Sends one test notice and returns ``(verdict, sentence)``; None: no notifier runs.
    listening : bool
        A person is at the terminal and can be asked.
    ask : Callable
        ``ask(question)`` returns what the person answered; None: nobody did.
    pressed : Callable
        ``pressed(within_s)``: whether the button was pressed within that time.
    """

    config: Config
    live: Live
    clock_is_set: Callable[[], bool]
    opened: Mapping[str, Opened]
    unopened: Mapping[str, str]
    prove_store: Callable[[], float]
    model_id: str = ""
    model_trouble: str = ""
    silent_links: Mapping[str, str] = {}
    up_s: float = 0.0
    notice: Callable[[], tuple[Verdict, str]] | None = None
    listening: bool = False
    ask: Callable[[str], Heard | None] = lambda _: None
    pressed: Callable[[float], bool] = lambda _: False


def _one(_: Bench) -> Sequence[str]:
    return ("",)


class Part(msgspec.Struct, frozen=True):
    """One part of the self-test.

    Attributes
    ----------
    name : str
        The file's name.
    check : Callable
        ``check(bench, subject)`` gives the rows one by one, in a thread of its own. What it raises
        is a failure with the error's text.
    why, cure : str
        Why it matters and what mends it, where the part could not even say what is wrong.
    subjects : Callable
        What is tried one by one, each with a deadline of its own: a card that hangs must not hide
        the lamps. Returns at once.
    deadline_s : float
        For all rows of one subject.
    asks : bool
        It asks the person who listens, who has `ANSWER_S` more.
    """

    name: str
    check: Callable[[Bench, str], Iterable[SelfTestRow]]
    why: str
    cure: str
    subjects: Callable[[Bench], Sequence[str]] = _one
    deadline_s: float = DEADLINE_S
    asks: bool = False


def row(
    part: str, verdict: Verdict, found: str, why: str = "", cure: str = "", subject: str = ""
) -> SelfTestRow:
    """Return what a part found, the sentence first."""
    return SelfTestRow(part, subject, verdict, found, why, cure)


def row_of(part: str, finding: Finding, subject: str = "") -> SelfTestRow:
    """Return what the doctor found as a row of the self-test; a warning has not passed."""
    verdict = Verdict.PASSED if finding.health is Health.OK else Verdict.FAILED
    return row(part, verdict, finding.found, finding.why, finding.cure, subject)
