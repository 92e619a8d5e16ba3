"""Sound and light at the box: shown the signal, and told of in the status."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import edge.annunciators
from edge.annunciators import Annunciator, Proof, Rim, State
from edge.annunciators.gpio import ANNUNCIATOR as GPIO
from edge.annunciators.gpio import Settings as Pins
from edge.clock import BootClock, WallEntry
from edge.daemon import Daemon, Places
from edge.daemon.button import MOST_PRESSES
from edge.daemon.local import Chosen, Local
from edge.live import Signal
from edge.pipeline import Pipeline, PipelineSettings
from edge.records import AlarmAct, Packet, Role
from edge.store import History, Run

CLOCK = BootClock()


class NoSettings(msgspec.Struct, frozen=True):
    pass


class Lamp:
    """An annunciator that keeps what it was shown."""

    def __init__(self, rim: Rim) -> None:
        self.rim = rim
        self.seen: list[edge.annunciators.Signal] = []
        self.closed_in: threading.Thread | None = None

    def show(self, signal: edge.annunciators.Signal) -> None:
        self.seen.append(signal)

    def state(self) -> State:
        return State(True, "", 1.0, 0, float("nan"))

    def prove(self, *, soft: bool = False) -> Proof:
        return Proof(True, "lit softly" if soft else "lit")

    def close(self) -> None:
        self.closed_in = threading.current_thread()


class BrokenLamp(Lamp):
    def show(self, signal: edge.annunciators.Signal) -> None:
        raise OSError(f"burnt out before {signal}")

    def close(self) -> None:
        raise OSError("burnt out")


def chosen(name: str, made: list[Lamp], kind: type[Lamp] = Lamp) -> Chosen:
    def open_lamp(_: NoSettings, rim: Rim) -> Lamp:
        made.append(kind(rim))
        return made[-1]

    return Chosen(Annunciator(name, NoSettings, open_lamp), NoSettings())


def refuse(*_: object) -> Lamp:
    raise OSError("too many open files")


async def until(condition: Callable[[], object], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_a_press_of_the_button_pauses_the_sound_shows_so_and_is_stored(tmp_path: Path) -> None:
    made: list[Lamp] = []
    pipeline = Pipeline(PipelineSettings(), (), (), (), None, "run-1", CLOCK.now_s())
    run = Run("run-1", CLOCK.boot_id, CLOCK.now_s(), "0.1.0", "digest")
    places = Places(tmp_path / "homeward.db", tmp_path / "control.sock")

    async def live() -> int:
        monitor = Daemon(pipeline, (), run, CLOCK, places)
        monitor.be_heard_with(chosen("lamp", made))
        running = asyncio.create_task(monitor.run())
        await until(lambda: made and made[0].seen)
        press = threading.Thread(target=made[0].rim.answered)  # as gpiozero does
        press.start()
        press.join()
        await until(lambda: made[0].seen[-1].paused)
        report = monitor._answers.report()
        assert [(one.name, one.works) for one in report.annunciators] == [("lamp", True)]
        monitor._stop.set()
        return await running

    assert asyncio.run(live()) == 0
    assert made[0].seen[0] == Signal()
    assert made[0].closed_in not in (None, threading.main_thread())
    with History.open(tmp_path / "homeward.db") as history:
        (event,) = [stored.event for stored in history.alarm_events()]
    assert (event.act, event.by, event.role) == (AlarmAct.AUDIO_PAUSED, "button", Role.PATIENT)


def test_a_button_that_chatters_is_not_followed_and_told_until_it_rests() -> None:
    class Ticking(BootClock):
        told_s = 1000.0

        def now_s(self) -> float:
            return self.told_s

    clock, said = Ticking(), list[Packet]()
    local = Local(clock, said.append)
    for _ in range(36_000):  # ten times a second for an hour
        local._press()
        clock.told_s += 0.1
    paused_until_s = said[-1].arrived_s + 120.0

    assert len(said) == MOST_PRESSES
    assert paused_until_s < 1125.0
    (report,) = local.reports()
    assert (report.name, report.works) == ("button", False)
    assert "its wire is loose" in report.reason
    clock.told_s += 61.0
    assert local.reports() == ()
    local._press()
    assert len(said) == MOST_PRESSES + 1


def test_one_that_fails_is_told_and_the_others_go_on() -> None:
    made: list[Lamp] = []
    broken = Chosen(Annunciator("broken", NoSettings, refuse), NoSettings())

    async def live() -> Local:
        local = Local(CLOCK, lambda _: None)
        local.open([broken, chosen("burnt", made, BrokenLamp), chosen("lamp", made)])
        return local

    local = asyncio.run(live())
    local.show(Signal(audible=True))
    local.close()

    assert made[1].seen == [Signal(audible=True)]
    assert made[1].closed_in is threading.main_thread()
    reports = {one.name: one for one in local.reports()}
    assert not reports["broken"].works
    assert "too many open files" in reports["broken"].reason
    assert reports["lamp"].given_s is None


class Clock(BootClock):
    """The clocks of a box whose wall time is what a test says."""

    def __init__(self, wall_s: float, *, synchronised: bool) -> None:
        super().__init__()
        self._told = (wall_s, synchronised)

    def read(self) -> WallEntry:
        wall_s, synchronised = self._told
        return WallEntry(self.boot_id, 1.0, wall_s, synchronised)


@pytest.mark.parametrize(("synchronised", "minute"), [(True, 83.0), (False, None)])
def test_the_time_of_day_is_local_and_is_not_told_by_a_clock_that_was_never_set(
    synchronised: bool, minute: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    made: list[Lamp] = []

    async def live() -> None:
        clock = Clock(86400.0 + 83 * 60.0, synchronised=synchronised)
        Local(clock, lambda _: None).open([chosen("lamp", made)])

    asyncio.run(live())
    assert made[0].rim.minute_of_day() == minute


def test_pins_that_nobody_named_are_no_fault() -> None:
    assert not GPIO.wanted(Pins())
    assert GPIO.wanted(Pins(buzzer_pin=4))
    assert GPIO.wanted(Pins(button_pin=4))
