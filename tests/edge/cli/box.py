"""A monitor in a process of its own, and the commands run on its data."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edge.control import ControlError, Status
from edge.control.client import ControlClient

ROOT = Path(__file__).parents[3]

MACHINE = "".join(
    f"[alarms.{rule}]\nenabled = false\n"
    for rule in ("clock_unset", "disk_low", "memory_short", "over_heat", "under_voltage")
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

    def arguments(self, *words: str) -> list[str]:
        common = ["--config", str(self.config), "--data-dir", str(self.data_dir)]
        return [sys.executable, "-m", "edge", words[0], *common, *words[1:]]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments(*words),
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.arguments("run", *words),
            cwd=ROOT,
            env={**self.environment, **more},
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: Any) -> Any:
        with ControlClient(self.data_dir / "control.sock") as client:
            return client.ask(request)


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
