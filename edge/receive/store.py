"""What boxes have sent, kept once: the same statements for SQLite and PostgreSQL.

An entry is its box and its uuid; the first content that came under them is kept, whatever comes
later. A request to delete takes the content away and leaves the id, so that a late copy does not
bring it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from edge.receive.arrivals import Arrived
from edge.receive.tables import FACTS, HEARD, INSERT, TABLES
from edge.sync.parcel import Receipt

Row: TypeAlias = tuple[Any, ...]
_AT_ONCE: Final = 400
"""Ids in one question; SQLite takes 999 values."""


class StoreError(Exception):
    """The store cannot be used; nothing of what was to be stored is.

    Attributes
    ----------
    again : bool
        It may go another time; else it is what was to be stored that it does not take.
    """

    def __init__(self, text: str, *, again: bool = True) -> None:
        super().__init__(text)
        self.again = again


class Database(Protocol):
    """What SQLite and PostgreSQL have in common."""

    name: str

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing of what is done inside; at its end it is on the medium.

        Raises
        ------
        StoreError
            It is not.
        """
        ...

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Carry out a statement, ``?`` for each value; return its rows."""
        ...

    def run_all(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Carry it out for each row of values."""
        ...

    def close(self) -> None:
        """Leave it."""
        ...


class Kept(msgspec.Struct, frozen=True):
    """What became of one message.

    Attributes
    ----------
    receipt : Receipt
        For every entry in it what is held under its id, new or not.
    new : tuple[str, ...]
        Ids of those that had not been here before.
    """

    receipt: Receipt
    new: tuple[str, ...] = ()
    n_copies: int = 0
    n_conflicts: int = 0


