"""Types of the fields that may leave: how long a text may be, how large a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from edge.egress import EgressError

MAX_NAME: Final = 64
MAX_ID: Final = 200
MAX_SENTENCE: Final = 200
MAX_REASON: Final = 400
MAX_TITLE: Final = 250
MAX_TEXT: Final = 4000
"""ntfy makes an attachment of anything longer."""
MAX_NOTICES: Final = 500
N_QUANTILES: Final = 6
"""Numbers that describe a vital sign over a period: n, min, p10, p50, p90, max."""

Patient: TypeAlias = Annotated[
    str, Meta(max_length=MAX_NAME, description="Pseudonym of the patient; empty: of the box itself")
]
AlertId: TypeAlias = Annotated[str, Meta(max_length=MAX_ID, description="Id of the alert")]
RuleName: TypeAlias = Annotated[
    str, Meta(max_length=MAX_NAME, description="Name of the alarm rule, e.g. very_low_spo2")
]
Words: TypeAlias = Annotated[
    str, Meta(max_length=2 * MAX_NAME, description="The same in plain words")
]
BoxName: TypeAlias = Annotated[
    str, Meta(max_length=MAX_NAME, description="What people call this box")
]
Uuid: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAX_NAME, description="Id by which repeats are told")
]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=10_000_000)]
Boot: TypeAlias = Annotated[float, Meta(ge=0.0, le=1e10)]
"""Seconds of the boot clock, or of a span."""
Utc: TypeAlias = Annotated[datetime, Meta(tz=True)]

_S = TypeVar("_S", bound=msgspec.Struct)


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, printable and whole.

    >>> cut("one line and another", 9)
    'one line…'
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in text[: most + 1])
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def cut_lines(text: str, most: int) -> str:
    """Return the same with its line breaks kept."""
    return cut_end("\n".join(cut(line, most) for line in text.splitlines()[:most]), most)


def cut_end(text: str, most: int) -> str:
    """Return the beginning of a text, with a sign that there was more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def within(value: object, low: float, high: float) -> float | None:
    """Return a number that lies in a range; None: it does not, or is none.

    >>> within(36.6, 10.0, 50.0), within(float("nan"), 0.0, 1.0), within("x", 0.0, 1.0)
    (36.6, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if low <= value <= high else None


def counted(value: object) -> int:
    """Return a count as it may leave: whole, not below 0 and bounded."""
    return int(min(max(within(value, -1e9, 1e12) or 0.0, 0.0), 10_000_000))


def checked(message: _S) -> _S:
    """Return a message that keeps to the bounds of its own fields.

    Raises
    ------
    EgressError
        It does not: a fault of ours, and it must not leave.
    """
    try:
        plain: Mapping[str, Any] = msgspec.to_builtins(message)
        msgspec.convert(plain, type(message))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise EgressError(
            f"a {type(message).__name__} does not keep to the list of what may leave "
            f"({type(error).__name__}); it is not sent"
        ) from None
    return message
