"""Run the reader of I2C sensors alone: ``python -m tests.rigs.i2c.read_bus SETTINGS [SECONDS]``.

SETTINGS is its ``[[sources]]`` table as JSON. What it delivers is printed as JSON lines, and at the
end (SIGTERM, or when the seconds are over) what it cost. A process of its own, because the virtual
bus is loaded into it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import time

import msgspec
import structlog

from edge.clock import BootClock
from edge.events import LINK
from edge.readers import ReadError, Rim
from edge.readers.i2c import READER

LAG_EVERY_S = 0.01


def show(line):
    print(json.dumps(line), flush=True)


def deliver(packet):
    if packet.stream == LINK:
        show({"told": json.loads(packet.payload), "at_s": packet.arrived_s})
        return
    show(
        {
            "source": packet.source,
            "stream": packet.stream,
            "at_s": packet.arrived_s,
            "hex": packet.payload.hex(),
        }
    )


async def watch_the_loop(worst):
    while True:
        due_s = time.monotonic() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        worst[0] = max(worst[0], time.monotonic() - due_s)


async def main(settings, seconds):
    worst = [0.0]
    watching = asyncio.create_task(watch_the_loop(worst)) if seconds is None else None
    clock = BootClock()
    reading = asyncio.create_task(READER.run(settings, Rim(deliver, clock.now_s)))
    loop = asyncio.get_running_loop()
    left = []

    def leave():
        left.append(time.monotonic())
        reading.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    began_s, cpu_s = time.monotonic(), time.process_time()
    await asyncio.wait({reading}, timeout=seconds)
    span_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    leave()
    try:
        await reading
    except asyncio.CancelledError:
        failed = ""
    except ReadError as error:
        failed = str(error)
    if watching is not None:
        watching.cancel()
    show(
        {
            "cpu_s": cpu_s,
            "span_s": span_s,
            "left_in_s": time.monotonic() - left[0],
            "worst_lag_s": worst[0],
            "failed": failed,
            "n_threads": threading.active_count(),
        }
    )


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    wanted = msgspec.json.decode(sys.argv[1], type=READER.settings)
    asyncio.run(main(wanted, float(sys.argv[2]) if len(sys.argv) > 2 else None))
