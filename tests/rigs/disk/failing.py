"""The k-th call to the disk fails, for every k: the monitor goes on, and alarms.

    python -m tests.rigs.disk.failing [--what EIO,ENOSPC,SHORT] [--every 1] [--part 1/2] [--times 1]
                                      [--story first,next] [--show 20]

A monitor lives for half a minute under the disk shim (`tests.rigs.powercut`), so that SQLite's
calls fail as Python's do: it starts on an empty folder with all migrations (story ``first``), or on
the folder of three lives before (``next``: resuming, checking, a vault that has to give up its
oldest); two falls of the saturation, limits that somebody changes, a self-test with its proof of
the disk, summaries, segments of the vault that end and begin, an orderly stop. In life k the k-th
call below the data directory fails (``--times 5``: five calls from the k-th on; 0: all).

After each life: it ended in order and with code 0; no exception was left to itself; both alarms
were told to the annunciators, at their time; what was acknowledged is there, once, in order; the
database opens, is not put aside, and its chain is whole.
"""

from __future__ import annotations

import argparse
import copy
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from edge.store import DATABASE, Run, Store, StoreError
from tests.rigs.disk.checks import Checks, Told, read_witness, unheard
from tests.rigs.disk.home import Home, falls_s
from tests.rigs.disk.server import CRASHED, Server
from tests.rigs.powercut.shim import build

SPEED, LIFE_S = 150.0, 26.0
N_FALLS = 2
ACTS = ((5.0, "limits"), (10.0, "selftest"))
VAULT_BYTES = 150_000
"""The vault gives up its oldest segments beyond this."""
CALLS = ("write", "sync", "open", "rename", "truncate", "unlink", "mkdir", "read")
RESTARTS = 3
"""A monitor that ends with words at its start is started again, as systemd does."""


class Life(msgspec.Struct):
    """What came of one life."""

    spec: str
    faults: list[str]
    n_struck: int = 0
    n_refused: int = 0
    n_unwritten: int = 0
    n_unkept: int = 0
    """Packets that are not in the vault."""
    rules: set[str] = set()
    """Of the alerts that were told."""


class Stage:
    """Where lives begin from the same folder, each for itself.

    Parameters
    ----------
    folder : Path
        Of the rig.
    story : str
        ``first`` or ``next``.
    """

    def __init__(self, folder: Path, story: str, server: Server) -> None:
        self._home = Home(folder / story, n_falls=N_FALLS)
        self._server = server
        self._seed = folder / f"{story}-seed"
        self._seed.mkdir(mode=0o700)
        self._home.data_dir.mkdir(mode=0o700)
        self._checks = Checks(self._home.data_dir)
        for _ in range(3 if story == "next" else 0):
            told, code = self._live("")
            if code != 0:
                raise RuntimeError(f"a monitor does not live on a sound disk: {self._log()}")
            self._checks.after(told, tolerates_holes=True)
        self._seed.rmdir()
        shutil.copytree(self._home.data_dir, self._seed, symlinks=True)

    def play(self, spec: str) -> Life:
        """Let one monitor live with a disk that fails so; say what is not as it must be."""
        self._begin_anew()
        told, code = self._live(spec)
        life = Life(spec, [], told.n_struck)
        checks = copy.deepcopy(self._checks)
        while code == 1 and not told.heard and life.n_refused < RESTARTS:
            life.n_refused += 1
            checks.after(told, tolerates_holes=True)
            told, code = self._live("")
        said = self._log()
        # What is caught and told stands in a line of the log; what nobody caught begins one.
        if code == CRASHED or re.search("^Traceback", said, re.MULTILINE):
            life.faults.append(f"an exception: {_last_of(said)}")
        if code != 0:
            life.faults.append(f"exit code {code}")
        life.rules = {rule for rule, *_ in told.heard}
        life.faults += unheard(told, falls_s(self._home.begin_s, N_FALLS))
        life.n_unwritten = len(told.made["alert"])
        checks.n_stored.clear()
        checks.after(told, tolerates_holes=True)
        life.n_unwritten -= checks.n_stored["alert"]
        life.n_unkept = len(told.packets) - checks.n_stored["packet"]
        life.faults += [*checks.faults, *self._opened()]
        return life

    def count(self) -> Mapping[str, int]:
        """Return how many calls of each kind a life makes."""
        self._begin_anew()
        return self._live("")[0].calls

    def _begin_anew(self) -> None:
        shutil.rmtree(self._home.data_dir)
        shutil.copytree(self._seed, self._home.data_dir, symlinks=True)
        self._home.data_dir.chmod(0o700)

    def _live(self, spec: str) -> tuple[Told, int]:
        self._home.ended(self._home.begin_s + LIFE_S)
        plan = self._home.plan(
            for_s=LIFE_S, speed=SPEED, fails=spec, acts=ACTS, vault_bytes=VAULT_BYTES
        )
        self._server.begin(plan)
        code = self._server.ended()
        told = read_witness(plan.witness)
        plan.witness.unlink(missing_ok=True)
        return told, code

    def _log(self) -> str:
        log = self._home.folder / "monitor.log"
        said = log.read_text(errors="replace")
        log.unlink()
        return said

    def _opened(self) -> Iterator[str]:
        """Open the database as the next start would."""
        path = self._home.data_dir / DATABASE
        try:
            with Store.begin(path, Run("next", "boot", 0.0, "0", "digest")) as store:
                if store.moved_aside is not None:
                    yield f"put aside: {store.moved_aside}"
            whole = Checks(self._home.data_dir)
            whole.whole()
            yield from whole.faults
        except StoreError as error:
            yield f"it does not open again: {error}"


