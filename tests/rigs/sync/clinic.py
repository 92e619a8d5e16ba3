"""The real receiver, `homeward receive`, as the campaigns use it: killed -9 as all others."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.rigs.sync.history import Came, Made
from tests.rigs.sync.processes import Process


class Clinic:
    """The same to see as `processes.Receiver`; what came first is told by the time of its rows."""

    def __init__(self, folder: Path, port: int, key: Ed25519PrivateKey) -> None:
        home = folder / "clinic"
        home.mkdir(mode=0o700)
        signs = home / "receiver.key"
        signs.touch(mode=0o600)
        signs.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self._file = home / "received.db"
        words = ["receive", "--data-dir", str(home), "--broker", f"mqtt://127.0.0.1:{port}"]
        words += ["--name", "clinic", "--store", str(self._file), "--key", str(signs)]
        self.process = Process(words, folder / "clinic.log")

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()

    def _rows(self, question: str) -> list[tuple[object, ...]]:
        if not self._file.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as one:
            try:
                return list(one.execute(question))
            except sqlite3.OperationalError:  # it is only being made
                return []

    @property
    def known(self) -> set[str]:
        return {str(row[0]) for row in self._rows("SELECT uuid FROM entries")}

    @property
    def stored(self) -> list[Made]:
        rows = self._rows("SELECT box, uuid, seq, kind, digest FROM entries")
        return [Made(*row) for row in rows]  # type: ignore[arg-type]

    @property
    def came(self) -> list[Came]:
        # Rows of one transaction have one time, and are stored in no order.
        rows = self._rows(
            "SELECT box, uuid, seq, kind, digest, early FROM entries ORDER BY received_s, seq"
        )
        return [Came(*row[:5], early=bool(row[5])) for row in rows]  # type: ignore[arg-type]

    @property
    def n_again(self) -> int:
        """Copies that came and were not stored, as it counts them."""
        return sum(int(str(row[0])) for row in self._rows("SELECT n_copies FROM boxes"))
