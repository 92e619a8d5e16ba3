"""What the processes weigh: resident memory and the CPU of their start."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TITLE = "Processes, each fresh: wall and CPU of the start, resident memory."
STEADY_S = 20.0
"""`homeward run` is weighed after so long with one simulated ECG board."""

_IMPORTS = {
    "python3 -c pass": "pass",
    "import numpy": "import numpy",
    "import scipy.signal (not used)": "import scipy.signal",
    "import onnxruntime": "import onnxruntime",
    "import edge.assemble": "import edge.assemble",
}


def measure(repeats: int) -> list[dict[str, object]]:
    """Return the rows of the table."""
    commands = {name: [sys.executable, "-c", code] for name, code in _IMPORTS.items()}
    commands["homeward --help"] = [_homeward(), "--help"]
    commands["homeward config"] = [_homeward(), "config", "--json"]
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            runs[name].append(_start(command))
    rows: list[dict[str, object]] = []
    for name, found in runs.items():
        wall, cpu, rss = (statistics.median(column) for column in zip(*found, strict=True))
        rows.append(
            {
                "process": name,
                "wall ms": round(wall * 1000),
                "CPU ms": round(cpu * 1000),
                "RSS MB": round(rss, 1),
            }
        )
    rows.append(_daemon())
    return rows


def _start(command: list[str]) -> tuple[float, float, float]:
    """Return wall s, CPU s and peak MB of one process."""
    began_s = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - began_s
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _daemon() -> dict[str, object]:
    """Weigh ``homeward run`` with one ECG source after it has settled."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "box.toml"
        config.write_text(
            '[[sources]]\nreader = "simulated"\nscenario = "quiet"\ndevices = ["board"]\n'
        )
        command = [_homeward(), "run", "--config", str(config), "--data-dir", folder]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(STEADY_S)
            status = Path(f"/proc/{child.pid}/status").read_text()
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)
    rss = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return {
        "process": f"homeward run, one ECG source, after {STEADY_S:.0f} s (peak)",
        "RSS MB": f"{int(rss.split()[1]) / 1024:.1f} ({int(peak.split()[1]) / 1024:.1f})",
    }


def _homeward() -> str:
    beside = Path(sys.executable).with_name("homeward")
    return str(beside) if beside.exists() else shutil.which("homeward") or "homeward"
