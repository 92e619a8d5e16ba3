"""What waits for each destination, in the order in which it is to leave.

No question reads a backlog through: what waits is found by an index of its own, and below the
lowest entry that waits for a destination nothing is looked at again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from edge.records import AlertState, Priority
from edge.store import egress
from edge.store.database import Database, asking
from edge.store.records import Row, alert_from, summary_from
from edge.store.stored import EraseRequest, StoredAlert, StoredSummary

Line: TypeAlias = Literal["alert", "summary", "erase"]
"""What waits in a line of its own."""
Sinks: TypeAlias = Mapping[str, frozenset[str]]
"""Name of a destination -> which of ``alert`` and ``summary`` it takes."""

MAX_URGENT: Final = 10
URGENT_S: Final = 3600.0
"""An alert of high priority goes ahead of others for so long."""
LOOKED_THROUGH: Final = 1_000
"""Newest entries among which urgent ones are looked for."""


class Due(msgspec.Struct, frozen=True):
    """One entry that waits.

    Attributes
    ----------
    n, uuid : int, str
        Its number, and its id.
    content : StoredAlert | StoredSummary | EraseRequest | None
        None: what is stored of it makes no sense.
    called : str
        What its patient was called outside when it was recorded; empty: what they are called now.
    body : bytes
        What the sender was handed of it, where it left before; empty: it did not.
    early : bool
        It goes ahead of others that wait.
    """

    n: int
    uuid: str
    content: StoredAlert | StoredSummary | EraseRequest | None
    called: str = ""
    body: bytes = b""
    early: bool = False


class Waits(msgspec.Struct, frozen=True):
    """What waits for one destination.

    Attributes
    ----------
    oldest : tuple[float, str] | None
        Boot time of the oldest alert, and of which boot; None: no alert waits.
    n_rejected, why : int, str
        Entries that it never takes, and why it does not take the last of them.
    """

    sink: str
    n_urgent: int = 0
    n_alerts: int = 0
    n_summaries: int = 0
    n_erase: int = 0
    oldest: tuple[float, str] | None = None
    n_rejected: int = 0
    why: str = ""


class Lines:
    """The part of `edge.store.Store` that knows what waits; used by the store's thread alone."""

    path: Path
    _database: Database
    _floors: dict[tuple[str, str], int]

    def waiting_for(
        self,
        sink: str,
        line: Line,
        after: int = 0,
        but: Collection[str] = (),
        limit: int = 64,
        *,
        now: tuple[float, str] = (0.0, ""),
    ) -> list[Due]:
        """Return what waits for a destination, in the order in which it is to leave.

        Parameters
        ----------
        after, but : int, Collection[str]
            Only with a larger number, but for urgent alerts; and none of these.
        now : tuple[float, str]
            Boot clock and boot: only alerts of this boot are urgent.

        Raises
        ------
        StoreError
            It cannot be read.
        """
        with asking("read", self.path):
            if line == "erase":
                return self._requests(sink, after, but, limit)
            urgent = self._urgent(sink, now) if line == "alert" else []
            ahead = [row for row in urgent if row["uuid"] not in but][:limit]
            known = {row["uuid"] for row in ahead} | set(but)
            rest = [
                row
                for row in self._rows_for(sink, line, after, limit + len(known))
                if row["uuid"] not in known
            ]
            rows = [*ahead, *rest]
            left = [row["n"] for row in rows]
            return [
                self._due(row, early=any(n < row["n"] for n in left[at + 1 :]))
                for at, row in enumerate(rows[:limit])
            ]

    def waits(
        self, sinks: Sinks, now: tuple[float, str], known: Sequence[Waits] = ()
    ) -> list[Waits]:
        """Return what waits for each destination.

        Parameters
        ----------
        now : tuple[float, str]
            As of `waiting_for`.
        known : Sequence[Waits]
            An answer of a moment ago, whose counts of alerts and summaries will do: to count a
            large backlog takes a while.

        Raises
        ------
        StoreError
            It cannot be read.
        """
        with asking("read", self.path):
            before = {one.sink: (one.n_alerts, one.n_summaries) for one in known}
            every = {} if known else {line: self._count(line) for line in egress.LINES}
            return [
                self._waits(sink, before.get(sink) or self._counts(sink, sinks[sink], every), now)
                for sink in sinks
            ]

    def impossible(self, sinks: Sinks) -> dict[str, int]:
        """Return how many requests to delete nobody can be asked, or was refused, by destination.

        Raises
        ------
        StoreError
            They cannot be read.
        """
        with asking("read", self.path):
            rows = self._database.execute(
                "SELECT destination, rejected IS NOT NULL, count(*) FROM erase_requests"
                " WHERE settled_s IS NULL GROUP BY 1, 2 ORDER BY 1"
            ).fetchall()
        found: dict[str, int] = {}
        for destination, refused, n in rows:
            if refused or destination not in sinks:
                found[destination] = found.get(destination, 0) + int(n)
        return found

    def body_of(self, sink: str, uuid: str) -> bytes:
        """Return what the sender was handed of an entry that left; empty: it did not."""
        with asking("read", self.path):
            row = self._database.execute(
                "SELECT body FROM deliveries JOIN outbox ON outbox.n = outbox"
                " WHERE uuid = ? AND sink = ?",
                (uuid, sink),
            ).fetchone()
        return b"" if row is None or row[0] is None else bytes(row[0])

    def _waits(
        self,
        sink: str,
        counts: tuple[int, int],
        now: tuple[float, str],
    ) -> Waits:
        n_alerts, n_summaries = counts
        oldest = self._oldest(sink) if n_alerts else None
        (n_erase,) = self._database.execute(
            "SELECT count(*) FROM erase_requests WHERE settled_s IS NULL AND rejected IS NULL"
            " AND destination = ?",
            (sink,),
        ).fetchone()
        rejected = "SELECT count(*), max(n) FROM deliveries WHERE sink = ? AND rejected IS NOT NULL"
        n_rejected, last = self._database.execute(rejected, (sink,)).fetchone()
        why = ""
        if last is not None:
            (why,) = self._database.execute(
                "SELECT rejected FROM deliveries WHERE n = ?", (last,)
            ).fetchone()
        n_urgent = len(self._urgent(sink, now)) if n_alerts else 0
        told = (n_urgent, n_alerts, n_summaries, int(n_erase), oldest, int(n_rejected), why)
        return Waits(sink, *told)

    def _counts(
        self, sink: str, takes: Collection[str], every: Mapping[str, int]
    ) -> tuple[int, int]:
        done = self._done(sink)
        n = [every[line] - done[line] if line in takes else 0 for line in egress.LINES]
        return n[0], n[1]

    def _count(self, line: str) -> int:
        return egress.n_waiting(self._database, line)

    def _done(self, sink: str) -> dict[str, int]:
        """Return how many entries are done here and still wait for somebody else, by line."""
        n_alerts, n_summaries = self._database.execute(
            "SELECT count(alert), count(summary) FROM deliveries JOIN outbox ON outbox.n = outbox"
            " WHERE open = 1 AND sink = ?"
            " AND (deliveries.settled_s IS NOT NULL OR rejected IS NOT NULL)"
            " AND outbox.settled_s IS NULL",
            (sink,),
        ).fetchone()
        return {"alert": int(n_alerts), "summary": int(n_summaries)}

    def _oldest(self, sink: str) -> tuple[float, str] | None:
        for row in self._rows_for(sink, "alert", 0, 1):
            found = self._database.execute(
                "SELECT at_s, boot_id FROM alerts JOIN runs ON runs.n = run WHERE alerts.n = ?",
                (row["alert"],),
            ).fetchone()
            if found is not None:
                return float(found[0]), str(found[1])
        return None

    def _rows_for(self, sink: str, line: str, after: int, limit: int) -> list[Row]:
        """Return entries that wait for a destination, by number."""
        floor = self._floors.get((sink, line), 0)
        sql = f"{_SELECT} AND {line} IS NOT NULL AND outbox.n > ? ORDER BY outbox.n LIMIT ?"
        rows = list(self._database.query(sql, (sink, max(after, floor), limit)))
        if after <= floor:
            if rows:
                self._floors[sink, line] = rows[0]["n"] - 1
            else:
                (last,) = self._database.execute(
                    "SELECT coalesce(max(n), 0) FROM outbox"
                ).fetchone()
                self._floors[sink, line] = int(last)
        return rows

    def _urgent(self, sink: str, now: tuple[float, str]) -> list[Row]:
        now_s, boot_id = now
        (last,) = self._database.execute("SELECT coalesce(max(n), 0) FROM outbox").fetchone()
        values = (
            *(sink, int(last) - LOOKED_THROUGH, Priority.HIGH.value, AlertState.ENDED.value),
            *(boot_id, now_s - URGENT_S, AlertState.ENDED.value, MAX_URGENT),
        )
        return list(self._database.query(_URGENT, values))

    def _requests(self, sink: str, after: int, but: Collection[str], limit: int) -> list[Due]:
        rows = self._database.query(
            "SELECT erase_requests.n, uuid, destination, uuids, asked_s, asked_by AS by, settled_s,"
            " rejected, runs.boot_id FROM erase_requests JOIN runs ON runs.n = run"
            " WHERE settled_s IS NULL AND rejected IS NULL AND destination = ?"
            " AND erase_requests.n > ? ORDER BY erase_requests.n LIMIT ?",
            (sink, after, limit + len(but)),
        )
        found = []
        for row in rows:
            n, uuid = row.pop("n"), row["uuid"]
            if uuid not in but:
                content = next(_made(egress.erase_request_from, row), None)
                found.append(Due(n, uuid, content))
        return found[:limit]

    def _due(self, row: Row, *, early: bool) -> Due:
        if row["alert"] is not None:
            sql, make = _ALERT, alert_from
        else:
            sql, make = _SUMMARY, summary_from  # type: ignore[assignment]
        stored = self._database.query(sql, (row["alert"] or row["summary"],))
        content = next((one for found in stored for one in _made(make, found)), None)
        body = bytes(row["body"]) if row["body"] is not None else b""
        return Due(row["n"], row["uuid"], content, row["called"] or "", body, early)


