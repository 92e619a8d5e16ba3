"""Cuts the power of a piece of work at many moments, and looks at what is left.

A `Work` does something with real code in a folder while the shim writes down what it does to the
files, with marks between (``ack ...`` for what it has acknowledged). Then for many moments of that
log the folder is made as the medium may hold it (`tests.rigs.powercut.disk`), and the work's
`check` opens it with real code. Of every few cuts one goes further: the power fails again while
what was cut recovers (`Again.POWER`), or the process was killed before, so that the next one found
the files whole and yet not on the medium (`Again.KILLED`).

Everything is drawn from seeds: `replay` makes one cut again from what a failure prints.
"""

from __future__ import annotations

import os
import random
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol
from unittest import mock

from tests.rigs.powercut.disk import Content, Disk, Order, clear, put
from tests.rigs.powercut.file_bytes import Loss
from tests.rigs.powercut.oplog import Op, Operation, read_log
from tests.rigs.powercut.shim import Shim

N_PER_LOG = 100
"""Cuts of one log."""
MAX_TOLD = 5
AGAIN_EVERY = 8

Mark = Callable[[str], None]


class Work(Protocol):
    """What is done, and what must be true after a cut."""

    name: str

    def prepare(self, folder: Path, chance: random.Random) -> list[str]:
        """Make what was there before, all of it durable; return the marks of it."""

    def act(self, folder: Path, mark: Mark, chance: random.Random) -> None:
        """Do the work, and mark what is acknowledged."""

    def check(self, folder: Path, marks: list[str], chance: random.Random) -> list[str]:
        """Open what is left and return what is wrong with it, in words."""


class Again(Enum):
    """What happened between the work and the cut."""

    NOTHING = "cut"
    POWER = "cut, and cut while recovering"
    KILLED = "killed, gone on, cut"


class Result:
    """What a campaign found.

    Attributes
    ----------
    n, n_marks : Counter, int
        Cuts, by `Again`; acknowledgements that were looked for.
    wrong : Counter
        What was wrong, how often.
    told : list[str]
        The first failures in full, each with the words that replay it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.n: Counter[Again] = Counter()
        self.n_logs = self.n_operations = self.n_marks = self.n_failed = 0
        self.wrong: Counter[str] = Counter()
        self.told: list[str] = []

    def tell(self, seed: str, wrong: list[str]) -> None:
        """Take one cut's outcome."""
        if not wrong:
            return
        self.n_failed += 1
        self.wrong.update(one.partition(":")[0] for one in wrong)
        if len(self.told) < MAX_TOLD:
            self.told.append(f"{seed}: {'; '.join(wrong[:4])}")


class Log(NamedTuple):
    """One recording of a work: the folder before with its marks, and what was done to it."""

    before: Disk
    marks: list[str]
    operations: list[Operation]


class Campaign:
    """Cuts of one work.

    Parameters
    ----------
    work : Work
        What is cut.
    shim : Shim
        This process runs under it.
    is_deaf : bool
        The disk only says that it synchronises; for controls.
    """

    def __init__(self, work: Work, shim: Shim, *, is_deaf: bool = False) -> None:
        self._work, self._shim, self._is_deaf = work, shim, is_deaf
        shared = Path("/dev/shm")  # noqa: S108  # a folder in memory
        self._place = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
        self._folder, self._log = self._place / "box", self._place / "log"
        self._folder.mkdir()

    def close(self) -> None:
        """Remove the folder."""
        clear(self._place)
        self._place.rmdir()

    def run(self, n_cuts: int, seed: int) -> Result:
        """Make so many cuts."""
        result = Result(self._work.name)
        for number in range(-(-n_cuts // N_PER_LOG)):
            self._cut_one_log(f"{seed}.{number}", min(N_PER_LOG, n_cuts), result)
            n_cuts -= N_PER_LOG
        return result

    def _cut_one_log(self, seed: str, n_cuts: int, result: Result, only: int | None = None) -> None:
        disk, before, operations = self._record_first(seed)
        result.n_logs += 1
        result.n_operations += len(operations)
        cuts = sorted(
            (_moment(operations, random.Random(f"{seed}/{number}")), number)  # noqa: S311
            for number in range(n_cuts)
        )
        at = 0
        for moment, number in cuts:
            for operation in operations[at:moment]:
                disk.take(operation)
            at = moment
            if only is not None and number != only:
                continue
            marks = [*before, *(o.text for o in operations[:moment] if o.op is Op.MARK)]
            chance = random.Random(f"{seed}/{number}/cut")  # noqa: S311
            again = self._again(number)
            result.n[again] += 1
            result.n_marks += len(marks)
            told = f"{self._work.name} {seed}/{number} ({again.value} at {moment})"
            result.tell(told, self._cut(disk, marks, again, chance))

    def replay(self, seed: str) -> list[str]:
        """Make one cut again, named as a failure names it: ``7.3/42``."""
        log, _, number = seed.partition("/")
        result = Result(self._work.name)
        self._cut_one_log(log, N_PER_LOG, result, int(number))
        return result.told

    def _again(self, number: int) -> Again:
        if number % AGAIN_EVERY == 0:
            return Again.POWER
        return Again.KILLED if number % AGAIN_EVERY == 4 else Again.NOTHING

    def _cut(self, disk: Disk, marks: list[str], again: Again, chance: random.Random) -> list[str]:
        try:
            if again is Again.NOTHING:
                put(_after(disk, chance), self._folder)
            else:
                if again is Again.KILLED:
                    disk = disk.goes_on()
                    disk.put_as_seen(self._folder)
                else:
                    put(_after(disk, chance), self._folder)
                    disk = Disk(self._folder, is_deaf=self._is_deaf)
                operations = self._recorded(chance)
                moment = _moment(operations, chance)
                for operation in operations[:moment]:
                    disk.take(operation)
                marks = [*marks, *(o.text for o in operations[:moment] if o.op is Op.MARK)]
                put(_after(disk, chance), self._folder)
            return self._work.check(self._folder, marks, chance)
        except Exception as error:  # noqa: BLE001  # whatever the real code lets out is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            return [f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"]

    def _record_first(self, seed: str) -> Log:
        chance = random.Random(seed)  # noqa: S311
        clear(self._folder)
        with seeded(chance):
            marks = self._work.prepare(self._folder, chance)
        disk = Disk(self._folder, is_deaf=self._is_deaf)
        return Log(disk, marks, self._recorded(chance))

    def _recorded(self, chance: random.Random) -> list[Operation]:
        self._log.unlink(missing_ok=True)
        self._shim.begin(self._folder, self._log)
        try:
            with seeded(chance):
                self._work.act(self._folder, self._shim.mark, chance)
        finally:
            self._shim.end()
        return read_log(self._log)


def _after(disk: Disk, chance: random.Random) -> Content:
    order = chance.choice(list(Order))
    return disk.after_cut(order, chance.choice([None, *Loss]), chance)


def _moment(operations: list[Operation], chance: random.Random) -> int:
    """Draw where to cut: anywhere, or beside what promises something."""
    if chance.random() < 0.5:
        return chance.randint(0, len(operations))
    telling = [
        at
        for at, one in enumerate(operations)
        if one.op in (Op.MARK, Op.SYNC, Op.SYNC_FOLDER, Op.RENAME, Op.UNLINK)
    ]
    return chance.choice(telling or [0]) + chance.randint(0, 1)


@contextmanager
def seeded(chance: random.Random) -> Iterator[None]:
    """Draw what the real code draws from the system from a seed."""
    fixed = random.Random(chance.random())  # noqa: S311
    with mock.patch.object(os, "urandom", fixed.randbytes):
        yield
