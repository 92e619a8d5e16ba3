"""Pair with a sensor: find it, open the window, make the bond, see what it is, write it down.

What goes wrong on the way is undone: no bond stays behind that nobody knows of.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from enum import Enum, auto
from pathlib import Path

import msgspec

from edge.bluez import (
    WINDOW_S,
    Adapter,
    Bluez,
    BluezDevice,
    BluezError,
    Method,
    read_bond,
)
from edge.bluez.bonds import FOLDER
from edge.devices import MAX_DEVICES, Device, DevicesError, load, put
from edge.gatt import Profile
from edge.pairing.asking import Asked, ask
from edge.pairing.errors import PairingError, telling
from edge.pairing.finding import by_path, called, find, found_again
from edge.pairing.names import chosen, clean, free
from edge.pairing.scanning import ready_adapter, steady
from edge.pairing.window import Guide, bond, secured
from edge.records import Security


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants paired, and as what.

    Attributes
    ----------
    address : str
        The sensor's, in capitals.
    name, patient, place : str
        What to call it, whose it is, where on the body; empty: see `edge.devices.Device`.
    unpaired : bool
        It offers no pairing: use it without a bond.
    again : bool
        Its key was lost, or is to be made anew: forget the old bond first.
    adapter : str
        Radio; empty: the first one.
    paired_utc : str
        Now, for people; ISO 8601.
    """

    address: str
    name: str = ""
    patient: str = ""
    place: str = ""
    unpaired: bool = False
    again: bool = False
    adapter: str = ""
    paired_utc: str = ""


class _Way(Enum):
    """How a device becomes a sensor of this box."""

    BOND = auto()
    ADOPT = auto()
    UNPAIRED = auto()


async def pair(
    bluez: Bluez,
    wish: Wish,
    guide: Guide,
    folder: Path,
    profiles: Sequence[Profile],
    *,
    keys: Path = FOLDER,
    window_s: float = WINDOW_S,
) -> Device:
    """Pair with a sensor and write it into the list of a data directory.

    Parameters
    ----------
    bluez : Bluez
        The connection to BlueZ.
    wish : Wish
        What to pair.
    guide : Guide
        Who is asked.
    folder : Path
        The data directory.
    profiles : Sequence[Profile]
        Everything that can be read.
    keys : Path
        Where BlueZ keeps its bonds.
    window_s : float
        How long the sensor may take, at most a minute.

    Raises
    ------
    PairingError
        It could not be done; the list is as it was, and no new bond is left.
    edge.devices.DevicesError
        The list cannot be read or written, or the name is taken.
    """
    known = load(folder)
    entry = next((one for one in known if one.address == wish.address), None)
    if entry is None and len(known) >= MAX_DEVICES:
        raise DevicesError(
            f"this box has {len(known)} sensors, as many as it may know: `homeward devices remove`"
        )
    if wish.name:
        chosen(known, wish.name, wish.address)
    adapter = await ready_adapter(bluez, wish.adapter)
    if not wish.again:
        await _refuse_early(bluez, adapter, entry, wish)
    guide.tell(f"looking for {wish.address}")
    device = await find(bluez, adapter, wish.address)
    if wish.again and device.bonded:
        guide.tell(f"forgetting the old bond with {called(device)}")
        device = await found_again(bluez, adapter, device)
    way = _way(device, entry, wish)
    async with _undone(bluez, device, way):
        security = await _secured(bluez, adapter, device, way, guide, keys, window_s)
        guide.tell("asking it what it has")
        asked = await ask(bluez, device, profiles)
        before = _before(known, asked.device, wish)
        made = _made(asked, security, way, _like(wish, before), known)
        put(folder, made)
    return made


def _before(known: Sequence[Device], device: BluezDevice, wish: Wish) -> Device | None:
    """Return the sensor's old entry.

    Raises
    ------
    PairingError
        It was not asked for: the device used another address until it was paired.
    """
    entry = next((one for one in known if one.address == device.address), None)
    if entry is not None and entry.bonded and not wish.again and wish.address != device.address:
        raise PairingError(
            f"{called(device)} says that it is {entry.name!r}, which this box has a bond with; "
            f"if you have reset it yourself, `homeward pair --again {wish.address}`"
        )
    return entry


