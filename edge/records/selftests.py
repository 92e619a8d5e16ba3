"""What a self-test of the alarm path found."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """How one part of a self-test came out.

    PASSED: tried, and it works. FAILED: tried, and it does not. NOT_THERE: this box has none, or
    does not use it. UNKNOWN: nothing in the box can tell, so a person has to look or listen.
    """

    PASSED = "passed"
    FAILED = "failed"
    NOT_THERE = "not there"
    UNKNOWN = "cannot be known from here"


class SelfTestRow(msgspec.Struct, frozen=True, tag="self_test_row", tag_field="record"):
    """What one part found.

    Attributes
    ----------
    part : str
        The file of `edge.selftest` that looked: ``disk``, ``annunciator``.
    subject : str
        Which one, where there are several: a sensor, a loudspeaker; empty: there is only one.
    found : str
        One sentence with what was measured.
    why, cure : str
        Why it matters, and the command or step that mends it; empty where nothing is wrong.
    took_s : float
        How long it took.
    by : str
        Who said so, where a person was asked.
    """

    part: str
    subject: str
    verdict: Verdict
    found: str
    why: str = ""
    cure: str = ""
    took_s: float = 0.0
    by: str = ""

    @property
    def label(self) -> str:
        """The part as people call it: ``disk``, ``Strap battery``."""
        return f"{self.subject} {self.part}".lstrip()


class SelfTest(msgspec.Struct, frozen=True, tag="self_test", tag_field="record"):
    """One self-test of the whole alarm path, when it had come to its end.

    Attributes
    ----------
    id : str
        Unique for ever.
    began_s, ended_s : float
        Boot clock.
    asked_by : str
        Who asked for it; empty: the box itself, as every day.
    """

    id: str
    began_s: float
    ended_s: float
    asked_by: str
    rows: tuple[SelfTestRow, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """What failed, by label, each once."""
        return tuple(dict.fromkeys(row.label for row in self.rows if row.verdict is Verdict.FAILED))

    @property
    def passed(self) -> bool:
        """Whether something was tried and nothing failed."""
        return bool(self.rows) and not self.failed
