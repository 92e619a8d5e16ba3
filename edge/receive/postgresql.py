"""The receiver's store in PostgreSQL: for many receivers on many machines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg

from edge.receive.store import Row, StoreError

_CONNECT_S: Final = 10
_STATEMENT_MS: Final = 20_000


class Postgresql:
    """`edge.receive.store.Database` on a server; connects anew where the connection was lost.

    Parameters
    ----------
    url : str
        ``postgresql://...``; a password belongs into ``~/.pgpass`` or the service file.

    Raises
    ------
    StoreError
        There is none.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Row] | None = None
        self.name = "PostgreSQL"
        self._connected()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; at its end it is on the medium."""
        connection = self._connected()
        try:
            with connection.transaction():
                yield
        except psycopg.Error as error:
            if connection.broken:
                connection.close()
            again = isinstance(error, psycopg.OperationalError)
            raise StoreError(f"{self.name}: {_first_line(error)}", again=again) from error

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Carry out a statement; return its rows."""
        cursor = self._connected().execute(_marked(statement), tuple(values))
        return cursor.fetchall() if cursor.description is not None else []

    def run_all(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Carry it out for each row of values."""
        with self._connected().cursor() as cursor:
            cursor.executemany(_marked(statement), rows)

    def close(self) -> None:
        """Leave it."""
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> psycopg.Connection[Row]:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        try:
            self._connection = psycopg.connect(
                self._url,
                connect_timeout=_CONNECT_S,
                client_encoding="UTF8",
                autocommit=True,
                options=f"-c statement_timeout={_STATEMENT_MS} -c synchronous_commit=on",
            )
        except psycopg.Error as error:
            raise StoreError(f"PostgreSQL cannot be reached ({_first_line(error)})") from error
        return self._connection


def _marked(statement: str) -> bytes:
    """Return a statement with psycopg's marks; ours hold no other question mark or per cent."""
    return statement.replace("?", "%s").encode()


def _first_line(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
