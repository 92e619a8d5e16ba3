"""What happens to files on a card that goes bad, or in the hands of people."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

PAGE_BYTES: Final = (512, 1024, 4096)
DIRECTORY: Final = None
Held: TypeAlias = bytes | None
"""Of a file; None: a directory stands in its place."""
Box: TypeAlias = dict[str, Held]
"""What a data directory holds, by path below it; a path whose parent is missing gets one."""
Kind: TypeAlias = Callable[[bytes, random.Random], Held]


def _flip(held: bytes, chance: random.Random) -> bytes:
    raw = bytearray(held)
    for _ in range(chance.choice((1, 1, 3, 50))):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(raw)


def _truncate(held: bytes, chance: random.Random) -> bytes:
    return held[: chance.randrange(len(held))]


def _page(held: bytes, chance: random.Random) -> tuple[int, int]:
    n_bytes = chance.choice(PAGE_BYTES)
    at = chance.randrange(len(held)) // n_bytes * n_bytes
    return at, min(n_bytes, len(held) - at)


def _zero(held: bytes, chance: random.Random) -> bytes:
    at, n = _page(held, chance)
    return held[:at] + bytes(n) + held[at + n :]


def _junk(held: bytes, chance: random.Random) -> bytes:
    at, n = _page(held, chance)
    return held[:at] + chance.randbytes(n) + held[at + n :]


def _swap(held: bytes, chance: random.Random) -> bytes:
    n_bytes = chance.choice(PAGE_BYTES)
    one, other = (chance.randrange(len(held)) // n_bytes * n_bytes for _ in range(2))
    raw = bytearray(held)
    n = min(n_bytes, len(raw) - max(one, other))
    raw[one : one + n], raw[other : other + n] = raw[other : other + n], raw[one : one + n]
    return bytes(raw)


def _append(held: bytes, chance: random.Random) -> bytes:
    return held + chance.randbytes(chance.choice((1, 100, 5000)))


def _cut_out(held: bytes, chance: random.Random) -> bytes:
    at, n = _page(held, chance)
    return held[:at] + held[at + n :]


KINDS: Final[Mapping[str, tuple[Kind, int]]] = {
    "bits flipped": (_flip, 6),
    "truncated": (_truncate, 3),
    "page zeroed": (_zero, 4),
    "page of junk": (_junk, 3),
    "pages swapped": (_swap, 3),
    "junk appended": (_append, 2),
    "page cut out": (_cut_out, 1),
    "empty": (lambda *_: b"", 1),
    "text in its place": (lambda *_: b"this is not what was here\n" * 60, 1),
    "directory in its place": (lambda *_: DIRECTORY, 1),
}
"""By name: what it does to what a file holds, and how often it is drawn."""


def damage(box: Box, targets: list[str], chance: random.Random) -> tuple[Box, list[str]]:
    """Return a box with one to three damages in these files, and what they are."""
    box, told = dict(box), []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        name = chance.choice(targets)
        held = box.get(name, b"")
        if chance.random() < 0.04:
            box.pop(name, None)
            told.append(f"{name}: removed")
        elif chance.random() < 0.04:
            other = chance.choice([one for one in targets if box.get(one)] or [name])
            box[name] = box.get(other)
            told.append(f"{name}: another in its place")
        elif held:
            words = list(KINDS)
            kind = chance.choices(words, [KINDS[word][1] for word in words])[0]
            box[name] = KINDS[kind][0](held, chance)
            told.append(f"{name}: {kind}")
    return box, told


def read_box(folder: Path) -> Box:
    """Return what a folder holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def put_box(box: Box, folder: Path) -> None:
    """Make an empty folder hold this."""
    for name, held in box.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if held is DIRECTORY:
            path.mkdir()
        else:
            path.write_bytes(held)
            path.chmod(0o600)
