"""How many bytes left today, and when a day is over.

Pure but for `BudgetFile`. Days are those of UTC. A wall clock that jumps frees nothing: within one
start of the machine the date goes on by the boot clock from the first moment that was to be
trusted, and as long as none was, a day is over after 24 h of that clock.

What is counted is what this process hands to its transport (bodies and headers); what TCP, TLS
and resent packets add is not known here, and is some 5 to 30 %.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

DAY_S: Final = 86400.0
FILE: Final = "budget.json"
MAX_BYTES: Final = 64 * 1024
MAX_NAMES: Final = 64

_log = structlog.get_logger("sync")


class Moment(msgspec.Struct, frozen=True):
    """Now: boot id, boot clock, and the wall clock where it may be trusted."""

    boot_id: str
    now_s: float
    wall_s: float | None = None


class Budget(msgspec.Struct):
    """What left today.

    Attributes
    ----------
    day : int | None
        Days since 1970; None: no date was known yet.
    n_bytes : dict[str, int]
        By destination.
    boot_id, since_s : str, float
        Start of the machine, and the boot clock, at which the count began or was taken up.
    anchor_s : float | None
        Wall time less boot clock in this start; None: no wall time was to be trusted yet.
    held : dict[str, float]
        Destination -> boot clock since when summaries are held back on a link that costs money.
    """

    day: int | None = None
    n_bytes: dict[str, int] = {}
    boot_id: str = ""
    since_s: float = 0.0
    anchor_s: float | None = None
    held: dict[str, float] = {}

    def look(self, now: Moment) -> None:
        """Begin a new day where one has begun."""
        if now.boot_id != self.boot_id:
            self.boot_id, self.since_s, self.anchor_s = now.boot_id, now.now_s, None
            self.held = dict.fromkeys(self.held, now.now_s)
        if self.anchor_s is None and now.wall_s is not None:
            self.anchor_s = now.wall_s - now.now_s
        if self.anchor_s is not None:
            day = int((self.anchor_s + now.now_s) // DAY_S)
            if self.day is not None and day > self.day:
                self._free(now.now_s)
            # A day that lies before the one that was kept: one of them was wrong. Nothing is freed.
            self.day = day
        elif now.now_s - self.since_s >= DAY_S:
            self._free(now.now_s)

    def add(self, name: str, n: int) -> None:
        """Count what leaves to a destination."""
        if name in self.n_bytes or len(self.n_bytes) < MAX_NAMES:
            self.n_bytes[name] = self.n_bytes.get(name, 0) + n

    def spent(self, most: float) -> bool:
        """Return whether so many bytes, or more, have left today; 0: there is no bound."""
        return most > 0.0 and sum(self.n_bytes.values()) >= most

    def hold(self, name: str, now_s: float) -> float:
        """Return since when summaries to a destination are held back: from now on, if not yet."""
        return self.held.setdefault(name, now_s) if len(self.held) < MAX_NAMES else now_s

    def let_go(self, name: str) -> None:
        """Take that nothing is held back any more."""
        self.held.pop(name, None)

    def _free(self, now_s: float) -> None:
        self.n_bytes, self.since_s = {}, now_s


class BudgetFile:
    """Where it is kept.

    Parameters
    ----------
    folder : Path
        The sender's own.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._kept = b""
        self._fails = False

    def read(self) -> Budget:
        """Return what was kept; nothing where nothing can be read."""
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(MAX_BYTES), type=Budget)
        except FileNotFoundError:
            return Budget()
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            _log.warning("what left today is not known any more", error=str(error))
            return Budget()

    def write(self, budget: Budget) -> None:
        """Keep it, at once or not at all; a disk that refuses keeps nothing from being sent."""
        content = msgspec.json.encode(budget)
        if content == self._kept:
            return
        new = self._path.with_suffix(".new")
        try:
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            if not self._fails:
                _log.warning("what left today cannot be kept", error=str(error))
            self._fails = True
            return
        self._kept, self._fails = content, False
