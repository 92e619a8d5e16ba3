"""Servers that do what none should, whatever is spoken to them."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

CHUNK = b"[" * 65536


def _silent(peer: socket.socket, ended: threading.Event) -> None:
    del peer
    ended.wait()


def _drip(peer: socket.socket, ended: threading.Event) -> None:
    while not ended.wait(1.0):
        peer.sendall(b"H")


def _flood(peer: socket.socket, ended: threading.Event) -> None:
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
    for _ in range(160):
        peer.sendall(CHUNK)
    ended.wait()


def _junk(peer: socket.socket, ended: threading.Event) -> None:
    peer.sendall(bytes(range(256)) * 8)
    ended.wait()


def _slam(peer: socket.socket, ended: threading.Event) -> None:
    del peer, ended


_KINDS: dict[str, Callable[[socket.socket, threading.Event], None]] = {
    "silent": _silent,
    "drip": _drip,
    "flood": _flood,
    "junk": _junk,
    "slam": _slam,
}
KINDS = (*_KINDS, "hole", "nobody")
"""``silent`` says nothing, ``drip`` a byte a second, ``flood`` ten megabytes, ``junk`` no protocol;
``slam`` hangs up; ``hole`` is a network that swallows all; at ``nobody`` nobody listens."""


@contextlib.contextmanager
def badly(kind: str) -> Iterator[int]:
    """Serve so; yield the port."""
    if kind == "nobody":
        yield 1
    elif kind == "hole":
        with _hole() as port:
            yield port
    else:
        with _serving(_KINDS[kind]) as port:
            yield port


@contextlib.contextmanager
def _hole() -> Iterator[int]:
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
    try:
        yield int(full.getsockname()[1])
    finally:
        for one in (*fillers, full):
            one.close()


@contextlib.contextmanager
def _serving(kind: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)
    ended = threading.Event()

    def serve(peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            peer.settimeout(2.0)
            kind(peer, ended)

    def accept() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                peer, _ = listening.accept()
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        ended.set()
        thread.join(5)
        listening.close()
