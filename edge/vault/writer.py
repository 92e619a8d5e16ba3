"""Appends every packet to the vault; used like `edge.packetlog.PacketLogWriter`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge.clock import STEP_S, WallEntry
from edge.keys import KeyRing
from edge.keys.medium import sync_file, sync_folder
from edge.packetlog import LogError
from edge.packetlog.layout import MAX_NAME_LETTERS
from edge.records import Packet
from edge.vault import keeping, scan
from edge.vault.bounds import HURRIED_BLOCK_S, HURRY_S, PIN_S, Bounds
from edge.vault.folder import ROLL, Lock, changing, segments, tidy
from edge.vault.layout import Begin, Head, Hole, Pin, VaultError
from edge.vault.segment import NewSegment
from edge.vault.shaping import Shaper
from edge.vault.standing import Standing

MAX_PAYLOAD_BYTES: Final = 1 << 23
MAX_PACKETS: Final = 1 << 14
"""Of one block."""
MAX_WAITING_BYTES: Final = 1 << 24
"""Bound on what waits in memory while the disk refuses."""
CLOCK_ROLL_S: Final = 60.0
"""A step of the wall clock begins a new segment, but not more often than this."""
LOCK_WAIT_S: Final = 0.5
"""A command may hold the writer's lock for a moment, to see whether there is one."""
BACK_S: Final = 1.0
TEND_S: Final = 2.0
"""The longest that passes between two calls of `VaultWriter.tend`."""
_PACKET_BYTES: Final = 16


class RefusedError(LogError):
    """A packet that no block can hold; it is not taken, however often it is tried."""


