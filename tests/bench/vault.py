"""What the vault costs: room, processor and wear, for real ECG and a simulated pulse wave.

    python -m tests.bench.vault [--minutes 10] [--dir FOLDER]

Records of the MIT-BIH Arrhythmia Database, resampled to 250 Hz, come as frames of 25 samples from
a board on a wire, ten a second, each late by a few milliseconds (seeded). Every way packs the same
blocks of ten seconds; sizes are what they are, CPU is `time.process_time`, one thread, medians.

The day is written by a `VaultWriter` into FOLDER, one ECG lead and a pulse wave of 75 Hz, as fast
as it goes, every sync a real one; what reached the disk is what the kernel counts for this process
and, where FOLDER is on a file system of its own, for the device: the journal is in that.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import wfdb
import zstandard
from scipy.signal import resample_poly

from edge import frame
from edge.clock import WallEntry
from edge.packetlog import layout
from edge.readers import simulated
from edge.records import Packet
from edge.vault import VaultWriter, open_keys
from edge.vault.body import unpack
from edge.vault.shaping import Shaper
from edge.vault.writer import Bounds

RECORDS = ("101", "104", "203", "208")
FS_HZ, ROWS = 250, 25
HOUR_S, DAY_S = 3600.0, 86_400.0
DATA = Path(os.environ.get("HOMEWARD_DATA", Path(__file__).parents[2] / "../shared/data"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.vault", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each recording")
    parser.add_argument("--dir", type=Path, default=None, help="where the day is written")
    chosen = parser.parse_args()
    leads = {name: ecg(name, chosen.minutes * 60.0) for name in RECORDS}
    print("| one ECG lead at 250 Hz | MB/h | bits/sample | pack ms/h | unpack ms/h |")
    print("| --- | --- | --- | --- | --- |")
    for name, pack in ways(leads).items():
        print("| {} | {:.3f} | {:.1f} | {:.0f} | {} |".format(name, *measured(leads, pack)))
    print("\n| record | MB/h |")
    print("| --- | --- |")
    for name, packets in leads.items():
        print(f"| {name} | {size_mb_h({name: packets}, Shaper().pack):.3f} |")
    print("\n| a day of one ECG lead and a pulse wave | |")
    print("| --- | --- |")
    with tempfile.TemporaryDirectory(dir=chosen.dir) as folder:
        for row in day(Path(folder), an_hour(leads["208"])):
            print("| {} | {} |".format(*row))


def ecg(name: str, length_s: float) -> list[Packet]:
    """Return a recording as a board would send it."""
    record = wfdb.rdrecord(
        str(DATA / "mitdb" / name), physical=False, channels=[0], sampto=int(length_s * 360)
    )
    raw = record.d_signal[:, 0].astype(float) - 1024.0
    rows = np.rint(resample_poly(raw, 25, 36)).astype("<i2")
    late = random.Random(name)  # noqa: S311  # jitter
    channel = frame.Channel("ecg_mv", "II", 0, 200.0, 0.0)
    told = frame.pack_description(frame.Description(FS_HZ, (channel,), "board", "1"))
    packets = []
    for number, at in enumerate(range(0, len(rows) - ROWS, ROWS)):
        arrived_s = round((86_400.0 + (at + ROWS) / FS_HZ + late.expovariate(250.0)) * 1e9) / 1e9
        clock_us = round(at / FS_HZ * 1e6 * 1.00002)
        body = rows[at : at + ROWS].tobytes()
        if number % 100 == 0:
            described = frame.pack(frame.DESCRIPTION, number, clock_us, told)
            packets.append(Packet("uart:board", frame.STREAM, arrived_s, described))
        sent = frame.pack(frame.SAMPLES, number, clock_us, body)
        packets.append(Packet("uart:board", frame.STREAM, arrived_s, sent))
    return packets


def an_hour(lead: list[Packet]) -> list[Packet]:
    """Return a lead again and again, so that a segment's beginning counts once an hour."""
    length_s = lead[-1].arrived_s - lead[0].arrived_s + 0.1
    packets = []
    for turn in range(math.ceil(HOUR_S / length_s)):
        packets += [
            Packet(
                p.source, p.stream, round((p.arrived_s + turn * length_s) * 1e9) / 1e9, p.payload
            )
            for p in lead
        ]
    return [p for p in packets if p.arrived_s - lead[0].arrived_s < HOUR_S]


def blocks(packets: Sequence[Packet], length_s: float = 10.0) -> Iterator[list[Packet]]:
    """Cut packets as the vault does."""
    block: list[Packet] = []
    for packet in packets:
        if block and packet.arrived_s - block[0].arrived_s >= length_s:
            yield block
            block = []
        block.append(packet)
    if block:
        yield block


