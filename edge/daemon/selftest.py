"""The self-test of the alarm path as the monitor runs it: daily, at a first start, and when asked.

The event loop decides when it is due and collects what the parts say; the parts (`edge.selftest`)
run in threads, so that nothing here makes a tick wait. What was found goes into the pipeline as a
packet, so that a night replays with it, and from there into the store and to the rules.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec
import structlog

import edge.selftest
from edge.clock import BootClock
from edge.config import Config
from edge.control import (
    AnswerSelfTest,
    BeginSelfTest,
    ControlError,
    FollowSelfTest,
    SelfTestRequest,
)
from edge.daemon.intake import Intake
from edge.daemon.local import Local
from edge.daemon.recorder import Recorder
from edge.daemon.resume import Tested
from edge.discover import discover
from edge.events import SELF_TEST, SelfTestTold, tell
from edge.pipeline import Pipeline
from edge.records import SelfTest, SelfTestRow, Verdict
from edge.selftest import ANSWER_S, Bench, Heard, Part, row
from edge.selftest._running import Runner
from edge.selftest._schedule import Moment, due_since
from edge.selftest._words import headline
from edge.selftest.notices import DEADLINE_S
from edge.store import Run

LOOK_S: Final = 1.0
"""How often it is looked whether a test is due."""
NEWS_S: Final = 5.0
"""How long who follows a test waits for its next line."""
STORED_S: Final = 4.0
"""How long the disk may take over the result, before it is said that it is not stored."""
OVERDUE: Final = "self_test_overdue"
_BROKE_OFF: Final = ("nothing is known of the alarm path", "see the log; start the monitor again")

_log = structlog.get_logger("selftest")


class Question(msgspec.Struct, frozen=True, tag="self_test_question", tag_field="record"):
    """What the person who listens is asked; `answer`: with yes or no, else by doing it."""

    n: int
    text: str
    answer: bool = True


class AlarmPath(msgspec.Struct, frozen=True):
    """What the status says of the alarm path.

    Attributes
    ----------
    proven : bool
        The last self-test passed, and is not too old.
    words : str
        The same for people, with the time of day.
    running : bool
        One is running now: what sounds softly is a test.
    last : SelfTest | None
        The last one.
    ended_s, proven_s : float | None
        When it ended, and when the last one that passed did; boot clock.
    """

    proven: bool
    words: str
    running: bool
    last: SelfTest | None
    ended_s: float | None
    proven_s: float | None


class Around(msgspec.Struct, frozen=True):
    """The running parts of the monitor that a self-test looks at."""

    pipeline: Pipeline
    intake: Intake
    recorder: Recorder
    local: Local
    run: Run
    model_trouble: str


class Running:
    """A self-test that has begun: what it has told, and what a person is being asked."""

    def __init__(self, by: str, began_s: float, *, listening: bool) -> None:
        self.id = uuid.uuid4().hex
        self.by, self.began_s, self.listening = by, began_s, listening
        self.lines: list[SelfTestRow | Question | SelfTest] = []
        self.ended = self.done = self.stored = False
        """All parts have ended; all is told; the result is on the disk."""
        self.news = asyncio.Event()
        self.asked: dict[int, Future[Heard]] = {}

    def add(self, line: SelfTestRow | Question | SelfTest) -> None:
        """Take a line, and wake who follows; in the loop's thread."""
        self.lines.append(line)
        self.news.set()
        self.news = asyncio.Event()


