"""From a step in a vital sign to the alarm at the box, with everything that can hang hung.

    python -m tests.bench.alarm_latency [--steps 100] [--only NAME ...]

A `homeward run` of its own for every condition, side by side, each with four patients at serial
oximeters (Nonin format 8, pseudo terminals); SpO2 falls from 97 to 80 % at the same moments in
all of them, so the differences are of the same steps. Time runs from the byte that says 80 % to
the signal as it is handed to the annunciators (delay of the rule: 0), and from there to the sound
card's first sample (aplay on a card without hardware). Which conditions:

    normal        nothing is wrong
    disk full     the data directory is on a file system of 4 MB that is full
    disk hung     it is on a file system whose writes never return (fsfreeze); root only
    network       16 clients that ask for everything and never read, 4 that ask without an end
    black hole    `homeward notify` beside it, told of every alarm, and the network swallows all:
                  two ways whose server answers no SYN, two that connect and never hear a word,
                  a dead-man ping into the same
    model hung    the model never answers
    sync NAME     `homeward sync` beside it, and a network of `tests.rigs.sync.troubles`; with
                  ``--sync`` all of these are measured too

All of them tick on the same grid of the boot clock and share the processors: read the columns
against `normal`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.clock import BootClock
from edge.control import ControlError, Live, Status
from edge.control.client import ControlClient
from tests.bench.latency_box import HANG
from tests.edge.annunciators.sound_card import SoundCard
from tests.edge.notices.far_away import wretched
from tests.rigs.net.programs import in_child, rss_kb
from tests.rigs.serial.cable import Cable
from tests.rigs.sync import troubles
from tests.rigs.sync.outage import outbox

ROOT = Path(__file__).parents[2]
CLOCK = BootClock()
N_PATIENTS = 4
CYCLE_S, LOW_S = 5.0, 2.4
"""Every patient falls once a cycle, at a moment of its own in its first second, for so long."""
FRAME_S = 0.25
QUIET_S = 3.0
"""The last signal of a cycle and the first of the next are further apart."""
NORMAL, LOW = 97, 80
SETTLE_S = 14.0
"""Until the ports are known, the loudspeaker is proven and the first window has been cut."""
READY_S, STOP_S = 60.0, 30.0
N_DEAF, N_FLOODING = 16, 4
SYNC = "sync "
CONDITIONS = ("normal", "disk full", "disk hung", "network", "black hole", "model hung")
COLUMNS = (
    "condition",
    "steps",
    "no alarm",
    "p50 ms",
    "p99 ms",
    "most ms",
    "p99 more than normal",
    "same step, more: p50, p99",
    "to the sound card: p50, p99",
    "window's end to score: p50, p99 (n)",
    "store and model at the end",
)
CONFIG = """\
[alerts]
clear_s = 0
[alarms.very_low_spo2]
delay_s = 0
hold_s = 1
[alarms.low_spo2]
enabled = false
[box]
bluetooth = false
"""


NOTICES = """
[[notices]]
channel = "ntfy"
name = "{name}"
url_file = "{name}"
on = "raise"
"""
DEADMAN = """
[deadman]
url_file = "deadman"
every_s = 10
"""


class BlackHole:
    """Servers that take nothing: one whose queue is full, and one that is silent."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        # A listener whose queue is full answers no further SYN.
        for _ in range(4):
            full = stack.enter_context(socket.socket())
            full.setblocking(False)
            full.connect_ex(listening.getsockname())
        silent = stack.enter_context(wretched("silent"))
        self.ports = (listening.getsockname()[1], silent)

    def configure(self, data_dir: Path) -> str:
        """Write where the notices go; return what the configuration says of it."""
        data_dir.mkdir(mode=0o700, exist_ok=True)
        ways = {
            f"{scheme}-{number}": f"{scheme}://127.0.0.1:{port}/t0pic"
            for number, port in enumerate(self.ports)
            for scheme in ("http", "https")
        }
        for name, url in {**ways, "deadman": f"https://127.0.0.1:{self.ports[0]}/ping"}.items():
            (data_dir / name).touch(mode=0o600)
            (data_dir / name).write_text(url)
        return DEADMAN + "".join(NOTICES.format(name=name) for name in ways)


