"""A disk under power cuts: what it may hold after each line of a log, if the power went just then.

What is durable: the bytes of a file that were there at its last fsync or fdatasync; a name once its
folder was fsynced (`Order.ANY`), or once any journal commit came after it (`Order.JOURNAL`). Of all
else any part may be there:

Order.JOURNAL  as ext4: names change in the order in which they were changed, an fsync of anything
               takes all changes of names before it along, an fdatasync only where it has to write
               the size. No help from ext4's habit of flushing a file that is renamed over another:
               that file may be empty, or hold anything.
Order.ANY      POSIX to the letter: only an fsync of the folder makes a name durable, and of the
               changes since then any subset may be there, as far as they do not touch one name.

What becomes of the bytes of a file: `tests.rigs.powercut.file_bytes`.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.rigs.powercut.file_bytes import File, Loss
from tests.rigs.powercut.oplog import CREATED, DATA_ONLY, Op, Operation

Content: TypeAlias = Mapping[str, bytes | None]
"""What a folder holds, by path below it; None: a folder."""


class Order(Enum):
    """In which order changes of names become durable; see above."""

    JOURNAL = "journal"
    ANY = "any"


class _Change(NamedTuple):
    """One change of names, all of it or nothing."""

    taken: str
    """A name that is no more; empty: none."""
    given: str
    """A name that is there now; empty: none."""
    what: File | None
    """What it names; None: a folder."""

    def names(self) -> set[str]:
        return {name for name in (self.taken, self.given) if name}

    def is_in(self, folder: str) -> bool:
        return folder in {os.path.dirname(name) for name in self.names()}  # noqa: PTH120

    def make(self, tree: dict[str, File | None]) -> None:
        tree.pop(self.taken, None)
        if self.given:
            tree[self.given] = self.what


class _Names:
    """The names on the medium, and what may have reached it."""

    def __init__(self, order: Order, tree: Mapping[str, File | None]) -> None:
        self._order = order
        self._durable = dict(tree)
        self._pending: list[_Change] = []

    def change(self, change: _Change) -> None:
        self._pending.append(change)

    def sync_folder(self, folder: str) -> None:
        if self._order is Order.JOURNAL:
            self.commit()
            return
        for change in self._pending:
            if change.is_in(folder):
                change.make(self._durable)
        self._pending = [one for one in self._pending if not one.is_in(folder)]

    def sync_file(self, file: File, *, data_only: bool) -> None:
        is_new = any(change.what is file for change in self._pending)
        if self._order is Order.JOURNAL and (not data_only or file.has_new_size or is_new):
            self.commit()

    def commit(self) -> None:
        for change in self._pending:
            change.make(self._durable)
        self._pending = []

    def after(self, chance: random.Random) -> dict[str, File | None]:
        """Return the names that may be there after a cut."""
        tree = dict(self._durable)
        for change in self._kept(chance):
            change.make(tree)
        return tree

    def _kept(self, chance: random.Random) -> Iterable[_Change]:
        n = len(self._pending)
        whole = chance.choice((0, n, chance.randint(0, n)))
        if self._order is Order.JOURNAL or chance.random() < 0.5:
            return self._pending[:whole]
        kept, blocked = [], set[str]()
        for change in self._pending:
            if chance.random() < 0.5 and not change.names() & blocked:
                kept.append(change)
            else:
                blocked |= change.names()
        return kept


class Disk:
    """A folder on a disk that loses power; lines of a log are taken one by one.

    Parameters
    ----------
    folder : Path
        As it is before the first line: all of it durable.
    is_deaf : bool
        It says that it has synchronised and has not; for controls.
    """

    def __init__(self, folder: Path, *, is_deaf: bool = False) -> None:
        self._is_deaf = is_deaf
        self._root = os.path.realpath(folder)
        self._inodes: dict[int, File] = {}
        self._tree: dict[str, File | None] = {}
        for path in sorted(Path(self._root).rglob("*")):
            file = None if path.is_dir() else File(path.read_bytes())
            if file is not None:
                file = self._inodes.setdefault(path.stat().st_ino, file)
            self._tree[str(path)] = file
        self._names = {order: _Names(order, self._tree) for order in Order}

    def goes_on(self) -> Disk:
        """Return a disk of its own with the same past, for another future."""
        return copy.deepcopy(self)

    def put_as_seen(self, folder: Path) -> None:
        """Make the folder hold what programs see, as after kill -9; what is not durable stays so.

        The lines of the next log are taken for the files that are made here.
        """
        put(self.holds(), folder)
        self._inodes = {
            os.stat(path).st_ino: file  # noqa: PTH116
            for path, file in self._tree.items()
            if file is not None
        }

    def take(self, operation: Operation) -> None:
        """Do what a line of the log says."""
        op = operation.op
        if self._is_deaf and op in (Op.SYNC, Op.SYNC_FOLDER):
            return
        if op is Op.WRITE:
            self._inodes[operation.inode].write(operation.at, operation.payload)
        elif op in (Op.TRUNCATE, Op.ALLOCATE):
            file = self._inodes[operation.inode]
            if op is Op.TRUNCATE or operation.at > len(file.cache):
                file.resize(operation.at)
        elif op is Op.SYNC:
            self._sync(self._inodes[operation.inode], data_only=operation.flags == DATA_ONLY)
        elif op is Op.SYNC_FOLDER:
            for names in self._names.values():
                names.sync_folder(operation.path)
        elif op not in (Op.MARK, Op.CLOSE):
            self._rename(operation)

    def holds(self) -> Content:
        """Return what a program sees now, by path below the folder."""
        return {
            os.path.relpath(path, self._root): None if file is None else bytes(file.cache)
            for path, file in self._tree.items()
        }

    def after_cut(self, order: Order, loss: Loss | None, chance: random.Random) -> Content:
        """Return what may be there when the power comes back; loss None: another for each file."""
        tree = self._names[order].after(chance)
        kept: dict[int, bytes] = {}
        found: dict[str, bytes | None] = {}
        for path, file in sorted(tree.items()):
            parent = os.path.relpath(os.path.dirname(path), self._root)  # noqa: PTH120
            if parent != "." and found.get(parent, b"") is not None:
                continue  # its folder is not there
            if file is not None and id(file) not in kept:
                kept[id(file)] = file.after(loss or chance.choice(list(Loss)), chance)
            found[os.path.relpath(path, self._root)] = None if file is None else kept[id(file)]
        return found

    def _sync(self, file: File, *, data_only: bool) -> None:
        for names in self._names.values():
            names.sync_file(file, data_only=data_only)
        file.sync()

    def _rename(self, operation: Operation) -> None:
        change = self._change(operation)
        if change is None:
            return
        change.make(self._tree)
        for names in self._names.values():
            names.change(change)

    def _change(self, operation: Operation) -> _Change | None:
        path = operation.path
        if operation.op is Op.OPEN:
            if operation.flags != CREATED:
                return None
            self._inodes[operation.inode] = made = File()
            return _Change("", path, made)
        if operation.op is Op.MKDIR:
            return _Change("", path, None)
        if operation.op is Op.RENAME:
            return _Change(path, operation.text, self._tree[path])
        if operation.op is Op.LINK:
            return _Change("", operation.text, self._tree[path])
        return _Change(path, "", None)


def put(content: Content, folder: Path) -> None:
    """Make a folder hold this and nothing else."""
    clear(folder)
    for name, held in sorted(content.items()):
        if held is None:
            (folder / name).mkdir(mode=0o700)
        else:
            _put_file(folder / name, held)


def _put_file(path: Path, held: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, held)
    finally:
        os.close(handle)


def clear(folder: Path) -> None:
    """Empty a folder."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
