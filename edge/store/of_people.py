"""What is kept of people beside the records: pseudonyms, and who decided on a limit, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.config.words import Words
from edge.pseudonyms import Pseudonym
from edge.store.database import Database
from edge.store.eras import next_n


def insert(database: Database, run_n: int, ones: Sequence[Pseudonym | Words]) -> None:
    """Write them down, in the open transaction; the same again is left out."""
    for one in ones:
        if isinstance(one, Pseudonym):
            database.execute(
                "INSERT OR IGNORE INTO pseudonyms (n, run, patient, id) VALUES (?, ?, ?, ?)",
                [next_n(database, "pseudonyms"), run_n, one.patient, one.id],
            )
        else:
            database.execute(
                'INSERT OR IGNORE INTO limit_words (n, run, ref, patient, "by", why)'
                " VALUES (?, ?, ?, ?, ?, ?)",
                [next_n(database, "limit_words"), run_n, one.ref, one.patient, one.by, one.why],
            )


def pseudonym_from(row: dict[str, Any]) -> Pseudonym:
    """Return what a patient is called outside, from its row."""
    return Pseudonym(row["patient"], row["id"])


def words_from(row: dict[str, Any]) -> Words:
    """Return who decided on something, and why, from its row."""
    return Words(row["ref"], row["patient"], row["by"], row["why"])


def forget(database: Database, patient: str) -> int:
    """Forget them of a patient, or (empty) all, in the open transaction; return how many."""
    # What the box itself is called is of no patient: receivers know it by that for ever.
    where, of = ("WHERE patient = ?", [patient]) if patient else ("WHERE patient NOT LIKE '@%'", [])
    return sum(
        database.execute(f"DELETE FROM {table} {where}", of).rowcount  # noqa: S608  # ours
        for table in ("pseudonyms", "limit_words")
    )
