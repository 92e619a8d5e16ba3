"""A store that begins with a damaged file, and stores that are broken on purpose: the controls."""

from __future__ import annotations

import random
import sqlite3 as plain_sqlite
from contextlib import closing
from pathlib import Path
from unittest import mock

from edge.store import DATABASE, Store
from edge.store.head import Head
from edge.store.verification import verify
from tests.edge.store.opened import behind
from tests.rigs.powercut.cutting import Mark
from tests.rigs.powercut.store_work import StoreWork, Writer


class DamagedStore(StoreWork):
    """Opens a store whose file was damaged before: it is put aside, and that too can be cut."""

    name = "damaged store"
    _bad = b""

    def prepare(self, folder: Path, chance: random.Random) -> list[str]:
        """Make a store, and break a page that every open reads."""
        path = folder / DATABASE
        marks: list[str] = []
        Writer(path, marks.append, chance, self.begun).work(4)
        raw = bytearray(path.read_bytes())
        at = chance.choice((0, 1024, 2048))
        raw[at : at + 512] = chance.randbytes(512)
        path.write_bytes(raw)
        self._bad = bytes(raw)
        return [mark for mark in marks if mark.startswith("try")]

    def check(self, folder: Path, marks: list[str], chance: random.Random) -> list[str]:
        """The damaged file is there still, under one name or another; and what was kept since."""
        wrong = super().check(folder, marks, chance)
        there = [path for path in folder.glob(f"{DATABASE}*") if path.read_bytes() == self._bad]
        if len(there) != 1 or there[0].name == DATABASE:
            wrong.append(f"the damaged file is {[path.name for path in there]}")
        has_acked = any(mark.startswith("ack") for mark in marks)
        known = ["chain"] if has_acked else ["chain", "taken for damaged", "head"]
        return [one for one in wrong if one.partition(":")[0] not in known] + _other(folder)


class PlainStore(StoreWork):
    """Opens a store from before there were keys: it is encrypted, and that too can be cut."""

    name = "store not encrypted yet"

    def prepare(self, folder: Path, chance: random.Random) -> list[str]:
        """Make one with records in it, and take its keys and its cipher away."""
        path, plain = folder / DATABASE, folder / "plain.db"
        marks: list[str] = []
        Writer(path, marks.append, chance, self.begun).work(6)
        with closing(behind(path, isolation_level=None)) as connection:
            connection.execute(f"ATTACH DATABASE '{plain}' AS plain KEY ''")
            connection.execute("SELECT sqlcipher_export('plain')").fetchall()
        for name in (DATABASE, f"{DATABASE}.key", "homeward.key"):
            (folder / name).unlink()
        plain.rename(path)
        with closing(plain_sqlite.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=wal")
        return marks


def _other(folder: Path) -> list[str]:
    """Return what is wrong with the chain but that it was begun anew."""
    flaws = verify(folder / DATABASE).flaws
    return [f"chain: {flaw}" for flaw in flaws if flaw.what != "break"]


class NormalSync(StoreWork):
    """Control: SQLite acknowledges before the medium has it."""

    name = "control: synchronous=NORMAL"

    def begun(self, store: Store) -> Store:
        """Take FULL back."""
        store._database.execute("PRAGMA synchronous=NORMAL")
        return store


class AckFirst(StoreWork):
    """Control: what is tried counts as acknowledged."""

    name = "control: acknowledged before the commit"

    def check(self, folder: Path, marks: list[str], chance: random.Random) -> list[str]:
        """Believe every try."""
        tried = [mark.split(" ")[1] for mark in marks if mark.startswith("try ")]
        return super().check(folder, [*marks, *(f"ack {name}" for name in tried)], chance)


class _HeadWork(StoreWork):
    """The head written in another way."""

    def act(self, folder: Path, mark: Mark, chance: random.Random) -> None:
        """Write, with that head."""
        with mock.patch("edge.store.keeping.write_head", self.write_head):
            super().act(folder, mark, chance)

    @staticmethod
    def write_head(database: Path, head: Head) -> None:
        raise NotImplementedError


class HeadInPlace(_HeadWork):
    """Control: the head is written over the last one."""

    name = "control: head written in place"

    @staticmethod
    def write_head(database: Path, head: Head) -> None:
        """Write where the last one is."""
        text = f"homeward-head 1 {head.n} {head.hash.hex()}\n"
        database.with_name(f"{database.name}.head").write_text(text)


class HeadNotSynced(_HeadWork):
    """Control: the head takes its place before the medium has it."""

    name = "control: head renamed, not synced"

    @staticmethod
    def write_head(database: Path, head: Head) -> None:
        """Write beside, and rename."""
        fresh = database.with_name(f"{database.name}.head.new")
        fresh.write_text(f"homeward-head 1 {head.n} {head.hash.hex()}\n")
        fresh.replace(database.with_name(f"{database.name}.head"))
