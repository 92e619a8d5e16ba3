"""Finds the whole blocks of a packet log, whatever happened to the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

from edge.packetlog import layout
from edge.packetlog.layout import LogError, LogReport
from edge.records import Packet

_SCAN_BYTES = 1 << 20

_LOOKS_LIKE = (
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive"),
    (b"0       ", "an EDF recording"),
    (b"%PDF", "a PDF"),
)


def read(path: str | os.PathLike[str], report: LogReport | None = None) -> Iterator[Packet]:
    """Return the packets of a log in the order they were written, one block in memory at a time.

    A damaged block is passed over, counted and told in `report`; a cut tail gives all whole
    blocks before it. Whatever is given out was written exactly so.

    Parameters
    ----------
    path : str or path
        The file.
    report : LogReport, optional
        Is filled in while the packets are taken; complete after the last one.

    Raises
    ------
    LogError
        At the call: the file cannot be opened, is not a packet log, or is of another version.
    """
    report = LogReport() if report is None else report
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = check_head(file, path, report)
    except OSError as error:
        raise LogError(cannot("open", path, error)) from error
    return _packets(path, start, report)


def is_packet_log(path: str | os.PathLike[str]) -> bool:
    """Say whether the file begins like a packet log; raises OSError when it cannot be opened."""
    with Path(path).open("rb") as file:
        return file.read(len(layout.MAGIC)) == layout.MAGIC


def _packets(path: Path, start: int, report: LogReport) -> Iterator[Packet]:
    try:
        with path.open("rb") as file:
            for n, body in blocks(file, path, start, report):
                try:
                    packets = layout.unpack_block(n, body)
                except ValueError as error:
                    report.n_bad_blocks += 1
                    report.n_bytes_skipped += len(body)
                    report.messages.append(f"{path}: a block is left out: {error}")
                    continue
                report.n_blocks += 1
                report.n_packets += n
                yield from packets
    except OSError as error:
        raise LogError(cannot("read", path, error)) from error


def check_head(file: BinaryIO, path: Path, report: LogReport) -> int:
    """Return where the blocks begin; told in `report` when the head is damaged or cut."""
    head = file.read(layout.FILE_HEAD.size)
    if len(head) < layout.FILE_HEAD.size and layout.pack_head().startswith(head):
        report.messages.append(f"{path} is empty: nothing was ever written to it")
        return 0
    if head.startswith(layout.MAGIC) and len(head) == layout.FILE_HEAD.size:
        _, version, _, crc = layout.FILE_HEAD.unpack(head)
        if crc == crc32(head[:-4]):
            if version != layout.VERSION:
                raise LogError(
                    f"{path} is a packet log of version {version}, this program reads version "
                    f"{layout.VERSION}; read it with the homeward that wrote it, or a newer one"
                )
            return layout.FILE_HEAD.size
    # Any bit of the head may be the one that flipped: whole blocks prove what the file is.
    at = _find_block(file)
    if at is None:
        raise LogError(
            f"{path} is not a packet log{_looks_like(head)}; give a file that homeward wrote "
            f"with --log, or choose another name for a new one"
        )
    report.n_bytes_skipped += at
    report.messages.append(f"{path}: its first {at} bytes are damaged, its blocks are read")
    return at


def blocks(file: BinaryIO, path: Path, at: int, report: LogReport) -> Iterator[tuple[int, bytes]]:
    """Give the number of packets and the body of each whole block from byte `at` on."""
    size = length(file)
    while at < size:
        head = _block_head(file, at)
        if head is not None:
            n, n_bytes, crc = head
            body = file.read(n_bytes)
            if len(body) == n_bytes and crc32(body) == crc:
                yield n, body
                at += layout.BLOCK_HEAD.size + n_bytes
                continue
        found = _find(file, at + 1)
        if found is None and _is_cut(file, at, size):
            report.cut_tail = True
            report.n_tail_bytes = size - at
            report.messages.append(
                f"{path} ends inside a block, as after a power cut; all before it is used"
            )
            return
        end = size if found is None else found
        report.n_bad_blocks += 1
        report.n_bytes_skipped += end - at
        report.messages.append(f"{path}: bytes {at} to {end} are damaged and left out")
        at = end


def _block_head(file: BinaryIO, at: int) -> tuple[int, int, int] | None:
    """Return packets, body length and CRC of the block at byte `at`, None if none begins there."""
    file.seek(at)
    head = file.read(layout.BLOCK_HEAD.size)
    if len(head) < layout.BLOCK_HEAD.size or not head.startswith(layout.MARKER):
        return None
    _, n, n_bytes, crc, head_crc = layout.BLOCK_HEAD.unpack(head)
    sound = head_crc == crc32(head[:-4]) and n_bytes <= layout.MAX_BODY_BYTES
    return (n, n_bytes, crc) if sound else None


def _is_cut(file: BinaryIO, at: int, size: int) -> bool:
    """Say whether the file's last bytes, from `at` on, are the beginning of a block or head."""
    head = _block_head(file, at)
    if head is not None:
        return at + layout.BLOCK_HEAD.size + head[1] > size
    file.seek(at)
    rest = file.read(layout.BLOCK_HEAD.size)
    short = len(rest) < layout.BLOCK_HEAD.size
    begins = short and layout.MARKER.startswith(rest[: len(layout.MARKER)])
    return begins or (at == 0 and layout.pack_head().startswith(rest))


def _find(file: BinaryIO, at: int) -> int | None:
    """Return where the next marker stands at or after byte `at`."""
    file.seek(at)
    kept = b""
    while piece := file.read(_SCAN_BYTES):
        text = kept + piece
        found = text.find(layout.MARKER)
        if found >= 0:
            return at + found
        kept = text[1 - len(layout.MARKER) :]
        at += len(text) - len(kept)
    return None


def _find_block(file: BinaryIO) -> int | None:
    """Return where the first block with a sound head stands."""
    at = _find(file, 0)
    while at is not None and _block_head(file, at) is None:
        at = _find(file, at + 1)
    return at


def length(file: BinaryIO) -> int:
    """Return how many bytes the file holds."""
    return file.seek(0, os.SEEK_END)


def _looks_like(head: bytes) -> str:
    for begin, name in _LOOKS_LIKE:
        if head.startswith(begin):
            return f" but {name}"
    if head and all(32 <= byte < 127 or byte in b"\r\n\t" for byte in head):
        return " but a text"
    return ""


def cannot(do: str, path: Path, error: OSError) -> str:
    """Return what to tell a person when the system refuses."""
    return f"cannot {do} {path}: {error.strerror or error}; check the path and its permissions"
