"""Which entries of the outbox wait for which destination, and what became of them there.

An entry is settled once every destination of today that takes its kind has stored it or has said
that it never will. What each has said stands in ``deliveries``: from the moment a message with the
entry left for it, so that whoever may hold a copy can be asked to delete it. Until the receipt the
row holds what the sender was handed, to the letter: whatever is sent again says the same, although
more is known by then of what time it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from edge.store import egress
from edge.store.chain import LedgerEntry, LedgerKind, grow, marks_of
from edge.store.database import Database, asking
from edge.store.head import Head
from edge.store.keeping import HeadKeeper
from edge.store.lines import Sinks

SCHEMA: Final = (
    # body: as it was handed to the sender, until it is done. settled_s: stored there. rejected:
    # why it never will be. open: the entry still waits for somebody.
    """CREATE TABLE deliveries (
        n INTEGER PRIMARY KEY,
        outbox INTEGER NOT NULL REFERENCES outbox (n) ON DELETE CASCADE,
        sink TEXT NOT NULL,
        body BLOB,
        settled_s REAL,
        rejected TEXT,
        open INTEGER NOT NULL DEFAULT 1 CHECK (open IN (0, 1)),
        UNIQUE (outbox, sink)
    ) STRICT""",
    "CREATE INDEX deliveries_open ON deliveries (sink) WHERE open = 1",
    "CREATE INDEX deliveries_rejected ON deliveries (sink, n) WHERE rejected IS NOT NULL",
    """CREATE TRIGGER outbox_is_settled AFTER UPDATE OF settled_s ON outbox
        WHEN NEW.settled_s IS NOT NULL
        BEGIN UPDATE deliveries SET open = 0, body = NULL WHERE outbox = NEW.n; END""",
    # What the patient was called outside when it was recorded; NULL: what they are called now.
    "ALTER TABLE outbox ADD COLUMN called TEXT",
    "ALTER TABLE erase_requests ADD COLUMN rejected TEXT",
    "CREATE INDEX outbox_alerts ON outbox (alert) WHERE alert IS NOT NULL",
    """CREATE INDEX outbox_waiting_alerts ON outbox (n)
        WHERE settled_s IS NULL AND alert IS NOT NULL""",
    """CREATE INDEX outbox_waiting_summaries ON outbox (n)
        WHERE settled_s IS NULL AND summary IS NOT NULL""",
)
"""Migration 012_sync."""


class Settled(msgspec.Struct, frozen=True):
    """What came of a report: entries that were marked, and those that cannot have been sent."""

    n: int = 0
    n_unknown: int = 0


class Delivering:
    """The part of `edge.store.Store` that marks entries; used by the store's thread alone."""

    path: Path
    _database: Database
    _head: HeadKeeper
    _run_n: int
    _floors: dict[tuple[str, str], int]

    def settle_for(self, sink: str, uuids: Sequence[str], at_s: float, sinks: Sinks) -> Settled:
        """Note that a destination has stored these; what has not left for it is left alone.

        What it holds of alerts is chained in the same transaction.

        Raises
        ------
        StoreError
            Nothing was noted.
        """
        return self._mark(sink, uuids, at_s, sinks, None)

    def reject_for(
        self, sink: str, uuids: Sequence[str], why: str, at_s: float, sinks: Sinks
    ) -> Settled:
        """Note that a destination will never take these, or that they cannot leave for it.

        Raises
        ------
        StoreError
            Nothing was noted.
        """
        return self._mark(sink, uuids, at_s, sinks, why or "it did not say why")

    def go_by(self, sinks: Sinks, at_s: float) -> int:
        """Settle what waits for no destination of these any more; return how many entries.

        Raises
        ------
        StoreError
            None is.
        """
        self._floors.clear()
        with asking("write", self.path), self._database.atomic():
            held = self._database.execute(
                "SELECT DISTINCT outbox FROM deliveries WHERE open = 1"
                " AND (settled_s IS NOT NULL OR rejected IS NOT NULL)"
            ).fetchall()
            return sum(self._conclude(n, at_s, sinks) for (n,) in held)

    def _mark(
        self, sink: str, uuids: Sequence[str], at_s: float, sinks: Sinks, why: str | None
    ) -> Settled:
        n_marked = n_unknown = 0
        told: dict[str, list[int]] = {}
        with asking("write", self.path):
            with self._database.atomic():
                marks = marks_of(self._database)
                for uuid in dict.fromkeys(uuids):
                    done = self._mark_one(sink, uuid, at_s, sinks, why, told)
                    n_marked += done is True
                    n_unknown += done is None
                head = self._chain(sink, told, at_s, why, marks)
            if head is not None:
                self._head.keep(head)
        return Settled(n_marked, n_unknown)

    def _mark_one(
        self,
        sink: str,
        uuid: str,
        at_s: float,
        sinks: Sinks,
        why: str | None,
        told: dict[str, list[int]],
    ) -> bool | None:
        """Mark one entry; False: it is already; None: it has not left for this destination."""
        row = self._database.execute(
            "SELECT outbox.n, alert, deliveries.n, deliveries.settled_s, rejected FROM outbox"
            " LEFT JOIN deliveries ON outbox = outbox.n AND sink = ? WHERE uuid = ?",
            (sink, uuid),
        ).fetchone()
        if row is None:
            return self._mark_request(sink, uuid, at_s, why)
        n, alert, delivery, settled_s, rejected = row
        if settled_s is not None or rejected is not None:
            return False
        if delivery is None:
            if why is None:
                return None
            egress.begin_delivery(self._database, n, sink)
        stored_s = at_s if why is None else None
        self._database.execute(
            "UPDATE deliveries SET settled_s = ?, rejected = ?, body = NULL"
            " WHERE outbox = ? AND sink = ?",
            (stored_s, why, n, sink),
        )
        self._conclude(n, at_s, sinks)
        if alert is not None:
            found = self._database.execute(
                "SELECT id, sequence FROM alerts WHERE n = ?", (alert,)
            ).fetchone()
            if found is not None:
                told.setdefault(found[0], []).append(int(found[1]))
        return True

    def _mark_request(self, sink: str, uuid: str, at_s: float, why: str | None) -> bool | None:
        changed, value = ("settled_s", at_s) if why is None else ("rejected", why)
        done = self._database.execute(
            f"UPDATE erase_requests SET {changed} = ?"  # noqa: S608  # our own column
            " WHERE uuid = ? AND destination = ? AND settled_s IS NULL AND rejected IS NULL",
            (value, uuid, sink),
        ).rowcount
        if done:
            return True
        known = self._database.execute(
            "SELECT 1 FROM erase_requests WHERE uuid = ? AND destination = ?", (uuid, sink)
        ).fetchone()
        return None if known is None else False

    def _chain(
        self,
        sink: str,
        told: Mapping[str, Sequence[int]],
        at_s: float,
        why: str | None,
        marks: Mapping[LedgerKind, int],
    ) -> Head | None:
        """Chain which states of which alerts a destination holds, or refuses."""
        stage = "received" if why is None else "failed"
        entries = []
        for alert_id, states in told.items():
            which = f"state{'s' * (len(states) > 1)} {', '.join(map(str, sorted(states)))}"
            detail = which if why is None else f"{which}: {why}"
            entries.append(
                LedgerEntry(LedgerKind.DELIVERY, alert_id, stage, sink, at_s, {"detail": detail})
            )
        return grow(self._database, self._run_n, entries, marks) if entries else None

    def _conclude(self, n: int, at_s: float, sinks: Sinks) -> int:
        """Settle an entry where every destination of its kind is done; return whether it was."""
        row = self._database.execute(
            "SELECT alert FROM outbox WHERE n = ? AND settled_s IS NULL", (n,)
        ).fetchone()
        if row is None:
            return 0
        line = "summary" if row[0] is None else "alert"
        needed = {sink for sink, takes in sinks.items() if line in takes}
        done = {
            sink
            for (sink,) in self._database.execute(
                "SELECT sink FROM deliveries WHERE outbox = ?"
                " AND (settled_s IS NOT NULL OR rejected IS NOT NULL)",
                (n,),
            )
        }
        if not needed or not needed <= done:
            return 0
        self._database.execute("UPDATE outbox SET settled_s = ? WHERE n = ?", (at_s, n))
        return 1
