"""What stands far away: a small ntfy, a watcher, and servers that do what none should."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOPIC = "q7tTopicNobodyGuesses"
TOKEN = "tk_AgentOfNobody0123456789"  # noqa: S105  # of nobody


class Far(ThreadingHTTPServer):
    """A server of ntfy's shape: topics, messages with ids, polling; and a record of it all.

    `fault` is what it does to the next publications: ``status`` an HTTP status, ``retry_after``
    its header, ``big`` a reply of ten megabytes, ``lose`` takes the message and hangs up.
    """

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None, *, sequences: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.sequences = sequences
        self.scheme = "https" if tls else "http"
        if tls is not None:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.messages: list[dict[str, Any]] = []
        self.fault: dict[str, Any] = {}
        self.token = ""

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.server_address[1]}"

    def topic(self, name: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["topic"] == name]

    def posts(self, path: str) -> list[tuple[str, str, dict[str, str], str]]:
        return [one for one in self.requests if one[:2] == ("POST", path)]

    def publish(self, topic: str, text: str, headers: dict[str, str]) -> dict[str, Any]:
        message = {
            "id": f"m{len(self.messages):011d}",
            "event": "message",
            "topic": topic,
            "title": headers.get("X-Title", ""),
            "message": text,
            "priority": int(headers.get("X-Priority", "3")),
            "actions": json.loads(headers.get("X-Actions", "[]")),
        }
        if self.sequences:
            message["sequence_id"] = headers.get("X-Sequence-ID", message["id"])
        self.messages.append(message)
        return message

    def handle_error(self, *_: Any) -> None:
        """Say nothing: what clients do to it is what is tested."""


class _Answering(BaseHTTPRequestHandler):
    server: Far

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._note("")
        parts = urlsplit(self.path)
        topic, _, kind = parts.path.strip("/").rpartition("/")
        if not self._may():
            return
        if kind != "json":
            self._reply(200, b"OK")
            return
        since = parse_qs(parts.query).get("since", [""])[0]
        known = self.server.topic(topic)
        ids = [message["id"] for message in known]
        after = ids.index(since) + 1 if since in ids else 0
        lines = [json.dumps({"event": "open", "id": "o"})]
        lines += [json.dumps(message) for message in known[after:]]
        self._reply(200, "\n".join(lines).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self._note(body)
        if not self._may():
            return
        fault = self.server.fault
        if "status" in fault:
            headers = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
            self._reply(fault["status"], b"no", headers)
            return
        topic = urlsplit(self.path).path.strip("/")
        message = self.server.publish(topic, body, dict(self.headers.items()))
        if fault.get("lose"):
            self.connection.close()
            return
        filler = " " * (10 * 1024 * 1024) if fault.get("big") else ""
        with contextlib.suppress(OSError):
            self._reply(200, (json.dumps(message) + filler).encode())

    def _may(self) -> bool:
        wanted = f"Bearer {self.server.token}"
        if self.server.token and self.headers.get("Authorization") != wanted:
            self._reply(401, b"no")
            return False
        return True

    def _note(self, body: str) -> None:
        self.server.requests.append((self.command, self.path, dict(self.headers.items()), body))

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving(server: Far) -> Iterator[Far]:
    """Let a server answer until the end."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextlib.contextmanager
def wretched(kind: str) -> Iterator[int]:
    """Serve badly; yield the port. ``silent``: says nothing (a TLS handshake never ends);
    ``drip``: a byte a second, without end; ``junk``: no HTTP."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.1)
    ended = threading.Event()

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.settimeout(0.1)
            while not ended.is_set():
                if kind == "drip":
                    peer.sendall(b"H")
                    ended.wait(1.0)
                elif kind == "junk":
                    peer.sendall(b"220 mail.example ESMTP\r\n\r\n")
                    return
                else:
                    ended.wait(0.1)

    def accept() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                peer, _ = listening.accept()
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        ended.set()
        thread.join(5)
        listening.close()


def authority(folder: Path, name: str, *, host: str = "localhost", days: int = 1) -> Path:
    """Make a CA and a certificate of it for a host; return the CA's file.

    The server's key and chain lie beside it, ``NAME.server.pem``. `days` below 0: it has expired.
    """
    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} test CA")])
    begin = now - dt.timedelta(days=3)

    def built(subject: x509.Name, public: Any, extensions: list[Any], end: Any) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name)
        builder = builder.public_key(public).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(begin).not_valid_after(end)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(ca_key, hashes.SHA256())

    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    identity = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    basic = [(x509.BasicConstraints(ca=True, path_length=None), True), (usage, True)]
    ca = built(
        ca_name, ca_key.public_key(), [*basic, (identity, False)], now + dt.timedelta(days=9)
    )
    names = x509.SubjectAlternativeName(
        [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    leaf = built(
        subject,
        key.public_key(),
        [(names, False), (issuer, False)],
        now + dt.timedelta(days=days),
    )
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.server.pem").write_bytes(private + leaf.public_bytes(pem))
    return folder / f"{name}.pem"


def server_side(ca: Path) -> ssl.SSLContext:
    """Return what a server of that authority presents."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.with_name(f"{ca.stem}.server.pem"))
    return context
