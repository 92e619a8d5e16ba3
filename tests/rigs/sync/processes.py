"""The real commands, each a process: the monitor, the sender; and who receives."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.edge.cli.box import MACHINE
from tests.fleet.far import Far
from tests.rigs.net.programs import in_child, rss_kb
from tests.rigs.sync.history import Came, Made

ROOT: Final = Path(__file__).parents[3]
BOX: Final = "rig-box"
STOP_S: Final = 30.0
CONFIG: Final = f"""\
{MACHINE}
[box]
bluetooth = false
[annunciators.sound]
enabled = false
[sync]
box = "{BOX}"
batch_s = 1
heartbeat_s = 10
[[sinks]]
sink = "mqtt"
name = "clinic"
host = "127.0.0.1"
port = PORT
tls = false
receipt_key_file = "receiver.pub"
"""
PATCHED: Final = "tests.rigs.sync.believing"
"""The sender whose MQTT sink takes the broker's word for the receiver's: the control."""


class Process:
    """A command of ours, started and killed as often as wanted."""

    def __init__(self, words: Sequence[str], log: Path, module: str = "edge") -> None:
        self._words = [sys.executable, "-m", module, *words]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.n_kills = self.most_kb = 0
        self.codes: list[int] = []

    def start(self) -> None:
        left_out = {"HOMEWARD_CONFIG", "HOMEWARD_DATA_DIR", "NOTIFY_SOCKET"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words,
                cwd=ROOT,
                env={k: v for k, v in os.environ.items() if k not in left_out},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=in_child,  # noqa: PLW1509  # it only asks the kernel
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, "it has not been started"
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def weigh(self) -> None:
        """Note what it holds of the memory now."""
        if self.lives and self._process is not None:
            self.most_kb = max(self.most_kb, rss_kb(self._process.pid))

    def kill(self) -> None:
        self.weigh()
        self._end(signal.SIGKILL)
        self.n_kills += 1

    def stop(self) -> None:
        self.weigh()
        self._end(signal.SIGTERM)

    def again(self) -> None:
        """Kill -9, and start it as systemd would."""
        self.kill()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self.codes.append(self._process.wait(STOP_S))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.codes.append(self._process.wait(STOP_S))
        self._process = None

    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-3000:] if self._log.exists() else ""


class Receiver:
    """The rig's receiver, in a thread of its own, between restarts of which only its file stays.

    Attributes
    ----------
    known : set[str]
        Ids of all that ever came.
    """

    def __init__(self, folder: Path, port: int, key: Ed25519PrivateKey) -> None:
        self._file, self._port, self._key = folder / "far.db", port, key
        self._came: list[Came] = []
        self.known: set[str] = set()
        self._far: Far | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stored: list[Made] = []

    def start(self) -> None:
        up = threading.Event()

        async def work() -> None:
            self._loop = asyncio.get_running_loop()
            self._far = Far(self._file, [self._port], self._key)
            self._far.known = self.known
            self._task = asyncio.current_task()
            up.set()
            try:
                await self._far.run()
            except asyncio.CancelledError:
                self._came += self._far.came
                self._stored = self._far.stored
                self._far.close()

        self._thread = threading.Thread(target=lambda: asyncio.run(work()))
        self._thread.start()
        up.wait()

    def stop(self) -> None:
        if self._thread is None or self._loop is None or self._task is None:
            return
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._thread = self._far = None

    @property
    def came(self) -> list[Came]:
        return [*self._came, *(self._far.came if self._far is not None else ())]

    @property
    def n_again(self) -> int:
        """Arrivals of what had come before."""
        return len(self.came) - len(self.known)

    @property
    def stored(self) -> list[Made]:
        """What its file holds, once it has stopped."""
        return self._stored


def new_key(data_dir: Path) -> Ed25519PrivateKey:
    """Make the receiver's key, and put its public half where the box looks for it."""
    key = Ed25519PrivateKey.generate()
    text = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (data_dir / "sync").mkdir(mode=0o700, exist_ok=True)
    for place in (data_dir / "receiver.pub", data_dir / "sync" / "receiver.pub"):
        place.write_bytes(text)
    return key
