"""What the store asks of the card on an idle day: commits, synchronised writes, bytes.

    python -m tests.bench.store [--hours 24] [--standing]

A day without alarms of one patient: a score every 10 s, a summary a minute and a clock line every
ten, in simulated time, counted by strace (which has to be installed) in a process of its own. With
`--standing` one technical alert stands all day, and what the alert engine remembers is kept every
minute with it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from edge.clock import WallEntry
from edge.daemon.remembering import KEEP_EVERY_S
from edge.records import Outcome
from edge.store import KeptAlerts, Run, Store
from tests.edge.store.test_store import SCORE, alert, summary

RUN = Run("bench", "bench", 0.0, "0", "digest")
HOUR_S, SCORE_S, CLOCK_S = 3_600.0, 10.0, 600.0
STATE_BYTES = 4_000
"""What the engine remembers of a few alerts."""
_CALL = re.compile(r"\b(fsync|fdatasync|write|pwrite64)\(.*\) = (\d+)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.store", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="length of the day")
    parser.add_argument("--standing", action="store_true", help="an alert stands all day")
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.live is not None:
        print(live(chosen.live, chosen.hours * HOUR_S, standing=chosen.standing))
        return
    if shutil.which("strace") is None:
        sys.exit("strace is not installed: apt install strace")
    print("| what | figure |")
    print("| --- | --- |")
    for what, figure in counted(chosen.hours, standing=chosen.standing):
        print(f"| {what} | {figure} |")


def counted(hours: float, *, standing: bool) -> list[tuple[str, str]]:
    """Live a day under strace; return what was asked of the kernel for the files of the store."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        database = Path(folder) / "day" / "homeward.db"
        database.parent.mkdir()
        calls = "trace=fsync,fdatasync,write,pwrite64"
        here = [sys.executable, "-m", "tests.bench.store", "--live", str(database)]
        more = ["--hours", str(hours), *(["--standing"] if standing else [])]
        told = subprocess.run(
            ["strace", "-f", "-y", "-s", "0", "-e", calls, "-o", trace, *here, *more],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        n: Counter[str] = Counter()
        n_bytes = 0
        for line in trace.read_text().splitlines():
            found = _CALL.search(line)
            if found is None or str(database.parent) not in line:
                continue
            n[found[1]] += 1
            n_bytes += int(found[2])
    return [
        (f"commits in {hours:g} h", told.strip()),
        ("synchronised writes", str(n["fsync"] + n["fdatasync"])),
        ("written to the files of the store", f"{n_bytes / 1e6:.1f} MB"),
    ]


def live(path: Path, length_s: float, *, standing: bool) -> int:
    """Live so long without alarms; return how many transactions that took."""
    n_commits, at_s = 0, 0.0
    with Store.begin(path, RUN) as store:
        backlog = store.backlog
        if standing:
            backlog.add(Outcome((alert(),)), 0.0)
        while at_s < length_s:
            records: list[Any] = [SCORE]
            if at_s % 60.0 == 0.0:
                records.append(summary(at_s))
            if at_s % CLOCK_S == 0.0:
                backlog.add_clock(WallEntry("bench", at_s, 1.7e9 + at_s, synchronised=True))
            if standing and at_s % KEEP_EVERY_S == 0.0:
                now = WallEntry("bench", at_s, 1.7e9 + at_s, synchronised=True)
                backlog.keep(KeptAlerts(bytes(STATE_BYTES), now))
            backlog.add(Outcome(tuple(records)), at_s)
            if backlog.due(at_s):
                store.flush(at_s)
                n_commits += 1
            at_s += SCORE_S
    return n_commits


if __name__ == "__main__":
    main()
