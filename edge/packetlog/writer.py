"""Appends packets to a log."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from edge.packetlog import layout, scan
from edge.packetlog.layout import LogError, LogReport
from edge.records import Packet


class PacketLogWriter:
    """Appends packets to a log; a block is written when it is full or old, and on `flush`.

    Parameters
    ----------
    path : str or path
        Is made if absent. An existing packet log is continued; if it ends inside a block (a
        power cut), that tail is first moved to ``<name>.cut``. Any other file is left alone.
    block_bytes : int
        A block is written once it holds this much.
    block_s : float
        A block is written once its packets' arrivals span this much; no clock is read.

    Attributes
    ----------
    messages : list[str]
        What was found wrong with an existing file, for a person.

    Raises
    ------
    LogError
        The path holds something else, or cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        block_bytes: int = 1 << 18,
        block_s: float = 10.0,
    ) -> None:
        self.messages: list[str] = []
        self._path = Path(path)
        self._block_bytes = min(block_bytes, layout.MAX_PAYLOAD_BYTES)
        self._block_s = block_s
        self._pending: list[Packet] = []
        self._n_bytes = 0
        self._first_s = 0.0
        try:
            end = self._prepare()
            self._file = self._path.open("r+b", buffering=0)
        except OSError as error:
            raise LogError(scan.cannot("open", self._path, error)) from error
        self._end = self._file.seek(end)

    def append(self, packet: Packet) -> None:
        """Take one packet; it is in the file after the next `flush`, which may be at once.

        Raises
        ------
        LogError
            The packet is longer than a block may be (it is not taken), or a write failed; then
            packets wait in memory up to the size of a block, and no more are taken.
        """
        n_bytes = len(packet.payload) + layout.PACKET_BYTES
        if n_bytes > layout.MAX_PAYLOAD_BYTES or self._too_long(packet):
            raise LogError(
                f"a packet of {packet.source[:40]} holds {n_bytes} bytes or a name that is too "
                f"long; a packet log takes {layout.MAX_PAYLOAD_BYTES} bytes and names of "
                f"{layout.MAX_NAME_LETTERS} letters, cut the recording into smaller packets"
            )
        full = self._n_bytes + n_bytes > layout.MAX_PAYLOAD_BYTES
        if full or len(self._pending) >= layout.MAX_PACKETS:
            self.flush()
        if not self._pending:
            self._first_s = packet.arrived_s
        self._pending.append(packet)
        self._n_bytes += n_bytes
        aged = packet.arrived_s - self._first_s >= self._block_s
        if aged or self._n_bytes >= self._block_bytes:
            self.flush()

    @property
    def n_bytes(self) -> int:
        """Size of the file, without what waits."""
        return self._end

    @staticmethod
    def _too_long(packet: Packet) -> bool:
        return max(len(packet.source), len(packet.stream)) > layout.MAX_NAME_LETTERS

    def flush(self, *, durable: bool = False) -> None:
        """Write what is pending as one block; `durable` also waits until the medium has it.

        Raises
        ------
        LogError
            The write failed; the packets stay pending and the file ends after the last whole
            block, so `flush` may be called again.
        """
        try:
            if self._pending:
                self._write(layout.pack_block(self._pending))
                self._pending.clear()
                self._n_bytes = 0
            if durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise LogError(
                f"cannot write to {self._path}: {error.strerror}; {len(self._pending)} packets "
                f"wait in memory, make room and go on"
            ) from error

    def close(self) -> None:
        """Write what is pending, durably, and close the file; a second call does nothing."""
        if not self._file.closed:
            try:
                self.flush(durable=True)
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, block: bytes) -> None:
        left = memoryview(block)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            # A short write leaves half a block; the retry must not stand behind it.
            with suppress(OSError):
                self._file.truncate(self._end)
                self._file.seek(self._end)
            raise
        self._end += len(block)

    def _prepare(self) -> int:
        """Make or check the file; return where the next block goes."""
        if not self._path.exists():
            self._path.write_bytes(layout.pack_head())
            return layout.FILE_HEAD.size
        report = LogReport()
        with self._path.open("r+b") as file:
            start = scan.check_head(file, self._path, report)
            for _ in scan.blocks(file, self._path, start, report):
                pass
            size = scan.length(file)
            self.messages += report.messages
            if report.cut_tail:
                size -= report.n_tail_bytes
                self._set_aside(file, size)
            if not size:
                file.seek(0)
                size = file.write(layout.pack_head())
        return size

    def _set_aside(self, file: BinaryIO, tail_at: int) -> None:
        """Move the bytes from `tail_at` on to ``<name>.cut``, safely, then shorten the file."""
        aside = self._path.with_name(self._path.name + ".cut")
        file.seek(tail_at)
        tail = file.read()
        with aside.open("ab") as kept:
            kept.write(tail)
            kept.flush()
            os.fsync(kept.fileno())
        file.truncate(tail_at)
        self.messages.append(f"the last {len(tail)} bytes of {self._path} are kept in {aside}")
