"""Imports the monitor once, and forks it as often as it is told.

One plan a line on standard input; for each its process id, and when it has ended what `os.waitpid`
said of it.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pkgutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tests.rigs.disk.plan import PULSE_BYTES, Plan

ROOT = Path(__file__).parents[3]
CRASHED = 70
"""Exit code of a monitor that an exception ended."""


def serve() -> None:
    """Fork a monitor for every plan."""
    from edge.assemble import assemble  # noqa: PLC0415
    from edge.cli._shared import plugin_defaults  # noqa: PLC0415
    from edge.pipeline import PipelineSettings  # noqa: PLC0415
    from tests.rigs.disk import world  # noqa: PLC0415

    _die_with_parent()
    plugin_defaults()
    for package in ("alarms", "control", "daemon", "decoders", "features", "selftest", "vault"):
        for module in pkgutil.walk_packages([str(ROOT / "edge" / package)], f"edge.{package}."):
            importlib.import_module(module.name)
    assemble(PipelineSettings(), "rehearsal")
    _say("up")
    for line in sys.stdin.buffer:
        plan = msgspec.json.decode(line, type=Plan, dec_hook=_path)
        pid = os.fork()
        if pid == 0:
            _die_with_parent()
            os._exit(_live(world, plan))
        _say(str(pid))
        _, status = os.waitpid(pid, 0)
        _say(str(status))


def _live(world: object, plan: Plan) -> int:
    log = os.open(plan.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        return int(world.live(plan))  # type: ignore[attr-defined]
    except BaseException:  # noqa: BLE001  # whatever it is, it must not go on as a second server
        traceback.print_exc()
        sys.stderr.flush()
        return CRASHED


def _die_with_parent() -> None:
    """Leave no monitor behind where the rig is killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGKILL))


def _path(_kind: type, value: str) -> Path:
    return Path(value)


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


class Server:
    """Such a server, as a process of ours.

    Parameters
    ----------
    environment : Mapping[str, str]
        Of the server, on top of ours.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        of_us = {k: v for k, v in os.environ.items() if not k.startswith("HOMEWARD_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.rigs.disk.server"],
            cwd=ROOT,
            env={**of_us, "OPENBLAS_NUM_THREADS": "1", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._child = 0
        if self._answer() != "up":
            raise RuntimeError("the fork server does not start: see standard error")

    def begin(self, plan: Plan) -> int:
        """Fork a monitor; return its process id."""
        plan.pulse.write_bytes(bytes(PULSE_BYTES))
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(plan, enc_hook=str).decode() + "\n")
        self._process.stdin.flush()
        self._child = int(self._answer())
        return self._child

    @property
    def lives(self) -> bool:
        """The monitor has not ended."""
        return self._child != 0 and Path(f"/proc/{self._child}").exists()

    def ended(self) -> int:
        """Wait for the end of the monitor; return its exit code, negative: the signal."""
        code = os.waitstatus_to_exitcode(int(self._answer()))
        self._child = 0
        return code

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child:
            os.kill(self._child, signal.SIGKILL)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60.0)
        self._process.stdout.close()


if __name__ == "__main__":
    serve()
