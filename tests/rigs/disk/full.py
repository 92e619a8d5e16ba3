"""A disk that is full, again and again: what was acknowledged stays, alarms are told all the time.

    python -m tests.rigs.disk.full [--cycles 50] [--on ext4|tmpfs|shim]

One monitor lives on a file system of 8 MB. It starts while there is no room at all; then the disk
is filled to the last byte and freed `--cycles` times, and the monitor stops while it is full. A
fall of the saturation comes every `EVERY_S`, so at least one while it is full. In the end: every
fall was told to the annunciators; storing resumed within `RESUME_S` of every freeing;
``cannot_record`` was raised and ended in every cycle, ``disk_low`` too where the file system says
how full it is; the next start finds every acknowledged record, once, and a whole chain.

The disk is the first that can be had: ext4 on a loop device, a tmpfs, or the disk shim, which makes
every write fail for want of room (that needs no root, but nothing tells how full the disk is).
"""

from __future__ import annotations

import argparse
import math
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from edge.config import Config
from edge.store import StoreError
from tests.rigs.disk.checks import LATE_S, Checks, Told, read_witness, unheard
from tests.rigs.disk.home import CONFIG, EVERY_S, Home, falls_s
from tests.rigs.disk.plan import Plan, Pulse, pulse_of
from tests.rigs.disk.room import Mounted, mounted
from tests.rigs.disk.server import Server
from tests.rigs.powercut.shim import build

SPEED = 10.0
FULL_S, FREE_S = 20.0, 16.0
"""How long it is full, and how long there is room, in the monitor's time."""
LAST_S = 14.0
"""At the end it is full for so long, a fall in it, and then the monitor stops."""
RESUME_S = 5.0
KINDS = ("ext4", "tmpfs", "shim")
ASK_S = 0.3
VAULT_BYTES = 0
"""A daemon without a vault of its own: what stands for it here gives up at the first refusal."""
SMALL_STORE = "".join(
    f"[{name}]\n{settings}\n"
    for name, settings in (
        ("store", "ballast_mb = 1\nlow_mb = 0.5"),
        ("vault", "reserve_mb = 0"),
    )
    if name in Config.__struct_fields__
)
SPARED = ("summary",) if "store" in Config.__struct_fields__ else ()
"""With a ballast summaries give way, so that alarms are recorded."""
_FULL = "write:1:ENOSPC:0"
_TURNS = ((0.0, _FULL), (FULL_S, ""))


class Outcome(msgspec.Struct):
    """What came of it."""

    kind: str
    n_cycles: int
    faults: list[str]
    resumed_s: list[float] = []
    n_falls: int = 0
    n_told: int = 0
    raised: dict[str, int] = {}
    ended: dict[str, int] = {}
    n_acknowledged: int = 0
    n_lost: int = 0
    took_s: float = 0.0


class _Clock:
    """Waits for moments of the monitor's time."""

    def __init__(self, pulse: Pulse, server: Server) -> None:
        self._pulse, self._server = pulse, server

    @property
    def now_s(self) -> float:
        return self._pulse.read().now_s

    def wait_for(self, at_s: float, meanwhile: Callable[[], None] | None = None) -> None:
        end = time.monotonic() + 30.0 + (at_s - self.now_s)
        while self.now_s < at_s and time.monotonic() < end and self._server.lives:
            if meanwhile is not None:
                meanwhile()
            time.sleep(0.02)


def live_through(folder: Path, n_cycles: int, kind: str, *, early: bool = False) -> Outcome | None:
    """Let a monitor live on a disk that is filled and freed; None: there is none of this kind.

    Parameters
    ----------
    early : bool
        Control: it acknowledges before it commits.
    """
    began_s = time.monotonic()
    with ExitStack() as stack:
        disk = None if kind == "shim" else stack.enter_context(mounted(folder, kind))
        if disk is None and kind != "shim":
            return None
        n_falls = int((FULL_S + FREE_S) * (n_cycles + 2) / EVERY_S) + 2
        home = Home(
            folder / "home", None if disk is None else disk.at / "data", n_falls=n_falls,
            config=CONFIG + SMALL_STORE,
        )  # fmt: skip
        home.data_dir.mkdir(mode=0o700)
        preload = {"LD_PRELOAD": str(build(folder))} if disk is None else {}
        server = stack.enter_context(Server(preload))
        pulse = stack.enter_context(pulse_of(home.folder / "pulse", fresh=True))
        if disk is None:
            found = _by_shim(home, server, n_cycles, early=early)
        else:
            found = _by_filling(home, server, _Clock(pulse, server), disk, n_cycles)
        found.kind = kind if disk is None else disk.kind
        found.took_s = time.monotonic() - began_s
        return found


def _by_filling(home: Home, server: Server, clock: _Clock, disk: Mounted, n: int) -> Outcome:
    """Fill a file system from outside while a monitor lives on it."""
    disk.fill()
    plan = home.plan(speed=SPEED, ask_every_s=ASK_S, vault_bytes=VAULT_BYTES)
    pid = server.begin(plan)
    phases = []
    for number in range(n + 1):
        full_s = clock.now_s if number else plan.begin_s
        clock.wait_for(plan.begin_s + number * (FULL_S + FREE_S) + FULL_S, disk.fill)
        disk.free()
        phases.append((full_s, clock.now_s))
        clock.wait_for(plan.begin_s + (number + 1) * (FULL_S + FREE_S))
        disk.fill()
    end_s = clock.now_s
    clock.wait_for(end_s + LAST_S, disk.fill)
    if server.lives:
        os.kill(pid, signal.SIGTERM)
    code = server.ended()
    disk.free()
    home.ended(end_s + LAST_S)
    return _judged(home, server, plan, code, phases, end_s)


