"""What the encryption of the records costs, by page size: bytes and processor of an idle day.

    python -m tests.bench.encryption [--dir FOLDER] [--commits 400]

The day is what a monitor without alarms writes in 24 h: a score every 10 s, a summary a minute, a
clock line every ten, committed every minute and every ten minutes. Bytes are what the process gave
to the kernel (``wchar``), which does not depend on the disk; the whole file is folded in at the
end. CPU is that of the thread, medians. The rows without encryption are the control.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

from edge.clock import WallEntry
from edge.records import Outcome
from edge.store import Run, Store, cipher, database
from edge.store.database import connect
from tests.edge.store.test_store import SCORE, alert, summary

RUN = Run("bench", "bench", 0.0, "0", "digest")
DAY_S, SCORE_S, CLOCK_S = 86_400.0, 10.0, 600.0
PAGES = (1024, 2048, 4096)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.encryption", description=__doc__)
    parser.add_argument("--dir", type=Path, default=None, help="where the days are written")
    parser.add_argument("--commits", type=int, default=400, help="commits that are timed")
    chosen = parser.parse_args()
    print("| pages | day, a commit a minute | every ten | CPU of both | one alert | open |")
    print("| --- | --- | --- | --- | --- | --- |")
    for page_bytes in PAGES:
        for encrypted in (False, True):
            name = f"{page_bytes} B{', encrypted' if encrypted else ''}"
            cells = measured(chosen.dir, page_bytes, chosen.commits, encrypted=encrypted)
            print("| {} | {} | {} | {} | {} | {} |".format(name, *cells), flush=True)


def measured(folder: Path | None, page_bytes: int, n: int, *, encrypted: bool) -> Iterator[str]:
    with ExitStack() as stack:
        for module in (cipher, database):
            stack.enter_context(patch.object(module, "PAGE_BYTES", page_bytes))
        if not encrypted:
            stack.enter_context(patch.object(database, "apply_key", lambda _c, _k: None))
            stack.enter_context(patch.object(database, "unencrypted_because", lambda _c: ""))
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        spent = 0.0
        for every_s in (60.0, 600.0):
            n_bytes, cpu_s = day(place / f"{every_s:.0f}.db", every_s)
            spent += cpu_s
            yield f"{n_bytes / 1e6:.1f} MB"
        yield f"{spent:.2f} s"
        yield f"{one_alert_us(place / 'alerts.db', n):.0f} us"
        yield f"{open_ms(place / '60.db'):.1f} ms"


def day(path: Path, every_s: float) -> tuple[int, float]:
    """Live a day without alarms."""
    with Store.begin(path, RUN) as store:
        began, began_s = written(), time.thread_time()
        at_s = 0.0
        while at_s < DAY_S:
            records: list[Any] = [SCORE]
            if at_s % 60.0 == 0.0:
                records.append(summary(at_s))
            if at_s % CLOCK_S == 0.0:
                entry = WallEntry("bench", at_s, 1.7e9 + at_s, synchronised=True)
                store.backlog.add_clock(entry)
            store.backlog.add(Outcome(tuple(records)), at_s)
            at_s += SCORE_S
            if at_s % every_s == 0.0:
                store.flush(at_s)
        store._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return written() - began, time.thread_time() - began_s


def one_alert_us(path: Path, n: int) -> float:
    spent = []
    with Store.begin(path, RUN) as store:
        for number in range(n):
            began_s = time.thread_time()
            store.add(Outcome((alert(number),)), 1.0)
            spent.append(time.thread_time() - began_s)
    return 1e6 * statistics.median(spent)


def open_ms(path: Path) -> float:
    spent = []
    for _ in range(20):
        began_s = time.thread_time()
        with closing(connect(path, read_only=True)):
            spent.append(time.thread_time() - began_s)
    return 1e3 * statistics.median(spent)


def written() -> int:
    """Return how many bytes this process has given to the kernel to be written."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


if __name__ == "__main__":
    main()
