"""Damages to the vault's segments and their keys: what is whole is read, and writing goes on."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from edge.keys.keyfile import plain
from edge.records import Packet
from edge.vault import (
    FOLDER,
    Bounds,
    VaultReport,
    VaultWriter,
    WallSpan,
    forget_span,
    open_keys,
    packets,
    rotate,
    rows,
    scan,
    verify,
)
from edge.vault.folder import KEY, SEGMENT, device_ids, segments
from edge.vault.layout import COPY_AT, KEY_RECORD_BYTES, VaultError
from edge.vault.reading import entries
from tests.edge.vault.kit import WALL_S, Clock, start, wave
from tests.rigs.damage.kinds import Box, damage, put_box, read_box
from tests.rigs.damage.outcome import Outcomes

BOUNDS: Final = Bounds(segment_bytes=8192, days=1e6, pinned_days=1e6, reserve_bytes=0)
NEW_AT_S: Final = 5000.0


class Place(NamedTuple):
    """Where a block stands, and which packets it holds."""

    name: str
    at: int
    raw: bytes
    key: bytes
    packets: tuple[Packet, ...]


class Sample(NamedTuple):
    """A sound box, and the blocks in it."""

    box: Box
    blocks: list[Place]

    @property
    def targets(self) -> list[str]:
        """What may be damaged: segments and their keys."""
        names = [one for one in self.box if one.endswith((SEGMENT, KEY)) and "/" in one]
        return [*names, *(one for one in names if one.endswith(SEGMENT))]

    @property
    def ends(self) -> set[Packet]:
        """What is in the first and last segment.

        The oldest are given up in the course of things, and the end of the last is where a power
        cut takes something: that either is gone cannot always be told.
        """
        names = {min(one.name for one in self.blocks), max(one.name for one in self.blocks)}
        return {packet for one in self.blocks if one.name in names for packet in one.packets}


def samples(chance: random.Random) -> list[Sample]:
    """Make vaults of one to some segments, one of them with a hole."""
    return [_sample(n, chance) for n in (30, 150, 400)]


def _sample(n_packets: int, chance: random.Random) -> Sample:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ring, clock = open_keys(folder), Clock()
        with VaultWriter(folder / FOLDER, ring, clock, BOUNDS) as writer:
            for packet in (start(), *wave(n_packets, seed=chance.randrange(10**6))):
                clock.boot_s = packet.arrived_s
                writer.append(packet)
                if chance.random() < 0.05:
                    writer.flush()
        if n_packets > 300:
            forget_span(folder / FOLDER, ring, WallSpan(WALL_S + 10.0, WALL_S + 12.0))
        return Sample(read_box(folder), _blocks(folder))


def _blocks(folder: Path) -> list[Place]:
    found = []
    ring = open_keys(folder, make=False)
    for segment in segments(folder / FOLDER):
        raw = segment.path.read_bytes()
        key = segment.key_path.read_bytes()[:KEY_RECORD_BYTES]
        for entry in entries(segment, ring, VaultReport()):
            block, given = entry.block, entry.held if isinstance(entry.held, list) else []
            held = tuple(packet for packet in given if packet.stream == "wave")
            name = str(segment.path.relative_to(folder))
            found.append(Place(name, block.at, raw[block.at : block.end], key, held))
    return found


def strike(sample: Sample, folder: Path, chance: random.Random, outcomes: Outcomes) -> None:
    """Damage a box in an empty folder, read and write it with real code, twice, and judge."""
    box, told = damage(sample.box, sample.targets, chance)
    put_box(box, folder)
    where = "; ".join(told)
    whole = [one for one in sample.blocks if _is_whole(one, box)]
    n_read = _count_blocks(folder)
    before = _read(folder)
    list(rows(folder / FOLDER))
    for number in (1, 2):
        _write(folder, NEW_AT_S * number)
    found = _read(folder)
    given = {packet for one in sample.blocks for packet in one.packets}
    new = {p for n in (1, 2) for p in _new(NEW_AT_S * n)}
    if fewer := Counter(one.name for one in whole) - n_read:
        outcomes.wrong(f"not used: whole blocks of {dict(fewer)} ({where})")
    # Of two that contradict each other, because one was moved, either may be taken.
    lost = [one for one in whole if not set(one.packets) <= set(before)]
    if lost and "swapped" not in where:
        outcomes.wrong(f"not read: {len(lost)} whole blocks, first at {lost[0][:2]} ({where})")
    if set(before) - set(found):
        outcomes.wrong(f"lost by a start: {len(set(before) - set(found))} packets ({where})")
    if not new <= set(found):
        outcomes.wrong(f"does not go on: what was written after is not read ({where})")
    if unknown := set(found) - given - new:
        outcomes.wrong(f"made up: {len(unknown)} packets nobody wrote ({where})")
    report = verify(folder / FOLDER, open_keys(folder, make=False))
    if given - set(found) - sample.ends and not report.messages:
        outcomes.wrong(f"unnoticed: {len(given - set(found))} packets are gone ({where})")
    if chance.random() < 0.2:
        _forget_and_rotate(folder, outcomes, where)
    kinds = "; ".join(sorted({one.partition(": ")[2] for one in told}))
    outcomes.take(kinds, "whole" if report.whole else "told", len(given & set(found)), len(given))


def _count_blocks(folder: Path) -> Counter[str]:
    """Return how many blocks each segment gives."""
    found: Counter[str] = Counter()
    for segment in segments(folder / FOLDER):
        with suppress(VaultError):
            n = sum(1 for _ in scan.blocks(segment, VaultReport()))
            found[str(segment.path.relative_to(folder))] = n
    return found


def _new(at_s: float) -> list[Packet]:
    return wave(20, at_s=at_s, seed=int(at_s))


def _read(folder: Path) -> list[Packet]:
    ring = open_keys(folder, make=False)
    return [one for one in packets(folder / FOLDER, ring) if one.stream == "wave"]


def _write(folder: Path, at_s: float) -> None:
    clock = Clock(at_s, WALL_S + at_s - 1000.0)
    ring = open_keys(folder, device_ids(folder / FOLDER))
    with VaultWriter(folder / FOLDER, ring, clock, BOUNDS) as writer:
        for packet in _new(at_s):
            writer.append(packet)


def _is_whole(place: Place, box: Box) -> bool:
    """Say whether a block stands where it stood, in a segment whose key can be had."""
    held, key = box.get(place.name), box.get(place.name.removesuffix(SEGMENT) + KEY)
    if held is None or key is None or held[place.at : place.at + len(place.raw)] != place.raw:
        return False
    copies = (key[at : at + KEY_RECORD_BYTES] for at in (0, COPY_AT))
    return place.key in copies


def _forget_and_rotate(folder: Path, outcomes: Outcomes, where: str) -> None:
    """Do what people do with a damaged vault: it may be refused, in words."""
    ring = open_keys(folder, make=False)
    try:
        forget_span(folder / FOLDER, ring, WallSpan(WALL_S, WALL_S + 1.0))
        rotate(folder, folder / FOLDER, ring, plain)
    except VaultError as error:
        if not str(error):
            outcomes.wrong(f"refused without a word ({where})")
    _read(folder)
