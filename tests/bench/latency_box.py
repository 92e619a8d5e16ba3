"""The real `homeward run`, which tells on its standard output when an alarm leaves it.

    python -m tests.bench.latency_box [--hang-model] run ...

One line each: ``shown PATIENT BOOT_S`` when the signal of a patient begins to sound at high
priority, as it is handed to the annunciators; ``scored LAG_S`` with how long after a window's end
its score, and so an alert of the model, was announced.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import edge.cli.run
from edge.__main__ import main
from edge.clock import BootClock
from edge.daemon import Daemon
from edge.live import Signal
from edge.records import Features, Outcome, Priority, Score

HANG = "--hang-model"
CLOCK = BootClock()


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class TellingDaemon(Daemon):
    """The daemon, with one more way to be seen."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._audible: set[str] = set()
        self.show_with(self._tell)

    def _tell(self, _signal: Signal) -> None:
        now_s = CLOCK.now_s()
        for patient in self._patients():
            signal = self._pipeline.signal(now_s, patient)
            # A model that hangs sounds too, at low priority.
            if not signal.audible or signal.priority is not Priority.HIGH:
                self._audible.discard(patient)
            elif patient not in self._audible:
                self._audible.add(patient)
                say("shown", patient, now_s)

    def _announce(self, outcome: Outcome) -> None:
        super()._announce(outcome)
        for record in outcome.records:
            if isinstance(record, Score):
                say("scored", CLOCK.now_s() - record.start_s - record.length_s)

    def _patients(self) -> list[str]:
        return [facts.patient for facts in self.facts]


class HangingModel:
    """A model that never answers, as a runtime that waits for a lock of its own."""

    def score(self, _features: Features) -> Score:
        threading.Event().wait()
        raise AssertionError


def run() -> None:
    words = sys.argv[1:]
    edge.cli.run.Daemon = TellingDaemon
    if HANG in words:
        words.remove(HANG)
        edge.cli.run.open_scorer = lambda _folder=None: HangingModel()
    sys.exit(main(words))


if __name__ == "__main__":
    run()
