"""A name server that hangs, lies or is away, for one process: with a resolv.conf of its own.

The process is started in a mount namespace of its own (``unshare -m``, root only), where
/etc/resolv.conf names a server of ours. Everybody else's names are as before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

SERVER: Final = f"127.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250}.53"
"""Where it listens, at port 53: of this process alone, and not where a resolver may be."""
Lies = Literal["hang", "wrong", "garbage"]


class Names:
    """A name server; `n_asked`: questions that came."""

    def __init__(self, lies: Lies) -> None:
        self.lies = lies
        self.n_asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((SERVER, 53))
        self._socket.settimeout(0.05)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                asked, who = self._socket.recvfrom(2048)
                self.n_asked += 1
                if self.lies == "garbage":
                    self._socket.sendto(asked[:2] + b"\x81\x80" + b"\xff" * 40, who)
                elif self.lies == "wrong":  # no such name
                    self._socket.sendto(asked[:2] + b"\x81\x83" + asked[4:], who)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(5.0)
        self._socket.close()


def why_not() -> str:
    """Return why this cannot be had here; empty: it can."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "a resolv.conf of one's own needs root and unshare: apt install util-linux"
    tried = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True)
    if tried.returncode:
        return f"no mount namespace here: {tried.stderr.decode().strip()}"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((SERVER, 53))
    except OSError as error:
        return f"no port 53 here: {error}"
    return ""


@contextlib.contextmanager
def naming(lies: Lies) -> Iterator[Names]:
    """Run such a server."""
    one = Names(lies)
    try:
        yield one
    finally:
        one.stop()


def asking_it(folder: Path, words: Sequence[str]) -> list[str]:
    """Return how to call a program so that it asks that server for names."""
    resolv = folder / "resolv.conf"
    resolv.write_text(f"nameserver {SERVER}\n")
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, str(resolv), *words]


def without_network(words: Sequence[str]) -> list[str]:
    """Return how to call a program where there is no network at all, not even a loopback."""
    return ["unshare", "-n", *words]
