"""A real `homeward receive` in a process of its own, and the least of a box's HTTP."""

from __future__ import annotations

import json
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[3]


class Receiving:
    """Collects what the receiver says, line by line."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.said: list[dict[str, Any]] = []
        self._fresh: queue.Queue[dict[str, Any]] = queue.Queue()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> dict[str, Any]:
        """Return its first words: where it listens, and its key."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge", "receive", *self._options, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return self.until("receiver", 60.0)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                said = json.loads(line)
                self.said.append(said)
                self._fresh.put(said)

    def until(self, record: str, within_s: float = 30.0, **wanted: object) -> dict[str, Any]:
        """Return the next record of a kind."""
        until = time.monotonic() + within_s
        while True:
            said = self._fresh.get(timeout=max(until - time.monotonic(), 0.01))
            if said["record"] == record and all(said[name] == is_ for name, is_ in wanted.items()):
                return said

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def post(
    port: int, box: str, body: bytes, headers: Mapping[str, str] | None = None, method: str = "POST"
) -> tuple[int, bytes]:
    """Return status and body of the answer."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = f"{method} /v1/{box} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return raw(port, head.encode() + body)


def raw(port: int, sent: bytes, wait_s: float = 20.0) -> tuple[int, bytes]:
    """Send bytes; return what an HTTP client would make of the answer (0: none came)."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as peer:
        peer.sendall(sent)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
            head, found, body = answer.partition(b"\r\n\r\n")
            if found and len(body) >= int(head.lower().split(b"content-length: ")[1].split()[0]):
                return int(head.split()[1]), body
    return 0, answer