def _last_of(said: str) -> str:
    at = said.rfind("Traceback")
    return said[at:][-700:] if at >= 0 else said[-700:]


def specs_of(calls: Mapping[str, int], whats: Iterable[str], times: int) -> Iterator[str]:
    """Give what is to fail, call by call."""
    for kind in CALLS:
        for what in whats:
            if what == "SHORT" and kind not in ("write", "read"):
                continue
            for k in range(1, calls.get(kind, 0) + 1):
                yield f"{kind}:{k}:{what}:{times}"


def sweep(stage: Stage, specs: Sequence[str]) -> list[Life]:
    """Play them all."""
    return [stage.play(spec) for spec in specs]


def table(lives: Sequence[Life]) -> str:
    """Return what is printed: by kind of call and of failure."""
    lines = ["call      fails with   lives   struck   refused   unwritten   unkept   faulty"]
    kinds: dict[tuple[str, str], list[Life]] = {}
    for life in lives:
        kind, _, what, *_ = life.spec.split(":")
        kinds.setdefault((kind, what), []).append(life)
    for (kind, what), group in kinds.items():
        lines.append(
            f"{kind:9} {what:10} {len(group):7} {sum(x.n_struck > 0 for x in group):8} "
            f"{sum(x.n_refused > 0 for x in group):9} {sum(x.n_unwritten > 0 for x in group):11} "
            f"{sum(x.n_unkept > 0 for x in group):8} {sum(bool(x.faults) for x in group):8}"
        )
    return "\n".join(lines)


def faults_of(lives: Sequence[Life], n_shown: int) -> str:
    """Return the first faults in words, and how often each kind came."""
    faulty = [life for life in lives if life.faults]
    lines = [f"{life.spec}: {'; '.join(life.faults)}" for life in faulty[:n_shown]]
    kinds = Counter(
        re.sub(r"run \w+: |/\S*/", "", fault)[:70] for life in faulty for fault in life.faults
    )
    return "\n".join([*lines, *(f"{n:5} x {what}" for what, n in kinds.most_common(20))])


def main() -> int:
    """Sweep; 1 where anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="tests.rigs.disk.failing")
    parser.add_argument("--what", default="EIO,ENOSPC,SHORT")
    parser.add_argument("--only", default=",".join(CALLS))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--story", default="first,next")
    parser.add_argument("--show", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    lives, began_s = [], time.monotonic()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        with Server({"LD_PRELOAD": str(build(folder))}) as server:
            for story in given.story.split(","):
                stage = Stage(folder, story, server)
                calls = {k: n for k, n in stage.count().items() if k in given.only.split(",")}
                specs = list(specs_of(calls, given.what.split(","), given.times))
                lives += sweep(stage, specs[part - 1 :: parts * given.every])
    print(table(lives))
    print(faults_of(lives, given.show))
    print(f"{len(lives)} lives in {time.monotonic() - began_s:.0f} s")
    return int(any(life.faults for life in lives))


if __name__ == "__main__":
    sys.exit(main())
