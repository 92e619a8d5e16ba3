"""How fast one sender settles alerts: outbox, ledger, broker, receiver, receipt, settled.

    python -m tests.bench.sync [--entries 5000] [--repeats 3]

The real `homeward run`, `homeward sync` and `homeward receive`, and a mosquitto here. The receiver
syncs to the disk before it answers, every message is told to the ledger before it leaves; time
runs from the first arrival to the last, so that starting is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.__main__ import show
from tests.rigs.net.broker import Broker
from tests.rigs.net.programs import cpu_s
from tests.rigs.net.proxy import Proxy
from tests.rigs.sync.drain import World
from tests.rigs.sync.outage import fill, outbox
from tests.rigs.sync.processes import BOX

MOST_S = 300.0


def once(folder: Path, n: int, *, ours: bool) -> dict[str, object]:
    """Measure one drain."""
    fill(folder / "data", n, summaries=False)
    broker = Broker(folder / "broker", keeping="nothing")
    broker.start()
    with Proxy(broker.port) as link:
        world = World(folder, link, broker, ours=ours)
        link.be()
        try:
            world.start()
            first = _wait(world, 1)
            last = _wait(world, n)
            used_s = [cpu_s(one.pid) for one in (world.core, world.sender)]
            time.sleep(2.0)  # the last receipts
            world.sender.weigh()
        finally:
            world.stop()
            broker.stop()
        n_came = len(world.receiver.known)
    _, settled = outbox(folder / "data", BOX)
    return {
        "alerts": n,
        "alerts/s": round((n_came - 1) / (last - first)),
        "settled": len(settled),
        "arrivals": len(world.receiver.came),
        "connections": len(link.passed),
        "monitor's cpu s": round(used_s[0], 1),
        "sender's cpu s": round(used_s[1], 1),
        "sender MB": round(world.sender.most_kb / 1024, 1),
    }


def _wait(world: World, n: int) -> float:
    begin_s = time.monotonic()
    while len(world.receiver.known) < n:
        if time.monotonic() - begin_s > MOST_S:
            raise SystemExit(f"{len(world.receiver.known)} of {n}: {world.sender.last_words()}")
        time.sleep(0.005)
    return time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sync", description=__doc__)
    parser.add_argument("--entries", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rig", action="store_true", help="the rig's receiver, not ours")
    chosen = parser.parse_args()
    rows = []
    for _ in range(chosen.repeats):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(once(Path(folder), chosen.entries, ours=not chosen.rig))
    show("one sender, to settled", rows)
    rates = [float(str(row["alerts/s"])) for row in rows]
    print(f"\nmedian {statistics.median(rates):.0f} alerts/s")


if __name__ == "__main__":
    sys.exit(main())
