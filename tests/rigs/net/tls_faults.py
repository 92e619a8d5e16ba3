"""Servers that do TLS badly, each on a port of its own, in threads.

Silent      takes a connection and says nothing: a handshake that hangs; keeps what came
Serving     a TLS server, as its context is; answers each connection, keeps what came in clear
Meddler     a man in the middle: another's TLS outside, the real server inside
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from tests.rigs.net.pki import Pair

HELD_S: Final = 30.0
SAID: Final = b"homeward"
"""Body of a request: so it is known that all of it came."""
HTTP_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Listening:
    """A listener; `seen`: the bytes of every connection, as they came over the wire."""

    def __init__(self) -> None:
        self.seen: list[bytearray] = []
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener.settimeout(0.1)
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10.0)
            assert not thread.is_alive()
        self._listener.close()

    def talk(self, peer: socket.socket, seen: bytearray) -> None:
        """Do with a connection whatever this one does."""
        raise NotImplementedError

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                peer, _ = self._listener.accept()
            except TimeoutError:
                continue
            seen = bytearray()
            self.seen.append(seen)
            self._start(self._held, peer, seen)

    def _held(self, peer: socket.socket, seen: bytearray) -> None:
        peer.settimeout(5.0)
        # What a peer does to us is its affair; the test looks at what it saw itself.
        with peer, contextlib.suppress(OSError):
            self.talk(peer, seen)


class Silent(Listening):
    """A handshake that never ends; whatever is sent is kept."""

    def talk(self, peer: socket.socket, seen: bytearray) -> None:
        peer.settimeout(0.1)
        while not self._ended.is_set():
            try:
                piece = peer.recv(4096)
            except TimeoutError:
                continue
            if not piece:
                return
            seen += piece


class Serving(Listening):
    """A TLS server; `clear`: what came through its TLS, of every connection.

    `answer`: sent after the first bytes, before it hangs up; None: it says nothing and waits.
    """

    def __init__(self, context: ssl.SSLContext, answer: bytes | None = HTTP_OK) -> None:
        super().__init__()
        self.clear: list[bytes] = []
        self._context, self._answer = context, answer

    def talk(self, peer: socket.socket, seen: bytearray) -> None:
        seen += peer.recv(4096, socket.MSG_PEEK)
        with self._context.wrap_socket(peer, server_side=True) as inside:
            self.serve(inside)

    def serve(self, inside: ssl.SSLSocket) -> None:
        """Read one message, answer once."""
        piece = read_all(inside)
        if piece:
            self.clear.append(piece)
        if self._answer is not None:
            inside.sendall(self._answer)


class Meddler(Serving):
    """A man in the middle: he shows his own certificate, and passes everything on to a server."""

    def __init__(self, pair: Pair, inner: tuple[int, ssl.SSLContext]) -> None:
        super().__init__(lax_server(pair))
        self._inner = inner

    def serve(self, inside: ssl.SSLSocket) -> None:
        port, context = self._inner
        with (
            socket.create_connection(("127.0.0.1", port), 5.0) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as real,
        ):
            piece = read_all(inside)
            self.clear.append(piece)
            real.sendall(piece)
            inside.sendall(real.recv(65536))


class Relay(Listening):
    """Passes bytes on to a server as they are; `seen`: what clients sent."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._to = port

    def talk(self, peer: socket.socket, seen: bytearray) -> None:
        with socket.create_connection(("127.0.0.1", self._to), 5.0) as server:
            self._start(self._back, server, peer)
            while True:
                piece = peer.recv(65536)
                if not piece:
                    return
                seen += piece
                server.sendall(piece)

    @staticmethod
    def _back(server: socket.socket, peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(65536):
                peer.sendall(piece)
            peer.shutdown(socket.SHUT_RDWR)


def read_all(inside: ssl.SSLSocket) -> bytes:
    """Return what a client says first: a whole request, or whatever MQTT begins with."""
    heard = b""
    while not heard.endswith(SAID) and b"MQTT" not in heard:
        piece = inside.recv(65536)
        if not piece:
            break
        heard += piece
    return heard


def lax_server(pair: Pair, *, clients: Path | None = None, old: bool = False) -> ssl.SSLContext:
    """Return a server's context that shows anything, however bad; `old`: TLS 1.1 and no later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(*pair)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return _aged(context) if old else context


def lax_client(*, old: bool = False) -> ssl.SSLContext:
    """Return a client that believes everybody: it shows that a rig is what it says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    return _aged(context) if old else context


def _aged(context: ssl.SSLContext) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def only_handshakes(seen: bytes) -> bool:
    """Return whether a wire saw TLS records alone, and nothing of MQTT or HTTP in clear."""
    plain = (b"MQTT", b"MQIsdp", b"HTTP/1.1", b"POST ", b"homeward")
    return seen[:2] == b"\x16\x03" and not any(word in seen for word in plain)