class SelfTests:
    """Runs self-tests, one at a time.

    Parameters
    ----------
    config : Config
        What was configured.
    clock : BootClock
        The clocks.
    around : Around
        What is looked at.
    before : Tested
        The tests before this start.
    parts : tuple[Part, ...] | None
        What is tested; None: all that are found.
    """

    def __init__(
        self,
        config: Config,
        clock: BootClock,
        around: Around,
        before: Tested,
        parts: tuple[Part, ...] | None = None,
    ) -> None:
        self._config, self._clock, self._around, self._before = config, clock, around, before
        self._parts = parts
        self._runner: Runner | None = None
        self._last, self._proven_s = before.last, before.proven_s
        self._ended_s = before.ended_s if before.last is not None else None
        self._began_s = clock.now_s()
        self._running: Running | None = None
        self._task: asyncio.Task[None] | None = None
        self._storing: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.notice: Callable[[], Coroutine[Any, Any, tuple[Verdict, str]]] | None = None
        """How the notifier proves itself, in the loop; see `edge.selftest.Bench.notice`."""

    def start(self) -> None:
        """Tell the pipeline what is known, and begin to look when a test is due."""
        now_s = self._clock.now_s()
        age_s = 0.0 if self._ended_s is None else now_s - self._ended_s
        told = SelfTestTold(self._last, age_s, known=True)
        self._around.intake.put(tell(SELF_TEST, told, now_s))
        self._began_s = now_s
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._look_for_ever())

    def go_by(self, config: Config) -> None:
        """Test what is in force from now on: people have changed limits."""
        self._config = config

    async def stop(self) -> None:
        """Look no more; a test that is running ends unheard, in its own thread."""
        tasks = [task for task in (self._task, self._storing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop = None
        for asked in () if self._running is None else tuple(self._running.asked.values()):
            asked.cancel()

    def look(self) -> bool:
        """Begin a test where one is due and no alarm sounds; return whether one began."""
        if self._running is not None and not self._running.ended:
            return False
        now = self._moment()
        chosen = self._config.selftest
        due_s = due_since(now, self._began_s, self._ended_s, chosen.at)
        if due_s is None:
            return False
        signal = self._around.pipeline.signal(now.boot_s)
        busy = signal.audible or signal.paused
        if busy and now.boot_s - due_s < chosen.put_off_s:
            return False
        self._begin("", listening=False)
        return True

    def live(self) -> AlarmPath:
        """Return what the status says."""
        overdue = self._config.alarms.get(OVERDUE)
        limit_s = overdue.settings["limit_s"] if overdue is not None else float("inf")
        proven, words = headline(
            self._moment(), self._last, self._ended_s or 0.0, self._proven_s, limit_s
        )
        running = self._running is not None and not self._running.ended
        return AlarmPath(proven, words, running, self._last, self._ended_s, self._proven_s)

    async def answer(self, request: SelfTestRequest) -> dict[str, Any]:
        """Begin, follow, or take what a person answered.

        Raises
        ------
        ControlError
            There is no such test, or no such question.
        """
        match request:
            case BeginSelfTest(by=by, listen=listen):
                running = self._running
                if running is None or running.ended:
                    running = self._begin(by, listening=listen)
                elif listen and not running.listening:
                    raise ControlError("a self-test is running: ask again in a minute")
                return {"id": running.id, "asked_by": running.by}
            case FollowSelfTest(id=asked_id, after=after):
                return await self._follow(self._named(asked_id), after)
            case AnswerSelfTest(id=asked_id, n=n, yes=yes, by=by):
                asked = self._named(asked_id).asked.pop(n, None)
                if asked is None or asked.done():
                    raise ControlError("that question is not asked any more")
                asked.set_result(Heard(yes, by))
                return {}

    async def _follow(self, running: Running, after: int) -> dict[str, Any]:
        if len(running.lines) <= after and not running.done:
            with suppress(TimeoutError):
                await asyncio.wait_for(running.news.wait(), NEWS_S)
        done = running.done and len(running.lines) >= after
        words = self.live().words if done else ""
        lines = running.lines[after:]
        return {"lines": lines, "done": done, "stored": running.stored, "words": words}

    def _named(self, asked_id: str) -> Running:
        if self._running is None or self._running.id != asked_id:
            raise ControlError(f"there is no self-test {asked_id!r} (any more)")
        return self._running

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.look()
            except Exception:  # noqa: BLE001  # then it is overdue, and that is told
                _log.exception("cannot begin the self-test")

    def _begin(self, by: str, *, listening: bool) -> Running:
        running = self._running = Running(by, self._clock.now_s(), listening=listening)
        _log.info("this is a test of the alarm path: a tone may sound", asked_by=by or "the day")
        bench = self._bench(running)
        # Not of a pool: one that waits for a person or a dead disk must not hold up the stop.
        threading.Thread(
            target=self._run, args=(running, bench), daemon=True, name="selftest"
        ).start()
        return running

    def _run(self, running: Running, bench: Bench) -> None:
        """Run all parts, in a thread of its own."""
        try:
            if self._runner is None:
                parts = self._parts or discover(edge.selftest, "PART", Part)
                self._runner = Runner(parts, self._clock.now_s)
            rows = self._runner.run(bench, lambda row: self._in_loop(running.add, row))
        except Exception as error:  # noqa: BLE001  # one without an end would be the last
            _log.exception("the self-test broke off")
            rows = (row("self-test", Verdict.FAILED, f"it broke off ({error!r})", *_BROKE_OFF),)
        ended = SelfTest(running.id, running.began_s, self._clock.now_s(), running.by, rows)
        self._in_loop(self._end, running, ended)

    def _end(self, running: Running, ended: SelfTest) -> None:
        """Take the result: to the pipeline, and through it to the store and the rules."""
        self._last, self._ended_s = ended, ended.ended_s
        if ended.passed:
            self._proven_s = ended.ended_s
        told = (_log.info, "alarm path proven") if ended.passed else (_log.warning, "NOT proven")
        told[0](told[1], failed=", ".join(ended.failed))
        now_s = self._clock.now_s()
        age_s = max(0.0, now_s - ended.ended_s)
        self._around.intake.put(tell(SELF_TEST, SelfTestTold(ended, age_s), now_s))
        running.ended = True
        self._storing = asyncio.get_running_loop().create_task(self._store(running, ended, now_s))

    async def _store(self, running: Running, ended: SelfTest, put_s: float) -> None:
        """Wait until the result is on the disk, then tell it to who follows."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STORED_S):
                while self._around.pipeline.now_s < put_s:  # noqa: ASYNC110  # the tick takes it
                    await asyncio.sleep(0.05)
                running.stored = await self._around.recorder.stored()
        running.done = True
        running.add(ended)

    def _bench(self, running: Running) -> Bench:
        around = self._around
        silent = {
            link.name: link.last_error
            for link in around.intake.links
            if link.patient and not link.n_packets
        }
        return Bench(
            self._config,
            around.pipeline.live(),
            lambda: self._clock.read().synchronised,
            around.local.opened,
            around.local.unopened,
            around.recorder.prove,
            around.run.model_id,
            around.model_trouble,
            silent,
            self._clock.now_s() - around.run.started_s,
            None if self.notice is None else partial(self._from_loop, self.notice),
            running.listening,
            lambda text: self._ask(running, text),
            lambda within_s: self._wait_for_press(running, within_s),
        )

    def _ask(self, running: Running, text: str) -> Heard | None:
        """Ask the person who listens; called in a part's thread."""
        if not running.listening:
            return None
        answer: Future[Heard] = Future()

        def ask() -> None:
            n = len(running.lines)
            running.asked[n] = answer
            running.add(Question(n, text))

        self._in_loop(ask)
        try:
            return answer.result(ANSWER_S)
        except (TimeoutError, CancelledError):  # nobody answered, or the monitor stops
            return None

    def _wait_for_press(self, running: Running, within_s: float) -> bool:
        """Wait for the button; called in a part's thread."""
        pressed, local = threading.Event(), self._around.local
        text = f"Press the button at the box now ({within_s:.0f} s)"
        self._in_loop(lambda: running.add(Question(len(running.lines), text, answer=False)))
        local.press_awaited = pressed.set
        try:
            return pressed.wait(within_s)
        finally:
            local.press_awaited = None

    def _from_loop(
        self, ask: Callable[[], Coroutine[Any, Any, tuple[Verdict, str]]]
    ) -> tuple[Verdict, str]:
        """Wait for what the loop is asked; called in a part's thread, which has a deadline."""
        if self._loop is None:
            return Verdict.UNKNOWN, "the monitor has just been stopped"
        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(DEADLINE_S)

    def _in_loop(self, do: Callable[..., None], *what: Any) -> None:  # noqa: ANN401  # handed on
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the monitor has just stopped: nobody listens any more
                loop.call_soon_threadsafe(do, *what)

    def _moment(self) -> Moment:
        now = self._clock.read()
        local = datetime.fromtimestamp(now.wall_s, tz=UTC).astimezone()
        return Moment(now.boot_s, local if now.synchronised else None)
