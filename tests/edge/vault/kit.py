"""What the tests of the vault share: a clock that is told, packets, a vault in one call."""

from __future__ import annotations

import json
import random

from edge.clock import WallEntry
from edge.events import ASSIGN, Assignment, tell
from edge.records import Packet
from edge.vault import Bounds, VaultReport, VaultWriter, open_keys, packets

WALL_S = 1.8e9


class Clock:
    """Both clocks, as told."""

    def __init__(self, boot_s=1000.0, wall_s=WALL_S, *, boot_id="boot-1", synchronised=True):
        self.boot_s, self.offset_s = boot_s, wall_s - boot_s
        self.boot_id, self.synchronised = boot_id, synchronised

    def __call__(self):
        return WallEntry(self.boot_id, self.boot_s, self.boot_s + self.offset_s, self.synchronised)


def start(run_id="run", at_s=1000.0):
    return Packet("box", "box:start", at_s, json.dumps({"run_id": run_id}).encode())


def assign(at_s=1000.0, source="strap", patient="p2"):
    return tell(ASSIGN, Assignment(source, patient), at_s)


def wave(n, at_s=1000.0, every_s=0.1, n_bytes=50, seed=1):
    random_bytes = random.Random(seed).randbytes  # noqa: S311
    return [Packet("strap", "wave", at_s + i * every_s, random_bytes(n_bytes)) for i in range(n)]


def write(data_dir, given, clock=None, bounds=None, *, close=True):
    """Write packets as a run would; the clock follows their arrivals."""
    clock = clock or Clock()
    writer = VaultWriter(data_dir / "vault", open_keys(data_dir), clock, bounds)
    for packet in given:
        clock.boot_s = max(clock.boot_s, packet.arrived_s)
        writer.append(packet)
    if close:
        writer.close()
    return writer


def read(data_dir, report=None):
    """Return all packets but recaps."""
    report = VaultReport() if report is None else report
    found = packets(data_dir / "vault", open_keys(data_dir, make=False), report)
    return [p for p in found if p.stream not in ("box:recap", "box:hole")]


SMALL = Bounds(segment_bytes=4096)
