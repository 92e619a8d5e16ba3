"""What the whole monitor asks of the card on an idle day: the store, the vault, all small files.

    python -m tests.bench.wear [--hours 4] [--record 101]
    python -m tests.bench.wear --device FOLDER [--minutes 10]

A patient without alarms: one ECG lead at 250 Hz, a record of the MIT-BIH Arrhythmia Database as a
board would send it, again and again, and a simulated pleth of 75 Hz. The pipeline, the recorder
and the vault of the daemon are driven tick by tick in simulated time, in a process of its own under
strace (which has to be installed), which counts what is asked of the kernel for the files of the
data directory.

What the kernel writes beside that (the journal of the file system above all, and that depends on
real time) is counted with ``--device``: the real daemon, in real time, its data in FOLDER, which
has to be on a file system of its own: ``mkfs.ext4 -E lazy_itable_init=0`` in a file, ``mount -o
loop,noatime``. There the simulated board sends the respiration it measures too.
"""

from __future__ import annotations

import argparse
import heapq
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.assemble import assemble
from edge.clock import WallEntry, WallLog
from edge.daemon.boxwatch import BoxWatch
from edge.daemon.boxwatch.parts import ClockPart, RecorderPart
from edge.daemon.boxwatch.vault import VaultPart
from edge.daemon.keyring import Keyring
from edge.daemon.recorder import Recorder
from edge.daemon.remembering import Remembering
from edge.daemon.vaulting import Vaulting
from edge.pipeline import TICK_S, PipelineSettings
from edge.readers import simulated
from edge.records import Packet
from edge.store import DATABASE, Run
from edge.vault import Bounds
from tests.bench.vault import ecg

HOUR_S, DAY_S = 3600.0, 86_400.0
BEGIN_S: Final = 1000.0
SETTLE_S: Final = 240.0
"""After its start the monitor tests itself, which writes more."""
BUDGET_MB, BUDGET_SYNCS = 60.0, 2000
_CALL = re.compile(r"\b(fsync|fdatasync|write|pwrite64)\(\d+<([^>]*)>.*\) = (\d+)")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.wear", description=__doc__)
    parser.add_argument("--hours", type=float, default=4.0, help="of simulated time")
    parser.add_argument("--record", default="101", help="whose ECG it is")
    parser.add_argument("--device", type=Path, help="count in real time what reaches this disk")
    parser.add_argument("--minutes", type=float, default=10.0, help="of real time")
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.live is not None:
        live(chosen.live, chosen.hours * HOUR_S, chosen.record)
        return
    print("| an idle day of one ECG lead at 250 Hz and a pleth | a day |")
    print("| --- | --- |")
    if chosen.device is None:
        rows = counted(chosen.hours, chosen.record)
    else:
        rows = reached(chosen.device, chosen.minutes)
    for what, figure in rows:
        print(f"| {what} | {figure} |", flush=True)


class Clock:
    """Both clocks, in simulated time."""

    boot_id = "bench"

    def __init__(self) -> None:
        self.at_s = BEGIN_S

    def now_s(self) -> float:
        return self.at_s

    def read(self) -> WallEntry:
        return WallEntry(self.boot_id, self.at_s, 1.8e9 + self.at_s, synchronised=True)


def sensed(record: str, length_s: float) -> Iterator[Packet]:
    """Return what a board and a pleth send, in the order of its arrival."""
    lead, begin_s = ecg(record, 600.0), BEGIN_S
    settings = simulated.Settings(scenario="quiet", devices=("pleth",), duration_s=length_s)
    pulse = (_shifted(packet, BEGIN_S) for packet in simulated.packets(settings))
    turn_s = lead[-1].arrived_s - lead[0].arrived_s + 0.1

    def turns() -> Iterator[Packet]:
        for turn in range(math.ceil(length_s / turn_s)):
            by_s = begin_s + turn * turn_s - lead[0].arrived_s
            yield from (_shifted(packet, by_s) for packet in lead)

    yield from heapq.merge(turns(), pulse, key=lambda packet: packet.arrived_s)


def _shifted(packet: Packet, by_s: float) -> Packet:
    at_s = round((packet.arrived_s + by_s) * 1e9) / 1e9  # as the boot clock tells it
    return Packet(packet.source, packet.stream, at_s, packet.payload)


