"""The receiver's store in one SQLite file: for one receiver, or a few on the same machine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from edge.receive.store import Row, StoreError

_WAIT_S: Final = 10.0


class Sqlite:
    """`edge.receive.store.Database` in a file; readable by its user alone.

    Raises
    ------
    StoreError
        It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(
                path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            for setting in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                self._connection.execute(f"PRAGMA {setting}")
            synchronous = self._connection.execute("PRAGMA synchronous").fetchone()[0]
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path} cannot be opened as a store ({error})") from error
        if synchronous != 2:
            raise StoreError(f"{path} does not write through: a receipt would promise too much")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; at its end it is on the medium."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            again = isinstance(error, sqlite3.OperationalError)
            raise StoreError(f"{self.name}: {error}", again=again) from error

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Carry out a statement; return its rows."""
        return self._connection.execute(statement, tuple(values)).fetchall()

    def run_all(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Carry it out for each row of values."""
        self._connection.executemany(statement, rows)

    def close(self) -> None:
        """Leave it."""
        self._connection.close()
