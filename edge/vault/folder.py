"""The files of a vault: which there are, who may write them, how they come and go safely.

``vault.lock`` is held by the one writer for its life; ``change.lock`` for a moment by whoever adds
or removes segments. Both are the kernel's (flock): they end with their process, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from edge.keys.medium import shred, sync_folder
from edge.vault import layout
from edge.vault.layout import Head, VaultError, WrappedKey

FOLDER: Final = "vault"
SEGMENT: Final = ".hwv"
KEY: Final = ".key"
ROLL: Final = "roll"
"""While this file is there the writer begins a new segment, and removes it."""
GONE: Final = "gone"
"""Ids of the segments that were given up, a line each."""
MAX_GONE_BYTES: Final = 1 << 20
MAX_SEGMENTS: Final = 20_000
CHANGE_WAIT_S: Final = 5.0
"""Nobody holds the change lock for long; the monitor's recorder waits no longer than this."""
_POLL_S: Final = 0.02
_HELD: Final = {
    "vault": "another process writes the vault {folder}: a monitor runs on it already",
    "change": "another process changes the vault {folder} just now: try again in a moment",
}
_STEM: Final = re.compile(r"(\d{8})-(\d+)")


class Segment(msgspec.Struct, frozen=True):
    """A segment's files.

    Attributes
    ----------
    number, generation : int
        Order of the segments; how often this one was written anew with less in it.
    path, key_path : Path
        Its blocks; its wrapped key.
    """

    number: int
    generation: int
    path: Path

    @property
    def key_path(self) -> Path:
        """Where its wrapped key lies."""
        return self.path.with_suffix(KEY)

    @property
    def stem(self) -> str:
        """Its name."""
        return self.path.stem

    def n_bytes(self) -> int:
        """Return what its files take of the disk; what is gone takes nothing."""
        total = 0
        for path in (self.path, self.key_path):
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def key(self) -> WrappedKey | None:
        """Return its wrapped key, None where that is gone or damaged in both copies."""
        try:
            return layout.unpack_key(self.key_path.read_bytes())
        except OSError:
            return None

    def head(self) -> Head | None:
        """Return its head, from the copy beside its key where its own is damaged."""
        with suppress(OSError), self.path.open("rb") as file:
            head = layout.unpack_head(file.read(layout.HEAD_BYTES))
            if head is not None:
                return head
        key = self.key()
        return None if key is None else key.head


def segments(folder: Path) -> list[Segment]:
    """Return the segments there are, the oldest first; of each its latest generation.

    Raises
    ------
    VaultError
        The folder cannot be read.
    """
    return list(_by_number(folder)[0].values())


def superseded(folder: Path) -> list[Segment]:
    """Return what a change that was broken off has left to be destroyed."""
    return _by_number(folder)[1]


def _by_number(folder: Path) -> tuple[dict[int, Segment], list[Segment]]:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        raise VaultError(f"the vault {folder} cannot be read: {error.strerror}") from error
    latest: dict[int, Segment] = {}
    older = []
    for name in names:
        found = _STEM.fullmatch(name.removesuffix(SEGMENT))
        if found is None or not name.endswith(SEGMENT):
            continue
        one = Segment(int(found[1]), int(found[2]), folder / name)
        before = latest.get(one.number)
        if before is not None and before.generation > one.generation:
            older.append(one)
            continue
        if before is not None:
            older.append(before)
        latest[one.number] = one
    return dict(sorted(latest.items())), older


def device_ids(folder: Path) -> set[bytes]:
    """Return under which device keys the vault holds something."""
    keys = (segment.key() for segment in segments(folder))
    return {key.device_id for key in keys if key is not None}


def destroy(segment: Segment, why: str = "") -> None:
    """Destroy a segment's key, then its blocks: after the first step they are noise.

    Parameters
    ----------
    why : str
        Is noted in `GONE`, so that nobody looks for it; empty: its remains are there.

    Raises
    ------
    VaultError
        The disk refuses; what was done stays done, and it may be called again.
    """
    try:
        if why:
            note_gone(segment, why)
        shred(segment.key_path)
        segment.path.unlink(missing_ok=True)
        sync_folder(segment.path.parent)
    except OSError as error:
        raise VaultError(f"{segment.path} cannot be destroyed: {error.strerror}") from error