def _made(make: Any, row: Row) -> Iterator[Any]:  # noqa: ANN401  # of whichever record
    """Give a row's record; none where what is in it makes no sense."""
    try:
        yield make(row)
    except (ValueError, TypeError, KeyError, msgspec.DecodeError):
        return


_SELECT: Final = (
    "SELECT outbox.n, uuid, alert, summary, called, body FROM outbox"
    " LEFT JOIN deliveries ON outbox = outbox.n AND sink = ?"
    " WHERE outbox.settled_s IS NULL AND deliveries.settled_s IS NULL AND rejected IS NULL"
)
_URGENT: Final = (
    "SELECT outbox.n, uuid, alert, summary, called, body FROM outbox"
    " JOIN alerts ON alerts.n = alert JOIN runs ON runs.n = run"
    " LEFT JOIN deliveries ON outbox = outbox.n AND sink = ?"
    " WHERE outbox.settled_s IS NULL AND deliveries.settled_s IS NULL AND rejected IS NULL"
    " AND alert IS NOT NULL AND outbox.n > ? AND priority = ? AND state != ? AND boot_id = ?"
    " AND at_s >= ? AND NOT EXISTS"
    " (SELECT 1 FROM alerts AS later WHERE later.id = alerts.id AND later.state = ?)"
    " ORDER BY outbox.n DESC LIMIT ?"
)
_ALERT: Final = (
    "SELECT alerts.*, runs.run_id, runs.boot_id FROM alerts JOIN runs ON runs.n = run"
    " WHERE alerts.n = ?"
)
_SUMMARY: Final = (
    "SELECT summaries.n, body, runs.run_id, runs.boot_id FROM summaries JOIN runs ON runs.n = run"
    " WHERE summaries.n = ?"
)
