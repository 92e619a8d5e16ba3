"""The device's key: where it comes from, how well it protects, how it is changed.

Where it is looked for, in this order: systemd's credential ``homeward.key``; the file
``homeward.key`` in the data directory, made at first use. A second file, ``homeward.key.new``, is
there while the key is being changed: then both open what they wrapped, and the new one wraps.
No key is ever made where something lies already that another key has wrapped.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from edge.keys.device import DeviceKey, KeysError, Wrapped, new_key
from edge.keys.keyfile import KeyFile, Passphrase, opened, plain, read_key_file, write_key_file
from edge.keys.medium import holding, shred

NAME: Final = "homeward.key"
NEW: Final = "homeward.key.new"
WRAPPED: Final = ("*.db.key", "vault/*.key")
"""What lies in a data directory that only a device key opens."""


class Protection(StrEnum):
    """What the device key is protected by; see `SENTENCES`."""

    FILE = "file"
    CREDENTIAL = "credential"
    PASSPHRASE = "passphrase"  # noqa: S105  # a word for a kind of protection
    SHARE = "share"


SENTENCES: Final = {
    Protection.FILE: "The key of vault and records lies beside them in a file of this user: a copy "
    "of them alone cannot be read, but whoever takes the card, or a backup of the whole box, reads "
    "it all.",
    Protection.CREDENTIAL: "The key of vault and records is a systemd credential: copies and "
    "backups without the host's secret cannot be read; whoever takes the whole card has that "
    "secret too, unless it is sealed in a TPM, which a Pi does not have.",
    Protection.PASSPHRASE: "The key of vault and records opens with a passphrase only: who takes "
    "the card must guess it; after a restart nothing is kept until somebody has typed it, and the "
    "alarms go on meanwhile.",
    Protection.SHARE: "Half of the key of vault and records is on a USB stick: who takes the card "
    "without the stick cannot read it; without the stick nothing is kept after a restart, and the "
    "alarms go on meanwhile. Keep a copy of the stick elsewhere.",
}


class KeyRing:
    """The keys that open what this box keeps, the one that wraps first.

    Parameters
    ----------
    keys : tuple[DeviceKey, ...]
        At least one.
    protection : Protection
        Of the first.
    """

    def __init__(
        self, keys: tuple[DeviceKey, ...], protection: Protection = Protection.FILE
    ) -> None:
        self.keys = keys
        self.protection = protection

    @property
    def newest(self) -> DeviceKey:
        """The key that wraps."""
        return self.keys[0]

    @property
    def sentence(self) -> str:
        """What the protection is worth, for people."""
        return SENTENCES[self.protection]

    def wrap(self, secret: bytes, context: bytes) -> Wrapped:
        """Return a secret as it may lie on the medium; see `DeviceKey.wrap`."""
        return self.newest.wrap(secret, context)

    def unwrap(self, wrapped: Wrapped, context: bytes, what: str) -> bytes:
        """Return the secret; see `DeviceKey.unwrap`.

        Raises
        ------
        KeysError
            Another device key has wrapped it, or it was changed.
        """
        for known in self.keys:
            if known.id == wrapped.device_id:
                return known.unwrap(wrapped, context, what)
        raise KeysError(
            f"{what} is encrypted under the device key {wrapped.device_id.hex()}, and this box has "
            f"{', '.join(known.id.hex() for known in self.keys)}: bring that key back from a "
            f"backup; nothing was touched"
        )


class Found(msgspec.Struct, frozen=True):
    """A key's file as it was found, not opened yet."""

    path: Path
    told: KeyFile
    protection: Protection


def find_keys(data_dir: Path, credentials: Path | None = None) -> list[Found]:
    """Return the files of keys there are, the one that wraps first; nothing is opened or made.

    Parameters
    ----------
    credentials : Path | None
        systemd's folder; None: what ``$CREDENTIALS_DIRECTORY`` names.

    Raises
    ------
    KeysError
        One cannot be read, or others may read it.
    """
    named = os.environ.get("CREDENTIALS_DIRECTORY", "")
    folder = credentials or (Path(named) if named else None)
    found = []
    for path, private in _places(data_dir, folder):
        told = read_key_file(path, private=private)
        if told is not None:
            found.append(Found(path, told, _protection(told, of_systemd=not private)))
    # The file beside a credential is one of before: it may open what it wrapped, no more.
    return found


def _places(data_dir: Path, credentials: Path | None) -> list[tuple[Path, bool]]:
    places = [(data_dir / NEW, True)]
    if credentials is not None:
        places.append((credentials / NAME, False))  # systemd keeps it closed
    return [*places, (data_dir / NAME, True)]


def _protection(told: KeyFile, *, of_systemd: bool) -> Protection:
    if told.kind == "passphrase":
        return Protection.PASSPHRASE
    if told.kind == "share":
        return Protection.SHARE
    return Protection.CREDENTIAL if of_systemd else Protection.FILE


def open_keys(
    data_dir: Path,
    wrapped_by: Collection[bytes] = (),
    *,
    passphrase: Passphrase | None = None,
    credentials: Path | None = None,
    make: bool = True,
) -> KeyRing:
    """Return the keys of this box; the first is made where there is none and nothing was wrapped.

    Parameters
    ----------
    wrapped_by : Collection[bytes]
        Ids of the device keys under which something is known to be wrapped.
    passphrase : Passphrase | None
        Asks a person, where a key wants it.
    make : bool
        Make a key where there is none.

    Raises
    ------
    KeysError
        A key cannot be opened, or it is gone and something was wrapped.
    """
    found = find_keys(data_dir, credentials)
    if not found:
        found = _first(data_dir, wrapped_by, credentials, make=make)
    keys: dict[bytes, DeviceKey] = {}
    for one in found:
        key = opened(one.told, one.path, passphrase)
        keys.setdefault(key.id, key)
    return KeyRing(tuple(keys.values()), found[0].protection)


def _first(
    data_dir: Path, wrapped_by: Collection[bytes], credentials: Path | None, *, make: bool
) -> list[Found]:
    """Make the first key; where another thread or process was quicker it is theirs."""
    path = data_dir / NAME
    wrapped = next((one for place in WRAPPED for one in data_dir.glob(place)), None)
    if wrapped_by or wrapped is not None:
        names = ", ".join(sorted(name.hex() for name in wrapped_by)) or f"it ({wrapped})"
        raise KeysError(
            f"the key of this box is gone: there is no {path}, no credential {NAME}, and what was "
            f"kept is encrypted under {names}. Bring it back from a backup (a credential is only "
            f"seen inside the monitor's service). Without it: `homeward vault forget --all` begins "
            f"anew with the packets, moving homeward.db and homeward.db.key away with the records"
        )
    if not make:
        raise KeysError(f"there is no key yet: {path} is made when the monitor first runs")
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with holding(data_dir):
            if read_key_file(path) is None:  # none, or one that was destroyed but for its name
                write_key_file(path, plain(new_key()))
    except OSError as error:
        raise KeysError(f"{path} cannot be made: {error.strerror}; check it") from error
    return find_keys(data_dir, credentials)


def forget_keys(data_dir: Path) -> None:
    """Destroy the files of the keys; a credential is not ours to destroy.

    Raises
    ------
    KeysError
        One could not be removed.
    """
    for path in (data_dir / NEW, data_dir / NAME):
        try:
            shred(path)
        except OSError as error:
            raise KeysError(f"{path} cannot be destroyed: {error.strerror}; check it") from error
