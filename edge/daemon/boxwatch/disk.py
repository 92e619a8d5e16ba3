"""The disk that holds the records: how much room there is, and whether it can be written.

Nothing is written for that (see `edge.daemon.boxwatch`): what the file system says of itself is
asked (statvfs(3): free blocks and files, read-only), and whether the database is still at its place
and may be written. A database that was deleted or moved away takes records for ever that nobody
will find.

The database must not be opened here: to close any descriptor of a file is to let go of all locks
that the process has on it (fcntl(2)), and with them SQLite's own. The next program that looks into
the records then takes itself for the last one and removes the log from under the monitor.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from edge.events import BoxHealth

FULL_BYTES: Final = 64 * 1024
"""With less room than this a transaction does not fit."""

_log = structlog.get_logger("boxwatch")


class Disk:
    """Looks at the disk of one folder; to be called in a thread, for it may hang.

    Parameters
    ----------
    folder : Path
        The data directory.
    database : Path
        The file of the records; not missed before it was there.
    now_s : Callable
        The boot clock.
    """

    def __init__(self, folder: Path, database: Path, now_s: Callable[[], float]) -> None:
        self._folder, self._database, self._now_s = folder, database, now_s
        self._was_there = False
        self._since_s: float | None = None
        self._trouble = ""

    def __call__(self) -> BoxHealth:
        """Look once."""
        facts: dict[str, float] = {}
        try:
            found = os.statvfs(self._folder)
        except OSError as error:
            trouble = f"{self._folder}: {error.strerror}"
        else:
            facts["disk_free_pct"] = _free_pct(found)
            trouble = self._trouble_of(found)
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                _log.error("the disk cannot be written", error=trouble)
        if not trouble:
            self._since_s = None
            return BoxHealth({**facts, "disk_fails_s": 0.0})
        if self._since_s is None:
            self._since_s = self._now_s()
        return BoxHealth(facts, {"disk_fails_s": self._since_s})

    def _trouble_of(self, found: os.statvfs_result) -> str:
        if found.f_flag & os.ST_RDONLY:
            return "it is read-only: look at `dmesg`, and replace the card if it fails"
        if _free_blocks(found) * found.f_frsize < FULL_BYTES:
            return "it is full: free space on it"
        if not self._database.exists():
            return f"{self._database} is gone: start the monitor again" if self._was_there else ""
        self._was_there = True
        if not os.access(self._database, os.W_OK, effective_ids=True):
            return f"{self._database} may not be written: give it to the user of the monitor"
        return ""


def _free_blocks(found: os.statvfs_result) -> int:
    """Return the blocks we may use: some are kept for root."""
    return found.f_bfree if os.geteuid() == 0 else found.f_bavail


def _free_pct(found: os.statvfs_result) -> float:
    """Return the free share of blocks, or of files where fewer of those are left."""
    # As `df` counts: what nobody but root may use is neither free nor there.
    there = found.f_blocks - found.f_bfree + _free_blocks(found)
    blocks_pct = 100.0 * _free_blocks(found) / there if there else 0.0
    files_pct = 100.0 * found.f_ffree / found.f_files if found.f_files else 100.0
    return min(blocks_pct, files_pct)
