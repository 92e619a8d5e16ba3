"""One life of a monitor that is forked: where it lives, how long, and what is heard of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path

import msgspec

_PULSE = struct.Struct("<ddqqq")
PULSE_BYTES = _PULSE.size


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a monitor is to do.

    Attributes
    ----------
    data_dir, config, scenario : Path
        As for ``homeward run``.
    witness, pulse, log : Path
        Where it tells what it made and what it was told is stored; how it is at this moment; its
        standard error. None of them in the data directory.
    begin_s : float
        Boot time at which it begins.
    speed : float
        How many times as fast time passes while it waits; 0: by the machine's own clocks, and
        `begin_s` counts for nothing.
    for_s : float | None
        It stops by itself after so long (boot clock); None: it does not.
    ask_every_s : float
        It asks so often whether all is stored.
    early : bool
        Control: it says that a record is stored before it is.
    acts : tuple[tuple[float, str], ...]
        What happens so long after the start, in order: ``limits`` and ``selftest`` are asked for,
        any other word is what the disk does from then on, as in `fails`.
    vault_bytes : int
        Bound of the vault; 0: where the daemon has none of its own, there is none.
    fails : str | None
        What the disk does from the start (``sync:3:EIO``, see `tests.rigs.powercut.shim`), with
        the server under the shim; empty: its calls are only counted.
    """

    data_dir: Path
    config: Path
    scenario: Path
    witness: Path
    pulse: Path
    log: Path
    begin_s: float
    speed: float = 100.0
    for_s: float | None = None
    ask_every_s: float = 2.0
    early: bool = False
    acts: tuple[tuple[float, str], ...] = ()
    vault_bytes: int = 1 << 30
    fails: str | None = None


class Beat(msgspec.Struct, frozen=True):
    """How a monitor was at one moment: its boot clock, its last tick, its acknowledged alerts."""

    now_s: float
    late_s: float
    writing: bool
    n_stored: int
    n_ticks: int


class Pulse:
    """A few numbers shared between a monitor and who watches it; they outlive a kill."""

    def __init__(self, memory: mmap) -> None:
        self._memory = memory
        self.now_s = self.late_s = 0.0
        self.n_writing = self.n_stored = self.n_ticks = 0

    def tell(self) -> None:
        """Write them."""
        told = (self.now_s, self.late_s, self.n_writing, self.n_stored, self.n_ticks)
        _PULSE.pack_into(self._memory, 0, *told)

    def read(self) -> Beat:
        """Return what the monitor wrote last."""
        now_s, late_s, n_writing, n_stored, n_ticks = _PULSE.unpack_from(self._memory, 0)
        return Beat(now_s, late_s, n_writing > 0, n_stored, n_ticks)


@contextmanager
def pulse_of(path: Path, *, fresh: bool = False) -> Iterator[Pulse]:
    """Open a pulse."""
    if fresh:
        path.write_bytes(bytes(PULSE_BYTES))
    with path.open("r+b") as file, mmap(file.fileno(), PULSE_BYTES) as memory:
        yield Pulse(memory)
