"""What was sent to one destination and is not settled yet: only a receipt ends it.

Pure. Entries leave in the order of their numbers; when a connection is lost, or no receipt comes,
all of it begins again at the lowest number: the other end knows repeats by their ids.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from edge.egress.allowed import Content
from edge.records import AlertState, Priority
from edge.sync.parcel import Item, Receipt

FIRST_S: Final = 30.0
"""Without a receipt for so long, all of it is sent again."""
MOST_S: Final = 300.0
PASSED_S: Final = 3.0
"""One that was overtaken is sent again so long after it left; out of order is sooner than that."""
MAX_WINDOW: Final = 250
"""Entries under way at a time: their ids have to fit into one request (`SyncFetch.but`)."""
MAX_EARLY: Final = 10
"""Urgent entries that go out although the other end says nothing."""
MAX_KNOWN: Final = 1024
"""Entries whose digests are remembered, for receipts that come late."""
MAX_VERSIONS: Final = 4
"""Digests remembered of one entry: what it said may have been written otherwise before."""
N_OTHERWISE: Final = 5
"""So often the other end vouches for something else, and the entry is set aside."""
MAX_WHY: Final = 200


class Entry(msgspec.Struct, frozen=True):
    """One entry under way; `letter`: the departure it left in, at `sent_s`."""

    uuid: str
    kind: Content
    seq: int
    early: bool
    urgent: bool
    letter: str
    sent_s: float


class _Known(msgspec.Struct):
    """What was ever sent of an entry.

    `n_waited`: times that it was sent again because no receipt came. `told`: the sending after
    which another digest was told.
    """

    digests: list[str]
    n_sent: int = 0
    n_waited: int = 0
    n_otherwise: int = 0
    told: int = 0


class Taken(msgspec.Struct, frozen=True):
    """What a receipt settles, and what the other end will never take: uuid and why."""

    stored: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]


def is_urgent(item: Item) -> bool:
    """Return whether an entry tells of an alert of high priority that goes on."""
    alert = item.handed.alert
    if alert is None:
        return False
    return alert.priority is Priority.HIGH and alert.state is not AlertState.ENDED


class UnderWay:
    """What is under way to one destination.

    Parameters
    ----------
    window : int
        Entries that may be under way at a time.

    Attributes
    ----------
    n_forged, n_unknown : int
        Entries that receipts vouched for with another content than was sent, or that were never
        sent by this process, or are settled.
    n_silent : int
        Times that all was sent again because a receipt did not come, with none in between.
    """

    def __init__(self, window: int) -> None:
        self._window = max(1, min(window, MAX_WINDOW))
        self._entries: dict[str, Entry] = {}
        self._marks: dict[Content, int] = {}
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._passed_s = -math.inf
        self.n_forged = self.n_unknown = self.n_silent = 0

    def room(self, n_urgent: int = 0) -> int:
        """Return how many more may be sent now.

        While the other end says nothing, one goes ahead to find out, beside what is urgent: all
        of it every five minutes would be 100 MB a day for nothing.
        """
        window = self._window
        if self.n_silent:
            window = min(window, max(1, self.n_urgent + min(n_urgent, MAX_EARLY)))
        return max(0, window - len(self._entries))

    @property
    def uuids(self) -> tuple[str, ...]:
        """Ids of all that is under way."""
        return tuple(self._entries)

    def n(self, kind: Content) -> int:
        """Return how many of a kind are under way."""
        return sum(entry.kind is kind for entry in self._entries.values())

    @property
    def n_urgent(self) -> int:
        """How many tell of an alert of high priority."""
        return sum(entry.urgent for entry in self._entries.values())

    def mark(self, kind: Content) -> int:
        """Return the number after which the next of a kind has to lie; 0: the lowest there is."""
        if not self.n(kind):
            self._marks.pop(kind, None)  # all of it is settled: what is left is lower or later
        return self._marks.get(kind, 0)

    def send(self, items: Sequence[Item], letter: str, now_s: float) -> None:
        """Take that entries are about to leave."""
        for item in items:
            handed = item.handed
            entry = Entry(
                item.uuid, item.kind, handed.seq, handed.early, is_urgent(item), letter, now_s
            )
            self._entries[item.uuid] = entry
            if not handed.early:
                self._marks[item.kind] = max(self._marks.get(item.kind, 0), handed.seq)
            known = self._known.setdefault(item.uuid, _Known([]))
            self._known.move_to_end(item.uuid)
            known.n_sent += 1
            digest = digest_of(item)
            if digest not in known.digests:
                known.digests = [*known.digests[1 - MAX_VERSIONS :], digest]
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def take(self, receipt: Receipt) -> Taken:
        """Take what the other end said; `done` ends it once the monitor has marked it."""
        stored: list[str] = []
        rejected: list[tuple[str, str]] = []
        for uuid, digest in receipt.stored.items():
            known = self._known.get(uuid)
            if known is None:
                self.n_unknown += 1
            elif not digest or digest in known.digests:
                stored.append(uuid)
            elif self._is_otherwise(known):
                rejected.append((uuid, "the receiver holds something else under this id"))
        for uuid, why in receipt.refused.items():
            if uuid not in self._known:
                self.n_unknown += 1
            elif uuid not in receipt.stored:
                rejected.append((uuid, (why or "refused, without a reason")[:MAX_WHY]))
        if stored or rejected:
            self.n_silent = 0
        sent = [self._entries[uuid].sent_s for uuid in stored if uuid in self._entries]
        self._passed_s = max([self._passed_s, *sent])
        return Taken(tuple(stored), tuple(rejected))

    def done(self, uuids: Iterable[str]) -> tuple[str, ...]:
        """Take that entries are marked; return the departures all of whose entries are."""
        letters: set[str] = set()
        for uuid in uuids:
            self._known.pop(uuid, None)
            entry = self._entries.pop(uuid, None)
            if entry is not None:
                letters.add(entry.letter)
        left = {entry.letter for entry in self._entries.values()}
        return tuple(letters - left)

    def drop(self, uuids: Collection[str]) -> None:
        """Take that entries did not leave after all; they may be handed out again."""
        for uuid in uuids:
            self._entries.pop(uuid, None)
        self._marks.clear()
        for entry in self._entries.values():
            if not entry.early:
                self._marks[entry.kind] = max(self._marks.get(entry.kind, 0), entry.seq)

    def begin_again(self) -> None:
        """Let everything leave anew, the lowest first; receipts still count."""
        self._entries.clear()
        self._marks.clear()

    @property
    def overdue_s(self) -> float:
        """When everything is to be sent again, if no receipt comes until then.

        Each entry for itself: one whose receipt was lost is not to wait for as long as others go
        back and forth, nor is one that is never vouched for to be sent every 30 s for ever.
        """
        return min((self._due_s(entry) for entry in self._entries.values()), default=math.inf)

    def silent(self, now_s: float) -> bool:
        """Take that a receipt did not come in time: all of it begins again.

        Returns
        -------
        bool
            The other end says nothing at all; it has not just lost some of what was sent.
        """
        due = [entry for entry in self._entries.values() if self._due_s(entry) <= now_s]
        for entry in due:
            if entry.uuid in self._known:
                self._known[entry.uuid].n_waited += 1
        is_silent = not any(self._is_passed(entry) for entry in due)
        self.n_silent += is_silent
        self.begin_again()
        return is_silent

    def _due_s(self, entry: Entry) -> float:
        known = self._known.get(entry.uuid)
        n = max(self.n_silent, 0 if known is None else known.n_waited)
        first_s = PASSED_S if self._is_passed(entry) else FIRST_S
        return entry.sent_s + min(MOST_S, first_s * 2.0 ** min(n, 8))

    def _is_passed(self, entry: Entry) -> bool:
        """Return whether there is a receipt for what left later: a dying broker drops the first.

        Without that a drain stood still for half a minute after each of its kills.
        """
        return entry.sent_s < self._passed_s

    def _is_otherwise(self, known: _Known) -> bool:
        """Count content that is not ours; return whether the other end insists on it.

        Once for each time it was sent: what is told twice is no second witness.
        """
        self.n_forged += 1
        if known.told < known.n_sent:
            known.told = known.n_sent
            known.n_otherwise += 1
        return known.n_otherwise >= N_OTHERWISE


def digest_of(item: Item) -> str:
    """Return what a receipt has to say of an entry: the digest of its content.

    Of a request to delete that is the list of the ids in it.
    """
    if item.handed.erase is None:
        return item.digest
    return sha256_of(item.handed.erase.uuids)


def sha256_of(uuids: Sequence[str]) -> str:
    """Return the digest of a list of ids, as canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(list(uuids), order="sorted")).hexdigest()
