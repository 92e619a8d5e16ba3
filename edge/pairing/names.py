"""Names of sensors: what comes over the air is not to be trusted, what people choose is unique."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edge.devices import Device, DevicesError

MAX_NAME: Final = 40


def clean(name: str) -> str:
    r"""Return a name as it may be printed: no control characters, one line, not too long.

    >>> clean("Polar\x1b[31m  H10\n")
    'Polar [31m H10'
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    return " ".join(printable.split())[:MAX_NAME].strip()


def chosen(known: Iterable[Device], wanted: str, address: str) -> str:
    """Return the name that a person wants to give the sensor with this address.

    Raises
    ------
    DevicesError
        It cannot be a name, or another sensor has it.
    """
    name = clean(wanted)
    if not name or name != wanted.strip():
        raise DevicesError(
            f"{wanted!r} cannot be a name: write one line of up to {MAX_NAME} visible characters"
        )
    for other in known:
        if other.address != address and name.casefold() in {
            other.name.casefold(),
            other.address.casefold(),
        }:
            raise DevicesError(f"{other.name} ({other.address}) has this name; choose another")
    return name


def free(known: Iterable[Device], wanted: str, address: str) -> str:
    """Return a name that no other sensor has, as near to the wanted one as can be."""
    taken = {other.name.casefold() for other in known if other.address != address}
    base = clean(wanted) or "sensor"
    numbered = (base, *(f"{base[: MAX_NAME - 4]} {n}" for n in range(2, len(taken) + 3)))
    return next(name for name in numbered if name.casefold() not in taken)
