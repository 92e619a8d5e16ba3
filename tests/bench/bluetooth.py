"""What a notification costs on its way from bleak to the records.

    python -m tests.bench.bluetooth [--minutes 10] [--repeats 7]

The way is the product's own: the callback a session hands to bleak, the packet queue, decoder,
timeline, signals, records. Virtual wearables on a clock of their own send for some minutes; the
same pipeline is run with one such sensor of a patient and with eight, in turns, and the difference
is divided by the notifications: what a patient costs each second, sensors or not, is not in it.
CPU is `time.process_time`, one thread; medians. What bleak and D-Bus take is not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence

from edge.assemble import assemble, every_profile
from edge.clock import BootClock
from edge.devices import Device
from edge.pipeline import TICK_S, PipelineSettings
from edge.readers import Rim
from edge.readers._ble_records import Memory
from edge.readers._ble_session import Plan, Session
from edge.records import Packet
from edge.virtual import Wearable, heart_rate, nordic_uart, polar, pulse_oximeter
from tests.edge.virtual.port import Bench

KINDS: Sequence[Wearable] = (
    heart_rate.WEARABLE,
    pulse_oximeter.WEARABLE,
    polar.WEARABLE,
    nordic_uart.WEARABLE,
)
MANY = 8


class Nowhere:
    """Stands where the link is: a session listens to nothing but what the bench hands it."""

    name, adapter, found, mtu = "", "hci0", (), 247

    def __init__(self) -> None:
        self.gone = asyncio.Event()


def sent_by(wearable: Wearable, minutes: float) -> list[tuple[str, bytes, float]]:
    """Return what one wearable notifies: characteristic, payload, time."""
    bench = Bench(wearable, 1)
    bench.subscribe_all()
    for profile in every_profile():
        if any(service.uuid == profile.service for service in wearable.services):
            for write in profile.start:
                if write.option in ("", *profile.options):
                    bench.write(write.to, write.payload)
    listened = {uuid for profile in every_profile() for uuid in profile.listen}
    found = [(one.uuid, one.payload, one.at_s) for one in bench.run(60.0 * minutes)]
    return [one for one in found if one[0] in listened]


async def cost_s(sent: Sequence[tuple[str, bytes, float]], n_sensors: int) -> float:
    """Return the CPU time of everything between bleak's callback and the records."""
    queue: list[Packet] = []
    clock = [0.0]
    rim = Rim(queue.append, lambda: clock[0])
    wall = BootClock().read
    takes = []
    for i in range(n_sensors):
        device = Device(address=f"C0:DE:00:00:00:{i:02X}", name="strap")
        plan = Plan(device, rim, Memory(), lambda: None, wall, write_time=False)
        session = Session(Nowhere(), (), plan)
        takes.append({uuid: session._listener(uuid, None) for uuid in {one[0] for one in sent}})
    pipeline = assemble(PipelineSettings(), "bench")
    notified = [(uuid, bytearray(payload), at_s) for uuid, payload, at_s in sent]
    end_s, i, tick = notified[-1][2], 0, 0
    began_s = time.process_time()
    while tick * TICK_S <= end_s:
        tick += 1
        now_s = tick * TICK_S
        while i < len(notified) and notified[i][2] <= now_s:
            uuid, payload, clock[0] = notified[i]
            for take in takes:
                take[uuid](None, payload)
            i += 1
        pipeline.advance(queue, now_s)
        queue.clear()
    return time.process_time() - began_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    print(f"{'sensor':28} {'a second':>9} {'bytes':>6} {'us each':>8}")
    for wearable in KINDS:
        sent = sent_by(wearable, chosen.minutes)
        one, many = [], []
        for _ in range(chosen.repeats):
            one.append(asyncio.run(cost_s(sent, 1)))
            many.append(asyncio.run(cost_s(sent, MANY)))
        each_s = (statistics.median(many) - statistics.median(one)) / (len(sent) * (MANY - 1))
        n_bytes = sum(len(payload) for _, payload, _ in sent) / len(sent)
        rate = len(sent) / (60.0 * chosen.minutes)
        print(f"{wearable.words:28} {rate:9.2f} {n_bytes:6.0f} {1e6 * each_s:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
