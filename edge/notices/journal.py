"""What was sent while the monitor could not be told, kept until it is: lines of JSON in a file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from edge.egress.departure import Departure

FILE: Final = "notices.untold"
MAX_BYTES: Final = 1024 * 1024
SETTLE_S: Final = 2.0
"""A disk that takes longer holds no alarm up."""

_log = structlog.get_logger("notify")


class Journal:
    """The file.

    Parameters
    ----------
    folder : Path
        Of the box's data.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    async def keep(self, what: Departure) -> bool:
        """Write it down; false where that is not possible, or not in time."""
        line = msgspec.json.encode(what) + b"\n"
        writing = asyncio.get_running_loop().create_task(asyncio.to_thread(self._append, line))
        done, _ = await asyncio.wait({writing}, timeout=SETTLE_S)
        return bool(done) and writing.result()

    def take(self) -> list[Departure]:
        """Return what is written down; `clear` when all of it was told."""
        found: list[Departure] = []
        try:
            with self.path.open("rb") as file:
                lines = file.read(MAX_BYTES + 64 * 1024).splitlines()
        except OSError:
            return found
        for line in lines:
            try:
                found.append(msgspec.json.decode(line, type=Departure))
            except (msgspec.DecodeError, UnicodeDecodeError):
                _log.warning("a line of what was sent untold cannot be read")
        return found

    def clear(self, n_told: int) -> None:
        """Take out the first so many lines."""
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
            if len(lines) <= n_told:
                self.path.unlink(missing_ok=True)
                return
            rest = self.path.with_suffix(".new")
            handle = os.open(rest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.writelines(lines[n_told:])
            rest.replace(self.path)
        except OSError as error:
            _log.warning("what was sent untold cannot be cleared", error=str(error))

    def _append(self, line: bytes) -> bool:
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "ab") as file:
                if file.tell() + len(line) > MAX_BYTES:
                    return False
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            _log.warning("what is sent cannot be written down", error=str(error))
            return False
        return True
