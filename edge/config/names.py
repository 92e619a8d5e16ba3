"""Ids of patients that look like names: they go into every record, and should say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from edge.config.settings import Config

_LIKE_A_NAME: Final = re.compile(r"[A-Z][a-z]{2,}|^[A-Z]{3,}$|^[A-Z]{3,}[._-]|\s")
_WORDS: Final = re.compile(
    r"(?<![A-Za-z])(?:Patient|Bed|Room|Ward|Child|Adult|Subject|ICU)(?![A-Za-z])"
)


def looks_like_name(patient: str) -> bool:
    """Return whether an id looks like somebody's name.

    >>> [looks_like_name(one) for one in ("patient-1", "Bed-3", "P7", "Anna", "A.Muster", "ANNA")]
    [False, False, False, True, True, True]
    """
    return _LIKE_A_NAME.search(_WORDS.sub("", patient)) is not None


def names_among(config: Config) -> Iterator[str]:
    """Give a warning for every patient whose id looks like a name."""
    for n, patient in enumerate(config.patients, 1):
        if looks_like_name(patient.id):
            yield (
                f"the id of patient {n} looks like a name ({patient.id}), and goes into every "
                f"record: call them patient-{n} or the like"
            )
