"""The anomaly model in a thread of its own: one that hangs holds up no alarm.

What the pipeline made of a window is handed to the thread after the tick that cut it. At the tick
at which the score is due the pipeline takes it (`LiveModel.score`), if it is there. If it is not,
`LiveModel.told` has said so before, in a packet that lies in the log: late, there after all, or
failed. So the pipeline never waits, and a replay gives the same records.

    no answer in `LIMIT_S`        the window has no score; rule ``model_failed`` tells
    no answer in `ABANDON_S`      the thread is left alone, and another begun with a fresh model
    `MAX_ABANDONED` left alone    no other is begun until one of them comes back

**A thread, not a process.** A process of its own can be killed, but weighs 61 MB (26 MB of them
its own pages), where the monitor would become 29 MB lighter: the box has less than that to spare.
What a thread cannot survive, a fault that keeps Python's lock, the watchdog ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TypeAlias

import structlog

from edge.events import MODEL, ModelState, ModelTold, tell
from edge.pipeline import SCORE_S, Scores
from edge.records import Features, Outcome, Packet, Score, ScorerError

LIMIT_S: Final = 1.0
"""An answer that takes longer does not count; reliability target A3."""
PROBE_S: Final = 4.0
"""A model that was asked nothing for so long is asked about the last window once more, so that a
fault is known within 10 s and not when the next window comes."""
ABANDON_S: Final = 5.0
RETRY_FIRST_S: Final = 10.0
RETRY_MOST_S: Final = 300.0
"""Fresh threads follow each other after 10 s, then twice as long each time, up to five minutes."""
MAX_ABANDONED: Final = 3
MAX_JOBS: Final = 64
"""Windows that may wait for the thread: one of every patient."""
CATCH_UP_S: Final = 0.05
"""A monitor that makes up for missed ticks waits so long for a model that is not in trouble."""

Key: TypeAlias = tuple[str, float]
Open: TypeAlias = Callable[[], Scores]

_log = structlog.get_logger("model")


class Job:
    """One window for the model, and its answer."""

    def __init__(self, seen: Features, cut_s: float, begun_s: float, *, probe: bool) -> None:
        self.seen, self.due_s, self.begun_s = seen, cut_s + SCORE_S, begun_s
        self.probe = probe
        self.done = threading.Event()
        self.answer: Score | None = None
        self.trouble = ""
        self.said_late = False

    @property
    def key(self) -> Key:
        """Which window of whom."""
        return self.seen.patient, self.seen.start_s


class Worker:
    """A thread with a model."""

    def __init__(self, scorer: Scores | None, reopen: Open) -> None:
        self._scorer, self._reopen = scorer, reopen
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        # A daemon: a process that stops does not wait for a model that hangs.
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def give(self, job: Job) -> None:
        """Put a job in line."""
        self._jobs.put(job)

    def leave(self) -> None:
        """Let it end when it comes back."""
        self._jobs.put(None)

    def join(self, limit_s: float) -> None:
        """Wait for its end."""
        self._thread.join(limit_s)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if self._scorer is None:
                    self._scorer = self._reopen()
                job.answer = _checked(self._scorer.score(job.seen), job.seen)
            except Exception as error:  # noqa: BLE001  # whatever a model does, it is its fault
                job.trouble = str(error) if isinstance(error, ScorerError) else repr(error)
            job.done.set()


class LiveModel:
    """The model as a running monitor uses it; a `Scores` for its pipeline.

    Parameters
    ----------
    scorer : Scores
        The model, opened and tested.
    reopen : Open
        Opens it anew, for a fresh thread; called in that thread.
    now_s : Callable
        The boot clock.
    """

    def __init__(self, scorer: Scores, reopen: Open, now_s: Callable[[], float]) -> None:
        self.model_id: str = getattr(scorer, "model_id", "")
        self._reopen, self._now_s = reopen, now_s
        self._worker = Worker(scorer, reopen)
        self._abandoned: list[Worker] = []
        self._jobs: dict[Key, Job] = {}
        self._answers: dict[Key, Score] = {}
        self._at_work: list[Job] = []
        self._last: tuple[Features, float] | None = None
        self._asked_s = now_s()
        self._retry_s, self._retry_due_s = RETRY_FIRST_S, self._asked_s
        self.trouble = ""
        """Why the last window has no score; empty: it has one."""

    @property
    def n_abandoned(self) -> int:
        """Threads that hang."""
        self._abandoned = [worker for worker in self._abandoned if worker.alive]
        return len(self._abandoned)

    @property
    def asked(self) -> bool:
        """Whether the answer to a window is still to come."""
        return bool(self._jobs)

    def score(self, features: Features) -> Score:
        """Return the score the thread has made.

        Raises
        ------
        ScorerError
            There is none: it was not asked for, or nobody looked whether it was there.
        """
        answer = self._answers.pop((features.patient, features.start_s), None)
        if answer is None:
            raise ScorerError(f"no score of the window at {features.start_s:.0f} s is there")
        return answer

    def take(self, outcome: Outcome, cut_s: float) -> None:
        """Hand the windows that were cut at a tick to the thread."""
        for record in outcome.records:
            if isinstance(record, Features):
                self._last = record, cut_s
                self._ask(Job(record, cut_s, self._now_s(), probe=False))

    def told(self, tick_s: float) -> list[Packet]:
        """Return what the pipeline has to be told before it runs the tick `tick_s`."""
        now_s = self._now_s()
        self._at_work = [job for job in self._at_work if not job.done.is_set()]
        if self._last and not self._jobs and now_s - self._asked_s >= PROBE_S:
            self._ask(Job(*self._last, now_s, probe=True))
        said = [self._say(job, tick_s, now_s) for job in list(self._jobs.values())]
        return [tell(MODEL, told, tick_s) for told in said if told is not None]

    def close(self) -> None:
        """End the thread; one that hangs is left."""
        self._worker.leave()
        self._worker.join(LIMIT_S)

    def _ask(self, job: Job) -> None:
        self._asked_s = job.begun_s
        self._jobs[job.key] = job
        self._replace_hung(job.begun_s)
        hung_s = self._hung_s(job.begun_s)
        if hung_s > LIMIT_S or len(self._at_work) >= MAX_JOBS:
            job.trouble = f"the model has not come back for {hung_s:.0f} s"
            job.done.set()
            return
        self._at_work.append(job)
        self._worker.give(job)

    def _say(self, job: Job, tick_s: float, now_s: float) -> ModelTold | None:
        """Return what is to be said of one window, and forget it when that is the last word."""
        due = tick_s >= job.due_s
        if due and now_s - tick_s > SCORE_S and not self.trouble:
            job.done.wait(CATCH_UP_S)
        if not job.done.is_set():
            return self._wait(job, now_s, due=due)
        if job.answer is None:
            return self._fail(job, job.trouble)
        return self._give(job, job.answer) if due else None

    def _wait(self, job: Job, now_s: float, *, due: bool) -> ModelTold | None:
        if now_s - job.begun_s >= LIMIT_S:
            return self._fail(job, f"the model has not answered for {LIMIT_S:g} s")
        if not due or job.probe or job.said_late:
            return None
        job.said_late = True
        return ModelTold(*job.key, ModelState.LATE)

    def _give(self, job: Job, answer: Score) -> ModelTold | None:
        del self._jobs[job.key]
        if job.probe:
            return None
        if self.trouble:
            _log.info("the model scores again")
            self.trouble, self._retry_s = "", RETRY_FIRST_S
        self._answers = {job.key: answer, **self._answers_of_others(job)}
        return ModelTold(*job.key, ModelState.THERE) if job.said_late else None

    def _answers_of_others(self, job: Job) -> dict[Key, Score]:
        """Return what the pipeline has yet to take; of this patient only the newest counts."""
        return {key: one for key, one in self._answers.items() if key[0] != job.key[0]}

    def _fail(self, job: Job, reason: str) -> ModelTold | None:
        del self._jobs[job.key]
        begins, self.trouble = not self.trouble, reason
        if begins:
            _log.error("the model gives no score: limit alarms only", error=reason)
        if job.probe:
            return ModelTold("", job.seen.start_s, ModelState.FAILED, reason) if begins else None
        return ModelTold(*job.key, ModelState.FAILED, reason)

    def _hung_s(self, now_s: float) -> float:
        """Return for how long the oldest job has kept the thread."""
        return now_s - self._at_work[0].begun_s if self._at_work else 0.0

    def _replace_hung(self, now_s: float) -> None:
        if self._hung_s(now_s) < ABANDON_S or now_s < self._retry_due_s:
            return
        if self.n_abandoned >= MAX_ABANDONED:
            return
        _log.error("the model hangs: its thread is left alone, another begins with a fresh model")
        self._worker.leave()
        self._abandoned.append(self._worker)
        self._worker, self._at_work = Worker(None, self._reopen), []
        self._retry_due_s, self._retry_s = now_s + self._retry_s, 2 * self._retry_s
        self._retry_s = min(self._retry_s, RETRY_MOST_S)


def _checked(score: Score, seen: Features) -> Score:
    """Return a score that is one of this window.

    Raises
    ------
    ScorerError
        It is not: another window, no probability, or no numbers.
    """
    if (score.patient, score.start_s) != (seen.patient, seen.start_s):
        raise ScorerError(f"the model answered for another window than {seen.start_s:.0f} s")
    abstains = score.value != score.value and not score.contributions  # NaN
    if not (abstains or 0.0 <= score.value <= 1.0):
        raise ScorerError(f"the model answered {score.value}, no probability")
    return score
