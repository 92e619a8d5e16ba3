"""A real mosquitto for a test: on a port of its own, killed and started again at will."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

BINARY = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_mosquitto = pytest.mark.skipif(BINARY is None, reason="needs mosquitto (apt: mosquitto)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One broker; its folder survives a kill, so what it has written down does too."""

    def __init__(self, folder: Path, lines: tuple[str, ...] = (), *, keeps: bool = False) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._conf = folder / "mosquitto.conf"
        kept = ("persistence true", f"persistence_location {folder}/", "autosave_interval 1")
        self._conf.write_text(
            "\n".join(
                (
                    f"listener {self.port} 127.0.0.1",
                    "allow_anonymous true" if not lines else "",
                    "user root",
                    "max_queued_messages 100000",
                    "set_tcp_nodelay true",
                    *(kept if keeps else ("persistence false",)),
                    *lines,
                )
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, conf: str) -> None:
        """Give it another configuration, whole."""
        self._conf.write_text(conf)

    def start(self) -> None:
        assert BINARY is not None
        self._process = subprocess.Popen(
            [BINARY, "-c", str(self._conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 20.0
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert self._process.poll() is None, "mosquitto ended at once: see its configuration"
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
