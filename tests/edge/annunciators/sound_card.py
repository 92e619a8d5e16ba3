"""A sound card without hardware: real aplay, real ALSA, and a crystal of our own.

ALSA's ``file`` plugin writes into a named pipe what a program plays, over the ``null`` device.
`SoundCard` reads it at the rate of a card and keeps it, so that a test measures what really came
out and when. It can stall, be unplugged and be plugged in again, as a USB card is.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

FS_HZ = 48_000
BYTES = 2
CONFIG = """
pcm.!default {{ type plug slave {{ pcm card format S16_LE rate {fs_hz} channels 1 }} }}
pcm.card {{ type file slave.pcm "null" file "{pipe}" format raw }}
pcm.null {{ type null }}
"""


class SoundCard:
    """Takes samples at `rate` times 48 kHz and keeps them with the time of their arrival."""

    def __init__(self, folder: Path, rate: float = 1.0):
        self.pipe, self.config = folder / "card", folder / "asound.conf"
        os.mkfifo(self.pipe)
        self.config.write_text(CONFIG.format(fs_hz=FS_HZ, pipe=self.pipe))
        self.rate = rate
        self.stalled = threading.Event()
        self.parts: list[tuple[float, bytes]] = []
        self.n_gaps, self.longest_gap_s = 0, 0.0
        """Times at which a card would have had nothing to play, while a player had it open."""
        self._stop = threading.Event()
        self.plug_in()

    def plug_in(self) -> None:
        self._stop.clear()
        self._fd = os.open(self.pipe, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, 4096)
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        self._stop.set()
        self._thread.join()
        with suppress(OSError):
            os.close(self._fd)

    def samples(self, since: int = 0) -> np.ndarray:
        return np.frombuffer(b"".join(part for _, part in self.parts), dtype="<i2")[since:]

    @property
    def n_taken(self) -> int:
        return sum(len(part) for _, part in self.parts) // BYTES

    def arrival_of(self, index: int) -> float:
        """When the sample `index` was taken, on the monotonic clock."""
        n = 0
        for at_s, part in self.parts:
            n += len(part) // BYTES
            if n > index:
                return at_s
        raise IndexError(index)

    def _take(self) -> None:
        due_s = time.monotonic()
        dry_s: float | None = None
        while not self._stop.is_set():
            if self.stalled.is_set():
                time.sleep(0.02)
                continue
            # 10 ms at a time, as a card's period; whoever comes late hears a gap, as on a card.
            try:
                part = os.read(self._fd, FS_HZ // 100 * BYTES)
            except BlockingIOError:
                part = b""
            now_s = time.monotonic()
            if part:
                if dry_s is not None:
                    self.n_gaps += 1
                    self.longest_gap_s = max(self.longest_gap_s, now_s - dry_s)
                dry_s = None
                self.parts.append((now_s, part))
                due_s = max(due_s, now_s - 0.1) + len(part) / (BYTES * FS_HZ * self.rate)
            else:
                # No more than the crystal's time has gone since the last part: late, not dry.
                dry_s = dry_s or now_s if self.parts else None
                due_s = now_s + 0.005
            time.sleep(max(0.0, due_s - now_s))