class VaultWriter:
    """Appends packets to the newest segment of a vault; the one writer of it.

    Written blocks outlive this process; on the medium is what came before the last `flush` with
    `durable`, and everything older than `Bounds.sync_s`.

    Parameters
    ----------
    folder : Path
        Is made if absent.
    ring : KeyRing
        The device's key.
    clock : Callable
        Both clocks, as `edge.clock.BootClock.read` gives them.
    bounds : Bounds
        How much is kept, and how long.
    standing : Standing | None
        What stands, where a run goes on that has begun before; is kept up to date.

    Attributes
    ----------
    messages : list[str]
        What was found wrong with the vault, for a person.
    n_taken, n_written : int
        Packets that were taken; those of them that outlive this process.
    synced_s : float | None
        Boot clock of the last sync; None: there was none.

    Raises
    ------
    VaultError
        Another process writes it, or the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        ring: KeyRing,
        clock: Callable[[], WallEntry],
        bounds: Bounds | None = None,
        standing: Standing | None = None,
    ) -> None:
        self.messages: list[str] = []
        self.n_taken = self.n_written = 0
        self.synced_s: float | None = None
        self._folder, self._ring, self._clock = folder, ring, clock
        self._bounds = bounds or Bounds()
        self._shaper = Shaper()
        self._standing = Standing() if standing is None else standing
        self._goes_on = bool(self._standing)
        self._recap: Packet | None = None
        self._pending: list[Packet] = []
        self._n_pending_bytes = 0
        self._segment: NewSegment | None = None
        self._began_s = self._last_s = 0.0
        self._unsynced_s: float | None = None
        self._hurry_until_s = -1.0
        self._pinned_s = -1e9
        self._closed = False
        self._lock = Lock(folder, "vault", LOCK_WAIT_S)
        try:
            # The folder itself, and the key beside it: whoever made them may have been killed
            # before they were on the medium, and without them all that is kept here is lost.
            sync_folder(folder.parent)
            with changing(folder):
                tidy(folder)
            self._before = self._look_back()
        except OSError as error:
            self._lock.release()
            raise VaultError(f"{folder} cannot be written: {error.strerror}; check it") from error
        except BaseException:
            self._lock.release()
            raise

    @property
    def n_bytes(self) -> int:
        """Size of the segment being written."""
        return 0 if self._segment is None else self._segment.n_bytes

    def append(self, packet: Packet) -> None:
        """Take one packet; it is in the file after the next `flush`, which may be at once.

        Raises
        ------
        RefusedError
            The packet is longer than a block may be; it is not taken.
        LogError
            A write failed; then packets wait in memory within a bound, and no more are taken:
            `n_taken` says whether this one was.
        """
        n_bytes = len(packet.payload) + _PACKET_BYTES
        if n_bytes > MAX_PAYLOAD_BYTES or _names_too_long(packet):
            raise RefusedError(
                f"a packet of {packet.source[:40]} holds {n_bytes} bytes or a name that is too "
                f"long; the vault takes {MAX_PAYLOAD_BYTES} bytes and names of "
                f"{MAX_NAME_LETTERS} letters"
            )
        if self._pending and packet.arrived_s < self._last_s - BACK_S:
            self.flush()  # a block's arrivals do not go back
        if self._waiting_bytes() + n_bytes > MAX_WAITING_BYTES:
            self.flush(durable=True)
        if self._goes_on:
            self._recap, self._goes_on = self._standing.recap(packet.arrived_s), False
        self._pending.append(packet)
        self.n_taken += 1
        self._standing.note(packet)
        self._n_pending_bytes += n_bytes
        self._last_s = packet.arrived_s
        if self._is_due(packet.arrived_s):
            self.flush()

    def flush(self, *, durable: bool = False) -> None:
        """Write what is pending as one block; `durable` also waits until the medium has it.

        Raises
        ------
        LogError
            The write failed; what waits stays, the files end after the last whole block, and
            `flush` may be called again.
        """
        try:
            self._flush(durable=durable)
        except OSError as error:
            raise LogError(
                f"cannot write to the vault {self._folder}: {error.strerror}; "
                f"{self._waiting_bytes()} bytes wait in memory, make room and go on"
            ) from error

    def hurry(self, at_s: float, why: str = "") -> None:
        """Put all on the medium at once, and all of the next two minutes: a high alarm was raised.

        The two minutes before and after are kept longer than the rest; so `pin` is called.

        Parameters
        ----------
        at_s : float
            Boot clock.
        why : str
            Of the alert; encrypted like all the rest.

        Raises
        ------
        LogError
            As for `flush`.
        """
        self._hurry_until_s = max(self._hurry_until_s, at_s + HURRY_S)
        self.pin(at_s, why)
        self.flush(durable=True)

    def pin(self, at_s: float, why: str = "") -> None:
        """Keep two minutes before and after an alert longer than the rest; raises as `flush`."""
        if 0.0 <= at_s - self._pinned_s < HURRIED_BLOCK_S:
            return  # a storm of alerts is one span
        self._pinned_s = at_s
        try:
            self._seal()
            segment = self._open_segment(at_s)
            segment.add_pin(Pin(at_s - PIN_S, at_s + PIN_S, why[:200]))
            if self._unsynced_s is None:
                self._unsynced_s = at_s
        except OSError as error:
            raise LogError(f"cannot write to the vault {self._folder}: {error.strerror}") from error

    def leave_out(self, from_s: float, to_s: float, why: str) -> None:
        """Say that what entered in this span is not in the vault; raises as `flush`.

        `standing` must know what was said in it: that is told again after the hole.
        """
        try:
            self._seal()
            self._open_segment(to_s).add_hole(Hole(from_s, to_s, why))
        except OSError as error:
            raise LogError(f"cannot write to the vault {self._folder}: {error.strerror}") from error
        self._recap, self._goes_on = self._standing.recap(to_s), False

    def tend(self, now_s: float) -> None:
        """Write and sync what is due by the clock though no packets come; raises as `flush`.

        To be called about every second.
        """
        if self._is_due(now_s):
            self.flush()
        elif self._sync_is_due(now_s, TEND_S):
            self.flush(durable=True)

    def close(self) -> None:
        """Write what is pending, durably, and end the segment; a second call does nothing."""
        if self._closed:
            return
        try:
            self.flush(durable=True)
            if self._segment is not None:
                self._end_segment()
        except OSError as error:
            raise LogError(
                f"the vault {self._folder} could not be ended: {error.strerror}"
            ) from error
        finally:
            self._closed = True
            if self._segment is not None:
                self._segment.abandon()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _waiting_bytes(self) -> int:
        segment = self._segment
        return self._n_pending_bytes + (0 if segment is None else segment.n_waiting_bytes)

    def _is_due(self, now_s: float) -> bool:
        if not self._pending:
            return False
        hurried = now_s <= self._hurry_until_s
        span_s = HURRIED_BLOCK_S if hurried else self._bounds.block_s
        return (
            now_s - self._pending[0].arrived_s >= span_s
            or self._n_pending_bytes >= self._bounds.block_bytes
            or len(self._pending) >= MAX_PACKETS
        )

    def _sync_is_due(self, now_s: float | None = None, next_s: float | None = None) -> bool:
        """Say whether the oldest that is not on the medium would be too old the next time.

        That is in `next_s`; None: at the next block.
        """
        if self._unsynced_s is None:
            return False
        now_s = self._last_s if now_s is None else now_s
        if now_s <= self._hurry_until_s:
            return True
        next_s = self._bounds.block_s if next_s is None else next_s
        return now_s + next_s - self._unsynced_s > self._bounds.sync_s

    def _seal(self) -> None:
        """Encrypt what is pending into the segment; nothing is lost if that fails."""
        if not self._pending:
            return
        segment = self._open_segment(self._pending[0].arrived_s)
        recap = [] if self._recap is None else [self._recap]
        segment.add_packets([*recap, *self._pending])
        if self._unsynced_s is None:
            self._unsynced_s = self._pending[0].arrived_s
        self._recap = None
        self._pending.clear()
        self._n_pending_bytes = 0

    def _flush(self, *, durable: bool) -> None:
        self._seal()
        segment = self._segment
        if segment is None:
            return
        if durable or self._sync_is_due():
            segment.sync()
            self._unsynced_s = None
            self.synced_s = self._clock().boot_s
        else:
            segment.write()
        self.n_written = self.n_taken
        if segment.ended or self._should_roll(segment):
            self._end_segment()

    def _should_roll(self, segment: NewSegment) -> bool:
        age_s = self._last_s - self._began_s
        full = segment.n_bytes >= self._bounds.segment_bytes or age_s >= self._bounds.segment_s
        return full or (self._folder / ROLL).exists() or self._clock_moved(segment, age_s)

    def _clock_moved(self, segment: NewSegment, age_s: float) -> bool:
        """Say whether wall time is no longer what the segment's head says of it."""
        if age_s < CLOCK_ROLL_S:
            return False
        now, head = self._clock(), segment.head
        moved_s = (now.wall_s - now.boot_s) - (head.wall_s - head.boot_s)
        return abs(moved_s) > STEP_S or (now.synchronised and not head.synchronised)

    def _end_segment(self) -> None:
        segment = self._segment
        if segment is None:
            return
        segment.close()
        self._before = (segment.head.id, segment.n_blocks)
        self._segment = None
        self._unsynced_s = None
        self._recap = self._standing.recap(self._last_s)
        with suppress(OSError):
            (self._folder / ROLL).unlink()

    def _open_segment(self, at_s: float) -> NewSegment:
        if self._segment is not None and self._segment.ended:
            self._end_segment()  # the disk refused its last block; nothing comes after it
        if self._segment is not None:
            return self._segment
        now = self._clock()
        with changing(self._folder):
            self.messages += keeping.keep(self._folder, self._ring, self._bounds, now)
            number = max((s.number for s in segments(self._folder)), default=0) + 1
            head = Head(
                number, 0, os.urandom(16), now.boot_id, now.boot_s, now.wall_s, now.synchronised
            )
            name, n_blocks = self._before
            begin = Begin(
                now.boot_id, now.boot_s, now.wall_s, now.synchronised, name.hex(), n_blocks
            )
            self._segment = NewSegment(self._folder, head, self._ring, begin, self._shaper)
        self._began_s = at_s
        return self._segment

    def _look_back(self) -> tuple[bytes, int]:
        """Return the id of the last segment and how many whole blocks it has."""
        there = segments(self._folder)
        if not there:
            return b"", 0
        report = scan.VaultReport()
        try:
            # A writer that was killed may have left blocks that the medium does not have: counted,
            # and lost to a power cut, they would look as if somebody had cut them off.
            sync_file(there[-1].path)
            sync_folder(self._folder)
            n_blocks = max((b.head.sequence + 1 for b in scan.blocks(there[-1], report)), default=0)
        except (VaultError, OSError) as error:
            self.messages.append(str(error))
            return b"", 0
        self.messages += report.messages
        head = there[-1].head()
        return (b"" if head is None else head.id), n_blocks


def _names_too_long(packet: Packet) -> bool:
    return max(len(packet.source), len(packet.stream)) > MAX_NAME_LETTERS
