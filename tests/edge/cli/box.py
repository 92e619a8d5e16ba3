"""A monitor in a process of its own, and the commands run on its data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edge.control import ControlError, Status
from edge.control.client import ControlClient

ROOT = Path(__file__).parents[3]
CALL_S, GONE_S = 60.0, 10.0
"""How long a command may take; and a process that was killed, to be gone."""

MACHINE = (
    "".join(
        f"[alarms.{rule}]\nenabled = false\n"
        for rule in ("clock_unset", "disk_low", "memory_short", "over_heat", "under_voltage")
    )
    + "[store]\nballast_mb = 1\n"
)
"""What the machine under the tests is like is none of their business: a container has no clock that
anybody sets, and its disk may be full."""

QUICK_ALARM = f"""\
{MACHINE}
[alarms.very_low_spo2]
delay_s = 1

[annunciators.sound]
enabled = false
"""


class Box:
    """A data directory, a configuration, and the commands run on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.config = folder / "box.toml"
        self.config.write_text(QUICK_ALARM)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in {"HOMEWARD_CONFIG", "HOMEWARD_DATA_DIR", "NOTIFY_SOCKET"}
        }
        self.environment["PYTHONWARNINGS"] = "error"
        self.environment["PYTHONFAULTHANDLER"] = "1"  # what hangs says where: see `ended`

    def arguments(self, *words: str) -> list[str]:
        common = ["--config", str(self.config), "--data-dir", str(self.data_dir)]
        return [sys.executable, "-m", "edge", words[0], *common, *words[1:]]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        process = subprocess.Popen(
            self.arguments(*words),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        told, errors = ended(process, CALL_S)
        return subprocess.CompletedProcess(process.args, process.returncode, told, errors)

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.arguments("run", *words),
            cwd=ROOT,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: Any) -> Any:
        with ControlClient(self.data_dir / "control.sock") as client:
            return client.ask(request)


def ended(process: subprocess.Popen[str], limit_s: float) -> tuple[str, str]:
    """Return what a process said until its end; one that hangs is ended, and says where it hung."""
    try:
        told, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # every thread's stack goes to standard error
        raise AssertionError(
            f"{' '.join(map(str, process.args))} hung for {limit_s:.0f} s:\n{_last_words(process)}"
        ) from None
    return told or "", errors or ""


def _last_words(process: subprocess.Popen[str]) -> str:
    """Return the standard error of a process that is to be gone, whatever holds it or its pipe."""
    words = ""
    for _ in range(2):
        try:
            words = process.communicate(timeout=GONE_S)[1] or ""
            break
        except subprocess.TimeoutExpired as late:
            words = (late.stderr or b"").decode(errors="replace")
            process.kill()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return words


def stopped(process: subprocess.Popen[str], limit_s: float) -> str:
    """Stop it as systemd does; return its standard error."""
    process.send_signal(signal.SIGTERM)
    return ended(process, limit_s)[1]


def killed(process: subprocess.Popen[str]) -> None:
    """Kill it, where it still runs; it has no last words."""
    if process.returncode is None:
        process.kill()
        ended(process, GONE_S)


def wait_for(condition: Any, limit_s: float, what: str) -> Any:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {limit_s} s")


def status_of(box: Box) -> Any:
    try:
        return box.ask(Status())
    except ControlError:  # not listening yet: the caller waits
        return None
