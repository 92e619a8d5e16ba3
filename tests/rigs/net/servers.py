"""Servers that do what none should, one thread each: whoever speaks to them must get away.

    with serving("hang") as far:  ...  far.port

    hang       accepts, reads, and never says a word (with a client that speaks TLS: the handshake
               hangs)
    deaf       accepts nothing: its queue is full, and a further SYN is not answered
    drip       one byte a second, without end: ``HTTP/1.1 200 OK`` and headers for ever
    big        a good head, and ten megabytes of body
    headers    headers, without end, as fast as they are taken
    garbage    bytes of chance (the same every time)
    close      accepts and hangs up
    reset      accepts and resets
    connack    takes an MQTT CONNECT, and never answers anything after
    refuse     answers an MQTT CONNECT with "not authorised"
    flood      an MQTT broker that sends a message of 10 MB to whoever subscribes

Through TLS, where a context is handed in.
"""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.rigs.net.programs import HERE

BIG_BYTES: Final = 10 * 1024 * 1024
PIECE: Final = 65_536
LOOK_S: Final = 0.05


class Far:
    """Such a server.

    Attributes
    ----------
    n_taken, n_bytes_in, n_bytes_out : int
        Connections it took; what it was sent; what was taken of what it sends.
    """

    def __init__(self, kind: str, tls: ssl.SSLContext | None = None, drip_s: float = 1.0) -> None:
        self.kind, self.tls, self.drip_s = kind, tls, drip_s
        self.n_taken = self.n_bytes_in = self.n_bytes_out = 0
        self._ended = threading.Event()
        self._listening = socket.create_server((HERE, 0), backlog=0 if kind == "deaf" else 64)
        self.port: int = self._listening.getsockname()[1]
        self._full: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        if self.kind == "deaf":
            for _ in range(4):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex((HERE, self.port))
                self._full.append(one)
            return
        self._listening.settimeout(LOOK_S)
        self._begin(self._accept)

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10.0)
        for one in (*self._full, self._listening):
            one.close()

    def _begin(self, what: Callable[..., None], *parts: object) -> None:
        thread = threading.Thread(target=what, args=parts, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                peer, _ = self._listening.accept()
                self.n_taken += 1
                self._begin(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        peer.settimeout(LOOK_S)
        with contextlib.suppress(OSError), self._secured(peer) as one:
            one.settimeout(LOOK_S)
            KINDS[self.kind](self, one)

    def _secured(self, peer: socket.socket) -> socket.socket:
        if self.tls is None:
            return peer
        peer.settimeout(5.0)
        return self.tls.wrap_socket(peer, server_side=True)

    # -- what they do

    def read(self, peer: socket.socket) -> bytes:
        """Return what came; empty: nothing did in a moment. ConnectionError: it hung up."""
        try:
            came = peer.recv(PIECE)
        except TimeoutError:
            return b""
        if not came:
            raise ConnectionResetError
        self.n_bytes_in += len(came)
        return came

    def wait_first(self, peer: socket.socket) -> None:
        while not self._ended.is_set() and not self.read(peer):
            pass

    def write(self, peer: socket.socket, what: bytes) -> None:
        """Send all of it, however slowly it is taken."""
        view = memoryview(what)
        while view and not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                n = peer.send(view)
                self.n_bytes_out += n
                view = view[n:]

    def hang(self, peer: socket.socket) -> None:
        while not self._ended.is_set():
            self.read(peer)

    def drip(self, peer: socket.socket) -> None:
        self.wait_first(peer)
        said = b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000
        for byte in said:
            self.write(peer, bytes([byte]))
            if self._ended.wait(self.drip_s):
                return

    def big(self, peer: socket.socket) -> None:
        self.wait_first(peer)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {BIG_BYTES}\r\n\r\n"
        self.write(peer, head.encode())
        for _ in range(BIG_BYTES // PIECE):
            self.write(peer, b" " * PIECE)

    def headers(self, peer: socket.socket) -> None:
        self.wait_first(peer)
        self.write(peer, b"HTTP/1.1 200 OK\r\n")
        while not self._ended.is_set():
            self.write(peer, b"X-Filler: " + b"a" * 80 + b"\r\n")

    def garbage(self, peer: socket.socket) -> None:
        self.wait_first(peer)
        self.write(peer, random.Random(7).randbytes(PIECE))  # noqa: S311

    def close(self, _peer: socket.socket) -> None:
        return

    def reset(self, peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def connack(self, peer: socket.socket) -> None:
        self.wait_first(peer)
        self.write(peer, b"\x20\x02\x00\x00")
        self.hang(peer)

    def refuse(self, peer: socket.socket) -> None:
        self.wait_first(peer)
        self.write(peer, b"\x20\x02\x00\x05")

    def flood(self, peer: socket.socket) -> None:
        """Confirm one subscription, and send to its topic what nobody can want."""
        self.wait_first(peer)
        self.write(peer, b"\x20\x02\x00\x00")
        asked = b""
        while not self._ended.is_set() and (len(asked) < 6 or asked[0] != 0x82):
            asked = self.read(peer)
        n_topic = int.from_bytes(asked[4:6], "big")
        topic = asked[6 : 6 + n_topic]
        self.write(peer, b"\x90\x03" + asked[2:4] + b"\x01")
        rest = 2 + n_topic + BIG_BYTES
        self.write(peer, b"\x30" + _length(rest) + asked[4:6] + topic)
        for _ in range(BIG_BYTES // PIECE):
            self.write(peer, b"{" * PIECE)
        self.hang(peer)


def _length(n: int) -> bytes:
    said = bytearray()
    while True:
        n, low = divmod(n, 128)
        said.append(low | (0x80 if n else 0))
        if not n:
            return bytes(said)


KINDS: Final[Mapping[str, Callable[[Far, socket.socket], None]]] = {
    "hang": Far.hang,
    "drip": Far.drip,
    "big": Far.big,
    "headers": Far.headers,
    "garbage": Far.garbage,
    "close": Far.close,
    "reset": Far.reset,
    "connack": Far.connack,
    "refuse": Far.refuse,
    "flood": Far.flood,
}


@contextlib.contextmanager
def serving(kind: str, tls: ssl.SSLContext | None = None, *, drip_s: float = 1.0) -> Iterator[Far]:
    """Serve badly until the end."""
    far = Far(kind, tls, drip_s)
    far.start()
    try:
        yield far
    finally:
        far.stop()
