"""The sensors people have paired: whose each is, where it sits, how far it can be trusted.

They stand in ``devices.json`` in the data directory, written whole and at once (a new file,
synced, then renamed over the old one), so that a power cut leaves the old list or the new one.
Whoever changes it holds a lock; whoever reads it looks at the file's time now and then, and nobody
has to be told. It stays the folder's owner's, also when root changes it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edge.records import Security

FILE = "devices.json"
_PREFIX = f".{FILE}."
MAX_DEVICES = 32
"""Sensors a box may know; a Pi's radio holds about ten links at a time."""


class DevicesError(RuntimeError):
    """The list of sensors cannot be used; the text says what happened and what to do."""


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sensor that a person has allowed.

    Attributes
    ----------
    address : str
        Identity address, ``AA:BB:CC:DD:EE:FF`` in capitals: also the source of its packets.
    name : str
        What people call it.
    patient : str
        Whose it is; empty: the first patient's.
    place : str
        Where on the body, e.g. ``chest`` or ``left index finger``.
    words : str
        What it is, e.g. ``heart rate strap``.
    profiles : tuple[str, ...]
        Names of the profiles it was found to have.
    bonded : bool
        Keys were exchanged: only the holder of them is this sensor.
    security : Security
        What the pairing reached.
    consent : bool
        A person has agreed to use it without a bond, knowing that it can be imitated.
    options : tuple[str, ...]
        Options of its profiles that are on; empty: the profiles' own.
    manufacturer, model, firmware : str
        From its device information; empty where it has none.
    adapter : str
        Radio it was paired over, e.g. ``hci0``; a bond belongs to one radio.
    paired_utc : str
        When, for people; ISO 8601.
    """

    address: str
    name: str
    patient: str = ""
    place: str = ""
    words: str = ""
    profiles: tuple[str, ...] = ()
    bonded: bool = False
    security: Security = Security.UNKNOWN
    consent: bool = False
    options: tuple[str, ...] = ()
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    adapter: str = ""
    paired_utc: str = ""


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    devices: tuple[Device, ...]


def load(folder: Path) -> tuple[Device, ...]:
    """Return the sensors of a data directory, in the order in which they were added.

    Raises
    ------
    DevicesError
        The file is there and cannot be read; it is left as it is.
    """
    path = folder / FILE
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError) as error:
        raise DevicesError(
            f"{path} cannot be read ({error}): mend it, or move it away and pair the sensors again"
        ) from error
    if stored.version != 1:
        raise DevicesError(
            f"{path} was written by a newer Homeward (version {stored.version}): install that one "
            f"again"
        )
    return stored.devices


def save(folder: Path, devices: Iterable[Device]) -> None:
    """Replace the list of sensors of a data directory.

    Raises
    ------
    DevicesError
        The disk will not have it, or there are too many; the old list stands.
    """
    with _locked(folder):
        _write(folder, tuple(devices))


def update(folder: Path, change: Callable[[tuple[Device, ...]], Iterable[Device]]) -> None:
    """Replace the list by what is made of it, while nobody else changes it.

    Raises
    ------
    DevicesError
        As for `load` and `save`.
    """
    with _locked(folder):
        _write(folder, tuple(change(load(folder))))


def _write(folder: Path, kept: tuple[Device, ...]) -> None:
    if len(kept) > MAX_DEVICES:
        raise DevicesError(
            f"{len(kept)} sensors are more than one box may know ({MAX_DEVICES}): remove one with "
            f"`homeward devices remove`"
        )
    text = msgspec.json.format(msgspec.json.encode(_Stored(1, kept)), indent=2)
    try:
        _clear_away(folder)
        handle, name = tempfile.mkstemp(dir=folder, prefix=_PREFIX)
        try:
            with os.fdopen(handle, "wb") as new:
                _give_to_owner(new.fileno(), folder)
                new.write(text + b"\n")
                new.flush()
                os.fsync(new.fileno())
            Path(name).replace(folder / FILE)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(folder)
    except OSError as error:
        raise DevicesError(
            f"cannot write {folder / FILE} ({error.strerror or error}): check its rights and the "
            f"space on its disk; the list is as it was"
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other programs from changing the list between reading and writing it.

    Raises
    ------
    DevicesError
        The folder cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DevicesError(
            f"cannot write in {folder} ({error.strerror or error}): check its rights"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def put(folder: Path, device: Device) -> None:
    """Add a sensor, or replace the entry with its address.

    Raises
    ------
    DevicesError
        As for `load` and `save`.
    """
    update(folder, lambda known: [*(d for d in known if d.address != device.address), device])


def find(devices: Iterable[Device], wanted: str) -> Device:
    """Return the sensor a person means: by name, by address, or by the beginning of either.

    Raises
    ------
    DevicesError
        None fits, or several do.
    """
    known = tuple(devices)
    low = wanted.casefold()
    exact = [d for d in known if low in {d.name.casefold(), d.address.casefold()}]
    found = exact or [
        d
        for d in known
        if d.name.casefold().startswith(low) or d.address.startswith(wanted.upper())
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{d.name} ({d.address})" for d in found or known)
    if found:
        raise DevicesError(f"{wanted!r} fits {len(found)} sensors: {names}; say more")
    raise DevicesError(
        f"no sensor is called {wanted!r}; " + (f"known: {names}" if names else "none is paired yet")
    )


def written_s(folder: Path) -> float | None:
    """Return the time of the list's file, to see whether it has changed; None: there is none."""
    try:
        return (folder / FILE).stat().st_mtime_ns / 1e9
    except OSError:
        return None


def _give_to_owner(handle: int, folder: Path) -> None:
    """Make a file the folder's owner's: `sudo homeward pair` must not lock the monitor out."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)


def _clear_away(folder: Path) -> None:
    """Remove what a program that was killed while it wrote has left."""
    for left in folder.glob(f"{_PREFIX}*"):
        left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
