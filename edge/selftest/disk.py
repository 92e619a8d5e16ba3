"""The disk: does it take data, hold them and give them back.

A test file in the data directory is written, forced to the medium (fsync(2) of the file and of its
folder), put out of the page cache (posix_fadvise(2)) and read again. The folder a hung disk or a
network share is behind never answers; then the deadline of the part does.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.doctor import check_space
from edge.doctor.findings import Health
from edge.records import SelfTestRow, Verdict
from edge.selftest import Bench, Part, row

NAME: Final = "disk"
FILE: Final = ".self-test"
N_BYTES: Final = 64 * 1024
_WHY: Final = "alarms sound, but nothing is recorded"
_CURE: Final = "look at `dmesg` and `df`; replace the card if it repeats"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Write, force to the medium, read back; then look at the free space."""
    folder = bench.config.box.data_dir
    try:
        held = _hold(folder / FILE)
    except OSError as error:
        found = f"{folder} does not take {N_BYTES // 1024} kB ({error.strerror})"
        yield row(NAME, Verdict.FAILED, found, _WHY, _CURE)
        return
    if not held:
        found = f"{folder} gave back other bytes than were written"
        yield row(NAME, Verdict.FAILED, found, "records may be false", "replace the card")
        return
    space = check_space(folder, shutil.disk_usage)
    found = f"{N_BYTES // 1024} kB written, forced to the medium and read back; {space.found}"
    if space.health is Health.FAIL:
        yield row(NAME, Verdict.FAILED, found, space.why, space.cure)
    else:
        yield row(NAME, Verdict.PASSED, found)


def _hold(path: Path) -> bool:
    """Return whether what was written came back; leaves nothing behind."""
    written = os.urandom(N_BYTES)
    # Never through a link that somebody laid there.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, 0o600)
    try:
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(written)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        found = path.read_bytes()
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return found == written


PART = Part(NAME, check, _WHY, _CURE)
