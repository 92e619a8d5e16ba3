"""Finds the whole blocks of a segment, whatever happened to the file; no key is needed."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, Final
from zlib import crc32

import msgspec

from edge.vault import layout
from edge.vault.folder import Segment
from edge.vault.layout import BlockHead, Kind, VaultError

_SCAN_BYTES: Final = 1 << 20
MAX_MESSAGES: Final = 100


class VaultReport(msgspec.Struct):
    """What reading the vault found, filled in while it is read.

    Attributes
    ----------
    n_segments, n_blocks, n_packets, n_bytes : int
        What was read and is whole.
    n_damaged, n_bytes_skipped : int
        Damaged places, and how many bytes they are.
    n_missing : int
        Blocks that were there and are not: cut out, or lost in a damaged place.
    n_changed : int
        Blocks or segments that are whole and not what was written: somebody changed them.
    n_unreadable : int
        Segments whose key is gone, damaged or another's.
    n_cut : int
        Segments that end inside a block, as a power cut leaves them; nothing acknowledged is lost.
    messages : list[str]
        One sentence for a person on each thing that was wrong.
    """

    n_segments: int = 0
    n_blocks: int = 0
    n_packets: int = 0
    n_bytes: int = 0
    n_damaged: int = 0
    n_bytes_skipped: int = 0
    n_missing: int = 0
    n_changed: int = 0
    n_unreadable: int = 0
    n_cut: int = 0
    messages: list[str] = []

    @property
    def whole(self) -> bool:
        """Nothing is damaged, missing, changed or unreadable."""
        return not (self.n_damaged or self.n_missing or self.n_changed or self.n_unreadable)

    def say(self, text: str) -> None:
        """Keep a sentence, within a bound."""
        if len(self.messages) < MAX_MESSAGES:
            self.messages.append(text)


class Block(msgspec.Struct, frozen=True):
    """A whole block, still encrypted, and where it stands."""

    head: BlockHead
    at: int
    body: bytes

    @property
    def end(self) -> int:
        """The byte after it."""
        return self.at + layout.BLOCK_BYTES + len(self.body)


def blocks(segment: Segment, report: VaultReport) -> Iterator[Block]:
    """Give the whole blocks of a segment, in the order in which they stand.

    Raises
    ------
    VaultError
        The file cannot be read, or is of another version.
    """
    try:
        with segment.path.open("rb") as file:
            report.n_segments += 1
            yield from _blocks(file, segment, report)
    except OSError as error:
        raise VaultError(f"{segment.path} cannot be read: {error.strerror}; check it") from error


def heads(segment: Segment) -> Iterator[BlockHead]:
    """Give the heads of the blocks, by jumping from one to the next: quick, and stops at damage.

    Raises
    ------
    VaultError
        The file cannot be read.
    """
    try:
        with segment.path.open("rb") as file:
            at = layout.HEAD_BYTES
            size = file.seek(0, os.SEEK_END)
            while (head := _head_at(file, at)) is not None:
                at += layout.BLOCK_BYTES + head.n_bytes
                if at > size:
                    return
                yield head
    except OSError as error:
        raise VaultError(f"{segment.path} cannot be read: {error.strerror}; check it") from error


def _blocks(file: BinaryIO, segment: Segment, report: VaultReport) -> Iterator[Block]:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    at = layout.HEAD_BYTES
    if layout.unpack_head(file.read(layout.HEAD_BYTES)) is None and size >= layout.HEAD_BYTES:
        report.n_damaged += 1
        report.say(f"{segment.path}: its head is damaged; the copy beside its key is used")
    expected, last_kind = 0, -1
    kept = _in_row(file, size)
    while at < size:
        block = _block_at(file, at)
        if block is None:
            at = _past_damage(file, at, size, segment, report)
            continue
        number = block.head.sequence
        if number < expected or (kept is not None and at not in kept):
            report.n_changed += 1
            report.say(f"{segment.path}: block {number} at byte {at} stands in the wrong place")
            at = block.end
            continue
        if number > expected:
            report.n_missing += number - expected
            report.say(f"{segment.path}: {number - expected} blocks before byte {at} are not there")
        expected, last_kind, at = number + 1, block.head.kind, block.end
        report.n_blocks += 1
        report.n_bytes += layout.BLOCK_BYTES + len(block.body)
        yield block
    if expected == 0 and last_kind != Kind.END and size <= layout.HEAD_BYTES:
        report.say(f"{segment.path} is empty: nothing was written to it")


def _block_at(file: BinaryIO, at: int) -> Block | None:
    head = _head_at(file, at)
    if head is None:
        return None
    body = file.read(head.n_bytes)
    return Block(head, at, body) if len(body) == head.n_bytes and crc32(body) == head.crc else None


def _head_at(file: BinaryIO, at: int) -> BlockHead | None:
    file.seek(at)
    return layout.unpack_block_head(file.read(layout.BLOCK_BYTES))


def _in_row(file: BinaryIO, size: int) -> set[int] | None:
    """Return where the blocks stand that are used, if some stand in the wrong place; else None.

    Of such blocks the most that follow each other are used: one that was moved to the front (by a
    card that swaps its pages) takes none of those along that stand where they were written.
    """
    numbers, at = [], layout.HEAD_BYTES
    while (head := _head_at(file, at)) is not None and at < size:
        numbers.append(head.sequence)
        at += layout.BLOCK_BYTES + head.n_bytes
    if at == size and all(a < b for a, b in pairwise(numbers)):
        return None  # as ever, and quick: no body was read
    return _longest_row(list(_standing(file, size)))


def _standing(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Give number and place of every whole block."""
    at: int | None = layout.HEAD_BYTES
    while at is not None and at < size:
        block = _block_at(file, at)
        if block is None:
            at = _next_head(file, at + 1)
        else:
            yield block.head.sequence, at
            at = block.end