def live(folder: Path, length_s: float, record: str) -> None:
    """Run what writes in the daemon for so long, in simulated time."""
    clock, waiting = Clock(), []  # type: Clock, list[Packet]
    run = Run("bench", clock.boot_id, BEGIN_S, "0", "digest")
    pipeline = assemble(PipelineSettings(), run.run_id, start_s=BEGIN_S)
    vault = Vaulting(folder, Keyring(folder), clock.read, Bounds(reserve_bytes=0))
    recorder = Recorder(folder / DATABASE, run, clock.now_s, vault=vault)
    remembering = Remembering(pipeline, clock, recorder)
    parts = (ClockPart(clock.read), RecorderPart(recorder.report), VaultPart(vault.report))
    watch, wall = BoxWatch(waiting.append, parts), WallLog()
    recorder._trouble = recorder._write(True, False)
    packets = sensed(record, length_s)
    ahead = next(packets, None)
    for tick in range(int(length_s / TICK_S)):
        clock.at_s = BEGIN_S + (tick + 1) * TICK_S
        while ahead is not None and ahead.arrived_s <= clock.at_s:
            waiting.append(ahead)
            ahead = next(packets, None)
        taken = tuple(waiting)
        waiting.clear()
        outcome = pipeline.advance(taken, clock.at_s)
        remembering.keep(outcome, clock.at_s)
        recorder.add(taken, outcome, clock.at_s)
        watch.turn(clock.at_s)
        if recorder.backlog.due(clock.at_s):
            recorder._trouble = recorder._write(False, False)
        if tick % 4 == 0:
            vault._turn()
            entry = wall.note(clock.read())
            if entry is not None:
                recorder.add_clock(entry)
    # No orderly end: a day has none.
    alerts = [alert.rule for alert in pipeline.live().alerts]
    print(f"alerts standing: {', '.join(alerts) or 'none'}", file=sys.stderr)
    os._exit(0)


def counted(hours: float, record: str) -> Iterator[tuple[str, str]]:
    """Return what the kernel was asked for, by file, for a day."""
    if shutil.which("strace") is None:
        sys.exit("strace is not installed: apt install strace")
    with tempfile.TemporaryDirectory() as folder:
        trace, home = Path(folder) / "trace", Path(folder) / "data"
        home.mkdir()
        calls = "trace=fsync,fdatasync,write,pwrite64"
        here = [sys.executable, "-m", "tests.bench.wear", "--live", str(home)]
        more = ["--hours", str(hours), "--record", record]
        words = ["strace", "-f", "-y", "-s", "0", "-e", calls, "-o", str(trace), *here, *more]
        subprocess.run(words, check=True)
        n_syncs: Counter[str] = Counter()
        n_bytes: Counter[str] = Counter()
        for line in trace.read_text(errors="replace").splitlines():
            found = _CALL.search(line)
            if found is None or not found[2].startswith(str(home)):
                continue
            kind = _kind(Path(found[2].removesuffix(" (deleted)")))
            if "sync" in found[1]:
                n_syncs[kind] += 1
            else:
                n_bytes[kind] += int(found[3])
    day = 24.0 / hours
    for kind in sorted({*n_syncs, *n_bytes}):
        figure = f"{n_bytes[kind] * day / 1e6:.1f} MB, {n_syncs[kind] * day:.0f} syncs"
        yield kind, figure
    mb, syncs = sum(n_bytes.values()) * day / 1e6, sum(n_syncs.values()) * day
    yield "all (budget)", f"{mb:.1f} MB ({BUDGET_MB:.0f}), {syncs:.0f} syncs ({BUDGET_SYNCS})"


def _kind(path: Path) -> str:
    if path.name.startswith(DATABASE):
        return f"store: {path.name}"
    if path.suffix == ".hwv":
        return "vault: blocks"
    if path.suffix in (".key", ".part"):
        return "vault: keys"
    return f"other: {path.name}"


def reached(folder: Path, minutes: float) -> Iterator[tuple[str, str]]:
    """Run the real daemon, and return what reached the device under `folder`, for a day."""
    home = folder / "wear"
    settings = (
        "[alarms.self_test_failed]\nenabled = false\n[alarms.clock_unset]\nenabled = false\n"
        '[annunciators.sound]\nenabled = false\n[[sources]]\nreader = "simulated"\n'
        'scenario = "quiet"\ndevices = ["board", "pleth"]\nduration_s = 80000\n'
        "[vault]\nreserve_mb = 0\n"
    )
    with tempfile.TemporaryDirectory() as elsewhere:
        config = Path(elsewhere) / "box.toml"
        config.write_text(settings)
        words = [sys.executable, "-m", "edge", "run", "--config", config, "--data-dir", home]
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
            try:
                time.sleep(SETTLE_S)
                before, began_s = _device(folder), time.monotonic()
                time.sleep(minutes * 60.0)
                after, spent_s = _device(folder), time.monotonic() - began_s
            finally:
                process.terminate()
    day = DAY_S / spent_s
    yield "reached the device", f"{(after[0] - before[0]) * day / 1e6:.1f} MB"
    yield "writes to the device", f"{(after[1] - before[1]) * day:.0f}"
    yield "flushes of the device", f"{(after[2] - before[2]) * day:.0f}"


def _device(folder: Path) -> tuple[int, int, int]:
    """Return bytes, writes and flushes of the device under a folder since it was there."""
    number = folder.stat().st_dev
    fields = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat").read_text().split()
    return int(fields[6]) * 512, int(fields[4]), int(fields[15])


if __name__ == "__main__":
    main()
