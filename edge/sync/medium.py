"""A mounted stick or share: known again, never filled up, never taken for the box's own disk.

Everything is done relative to one open folder, so that a stick pulled out in between cannot turn
into the empty folder it was mounted on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from edge.sync.signed_lines import MAX_FILE_BYTES, Marker, Signer

MARKER: Final = "box.json"
ENDING: Final = ".jsonl"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_GONE: Final = "is not there: is the stick plugged in, the share mounted?"
_WORDS: Final = {
    errno.ENOENT: _GONE,
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.ESTALE: _GONE,
    errno.ENOTCONN: _GONE,
    errno.EHOSTDOWN: _GONE,
    errno.ENOTDIR: "is no folder",
    errno.EROFS: "can only be read: is the stick's lock on, or is its file system damaged?",
    errno.ENOSPC: "is full: make room on it, or take another",
    errno.EDQUOT: "is full: make room on it, or take another",
    errno.EIO: "has a fault (input/output error): take another stick",
    errno.EACCES: "may not be written by the user that `homeward sync` runs as",
    errno.EPERM: "may not be written by the user that `homeward sync` runs as",
}


class MediumError(Exception):
    """A file was not written, or nobody knows; it is tried again.

    Attributes
    ----------
    arrived : bool
        It may be there all the same.
    """

    def __init__(self, text: str, *, arrived: bool = False) -> None:
        super().__init__(text)
        self.arrived = arrived


class _Known(msgspec.Struct, frozen=True):
    medium: str


class Medium:
    """A folder on a medium of its own.

    Parameters
    ----------
    path : Path
        Where it is mounted.
    memory : Path
        Where its number is kept.
    data_dir : Path
        Of the box: what lies on the same disk is no medium of its own.
    keep_free_bytes : int
        Stays free.
    same_disk : bool
        It is meant to lie on the same disk.
    """

    def __init__(
        self,
        path: Path,
        memory: Path,
        data_dir: Path,
        signer: Signer,
        *,
        keep_free_bytes: int,
        same_disk: bool,
    ) -> None:
        self.path = path
        self._memory, self._data_dir, self._signer = memory, data_dir, signer
        self._keep_free_bytes, self._same_disk = keep_free_bytes, same_disk

    def write(self, box: str, name: str, body: bytes) -> None:
        """Store a file under a name and its digest, and read it back.

        Raises
        ------
        MediumError
            It is not stored, or nobody knows.
        """
        with self._told(), self._folder(box) as folder:
            self._check_room(folder, len(body))
            _store(folder, _named(name, body), body)

    def erase(self, box: str, uuids: Sequence[str]) -> None:
        """Take out every line of these entries; what is left of a file is signed anew.

        Raises
        ------
        MediumError
            Not all of it is done: it is to be asked again.
        """
        wanted = re.compile("|".join(re.escape(uuid) for uuid in uuids).encode())
        with self._told(), self._folder(box) as folder:
            for name in sorted(os.listdir(folder)):  # noqa: PTH208  # of an open one
                if name.endswith(ENDING) and "-erase-" not in name:
                    body = _read(folder, name, MAX_FILE_BYTES)
                    if wanted.search(body):
                        self._without(folder, name, body, frozenset(uuids))
            os.fsync(folder)

    def _without(self, folder: int, name: str, body: bytes, uuids: frozenset[str]) -> None:
        lines = body.splitlines()[:-1]
        kept = [line for line in lines if not _of(line) & uuids]
        if len(kept) == len(lines):
            return
        if kept:
            signed = self._signer.signed(kept)
            _store(folder, _named(name.rpartition("-")[0], signed), signed)
        os.unlink(name, dir_fd=folder)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            told = _WORDS.get(error.errno or 0, f"cannot be written ({error.strerror})")
            raise MediumError(f"{self.path} {told}") from error

    @contextlib.contextmanager
    def _folder(self, box: str) -> Iterator[int]:
        """Open the box's folder on the medium, once it is known to be the medium."""
        known = self._known()
        with _opened(os.open(self.path, _FOLDER)) as root:
            self._check_own(root)
            name = f"homeward-{box}"
            if known is None:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=root)
                    os.fsync(root)
            try:
                opened = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=root)
            except FileNotFoundError:
                raise self._other() from None
            with _opened(opened) as folder:
                self._recognise(folder, box, known)
                yield folder

    def _check_own(self, root: int) -> None:
        if self._same_disk:
            return
        here = os.fstat(root).st_dev
        if here in {place.stat().st_dev for place in (Path("/"), self._data_dir)}:
            raise MediumError(
                f"{self.path} lies on the disk of this machine: is the stick plugged in, the share "
                f"mounted? (A folder of the same disk is meant: same_disk = true)"
            )

    def _recognise(self, folder: int, box: str, known: str | None) -> None:
        marker = _marker(folder)
        if known is not None and (marker is None or marker.medium != known):
            raise self._other()
        if marker is None:
            marker = self._signer.marker(box, secrets.token_hex(16))
            _store(folder, MARKER, _text(marker))
        elif marker.public_key != self._signer.public_key or marker.box != box:
            raise MediumError(
                f"{self.path} holds homeward-{box}/{MARKER} of another key or box: move that "
                f"folder away, and one of our own is made"
            )
        else:
            now = self._signer.marker(box, marker.medium)
            if now.certificate != marker.certificate:
                _store(folder, MARKER, _text(now))
        if known is None:
            self._remember(marker.medium)

    def _other(self) -> MediumError:
        return MediumError(
            f"{self.path} is not the medium that was written before: is the right one plugged in? "
            f"To begin on this one, remove {self._memory}"
        )

    def _known(self) -> str | None:
        try:
            return msgspec.json.decode(self._memory.read_bytes(), type=_Known).medium
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeError) as error:
            raise MediumError(
                f"{self._memory} cannot be read, so nobody knows which medium is the right one: "
                f"remove it to begin anew"
            ) from error

    def _remember(self, medium: str) -> None:
        with _opened(os.open(self._memory.parent, _FOLDER)) as folder:
            _store(folder, self._memory.name, msgspec.json.encode(_Known(medium)))

    def _check_room(self, folder: int, size: int) -> None:
        room = os.fstatvfs(folder)
        left = room.f_bavail * room.f_frsize - size
        if left < self._keep_free_bytes:
            raise MediumError(f"{self.path} {_WORDS[errno.ENOSPC]}")


