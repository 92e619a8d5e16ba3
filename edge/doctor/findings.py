"""How a check came out."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Health(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True, tag="check", tag_field="record"):
    """One row of the doctor's table.

    Attributes
    ----------
    name : str
        What was checked.
    health : Health
        WARN: the monitor works, and something it should have is missing. FAIL: it does not work.
    found : str
        What is there.
    why, cure : str
        Why it matters, and the command or step that mends it; empty where all is well.
    """

    name: str
    health: Health
    found: str
    why: str = ""
    cure: str = ""
