"""What a device is, from what it advertises and from what it turns out to have."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from edge.gatt import Profile, Quirk


class Readable(StrEnum):
    """Whether we can read a device. MAYBE: it has to be connected to find out."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


class Judgement(msgspec.Struct, frozen=True):
    """What a device seems to be, and why."""

    readable: Readable
    why: str
    words: str = ""
    profiles: tuple[str, ...] = ()


class Known(msgspec.Struct, frozen=True):
    """What is known of a device; None: it was not connected and asked yet."""

    name: str
    services: frozenset[str]
    characteristics: frozenset[str] | None = None
    manufacturer: str | None = None
    model: str | None = None


def judge(name: str, services: Sequence[str], profiles: Sequence[Profile]) -> Judgement:
    """Return what an advertisement says of a device.

    Devices advertise some of their services, or none: only one that advertises others alone is
    called unreadable, and even it may be connected on a person's word.
    """
    known = Known(name, frozenset(services))
    sure = _leading(_fitting(profiles, known, {True}))
    if sure:
        return _found(Readable.YES, sure, "it advertises what we read")
    perhaps = _leading(_fitting(profiles, known, {True, None}))
    if perhaps:
        return _found(Readable.MAYBE, perhaps, "some of these send bytes of their own; pair to see")
    named = [p for p in profiles if p.quirk and p.quirk.name and name.startswith(p.quirk.name)]
    if named:
        return _found(Readable.MAYBE, named, "its name is that of a device we read")
    if services:
        return Judgement(Readable.NO, "it advertises only services that we do not read")
    if name:
        return Judgement(Readable.MAYBE, "it does not say what it has; pair to see")
    return Judgement(Readable.NO, "it advertises neither name nor services")


def match(known: Known, profiles: Sequence[Profile]) -> tuple[Profile, ...]:
    """Return the profiles of a device that was connected and asked."""
    return tuple(_leading(_fitting(profiles, known, {True}), known.characteristics))


def _fitting(profiles: Sequence[Profile], known: Known, answers: set[bool | None]) -> list[Profile]:
    return [
        one
        for one in profiles
        if one.service in known.services and _has(one, known) and _fits(one.quirk, known) in answers
    ]


def _has(profile: Profile, known: Known) -> bool:
    """Return whether a device has something to listen to, as far as is known."""
    return known.characteristics is None or not known.characteristics.isdisjoint(profile.listen)


def _fits(quirk: Quirk | None, known: Known) -> bool | None:
    """Return whether a quirk's every word fits; None: that is not known yet."""
    if quirk is None:
        return True
    answers = [
        _begins(known.manufacturer, quirk.manufacturer),
        _begins(known.model, quirk.model),
        _begins(known.name, quirk.name),
        _offers(quirk.service, known),
    ]
    if False in answers:
        return False
    return None if None in answers else True


def _offers(service: str, known: Known) -> bool | None:
    if not service or service in known.services:
        return True
    return None if known.characteristics is None else False


def _begins(text: str | None, begin: str) -> bool | None:
    if not begin:
        return True
    return None if text is None else text.startswith(begin)


def _leading(profiles: Sequence[Profile], has: frozenset[str] | None = None) -> list[Profile]:
    """Return the profiles by which a device is read, no characteristic twice.

    As the reader does it (`edge.readers._ble_gatt.choose`): one with a quirk goes before one
    without, and of two quirks the one that asks for more.
    """
    taken: set[str] = set()
    kept = []
    for profile in sorted(profiles, key=lambda one: -_n_asked(one.quirk)):
        free = {one for one in profile.listen if has is None or one in has} - taken
        if free:
            taken |= free
            kept.append(profile)
    return [profile for profile in profiles if profile in kept]


def _n_asked(quirk: Quirk | None) -> int:
    return 0 if quirk is None else sum(bool(field) for field in msgspec.structs.astuple(quirk))


def _found(readable: Readable, profiles: Sequence[Profile], why: str) -> Judgement:
    words = ", ".join(dict.fromkeys(profile.words for profile in profiles))
    return Judgement(readable, why, words, tuple(profile.name for profile in profiles))