class Box:
    """A monitor under one condition, and what it told."""

    def __init__(self, condition: str, folder: Path) -> None:
        self.condition, self.folder = condition, folder
        self.data_dir = folder / "data"
        folder.chmod(0o700)
        self.data_dir.mkdir(mode=0o700, exist_ok=True)
        self.cables = [Cable(folder / f"port-{i}") for i in range(N_PATIENTS)]
        for cable in self.cables:
            cable.plug()
        self.card = SoundCard(folder)
        self.config = folder / "box.toml"
        lines = [CONFIG, f'socket = "{folder / "control.sock"}"']
        lines += [f'[[patients]]\nid = "p{i}"' for i in range(N_PATIENTS)]
        lines += [
            f'[[sources]]\nname = "s{i}"\nreader = "uart"\nport = "{cable.name}"\n'
            f'device = "nonin_df8"\npatient = "p{i}"'
            for i, cable in enumerate(self.cables)
        ]
        self.config.write_text("\n".join(lines))
        self.shown: list[tuple[str, float]] = []
        self.scored: list[float] = []
        self.state, self.code = "", 0
        self.n_kept = self.n_settled = 0
        self.stop = threading.Event()
        self.others: list[threading.Thread] = []
        self.notifier: subprocess.Popen[bytes] | None = None
        self.sender: subprocess.Popen[bytes] | None = None
        self.sender_kb = 0
        self._far = contextlib.ExitStack()
        self._network: troubles.Trouble | None = None
        if condition.startswith(SYNC):
            name = condition.removeprefix(SYNC)
            met = troubles.trouble(name, folder / "network", self.data_dir)
            self._network = self._far.enter_context(met)
            self.config.write_text(self.config.read_text() + self._network.config)
        if condition == "black hole":
            said = BlackHole(self._far).configure(self.data_dir)
            self.config.write_text(self.config.read_text() + said)

    def start(self) -> None:
        words = [sys.executable, "-m", "tests.bench.latency_box", "run"]
        words += ["--config", str(self.config), "--data-dir", str(self.data_dir)]
        words += ["--log", str(self.data_dir / "all.hwl")]
        words += [HANG] if self.condition == "model hung" else []
        errors = (self.folder / "errors").open("wb")
        self.child = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**os.environ, "ALSA_CONFIG_PATH": str(self.card.config)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        errors.close()
        self.listener = threading.Thread(target=self._listen)
        self.listener.start()
        if self.condition == "black hole":
            words = [sys.executable, "-m", "edge", "notify", "--config", str(self.config)]
            with (self.folder / "notify-errors").open("wb") as notify_errors:
                self.notifier = subprocess.Popen(
                    [*words, "--data-dir", str(self.data_dir)], cwd=ROOT, stderr=notify_errors
                )
        if self._network is not None:
            words = troubles.sender_words(self.config, self.data_dir, self._network)
            with (self.folder / "sync-errors").open("wb") as sync_errors:
                self.sender = subprocess.Popen(
                    words,
                    cwd=ROOT,
                    stderr=sync_errors,
                    preexec_fn=in_child,  # noqa: PLW1509  # it only asks the kernel
                )

    def _listen(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            what, *words = line.split()
            if what == "shown":
                self.shown.append((words[0], float(words[1])))
            elif what == "scored":
                self.scored.append(float(words[0]))

    def wait_ready(self) -> None:
        end_s = time.monotonic() + READY_S
        while time.monotonic() < end_s:
            with contextlib.suppress(ControlError), self.client() as client:
                client.ask(Status())
                return
            time.sleep(0.2)
        raise SystemExit(f"{self.condition}: no monitor; {(self.folder / 'errors').read_text()}")

    def client(self) -> ControlClient:
        return ControlClient(self.folder / "control.sock")

    def trouble(self) -> str:
        if self.sender is not None:
            self.sender_kb = rss_kb(self.sender.pid) if self.sender.poll() is None else -1
            return "the sender runs" if self.sender_kb > 0 else "THE SENDER HAS ENDED"
        with self.client() as client:
            status = client.ask(Status())
        if self.notifier is not None:
            ways = status["notices"]["ways"]
            n_broken = sum(not way["works"] for way in ways)
            n_waiting = sum(way["n_waiting"] for way in ways)
            return f"{n_broken} of {len(ways)} ways do not work, {n_waiting} notices wait"
        store, monitor = status["store"], status["monitor"]
        return store["trouble"] or monitor["model_trouble"] or f"{store['n_waiting']} wait"

    def break_it(self) -> None:
        """Bring about the condition."""
        if self.condition == "disk full":
            filler = (self.data_dir / "filler").open("wb", buffering=0)
            with filler, contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(4096))
        elif self.condition == "disk hung":
            subprocess.run(["fsfreeze", "-f", self.data_dir], check=True)
        elif self.condition == "network":
            self.others = [threading.Thread(target=self._flood) for _ in range(N_FLOODING)]
            self.others += [threading.Thread(target=self._be_deaf) for _ in range(N_DEAF)]
            for other in self.others:
                other.start()

    def _flood(self) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(ControlError, OSError), self.client() as client:
                while not self.stop.is_set():
                    client.ask(Status())
            time.sleep(0.05)

    def _be_deaf(self) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as deaf:
                deaf.settimeout(0.2)
                deaf.connect(str(self.folder / "control.sock"))
                deaf.sendall(msgspec.json.encode(Live()) + b"\n")
                self.stop.wait(8.0)  # it has been dropped by then
            time.sleep(0.05)

    def end(self) -> int:
        self.stop.set()
        for other in self.others:
            other.join()
        if self.notifier is not None:
            ended(self.notifier)
        if self.sender is not None:
            ended(self.sender)
        self._far.close()
        try:
            return ended(self.child)
        finally:
            if self.sender is not None:
                made, settled = outbox(self.data_dir, self.condition)
                self.n_kept, self.n_settled = len(made) - len(settled), len(settled)
                self.state += f", {self.sender_kb / 1024:.0f} MB; {self.n_kept} wait, "
                self.state += f"{self.n_settled} settled"
            self.listener.join()
            if self.child.stdout is not None:
                self.child.stdout.close()
            self.card.unplug()
            for cable in self.cables:
                cable.unplug()