class Store:
    """What is kept, in one of the two databases; its tables are made where they are not there."""

    def __init__(self, database: Database) -> None:
        self._database = database
        try:
            self._make_tables()
        except StoreError:  # another receiver made them in the same moment
            self._make_tables()

    def _make_tables(self) -> None:
        with self._database.transaction():
            for statement in TABLES:
                self._database.run(statement)

    @property
    def name(self) -> str:
        """What it is."""
        return self._database.name

    def close(self) -> None:
        """Leave the database."""
        self._database.close()

    def keep(self, batch: Sequence[Arrived]) -> list[Kept]:
        """Store messages, all in one transaction; return what became of each.

        Raises
        ------
        StoreError
            Nothing is stored, and no receipt may go out.
        """
        with self._database.transaction():
            before = self._held(batch)
            # In the order of their keys, so that two receivers never wait for each other.
            self._database.run_all(INSERT, _rows(batch))
            self._revive(batch, before)
            held = self._held(batch)
            kept = [_kept(one, before, held) for one in batch]
            self._erase(batch)
            self._database.run_all(HEARD, sorted(_heard(batch, kept)))
        return kept

    def entries(self, box: str = "", kind: str = "", limit: int = 1_000) -> list[Row]:
        """Return the newest entries in the order of their box's outbox: box, uuid, seq, kind ...

        Each row: box, uuid, seq, kind, digest, early, content (None: deleted), received_s and
        `FACTS`.
        """
        columns = ", ".join(
            ("box", "uuid", "seq", "kind", "digest", "early", "content", "received_s", *FACTS)
        )
        rows = self._ask(
            f"SELECT {columns} FROM entries WHERE (box = ? OR ? = '') AND (kind = ? OR ? = '') "  # noqa: S608
            f"AND kind <> 'erase' ORDER BY received_s DESC, seq DESC LIMIT ?",
            (box, box, kind, kind, limit),
        )
        return sorted(rows, key=lambda row: (row[0], row[2]))

    def boxes(self) -> list[Row]:
        """Return each box: name, first and last heard, last heartbeat, numbers, silent since."""
        return self._ask(
            "SELECT b.box, b.first_s, b.heard_s, b.heartbeat, b.n_copies, b.n_conflicts, "
            "b.n_refused, (SELECT COUNT(*) FROM entries e WHERE e.box = b.box), "
            "(SELECT MAX(s.since_s) FROM silences s WHERE s.box = b.box AND s.ended_s IS NULL) "
            "FROM boxes b ORDER BY b.box"
        )

    def heard(self) -> dict[str, float]:
        """Return when each box was heard last, by the clock of whoever heard it."""
        return {row[0]: row[1] for row in self._ask("SELECT box, heard_s FROM boxes")}

    def note_silence(self, box: str, since_s: float, now_s: float) -> bool:
        """Note that a box is silent; return whether nobody had noted it yet."""
        with self._database.transaction():
            rows = self._database.run(
                "INSERT INTO silences (box, since_s, noticed_s) VALUES (?, ?, ?) "
                "ON CONFLICT DO NOTHING RETURNING box",
                (box, since_s, now_s),
            )
        return bool(rows)

    def end_silence(self, box: str, heard_s: float) -> bool:
        """Note that a box speaks again; return whether nobody had noted it yet."""
        with self._database.transaction():
            rows = self._database.run(
                "UPDATE silences SET ended_s = ? WHERE box = ? AND ended_s IS NULL "
                "AND since_s <> ? RETURNING box",
                (heard_s, box, heard_s),
            )
        return bool(rows)

    def silences(self) -> list[Row]:
        """Return silences that have not ended: box, since when, noticed when."""
        return self._ask(
            "SELECT box, since_s, noticed_s FROM silences WHERE ended_s IS NULL ORDER BY box"
        )

    def _ask(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        with self._database.transaction():
            return self._database.run(statement, values)

    def _held(self, batch: Sequence[Arrived]) -> dict[tuple[str, str], str]:
        uuids = sorted({entry.uuid for one in batch for entry in one.entries})
        held: dict[tuple[str, str], str] = {}
        for begin in range(0, len(uuids), _AT_ONCE):
            part = uuids[begin : begin + _AT_ONCE]
            marks = ",".join("?" * len(part))
            question = f"SELECT box, uuid, digest FROM entries WHERE uuid IN ({marks})"  # noqa: S608
            held |= {(row[0], row[1]): row[2] for row in self._database.run(question, part)}
        return held

    def _revive(self, batch: Sequence[Arrived], before: Mapping[tuple[str, str], str]) -> None:
        """Note what came for an id that was to be deleted before it ever came: its digest alone."""
        rows = [
            (entry.digest, entry.seq, one.kind, one.box, entry.uuid)
            for one in batch
            for entry in one.entries
            if before.get((one.box, entry.uuid)) == ""
        ]
        if rows:
            self._database.run_all(
                "UPDATE entries SET digest = ?, seq = ?, kind = ? "
                "WHERE box = ? AND uuid = ? AND digest = ''",
                rows,
            )

    def _erase(self, batch: Sequence[Arrived]) -> None:
        gone = {
            (one.box, uuid): one.at_s
            for one in batch
            for entry in one.entries
            for uuid in entry.uuids
        }
        if not gone:
            return
        keys = sorted(gone)
        empty = [""] * len(FACTS)
        self._database.run_all(
            INSERT, [(*key, 0, "erased", "", 0, None, gone[key], *empty) for key in keys]
        )
        self._database.run_all(
            "UPDATE entries SET content = NULL, patient = '', rule = '', priority = '', "
            "state = '', at_utc = '' WHERE box = ? AND uuid = ? AND kind <> 'erase'",
            keys,
        )


def _rows(batch: Sequence[Arrived]) -> list[Row]:
    rows = [
        (
            one.box,
            entry.uuid,
            entry.seq,
            one.kind,
            entry.digest,
            int(entry.early),
            entry.content,
            one.at_s,
            *entry.facts,
        )
        for one in batch
        for entry in one.entries
    ]
    return sorted(rows, key=lambda row: row[:2])


def _kept(
    one: Arrived,
    before: Mapping[tuple[str, str], str],
    held: Mapping[tuple[str, str], str],
) -> Kept:
    stored = {entry.uuid: held[one.box, entry.uuid] for entry in one.entries}
    new = tuple(uuid for uuid in stored if (one.box, uuid) not in before)
    n_conflicts = sum(held[one.box, entry.uuid] != entry.digest for entry in one.entries)
    return Kept(Receipt(stored, one.refused), new, len(stored) - len(new), n_conflicts)


def _heard(batch: Sequence[Arrived], kept: Sequence[Kept]) -> Iterator[Row]:
    """Return one row for each box: PostgreSQL would not change the same row twice at once."""
    rows: dict[str, list[Any]] = {}
    for one, what in zip(batch, kept, strict=True):
        row = rows.setdefault(one.box, [one.box, one.at_s, one.at_s, None, 0, 0, 0])
        row[2] = one.at_s
        row[3] = one.heartbeat or row[3]
        row[4] += what.n_copies
        row[5] += what.n_conflicts
        row[6] += len(what.receipt.refused)
    return (tuple(row) for row in rows.values())
