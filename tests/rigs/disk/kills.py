"""kill -9 of the running monitor in the midst of writing, again and again, on one data directory.

    python -m tests.rigs.disk.kills [--kills 1000] [--seed 1] [--early]

A monitor is killed at a random moment after it was told that an alert is stored, and the kill
counts only where its recorder was writing at that moment. One in ten is killed at any moment from
its birth on, and does not count. After each: every record that was acknowledged is there, once, in
its order and as it was made; no number is left out; nothing was put aside as damaged; the vault
holds every packet that was due, in order. Every `VERIFY_EVERY` kills and at the end the chain is
read through. Control (``--early``): a monitor that acknowledges before it commits is caught losing.

What this proves is about the process: after kill -9 the kernel still writes what it was given. For
power cuts see `tests.rigs.powercut`.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.rigs.disk.checks import Checks, read_witness
from tests.rigs.disk.home import Home
from tests.rigs.disk.plan import Pulse, pulse_of
from tests.rigs.disk.server import Server

VERIFY_EVERY = 100
SPEED = 400.0
BORN_S, LIVED_S, WRITES_S = 20.0, 0.15, 1.0
"""A monitor has acknowledged something by then; lives so long after it at most; writes again."""
EARLY_EVERY = 10
VAULT_BYTES = 30_000_000
"""Each life has alarms, whose minutes outlive what is younger: with little room the vault gives up
segments of the last life for them, as it should, and this rig would call that a loss."""
PATIENCE = 20
"""Lives for each kill that counts, at most."""


class Campaign(msgspec.Struct):
    """What came of many kills."""

    n_kills: int = 0
    n_in_writing: int = 0
    n_at_the_start: int = 0
    n_acknowledged: dict[str, int] = {}
    n_stored: dict[str, int] = {}
    n_lost: dict[str, int] = {}
    faults: list[str] = []
    took_s: float = 0.0

    @property
    def lost(self) -> int:
        """Records and packets that were acknowledged and are not there."""
        return sum(self.n_lost.values())


def kill_again_and_again(
    folder: Path, n_kills: int, *, seed: int = 1, early: bool = False
) -> Campaign:
    """Kill monitors until `n_kills` of them were in the midst of writing."""
    chance = random.Random(seed)  # noqa: S311
    home, done, began_s = Home(folder), Campaign(), time.monotonic()
    checks = Checks(home.data_dir)
    with Server() as server, pulse_of(home.folder / "pulse", fresh=True) as pulse:
        while done.n_in_writing < n_kills and done.n_kills < PATIENCE * n_kills:
            at_the_start = done.n_kills % EARLY_EVERY == EARLY_EVERY - 1
            plan = home.plan(speed=SPEED, early=early, vault_bytes=VAULT_BYTES)
            pid = server.begin(plan)
            if at_the_start:
                time.sleep(chance.uniform(0.0, LIVED_S))
            else:
                _wait_for_writing(pulse, chance)
            os.kill(pid, signal.SIGKILL)
            code = server.ended()
            last = pulse.read()
            home.ended(max(last.now_s, home.begin_s))
            done.n_kills += 1
            done.n_at_the_start += at_the_start
            done.n_in_writing += last.writing and last.n_stored > 0 and not at_the_start
            if code != -signal.SIGKILL:
                checks.faults.append(f"life {home.n_lives} ended by itself: {code}")
            checks.after(read_witness(plan.witness))
            plan.witness.unlink(missing_ok=True)
            if done.n_kills % VERIFY_EVERY == 0:
                checks.whole()
                print(f"{done.n_in_writing} of {n_kills}, {len(checks.faults)} faults", flush=True)
            if len(checks.faults) > 10:
                break
    checks.whole()
    done.took_s, done.faults = time.monotonic() - began_s, checks.faults
    done.n_acknowledged = dict(checks.n_acknowledged)
    done.n_stored, done.n_lost = dict(checks.n_stored), dict(checks.n_lost)
    return done


def _wait_for_writing(pulse: Pulse, chance: random.Random) -> None:
    """Wait until something was acknowledged, then a while, then until the recorder writes."""
    _until(lambda: pulse.read().n_stored > 0, BORN_S)
    time.sleep(chance.uniform(0.0, LIVED_S))
    _until(lambda: not pulse.read().writing, WRITES_S)
    _until(lambda: pulse.read().writing, WRITES_S)
    # A commit takes a millisecond or two: any part of it.
    _until(lambda: False, chance.uniform(0.0, 0.002))


def _until(true: object, limit_s: float) -> None:
    end_s = time.monotonic() + limit_s
    while not true() and time.monotonic() < end_s:  # type: ignore[operator]
        time.sleep(0.0003)  # as short as the kernel makes it, and no core is taken


def table(done: Campaign) -> str:
    """Return what is printed."""
    each_ms = 1000 * done.took_s / max(done.n_kills, 1)
    lines = [
        f"kills                 {done.n_kills}",
        f"  in mid-write        {done.n_in_writing}",
        f"  at the start        {done.n_at_the_start}",
        f"took                  {done.took_s:.0f} s, {each_ms:.0f} ms a kill",
        "kind           acknowledged     found      lost",
    ]
    lines += [
        f"{kind:14} {done.n_acknowledged[kind]:12} {done.n_stored[kind]:9} "
        f"{done.n_lost.get(kind, 0):9}"
        for kind in done.n_acknowledged
    ]
    lines += [f"FAULT {fault}" for fault in done.faults]
    return "\n".join(lines)


def main() -> int:
    """Run the campaign; 1 where anything acknowledged is lost."""
    parser = argparse.ArgumentParser(prog="tests.rigs.disk.kills")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--early", action="store_true")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        done = kill_again_and_again(Path(folder), given.kills, seed=given.seed, early=given.early)
    print(table(done))
    return int(bool(done.faults))


if __name__ == "__main__":
    sys.exit(main())
