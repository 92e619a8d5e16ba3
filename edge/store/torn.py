"""Read a damaged database as far as it reads.

A connection that has met a page whose HMAC is wrong gives no other page any more: SQLCipher keeps
that error for as long as the connection lives. So every failed read here ends the connection, and
the next begins a new one (1 ms).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge.store.cipher import Keys
from edge.store.database import (
    Database,
    SqliteError,
    StoreError,
    connect,
    is_unreadable,
)


class Torn:
    """A damaged database, to be read only; used by one thread at a time.

    Parameters
    ----------
    path : Path
        The file.
    keys : Keys | None
        The device keys; None: those in its folder.
    """

    def __init__(self, path: Path, keys: Keys | None = None) -> None:
        self._path, self._keys = path, keys
        self._database: Database | None = None
        self._columns: dict[str, list[str]] = {}

    def close(self) -> None:
        """Let go of the file."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def check(self) -> None:
        """Raise where it cannot even be told which tables there are.

        Raises
        ------
        edge.store.StoreError, SqliteError, UnicodeDecodeError
            Nothing of it can be read.
        """
        try:
            self._opened().execute("SELECT n FROM runs LIMIT 0").fetchone()
        except BaseException:
            self.close()
            raise

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table; none where it is not known."""
        if table not in self._columns:
            rows, _ = self.rows(f"PRAGMA table_info({table})")
            self._columns[table] = [str(row[1]) for row in rows]
        return self._columns[table]

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[list[tuple[Any, ...]], bool]:
        """Return rows until they end or cannot be read, and whether they ended."""
        rows: list[tuple[Any, ...]] = []
        try:
            for row in self._opened().execute(sql, parameters):
                rows.append(row)  # noqa: PERF402  # what came before an error counts
        except (SqliteError, UnicodeDecodeError) as error:
            self.close()
            if not is_unreadable(error):
                raise
            return rows, False
        except StoreError:  # it opened before, and does not now
            return rows, False
        return rows, True

    def _opened(self) -> Database:
        if self._database is None:
            self._database = connect(self._path, read_only=True, keys=self._keys, damaged=True)
        return self._database
