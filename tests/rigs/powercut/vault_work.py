"""The vault under power cuts: writing, rolling, giving up the old, forgetting, another key."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from unittest import mock

import msgspec

from edge.keys.keyfile import plain
from edge.records import Packet
from edge.vault import (
    FOLDER,
    Bounds,
    VaultReport,
    VaultWriter,
    WallSpan,
    forget_all,
    forget_span,
    forgetting,
    keeping,
    open_keys,
    packets,
    remains,
    rotate,
    verify,
)
from edge.vault import folder as folder_module
from edge.vault.folder import ROLL, Segment, device_ids, segments
from edge.vault.segment import NewSegment
from tests.edge.vault.kit import WALL_S, Clock
from tests.rigs.powercut.cutting import Mark

BOUNDS: Final = Bounds(segment_bytes=4096, days=1e6, pinned_days=1e6, reserve_bytes=0)
TIGHT: Final = msgspec.structs.replace(BOUNDS, max_bytes=64_000)
"""Room for five segments: the oldest give way."""
STREAM: Final = "wave"
OFFSET_S: Final = WALL_S - 1000.0
EVERY_S: Final = 0.1
EVERYTHING: Final = (-1e15, 1e15)


class VaultWork:
    """Writes packets, rolls, hurries, dies and comes back, forgets and changes the key."""

    name = "vault"

    def prepare(self, folder: Path, chance: random.Random) -> list[str]:
        """Begin with nothing, or with a vault that was used."""
        marks: list[str] = []
        if chance.random() < 0.6:
            self.act(folder, marks.append, chance)
        return marks

    def act(self, folder: Path, mark: Mark, chance: random.Random) -> None:
        """Write."""
        with told_of(mark):
            _Box(folder, mark, chance).work(chance.randint(3, 14))

    def check(self, folder: Path, marks: list[str], chance: random.Random) -> list[str]:
        """Open it, finish what was broken off, read every packet, and verify."""
        told = _Told(marks)
        with told_of(told.take):
            box = _Box(folder, told.take, chance)
            box.write(2)
            box.close()
            if told.breaks_off_rotation:
                box.rotate()
                box.close()
            if told.breaks_off_forgetting:
                box.forget(told.forgotten[-1][0])
            if told.forgotten[-1:] and told.forgotten[-1][0] == EVERYTHING:
                _Box(folder, told.take, chance).close()  # a key is made anew
        return told.missed(folder)


class _Box:
    """One process after the other that writes a vault."""

    def __init__(self, folder: Path, mark: Mark, chance: random.Random) -> None:
        self._folder, self._mark, self._chance = folder, mark, chance
        self._vault = folder / FOLDER
        heads = [head for one in segments(self._vault) if (head := one.head()) is not None]
        boot_s = max((head.boot_s for head in heads), default=0.0) + 1000.0
        self._clock = Clock(boot_s, boot_s + OFFSET_S)
        self._began_s = self._clock.boot_s
        self._number = chance.randrange(1, 10**9) * 1000
        self._bounds = chance.choice((BOUNDS, TIGHT))
        self._mark("dead")
        self._writer = self._open()

    def work(self, n_steps: int) -> None:
        """Do so many things, and end at any point of them."""
        for _ in range(n_steps):
            does = self._chance.choices(
                (self.write, self._sync, self._hurry, self._roll, self._reopen, self._die,
                 self._forget_some, self._forget_everything, self.rotate),
                (8, 3, 1, 1, 1, 1, 0.5, 0.2, 0.5),
            )[0]  # fmt: skip
            does()
        self._end_killed()

    def write(self, n: int = 0) -> None:
        """Take packets; they may be on the medium or not."""
        n_packets = n or self._chance.randint(1, 30)
        numbers = list(range(self._number + 1, self._number + n_packets + 1))
        self._number += n_packets
        self._mark(f"try {json.dumps([numbers[0], numbers[-1], self._clock.boot_s])}")
        for number in numbers:
            self._clock.boot_s += EVERY_S
            payload = number.to_bytes(8, "little") + self._chance.randbytes(40)
            self._writer.append(Packet("strap", STREAM, self._clock.boot_s, payload))
        if self._chance.random() < 0.5:
            self._writer.flush()

    def _sync(self) -> None:
        self._writer.flush(durable=True)
        self._mark("durable")

    def _hurry(self) -> None:
        self._writer.hurry(self._clock.boot_s, "an alert")
        self._mark("durable")

    def _roll(self) -> None:
        (self._vault / ROLL).touch(mode=0o600)

    def _reopen(self) -> None:
        self.close()
        self._writer = self._open()

    def close(self) -> None:
        """End in order."""
        self._writer.close()
        self._mark("durable")

    def _die(self) -> None:
        self._end_killed()
        self._writer = self._open()

    def _end_killed(self) -> None:
        """End as by kill -9."""
        if self._writer._segment is not None:
            self._writer._segment.abandon()
        self._writer._lock.release()
        self._mark("dead")

    def _open(self) -> VaultWriter:
        ring = open_keys(self._folder, device_ids(self._vault))
        return VaultWriter(self._vault, ring, self._clock, self._bounds)

    def _forget_some(self) -> None:
        from_s = self._chance.uniform(self._began_s - 1000.0, self._clock.boot_s)
        self.close()
        self.forget((from_s, from_s + self._chance.choice((2.0, 20.0, 2000.0))))
        self._writer = self._open()

    def _forget_everything(self) -> None:
        self.close()
        self.forget(EVERYTHING)
        self._writer = self._open()

    def forget(self, span: tuple[float, float]) -> None:
        """Destroy a span of the boot clock, or everything."""
        self._mark(f"forget {json.dumps(span)}")
        if span == EVERYTHING:
            forget_all(self._folder, self._vault)
            self._mark("forgotten")
            return
        wall = WallSpan(span[0] + OFFSET_S, span[1] + OFFSET_S)
        forget_span(self._vault, open_keys(self._folder), wall)
        self._mark("forgotten")

    def rotate(self) -> None:
        """Change the device's key."""
        self.close()
        self._mark("rotate")
        rotate(self._folder, self._vault, open_keys(self._folder), plain)
        self._mark("rotated")
        self._writer = self._open()


