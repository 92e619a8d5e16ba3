"""The disk shim sees every change of files, in order, and fails exactly the calls it is told to."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rigs.powercut.disk import Content, Disk, Order, put
from tests.rigs.powercut.file_bytes import Loss
from tests.rigs.powercut.oplog import Op, Operation, read_log
from tests.rigs.powercut.shim import NoShimError, build, environment

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build(tmp_path_factory.mktemp("shim"))
    except NoShimError as error:
        pytest.skip(str(error))


def python(words: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *words],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Odd(NamedTuple):
    """A folder that was changed in every way, and what the shim says of it."""

    folder: Path
    disk: Disk
    log: list[Operation]
    counts: dict[str, int]


@pytest.fixture(scope="module")
def odd(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Odd:
    folder, log = tmp_path_factory.mktemp("odd"), tmp_path_factory.mktemp("log") / "log"
    (folder / "before").write_bytes(b"there before")
    disk = Disk(folder)
    counts = python(
        ["-m", "tests.rigs.powercut.odd_calls", str(folder), str(log)], environment(library)
    )
    found = read_log(log)
    for operation in found:
        disk.take(operation)
    return Odd(folder, disk, found, json.loads(counts))


def seen(folder: Path) -> Content:
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def test_what_the_log_tells_is_what_is_there(odd: Odd) -> None:
    """Nothing escapes: the log alone gives every name, and every file byte for byte."""
    assert odd.disk.holds() == seen(odd.folder)
    assert len(seen(odd.folder)) > 15


def test_marks_stand_where_they_were_made(odd: Odd) -> None:
    marks = [at for at, one in enumerate(odd.log) if one.op is Op.MARK]
    assert [odd.log[at].text for at in marks] == [f"ack {n}" for n in range(5)]
    for at in marks:
        # Acknowledged means forced out: SQLite's log, then the head beside it.
        ops = [one.op for one in odd.log[at - 8 : at]]
        assert ops.count(Op.SYNC) >= 2 or at == marks[0]


def test_what_is_counted_is_what_is_written_down(odd: Odd) -> None:
    told = [one.op for one in odd.log]
    assert odd.counts["write"] == told.count(Op.WRITE)
    assert odd.counts["sync"] == told.count(Op.SYNC) + told.count(Op.SYNC_FOLDER)
    assert odd.counts["rename"] == told.count(Op.RENAME)


@pytest.mark.parametrize("order", Order)
def test_a_cut_after_everything_was_forced_out_loses_nothing(tmp_path: Path, order: Order) -> None:
    disk = Disk(tmp_path)
    name = str(tmp_path / "f")
    for one in (
        Operation(Op.OPEN, 1, 7, 0, name, b""),
        Operation(Op.WRITE, 0, 7, 0, "", b"x" * 3000),
        Operation(Op.SYNC, 0, 7, 0, "", b""),
        Operation(Op.SYNC_FOLDER, 0, 0, 0, str(tmp_path), b""),
    ):
        disk.take(one)
    for seed in range(50):
        assert disk.after_cut(order, None, random.Random(seed)) == {"f": b"x" * 3000}  # noqa: S311


def test_a_cut_before_may_lose_what_a_real_disk_may_lose(tmp_path: Path) -> None:
    put({"f": b"o" * 2048}, tmp_path)
    old, new = str(tmp_path / "f"), str(tmp_path / "f.new")
    disk = Disk(tmp_path)
    for one in (
        Operation(Op.OPEN, 1, 7, 0, new, b""),
        Operation(Op.WRITE, 0, 7, 0, "", b"n" * 2048),
        Operation(Op.RENAME, 0, 0, 0, new, old.encode()),
    ):
        disk.take(one)
    chance = random.Random(1)  # noqa: S311
    held = [disk.after_cut(Order.JOURNAL, None, chance) for _ in range(300)]
    whole = {frozenset(one.items()) for one in held}
    assert frozenset({("f", b"o" * 2048)}) in whole
    assert frozenset({("f", b"n" * 2048)}) in whole
    assert frozenset({("f", b"")}) in whole  # renamed, and its bytes never written
    assert frozenset({("f", b"o" * 2048), ("f.new", b"")}) in whole
    torn = [one["f"] for one in held if len(set(one["f"] or b"")) > 1]
    assert torn  # sectors of it, or junk
    assert all(one.get("f") is not None for one in held)  # a rename is whole or not at all
    kept = disk.after_cut(Order.ANY, Loss.ALL_KEPT, chance)
    assert kept["f"] in {b"o" * 2048, b"n" * 2048}


FAULTS = """
import errno, os, sys
from pathlib import Path
folder = Path(sys.argv[1])
def told(do):
    try:
        return do()
    except OSError as error:
        return errno.errorcode[error.errno]
fd = os.open(folder / "f", os.O_CREAT | os.O_RDWR)
print([told(lambda: os.write(fd, b"12345678")) for _ in range(4)],
      [told(lambda: os.fsync(fd)) for _ in range(4)],
      told(lambda: os.ftruncate(fd, 2)),
      told(lambda: (folder / "f").rename(folder / "g").name),
      told(lambda: os.close(os.open(folder / "g", os.O_RDONLY))), sep="|")
"""
N = "None, None, None, None"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", "[8, 8, 8, 8]|[N]|None|g|None"),
        ("write:2:EIO", "[8, 'EIO', 8, 8]|[N]|None|g|None"),
        ("write:3:SHORT", "[8, 8, 4, 8]|[N]|None|g|None"),
        ("write:2:ENOSPC:0", "[8, 'ENOSPC', 'ENOSPC', 'ENOSPC']|[N]|None|g|None"),
        ("sync:2:EIO:2", "[8, 8, 8, 8]|[None, 'EIO', 'EIO', None]|None|g|None"),
        ("truncate:1:ENOSPC;rename:1:EROFS", "[8, 8, 8, 8]|[N]|ENOSPC|EROFS|ENOENT"),
        ("any:8:EIO", "[8, 8, 8, 8]|[None, None, 'EIO', None]|None|g|None"),
        ("open:1:EIO@/g", "[8, 8, 8, 8]|[N]|None|g|EIO"),
        ("write:1:EIO@/nothing", "[8, 8, 8, 8]|[N]|None|g|None"),
    ],
)  # fmt: skip
def test_exactly_the_calls_fail_that_are_told_to(library, tmp_path, spec, expected) -> None:
    env = environment(library, under=tmp_path, fail=spec)
    assert python(["-c", FAULTS, str(tmp_path)], env).strip() == expected.replace("[N]", f"[{N}]")


def test_a_call_outside_the_folder_never_fails(library, tmp_path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    env = environment(library, under=inside, fail="any:1:EIO:0")
    told = python(["-c", FAULTS, str(outside)], env).strip()
    assert told == f"[8, 8, 8, 8]|[{N}]|None|g|None"


def test_a_spec_that_is_not_understood_ends_the_program(library, tmp_path) -> None:
    env = environment(library, under=tmp_path, fail="write:often:EIO")
    done = subprocess.run([sys.executable, "-c", ""], env=env, capture_output=True, check=False)
    assert done.returncode != 0
    assert b"not understood" in done.stderr