def _longest_row(found: list[tuple[int, int]]) -> set[int]:
    """Return the places of the longest row of rising numbers."""
    ends: list[int] = []  # the lowest number in which a row of each length ends
    last: list[int] = []  # and which of `found` that is
    before: list[int] = []
    for index, (number, _) in enumerate(found):
        length = bisect_left(ends, number)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [number]
        last[length : length + 1] = [index]
    row, index = set[int](), last[-1] if last else -1
    while index >= 0:
        row.add(found[index][1])
        index = before[index]
    return row


def _next_head(file: BinaryIO, at: int) -> int | None:
    """Return where the next head of a block stands at or after byte `at`."""
    found = _find(file, at)
    while found is not None and _head_at(file, found) is None:
        found = _find(file, found + 1)
    return found


def _past_damage(file: BinaryIO, at: int, size: int, segment: Segment, report: VaultReport) -> int:
    """Return where to go on after something that is no whole block, and tell of it."""
    found = _next_head(file, at + 1)
    if found is None and _is_cut(file, at, size):
        report.n_cut += 1
        report.say(
            f"{segment.path} ends inside a block, as after a power cut; all before it is used"
        )
        return size
    end = size if found is None else found
    report.n_damaged += 1
    report.n_bytes_skipped += end - at
    report.say(f"{segment.path}: bytes {at} to {end} are damaged and left out")
    return end


def _is_cut(file: BinaryIO, at: int, size: int) -> bool:
    """Say whether the last bytes, from `at` on, are the beginning of a block.

    A file that grew before its content was on the medium ends in zeros: that is a cut as well.
    """
    head = _head_at(file, at)
    if head is not None:
        file.seek(at + layout.BLOCK_BYTES)
        body = file.read()
        return at + layout.BLOCK_BYTES + head.n_bytes > size or _ends_in_zeros(body)
    file.seek(at)
    rest = file.read()
    whole = rest.rstrip(b"\0")
    short = len(whole) < layout.BLOCK_BYTES
    return short and (not whole or layout.MARKER.startswith(whole[: len(layout.MARKER)]))


def _ends_in_zeros(body: bytes) -> bool:
    # 16 zeros at the end of a tag are no chance.
    return body.endswith(bytes(layout.TAG_BYTES))


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
