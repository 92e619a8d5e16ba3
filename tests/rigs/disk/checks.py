"""What must be true of a data directory after any life of a monitor, however it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.records import encode_record
from edge.store import DATABASE, History, StoreError
from edge.store.verification import verify
from edge.vault import END, FOLDER, HOLE, VaultReport, open_keys
from edge.vault.folder import segments
from edge.vault.reading import entries
from tests.rigs.disk.world import KINDS, digest

OF_THE_VAULT: Final = ("box:recap", HOLE, END)
"""What is in it beside the packets that entered."""
BLOCK_S = 12.0
"""So long after its arrival a packet is in the vault's file, where nobody says how many are."""
LATE_S = 4.0
"""From a fall of the saturation to the sound: it falls within a second, is told within another,
and the rules are asked every second."""
LATEST = 4_000
"""More records than one life leaves."""


class Told(msgspec.Struct):
    """What the witness of one life wrote down.

    Attributes
    ----------
    made, n_stored : dict
        Records by kind, in their order; how many of them it was told are stored.
    packets : list
        Digest and time of arrival.
    asked_s : float
        Boot time at which was asked what was answered last.
    stored_s : list
        Boot times at which was asked what was answered, and of the answers.
    heard : list
        Rule, state and time of the alerts that the annunciators were told.
    sounds : list
        Boot times at which the alarm sounded otherwise, and of what priority; empty: silence.
    ticks_s, writing_s : list
        By the machine's own clocks only: boot times of the ticks; since when the recorder said that
        a write has not come back.
    calls, n_struck : dict, int
        Calls to the disk by kind, and how many of them failed, under the shim.
    """

    run_id: str = ""
    made: dict[str, list[str]] = msgspec.field(default_factory=lambda: {k: [] for k in KINDS})
    n_stored: dict[str, int] = {}
    packets: list[tuple[str, float]] = []
    asked_s: float = 0.0
    stored_s: list[tuple[float, float]] = []
    heard: list[tuple[str, str, float]] = []
    sounds: list[tuple[float, str]] = []
    acts: list[tuple[str, ...]] = []
    ticks_s: list[float] = []
    writing_s: list[float] = []
    started_s: float = 0.0
    calls: dict[str, int] = {}
    n_struck: int = 0


def read_witness(path: Path) -> Told:
    """Return what a witness wrote; a line that the kill cut short is left out."""
    told = Told()
    takes: dict[str, Any] = {
        "made": lambda kind, record: told.made[kind].append(plain(record)),
        "packet": lambda said, at_s: told.packets.append((said, at_s)),
        "heard": lambda *facts: told.heard.append(facts),
        "sounds": lambda at_s, priority: told.sounds.append((at_s, priority)),
        "tick": told.ticks_s.append,
        "writing": told.writing_s.append,
        "did": lambda *facts: told.acts.append(("did", *facts)),
        "refused": lambda *facts: told.acts.append(("refused", *facts)),
    }
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            what, *facts = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue
        if what == "run":
            told.run_id, told.started_s = facts
        elif what == "stored":
            told.n_stored, told.asked_s, at_s = facts
            told.stored_s.append((told.asked_s, at_s))
        elif what == "disk":
            told.calls, told.n_struck = facts
        elif what in takes:
            takes[what](*facts)
    return told


def plain(record: str | bytes) -> str:
    """Return a record in one spelling: 19 and 19.0 are the same."""

    def spelt(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: spelt(one) for name, one in value.items()}
        if isinstance(value, list):
            return [spelt(one) for one in value]
        return float(value) if isinstance(value, int) else value

    return msgspec.json.encode(spelt(msgspec.json.decode(record)), order="sorted").decode()


def unheard(told: Told, fell_s: Sequence[float]) -> Iterator[str]:
    """Say which falls of the saturation the annunciators were not told, or late."""
    n_raised = sum(rule == "very_low_spo2" and state == "raised" for rule, state, _ in told.heard)
    if n_raised < len(fell_s):
        yield f"{len(fell_s) - n_raised} of {len(fell_s)} alarms were not told"
    high = [at_s for at_s, priority in told.sounds if priority == "high"]
    for at_s in fell_s:
        if not any(at_s <= sound_s <= at_s + LATE_S for sound_s in high):
            yield f"no sound within {LATE_S} s of the fall {at_s - fell_s[0]:.0f} s after the first"


