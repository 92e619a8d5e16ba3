"""Where the numbers of a file begin that was begun because the one before was damaged.

What is recovered of a damaged file (`edge.store.salvage`) comes back under the numbers it had: they
are part of hashes, and rows name each other by them. So a file that takes the place of a damaged
one leaves them free: its own rows are numbered from the next thousand million on. Rows of before
sort before those of after, and nothing has to be renamed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from edge.store.database import Database
from edge.store.head import HASH_BYTES, read_head

ERA: Final = 1_000_000_000
"""Numbers of one file."""

STORY: Final = 1_000_000
"""Places in the story of an alert that are left free for what was stored of it in one era."""

SCHEMA: Final = (
    # base: rows of this file have numbers above it. state: `edge.store.salvage.State`, as JSON.
    """CREATE TABLE salvage (
        n INTEGER PRIMARY KEY,
        aside TEXT NOT NULL UNIQUE,
        base INTEGER NOT NULL,
        head TEXT,
        state TEXT NOT NULL,
        finished INTEGER NOT NULL CHECK (finished IN (0, 1))
    ) STRICT""",
    # The chain of a file begins after its base. Below it only what is recovered is put in.
    "DROP TRIGGER ledger_grows_at_its_end",
    """CREATE TRIGGER ledger_grows_at_its_end BEFORE INSERT ON ledger
        WHEN NEW.n > (SELECT coalesce(max(base), 0) FROM salvage WHERE finished = 0)
        AND (NEW.n != 1 + max((SELECT coalesce(max(n), 0) FROM ledger),
                              (SELECT coalesce(max(base), 0) FROM salvage))
          OR NEW.prev != coalesce((SELECT hash FROM ledger WHERE n = NEW.n - 1), zeroblob(32)))
        BEGIN SELECT raise(ABORT, 'the ledger grows at its end only'); END""",
)


class Era(msgspec.Struct, frozen=True):
    """What a file begins with that takes the place of a damaged one.

    Attributes
    ----------
    aside : str
        Name of the damaged file.
    base : int
        Numbers of the new file are above it.
    head : str | None
        The head of the damaged file's chain, as it lay beside it.
    """

    aside: str
    base: int
    head: str | None


def base_of(database: Database) -> int:
    """Return the number that a file's own rows are above."""
    if not database.table("salvage").exists():
        return 0  # while an old file is brought up to date
    (base,) = database.execute("SELECT coalesce(max(base), 0) FROM salvage").fetchone()
    return int(base)


def next_n(database: Database, table: str) -> int:
    """Return the number of a table's next row."""
    (last,) = database.execute(f"SELECT coalesce(max(n), 0) FROM {table}").fetchone()  # noqa: S608
    return 1 + max(int(last), base_of(database))


def first_place(database: Database) -> int:
    """Return how many places of an alert's story may be taken by what is not recovered yet."""
    return base_of(database) // ERA * STORY


def begin_era(database: Database, aside: Path) -> Era:
    """Leave the numbers of a damaged file free, and note that it is to be recovered."""
    try:
        head = read_head(aside)
    except OSError:
        head = None
    number = int(aside.name.rpartition("-")[2])
    spent = 0 if head is None else head.n // ERA
    era = Era(aside.name, max(number, spent + 1) * ERA, None if head is None else str(head))
    row = {"aside": era.aside, "base": era.base, "head": era.head, "state": "{}", "finished": 0}
    with database.atomic():
        database.table("salvage").insert(row, ignore=True)  # a start was cut short just after this
    return era


def is_untouched(database: Database) -> bool:
    """Return whether no run was ever entered in a file, so that it has not said why it is new.

    That room was left in it (`begin_era`) is a transaction of its own, which a power cut may part
    from the first run's.
    """
    tables = ("ledger", "runs")
    found = (database.execute(f"SELECT count(*) FROM {t}").fetchone() for t in tables)  # noqa: S608
    return not any(n for (n,) in found)


def head_n(era: Era) -> int | None:
    """Return how many rows the damaged chain had; None: its head was lost."""
    return None if era.head is None else int(era.head.partition(":")[0])


def is_first(n: int, prev: object) -> bool:
    """Return whether a row of the ledger is the first of a file that was begun anew."""
    return n > ERA and n % ERA == 1 and prev == bytes(HASH_BYTES)
