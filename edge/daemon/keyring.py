"""The device's keys in the running monitor: opened as soon as they can be had.

Whoever needs the keys asks `Keyring.ring`, in a thread of its own, again and again until it gives
them; nobody waits for a person. A key that needs a passphrase is opened when somebody types it
(`homeward unlock`), or from the file that ``$HOMEWARD_PASSPHRASE_FILE`` names; one whose other half
is on a USB stick as soon as the stick is there. What was typed is not kept, only the key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from edge.keys import DeviceKey, KeyRing, KeysError, Protection, find_keys, open_keys
from edge.keys.keyfile import opened
from edge.keys.ring import Found
from edge.packetlog import LogError

PASSPHRASE_FILE: Final = "HOMEWARD_PASSPHRASE_FILE"  # noqa: S105  # the name of a variable
_LOCKED: Final = (
    "the key {path} is protected by a passphrase, and nobody has typed it since the start: run "
    "`homeward unlock`"
)


class Keyring:
    """Hands out the device's keys.

    Parameters
    ----------
    data_dir : Path
        Where the key lies; it is made there at the first use.
    wrapped_by : Callable
        Ids of the device keys under which something is encrypted already: then none is made.
    """

    def __init__(self, data_dir: Path, *wrapped_by: Callable[[], Collection[bytes]]) -> None:
        self._data_dir = data_dir
        self._askers = list(wrapped_by)
        self._opened: dict[str, DeviceKey] = {}
        self._tried: set[tuple[str, bytes]] = set()
        self._told: list[Callable[[], None]] = []
        self._lock = Lock()

    def needed_by(self, wrapped_by: Callable[[], Collection[bytes]]) -> None:
        """Ask this too under which keys something is encrypted, before one is made."""
        self._askers.append(wrapped_by)

    def when_unlocked(self, told: Callable[[], None]) -> None:
        """Tell this as soon as somebody has typed a passphrase: it may ask at once."""
        self._told.append(told)

    def ring(self) -> KeyRing:
        """Return the keys; may take a second, and is safe in any thread.

        Raises
        ------
        KeysError
            They cannot be had now; the text says why and what to do. Ask again.
        """
        with self._lock:
            found = find_keys(self._data_dir)
            if not found:
                return open_keys(self._data_dir, self._wrapped_by())
            self._opened = {
                one.told.id: self._opened[one.told.id]
                for one in found
                if one.told.id in self._opened
            }
            for number, one in enumerate(found):
                try:
                    self._open(one)
                except KeysError:
                    if number == 0:  # the others only open what is older
                        raise
            known = dict.fromkeys(one.told.id for one in found if one.told.id in self._opened)
            return KeyRing(tuple(self._opened[name] for name in known), found[0].protection)

    def _wrapped_by(self) -> set[bytes]:
        try:
            return {name for ask in self._askers for name in ask()}
        except (LogError, OSError) as error:
            raise KeysError(
                f"no key is made while it cannot be seen what is encrypted already: {error}"
            ) from error

    def unlock(self, passphrase: str) -> Protection:
        """Open what this passphrase opens, and return how the keys are protected.

        Raises
        ------
        KeysError
            It is not the passphrase, or none is wanted.
        """
        found = find_keys(self._data_dir)
        closed = [one for one in found if one.protection is Protection.PASSPHRASE]
        if not closed:
            raise KeysError(
                "no key of this box is protected by a passphrase: there is nothing to unlock"
            )
        keys, why = {}, KeysError("")
        for one in closed:  # outside the lock: it takes a second by design
            try:
                keys[one.told.id] = opened(one.told, one.path, lambda: passphrase)
            except KeysError as error:
                why = error
        if not keys:
            raise why
        with self._lock:
            self._opened |= keys
        for told in self._told:
            told()
        return found[0].protection

    def lost(self, ring: KeyRing) -> str:
        """Return what is wrong with the files of keys in use; empty: the next start finds them."""
        try:
            there = {one.told.id for one in find_keys(self._data_dir)}
        except KeysError as error:
            return str(error)
        if ring.newest.id.hex() in there:
            return ""
        return (
            f"the key {ring.newest.id.hex()} is gone from {self._data_dir}: what is kept now "
            f"cannot be read after a restart; bring it back from a backup before you restart"
        )

    def _open(self, one: Found) -> None:
        """Open one key, where that needs nobody, or its passphrase lies in a file."""
        if one.told.id in self._opened:
            return
        if one.protection is not Protection.PASSPHRASE:
            self._opened[one.told.id] = opened(one.told, one.path, None)
            return
        typed = _from_file()
        if typed is not None:
            attempt = one.told.id, hashlib.sha256(typed.encode()).digest()
            if attempt not in self._tried:  # each try costs a second
                self._tried.add(attempt)
                self._opened[one.told.id] = opened(one.told, one.path, lambda: typed)
                return
        raise KeysError(_LOCKED.format(path=one.path))


def _from_file() -> str | None:
    named = os.environ.get(PASSPHRASE_FILE, "")
    if named:
        with suppress(OSError, UnicodeDecodeError, IndexError):
            return Path(named).read_text("utf-8").splitlines()[0]
    return None
