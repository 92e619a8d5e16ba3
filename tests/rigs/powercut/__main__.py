"""Power cuts over the real store, vault and small files.

    python -m tests.rigs.powercut --cuts 10000       as in CI (90 s); 1000000 before a release
    python -m tests.rigs.powercut --replay vault 1.7/52

Prints one table, and ends with 1 where anything was lost, half there, taken for damage or for
tampering, or where a control (a store, a vault, a disk that is broken on purpose) was not caught.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import structlog

from tests.rigs.powercut.cutting import Again, Campaign, Result, Work
from tests.rigs.powercut.files_work import FilesNotSynced, FilesWork
from tests.rigs.powercut.shim import NoShimError, Shim, build, environment
from tests.rigs.powercut.store_variants import (
    AckFirst,
    DamagedStore,
    HeadInPlace,
    HeadNotSynced,
    NormalSync,
    PlainStore,
)
from tests.rigs.powercut.store_work import StoreWork
from tests.rigs.powercut.vault_work import VaultNotSynced, VaultWork

SHARES = (
    (StoreWork(), 0.4),
    (PlainStore(), 0.1),
    (DamagedStore(), 0.1),
    (VaultWork(), 0.25),
    (FilesWork(), 0.15),
)
CONTROLS = (
    *((work, False) for work in (NormalSync(), AckFirst(), HeadInPlace(), HeadNotSynced())),
    *((work, False) for work in (VaultNotSynced(), FilesNotSynced())),
    (StoreWork(), True),
    (VaultWork(), True),
)
"""And whether the disk lies."""
N_CONTROL = 150
"""Cuts of a control: one that is not caught in so many is no control."""


def campaign(work: Work, shim: Shim, n: int, seed: int, *, is_deaf: bool = False) -> Result:
    """Cut one work so many times."""
    one = Campaign(work, shim, is_deaf=is_deaf)
    try:
        result = one.run(n, seed)
    finally:
        one.close()
    if is_deaf:
        result.name = f"control: {work.name} on a disk that lies"
    return result


def line(result: Result, took_s: float) -> str:
    """Return one line of the table."""
    n = sum(result.n.values())
    parts = " ".join(f"{result.n[again]:>8}" for again in Again)
    said = ", ".join(f"{what} {k}" for what, k in result.wrong.most_common(4)) or "-"
    return (
        f"{result.name:42} {n:>8} {parts} {result.n_logs:>6} {result.n_operations:>8} "
        f"{result.n_marks:>9} {result.n_failed:>6} {1000.0 * took_s / n:>6.1f}  {said}"
    )


HEADING = (
    f"{'':42} {'cuts':>8} {'once':>8} {'twice':>8} {'killed':>8} {'logs':>6} {'changes':>8} "
    f"{'promises':>9} {'wrong':>6} {'ms/cut':>6}"
)


def run(n_cuts: int, seed: int, only: str) -> int:
    """Run everything, and return 1 where a bar is missed."""
    shim, missed = Shim(), 0
    print(HEADING)
    plan: list[tuple[Work, int, bool, bool]] = [
        *((work, max(1, round(n_cuts * share)), False, False) for work, share in SHARES),
        *((work, N_CONTROL, is_deaf, True) for work, is_deaf in CONTROLS),
    ]
    for work, n, is_deaf, is_control in plan:
        if only not in work.name:
            continue
        began_s = time.process_time()
        result = campaign(work, shim, n, seed, is_deaf=is_deaf)
        print(line(result, time.process_time() - began_s), flush=True)
        if is_control != bool(result.n_failed):
            missed += 1
            print("    NOT CAUGHT" if is_control else "\n".join(f"    {t}" for t in result.told))
    return int(missed > 0)


def replay(name: str, seed: str) -> int:
    """Make one cut again, and say what was wrong."""
    (work,) = [work for work, _ in SHARES if work.name == name]
    one = Campaign(work, Shim())
    try:
        told = one.replay(seed)
    finally:
        one.close()
    print("\n".join(told) or "nothing is wrong")
    return int(bool(told))


def main() -> int:
    """Run under the shim: first this calls itself again with it."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--cuts", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", default="", help="works whose name holds this")
    options.add_argument("--replay", nargs=2, metavar=("WORK", "SEED"))
    given = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        Shim()
    except NoShimError:
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, "-m", "tests.rigs.powercut", *sys.argv[1:]]
            under = environment(build(Path(folder)))
            return subprocess.run(words, env=under, check=False).returncode
    return replay(*given.replay) if given.replay else run(given.cuts, given.seed, given.only)


if __name__ == "__main__":
    sys.exit(main())
