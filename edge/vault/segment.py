"""One segment while it is written: made with its key, filled block by block, closed."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from edge.keys import KeyRing
from edge.keys.medium import sync_folder
from edge.packetlog import RECAP
from edge.records import Packet
from edge.vault import layout
from edge.vault.folder import KEY, SEGMENT
from edge.vault.layout import Begin, Head, Hole, Kind, Pin
from edge.vault.sealing import SegmentKey, wrap
from edge.vault.shaping import Shaper


class NewSegment:
    """A segment that is written now, by this process, from its first block to its last.

    What is added is encrypted at once and waits as these bytes until it is on the medium: a write
    that failed is done again with the same bytes in the same place, and after a sync that failed
    everything since the last good one is written again, for the system may have dropped it.

    Parameters
    ----------
    folder : Path
        Of the vault.
    head : Head
        Of the segment; its id new and random.
    ring : KeyRing
        Wraps its key.
    begin : Begin
        Its first block.
    shaper : Shaper
        Packs packets.
    part : bool
        Write under a name that is not a segment's, until `publish`.

    Raises
    ------
    OSError
        It cannot be made; nothing of it is left to be read.
    """

    def __init__(
        self,
        folder: Path,
        head: Head,
        ring: KeyRing,
        begin: Begin,
        shaper: Shaper,
        *,
        part: bool = False,
    ) -> None:
        self.head = head
        self.path = folder / (head.stem + SEGMENT)
        self._shaper = shaper
        self._key = SegmentKey(head.id)
        self._end = self._synced_end = 0
        self._sealed: list[bytes] = []
        self._n_written = 0
        self._ended = False
        self.n_blocks = 0
        self._lies = self.path.with_name(self.path.name + ".part") if part else self.path
        self._fd = -1
        try:
            # The key first: blocks without their key would be lost, a key without blocks is none.
            write_key(self.path.with_suffix(KEY), wrap(ring, self._key.secret, head))
            sync_folder(folder)
            self._fd = os.open(self._lies, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            self._queue(layout.pack_head(head))
            self.add(Kind.BEGIN, msgspec.json.encode(begin), 0, head.boot_s, head.boot_s)
            self.sync()
            sync_folder(folder)
        except OSError:
            self.discard()
            raise

    @property
    def n_waiting_bytes(self) -> int:
        """What is kept in memory because it is not on the medium."""
        return sum(map(len, self._sealed))

    @property
    def ended(self) -> bool:
        """Its last block was added."""
        return self._ended

    @property
    def n_bytes(self) -> int:
        """Size, with what waits."""
        return self._end + sum(map(len, self._sealed[self._n_written :]))

    def add_packets(self, packets: Sequence[Packet]) -> None:
        """Take packets as one block; they wait for `write`. A recap does not count as one."""
        times = [packet.arrived_s for packet in packets]
        body = self._shaper.pack(packets)
        n = sum(packet.stream != RECAP for packet in packets)
        self.add(Kind.PACKETS, body, n, min(times), max(times))

    def add_pin(self, pin: Pin) -> None:
        """Take a span that is to be kept longer."""
        self.add(Kind.PIN, msgspec.json.encode(pin), 0, pin.from_s, pin.to_s)

    def add_hole(self, hole: Hole) -> None:
        """Take note of a span that is gone."""
        self.add(Kind.HOLE, msgspec.json.encode(hole), 0, hole.from_s, hole.to_s)

    def add(self, kind: Kind, body: bytes, n_packets: int, first_s: float, last_s: float) -> None:
        """Encrypt one block; it waits for `write`."""
        self._queue(self._key.seal(kind, body, n_packets, first_s, last_s))
        self.n_blocks += 1

    def write(self) -> None:
        """Hand all that waits to the system: it outlives this process.

        Raises
        ------
        OSError
            It was not taken; the file ends after the last whole block, and this may be tried again.
        """
        while self._n_written < len(self._sealed):
            left = memoryview(self._sealed[self._n_written])
            at = self._end
            try:
                while left:
                    n = os.pwrite(self._fd, left, at)
                    left, at = left[n:], at + n
            except OSError:
                with suppress(OSError):  # a reader sees a cut block at worst
                    os.ftruncate(self._fd, self._end)
                raise
            self._end = at
            self._n_written += 1

    def sync(self) -> None:
        """Write, and wait until the medium has it.

        Raises
        ------
        OSError
            As for `write`; after a failed sync all since the last good one is written again.
        """
        self.write()
        if self._end == self._synced_end:
            return
        try:
            os.fdatasync(self._fd)
        except OSError:
            # The pages may be gone and yet count as clean: only what is written again counts.
            self._end, self._n_written = self._synced_end, 0
            raise
        self._synced_end = self._end
        self._sealed.clear()
        self._n_written = 0

    @property
    def is_synced(self) -> bool:
        """All that was added is on the medium."""
        return not self._sealed

    def close(self) -> None:
        """End it in order; an OSError leaves it open, and this may be tried again."""
        if self._fd < 0:
            return
        if not self._ended:
            self.add(Kind.END, b"", 0, self.head.boot_s, self.head.boot_s)
            self._ended = True
        self.sync()
        os.close(self._fd)
        self._fd = -1

    def publish(self) -> None:
        """Give a segment that was written as a part its name."""
        self._lies.replace(self.path)
        sync_folder(self.path.parent)

    def abandon(self) -> None:
        """Close the file as it is."""
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        """Remove a part that gets no name, and its key."""
        self.abandon()
        for path in (self._lies, self.path.with_suffix(KEY)):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _queue(self, sealed: bytes) -> None:
        self._sealed.append(sealed)


def write_key(path: Path, key: layout.WrappedKey) -> None:
    """Put a wrapped key on the medium, whole or not at all; an OSError passes on."""
    new = path.with_name(path.name + ".part")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        raw = layout.pack_key(key)
        if os.write(fd, raw) != len(raw):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    finally:
        os.close(fd)
    new.replace(path)
