"""Annotations of EDF+: time-stamped annotation lists, laid out record by record.

Format: doi:10.1016/S1388-2457(03)00123-8, 2.2.2 to 2.2.4.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

from edge.export.notes import Note

MAX_TEXT: Final = 200


class Tals:
    """Annotations, record by record: each in the first with room from where it begins on."""

    def __init__(self, notes: Sequence[Note], record_s: int, n_records: int, part_s: float) -> None:
        self._record_s, self._part_s = record_s, part_s
        coded = [(int(note.at_s // record_s), _tal(note, part_s)) for note in notes]
        keeping = len(_keeping(n_records * record_s + 0.999999))
        longest = max((len(tal) for _, tal in coded), default=0)
        self.capacity = 2 * math.ceil(max(64, keeping + longest) / 2)
        while (placed := _spread(coded, n_records, self.capacity - keeping)) is None:
            self.capacity *= 2
        self._placed = placed

    def record(self, number: int) -> bytes:
        """Return the annotation signal of one record, which begins with the record's own time."""
        told = _keeping(number * self._record_s + self._part_s) + self._placed.get(number, b"")
        return told.ljust(self.capacity, b"\x00")


def _spread(
    coded: Sequence[tuple[int, bytes]], n_records: int, room: int
) -> dict[int, bytes] | None:
    placed: dict[int, bytes] = {}
    waiting: deque[bytes] = deque()
    nth = 0
    for number in range(n_records):
        while nth < len(coded) and coded[nth][0] <= number:
            waiting.append(coded[nth][1])
            nth += 1
        held = b""
        while waiting and len(held) + len(waiting[0]) <= room:
            held += waiting.popleft()
        if held:
            placed[number] = held
    return None if waiting or nth < len(coded) else placed


def _tal(note: Note, part_s: float) -> bytes:
    text = "".join(letter if letter.isprintable() else " " for letter in note.text)
    lasts = f"\x15{note.for_s:.6f}" if note.for_s else ""
    coded = text.encode()[:MAX_TEXT].decode(errors="ignore")
    return f"+{note.at_s + part_s:.6f}{lasts}\x14{coded}\x14\x00".encode()


def _keeping(at_s: float) -> bytes:
    return f"+{at_s:.6f}".rstrip("0").rstrip(".").encode() + b"\x14\x14\x00"
