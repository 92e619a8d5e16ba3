"""What the sender costs the monitor: rounds through its socket while a night plays, and a backlog.

``python -m tests.bench.sync_desk``: a table, never a test. One round is what a sender does for a
message: `SyncFetch` of 64 alerts, `Leaves` (which waits for the disk), `SyncSettle` of 64.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

from edge.control import Leaves
from edge.control.client import ControlClient
from edge.control.server import ControlServer
from edge.control.syncing import SyncFetch, SyncSettle
from edge.egress.allowed import ALLOWED, Content
from edge.egress.departure import Departure
from edge.records import Outcome
from edge.store import DATABASE, Run, Store
from tests.edge.daemon.test_syncdesk import Scene, alert, sink

N_BACKLOG = 100_000
N_ROUNDS = 100
BATCH = 1_000
RUN = Run("run-0", "boot-1", 5.0, "0.1.0", "digest")


def filled(folder: Path) -> None:
    with Store.begin(folder / DATABASE, RUN) as store:
        for start in range(0, N_BACKLOG, BATCH):
            store.add(Outcome(tuple(alert(n) for n in range(start, start + BATCH))), 90.0)
            store.flush(90.0)


def rounds(path: Path, body: bytes, times_s: dict[str, list[float]]) -> None:
    version = ALLOWED[Content.ALERT].version
    with ControlClient(path, 60.0) as client:
        for _ in range(N_ROUNDS):
            began_s = time.perf_counter()
            entries = client.ask(SyncFetch("clinic", "alert"))["entries"]
            fetched_s = time.perf_counter()
            uuids = tuple(one["uuid"] for one in entries)
            told = (str(uuid4()), 99.0, "sync", "clinic", "far", Content.ALERT, version)
            client.ask(Leaves(Departure(*told, known_as=" ".join(uuids), body=body)))
            left_s = time.perf_counter()
            assert client.ask(SyncSettle("clinic", uuids))["n"] == len(uuids)
            ended_s = time.perf_counter()
            times_s["fetch"].append(fetched_s - began_s)
            times_s["leaves"].append(left_s - fetched_s)
            times_s["settle"].append(ended_s - left_s)
            times_s["round"].append(ended_s - began_s)


async def played(scene: Scene, times_s: dict[str, list[float]]) -> list[float]:
    """Return how late the loop's quarter seconds were while the sender asks."""
    server = ControlServer(scene.folder / "sync.sock", scene.desk.answer)
    await server.start()
    writing = asyncio.create_task(scene.recorder.run())
    looking = asyncio.create_task(scene.desk.run())
    while not scene.desk.box():  # noqa: ASYNC110  # of another task
        await asyncio.sleep(0.05)
    asking = threading.Thread(target=rounds, args=(server.path, b"x" * 20_000, times_s))
    asking.start()
    late_s = []
    while asking.is_alive():
        due_s = time.perf_counter() + 0.025
        await asyncio.sleep(0.025)
        late_s.append(time.perf_counter() - due_s)
    for task in (writing, looking):
        task.cancel()
    await asyncio.gather(writing, looking, return_exceptions=True)
    await server.close()
    await scene.recorder.close()
    return late_s


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filled(folder)
        for told, sinks in (
            ("one destination", (sink(),)),
            ("another that is dead", (sink(), sink("dead"))),
        ):
            with Store.begin(folder / DATABASE, RUN) as store:
                takes = {one.name: frozenset({"alert", "summary"}) for one in sinks}
                spans = []
                for _ in range(20):
                    began_s = time.perf_counter()
                    store.waiting_for("clinic", "alert", now=(99.0, "boot-1"))
                    spans.append(time.perf_counter() - began_s)
                began_s = time.perf_counter()
                store.waits(takes, (99.0, "boot-1"))
                counted_s = time.perf_counter() - began_s
            times_s: dict[str, list[float]] = {"fetch": [], "leaves": [], "settle": [], "round": []}
            late_s = asyncio.run(played(Scene(folder, RUN, *sinks), times_s))
            print(f"{told}, {N_BACKLOG} alerts wait:")
            print(
                f"  store alone: fetch of 64 {1e3 * statistics.median(spans):.1f} ms (the first "
                f"{1e3 * spans[0]:.1f}), all counts {1e3 * counted_s:.1f} ms"
            )
            for part, found in times_s.items():
                low, high = statistics.median(found), max(found)
                print(f"  {part:<7} median {1e3 * low:6.1f} ms, most {1e3 * high:6.1f} ms")
            print(f"  {1 / statistics.mean(times_s['round']):.0f} rounds/s of 64 alerts")
            p99 = sorted(late_s)[int(0.99 * len(late_s))]
            print(f"  the loop was late by {1e3 * p99:.1f} ms (p99 of {len(late_s)})")


if __name__ == "__main__":
    main()
