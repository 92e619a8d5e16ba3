"""The sink at one end, `homeward receive` at the other, a real broker between, and kills."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from edge.receive.sqlite import Sqlite
from edge.receive.store import Store
from edge.secret import read_secret
from edge.sync import wire
from edge.sync.parcel import Item
from edge.sync.sinks import Place, SinkError
from edge.sync.sinks.mqtt import MqttSink, Settings
from tests.edge.receive.mosquitto import Mosquitto, needs_mosquitto
from tests.edge.receive.running import Receiving
from tests.edge.sync.entries import erase, heartbeat, item, until

pytestmark = needs_mosquitto

RESEND_S = 1.0


def receiving(tmp_path: Path, broker: Mosquitto, *more: str, name: str = "one") -> Receiving:
    home = ("--data-dir", str(tmp_path / "clinic"))
    return Receiving("--broker", f"mqtt://127.0.0.1:{broker.port}", "--name", name, *home, *more)


class Box:
    """A box that knows no more than the protocol: what has no receipt is sent again, from the
    lowest on."""

    def __init__(self, box: str, port: int, tmp_path: Path, key: str) -> None:
        self.box = box
        folder = tmp_path / box
        folder.mkdir(exist_ok=True)
        (folder / "receiver.pub").write_text(key)
        place = Place("x", folder, folder, lambda: box, lambda named: read_secret(named, folder))
        self.sink = MqttSink(Settings(host="127.0.0.1", port=port, tls=False), place)
        self.settled: set[str] = set()
        self.n_forged = 0

    async def drain(self, items: Sequence[Item], at_each: Callable[[], object] = int) -> None:
        """Send until every one of them is settled."""
        open_ = {one.uuid: one for one in items}
        while open_:
            window = [one for one in items if one.uuid in open_][:40]
            try:
                for kind in ("alert", "erase"):
                    left = [one for one in window if one.kind == kind]
                    while left:
                        packed = self.sink.pack(left[0].kind, left[:8])
                        await self.sink.send(packed)
                        left = left[len(packed.items) :]
                await self._receipts(open_)
            except SinkError:
                await asyncio.sleep(0.1)
            at_each()

    async def _receipts(self, open_: dict[str, Item]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RESEND_S):
                while open_:
                    receipt = await self.sink.receipts.get()
                    sent = {uuid: one.digest for uuid, one in open_.items()}
                    settled, forged = wire.vouched(receipt, sent)
                    self.n_forged += len(forged)
                    for uuid in settled:
                        del open_[uuid]
                    self.settled |= settled


def stored(tmp_path: Path) -> list[tuple[str, int, str]]:
    store = Store(Sqlite(tmp_path / "clinic" / "receive" / "received.db"))
    rows = [(row[0], row[2], row[4]) for row in store.entries()]
    store.close()
    return rows


def test_a_backlog_arrives_once_and_in_order_and_a_wish_to_delete_is_carried_out(
    tmp_path: Path,
) -> None:
    async def main(key: str, receiver: Receiving) -> None:
        box = Box("pi-7", broker.port, tmp_path, key)
        items = [item(seq) for seq in range(1, 101)]
        async with asyncio.timeout(60):
            await box.drain(items)
            await box.drain([erase(101, (items[4].uuid,))])
        beat = box.sink.state_message(heartbeat("pi-7"))
        assert beat is not None
        await box.sink.send_state(beat)
        await asyncio.to_thread(receiver.until, "heartbeat")
        await box.sink.close()
        assert box.n_forged == 0
        assert stored(tmp_path) == [("pi-7", one.handed.seq, one.digest) for one in items]

    with Mosquitto(tmp_path / "broker") as broker, receiving(tmp_path, broker) as receiver:
        asyncio.run(main(receiver.said[0]["receipt_key"], receiver))
        assert receiver.stop() == 0
    kinds = [said for said in receiver.said if said["record"] == "received"]
    assert sum(said["new"] for said in kinds) == 101


def test_killed_brokers_and_killed_receivers_lose_and_double_nothing(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311

    async def main(key: str) -> None:
        boxes = [Box(f"pi-{n}", broker.port, tmp_path, key) for n in range(2)]
        sent = {one.box: [item(seq, one.box) for seq in range(1, 201)] for one in boxes}
        waiting = [broker, receiver] * 4
        chance.shuffle(waiting)

        async def kills() -> None:
            for victim in waiting:
                await asyncio.sleep(chance.uniform(0.05, 0.4))
                victim.kill()
                await asyncio.sleep(chance.uniform(0.0, 0.3))
                await asyncio.to_thread(victim.start)

        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            group.create_task(kills())
            for one in boxes:
                group.create_task(one.drain(sent[one.box]))
        for one in boxes:
            await one.sink.close()
            assert one.n_forged == 0
        assert stored(tmp_path) == [
            (one.box, entry.handed.seq, entry.digest) for one in boxes for entry in sent[one.box]
        ]

    with (
        Mosquitto(tmp_path / "broker", keeps=True) as broker,
        receiving(tmp_path, broker) as receiver,
    ):
        asyncio.run(main(receiver.said[0]["receipt_key"]))


def test_what_was_not_stored_is_never_vouched_for(tmp_path: Path) -> None:
    """The store cannot be written: nothing is answered; when it can, all of it is."""

    async def main(key: str) -> None:
        box = Box("pi-7", broker.port, tmp_path, key)
        path = tmp_path / "clinic" / "receive" / "received.db"
        blocker = Sqlite(path)
        with blocker.transaction():
            await box.sink.send(box.sink.pack(item(1).kind, [item(1)]))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await box.sink.receipts.get()
        async with asyncio.timeout(30):
            receipt = await box.sink.receipts.get()
        assert receipt.stored == {item(1).uuid: item(1).digest}
        await box.sink.close()
        blocker.close()

    with Mosquitto(tmp_path / "broker") as broker, receiving(tmp_path, broker) as receiver:
        receiver.until("listening")
        asyncio.run(main(receiver.said[0]["receipt_key"]))


def test_two_receivers_share_what_comes_and_one_may_die(tmp_path: Path) -> None:
    async def main(key: str) -> None:
        box = Box("pi-7", broker.port, tmp_path, key)
        items = [item(seq) for seq in range(1, 401)]
        async with asyncio.timeout(60):
            await box.drain(items[:200])
            one.kill()
            await box.drain(items[200:])
        await box.sink.close()
        assert stored(tmp_path) == [("pi-7", entry.handed.seq, entry.digest) for entry in items]

    with Mosquitto(tmp_path / "broker") as broker:
        one = receiving(tmp_path, broker, "--shared", "ward")
        other = receiving(tmp_path, broker, "--shared", "ward", name="other")
        with one, other:
            for each in (one, other):
                each.until("listening")
            assert one.said[0]["receipt_key"] == other.said[0]["receipt_key"]
            asyncio.run(main(one.said[0]["receipt_key"]))
            shares = [
                sum(said["record"] == "received" and said["new"] for said in each.said)
                for each in (one, other)
            ]
    assert min(shares) > 0


def test_a_box_that_falls_silent_is_named_once_and_not_while_the_broker_is_away(
    tmp_path: Path,
) -> None:
    async def speak(key: str) -> None:
        box = Box("pi-7", broker.port, tmp_path, key)
        beat = box.sink.state_message(heartbeat("pi-7"))
        assert beat is not None
        await box.sink.send_state(beat)
        await box.sink.close()

    told: list[tuple[bytes, bytes]] = []

    class Topic(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # its name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.headers["Title"], body))
            self.send_response(200 if len(told) > 1 else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    topic = HTTPServer(("127.0.0.1", 0), Topic)
    threading.Thread(target=topic.serve_forever, daemon=True).start()
    (tmp_path / "notify").write_text(f"http://127.0.0.1:{topic.server_port}/secret\n")
    (tmp_path / "notify").chmod(0o600)
    more = ("--silence-s", "2", "--notify", str(tmp_path / "notify"))
    with (
        topic,
        Mosquitto(tmp_path / "broker") as broker,
        receiving(tmp_path, broker, *more) as receiver,
    ):
        key = receiver.said[0]["receipt_key"]
        receiver.until("listening")
        asyncio.run(speak(key))
        receiver.until("heartbeat")
        assert receiver.until("silence", 15.0)["box"] == "pi-7"
        asyncio.run(speak(key))
        assert receiver.until("speaks_again", 15.0)["box"] == "pi-7"
        broker.kill()
        asyncio.run(asyncio.sleep(4.0))
        said = [one["record"] for one in receiver.said]
        assert said.count("silence") == 1
        assert "broker_away" in said
        broker.start()  # and listens for 2 s before it accuses anybody
        assert receiver.until("silence", 30.0)["box"] == "pi-7"
        asyncio.run(until(lambda: len(told) >= 4))
        topic.shutdown()
    titles = [title.rpartition(" ")[2] for title, _ in told]
    assert titles == ["silent", "silent", "back", "silent"]  # the first was refused, and repeated
    assert told[0][1].startswith(b"pi-7 has been silent since ")
