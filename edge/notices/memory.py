"""What was told and what waits, kept over a restart: nobody is told twice, nothing is forgotten.

One small file in the data folder, replaced as a whole and synchronised before a notice is tried
and after it was sent. It holds words and ids, no address and no measured value but in the text of
a notice with details.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import structlog

from edge.control import Delivered
from edge.notices.content import Item
from edge.notices.telling import Told

FILE: Final = "notices.json"
MAX_BYTES: Final = 8 * 1024 * 1024
SETTLE_S: Final = 2.0
"""A disk that takes longer holds no notice up."""
MAX_REPORTS: Final = 500
MAX_TOKENS: Final = 500

_log = structlog.get_logger("notify")


class Token(msgspec.Struct):
    """What a word sent back by a phone means; good once.

    Attributes
    ----------
    way, alerts, acknowledge : str, tuple[str, ...], bool
        Who was told of which alerts; the answer is to be passed on, not only noted.
    """

    way: str
    alerts: tuple[str, ...]
    acknowledge: bool = False


class Memory(msgspec.Struct):
    """All the notifier remembers.

    Attributes
    ----------
    told : dict[str, Told]
        By alert.
    waiting : dict[str, list[Item]]
        By destination.
    reports : list[Delivered]
        What the monitor has yet to be told.
    tokens : dict[str, Token]
        Words that may come back.
    gone : str
        Episode in which the monitor is gone and people were told; empty: it is there.
    withheld : tuple[str, ...] | None
        Switches of consent that were off when the monitor was heard last; None: never heard.
    """

    told: dict[str, Told] = {}
    waiting: dict[str, list[Item]] = {}
    reports: list[Delivered] = []
    tokens: dict[str, Token] = {}
    gone: str = ""
    withheld: tuple[str, ...] | None = None

    def bound(self) -> None:
        """Let go of the oldest where there is too much."""
        del self.reports[:-MAX_REPORTS]
        for word in list(self.tokens)[:-MAX_TOKENS]:
            del self.tokens[word]


class MemoryFile:
    """Where the memory lies.

    Parameters
    ----------
    folder : Path
        Of the box's data.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.trouble = ""
        self._kept = self._wanted = b""
        self._writing: asyncio.Task[None] | None = None

    def read(self) -> Memory | None:
        """Return what was kept; None: nothing, or it cannot be read and lies aside."""
        try:
            with self.path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
            memory = msgspec.json.decode(content, type=Memory)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._put_aside(error)
            return None
        self._kept = self._wanted = content
        return memory

    def write(self, memory: Memory) -> None:
        """Begin to keep it, if it changed; in a thread, because a disk may hang."""
        memory.bound()
        self._wanted = msgspec.json.encode(memory)
        if self._wanted != self._kept and (self._writing is None or self._writing.done()):
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def settled(self, limit_s: float = SETTLE_S) -> bool:
        """Wait until it is kept; false where the disk does not take it, or not in time.

        Telling people goes on all the same: better twice than not at all.
        """
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=limit_s)
        return self._kept == self._wanted

    async def _write(self) -> None:
        while self._kept != self._wanted:
            content = self._wanted
            try:
                await asyncio.to_thread(_replace, self.path, content)
            except OSError as error:
                if not self.trouble:
                    _log.warning("what was told cannot be kept", error=str(error))
                self.trouble = f"what was told cannot be kept ({error}): mend {self.path.parent}"
                return
            self._kept, self.trouble = content, ""

    def _put_aside(self, error: Exception) -> None:
        _log.warning("what was told cannot be read: begun anew", error=str(error))
        try:
            self.path.replace(self.path.with_suffix(".damaged"))
        except OSError as cause:
            _log.warning("it cannot be put aside either", error=str(cause))


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".notices-")  # 0600 by its nature
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
