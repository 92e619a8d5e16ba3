"""The monitor tests itself: daily, at a first start, when asked; put off while an alarm sounds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge.alerts import Answer
from edge.assemble import assemble, settings_of
from edge.clock import BootClock, WallEntry
from edge.control import AnswerSelfTest, BeginSelfTest, ControlError, FollowSelfTest
from edge.daemon import Daemon, Places, resume
from edge.daemon.intake import Intake
from edge.daemon.local import Local
from edge.daemon.recorder import Recorder
from edge.daemon.resume import Tested
from edge.daemon.selftest import Around, SelfTests
from edge.events import SELF_TEST, SelfTestTold
from edge.live import Signal
from edge.pipeline import ANSWER, Pipeline
from edge.records import Outcome, Packet, SelfTest, SelfTestRow, Verdict
from edge.selftest import ANSWER_S, Bench, Part, row
from edge.selftest._schedule import FIRST_S
from edge.store import History, Run, Store
from tests.edge.cli.box import MACHINE
from tests.edge.selftest.bench import config

HOUR_S = 3600.0


class Clock(BootClock):
    """The clocks of a box, moved by a test."""

    def __init__(self, boot_s: float = 1000.0, *, synchronised: bool = False) -> None:
        super().__init__()
        self.boot_s, self.synchronised = boot_s, synchronised
        self.offset_s = 1_760_000_000.0

    def now_s(self) -> float:
        return self.boot_s

    def read(self) -> WallEntry:
        return WallEntry(self.boot_id, self.boot_s, self.offset_s + self.boot_s, self.synchronised)


def passes(_: Bench, __: str) -> Iterator[SelfTestRow]:
    yield row("good", Verdict.PASSED, "works")


def fails(_: Bench, __: str) -> Iterator[SelfTestRow]:
    yield row("bad", Verdict.FAILED, "broken", "why", "cure")


GOOD = Part("good", passes, "why", "cure")
BAD = Part("bad", fails, "why", "cure")


class Box:
    """The parts of a monitor, without its tick: a test says when time passes."""

    def __init__(
        self, folder: Path, clock: Clock, *parts: Part, before: Tested | None = None
    ) -> None:
        self.clock = clock
        told = config(folder)
        self.run_facts = Run("run-1", clock.boot_id, clock.boot_s, "0.1.0", "digest")
        self.pipeline = assemble(settings_of(told), "run-1", start_s=clock.boot_s)
        self.intake = Intake([], clock.now_s)
        self.recorder = Recorder(folder / "homeward.db", self.run_facts, clock.now_s)
        self.local = Local(clock, self.intake.put)
        around = Around(self.pipeline, self.intake, self.recorder, self.local, self.run_facts, "")
        self.tests = SelfTests(told, clock, around, before or Tested(), parts or (GOOD,))
        self.packets: list[Packet] = []

    def tick(self) -> None:
        taken = self.intake.take()
        self.packets += taken
        outcome = self.pipeline.advance(taken, self.clock.boot_s)
        self.recorder.backlog.add(outcome, self.clock.boot_s)

    async def look(self, by_s: float) -> bool:
        """Let time pass, look whether a test is due, and wait for its end."""
        self.clock.boot_s += by_s
        began = self.tests.look()
        if began:
            await self.ended()
        self.tick()
        return began

    async def ended(self) -> None:
        async with asyncio.timeout(10.0):
            while self.tests.live().running:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def lived(box: Box, story: Callable[[Box], object]) -> None:
    async def live() -> None:
        box.tests.start()
        box.tick()
        await story(box)
        await box.tests.stop()

    asyncio.run(live())


def test_a_fresh_box_is_proven_within_minutes_and_then_every_24_hours(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        assert box.tests.live().words.startswith("alarm path not proven yet")
        assert not await box.look(FIRST_S - 1.0)
        assert await box.look(1.0)
        assert (
            box.tests.live().words
            == "alarm path proven 0 min ago (nothing sounds or shines at this box)"
        )
        assert not await box.look(23.9 * HOUR_S)
        assert await box.look(0.2 * HOUR_S)

    box = Box(tmp_path, Clock())
    lived(box, story)
    told = [
        msgspec.json.decode(packet.payload, type=SelfTestTold)
        for packet in box.packets
        if packet.stream == SELF_TEST
    ]
    assert [(one.known, one.test is not None) for one in told] == [
        (True, False),
        (False, True),
        (False, True),
    ]


def test_with_a_clock_it_is_at_its_time_of_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    clock = Clock(synchronised=True)

    async def story(box: Box) -> None:
        assert await box.look(FIRST_S)
        eight_s = 86_400.0 - (clock.read().wall_s % 86_400.0) + 8 * HOUR_S
        assert not await box.look(eight_s - 1.0)
        assert await box.look(1.0)
        assert box.tests.live().words.startswith("alarm path proven 08:00")
        clock.boot_s += 20 * HOUR_S
        assert box.tests.live().words.startswith("alarm path proven yesterday 08:00")
        clock.boot_s += 8 * HOUR_S
        assert box.tests.live().words.endswith("the self-test is overdue")

    lived(Box(tmp_path, clock), story)
    monkeypatch.undo()
    time.tzset()


class Loud:
    """The signal of a box at which an alarm sounds, or was paused."""

    def __init__(self, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
        self.signal = Signal(audible=True)
        monkeypatch.setattr(box.pipeline, "signal", lambda _: self.signal)


def test_it_is_put_off_while_an_alarm_sounds_or_is_paused_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(box: Box) -> None:
        loud = Loud(box, monkeypatch)
        assert not await box.look(FIRST_S)
        loud.signal = Signal(audio_paused_until_s=1e9)
        assert not await box.look(60.0)
        loud.signal = Signal(audible=True)
        assert not await box.look(2 * HOUR_S - 61.0)
        assert await box.look(1.0)  # after put_off_s: the tone gives way, all else is tested
        assert not await box.look(24 * HOUR_S)
        loud.signal = Signal()
        assert await box.look(1.0)

    lived(Box(tmp_path, Clock()), story)


def test_what_failed_is_told_in_the_status_and_is_an_alarm(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        await box.look(FIRST_S)
        live = box.tests.live()
        assert (live.proven, live.words) == (False, "alarm path NOT proven: bad failed")
        await box.look(2.0)
        (alert,) = box.pipeline.live().alerts
        assert (alert.rule, set(alert.evidence)) == ("self_test_failed", {"bad"})

    lived(Box(tmp_path, Clock(), GOOD, BAD), story)


def test_asked_for_its_rows_come_one_by_one_with_the_name_of_who_asked(tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(_: Bench, __: str) -> Iterator[SelfTestRow]:
        yield row("slow", Verdict.PASSED, "first")
        go_on.wait(10.0)
        yield row("slow", Verdict.PASSED, "second")

    async def story(box: Box) -> None:
        tests = box.tests
        begun = await tests.answer(BeginSelfTest("Ann"))
        joined = await tests.answer(BeginSelfTest("Bob"))
        assert joined == {"id": begun["id"], "asked_by": "Ann"}  # one at a time
        first = await tests.answer(FollowSelfTest(begun["id"]))
        assert [line.found for line in first["lines"]] == ["first"]
        assert not first["done"]
        with pytest.raises(ControlError, match="a self-test is running"):
            await tests.answer(BeginSelfTest("Bob", listen=True))
        go_on.set()
        await box.ended()
        rest = await tests.answer(FollowSelfTest(begun["id"], 1))
        assert [line.found for line in rest["lines"]] == ["second"]
        last = await tests.answer(FollowSelfTest(begun["id"], 2))
        # Nothing writes in this box: after STORED_S it is said that it is not stored.
        assert (last["done"], last["stored"]) == (True, False)
        assert last["lines"][-1].asked_by == "Ann"
        with pytest.raises(ControlError, match="no self-test 'other'"):
            await tests.answer(FollowSelfTest("other"))

    lived(Box(tmp_path, Clock(), Part("slow", slow, "why", "cure")), story)


def asks(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    heard = bench.ask("Did you hear it?")
    found = "nobody" if heard is None else f"{heard.by} {heard.yes}"
    yield row("asks", Verdict.PASSED, found)


ASKS = Part("asks", asks, "why", "cure")


def test_a_person_is_asked_and_what_they_say_reaches_the_part(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        begun = await box.tests.answer(BeginSelfTest("Ann", listen=True))
        told = await box.tests.answer(FollowSelfTest(begun["id"]))
        (question,) = told["lines"]
        assert question.text == "Did you hear it?"
        answer = AnswerSelfTest(begun["id"], question.n, yes=True, by="Ann")
        await box.tests.answer(answer)
        with pytest.raises(ControlError, match="not asked any more"):
            await box.tests.answer(answer)
        await box.ended()
        assert box.tests.live().last.rows[0].found == "Ann True"

    lived(Box(tmp_path, Clock(), ASKS), story)


def test_a_stop_while_a_person_is_asked_waits_for_nobody(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        await box.tests.answer(BeginSelfTest("Ann", listen=True))
        await asyncio.sleep(0.1)

    begin_s = time.monotonic()
    lived(Box(tmp_path, Clock(), ASKS), story)
    assert time.monotonic() - begin_s < 5.0 < ANSWER_S


def presses(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    pressed = bench.pressed(5.0)
    yield row("button", Verdict.PASSED if pressed else Verdict.FAILED, "x")


@pytest.mark.parametrize("alarm", [False, True])
def test_a_press_is_taken_for_the_test_only_while_no_alarm_sounds(
    alarm: bool, tmp_path: Path
) -> None:
    async def story(box: Box) -> None:
        box.local.show(Signal(audible=alarm))
        await box.tests.answer(BeginSelfTest("Ann", listen=True))
        async with asyncio.timeout(5.0):
            while box.local.press_awaited is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        box.local._press()
        if alarm:
            (press,) = box.intake.take()
            assert press.stream == ANSWER  # it paused the alarm, as ever
            box.local.show(Signal())
            box.local._press()
        await box.ended()
        assert box.tests.live().last.passed
        assert box.local.press_awaited is None
        answers = [packet for packet in box.intake.take() if packet.stream == ANSWER]
        assert answers == []

    lived(Box(tmp_path, Clock(), Part("button", presses, "why", "cure")), story)


# --- over a restart ------------------------------------------------------------------------------


def stored(path: Path, run: Run, *tests: SelfTest) -> None:
    clocks = WallEntry(run.boot_id, 10.0, 1_760_000_010.0, synchronised=True)
    with Store.begin(path, run) as store:
        store.backlog.add_clock(clocks)
        store.add(Outcome(tests), now_s=20.0)
        store.flush(21.0)


def of(verdict: Verdict, ended_s: float) -> SelfTest:
    rows = (SelfTestRow("disk", "", verdict, "x"),)
    return SelfTest(f"t{ended_s}", ended_s - 1.0, ended_s, "", rows)


OLD, NEW = of(Verdict.PASSED, 100.0), of(Verdict.FAILED, 500.0)


def test_what_was_proven_before_a_restart_is_known_after_it(tmp_path: Path) -> None:
    path = tmp_path / "homeward.db"
    assert resume.tested_in(path, WallEntry("boot-1", 900.0, 0.0, synchronised=False)) == Tested()
    stored(path, Run("run-1", "boot-1", 0.0, "0", "d"), OLD, NEW)
    same_boot = resume.tested_in(path, WallEntry("boot-1", 900.0, 0.0, synchronised=False))
    assert same_boot == Tested(NEW, 500.0, 100.0)
    # Another boot, an hour later by the wall: both moments were synchronised.
    now = WallEntry("boot-2", 60.0, 1_760_000_500.0 + HOUR_S, synchronised=True)
    assert resume.tested_in(path, now) == Tested(NEW, 60.0 - HOUR_S, 60.0 - HOUR_S - 400.0)
    # Nobody knows how long it was away: as good as never tested.
    unset = msgspec.structs.replace(now, synchronised=False)
    assert resume.tested_in(path, unset) == Tested()


def test_a_damaged_store_costs_no_start(tmp_path: Path) -> None:
    path = tmp_path / "homeward.db"
    path.write_bytes(b"no database" * 1000)
    assert resume.tested_in(path, WallEntry("b", 1.0, 1.0, synchronised=True)) == Tested()


def test_a_restart_tells_the_rules_how_old_the_last_test_is(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        await box.look(3.0)
        (alert,) = box.pipeline.live().alerts
        assert alert.rule == "self_test_failed"
        assert box.tests.live().words == "alarm path NOT proven since 15 min ago: disk failed"

    before = Tested(NEW, 500.0, 100.0)
    box = Box(tmp_path, Clock(1000.0), before=before)
    lived(box, story)
    told = msgspec.json.decode(box.packets[0].payload, type=SelfTestTold)
    assert (told.known, told.age_s) == (True, 500.0)


# --- in the whole monitor ------------------------------------------------------------------------


def test_the_monitor_ticks_on_while_parts_hang_and_stores_what_they_found(tmp_path: Path) -> None:
    clock = BootClock()
    told = config(tmp_path, MACHINE)
    run = Run("run-1", clock.boot_id, clock.now_s(), "0.1.0", "digest")
    pipeline = assemble(settings_of(told), "run-1", start_s=run.started_s)
    places = Places(tmp_path / "homeward.db", tmp_path / "control.sock")
    late_s: list[float] = []

    def hangs(_: Bench, __: str) -> Iterator[SelfTestRow]:
        threading.Event().wait(20.0)
        yield row("disk", Verdict.PASSED, "too late")

    async def live() -> int:
        monitor = Daemon(pipeline, (), run, clock, places)
        tests = monitor.test_itself(told, Tested())
        tests._parts = (Part("disk", hangs, "why", "cure", deadline_s=1.5), GOOD)
        monitor.show_with(lambda _: late_s.append(clock.now_s() % 0.25))
        running = asyncio.create_task(monitor.run())
        while tests._loop is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await tests.answer(BeginSelfTest("Ann"))
        async with asyncio.timeout(15.0):
            while not tests._running.done:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            assert tests._running.stored
            while not raised(pipeline):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        monitor._stop.set()
        return await running

    assert asyncio.run(live()) == 0
    assert len(late_s) >= 6
    assert sorted(late_s)[len(late_s) // 2] < 0.05
    with History.open(tmp_path / "homeward.db") as history:
        (one,) = history.self_tests()
        assert "self_test_failed" in {stored.alert.rule for stored in history.alerts()}
    assert one.test.asked_by == "Ann"
    assert [(found.part, found.verdict) for found in one.test.rows] == [
        ("disk", Verdict.FAILED),
        ("good", Verdict.PASSED),
    ]


def raised(pipeline: Pipeline) -> bool:
    return any(alert.rule == "self_test_failed" for alert in pipeline.live().alerts)


def test_an_answer_to_an_alert_is_taken_during_a_test(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        await box.look(FIRST_S)
        await box.look(2.0)
        (alert,) = box.pipeline.live().alerts
        begun = await box.tests.answer(BeginSelfTest("Ann", listen=True))
        said = Answer("acknowledge", alert.id, "Ann")
        now_s = box.clock.boot_s
        box.intake.put(Packet("person", ANSWER, now_s, msgspec.json.encode(said)))
        await box.look(1.0)
        assert box.pipeline.live().alerts[0].answered_by == "Ann"
        assert begun["id"]

    lived(Box(tmp_path, Clock(), BAD, ASKS), story)