@contextlib.contextmanager
def _opened(handle: int) -> Iterator[int]:
    try:
        yield handle
    finally:
        os.close(handle)


def _named(name: str, body: bytes) -> str:
    return f"{name}-{hashlib.sha256(body).hexdigest()[:12]}{ENDING}"


def _text(marker: Marker) -> bytes:
    return msgspec.json.format(msgspec.json.encode(marker), indent=2) + b"\n"


def _store(folder: int, name: str, body: bytes) -> None:
    """Write a file beside, sync, rename, sync the folder, and compare what is on the medium."""
    part = f".{name}.part"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part, dir_fd=folder)
    with os.fdopen(os.open(part, _NEW, 0o600, dir_fd=folder), "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
    if _read(folder, name, len(body), fresh=True) != body:
        raise MediumError(
            f"what was written to {name} does not come back: take another stick", arrived=True
        )


def _read(folder: int, name: str, most: int, *, fresh: bool = False) -> bytes:
    """Return a file's bytes, and one more than `most` at the most; `fresh`: from the medium."""
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        if fresh:  # what the kernel keeps of it is what we have just written, not what is stored
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read(most + 1)


def _marker(folder: int) -> Marker | None:
    try:
        return msgspec.json.decode(_read(folder, MARKER, MAX_FILE_BYTES), type=Marker)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeError):
        return None


def _of(line: bytes) -> set[str]:
    """Return the ids of the entries in a line."""
    try:
        told = msgspec.json.decode(line)
        return {str(entry["uuid"]) for entry in told["entries"]}
    except (msgspec.MsgspecError, UnicodeError, TypeError, KeyError):
        return set()
