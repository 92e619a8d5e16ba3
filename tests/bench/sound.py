"""What the alarm sounds measure, how soon they are heard, and what the silence between them costs.

    python -m tests.bench.sound [--shows 60] [--busy] [--write DIR]

The pulses are measured from rendered samples by the analyser of the tests. The delays are through
real aplay onto the card without hardware of the tests: from `show` until aplay's pipe took the
block with the first sample, and until that sample came out of ALSA at the rate of a card, behind a
buffer of 0.1 s. `--busy` keeps Python's lock from the sound thread as a pipeline in one long call
does. `--write` writes every sound to a WAV file, for listening.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from itertools import product
from pathlib import Path

import numpy as np

from edge.annunciators import Quiet, Rim
from edge.annunciators import _melody as melody
from edge.annunciators.sound import Loudspeaker, Settings
from edge.records import Priority
from tests.edge.annunciators.sound_analysis import faults_of, pulses_of, spacings_of
from tests.edge.annunciators.sound_card import FS_HZ, SoundCard

SOUNDING = (Priority.HIGH, Priority.MEDIUM, Priority.LOW)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sound", description=__doc__)
    parser.add_argument("--shows", type=int, default=60, help="alarms whose delay is measured")
    parser.add_argument("--busy", action="store_true", help="with a thread that holds the lock")
    parser.add_argument("--write", type=Path, help="folder for WAV files")
    chosen = parser.parse_args()
    print("| burst | pulses | fundamental Hz | duration ms | rise % | fall ms | "
          "harmonics 300-4000 Hz, dB | spacing ms | faults |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for priority, category in product(SOUNDING, melody.MELODIES):
        print(row_of(priority, category))
        if chosen.write:
            path = chosen.write / f"{priority.value}_{category}.wav"
            melody.write_wav(path, melody.burst(priority, category))
    if chosen.shows:
        print("\n".join(delays(chosen.shows, busy=chosen.busy)))


def row_of(priority: Priority, category: str) -> str:
    """Measure one burst; return its row of the table."""
    gap = np.zeros(FS_HZ // 10)
    pulses = pulses_of(np.concatenate([gap, melody.burst(priority, category), gap]))
    weakest = min(sorted(p.harmonics_db, key=abs)[3] for p in pulses)
    strong = min(sum(abs(level) <= 15 for level in p.harmonics_db) for p in pulses)
    rises = [100 * p.rise_s / p.duration_s for p in pulses]
    cells = [
        f"{priority.value} {category}",
        str(len(pulses)),
        " ".join(f"{p.fundamental_hz:.1f}" for p in pulses[:5]),
        span_of([1000 * p.duration_s for p in pulses]),
        span_of(rises),
        span_of([1000 * p.fall_s for p in pulses]),
        f">= {strong} within 15, fourth at {weakest:.1f}",
        " ".join(f"{1000 * s:.0f}" for s in spacings_of(pulses)),
        "; ".join(faults_of(pulses, priority.value)) or "none",
    ]
    return f"| {' | '.join(cells)} |"


def span_of(values: list[float]) -> str:
    return f"{min(values):.1f}-{max(values):.1f}"


def delays(n_shows: int, *, busy: bool) -> list[str]:
    """Show alarms at times that do not fit the blocks; return what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        card = SoundCard(Path(folder))
        os.environ["ALSA_CONFIG_PATH"] = str(card.config)
        speaker = Loudspeaker(Settings(), Rim(now_s=time.monotonic))
        stop = threading.Event()
        if busy:
            threading.Thread(target=hold_the_lock, args=(stop,), daemon=True).start()
        try:
            while not speaker.state().works:
                time.sleep(0.1)
            cost = cost_of_silence(speaker)
            shown = [one_delay(speaker, card, k) for k in range(n_shows)]
        finally:
            stop.set()
            speaker.close()
            card.unplug()
    calls_us, given_ms, heard_ms = np.array(shown).T * np.array([[1e6], [1e3], [1e3]])
    return [
        "",
        f"{n_shows} alarms{', Python busy' if busy else ''}:",
        f"show() returns after {quantiles(calls_us)} us (p50, p99, most)",
        f"first sample handed over after {quantiles(given_ms)} ms",
        f"first sample out of ALSA after {quantiles(heard_ms)} ms",
        f"sound thread in silence: {cost}",
        f"gaps in what was taken: {card.n_gaps}, the longest {1000 * card.longest_gap_s:.0f} ms",
    ]


def one_delay(speaker: Loudspeaker, card: SoundCard, k: int) -> tuple[float, float, float]:
    speaker.show(Quiet())
    time.sleep(0.8 + (k * 0.0137) % 0.05)
    n, begin_s = card.n_taken, time.monotonic()
    speaker.show(Quiet(priority=SOUNDING[k % 3], category="general", audible=True))
    returned_s = time.monotonic()
    time.sleep(0.5)
    first = n + int(np.argmax(card.samples(n) != 0))
    return (
        returned_s - begin_s,
        speaker.state().given_s - begin_s,
        card.arrival_of(first) - begin_s,
    )


def cost_of_silence(speaker: Loudspeaker, span_s: float = 10.0) -> str:
    """CPU of the sound thread and of aplay, from /proc."""

    def spent_s(stat: Path) -> float:
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    thread = next(t for t in threading.enumerate() if t.name == "sound")
    stats = (Path(f"/proc/self/task/{thread.native_id}/stat"),
             Path(f"/proc/{speaker.player_pid}/stat"))  # fmt: skip
    before = [spent_s(stat) for stat in stats]
    time.sleep(span_s)
    ours, theirs = (spent_s(s) - b for s, b in zip(stats, before, strict=True))
    return f"{100 * ours / span_s:.1f} % of a core, aplay {100 * theirs / span_s:.1f} %"


def hold_the_lock(stop: threading.Event) -> None:
    """Compute in Python and in calls of some 10 ms that keep the lock."""
    while not stop.is_set():
        sorted(range(100_000, 0, -1), key=lambda value: value % 977)


def quantiles(values: np.ndarray) -> str:
    return ", ".join(f"{v:.1f}" for v in (*np.quantile(values, [0.5, 0.99]), values.max()))


if __name__ == "__main__":
    main()