@contextmanager
def told_of(mark: Mark) -> Iterator[None]:
    """Mark which packets go into which segment, and which segments are about to be destroyed."""
    add_packets, destroy = NewSegment.add_packets, folder_module.destroy

    def add_and_mark(self: NewSegment, given: Sequence[Packet]) -> None:
        numbers = [number_of(one) for one in given if one.stream == STREAM]
        mark(f"in {json.dumps([self.head.id.hex(), numbers])}")
        add_packets(self, given)

    def mark_and_destroy(segment: Segment, why: str = "") -> None:
        head = segment.head()
        if head is not None:
            mark(f"destroy {json.dumps(head.id.hex())}")
        destroy(segment, why)

    with ExitStack() as all_of:
        all_of.enter_context(mock.patch.object(NewSegment, "add_packets", add_and_mark))
        for module in (folder_module, keeping, remains, forgetting):
            all_of.enter_context(mock.patch.object(module, "destroy", mark_and_destroy))
        yield


def number_of(packet: Packet) -> int:
    """Return a packet's own number."""
    return int.from_bytes(packet.payload[:8], "little")


class _Told:
    """What the marks say: which packets must be there, which may be, which must not."""

    def __init__(self, marks: list[str]) -> None:
        self._arrived_s: dict[int, float] = {}
        self._waiting: list[int] = []
        self._acked: set[int] = set()
        self._segments: dict[int, set[str]] = {}
        self._destroyed: set[str] = set()
        self.forgotten: list[tuple[tuple[float, float], set[int], bool]] = []
        self.breaks_off_rotation = False
        for mark in marks:
            self.take(mark)

    @property
    def breaks_off_forgetting(self) -> bool:
        return bool(self.forgotten) and not self.forgotten[-1][2]

    def take(self, mark: str) -> None:
        word, _, rest = mark.partition(" ")
        said = json.loads(rest) if rest else None
        if word == "try":
            first, last, from_s = said
            for number in range(first, last + 1):
                self._arrived_s[number] = from_s + EVERY_S * (number - first + 1)
                self._waiting.append(number)
        elif word == "in":
            for number in said[1]:
                self._segments.setdefault(number, set()).add(said[0])
        elif word == "destroy":
            self._destroyed.add(said)
        elif word == "forget":
            self.forgotten.append(((said[0], said[1]), self._within(*said), False))
        else:
            self._take_word(word)

    def _take_word(self, word: str) -> None:
        if word == "durable":
            self._acked.update(self._waiting)
        if word in ("durable", "dead"):
            self._waiting = []
        if word == "forgotten":
            self.forgotten[-1] = (*self.forgotten[-1][:2], True)
        if word in ("rotate", "rotated"):
            self.breaks_off_rotation = word == "rotate"

    def _within(self, from_s: float, to_s: float) -> set[int]:
        # A millisecond: the sums of tenths are not the writer's to the last bit.
        return {n for n, at_s in self._arrived_s.items() if from_s - 1e-3 <= at_s < to_s + 1e-3}

    def missed(self, folder: Path) -> list[str]:
        """Read all there is and return what is wrong."""
        report = VaultReport()
        ring = open_keys(folder, make=False)
        found = [
            number_of(one) for one in packets(folder / FOLDER, ring, report) if one.stream == STREAM
        ]
        place = {number: at for at, number in enumerate(self._arrived_s)}
        wrong = [f"unknown: packet {n}" for n in found if n not in place][:3]
        order = [place[n] for n in found if n in place]
        if order != sorted(set(order)):
            wrong.append("order: packets are twice, or not in their order")
        may_go = {n for _, numbers, _ in self.forgotten for n in numbers}
        lost = sorted(n for n in self._acked - set(found) - may_go if not self._gave_way(n))
        if lost:
            wrong.append(f"lost: {len(lost)} packets, first {lost[0]}; {report.messages[:3]}")
        for span, numbers, is_done in self.forgotten:
            edge = self._within(span[0], span[0] + 1e-9) | self._within(span[1], span[1] + 1e-9)
            if is_done and (left := (numbers - edge) & set(found)):
                wrong.append(f"not forgotten: {len(left)} packets of {span}")
        return wrong + _flaws(folder)

    def _gave_way(self, number: int) -> bool:
        """Say whether every segment that held a packet was about to be destroyed."""
        return self._segments.get(number, {""}) <= self._destroyed


def _flaws(folder: Path) -> list[str]:
    """Return what verifying finds that no power cut explains."""
    report = verify(folder / FOLDER, open_keys(folder, make=False))
    wrong = []
    if report.n_changed:
        wrong.append(f"tampered: {report.messages[:3]}")
    if report.n_unreadable:
        wrong.append(f"unreadable: {report.messages[:3]}")
    if report.n_missing and not report.n_damaged:
        wrong.append(f"missing: {report.messages[:3]}")
    if any("somebody" in text for text in report.messages):
        wrong.append(f"accused: {report.messages[:3]}")
    return wrong


class VaultNotSynced(VaultWork):
    """Control: a writer that never waits for the medium."""

    name = "control: vault without fsync"

    def act(self, folder: Path, mark: Mark, chance: random.Random) -> None:
        """Write, and only hand it to the system."""
        with mock.patch.object(NewSegment, "sync", NewSegment.write):
            super().act(folder, mark, chance)
