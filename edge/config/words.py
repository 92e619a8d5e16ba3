"""Who decided what stands in ``limits.json``, and why: kept with the records, under a reference.

The numbers an alarm goes by must be readable at every start, also where the records are locked
(a passphrase is wanted). Names and reasons need not be: until the records can be read, the limits
are in force and say that somebody decided them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from edge.config.kept import Kept, Who, each_who

LOCKED: Final = Who("somebody on record", "", "", "the records do not say, or cannot be read now")


class Words(msgspec.Struct, frozen=True):
    """Who decided something, and why.

    Attributes
    ----------
    ref : str
        Random.
    patient : str
        About whom; they are forgotten together.
    """

    ref: str
    patient: str
    by: str
    why: str


def new_ref() -> str:
    """Return a reference nobody has used."""
    return secrets.token_hex(8)


def words_of(kept: Kept) -> tuple[Words, ...]:
    """Return all words that are known, and have a reference."""
    found: dict[str, Words] = {}
    for patient, one in kept.items():

        def see(who: Who, patient: str = patient) -> Who:
            if who.ref and who.by and who.by != LOCKED.by:
                found[who.ref] = Words(who.ref, patient, who.by, who.why)
            return who

        each_who({patient: one}, see)
    return tuple(found.values())


def with_words(kept: Kept, words: Iterable[Words]) -> Kept:
    """Return what is kept with who decided it and why, as far as that is known."""
    known: Mapping[str, Words] = {one.ref: one for one in words}

    def fill(who: Who) -> Who:
        if not who.ref or who.by:
            return who
        one = known.get(who.ref)
        said = (LOCKED.by, LOCKED.why) if one is None else (one.by, one.why)
        return replace(who, by=said[0], why=said[1])

    return each_who(kept, fill)


def needs_words(kept: Kept) -> bool:
    """Return whether some words are missing."""
    missing = [False]

    def see(who: Who) -> Who:
        missing[0] |= bool(who.ref) and not who.by
        return who

    each_who(kept, see)
    return missing[0]


def with_refs(kept: Kept) -> Kept:
    """Return what an older Homeward kept, every decision with a reference."""
    refs: dict[Who, str] = {}

    def name(who: Who) -> Who:
        if who.ref:
            return who
        return replace(who, ref=refs.setdefault(who, new_ref()))

    return each_who(kept, name)