def ended(process: subprocess.Popen[Any]) -> int:
    """Ask a process to end, and end it where it does not; return its code."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return -9


@contextlib.contextmanager
def file_system(condition: str, folder: Path) -> Iterator[None]:
    """Put the data directory of a condition on a file system of its own."""
    place = folder / "data"
    place.mkdir(parents=True)
    if condition == "disk full":
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", place], check=True
        )
    elif condition == "disk hung":
        image = folder / "image"
        with image.open("wb") as file:
            file.truncate(32 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, place], check=True)
        place.chmod(0o700)
    else:
        place.rmdir()
    try:
        yield
    finally:
        if place.is_mount():
            thaw(folder)
            subprocess.run(["umount", "-l", place], check=True)


def thaw(folder: Path) -> None:
    """Let writes return again; does nothing where nothing is frozen."""
    subprocess.run(["fsfreeze", "-u", folder / "data"], check=False, stderr=subprocess.DEVNULL)


def possible(condition: str) -> bool:
    """Return whether this user and machine can bring a condition about."""
    if condition.startswith(SYNC):
        return not troubles.why_not(condition.removeprefix(SYNC))
    if not condition.startswith("disk"):
        return True
    if os.geteuid() != 0 or not all(map(shutil.which, ("mount", "mkfs.ext4", "fsfreeze"))):
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with file_system(condition, Path(folder)):
                return True
        except subprocess.CalledProcessError:  # a container may not
            return False


def play(boxes: list[Box], n_steps: int) -> list[tuple[str, float]]:
    """Let SpO2 fall and rise; return whose fell when, on the boot clock."""
    rng = np.random.default_rng(5)
    steps: list[tuple[str, float]] = []
    events: list[tuple[float, int, int]] = []
    begin_s = CLOCK.now_s() + 1.0
    n_cycles = -(-n_steps // N_PATIENTS)
    for patient in range(N_PATIENTS):
        low_s = [begin_s + k * CYCLE_S + rng.random() for k in range(n_cycles)]
        events += [(at_s, patient, LOW) for at_s in low_s]
        events += [(at_s + LOW_S, patient, NORMAL) for at_s in low_s]
    events.sort()
    value = [NORMAL] * N_PATIENTS
    end_s, due_s = begin_s + n_cycles * CYCLE_S, CLOCK.now_s()
    n = 0
    while (now_s := CLOCK.now_s()) < end_s:
        if events and events[0][0] <= now_s:
            _, patient, value[patient] = events.pop(0)
            stepped_s = send(boxes, patient, value[patient], n)
            if value[patient] == LOW:
                steps.append((f"p{patient}", stepped_s))
        elif due_s <= now_s:
            due_s += FRAME_S
            n += 1
            for patient in range(N_PATIENTS):
                send(boxes, patient, value[patient], n)
        next_s = min(due_s, events[0][0] if events else end_s)
        time.sleep(max(0.0, min(next_s - CLOCK.now_s(), FRAME_S)))
    time.sleep(2.0)
    return steps


def send(boxes: list[Box], patient: int, spo2_pct: int, n: int) -> float:
    """Send one frame to all boxes; return when."""
    frame = bytes([0x80, 70 + n // 8 % 2, spo2_pct, 0])
    at_s = CLOCK.now_s()
    for box in boxes:
        box.cables[patient].write(frame)
    return at_s


def latencies_s(box: Box, steps: list[tuple[str, float]]) -> list[float]:
    """Return step to signal, NaN for a step without one."""
    found = []
    for patient, at_s in steps:
        after = (s for who, s in box.shown if who == patient and at_s <= s < at_s + LOW_S + 1.0)
        found.append(min(after, default=float("nan")) - at_s)
    return found


def sounds_s(box: Box, begin_s: float) -> list[float]:
    """Return signal to sound card, for the first signal of every cycle: the box was silent."""
    # The card keeps the monotonic clock.
    ahead_s = CLOCK.now_s() - time.monotonic()
    loud_s = np.array([at_s + ahead_s for at_s, part in list(box.card.parts) if part.strip(b"\0")])
    spans, before_s = [], -1e9
    for at_s in sorted(at_s for _, at_s in box.shown if at_s >= begin_s):
        after = loud_s[loud_s >= at_s]
        if at_s - before_s > QUIET_S and len(after):
            spans.append(float(after[0] - at_s))
        before_s = at_s
    return spans


def table(boxes: list[Box], steps: list[tuple[str, float]]) -> list[str]:
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        "| --- " * len(COLUMNS) + "|",
    ]
    normal = np.array(latencies_s(boxes[0], steps)) * 1000
    for box in boxes:
        took = np.array(latencies_s(box, steps)) * 1000
        heard = np.array(sounds_s(box, steps[0][1])) * 1000
        known, both = took[~np.isnan(took)], took - normal
        both = both[~np.isnan(both)]
        p50, p99 = np.quantile(known, [0.5, 0.99])
        paired = ", ".join(f"{q:.1f}" for q in np.quantile(both, [0.5, 0.99]))
        sound = ", ".join(f"{q:.1f}" for q in np.quantile(heard, [0.5, 0.99])) if len(heard) else ""
        ends = np.array(box.scored) * 1000
        scored = ", ".join(f"{q:.0f}" for q in np.quantile(ends, [0.5, 0.99])) if len(ends) else ""
        lines.append(
            f"| {box.condition} | {len(took)} | {int(np.isnan(took).sum())} | {p50:.0f} | {p99:.0f}"
            f" | {known.max():.0f} | {p99 - np.nanquantile(normal, 0.99):+.1f} | {paired} "
            f"| {sound} | {scored} ({len(box.scored)}) | {box.state} |"
        )
    return lines


def measure(conditions: list[str], n_steps: int) -> tuple[list[Box], list[tuple[str, float]]]:
    """Run the boxes side by side; the first condition is what the others are compared with."""
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        boxes = []
        for number, condition in enumerate(conditions):
            folder = root / str(number)
            stack.enter_context(file_system(condition, folder))
            boxes.append(Box(condition, folder))
        try:
            for box in boxes:
                box.start()
            for box in boxes:
                box.wait_ready()
            keep_talking(boxes, SETTLE_S)
            for box in boxes:
                box.break_it()
            keep_talking(boxes, 1.0)
            steps = play(boxes, n_steps)
            for box in boxes:
                box.state = "cannot be asked"
                with contextlib.suppress(ControlError, OSError):
                    box.state = box.trouble()
        finally:
            for box in boxes:
                if box.condition == "disk hung":
                    thaw(box.folder)
                box.code = box.end()
        return boxes, steps


def keep_talking(boxes: list[Box], span_s: float) -> None:
    """Send what is normal for a while."""
    for n in range(round(span_s / FRAME_S)):
        for patient in range(N_PATIENTS):
            send(boxes, patient, NORMAL, n)
        time.sleep(FRAME_S)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.alarm_latency", description=__doc__
    )
    parser.add_argument("--steps", type=int, default=100, help="per condition, at least")
    parser.add_argument("--only", nargs="*", default=CONDITIONS, help="conditions")
    parser.add_argument("--sync", action="store_true", help="every network of a sender, too")
    chosen = parser.parse_args()
    if chosen.sync:
        chosen.only = [*chosen.only, *(SYNC + name for name in troubles.TROUBLES)]
        chosen.only.remove(SYNC + "DNS wrong")  # it has the port of the one that hangs
    conditions = [c for c in chosen.only if possible(c)]
    boxes, steps = measure(conditions, chosen.steps)
    print("\n".join(table(boxes, steps)))
    for condition in set(chosen.only) - set(conditions):
        print(f"not measured: {condition} (needs root, mount and fsfreeze)")
    for box in boxes:
        if box.code:
            print(f"{box.condition}: the monitor ended with {box.code}")


if __name__ == "__main__":
    sys.exit(main())
