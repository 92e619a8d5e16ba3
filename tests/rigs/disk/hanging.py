"""A disk that hangs: the alarms go on, and it is told that nothing is recorded.

    python -m tests.rigs.disk.hanging [--for 30] [--calls sync,write,open,rename]

By the machine's own clocks. `HANG_AT_S` after the start, before the first fall of the saturation,
the next call of a kind below the data directory does not come back for so long. Meanwhile: the
ticks come at their time, both falls are told to the annunciators, the recorder says since when it
has been writing, ``cannot_record`` is raised, and ends when the disk is back; then all is stored.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec

from edge.pipeline import TICK_S
from tests.rigs.disk.checks import Checks, Told, read_witness, unheard
from tests.rigs.disk.home import EVERY_S, Home, falls_s
from tests.rigs.disk.server import Server
from tests.rigs.powercut.shim import build

HANG_AT_S = 3.0
AFTER_S = 8.0
LATE_P99_S = TICK_S
"""A tick may be late by so much, one in a hundred by more: what the pipeline makes up for."""


class Hang(msgspec.Struct):
    """What came of one hang."""

    call: str
    for_s: float
    faults: list[str]
    n_falls: int = 0
    late_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Median, 99 in a hundred, the worst while it hangs."""
    n_struck: int = 0
    writing_for_s: float = 0.0
    raised: bool = False
    ended: bool = False
    n_unwritten: int = 0


def hang(folder: Path, call: str, for_s: int) -> Hang:
    """Let one call of a monitor hang."""
    n_falls = int((HANG_AT_S + for_s + AFTER_S) / EVERY_S) + 1
    home = Home(folder / "home", n_falls=n_falls)
    home.data_dir.mkdir(mode=0o700)
    life_s = HANG_AT_S + for_s + AFTER_S
    with Server({"LD_PRELOAD": str(build(folder))}) as server:
        spec = f"{call}:1:HANG{for_s}"
        plan = home.plan(speed=0.0, for_s=life_s, fails="", acts=((HANG_AT_S, spec),))
        server.begin(plan)
        code = server.ended()
    told = read_witness(plan.witness)
    found = Hang(call, for_s, [], n_struck=told.n_struck)
    if code != 0:
        found.faults.append(f"exit code {code}")
    due_s = [at_s for at_s in falls_s(told.started_s, n_falls) if at_s + 5.0 < told.ticks_s[-1]]
    found.n_falls = len(due_s)
    found.faults += unheard(told, due_s)
    _look_at_ticks(found, told)
    _look_at_words(found, told)
    checks = Checks(home.data_dir)
    checks.after(told, tolerates_holes=True)
    checks.whole()
    found.n_unwritten = len(told.made["alert"]) - checks.n_stored["alert"]
    found.faults += checks.faults
    if found.n_unwritten:
        found.faults.append(f"{found.n_unwritten} alerts are not stored after it came back")
    return found


def _look_at_ticks(found: Hang, told: Told) -> None:
    began_s = told.started_s + HANG_AT_S
    late = []
    for before_s, at_s in zip(told.ticks_s, told.ticks_s[1:], strict=False):
        if began_s <= at_s <= began_s + found.for_s:
            late.append(max(0.0, at_s - (before_s // TICK_S + 1) * TICK_S))
    late.sort()
    found.late_s = (late[len(late) // 2], late[int(0.99 * (len(late) - 1))], late[-1])
    if found.late_s[1] > LATE_P99_S:
        found.faults.append(f"one tick in a hundred is late by more than {found.late_s[1]:.3f} s")


def _look_at_words(found: Hang, told: Told) -> None:
    said = [(state, at_s) for rule, state, at_s in told.heard if rule == "cannot_record"]
    found.raised = any(state == "raised" for state, _ in said)
    found.ended = any(state == "ended" for state, _ in said)
    if told.writing_s:
        found.writing_for_s = (
            min(
                (at_s for asked_s, at_s in told.stored_s if at_s > told.writing_s[0]),
                default=told.ticks_s[-1],
            )
            - told.writing_s[0]
        )
    if not told.n_struck:
        found.faults.append("nothing hung")
        return
    if not found.raised or not found.ended:
        found.faults.append(f"cannot_record: {said}")
    if not told.writing_s:
        found.faults.append("the recorder did not say that a write has not come back")


def table(hangs: list[Hang]) -> str:
    """Return what is printed."""
    lines = ["call     hung  falls  late: median    p99    max   writing_since   told   unwritten"]
    for one in hangs:
        median_s, p99_s, most_s = (1000 * late_s for late_s in one.late_s)
        told = "ended" if one.ended else "raised" if one.raised else "no"
        lines.append(
            f"{one.call:8} {one.for_s:3.0f} s {one.n_falls:6} {median_s:9.1f} ms {p99_s:6.1f} "
            f"{most_s:6.1f} {one.writing_for_s:13.1f} s {told:>6} {one.n_unwritten:11}"
        )
        lines += [f"FAULT {fault}" for fault in one.faults]
    return "\n".join(lines)


def main() -> int:
    """Run the campaign; 1 where anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="tests.rigs.disk.hanging")
    parser.add_argument("--for", dest="for_s", type=int, default=30)
    parser.add_argument("--calls", default="sync,write,open,rename")
    given = parser.parse_args()
    hangs = []
    for call in given.calls.split(","):
        with tempfile.TemporaryDirectory() as folder:
            hangs.append(hang(Path(folder), call, given.for_s))
    print(table(hangs))
    return int(any(one.faults for one in hangs))


if __name__ == "__main__":
    sys.exit(main())
