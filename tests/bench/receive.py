"""How many entries a second a receiver takes: python -m tests.bench.receive [N]

One box sends as fast as receipts allow (1,024 entries under way, 16 in a message) through a real
mosquitto to a real `homeward receive`, whose every answer is behind an fsync.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from edge.receive.sqlite import Sqlite
from edge.receive.store import Store
from edge.secret import read_secret
from edge.sync import wire
from edge.sync.sinks import Place
from edge.sync.sinks.mqtt import MqttSink, Settings
from tests.edge.receive.mosquitto import Mosquitto
from tests.edge.receive.running import Receiving
from tests.edge.sync.entries import item

N_BOXES = 4
PER_MESSAGE = 16
UNDER_WAY = 256


async def _send(box: str, port: int, folder: Path, key: str, n: int) -> None:
    home = folder / box
    home.mkdir()
    (home / "receiver.pub").write_text(key)
    place = Place("x", home, home, lambda: box, lambda named: read_secret(named, home))
    sink = MqttSink(Settings(host="127.0.0.1", port=port, tls=False), place)
    items = [item(seq, box, text="x" * 800) for seq in range(1, n + 1)]
    open_: dict[str, str] = {}
    sent = 0
    while sent < n or open_:
        while sent < n and len(open_) < UNDER_WAY:
            parcel = sink.pack(items[0].kind, items[sent : sent + PER_MESSAGE])
            await sink.send(parcel)
            open_ |= {one.uuid: one.digest for one in parcel.items}
            sent += len(parcel.items)
        settled, forged = wire.vouched(await sink.receipts.get(), open_)
        assert not forged
        for uuid in settled:
            del open_[uuid]
    await sink.close()


async def _all(port: int, folder: Path, key: str, n: int) -> None:
    async with asyncio.TaskGroup() as boxes:
        for number in range(N_BOXES):
            boxes.create_task(_send(f"pi-{number}", port, folder, key, n // N_BOXES))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            Mosquitto(folder / "broker") as broker,
            Receiving(
                "--broker", f"mqtt://127.0.0.1:{broker.port}", "--data-dir", name
            ) as receiver,
        ):
            receiver.until("listening")
            cpu_s, begun_s = _cpu_s(receiver.pid), time.monotonic()
            asyncio.run(_all(broker.port, folder, receiver.said[0]["receipt_key"], n))
            took_s = time.monotonic() - begun_s
            cpu_s = _cpu_s(receiver.pid) - cpu_s
            peak = Path(f"/proc/{receiver.pid}/status").read_text()
            peak_mb = int(peak.split("VmHWM:")[1].split()[0]) / 1024
        store = Store(Sqlite(folder / "receive" / "received.db"))
        kept = sum(row[7] for row in store.boxes())
        store.close()
    print(
        f"{kept} entries of ~1 kB kept in {took_s:.1f} s: {kept / took_s:.0f}/s; the receiver "
        f"took {cpu_s:.1f} s of CPU ({kept / cpu_s:.0f}/s) and {peak_mb:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
