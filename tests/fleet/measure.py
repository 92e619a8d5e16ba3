"""What a fleet costs a broker, measured on this machine: one row a measurement.

Boxes, broker and receiver share its processors; what the broker itself used is read from the
kernel, so its share can be told apart.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.edge.notices.far_away import authority
from tests.fleet import wire
from tests.fleet.box import Box
from tests.fleet.far import Far
from tests.fleet.mqtt import Client, connect
from tests.rigs.net.broker import broker
from tests.rigs.net.nats import cluster
from tests.rigs.net.programs import Program, cpu_s, rss_kb

Row = dict[str, Any]
AT_ONCE = 256
"""Connections that are being made at a time."""


async def connected(
    ports: Sequence[int],
    n: int,
    tls: ssl.SSLContext | None = None,
    *,
    qos: int = 1,
    at_once: int = AT_ONCE,
) -> list[Client]:
    """Return so many connections, idle, each subscribed to the receipts of its box."""
    room = asyncio.Semaphore(at_once)

    async def one(i: int) -> Client:
        async with room:
            client = await connect(ports[i % len(ports)], f"box-{i}", tls=tls)
            await client.subscribe(f"{wire.ROOT}/box-{i}/receipt", qos)
            return client

    return list(await asyncio.gather(*(one(i) for i in range(n))))


async def wait(condition: Callable[[], bool], limit_s: float = 300.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  # there is no event of it
            await asyncio.sleep(0.005)


def identities(folder: Path) -> tuple[dict[str, Path], ssl.SSLContext]:
    """Return what a broker shows, and what a box does: of one authority, ECDSA P-256."""
    ca = authority(folder, "fleet")
    pair = ca.with_name("fleet.server.pem")
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(pair)
    return {"cafile": ca, "certfile": pair, "keyfile": pair}, context


def idle(folder: Path, n: int, *, secure: bool) -> Row:
    """Measure idle connections of one mosquitto: memory of each, handshakes, then PUBACKs."""

    async def all_of_it() -> Row:
        tls, context = identities(folder) if secure else (None, None)
        with broker(folder / "broker", keeping="nothing", tls=tls) as one:
            empty_kb, cpu0_s, begin_s = rss_kb(one.pid), cpu_s(one.pid), time.monotonic()
            clients = await connected([one.port], n, context)
            took_s, used_s = time.monotonic() - begin_s, cpu_s(one.pid) - cpu0_s
            full_kb = rss_kb(one.pid)
            row = {
                "what": f"{n} idle connections, {'mTLS' if secure else 'plain'}, one mosquitto",
                "connections/s": round(n / took_s),
                "broker's cpu ms/connection": round(1000 * used_s / n, 2),
                "broker MB": round(full_kb / 1024, 1),
                "kB/connection": round((full_kb - empty_kb) / n, 2),
                **await _pubacks(clients, one),
            }
            for client in clients:
                assert client.transport is not None
                client.transport.abort()
            await asyncio.sleep(0.2)
            return row

    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(all_of_it())


async def _pubacks(clients: Sequence[Client], one: Program, n: int = 20_000) -> Row:
    n_confirmed = 0

    def confirmed(_mid: int) -> None:
        nonlocal n_confirmed
        n_confirmed += 1

    body = bytes(900)
    for client in clients:
        client.on_puback = confirmed
    cpu0_s, begin_s = cpu_s(one.pid), time.monotonic()
    for i in range(n):
        clients[i % len(clients)].publish(f"{wire.ROOT}/box-{i % len(clients)}/up/alert", body)
        if i - n_confirmed > 2000:
            await wait(lambda i=i: i - n_confirmed < 1000)  # type: ignore[misc]
    await wait(lambda: n_confirmed >= n)
    took_s = time.monotonic() - begin_s
    return {
        "PUBACK/s": round(n / took_s),
        "broker's cpu us/message": round(1e6 * (cpu_s(one.pid) - cpu0_s) / n),
    }


def nats_idle(folder: Path, n: int, *, qos: int) -> Row:
    """Measure idle connections of a three node cluster of nats-server.

    A subscription of QoS 1 is a consumer of JetStream there, one for each box; QoS 0 is none.
    """

    async def all_of_it() -> Row:
        with cluster(folder) as three:
            empty = [rss_kb(node.pid) for node in three.nodes]
            begin_s = time.monotonic()
            ports = [node.port for node in three.nodes]
            clients = await connected(ports, n, qos=qos, at_once=8 if qos else AT_ONCE)
            took_s = time.monotonic() - begin_s
            await asyncio.sleep(1.0)
            full = [rss_kb(node.pid) for node in three.nodes]
            row = {
                "what": f"{n} idle connections, plain, NATS cluster of 3, receipts with QoS {qos}",
                "connections/s": round(n / took_s),
                "broker MB": " ".join(f"{kb / 1024:.0f}" for kb in full),
                "kB/connection": round((sum(full) - sum(empty)) / n, 1),
            }
            for client in clients:
                assert client.transport is not None
                client.transport.abort()
            await asyncio.sleep(0.2)
            return row

    return asyncio.run(all_of_it())


def storm(folder: Path, n: int, *, jitter: bool, spread_s: float, secure: bool = False) -> Row:
    """Measure a broker that comes back to a whole fleet: who waits how long, and in what crowd."""

    async def all_of_it() -> Row:
        tls, context = identities(folder) if secure else (None, None)
        with broker(folder / "broker", keeping="nothing", tls=tls) as one:
            boxes = [
                Box(f"box-{i}", [one.port], jitter=False, first_s=0.2, tls=context)
                for i in range(n)
            ]
            running = [asyncio.create_task(box.run()) for box in boxes]
            await wait(lambda: sum(box.up for box in boxes) == n)
            for box in boxes:  # only now: the fleet is to be up before the storm
                box.jitter, box.most_s = jitter, spread_s
                box.first_s = spread_s if jitter else 1.0
                box.n_connects = box.n_failed = 0
            one.kill()
            await asyncio.sleep(2.0)
            one.start()
            cpu0_s, begin_s = cpu_s(one.pid), time.monotonic()
            came: list[int] = [0]
            while came[-1] < n:
                await asyncio.sleep(1.0)
                came.append(sum(box.up for box in boxes))
                if time.monotonic() - begin_s > 300.0:
                    break
            took_s = time.monotonic() - begin_s
            row = {
                "what": f"storm of {n}, {'mTLS' if secure else 'plain'}, "
                + (f"full jitter over {spread_s:.0f} s" if jitter else "all again every second"),
                "all back after s": round(took_s, 1) if came[-1] >= n else f"{came[-1]} in 300",
                "most in a second": max(b - a for a, b in itertools.pairwise(came)),
                "tries in all": sum(box.n_connects for box in boxes),
                "broker's cpu s": round(cpu_s(one.pid) - cpu0_s, 1),
            }
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            return row

    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(all_of_it())


def receiving(folder: Path, n_entries: int, n_boxes: int = 20, batch: int = 8) -> Row:
    """Measure from outbox to settled: boxes, one mosquitto, the rig's own receiver with fsync."""

    async def all_of_it() -> Row:
        key = Ed25519PrivateKey.generate()
        with broker(folder / "broker", keeping="nothing") as one:
            far = Far(folder / "far.db", [one.port], key)
            boxes = [
                Box(f"box-{i}", [one.port], key=key.public_key(), batch=batch)
                for i in range(n_boxes)
            ]
            for i in range(n_entries):
                boxes[i % n_boxes].make()
            receiver = asyncio.create_task(far.run())
            await wait(lambda: far.client is not None)
            begin_s = time.monotonic()
            running = [asyncio.create_task(box.run()) for box in boxes]
            await wait(lambda: not any(box.n_waiting for box in boxes))
            took_s = time.monotonic() - begin_s
            for task in (receiver, *running):
                task.cancel()
            await asyncio.gather(receiver, *running, return_exceptions=True)
            n_bytes = far.n_bytes
            far.close()
            return {
                "what": f"{n_entries} entries of {n_boxes} boxes, {batch} a message, to settled",
                "entries/s": round(n_entries / took_s),
                "messages": far.n_messages,
                "stored bytes/entry": round(n_bytes / n_entries),
            }

    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(all_of_it())
