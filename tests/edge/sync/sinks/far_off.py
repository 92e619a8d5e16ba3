"""What a sink is tried with: entries of an outbox, a place to stand, and a server that obeys."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from edge.clock import TimeQuality
from edge.egress.alert import AlertOut, VitalsOut
from edge.egress.allowed import Content
from edge.egress.messages import EraseOut, HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.egress.outbox import Handed
from edge.records import AlertState, Kind, Priority
from edge.secret import read_secret
from edge.sync.fhir import SYSTEM
from edge.sync.parcel import Item
from edge.sync.sinks import Place

BOX = "box-7f3a"
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRET = "s3cretOfNobodyAtAll-0123456789abcdef"  # noqa: S105  # of nobody


def uuid_of(n: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"entry {n}"))


def observation(n: int, *, filler: str = "") -> dict[str, Any]:
    note = {"note": [{"text": filler}]} if filler else {}
    return {
        "resourceType": "Observation",
        "identifier": [{"system": SYSTEM, "value": uuid_of(n)}],
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"identifier": {"system": SYSTEM, "value": "p1"}},
        "effectiveDateTime": "2026-11-21T12:00:00Z",
        "valueQuantity": {
            "value": 70 + n,
            "unit": "/min",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
        **note,
    }


def alert(n: int) -> AlertOut:
    return AlertOut(
        uuid_of(n),
        BOX,
        "p1",
        f"a{n}",
        1,
        "low_spo2",
        "low SpO2",
        Kind.PHYSIOLOGICAL,
        Priority.HIGH,
        AlertState.RAISED,
        AT,
        AT,
        TimeQuality.SYNCED,
        "SpO2 84 % is below 90 %",
        VitalsOut(spo2_pct=84.0),
    )


def items(count: int, *, first: int = 1, filler: str = "") -> list[Item]:
    """Return entries of alerts, numbered from `first`."""
    return [
        Item(Handed(uuid_of(n), n, alert=alert(n)), Content.ALERT, (observation(n, filler=filler),))
        for n in range(first, first + count)
    ]


def erasure(n: int, uuids: Sequence[str]) -> Item:
    return Item(Handed(uuid_of(n), n, erase=EraseOut(uuid_of(n), tuple(uuids), AT)), Content.ERASE)


def heartbeat() -> HeartbeatOut:
    return HeartbeatOut(
        uuid_of(9000), BOX, "0.1.0", "m", AT, TimeQuality.SYNCED, 60.0, True, 1, 0, 3, 50.0
    )


def numbers(patient: str = "p1", **more: Any) -> NumbersOut:
    values = VitalsOut(hr_bpm=71.0, spo2_pct=97.0)
    told: dict[str, Any] = {"watching": True, "alarm": None, "n_standing": 0, "values": values}
    return NumbersOut(box=BOX, patient=patient, at_utc=AT, time_quality=None, **told | more)


def place(folder: Path, *, box: str = BOX, name: str = "far") -> Place:
    sync_dir = folder / "sync"
    sync_dir.mkdir(mode=0o700, exist_ok=True)
    return Place(name, folder, sync_dir, lambda: box, lambda named: read_secret(named, folder))


def secret_file(folder: Path, name: str, *lines: str) -> str:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return name


Answer = tuple[int, dict[str, str], bytes]


class Obeying(ThreadingHTTPServer):
    """Answers every POST as it is told to; keeps what was asked."""

    daemon_threads = True

    def __init__(
        self, answer: Callable[[str, dict[str, str], bytes], Answer], tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        scheme = "https" if tls else "http"
        if tls is not None:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{scheme}://localhost:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Say nothing."""


class _Asked(BaseHTTPRequestHandler):
    server: Obeying

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, headers, body))
        status, more, said = self.server.answer(self.path, headers, body)
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(said)


@contextlib.contextmanager
def obeying(
    answer: Callable[[str, dict[str, str], bytes], Answer], tls: ssl.SSLContext | None = None
) -> Iterator[Obeying]:
    server = Obeying(answer, tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
