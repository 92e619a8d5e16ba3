"""Another device key: every segment's key, and the records', is wrapped anew, no block is touched.

In steps, each whole on the medium before the next begins, so that a process killed at any point
leaves a vault that opens, and a second call goes on where the first broke off:

1. every wrapped key is opened once; if one does not open, nothing is changed
2. ``homeward.key.new`` is written: from here on both keys open, and the new one wraps
3. key by key, first the records', it is wrapped by the new one, in a file that takes the old one's
   place
4. the new file takes the place of ``homeward.key``, and the old one's bytes are overwritten
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from edge.keys.device import DeviceKey, KeysError, new_key
from edge.keys.keyfile import KeyFile, write_key_file
from edge.keys.medium import overwrite, sync_folder
from edge.keys.ring import NAME, NEW, KeyRing, Protection, find_keys
from edge.keys.sealed import open_sealed, rewrap, sealed_files
from edge.vault.folder import Lock, changing, segments, tidy
from edge.vault.sealing import unwrap, wrap
from edge.vault.segment import write_key


class Rotated(msgspec.Struct, tag="rotated", tag_field="record"):
    """What was done.

    Attributes
    ----------
    n_wrapped : int
        Segments whose key was wrapped anew in this call.
    device_key : str
        Id of the key in force now.
    left : list[str]
        What a person has to do still.
    """

    n_wrapped: int
    device_key: str
    left: list[str] = []


def rotate(
    data_dir: Path,
    folder: Path,
    ring: KeyRing,
    protect: Callable[[DeviceKey], KeyFile],
    on_done: Callable[[int, int], None] | None = None,
) -> Rotated:
    """Change the device key; one that was broken off is gone on with.

    Parameters
    ----------
    ring : KeyRing
        What `open_keys` gave: all keys there are.
    protect : Callable
        Makes the new key's file, plain or protected; is not asked where one lies there already.

    Raises
    ------
    VaultError, KeysError
        A monitor runs, a segment's key does not open, or the disk refuses.
    """
    lock = Lock(folder, "vault")
    try:
        with changing(folder):
            return _rotate(data_dir, folder, ring, protect, on_done)
    except OSError as error:
        raise KeysError(
            f"the key could not be changed ({error.strerror}); the vault opens as before, do this "
            f"again"
        ) from error
    finally:
        lock.release()


def _rotate(
    data_dir: Path,
    folder: Path,
    ring: KeyRing,
    protect: Callable[[DeviceKey], KeyFile],
    on_done: Callable[[int, int], None] | None,
) -> Rotated:
    tidy(folder)
    there = [(segment, segment.key()) for segment in segments(folder)]
    for _, key in there:
        if key is not None:
            unwrap(ring, key)
    _check_sealed(data_dir, ring)
    both = _begin_change(data_dir, ring, protect)
    new = both.newest
    for path in sealed_files(data_dir):
        rewrap(path, both)
    n_wrapped = 0
    for number, (segment, key) in enumerate(there):
        if on_done is not None:
            on_done(number, len(there))
        if key is None or key.device_id == new.id:
            continue
        write_key(segment.key_path, wrap(both, unwrap(ring, key), key.head))
        sync_folder(folder)
        n_wrapped += 1
    return Rotated(n_wrapped, new.id.hex(), _put_in_place(data_dir))


def renew(data_dir: Path, ring: KeyRing, protect: Callable[[DeviceKey], KeyFile]) -> list[str]:
    """Change the device key where nothing of the vault is left; the records go on to open.

    Returns
    -------
    list[str]
        What a person has to do still.

    Raises
    ------
    KeysError
        The records' key does not open, or the disk refuses; it opens as before.
    """
    _check_sealed(data_dir, ring)
    fresh = False
    left: list[str] = []
    while not fresh:  # a change that was broken off had wrapped segments by its new key already
        fresh = not (data_dir / NEW).exists()
        ring = _begin_change(data_dir, ring, protect)
        for path in sealed_files(data_dir):
            rewrap(path, ring)
        left = _put_in_place(data_dir)
        if left:
            break
        ring = KeyRing((ring.newest,), ring.protection)
    return left


def _check_sealed(data_dir: Path, ring: KeyRing) -> None:
    for path in sealed_files(data_dir):
        open_sealed(path, ring)


def _begin_change(
    data_dir: Path, ring: KeyRing, protect: Callable[[DeviceKey], KeyFile]
) -> KeyRing:
    """Put the new key beside the old; return both, the new one first."""
    if (data_dir / NEW).exists():
        return ring
    new = new_key()
    write_key_file(data_dir / NEW, protect(new))
    return KeyRing((new, *ring.keys), ring.protection)


def _put_in_place(data_dir: Path) -> list[str]:
    found = find_keys(data_dir)
    if any(one.protection is Protection.CREDENTIAL for one in found):
        path = data_dir / NEW
        credential = f"/etc/credstore.encrypted/{NAME}"
        return [
            f"`systemd-creds encrypt --name={NAME} {path} {credential}`",
            f"restart the monitor, then `shred -u {path}`",
        ]
    old = -1
    with suppress(FileNotFoundError):
        old = os.open(data_dir / NAME, os.O_WRONLY)
    try:
        (data_dir / NEW).replace(data_dir / NAME)
        sync_folder(data_dir)
        if old >= 0:
            overwrite(old)
    finally:
        if old >= 0:
            os.close(old)
    return []