def ways(leads: dict[str, list[Packet]]) -> dict[str, Callable[[Sequence[Packet]], bytes]]:
    """Return ways to pack a block."""
    plain = layout.pack_block
    trained = [plain(b) for packets in leads.values() for b in blocks(packets)]
    words = zstandard.train_dictionary(32_768, trained[::2])
    by_words = zstandard.ZstdCompressor(level=3, dict_data=words)
    found: dict[str, Callable[[Sequence[Packet]], bytes]] = {
        "as in a packet log": lambda b: plain(list(b))
    }
    for level in (1, 3, 19):
        zstd = zstandard.ZstdCompressor(level=level)
        found[f"packet log, zstd {level}"] = lambda b, z=zstd: z.compress(plain(list(b)))
    found["packet log, zstd 3 with a dictionary"] = lambda b: by_words.compress(plain(list(b)))
    for level in (1, 3, 9, 19):
        found[f"columns, zstd {level}{' (the vault)' * (level == 1)}"] = Shaper(level).pack
    return found


def measured(
    leads: dict[str, list[Packet]], pack: Callable[[Sequence[Packet]], bytes]
) -> tuple[float, float, float, str]:
    """Return MB, bits a sample, and CPU to pack and unpack, of an hour."""
    mb = size_mb_h(leads, pack)
    cut = [b for packets in leads.values() for b in blocks(packets)]
    hours = sum(hours_of(packets) for packets in leads.values())
    packed = [pack(b) for b in cut]
    pack_ms = cpu_ms(lambda: [pack(b) for b in cut]) / hours
    unpack_ms = ""
    if isinstance(getattr(pack, "__self__", None), Shaper):
        assert [unpack(p) for p in packed] == cut
        unpack_ms = f"{cpu_ms(lambda: [unpack(p) for p in packed]) / hours:.0f}"
    return mb, mb * 8e6 / (FS_HZ * HOUR_S), pack_ms, unpack_ms


def size_mb_h(leads: dict[str, list[Packet]], pack: Callable[[Sequence[Packet]], bytes]) -> float:
    n_bytes = sum(len(pack(b)) for packets in leads.values() for b in blocks(packets))
    return n_bytes / sum(hours_of(packets) for packets in leads.values()) / 1e6


def hours_of(packets: Sequence[Packet]) -> float:
    return (packets[-1].arrived_s - packets[0].arrived_s) / HOUR_S


def cpu_ms(work: Callable[[], object], repeats: int = 3) -> float:
    spent = []
    for _ in range(repeats):
        began_s = time.process_time()
        work()
        spent.append(time.process_time() - began_s)
    return 1e3 * statistics.median(spent)


def day(folder: Path, lead: list[Packet]) -> Iterator[tuple[str, str]]:
    """Write what a box with two sensors keeps; tell it for 24 hours."""
    begin_s, length_s = lead[0].arrived_s, lead[-1].arrived_s - lead[0].arrived_s
    pulse = [
        Packet(p.source, p.stream, round((p.arrived_s + begin_s) * 1e9) / 1e9, p.payload)
        for p in simulated.packets(
            simulated.Settings(scenario="quiet", devices=("pleth",), duration_s=length_s)
        )
    ]
    packets = sorted([*lead, *pulse], key=lambda p: p.arrived_s)
    n_syncs = {"fsync": 0, "fdatasync": 0}
    real = {name: getattr(os, name) for name in n_syncs}

    def counted(name: str) -> Callable[[int], None]:
        def sync(fd: int) -> None:
            n_syncs[name] += 1
            real[name](fd)

        return sync

    clock = [begin_s]
    for name in n_syncs:
        setattr(os, name, counted(name))
    os.sync()
    own, device = written(folder)
    began_cpu_s = time.process_time()
    try:
        writer = VaultWriter(
            folder / "vault",
            open_keys(folder),
            lambda: WallEntry("boot", clock[0], 1.8e9 + clock[0], synchronised=True),
            Bounds(reserve_bytes=0),
        )
        for packet in packets:
            clock[0] = packet.arrived_s
            writer.append(packet)
        writer.close()
    finally:
        for name, call in real.items():
            setattr(os, name, call)
    cpu_s = time.process_time() - began_cpu_s
    os.sync()
    own_after, device_after = written(folder)
    a_day = DAY_S / length_s
    kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    yield "kept", f"{kept * a_day / 1e6:.1f} MB"
    yield "written by the process", f"{(own_after - own) * a_day / 1e6:.1f} MB"
    if not math.isnan(device):
        yield "written to the device", f"{(device_after - device) * a_day / 1e6:.1f} MB"
    yield "syncs", f"{sum(n_syncs.values()) * a_day:.0f}"
    yield "CPU", f"{cpu_s * a_day:.1f} s, {cpu_s / length_s * HOUR_S * 1e3:.0f} ms an hour"


def written(folder: Path) -> tuple[int, float]:
    """Return bytes this process and the folder's device have written."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    number = folder.stat().st_dev
    stat = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")
    device = int(stat.read_text().split()[6]) * 512.0 if stat.exists() else math.nan
    return int(lines["write_bytes"]), device


if __name__ == "__main__":
    main()
