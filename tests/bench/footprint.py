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


_COMMANDS = {
    "homeward --help": ["--help"],
    "homeward config": ["config", "--json"],
}
_TAIL = """
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
open(sys.argv[1], "w").write(peak.split()[1])
"""
"""A process weighs itself: what the kernel tells its parent includes the parent's own pages."""


def measure(repeats: int) -> list[dict[str, object]]:
    """Return the rows of the table."""
    codes = {name: f"import sys\n{code}\n{_TAIL}" for name, code in _IMPORTS.items()}
    for name, arguments in _COMMANDS.items():
        run = f"from edge.__main__ import main\nmain({arguments!r})"
        codes[name] = f"import sys\n{run}\n{_TAIL}"
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in codes}
    for _ in range(repeats):
        for name, code in codes.items():
            runs[name].append(_start(code))
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


def _start(code: str) -> tuple[float, float, float]:
    """Return wall s, CPU s and peak MB of one fresh interpreter that runs the code."""
    with tempfile.NamedTemporaryFile("r") as told:
        began_s = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-c", code, told.name], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - began_s
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"a process ended with {child.returncode}: {code}")
        return wall_s, used.ru_utime + used.ru_stime, int(told.read()) / 1024


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
