"""What the processes weigh: resident memory and the CPU of their start."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.edge.annunciators.sound_card import SoundCard

TITLE = "Processes, each fresh: wall and CPU of the start, resident memory."
STEADY_S = 20.0
"""`homeward run` is left alone for so long with one simulated ECG board, then watched as long."""

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
    rows += [_daemon(sound=False), _daemon(sound=True)]
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


def _daemon(*, sound: bool) -> dict[str, object]:
    """Weigh ``homeward run`` with one ECG source after it has settled, and what it computes."""
    with tempfile.TemporaryDirectory() as folder:
        card = SoundCard(Path(folder))
        config = Path(folder) / "box.toml"
        config.write_text(
            '[[sources]]\nreader = "simulated"\nscenario = "quiet"\ndevices = ["board"]\n'
            f"[annunciators.sound]\nenabled = {str(sound).lower()}\n"
        )
        command = [sys.executable, "-m", "edge", "run", "--config", str(config)]
        command += ["--data-dir", folder]
        child = subprocess.Popen(
            command,
            env={**os.environ, "ALSA_CONFIG_PATH": str(card.config)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            time.sleep(STEADY_S)
            spent_s = _spent_s(child.pid)
            time.sleep(STEADY_S)
            spent_s = _spent_s(child.pid) - spent_s
            status = Path(f"/proc/{child.pid}/status").read_text()
            threads = Path(f"/proc/{child.pid}/task").glob("*/children")
            players = [player for thread in threads for player in thread.read_text().split()]
            player_mb = sum(_resident_mb(int(player)) for player in players)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)
            card.unplug()
    rss = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    with_sound = f", loudspeaker (aplay: {player_mb:.0f} MB more)" if sound else ""
    return {
        "process": f"homeward run, one ECG source{with_sound}, after {2 * STEADY_S:.0f} s (peak)",
        "CPU ms": f"{1000 * spent_s / STEADY_S:.0f} a second",
        "RSS MB": f"{int(rss.split()[1]) / 1024:.1f} ({int(peak.split()[1]) / 1024:.1f})",
    }


def _spent_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024
