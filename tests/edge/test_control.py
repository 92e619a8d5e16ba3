"""The local socket answers, and no client can stop it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import random
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.control import (
    MAX_CLIENTS,
    MAX_REQUEST_BYTES,
    Acknowledge,
    Alerts,
    ControlError,
    Ping,
    Request,
    Status,
    Trace,
)
from edge.control import server as server_module
from edge.control.client import ControlClient, NotRunningError
from edge.control.server import ControlServer
from edge.daemon import listening

BIG = "x" * 4_000_000


async def answer(request: Request) -> Any:
    match request:
        case Ping():
            return "pong"
        case Acknowledge(id=alert_id, by=by):
            return {"alert": alert_id, "by": by}
        case Trace(signal="big"):
            return BIG
        case Trace():
            raise ControlError("there is no such signal: see `homeward status`")
        case Alerts():
            return 1 / 0
        case _:
            return {"now_s": time.monotonic()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def server(path: Path) -> Iterator[ControlServer]:
    """A server in an event loop of its own, as in the monitor."""
    found: list[ControlServer] = []
    stop: list[Callable[[], None]] = []
    ready = threading.Event()

    async def live() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopped.set))
        found.append(ControlServer(path, answer))
        await found[0].start()
        ready.set()
        await stopped.wait()
        await found[0].close()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    assert ready.wait(5)
    yield found[0]
    stop[0]()
    thread.join(10)
    assert not thread.is_alive()


def raw(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(str(path))
    return connection


def line(connection: socket.socket) -> Any:
    with connection.makefile("rb") as file:
        return json.loads(file.readline())


def ping(path: Path) -> Any:
    with ControlClient(path) as client:
        return client.ask(Ping())


def until(condition: Callable[[], bool], limit_s: float = 5.0) -> bool:
    end = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


@pytest.mark.usefixtures("server")
def test_requests_are_answered_one_after_another(path: Path) -> None:
    with ControlClient(path) as client:
        assert client.ask(Ping()) == "pong"
        assert client.ask(Acknowledge("a1", "Ann")) == {"alert": "a1", "by": "Ann"}
        with pytest.raises(ControlError, match=r"no such signal: see `homeward status`"):
            client.ask(Trace("none"))
        assert client.ask(Ping()) == "pong"


def test_live_goes_on_until_the_client_hangs_up(server: ControlServer, path: Path) -> None:
    with ControlClient(path) as client:
        seen = client.watch()
        first, second = next(seen), next(seen)
        assert 0.9 < second["now_s"] - first["now_s"] < 2.0
    assert until(lambda: server.n_clients == 0)


@pytest.mark.usefixtures("server")
def test_the_socket_belongs_to_one_user(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ControlError, match=r"mode 755.*chmod 700"):
        asyncio.run(ControlServer(tmp_path / "open" / "control.sock", answer).start())


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"hello\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"\xff\xfe\x00\n",
        b'{"command":"format"}\n',
        b'{"command":"ping","extra":1}\n',
        b'{"command":"acknowledge"}\n',
        b'{"command":"acknowledge","id":"","by":"x"}\n',
        b'{"command":"trace","signal":"ecg_mv","seconds":1e9}\n',
        b'{"command":"trace","signal":"ecg_mv","seconds":"NaN"}\n',
        b'{"command":"alerts","limit":-1}\n',
        b"[" * 30_000 + b"\n",
        b'{"a":' * 12_000 + b"\n",
        b'{"x":' + b"[" * 30_000 + b"\n",
    ],
)
@pytest.mark.usefixtures("server")
def test_garbage_gets_an_error_and_the_connection_goes_on(path: Path, garbage: bytes) -> None:
    with raw(path) as connection:
        connection.sendall(garbage)
        reply = line(connection)
        assert reply["ok"] is False
        assert "not a request" in reply["error"]
        connection.sendall(b'{"command":"ping"}\n')
        assert line(connection) == {"ok": True, "answer": "pong"}


def answers(path: Path) -> bool:
    try:
        return bool(ping(path) == "pong")
    except ControlError:  # all places are still taken
        return False


def test_random_bytes_never_stop_the_server(server: ControlServer, path: Path) -> None:
    chance = random.Random(5)  # noqa: S311
    for _ in range(50):
        with raw(path) as connection:
            connection.sendall(chance.randbytes(chance.randrange(1, 2000)))
    assert until(lambda: answers(path))
    assert until(lambda: server.n_clients == 0)


def test_a_request_that_never_ends_is_cut_off(server: ControlServer, path: Path) -> None:
    with raw(path) as connection, pytest.raises(ConnectionError):  # noqa: PT012
        for _ in range(200):
            connection.sendall(b"x" * MAX_REQUEST_BYTES)
    assert until(lambda: server.n_clients == 0)


def test_a_client_that_does_not_read_is_dropped(
    server: ControlServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "SLOW_S", 0.2)
    with raw(path) as slow, ControlClient(path) as quick:
        for _ in range(4):
            slow.sendall(b'{"command":"trace","signal":"big"}\n')
        assert quick.ask(Ping()) == "pong"  # nobody waits for the slow one
        assert until(lambda: server.n_clients == 1)


def test_a_client_that_asks_nothing_gives_up_its_place(
    server: ControlServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "IDLE_S", 0.1)
    with raw(path) as silent:
        assert until(lambda: server.n_clients == 0)
        assert silent.recv(10) == b""


def test_one_client_too_many_is_told_so(server: ControlServer, path: Path) -> None:
    clients = [raw(path) for _ in range(MAX_CLIENTS)]
    assert until(lambda: server.n_clients == MAX_CLIENTS)
    with raw(path) as extra:
        reply = line(extra)
        assert f"{MAX_CLIENTS} clients are connected" in reply["error"]
    for client in clients:
        client.close()
    assert until(lambda: server.n_clients == 0)
    with ControlClient(path) as client:
        assert client.ask(Ping()) == "pong"


@pytest.mark.usefixtures("server")
def test_an_answer_that_breaks_is_an_error_not_the_end(path: Path) -> None:
    with ControlClient(path) as client:
        with pytest.raises(ControlError, match=r"failed to answer .*division by zero"):
            client.ask(Alerts())
        assert client.ask(Status())["now_s"] > 0


def test_what_a_dead_monitor_left_behind_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))  # and never removed

    async def live_a_moment() -> None:
        server = ControlServer(path, answer)
        await server.start()
        assert await asyncio.to_thread(ping, path) == "pong"
        await server.close()

    asyncio.run(live_a_moment())
    assert not path.exists()


@pytest.mark.usefixtures("server")
def test_a_living_monitor_is_not_replaced(path: Path) -> None:
    with pytest.raises(ControlError, match=r"a monitor is running here already \(process \d+"):
        asyncio.run(ControlServer(path, answer).start())
    with ControlClient(path) as client:
        assert client.ask(Ping()) == "pong"


def test_a_file_that_is_no_socket_is_not_overwritten(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(ControlError, match="cannot listen"):
        asyncio.run(ControlServer(path, answer).start())
    assert path.read_text() == "mine"


def test_nobody_there_is_said_plainly(path: Path) -> None:
    with pytest.raises(NotRunningError, match=r"no monitor is running here.*`homeward run`"):
        ControlClient(path)


def test_a_monitor_that_hangs_is_said_plainly(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(path))
        hung.listen()
        with (
            ControlClient(path, timeout_s=0.1) as client,
            pytest.raises(ControlError, match="does not answer"),
        ):
            client.ask(Ping())


def test_something_else_behind_the_socket_is_said_plainly(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with ControlClient(path) as client:
            stranger, _ = other.accept()
            with stranger:
                stranger.sendall(b"220 mail ready\n")
                with pytest.raises(ControlError, match="does not speak our language"):
                    client.ask(Ping())
                stranger.recv(100)  # a close with unread bytes would be a reset
            with pytest.raises(ControlError, match=r"hung up|cannot ask"):
                client.ask(Ping())


def test_an_answer_that_drips_without_end_is_given_up_as_a_whole(path: Path) -> None:
    stop = threading.Event()

    def drip(listening: socket.socket) -> None:
        peer, _ = listening.accept()
        with peer, contextlib.suppress(OSError):
            while not stop.wait(0.05):
                peer.sendall(b" ")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=drip, args=(listening,), daemon=True)
        thread.start()
        began_s = time.monotonic()
        with ControlClient(path, timeout_s=0.5) as client:
            with pytest.raises(ControlError, match="does not answer"):
                client.ask(Ping())
            assert 0.4 < time.monotonic() - began_s < 3.0
            with pytest.raises(ControlError, match="cannot ask"):
                client.ask(Ping())  # what comes late is no answer to this
        stop.set()
        thread.join(5)


def test_a_full_disk_refuses_the_words_in_the_lock_and_not_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(server_module.os, "write", refuse)
    monkeypatch.setattr(server_module.os, "truncate", refuse)
    second = ControlServer(path.with_name("other.sock"), answer)

    async def start_and_close() -> bool:
        await second.start()
        listens = second.path.exists()
        await second.close()
        return listens

    assert asyncio.run(start_and_close())


def test_a_disk_that_refuses_the_socket_is_asked_again_until_it_has_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "AGAIN_S", 0.01)
    refused = iter([errno.ENOSPC, errno.EIO, errno.EROFS])
    real = server_module.os.open

    def open_later(*given: Any) -> int:
        code = next(refused, None)
        if code is not None:
            raise OSError(code, "refused")
        return real(*given)

    monkeypatch.setattr(server_module.os, "open", open_later)
    second = ControlServer(path.with_name("other.sock"), answer)

    async def listen_at_last() -> bool:
        await asyncio.wait_for(await listening.listen(second, alone=True), 10.0)
        listens = second.path.exists()
        await second.close()
        return listens

    assert asyncio.run(listen_at_last())
    assert next(refused, None) is None


def test_a_monitor_that_runs_here_already_is_no_fault_of_the_disk(server: ControlServer) -> None:
    with pytest.raises(ControlError, match="running here already"):
        asyncio.run(listening.listen(ControlServer(server.path, answer), alone=True))
