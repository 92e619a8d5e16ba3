"""The device's key: where it comes from, how well it protects, how it is changed.

Where it is looked for, in this order: systemd's credential ``homeward.key``; the file
``homeward.key`` in the data directory, made at first use. A second file, ``homeward.key.new``, is
there while the key is being changed: then both open what they wrapped, and the new one wraps.
No key is ever made where the vault already holds something that another key has wrapped.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from edge.vault.keyfile import (
    KeyFile,
    KeysError,
    Passphrase,
    opened,
    plain,
    read_key_file,
    shred,
    write_key_file,
)
from edge.vault.layout import KEY_BYTES, Head, WrappedKey
from edge.vault.sealing import DeviceKey

NAME: Final = "homeward.key"
NEW: Final = "homeward.key.new"


class Protection(StrEnum):
    """What the device key is protected by; see `SENTENCES`."""

    FILE = "file"
    CREDENTIAL = "credential"
    PASSPHRASE = "passphrase"  # noqa: S105  # a word for a kind of protection
    SHARE = "share"


SENTENCES: Final = {
    Protection.FILE: "The vault's key lies beside it in a file of this user: a copy of the vault "
    "alone cannot be read, but whoever takes the card, or a backup of the whole box, reads it all.",
    Protection.CREDENTIAL: "The vault's key is a systemd credential: copies and backups without "
    "the host's secret cannot be read; whoever takes the whole card has that secret too, unless it "
    "is sealed in a TPM, which a Pi does not have.",
    Protection.PASSPHRASE: "The vault's key opens with a passphrase only: who takes the card must "
    "guess it; after a restart nothing is kept in the vault until somebody has typed it.",
    Protection.SHARE: "Half of the vault's key is on a USB stick: who takes the card without the "
    "stick cannot read it; without the stick nothing is kept in the vault after a restart. Keep a "
    "copy of the stick elsewhere.",
}


class KeyRing:
    """The keys that open this vault, the one that wraps first.

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

    def wrap(self, secret: bytes, head: Head) -> WrappedKey:
        """Return a segment's key as it may lie on the medium."""
        return self.newest.wrap(secret, head)

    def unwrap(self, key: WrappedKey) -> bytes:
        """Return a segment's key.

        Raises
        ------
        KeysError
            Another device key has wrapped it.
        VaultError
            It was changed.
        """
        for known in self.keys:
            if known.id == key.device_id:
                return known.unwrap(key)
        raise KeysError(
            f"segment {key.head.stem} is encrypted under the device key {key.device_id.hex()}, and "
            f"this box has {', '.join(known.id.hex() for known in self.keys)}: bring that key back "
            f"from a backup; nothing was touched"
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
        Ids of the device keys under which the vault holds something.
    passphrase : Passphrase | None
        Asks a person, where a key wants it.
    make : bool
        Make a key where there is none.

    Raises
    ------
    KeysError
        A key cannot be opened, or it is gone and the vault is not empty.
    """
    found = find_keys(data_dir, credentials)
    if not found:
        return _first(data_dir, wrapped_by, make=make)
    keys: dict[bytes, DeviceKey] = {}
    for one in found:
        key = opened(one.told, one.path, passphrase)
        keys.setdefault(key.id, key)
    return KeyRing(tuple(keys.values()), found[0].protection)


def _first(data_dir: Path, wrapped_by: Collection[bytes], *, make: bool) -> KeyRing:
    path = data_dir / NAME
    if wrapped_by:
        names = ", ".join(sorted(name.hex() for name in wrapped_by))
        raise KeysError(
            f"the key of the vault is gone: there is no {path}, no credential {NAME}, and the "
            f"vault is encrypted under {names}. Bring it back from a backup (a credential is only "
            f"seen inside the monitor's service); `homeward vault forget --all` begins anew"
        )
    if not make:
        raise KeysError(f"there is no key yet: {path} is made when the monitor first runs")
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeysError(f"{data_dir} cannot be made: {error.strerror}; check it") from error
    key = new_key()
    write_key_file(path, plain(key))
    return KeyRing((key,))


def new_key() -> DeviceKey:
    """Return a key nobody has."""
    return DeviceKey(os.urandom(KEY_BYTES))


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