class Checks:
    """Checks one data directory after each of many lives; what it has seen it need not see again.

    Parameters
    ----------
    data_dir : Path
        Where the monitor keeps what it makes.
    spared : Sequence[str]
        Kinds of records that may be given up for want of room: what is there is in its order, and
        once.

    Attributes
    ----------
    n_acknowledged, n_lost, n_stored : Counter
        By kind, and ``packet``.
    faults : list[str]
        What is not as it must be.
    """

    def __init__(self, data_dir: Path, spared: Sequence[str] = ()) -> None:
        self.data_dir, self._spared = data_dir, spared
        self.n_acknowledged: Counter[str] = Counter()
        self.n_stored: Counter[str] = Counter()
        self.n_lost: Counter[str] = Counter()
        self.faults: list[str] = []
        self._n_alerts = 0
        self._sequences: Counter[str] = Counter()
        self._segment = 0

    def after(self, told: Told, *, tolerates_holes: bool = False) -> None:
        """Look at what one life left, the last one.

        Parameters
        ----------
        tolerates_holes : bool
            The disk failed in this life: the vault may have given up packets.
        """
        if not (self.data_dir / DATABASE).exists():
            if any(told.n_stored.values()):
                self._fault(told, "the database is gone")
            return
        try:
            with History.open(self.data_dir / DATABASE) as history:
                self._look_at_records(told, history)
                self._look_at_numbers(told, history)
        except StoreError as error:
            self._fault(told, f"cannot be read: {error}")
        aside = [one.name for one in self.data_dir.glob("*.damaged-*")]
        if aside:
            self._fault(told, f"put aside as damaged: {aside}")
        if (self.data_dir / FOLDER).exists():
            self._look_at_vault(told, tolerates_holes=tolerates_holes)

    def whole(self) -> None:
        """Read the chain and the vault through."""
        verdict = verify(self.data_dir / DATABASE)
        if not verdict.whole or verdict.head_file.is_break:
            self.faults.append(f"the chain: {verdict.head_file} {verdict.flaws[:3]}")

    def _fault(self, told: Told, text: str) -> None:
        self.faults.append(f"run {told.run_id[:8]}: {text}")

    def _look_at_records(self, told: Told, history: History) -> None:
        stored = {
            "alert": [(a.run_id, a.alert) for a in history.alerts(LATEST)],
            "summary": [(s.run_id, s.summary) for s in history.summaries(LATEST)],
            "alarm_event": [(e.run_id, e.event) for e in history.alarm_events(LATEST)],
            "link_change": [(x.run_id, x.link) for x in history.links(LATEST)],
        }
        for kind, rows in stored.items():
            found = [plain(encode_record(one)) for run, one in rows if run == told.run_id]
            self._compare(told, kind, told.made[kind], found, told.n_stored.get(kind, 0))

    def _compare(
        self, told: Told, kind: str, made: Sequence[Any], found: Sequence[Any], n_acked: int
    ) -> None:
        """Take that of what was made in order, all up to `n_acked` must be found, and once."""
        self.n_stored[kind] += len(found)
        if kind in self._spared:
            rest = iter(made)
            if not all(one in rest for one in found):
                self._fault(told, f"{kind}: what is stored is not in the order of what was made")
            return
        self.n_acknowledged[kind] += n_acked
        if list(found) == list(made[: len(found)]):
            if len(found) < n_acked:
                self.n_lost[kind] += n_acked - len(found)
                self._fault(told, f"{n_acked - len(found)} acknowledged of kind {kind} are lost")
            return
        times = Counter(found)
        missing = [one for one in made[:n_acked] if not times[one]]
        self.n_lost[kind] += len(missing)
        twice = [one for one, n in times.items() if n > 1 and made.count(one) < n]
        told_apart = f"{len(missing)} lost, {len(twice)} twice"
        self._fault(told, f"{kind}: {len(found)} stored are not the first made: {told_apart}")

    def _look_at_numbers(self, told: Told, history: History) -> None:
        for row in history.alerts(LATEST):
            if row.n <= self._n_alerts:
                continue
            if row.n != self._n_alerts + 1:
                self._fault(told, f"alerts {self._n_alerts + 1} to {row.n - 1} are gone")
            self._n_alerts = row.n
            self._sequences[row.alert.id] += 1
            if row.sequence != self._sequences[row.alert.id]:
                self._fault(told, f"alert {row.alert.id}: {row.sequence} is out of turn")

    def _look_at_vault(self, told: Told, *, tolerates_holes: bool) -> None:
        report = VaultReport()
        found = [digest(packet) for packet in self._kept(report)]
        if not tolerates_holes and report.n_damaged + report.n_changed + report.n_unreadable:
            self._fault(told, f"the vault: {report.messages[:3]}")
        made = [said for said, _ in told.packets]
        due = told.n_stored.get("packet")
        if due is None:
            due = sum(at_s <= told.asked_s - BLOCK_S for _, at_s in told.packets)
        if tolerates_holes:
            made = [one for one in made if one in set(found)]
            due = 0
        self._compare(told, "packet", made, found, due)

    def _kept(self, report: VaultReport) -> Iterator[Any]:
        """Give the packets of the segments that came to be in the last life."""
        ring = open_keys(self.data_dir, make=False)
        for segment in segments(self.data_dir / FOLDER):
            if segment.number <= self._segment:
                continue
            self._segment = segment.number
            for entry in entries(segment, ring, report):
                if isinstance(entry.held, list):
                    yield from (p for p in entry.held if p.stream not in OF_THE_VAULT)
