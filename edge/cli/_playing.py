"""A rehearsal on its way into a store, at the pace somebody watches: what ``demo`` shows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from edge.alerts import Answer, AnswerError
from edge.annunciators import Opened, Rim
from edge.cli._shared import homeward_version
from edge.clock import BootClock
from edge.config import Config
from edge.live import Signal
from edge.pipeline import Pipeline
from edge.records import AlarmAct, AlarmEvent, Alert, AlertState, Outcome, Record
from edge.rehearsal import Life, Moment, Rehearsal
from edge.store import Run, Store

YOU = "you"
"""Who is said to answer who presses a key."""


class Told(msgspec.Struct, tag="demo", tag_field="record"):
    """What a demo was: the last line of ``--json``."""

    scenario: str
    duration_s: float
    beats: int = 0
    windows: int = 0
    summaries: int = 0
    alerts_raised: int = 0
    alerts_ended: int = 0
    outbox: int = 0


class Playing:
    """A rehearsal whose records go into a store.

    Parameters
    ----------
    rehearsal : Rehearsal
        What is played.
    path : Path
        The store's file.
    speed : float
        How many times real time.
    show : Callable
        Is told at every tick what should be heard and seen.

    Attributes
    ----------
    told : Told
        What was counted.
    told_of : dict[str, str]
        Alert -> who was told of it last, as people read it.
    at_s : float
        Time of the scenario.
    """

    def __init__(
        self,
        rehearsal: Rehearsal,
        scenario: str,
        path: Path,
        speed: float,
        show: Callable[[Signal], None],
    ) -> None:
        self.rehearsal, self.speed = rehearsal, speed
        self.told = Told(scenario, rehearsal.duration_s)
        self.told_of: dict[str, str] = {}
        self.at_s = 0.0
        self._path, self._show = path, show
        self._life: Life | None = None
        self.store = Store.begin(path, _run_of(rehearsal.lives[0]))

    @property
    def pipeline(self) -> Pipeline:
        """The monitor that lives now."""
        return self.rehearsal.pipeline

    def moments(self) -> Iterator[Outcome]:
        """Yield what every tick made, paced to the speed."""
        began_s = time.monotonic()
        for moment in self.rehearsal.moments():
            self.at_s = moment.at_s
            time.sleep(max(0.0, began_s + moment.at_s / self.speed - time.monotonic()))
            self._take(moment)
            yield moment.outcome
        self.store.flush(self.pipeline.now_s)

    def press(self, keys: str) -> None:
        """Answer as the keys say: ``a`` acknowledges what speaks, ``p`` pauses or resumes."""
        signal = self.pipeline.signal(self.pipeline.now_s)
        for key in keys:
            if key == "a" and signal.n_waiting:
                self._say(Answer("acknowledge", signal.alert_id, YOU))
            elif key == "p":
                self._say(Answer("resume" if signal.paused else "pause_audio", by=YOU))

    def close(self) -> None:
        """Close the store."""
        self.told.outbox = self.store.outbox_count()
        self.store.close()

    def _say(self, answer: Answer) -> None:
        with suppress(AnswerError):  # it has ended in this very moment
            self.pipeline.check(answer)
            self.rehearsal.say(answer)

    def _take(self, moment: Moment) -> None:
        if moment.life is not self._life:
            if self._life is not None:
                self.store.flush(moment.at_s)
                self.store.close()
                self.store = Store.begin(self._path, _run_of(moment.life))
            self._life = moment.life
        self._show(self.pipeline.signal(self.pipeline.now_s))
        self._count(moment.outcome.records)
        self.store.add(moment.outcome, self.pipeline.now_s)

    def _count(self, records: tuple[Record, ...]) -> None:
        told = self.told
        kinds = Counter(type(record).__name__ for record in records)
        told.beats += kinds["Beat"]
        told.windows += kinds["Features"]
        told.summaries += kinds["Summary"]
        for record in records:
            if isinstance(record, Alert):
                told.alerts_raised += record.state is AlertState.RAISED
                told.alerts_ended += record.state is AlertState.ENDED
                if record.state is AlertState.ENDED:
                    self.told_of.pop(record.id, None)
            elif isinstance(record, AlarmEvent) and record.act is AlarmAct.ESCALATED:
                step = record.step.value.replace("_", " ") if record.step else ""
                self.told_of[record.alert_id] = f"{step} {record.to}".strip()


class Unheard:
    """Stands where no sound is wanted."""

    reason = "no sound; --sound lets you hear the alarms"

    def show(self, signal: Signal) -> None:
        """Stay silent."""

    def close(self) -> None:
        """Nothing is open."""


class Heard:
    """The loudspeaker, as the configuration sets it.

    Parameters
    ----------
    config : Config
        ``[annunciators.sound]``.
    """

    def __init__(self, config: Config) -> None:
        from edge.annunciators.sound import ANNUNCIATOR

        settings = config.annunciators[ANNUNCIATOR.name].settings
        self._opened: Opened = ANNUNCIATOR.open(settings, Rim(BootClock().now_s, _minute_of_day))
        self.show = self._opened.show
        self.close = self._opened.close

    @property
    def reason(self) -> str:
        """Why it cannot be heard; empty: it can."""
        return self._opened.state().reason


def _run_of(life: Life) -> Run:
    boot_s = life.start_s - life.ahead_s
    return Run(life.run_id, "simulated", boot_s, version=homeward_version(), config_digest="")


def _minute_of_day() -> float:
    now = datetime.now().astimezone()
    return 60.0 * now.hour + now.minute