def _by_shim(home: Home, server: Server, n: int, *, early: bool) -> Outcome:
    """Let every write of a monitor fail for want of room, again and again."""
    length_s = FULL_S + FREE_S
    begin_s = home.begin_s
    acts = [(k * length_s + after_s, spec) for k in range(n + 1) for after_s, spec in _TURNS]
    end_s = (n + 1) * length_s
    plan = home.plan(
        speed=SPEED, ask_every_s=ASK_S, vault_bytes=VAULT_BYTES, early=early,
        fails=_FULL, for_s=end_s + LAST_S,
        acts=(*acts[1:], (end_s, _FULL)),
    )  # fmt: skip
    server.begin(plan)
    code = server.ended()
    home.ended(begin_s + end_s + LAST_S)
    phases = [(begin_s + k * length_s, begin_s + k * length_s + FULL_S) for k in range(n + 1)]
    return _judged(home, server, plan, code, phases, begin_s + end_s)


def _judged(
    home: Home, server: Server, plan: Plan, code: int, phases: Sequence[tuple[float, float]],
    end_s: float,
) -> Outcome:  # fmt: skip
    """Say what came of a life; another start follows, with room."""
    told = read_witness(plan.witness)
    fell_s = [at_s for at_s in falls_s(plan.begin_s, 10_000) if at_s < end_s + LAST_S - LATE_S - 1]
    found = Outcome("", len(phases), list(unheard(told, fell_s)), n_falls=len(fell_s))
    found.n_told = sum(r == "very_low_spo2" and s == "raised" for r, s, _ in told.heard)
    if code != 0:
        found.faults.append(f"exit code {code}")
    checks = Checks(home.data_dir, SPARED)
    checks.after(told, tolerates_holes=True)
    next_plan = home.plan(for_s=15.0, speed=100.0)
    server.begin(next_plan)
    if server.ended() != 0:
        found.faults.append("the next start ends by itself")
    checks.after(read_witness(next_plan.witness), tolerates_holes=True)
    with suppress(StoreError):  # nothing was recorded: then all of it is missing above
        checks.whole()
    said = (home.folder / "monitor.log").read_text(errors="replace")
    if re.search("^Traceback", said, re.MULTILINE):
        found.faults.append(f"an exception: {said[-600:]}")
    found.faults += [*checks.faults, *_technical(told, phases, end_s, found)]
    found.n_acknowledged = sum(checks.n_acknowledged.values())
    found.n_lost = sum(checks.n_lost.values())
    return found


def _technical(
    told: Told, phases: Sequence[tuple[float, float]], end_s: float, found: Outcome
) -> Iterator[str]:
    """Say where storing did not come back in time, or nobody was told that there is no room."""
    ends = [full_s for full_s, _ in phases[1:]] + [end_s]
    for (full_s, free_s), next_s in zip(phases, ends, strict=True):
        back_s = [at_s for _, at_s in told.stored_s if free_s <= at_s < next_s]
        resumed_s = back_s[0] - free_s if back_s else math.inf
        found.resumed_s.append(resumed_s)
        if resumed_s > RESUME_S:
            yield f"full at {full_s:.0f} s: storing came back {resumed_s:.1f} s after the room"
        for rule in ("cannot_record", "disk_low"):
            raised, ended = (
                any(r == rule and s == state and a_s <= at_s < b_s for r, s, at_s in told.heard)
                for state, a_s, b_s in (("raised", full_s, free_s + 1), ("ended", free_s, next_s))
            )
            found.raised[rule] = found.raised.get(rule, 0) + raised
            found.ended[rule] = found.ended.get(rule, 0) + ended


def table(found: Outcome) -> str:
    """Return what is printed."""
    resumed = sorted(found.resumed_s)
    median_s = resumed[len(resumed) // 2]
    return "\n".join(
        [
            f"disk                        {found.kind}",
            f"full and free again         {found.n_cycles} times, the first at the start",
            f"falls; alarms told          {found.n_falls}; {found.n_told}",
            f"storing resumed after       median {median_s:.2f} s, at most {resumed[-1]:.2f} s",
            *(
                f"{rule:13} raised; ended {n}; {found.ended[rule]}"
                for rule, n in found.raised.items()
            ),
            f"acknowledged; lost          {found.n_acknowledged}; {found.n_lost}",
            f"took                        {found.took_s:.0f} s",
            *(f"FAULT {fault}" for fault in found.faults),
        ]
    )


def main() -> int:
    """Run the campaign; 1 where anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="tests.rigs.disk.full")
    parser.add_argument("--cycles", type=int, default=50)
    parser.add_argument("--on", choices=KINDS)
    given = parser.parse_args()
    for kind in (given.on,) if given.on else KINDS:
        with tempfile.TemporaryDirectory() as folder:
            found = live_through(Path(folder), given.cycles, kind)
        if found is None:
            print(f"{kind}: cannot be mounted here (it needs root)")
            continue
        print(table(found))
        return int(bool(found.faults))
    return 1


if __name__ == "__main__":
    sys.exit(main())
