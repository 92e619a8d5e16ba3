"""One exchange with a server: in time, bounded, and only with who it should be."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge import fetch as fetch_module
from edge.fetch import MAX_BODY_BYTES, Ask, FetchError, Reply, fetch
from tests.edge.notices.far_away import Far, authority, server_side, serving, wretched


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NAME_S", "CONNECT_S", "BODY_S"):
        monkeypatch.setattr(fetch_module, name, 0.4)
    monkeypatch.setattr(fetch_module, "WHOLE_S", 1.0)


@pytest.fixture
def far() -> Iterator[Far]:
    with serving(Far()) as server:
        yield server


def ask(url: str, **more: Any) -> Reply:
    return asyncio.run(fetch(Ask(url, **more)))


def test_what_is_sent_arrives_and_what_is_answered_comes_back(far: Far) -> None:
    reply = ask(f"{far.url}/topic", method="POST", headers={"X-Title": "T"}, body=b"text")
    assert reply.ok
    assert b'"message": "text"' in reply.body
    (request,) = far.requests
    assert (request[0], request[1], request[3]) == ("POST", "/topic", "text")
    assert request[2]["X-Title"] == "T"


@pytest.mark.parametrize(("status", "wait"), [(429, 7), (503, 0), (500, None), (404, None)])
def test_a_refusal_is_an_answer_with_what_the_server_asks_for(
    far: Far, status: int, wait: int | None
) -> None:
    far.fault = {"status": status} if wait is None else {"status": status, "retry_after": wait}
    reply = ask(f"{far.url}/topic", method="POST")
    assert (reply.status, reply.ok) == (status, False)
    assert reply.retry_after_s() == wait


def test_ten_megabytes_are_not_read(far: Far) -> None:
    far.fault = {"big": True}
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reply = ask(f"{far.url}/topic", method="POST", body=b"x")
    assert reply.ok
    assert len(reply.body) == MAX_BODY_BYTES
    # The server in this process makes the ten megabytes twice; the reader may not add a third.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 35 * 1024


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("kind", ["silent", "drip"])
def test_a_server_that_hangs_is_left_in_time(kind: str, scheme: str) -> None:
    with wretched(kind) as port:
        began_s = time.monotonic()
        with pytest.raises(FetchError) as told:
            ask(f"{scheme}://localhost:{port}/x")
        assert time.monotonic() - began_s < 2.5
        assert told.value.arrived == (scheme == "http")


@pytest.mark.usefixtures("_impatient")
def test_a_network_that_swallows_everything_is_left_in_time() -> None:
    # A listener whose queue is full answers no further SYN: as a black hole does.
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
        fillers.append(filler)
    began_s = time.monotonic()
    with pytest.raises(FetchError, match="localhost") as told:
        ask(f"http://localhost:{full.getsockname()[1]}/x")
    assert time.monotonic() - began_s < 2.5
    assert not told.value.arrived
    for one in (*fillers, full):
        one.close()


@pytest.mark.usefixtures("_impatient")
def test_a_resolver_that_hangs_holds_one_thread_and_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def hang(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        time.sleep(3.0)
        raise socket.gaierror(socket.EAI_AGAIN, "again")

    monkeypatch.setattr(fetch_module.socket, "getaddrinfo", hang)

    async def three() -> list[float]:
        took = []
        for _ in range(3):
            began_s = time.monotonic()
            with pytest.raises(FetchError, match="in time"):
                await fetch(Ask("https://hangs.example/x"))
            took.append(time.monotonic() - began_s)
        return took

    assert max(asyncio.run(three())) < 1.5
    assert asked == ["hangs.example"]


def test_a_name_nobody_knows_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "x")

    monkeypatch.setattr(fetch_module.socket, "getaddrinfo", unknown)
    with pytest.raises(FetchError, match="is there a network"):
        ask("https://nowhere.example/secret")


def test_an_authority_of_ones_own_is_the_only_one(tmp_path: Path) -> None:
    ours = authority(tmp_path, "ours")
    assert fetch_module.tls(ours).cert_store_stats()["x509_ca"] == 1


def test_only_who_it_should_be_is_spoken_to(tmp_path: Path) -> None:
    ours, theirs = authority(tmp_path, "ours"), authority(tmp_path, "theirs")
    expired = authority(tmp_path, "expired", days=-1)
    other = authority(tmp_path, "other", host="other.example")
    with serving(Far(server_side(ours))) as far:
        assert ask(f"{far.url}/x", ca_file=ours).ok
        for ca in (theirs, None):
            with pytest.raises(FetchError, match="not who it should be"):
                ask(f"{far.url}/x", ca_file=ca)
        assert len(far.requests) == 1
    for ca in (expired, other):
        with (
            serving(Far(server_side(ca))) as far,
            pytest.raises(FetchError, match="not who it should be"),
        ):
            ask(f"{far.url}/x", ca_file=ca)
        assert far.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://ntfy.example/topic",
        "ftp://ntfy.example/topic",
        "ntfy.example/topic",
        "https://",
        "https://host:0/x",
        "https://host:99999/x",
        "https://host/a b",
        "https://host/\r\nX-Evil: 1",
        "https://höst/x",
        "",
    ],
)
def test_an_address_that_would_send_in_clear_or_is_none_is_refused(url: str) -> None:
    with pytest.raises(FetchError) as told:
        ask(url)
    assert "topic" not in str(told.value)


def test_a_header_with_a_line_break_is_refused(far: Far) -> None:
    with pytest.raises(FetchError, match="X-Title"):
        ask(f"{far.url}/x", headers={"X-Title": "a\r\nX-Evil: 1"})
    assert far.requests == []


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"220 mail.example ESMTP\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n", "its head"),
        (b"", "cannot be asked"),
        (b"HTTP/1.1 200", "cannot be asked"),
    ],
)
def test_what_is_no_http_is_told(sent: bytes, told: str) -> None:
    with pytest.raises(FetchError, match=told):
        asyncio.run(_exchange(sent))


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc", b"abc"),
        (
            b"HTTP/1.0 200\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc", b"abc"),
    ],
)
def test_every_way_to_end_a_body_is_understood(sent: bytes, body: bytes) -> None:
    assert asyncio.run(_exchange(sent)).body == body


async def _exchange(sent: bytes) -> Reply:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await fetch(Ask(f"http://127.0.0.1:{port}/x"))
