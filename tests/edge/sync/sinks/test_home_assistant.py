"""Home Assistant at a real broker: announced first, then numbers, "offline" when we are gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge.egress.alert import VitalsOut
from edge.records import Priority
from edge.sync import SyncError, publisher
from edge.sync.home_display import CLEAR, EXPIRE_S, discovery, state
from edge.sync.sinks import SinkError
from edge.sync.sinks.home_assistant import KEEPALIVE_S, SINK, Settings
from tests.edge.notices.far_away import authority, wretched
from tests.edge.sync.sinks.far_off import BOX, heartbeat, numbers, place, secret_file

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None, reason="mosquitto is missing: apt install mosquitto"
)

STATE = f"homeward/home/{BOX}/homeward_{BOX}_p1/state"
CONFIG = f"homeassistant/device/homeward_{BOX}_p1/config"
THERE = f"homeward/home/{BOX}/availability"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def mosquitto(folder: Path, *lines: str) -> Iterator[int]:
    """Run a broker of one's own."""
    port = free_port()
    written = (f"listener {port} 127.0.0.1", "persistence false", *lines)
    (folder / "mosquitto.conf").write_text("\n".join(written) + "\n")
    command = [str(MOSQUITTO), "-c", str(folder / "mosquitto.conf")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.kill()


class House:
    """Who listens in the house, to everything."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, str, bool]] = []
        self.news = threading.Condition()
        self.ready = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = self._hear
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("#", 1)
        self.client.loop_start()
        assert self.ready.wait(20)

    def _hear(self, _client: Any, _data: Any, message: Any) -> None:
        with self.news:
            self.heard.append((message.topic, message.payload.decode(), message.retain))
            self.news.notify_all()

    def wait_for(self, topic: str, payload: str = "", times: int = 1) -> None:
        def there() -> bool:
            return times <= sum(t == topic and payload in p for t, p, _ in self.heard)

        with self.news:
            assert self.news.wait_for(there, 30), self.heard

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with mosquitto(tmp_path, "allow_anonymous true") as at:
        yield at


@pytest.fixture
def house(port: int) -> Iterator[House]:
    listening = House(port)
    yield listening
    listening.close()


def opened(tmp_path: Path, port: int, **more: Any) -> Any:
    return SINK.open(Settings(host="127.0.0.1", port=port, tls=False, **more), place(tmp_path))


async def tell(sink: Any, *of: Any) -> None:
    parcel = sink.state_message(list(of) or [numbers()])
    assert parcel is not None
    await sink.send_state(parcel)


@needs_mosquitto
def test_it_is_announced_before_it_speaks_and_says_goodbye(
    tmp_path: Path, port: int, house: House
) -> None:
    sink = opened(tmp_path, port)

    async def evening() -> None:
        for hr_bpm in (71.0, 72.0, 73.0):
            await tell(sink, numbers(values=VitalsOut(hr_bpm=hr_bpm)))
        await sink.close()

    asyncio.run(evening())
    house.wait_for(THERE, "offline")
    topics = [topic for topic, _, _ in house.heard]
    assert topics == [CONFIG, THERE, STATE, STATE, STATE, THERE]
    states = [json.loads(said) for topic, said, _ in house.heard if topic == STATE]
    assert [one["hr_bpm"] for one in states] == [71.0, 72.0, 73.0]
    late = House(port)
    late.wait_for(THERE, "offline")
    late.close()
    assert {(topic, kept) for topic, _, kept in late.heard} == {(CONFIG, True), (THERE, True)}


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from edge.sync.sinks.home_assistant import KEEPALIVE_S, SINK, Settings
from tests.edge.sync.sinks.far_off import numbers, place
async def run():
    sink = SINK.open(Settings(host="127.0.0.1", port=int(sys.argv[1]), tls=False),
                     place(Path(sys.argv[2])))
    await sink.send_state(sink.state_message([numbers()]))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(run())
"""


@needs_mosquitto
def test_the_broker_says_offline_when_the_sender_is_killed(
    tmp_path: Path, port: int, house: House
) -> None:
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", KILLED, str(port), str(tmp_path)]
    assert subprocess.run(command, cwd=root, timeout=60, check=False).returncode == -9
    house.wait_for(THERE, "offline")
    assert [topic for topic, _, _ in house.heard] == [CONFIG, THERE, STATE, THERE]


@needs_mosquitto
def test_a_broker_that_forgot_is_told_anew(tmp_path: Path) -> None:
    sink_port: list[int] = []

    async def two_brokers() -> None:
        sink = None
        for round_ in range(2):
            with mosquitto(tmp_path, "allow_anonymous true") as port:
                if sink is None:
                    sink_port.append(port)
                    sink = opened(tmp_path, port)
                else:  # the same sink; its broker is back at another port
                    sink._settings = Settings(host="127.0.0.1", port=port, tls=False)
                house = House(port)
                for attempt in range(4):
                    try:
                        await tell(sink)
                    except SinkError:
                        assert round_ == 1
                        assert attempt < 3
                house.wait_for(STATE)
                house.wait_for(THERE, "online")
                house.wait_for(CONFIG)
                house.close()
            await asyncio.sleep(0.2)

    asyncio.run(two_brokers())


@needs_mosquitto
def test_nothing_is_on_the_wire_but_numbers_and_the_alarm(
    tmp_path: Path, port: int, house: House
) -> None:
    """The parcel, which the ledger keeps, is what the house hears, and no more."""
    sink = opened(tmp_path, port)

    async def once() -> bytes:
        parcel = sink.state_message([numbers(alarm=Priority.HIGH, n_standing=2), numbers("p2")])
        await sink.send_state(parcel)
        return bytes(parcel.body)

    body = asyncio.run(once())
    house.wait_for(STATE.replace("p1", "p2"))
    told = [(m["topic"], m["payload"]) for m in json.loads(body)["messages"]]
    assert [(topic, said) for topic, said, _ in house.heard] == told
    (shown,) = [json.loads(said) for topic, said, _ in house.heard if topic == STATE]
    assert shown == {
        "hr_bpm": 71.0, "spo2_pct": 97.0, "pulse_bpm": None, "resp_brpm": None,
        "temp_degc": None, "news2_lower": None, "news2_upper": None,
        "alarm": "high", "watching": True,
    }  # fmt: skip
    assert sink.receipts.empty()


def test_the_document_holds_what_home_assistant_requires() -> None:
    """By its DEVICE_DISCOVERY_SCHEMA, and the schemas of mqtt.sensor and mqtt.binary_sensor."""
    document = discovery(BOX, "p1")
    allowed = {"device", "origin", "components", "state_topic", "availability_topic", "qos"}
    assert set(document) == allowed
    assert document["device"]["identifiers"]
    assert document["origin"]["name"]
    every = {"platform", "unique_id", "name", "value_template", "expire_after"}
    optional = {
        "state_class", "unit_of_measurement", "device_class", "options", "icon",
        "suggested_display_precision",
    }  # fmt: skip
    seen = set()
    for key, part in document["components"].items():
        assert every <= set(part) <= every | optional, key
        assert part["platform"] in {"sensor", "binary_sensor"}
        assert part["expire_after"] == EXPIRE_S
        seen.add(part["unique_id"])
        enum = part.get("device_class") == "enum"
        assert enum == ("options" in part)
        assert not (enum and ("state_class" in part or "unit_of_measurement" in part))
        assert re.fullmatch(r"\{\{ .*value_json\.\w+.* \}\}", part["value_template"])
    assert len(seen) == len(document["components"])
    assert document["components"]["watching"]["device_class"] == "problem"
    assert document["components"]["temp_degc"]["unit_of_measurement"] == "°C"
    assert document["components"]["alarm"]["options"][0] == CLEAR


@pytest.mark.parametrize("patient", ["p1", "p 1", "p/1", "é+#", "x" * 64])
def test_every_topic_can_be_a_topic(patient: str, tmp_path: Path) -> None:
    sink = opened(tmp_path, 1)
    parcel = sink.state_message([numbers(patient)])
    topics = [message["topic"] for message in json.loads(parcel.body)["messages"]]
    config = r"homeassistant/device/[A-Za-z0-9_-]+/config"
    assert re.fullmatch(config, topics[0])
    assert all(re.fullmatch(r"[A-Za-z0-9_/-]+", topic) for topic in topics)
    assert len(set(topics)) == 3


def test_every_key_of_a_state_is_shown_and_every_part_has_its_key() -> None:
    parts = discovery(BOX, "p1")["components"]
    assert set(state(numbers())) == set(parts)
    options = parts["alarm"]["options"]
    for alarm in (None, *Priority):
        assert state(numbers(alarm=alarm))["alarm"] in options


def test_a_patient_who_is_not_watched_has_no_numbers() -> None:
    shown = state(numbers(watching=False))
    assert {shown[key] for key in shown if key not in {"alarm", "watching"}} == {None}


def test_many_patients_are_introduced_bit_by_bit(tmp_path: Path) -> None:
    sink = opened(tmp_path, 1)
    many = [numbers(f"p{n}") for n in range(40)]
    parcel = sink.state_message(many)
    assert len(parcel.body) <= 24 * 1024
    introduced = {m["topic"] for m in json.loads(parcel.body)["messages"] if m["retain"]}
    sink._told |= introduced
    second = {m["topic"] for m in json.loads(sink.state_message(many).body)["messages"]}
    assert any(topic.endswith("/config") for topic in second - introduced)


@needs_mosquitto
def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    (tmp_path / "empty").chmod(0o600)
    lines = ("allow_anonymous false", f"password_file {tmp_path / 'empty'}", "user root")
    with mosquitto(tmp_path, *lines) as port:
        named = secret_file(tmp_path, "house", "passwordOfNobody")
        sink = opened(tmp_path, port, username="homeward", password_file=named)
        with pytest.raises(SinkError, match=r"(?i)no: .*(password|authori)") as told:
            asyncio.run(tell(sink))
        assert "passwordOfNobody" not in str(told.value)


@needs_mosquitto
def test_over_tls_only_with_who_it_should_be(tmp_path: Path) -> None:
    ours, theirs = authority(tmp_path, "ours"), authority(tmp_path, "theirs")
    pem = tmp_path / "ours.server.pem"
    lines = (f"certfile {pem}", f"keyfile {pem}", "allow_anonymous true", "user root")
    with mosquitto(tmp_path, *lines) as port:
        for ca in (theirs, None):
            own = Settings(host="localhost", port=port, ca_file=ca)
            with pytest.raises(SinkError, match="not who it should be"):
                asyncio.run(tell(SINK.open(own, place(tmp_path))))
        sink = SINK.open(Settings(host="localhost", port=port, ca_file=ours), place(tmp_path))

        async def once() -> None:
            await tell(sink)
            await sink.close()

        asyncio.run(once())
        assert sink.uses_tls


def test_plain_numbers_leave_neither_the_machine_unasked_nor_the_house(tmp_path: Path) -> None:
    with pytest.raises(SyncError, match="insecure_lan"):
        SINK.open(Settings(host="homeassistant.local", tls=False), place(tmp_path))
    SINK.open(Settings(host="homeassistant.local", tls=False, insecure_lan=True), place(tmp_path))


def test_an_address_of_the_internet_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wretched("silent") as port:
        monkeypatch.setattr(publisher, "of_this_house", lambda _: False)
        began_s = time.monotonic()
        with pytest.raises(SinkError, match="not of this house"):
            asyncio.run(tell(opened(tmp_path, port)))
        assert time.monotonic() - began_s < 5.0


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("kind", ["silent", "drip", "junk"])
def test_a_broker_that_hangs_is_left_in_time_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, tls: bool
) -> None:
    monkeypatch.setattr(publisher, "CONNECT_S", 0.5)
    threads = threading.active_count()
    with wretched(kind) as port:
        sink = SINK.open(Settings(host="localhost", port=port, tls=tls), place(tmp_path))

        async def thrice() -> None:
            for _ in range(3):
                with pytest.raises(SinkError):
                    await tell(sink)
                assert await asyncio.to_thread(sink._publisher._idle.wait, 20)

        began_s = time.monotonic()
        asyncio.run(thrice())
        assert time.monotonic() - began_s < 15.0
    for _ in range(100):
        if threading.active_count() <= threads:
            break
        time.sleep(0.05)
    assert threading.active_count() <= threads


def test_a_packet_of_ten_megabytes_is_not_read(tmp_path: Path) -> None:
    read = [0]

    def flood(listening: socket.socket) -> None:
        peer, _ = listening.accept()
        with peer, contextlib.suppress(OSError):
            peer.recv(1000)
            peer.sendall(b"\x20\x02\x00\x00" + b"\x30\x80\x80\x80\x05")  # greeted, then 10 MB
            for _ in range(160):
                peer.sendall(b"x" * 65536)
                read[0] += 65536

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=flood, args=(listening,), daemon=True)
        thread.start()
        with pytest.raises(SinkError):
            asyncio.run(tell(opened(tmp_path, listening.getsockname()[1])))
        thread.join(20)
    assert read[0] < 10 * 1024 * 1024


def test_how_the_box_is_is_not_shown(tmp_path: Path) -> None:
    assert opened(tmp_path, 1).state_message(heartbeat()) is None
    assert EXPIRE_S > KEEPALIVE_S
