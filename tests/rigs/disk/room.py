"""Small disks, and what fills them: ext4 on a loop device, or a tmpfs; both need root."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE_MB = 8
_MKFS = ("mkfs.ext4", "-q", "-m", "0", "-F")


class Mounted:
    """A small file system with a file that fills it.

    Parameters
    ----------
    at : Path
        Where it is mounted.
    """

    def __init__(self, at: Path, kind: str) -> None:
        self.at, self.kind = at, kind
        self._filler = at / "filler"

    def fill(self) -> None:
        """Write until nothing fits; what others have freed meanwhile too."""
        with self._filler.open("ab", buffering=0) as file:
            for n_bytes in (65_536, 4_096, 512, 1):
                with suppress(OSError):
                    while file.write(b"\xaa" * n_bytes) == n_bytes:
                        pass
            with suppress(OSError):
                os.fsync(file.fileno())

    def free(self) -> None:
        """Remove the file."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def mounted(folder: Path, kind: str) -> Iterator[Mounted | None]:
    """Mount ``ext4`` or ``tmpfs`` of `SIZE_MB` in a folder; None: it may not be done here."""
    at, image = folder / "disk", folder / "image"
    at.mkdir()
    if kind == "ext4":
        if shutil.which("mkfs.ext4") is None:
            yield None
            return
        image.touch()
        os.truncate(image, SIZE_MB << 20)
        steps = [[*_MKFS, str(image)], ["mount", "-o", "loop", str(image), str(at)]]
    else:
        steps = [["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(at)]]
    if not all(_done(step) for step in steps):
        yield None
        return
    try:
        yield Mounted(at, f"{kind} of {SIZE_MB} MB")
    finally:
        _done(["umount", str(at)]) or _done(["umount", "-l", str(at)])


def _done(step: list[str]) -> bool:
    try:
        return subprocess.run(step, capture_output=True, check=False).returncode == 0
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