def gone(folder: Path) -> set[str]:
    """Return the ids, in hexadecimal, of the segments that were given up."""
    try:
        lines = (folder / GONE).read_text("ascii", "replace").splitlines()
    except OSError:
        return set()
    return {line.split()[0] for line in lines if line.split()}


def note_gone(segment: Segment, why: str) -> None:
    """Note that a segment is about to be destroyed, so that what breaks off is finished later."""
    head = segment.head()
    if head is None:
        return
    path = segment.path.parent / GONE
    with suppress(OSError):  # a full disk must not keep what is to be destroyed
        if path.exists() and path.stat().st_size > MAX_GONE_BYTES:
            lines = path.read_text("ascii", "replace").splitlines(keepends=True)
            path.write_text("".join(lines[len(lines) // 2 :]), "ascii")
        is_new = not path.exists()
        with path.open("a", encoding="ascii") as file:
            file.write(f"{head.id.hex()} {why}\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(path.parent)


def tidy(folder: Path) -> None:
    """Finish what was broken off: superseded or given up segments, keys without blocks, halves.

    A folder in a file's place is put aside. To be called with the change lock held; raises
    `VaultError` as `destroy` does.
    """
    for path in sorted(folder.glob("*")):
        if path.suffix in (KEY, SEGMENT) and path.is_dir():
            _put_aside(path)
    given_up = gone(folder)
    dead = [one for one in segments(folder) if _is_dead(one, given_up)]
    for segment in [*superseded(folder), *dead]:
        destroy(segment)
    for path in sorted(folder.glob("*")):
        if path.name == GONE:
            continue
        orphan = path.suffix == KEY and not path.with_suffix(SEGMENT).exists()
        if (orphan and _STEM.fullmatch(path.stem)) or path.name.endswith(".part"):
            try:
                shred(path)
            except OSError as error:
                raise VaultError(f"{path} cannot be removed: {error.strerror}") from error


def _put_aside(path: Path) -> None:
    """Rename a folder that stands in a file's place, so that it is in nobody's way."""
    number = 1
    while (aside := path.with_name(f"{path.name}.aside-{number}")).exists():
        number += 1
    try:
        path.replace(aside)
    except OSError as error:
        raise VaultError(f"{path} is a folder and cannot be moved: {error.strerror}") from error


def _is_dead(segment: Segment, given_up: set[str]) -> bool:
    """Say whether it was given up and its key destroyed, and then something broke off."""
    if segment.key() is not None:
        return False
    head = segment.head()
    return head is not None and head.id.hex() in given_up


class Lock:
    """The right to do something with the vault, until `release` or the end of the process.

    Parameters
    ----------
    name : str
        ``vault`` or ``change``.
    wait_s : float
        For so long it is tried again.

    Raises
    ------
    VaultError
        Another process has it, or the folder cannot be written.
    """

    def __init__(self, folder: Path, name: str, wait_s: float = 0.0) -> None:
        path = folder / f"{name}.lock"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise VaultError(f"{folder} cannot be written: {error.strerror}; check it") from error
        end_s = time.monotonic() + wait_s
        while not self._taken():
            if time.monotonic() >= end_s:
                os.close(self._fd)
                raise VaultError(_HELD[name].format(folder=folder))
            time.sleep(_POLL_S)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def is_written(folder: Path) -> bool:
    """Return whether a writer has this vault now."""
    if not folder.is_dir():
        return False
    try:
        Lock(folder, "vault").release()
    except VaultError:
        return True
    return False


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold the right to add and remove segments; raises `VaultError` after `CHANGE_WAIT_S`."""
    lock = Lock(folder, "change", CHANGE_WAIT_S)
    try:
        yield
    finally:
        lock.release()