def _like(wish: Wish, before: Device | None) -> Wish:
    """Return the wish with what was not said as it was before."""
    if before is None:
        return wish
    kept = {name: getattr(wish, name) or getattr(before, name) for name in _KEPT}
    return msgspec.structs.replace(wish, **kept)


_KEPT = ("name", "patient", "place")


async def _refuse_early(bluez: Bluez, adapter: Adapter, entry: Device | None, wish: Wish) -> None:
    """Refuse what BlueZ knows enough of to refuse: a sensor that sleeps need not be waited for."""
    with telling(f"cannot ask BlueZ for {wish.address}"):
        devices = await bluez.devices(adapter.name)
    for device in devices:
        if device.address == wish.address:
            _way(device, entry, wish)


def _way(device: BluezDevice, entry: Device | None, wish: Wish) -> _Way:
    """Return how to go on.

    Raises
    ------
    PairingError
        It must not go on without another word of the person.
    """
    if device.bonded:
        if entry is not None and entry.bonded:
            raise PairingError(
                f"{called(device)} is paired already, as {entry.name!r}: `homeward devices` names "
                f"and assigns it; if its key was lost, `homeward pair --again {device.address}`"
            )
        return _Way.ADOPT
    if entry is not None and entry.bonded and not wish.again:
        raise PairingError(
            f"the bond with {entry.name!r} ({device.address}) is lost: what is there now may be "
            f"something else that took its name; if you have reset it or this box yourself, "
            f"`homeward pair --again {device.address}`"
        )
    return _Way.UNPAIRED if wish.unpaired else _Way.BOND


async def _secured(
    bluez: Bluez,
    adapter: Adapter,
    device: BluezDevice,
    way: _Way,
    guide: Guide,
    keys: Path,
    window_s: float,
) -> Security:
    """Go the way; return what it proves of the device."""
    if way is _Way.UNPAIRED:
        if not await guide.unpaired(device):
            raise PairingError(f"{called(device)} is not used: it was not agreed to")
        if not steady(device):
            raise PairingError(
                f"{called(device)} changes its address and can only be known by a bond: pair it "
                f"without --unpaired"
            )
        return Security.OPEN
    method = Method.JUST_WORKS
    if way is _Way.ADOPT:
        if not await guide.adopt(device):
            raise PairingError(
                f"{called(device)} is not used: the bond this computer has with it was not made "
                f"for the monitor; say yes, or make a new one with `homeward pair --again`"
            )
    else:
        method = await bond(bluez, adapter, device, guide, window_s)
    now = await by_path(bluez, device)
    if not now.bonded:
        raise PairingError(
            f"{called(device)} has paired without keeping the key, so it would not be known "
            f"again; switch bonding on in it, or use it with --unpaired"
        )
    if not steady(now):
        raise PairingError(
            f"{called(device)} changes its address and has not told its real one, so it would "
            f"not be known again; switch its privacy off if it can be"
        )
    security = secured(method, read_bond(adapter.address, now.address, keys), called(now))
    with telling(f"cannot trust {called(now)}"):
        await bluez.trust(device.path, True)  # noqa: FBT003  # reads as it is said
    return security


@contextlib.asynccontextmanager
async def _undone(bluez: Bluez, device: BluezDevice, way: _Way) -> AsyncIterator[None]:
    """Let go of the link at the end, and of a new bond too if the rest fails."""
    try:
        yield
    except BaseException:
        if way is _Way.BOND:
            with contextlib.suppress(BluezError):
                await bluez.remove(device.path)
        raise
    finally:
        if not device.connected:  # the monitor may have had it before us
            with contextlib.suppress(BluezError):
                await bluez.disconnect(device.path)


def _made(
    asked: Asked, security: Security, way: _Way, wish: Wish, known: Sequence[Device]
) -> Device:
    """Return the entry of a sensor."""
    device = asked.device
    if wish.name:
        name = chosen(known, wish.name, device.address)
    else:
        name = free(known, device.name or asked.words, device.address)
    return Device(
        address=device.address,
        name=name,
        patient=wish.patient,
        place=clean(wish.place),
        words=asked.words,
        profiles=tuple(profile.name for profile in asked.profiles),
        bonded=way is not _Way.UNPAIRED,
        security=security,
        consent=way is _Way.UNPAIRED,
        manufacturer=asked.manufacturer,
        model=asked.model,
        firmware=asked.firmware,
        adapter=device.adapter,
        paired_utc=wish.paired_utc,
    )
