"""Programs of others that the rigs start: on a free port, at home in a folder, gone afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

HERE = "127.0.0.1"
UP_S, DOWN_S = 30.0, 20.0
_PR_SET_PDEATHSIG = 1


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """Return a port of the loopback that nobody has now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


def missing(program: str) -> str:
    """Return why a program cannot be started, with its package; empty: it can.

    >>> missing("no-such-program-anywhere")
    'no-such-program-anywhere is missing: apt install no-such-program-anywhere'
    """
    return "" if shutil.which(program) else f"{program} is missing: apt install {program}"


def listens(port: int, host: str = HERE) -> bool:
    """Return whether somebody takes connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1.0):
        return True
    return False


def many_files() -> None:
    """Allow this process as many open files as the machine does: one connection, one file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def in_child() -> None:
    """What every program of ours does first: it ends with us, and may open many files."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    many_files()


def rss_kb(pid: int) -> int:
    """Return what a process holds of the memory, kB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


class Program:
    """One program that listens.

    Parameters
    ----------
    words : Sequence[str]
        How it is called.
    port : int
        Where it listens once it is up.
    folder : Path
        Where it is started, and where what it says goes (``NAME.log``).
    """

    def __init__(self, words: Sequence[str], port: int, folder: Path, name: str) -> None:
        self.words, self.port, self.folder, self.name = list(words), port, folder, name
        self.process: subprocess.Popen[bytes] | None = None
        self.n_starts = self.n_kills = 0

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} has not been started"
        return self.process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.words,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=in_child,  # noqa: PLW1509  # it only asks the kernel
            )
        self.n_starts += 1
        if wait:
            self.wait_up()

    def wait_up(self) -> None:
        """Wait until it listens."""
        end_s = time.monotonic() + UP_S
        while not listens(self.port):
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at once: {self.last_words()}")
            if time.monotonic() > end_s:
                raise RuntimeError(f"{self.name} listens nowhere: {self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        """Return the end of what it said."""
        return self.log.read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """Kill -9: nothing of what it holds in memory is written."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.n_kills += 1
        self._gone()

    def stop(self) -> None:
        """End it as a system does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
        self._gone()

    def _gone(self) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(DOWN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(DOWN_S)

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does: its sockets stay open."""
        self.process.send_signal(signal.SIGSTOP)  # type: ignore[union-attr]

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
