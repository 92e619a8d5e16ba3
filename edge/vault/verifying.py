"""Whether the vault is whole: every block's CRC, and with the key every block and their chain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.keys import KeyRing
from edge.vault import layout, scan
from edge.vault.folder import Segment, gone, segments
from edge.vault.layout import UNREADABLE, Begin, Kind
from edge.vault.reading import entries
from edge.vault.scan import VaultReport


def verify(
    folder: Path, ring: KeyRing | None, on_done: Callable[[int, int], None] | None = None
) -> VaultReport:
    """Return what reading all of the vault found.

    Parameters
    ----------
    ring : KeyRing | None
        None: only damage is looked for, which needs no key.
    on_done : Callable | None
        Is told how many of how many segments are done.

    Raises
    ------
    VaultError
        The folder cannot be read.
    """
    report = VaultReport()
    chain = _Chain(report, gone(folder))
    for path in sorted(folder.glob("*.aside-*")):
        report.n_damaged += 1
        report.say(f"{path} stood where a file of the vault should be, and was put aside")
    there = segments(folder)
    for number, segment in enumerate(there):
        if on_done is not None:
            on_done(number, len(there))
        try:
            _look_at_key(segment, report)
            if ring is None:
                _look(segment, report)
            else:
                chain.take(segment, ring)
        except UNREADABLE as error:  # given up by the monitor while we read
            if segment.path.exists():
                report.n_unreadable += 1
                report.say(str(error))
    return report


def _look(segment: Segment, report: VaultReport) -> None:
    for block in scan.blocks(segment, report):
        report.n_packets += block.head.n_packets
    if segment.key() is None:
        report.n_unreadable += 1
        report.say(f"{segment.key_path} is gone or damaged: {segment.path.name} cannot be read")


def _look_at_key(segment: Segment, report: VaultReport) -> None:
    try:
        copies = layout.key_copies(segment.key_path.read_bytes())
    except OSError:
        return  # told where it is opened
    if copies.count(None) == 1:
        report.n_damaged += 1
        report.say(
            f"{segment.key_path}: one of the two copies of the key is damaged, the other is used; "
            f"`homeward vault rotate-key` writes both anew"
        )


class _Chain:
    """Follows from segment to segment what each says of the one before it."""

    def __init__(self, report: VaultReport, given_up: set[str]) -> None:
        self._report, self._given_up = report, given_up
        self._n_blocks: dict[str, int] = {}
        self._remains: set[str] = set()

    def take(self, segment: Segment, ring: KeyRing) -> None:
        begin: Begin | None = None
        n_blocks, ended = 0, False
        n_damaged = self._report.n_damaged
        for entry in entries(segment, ring, self._report):
            n_blocks = entry.block.head.sequence + 1
            ended = entry.block.head.kind == Kind.END
            if entry.block.head.kind == Kind.PACKETS:
                self._report.n_packets += entry.block.head.n_packets
            if isinstance(entry.held, Begin):
                begin = entry.held
        key = segment.key()
        if key is None:
            return
        name = key.head.id.hex()
        self._n_blocks[name] = n_blocks
        if self._report.n_damaged > n_damaged:
            self._remains.add(name)  # what is damaged is told already
        if begin is not None:
            if begin.replaces:
                self._remains.update(begin.replaces.split())
                if not ended:
                    self._cut(segment, "its last block is gone")
            self._check(begin, segment)

    def _check(self, begin: Begin, segment: Segment) -> None:
        before = begin.before
        if not before or before in self._remains or before in self._given_up:
            return
        if before not in self._n_blocks:
            if self._n_blocks and len(self._n_blocks) > 1:
                self._report.n_missing += 1
                self._report.say(f"a segment before {segment.path.name} is not there any more")
        elif self._n_blocks[before] < begin.n_blocks_before:
            n_gone = begin.n_blocks_before - self._n_blocks[before]
            self._cut(segment, f"the segment before it has lost its last {n_gone} blocks", n_gone)

    def _cut(self, segment: Segment, what: str, n: int = 1) -> None:
        self._report.n_missing += n
        self._report.say(f"{segment.path.name}: {what}; somebody cut it off")
