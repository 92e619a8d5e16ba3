"""The rigs of the network do what they say, and no test blames a program for its rig."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fleet.mqtt import Client, RefusedError, connect
from tests.rigs.net import broker, names, nats
from tests.rigs.net.programs import HERE, free_port, listens
from tests.rigs.net.proxy import Proxy
from tests.rigs.net.servers import BIG_BYTES, serving

needs_mosquitto = pytest.mark.skipif(bool(broker.why_not()), reason=broker.why_not())
needs_nats = pytest.mark.skipif(bool(nats.why_not()), reason=nats.why_not())
needs_names = pytest.mark.skipif(bool(names.why_not()), reason=names.why_not())


@pytest.fixture
def echo() -> Iterator[int]:
    """Serve what sends back what it is sent; give its port."""
    listening = socket.create_server((HERE, 0))
    listening.settimeout(0.05)
    ended = threading.Event()

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.settimeout(20.0)
            while came := peer.recv(65_536):
                peer.sendall(came)

    def accept() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    yield listening.getsockname()[1]
    ended.set()
    thread.join()
    listening.close()


def call(port: int, timeout_s: float = 5.0) -> socket.socket:
    return socket.create_connection((HERE, port), timeout_s)


def take(one: socket.socket, n: int) -> bytes:
    came = b""
    while len(came) < n:
        came += one.recv(n - len(came)) or b"?" * n
    return came


async def until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  # there is no event of it
            await asyncio.sleep(0.01)


def test_a_link_that_is_well_passes_every_byte(echo: int) -> None:
    said = random.Random(1).randbytes(300_000)  # noqa: S311
    with Proxy(echo) as link, call(link.port) as one:
        threading.Thread(target=one.sendall, args=(said,)).start()
        assert take(one, len(said)) == said
        assert (link.passed[0].up, link.passed[0].down) == (len(said), len(said))


def test_a_cut_is_a_reset_for_both_ends_and_the_next_connection_works(echo: int) -> None:
    with Proxy(echo) as link:
        with call(link.port) as one:
            one.sendall(b"before")
            assert take(one, 6) == b"before"
            assert link.cut() == 1
            with pytest.raises(ConnectionResetError):
                one.recv(1)
        with call(link.port) as one:
            one.sendall(b"after")
            assert take(one, 5) == b"after"
        assert link.passed[0].ended == "cut"


@pytest.mark.parametrize(("swallow", "up"), [("both", 0), ("down", 5)])
def test_a_black_hole_says_nothing_and_does_not_hang_up(echo: int, swallow: str, up: int) -> None:
    with Proxy(echo) as link, call(link.port, 0.5) as one:
        link.be(swallow=swallow)
        one.sendall(b"hello")
        with pytest.raises(TimeoutError):
            one.recv(1)
        assert (link.passed[0].up, link.passed[0].down) == (up, 0)


def test_what_a_link_holds_comes_through_when_it_is_let_go(echo: int) -> None:
    with Proxy(echo) as link, call(link.port) as one:
        link.be(hold=True)
        one.sendall(b"kept")
        time.sleep(0.2)
        assert link.passed[0].down == 0
        link.be()
        assert take(one, 4) == b"kept"


def test_a_slow_link_is_as_slow_as_said(echo: int) -> None:
    with Proxy(echo) as link, call(link.port, 10.0) as one:
        link.be(bytes_per_s=20.0)
        begin_s = time.monotonic()
        one.sendall(b"x" * 10)
        assert take(one, 10) == b"x" * 10
        assert time.monotonic() - begin_s >= 0.45  # ten bytes up; down they overlap


def test_a_link_in_pieces_passes_all_and_a_bad_one_changes_bits(echo: int) -> None:
    said = random.Random(2).randbytes(5_000)  # noqa: S311
    with Proxy(echo) as link, call(link.port) as one:
        link.be(chop=7)
        one.sendall(said)
        assert take(one, len(said)) == said
        link.be(corrupt=1.0, swallow="")
        one.sendall(said)
        came = take(one, len(said))
        assert came != said
        assert link.passed[0].n_corrupted > 0


def test_a_refusing_link_and_one_to_nobody_refuse(echo: int) -> None:
    with Proxy(echo) as link:
        for weather, target in (({"refuse": True}, echo), ({}, free_port())):
            link.be(**weather)
            link.aim(target)
            with contextlib.suppress(ConnectionError), call(link.port) as one:
                assert one.recv(1) == b""
        assert link.n_refused == 2


def test_servers_that_hang_drip_and_flood_do_so() -> None:
    with serving("hang") as far, call(far.port, 0.3) as one:
        one.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(TimeoutError):
            one.recv(1)
    with serving("drip", drip_s=0.05) as far, call(far.port) as one:
        one.sendall(b"GET")
        assert take(one, 4) == b"HTTP"
    with serving("big") as far, call(far.port) as one:
        one.sendall(b"GET")
        taken = len(take(one, BIG_BYTES))
        assert taken == BIG_BYTES <= far.n_bytes_out
    with serving("headers") as far, call(far.port) as one:
        one.sendall(b"GET")
        assert b"\r\n\r\n" not in take(one, 1 << 20)
    with serving("garbage") as far, call(far.port) as one:
        one.sendall(b"GET")
        assert not take(one, 100).startswith(b"HTTP")
    for kind in ("close", "reset"):
        with serving(kind) as far, call(far.port) as one, contextlib.suppress(ConnectionError):
            assert one.recv(1) == b""


def test_a_deaf_server_answers_no_syn() -> None:
    with serving("deaf") as far, pytest.raises(TimeoutError):
        call(far.port, 0.5)


def test_bad_brokers_refuse_and_flood() -> None:
    async def told() -> None:
        with serving("refuse") as far, pytest.raises(RefusedError):
            await connect(far.port, "box")
        with serving("flood") as far:
            client = await connect(far.port, "box")
            gone = asyncio.Event()
            client.on_gone = gone.set
            await client.subscribe("homeward/v1/box/receipt")
            async with asyncio.timeout(20.0):
                await gone.wait()  # it takes a megabyte, and no more
            assert far.n_bytes_out > 1 << 20

    asyncio.run(told())


@needs_names
def test_a_name_server_that_hangs_makes_a_process_wait_for_a_name(tmp_path: Path) -> None:
    asks = [sys.executable, "-c", "import socket; socket.getaddrinfo('far.example', 80)"]
    with names.naming("hang") as server:
        words = names.asking_it(tmp_path, asks)
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(words, timeout=2.0, check=False, capture_output=True)
        assert server.n_asked > 0
    with names.naming("wrong"):
        done = subprocess.run(words, timeout=20.0, check=False, capture_output=True)
    assert b"gaierror" in done.stderr


@needs_mosquitto
def test_a_broker_that_is_killed_forgets_what_it_has_confirmed(tmp_path: Path) -> None:
    """Why nothing here settles on a broker's word: reference/ecosystem.md, finding 1."""

    async def told() -> int:
        with broker.broker(tmp_path) as one:
            far = await connect(one.port, "far", clean=False)
            await far.subscribe("t/#")
            far.hang_up()
            box = await connect(one.port, "box")
            confirmed: list[int] = []
            box.on_puback = confirmed.append
            for i in range(200):
                box.publish("t/x", b"%d" % i)
            await until(lambda: len(confirmed) >= 200)
            one.kill()
            one.start()
            got: list[bytes] = []

            def make() -> Client:
                client = Client()
                client.on_message = lambda _topic, said: not got.append(said)  # type: ignore[func-returns-value]
                return client

            await connect(one.port, "far", clean=False, make=make)
            await asyncio.sleep(0.5)
            return len(got)

    assert asyncio.run(told()) == 0


@needs_nats
def test_a_cluster_goes_on_when_a_node_is_killed(tmp_path: Path) -> None:
    async def told() -> int:
        with nats.cluster(tmp_path) as three:
            got: list[bytes] = []
            far = await connect(three.nodes[2].port, "far", clean=False)
            far.on_message = lambda _topic, said: not got.append(said)  # type: ignore[func-returns-value]
            await far.subscribe("t/#")
            box = await connect(three.nodes[0].port, "box", clean=False)
            confirmed: list[int] = []
            box.on_puback = confirmed.append
            for i in range(100):
                box.publish("t/x", b"%d" % i)
            await until(lambda: len(confirmed) >= 100)
            three.nodes[0].kill()
            assert not listens(three.nodes[0].port)
            three.wait_agreed()
            await until(lambda: len(got) >= 100)
            return len(set(got))

    assert asyncio.run(told()) == 100
