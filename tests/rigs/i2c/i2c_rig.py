"""A virtual I2C bus for another process: the shim compiled, its control file and its log."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
BUS = 99
WARN = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
NAK = errno.EREMOTEIO
PATIENCE_S = 10.0


def build(folder: Path) -> Path:
    """Compile the shim; skip where that cannot be done."""
    if sys.platform != "linux":
        pytest.skip("the virtual I2C bus is made for Linux")
    if shutil.which("gcc") is None:
        pytest.skip("no C compiler: install the package gcc")
    library = folder / "i2c_shim.so"
    sources = sorted(map(str, HERE.glob("*.c")))
    command = ["gcc", "-std=c99", "-D_GNU_SOURCE", "-O1", *WARN, "-shared", "-fPIC"]
    done = subprocess.run(
        [*command, "-o", str(library), *sources, "-ldl", "-lpthread"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return library


class VirtualBus:
    """``/dev/i2c-99`` of the processes that are started with `environment`."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._control, self._log = folder / "control", folder / "bus.log"
        self._numbers: dict[str, int] = {}
        self.environment = os.environ | {
            "LD_PRELOAD": str(library),
            "HOMEWARD_I2C_PATH": f"/dev/i2c-{BUS}",
            "HOMEWARD_I2C_CONTROL": str(self._control),
            "HOMEWARD_I2C_LOG": str(self._log),
        }

    def set(self, **numbers: int) -> None:
        """Change what the bus and its chips do; see ``i2c_chips.h``."""
        self._numbers |= numbers
        new = self._control.with_suffix(".new")
        new.write_text("".join(f"{name}={value}\n" for name, value in self._numbers.items()))
        new.replace(self._control)

    @property
    def log(self) -> list[tuple[float, str]]:
        """When, on the boot clock, and what the bus and its chips have said."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [(float(at), text) for at, _, text in (line.partition(" ") for line in lines)]

    def logged(self, pattern: str) -> list[re.Match[str]]:
        """Return what the bus has said that a pattern fits."""
        return [found for _, text in self.log if (found := re.fullmatch(pattern, text))]


class Reading:
    """A process that reads one sensor over a virtual bus."""

    def __init__(self, bus: VirtualBus, settings: dict, seconds: float | None = None) -> None:
        settings = {"bus": BUS} | settings
        words = [json.dumps(settings)] + ([] if seconds is None else [str(seconds)])
        self._out = bus.environment["HOMEWARD_I2C_CONTROL"] + ".out"
        with open(self._out, "wb") as out:  # noqa: PTH123
            self._running = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.rigs.i2c.read_bus", *words],
                cwd=ROOT,
                env=bus.environment,
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running.poll() is None:
            self._running.kill()
        self._running.communicate(timeout=PATIENCE_S)

    @property
    def lines(self) -> list[dict]:
        """All that was printed so far."""
        whole = Path(self._out).read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    @property
    def packets(self) -> list[dict]:
        return [line for line in self.lines if "hex" in line]

    @property
    def told(self) -> list[dict]:
        return [line["told"] for line in self.lines if "told" in line]

    @property
    def states(self) -> list[str]:
        return [told["state"] for told in self.told]

    def until(self, true, within_s: float = PATIENCE_S) -> None:
        """Wait until something is so of this."""
        end_s = time.monotonic() + within_s
        while not true(self):
            assert time.monotonic() < end_s, (self.lines[-3:], self._running.poll())
            assert self._running.poll() is None, self._running.communicate()[1]
            time.sleep(0.02)

    def end(self, *, ask: bool = True) -> dict:
        """Let it end, in order; return its last line."""
        if ask:
            self._running.send_signal(signal.SIGTERM)
        _, errors = self._running.communicate(timeout=60 if not ask else PATIENCE_S)
        assert self._running.returncode == 0, errors
        assert "Traceback" not in errors
        return self.lines[-1]
