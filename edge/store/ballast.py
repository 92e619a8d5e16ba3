"""A file that is nothing but room: given up when the disk is full, so that alarms still fit.

It is really there: allocated (posix_fallocate) and written with noise, so that no file system
stores it as a hole or packs it. It is written a piece at a time, between other work, and has its
name only when it is whole and on the medium; what a kill leaves of one is gone on with. One that
takes the place of one just given up is only allocated, which wears no card.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

NAME: Final = "homeward.ballast"
PIECE_BYTES: Final = 1 << 20
"""Written at a time: a tenth of a second on a slow card."""
_BLOCK: Final = 512


class Ballast:
    """The ballast in one folder.

    Parameters
    ----------
    folder : Path
        The data directory, whose disk it is to keep free.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._fresh = folder / (NAME + ".new")

    def held(self) -> int:
        """Return how many bytes of the disk it holds back; 0: there is none."""
        try:
            return self.path.stat().st_blocks * _BLOCK
        except FileNotFoundError:
            return 0

    def make(self, n_bytes: int, *, written: bool = True) -> bool:
        """Make the next piece of a ballast of this size; return whether it is whole.

        Raises
        ------
        OSError
            There is no room for it; nothing of it stays.
        """
        if self.held() >= n_bytes:
            return True
        try:
            if self._make_piece(n_bytes, PIECE_BYTES if written else n_bytes, written=written):
                self._fresh.replace(self.path)
        except OSError:
            self.release()
            raise
        return self.path.exists()

    def release(self) -> int:
        """Give the room back, also of one in the making; return how many bytes that were.

        Raises
        ------
        OSError
            The disk does not let go of it.
        """
        n_bytes = 0
        for path in (self.path, self._fresh):
            with contextlib.suppress(FileNotFoundError):
                n_bytes += path.stat().st_blocks * _BLOCK
                # A full disk with copy on write has no room to forget a name, but for a cut.
                os.truncate(path, 0)
                path.unlink()
        return n_bytes

    def _make_piece(self, n_bytes: int, piece_bytes: int, *, written: bool) -> bool:
        """Make a piece more; return whether that was the last."""
        fd = os.open(self._fresh, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            n_written = os.fstat(fd).st_size
            n = min(piece_bytes, n_bytes - n_written)
            if n > 0:
                os.posix_fallocate(fd, n_written, n)
                if written:
                    os.pwrite(fd, os.urandom(n), n_written)
                os.fsync(fd)
            return n_written + n >= n_bytes
        finally:
            os.close(fd)
