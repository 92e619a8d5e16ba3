"""The daemon goes on where it can, says what it cannot, and stops when it must."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.clock import BootClock, WallEntry
from edge.control import Alerts, Ping, Status
from edge.control.client import ControlClient
from edge.daemon import Daemon, Places
from edge.daemon import intake as intake_module
from edge.daemon import recorder as recorder_module
from edge.daemon.intake import MAX_PACKETS, Intake, Link, LinkState
from edge.daemon.recorder import Recorder
from edge.daemon.resume import as_of, kept_in
from edge.decoders import Decoder
from edge.events import ASSIGN, EXPECT, HEALTH, LINK, Assignment, LinkTold, tell
from edge.keys import KeyRing, KeysError, open_keys
from edge.live import Signal
from edge.packetlog import PacketLogWriter, read
from edge.pipeline import START, Kept, Pipeline, PipelineSettings
from edge.readers import Reader, ReadError, Rim
from edge.records import Alert, Outcome, Packet, Samples, Security
from edge.records import LinkState as LinkChangeState
from edge.store import History, KeptAlerts, Run, Store, StorePlainError
from edge.systemd import notify, watchdog_period_s
from tests.edge.store.opened import behind
from tests.edge.store.test_store import alert, summary

CLOCK = BootClock()
RUN = Run("run-1", CLOCK.boot_id, 0.0, "0.1.0", "digest")


class NoSettings(msgspec.Struct, frozen=True):
    pass


def link(run: Callable[[Any, Rim], Awaitable[None]], name: str = "test") -> Link:
    return Link(name, Reader("test", NoSettings, run), NoSettings())


def packet(number: int = 0) -> Packet:
    return Packet("test:1", "test", CLOCK.now_s(), b"%d" % number)


async def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


# --- readers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [ReadError("the strap is off"), OSError("gone"), ZeroDivisionError("a bug")]
)
def test_a_source_that_fails_is_tried_again_and_shown(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "RETRY_FIRST_S", 0.01)
    n_calls = 0

    async def run(_: Any, rim: Rim) -> None:
        nonlocal n_calls
        n_calls += 1
        rim.deliver(packet(n_calls))
        if n_calls < 3:
            raise fault

    async def live() -> Intake:
        intake = Intake([link(run)], CLOCK.now_s)
        intake.start()
        await until(lambda: intake.links[0].state is LinkState.ENDED)
        await intake.stop()
        return intake

    intake = asyncio.run(live())
    (report,) = intake.reports()
    assert report.n_failures == 2
    assert str(fault) in report.last_error
    assert [p.payload for p in intake.take()] == [b"1", b"2", b"3"]


def test_the_wait_before_a_retry_doubles_up_to_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 10:
            raise asyncio.CancelledError

    monkeypatch.setattr(intake_module.asyncio, "sleep", sleep)

    async def run(*_: Any) -> None:
        raise ReadError("never")

    async def live() -> None:
        intake = Intake([link(run)], CLOCK.now_s)
        intake.start()
        await asyncio.wait(intake._tasks)

    asyncio.run(live())
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_one_source_that_fails_leaves_the_others_alone() -> None:
    async def fail(*_: Any) -> None:
        raise ReadError("broken")

    async def go_on(_: Any, rim: Rim) -> None:
        while True:
            rim.deliver(packet())
            await asyncio.sleep(0.001)

    async def live() -> Intake:
        intake = Intake([link(fail, "a"), link(go_on, "b")], CLOCK.now_s)
        intake.start()
        await until(lambda: len(intake) > 20)
        return intake

    async def bounded() -> None:
        intake = await live()
        states = {report.name: report.state for report in intake.reports()}
        assert states == {"a": LinkState.WAITING, "b": LinkState.RUNNING}
        await intake.stop()

    asyncio.run(bounded())


def test_packets_over_the_bound_are_dropped_and_counted_but_a_persons_never() -> None:
    async def flood(_: Any, rim: Rim) -> None:
        for number in range(MAX_PACKETS + 7):
            rim.deliver(packet(number))

    async def live() -> Intake:
        intake = Intake([link(flood)], CLOCK.now_s)
        intake.start()
        await until(lambda: intake.links[0].state is LinkState.ENDED)
        return intake

    intake = asyncio.run(live())
    intake.put(Packet("person", "person:answer", 1.0, b"{}"))
    assert intake.n_overflow == 7
    assert len(intake.take()) == MAX_PACKETS + 1
    assert len(intake) == 0


def test_what_becomes_of_a_link_is_its_patients_before_anything_has_come() -> None:
    async def never_there(_: Any, rim: Rim) -> None:
        for source in ("uart-1", "uart-1", "uart-2"):
            told = LinkTold(source, LinkChangeState.LOST, Security.WIRED)
            rim.deliver(tell(LINK, told, CLOCK.now_s()))

    async def live() -> list[Packet]:
        taken = Link("cable", Reader("test", NoSettings, never_there), NoSettings(), "p2")
        intake = Intake([taken], CLOCK.now_s)
        intake.start()
        await until(lambda: taken.state is LinkState.ENDED)
        return intake.take()

    packets = asyncio.run(live())
    streams = [one.stream for one in packets]
    assert streams == [EXPECT, ASSIGN, LINK, LINK, ASSIGN, LINK]
    assigned = msgspec.json.decode(packets[1].payload, type=Assignment)
    assert (assigned.source, assigned.patient, assigned.link) == ("uart-1", "p2", "cable")


# --- systemd -------------------------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_on_its_socket(
    abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        name = f"@homeward-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
        systemd.bind(f"\0{name[1:]}" if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert notify("READY=1") is True
        assert systemd.recv(100) == b"READY=1"


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is False


@pytest.mark.parametrize(
    ("usec", "pid", "period_s"),
    [
        ("30000000", "", 15.0),
        ("30000000", str(os.getpid()), 15.0),
        ("30000000", "1", None),
        ("0", "", None),
        ("soon", "", None),
        ("", "", None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_bites(
    usec: str, pid: str, period_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert watchdog_period_s() == period_s


# --- recorder ------------------------------------------------------------------------------------


def record_until(
    recorder: Callable[[], Recorder], act: Callable[[Recorder], Awaitable[None]]
) -> None:
    async def live() -> None:
        made = recorder()
        task = asyncio.create_task(made.run())
        await act(made)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.close()

    asyncio.run(live())


def test_what_cannot_be_written_waits_is_shown_and_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.02)
    path = tmp_path / "gone" / "homeward.db"

    async def act(recorder: Recorder) -> None:
        recorder.add([], Outcome((alert(), summary())), 1.0)
        await until(lambda: recorder.report().n_failures >= 2)
        report = recorder.report()
        assert "cannot open" in report.trouble
        assert report.n_waiting == 2
        assert await recorder.stored() is False
        path.parent.mkdir()  # the disk is back
        await until(lambda: not recorder.report().trouble)
        assert await recorder.stored() is True
        assert recorder.report().n_waiting == 0
        assert recorder.report().n_outbox == 2

    record_until(lambda: Recorder(path, RUN, CLOCK.now_s), act)
    with History.open(path) as history:
        assert history.counts()["alerts"] == history.counts()["summaries"] == 1


def test_a_store_that_breaks_while_it_is_used_is_put_aside_and_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.02)
    path = tmp_path / "homeward.db"

    async def act(recorder: Recorder) -> None:
        recorder.add([], Outcome(tuple(alert(n) for n in range(40))), 1.0)
        assert await recorder.stored() is True
        assert recorder._storing.store is not None
        recorder._storing.store._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        recorder._storing.store._database.execute("PRAGMA cache_size=0")
        with path.open("r+b") as file:
            file.seek(1024)
            file.write(b"\xff" * (path.stat().st_size - 1024))
        recorder._storing.store._database.execute("PRAGMA shrink_memory")
        recorder.add([], Outcome((alert(100),)), 2.0)
        await until(lambda: bool(recorder.report().moved_aside) and not recorder.report().trouble)
        assert await recorder.stored() is True

    record_until(lambda: Recorder(path, RUN, CLOCK.now_s), act)
    with History.open(path) as history:
        assert [a.alert.id for a in history.alerts()] == ["alert-100"]
    assert path.with_name("homeward.db.damaged-1").exists()


def test_what_waits_for_more_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "homeward.db"

    async def act(recorder: Recorder) -> None:
        await until(lambda: not recorder.report().trouble)
        recorder.add([], Outcome((summary(),)), CLOCK.now_s())
        await asyncio.sleep(0.1)
        assert recorder.report().n_waiting == 1

    record_until(lambda: Recorder(path, RUN, CLOCK.now_s), act)
    with History.open(path) as history:
        assert len(history.summaries()) == 1


def test_what_the_alarms_remember_is_on_the_disk_at_once_not_a_minute_later(
    tmp_path: Path,
) -> None:
    path = tmp_path / "homeward.db"
    now = CLOCK.read()

    async def act(recorder: Recorder) -> None:
        await until(lambda: not recorder.report().trouble)
        for state in (b"first", b"second"):
            recorder.backlog.keep(KeptAlerts(state, now))
            recorder.add([], Outcome(), CLOCK.now_s())  # as every tick does, with nothing to say
            await until(lambda said=state: kept(path) == said)

    record_until(lambda: Recorder(path, RUN, CLOCK.now_s), act)


def kept(path: Path) -> bytes | None:
    """Return what another process would read after a power cut now."""
    with History.open(path) as history:
        found = history.kept_alerts()
        return found.state if found is not None else None


def test_the_packet_log_holds_what_entered(tmp_path: Path) -> None:
    log = tmp_path / "all.hwl"
    packets = [packet(number) for number in range(5)]

    async def act(recorder: Recorder) -> None:
        recorder.add(packets, Outcome(), 1.0)

    record_until(
        lambda: Recorder(tmp_path / "x.db", RUN, CLOCK.now_s, PacketLogWriter(log), str(log)), act
    )
    assert list(read(log)) == packets


def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "homeward.db"

    async def act(recorder: Recorder) -> None:
        await until(lambda: not recorder.report().trouble)
        hog = behind(path, isolation_level=None)
        hog.execute("BEGIN IMMEDIATE")  # every write now waits, as on a card that stalls
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(20):
            recorder.add([], Outcome((alert(number),)), CLOCK.now_s())
            await asyncio.sleep(0.01)
        assert loop.time() - began < 1.0
        assert recorder.report().n_outbox == 0
        hog.execute("COMMIT")
        hog.close()
        assert await recorder.stored() is True
        assert recorder.report().n_outbox == 20

    record_until(lambda: Recorder(path, RUN, CLOCK.now_s), act)


# --- the whole -----------------------------------------------------------------------------------


def daemon(
    tmp_path: Path, decode: Callable[[Packet], tuple[Samples, ...]], **changes: Any
) -> Daemon:
    decoder = Decoder("test", ("test",), (), lambda: decode)
    pipeline = Pipeline(PipelineSettings(), [decoder], [], [], None, "run-1", CLOCK.now_s())

    async def run(_: Any, rim: Rim) -> None:
        rim.deliver(packet())
        await asyncio.Event().wait()

    places = Places(tmp_path / "homeward.db", tmp_path / "control.sock", tmp_path / "all.hwl")
    return Daemon(pipeline, [link(run)], RUN, CLOCK, places, **changes)


def test_a_broken_assumption_stops_the_monitor_with_exit_code_1(tmp_path: Path) -> None:
    def decode(_: Packet) -> tuple[Samples, ...]:
        raise ZeroDivisionError("nobody foresaw this")

    async def live() -> int:
        async with asyncio.timeout(5):
            return await daemon(tmp_path, decode).run()

    assert asyncio.run(live()) == 1
    assert not (tmp_path / "control.sock").exists()
    with History.open(tmp_path / "homeward.db") as history:
        assert history.runs() == [RUN]


def test_the_daemon_answers_logs_and_stops_in_order(tmp_path: Path) -> None:
    async def live() -> int:
        monitor = daemon(tmp_path, lambda _: ())
        running = asyncio.create_task(monitor.run())
        await until((tmp_path / "control.sock").exists)

        def ask() -> tuple[Any, Any, Any]:
            with ControlClient(tmp_path / "control.sock") as client:
                return client.ask(Ping()), client.ask(Status()), client.ask(Alerts())

        await asyncio.sleep(0.6)
        ping, status, alerts = await asyncio.to_thread(ask)
        assert ping["run_id"] == "run-1"
        assert status["links"][0]["n_packets"] == 1
        assert status["live"]["sources"][0]["n_packets"] == 1
        assert status["monitor"]["now_utc"] is not None
        assert alerts == {"standing": [], "history": []}
        monitor._stop.set()
        return await running

    assert asyncio.run(live()) == 0
    with History.open(tmp_path / "homeward.db") as history:
        assert len(history.clock_log()) == 1
    entered = list(read(tmp_path / "all.hwl"))
    assert [p.stream for p in entered] == [START, "test", HEALTH]


def test_an_alarm_is_announced_by_all_although_one_fails(tmp_path: Path) -> None:
    heard: list[Alert] = []

    def broken_buzzer(_: Alert) -> None:
        raise OSError("no such GPIO")

    async def live() -> None:
        monitor = daemon(tmp_path, lambda _: (), annunciators=(broken_buzzer, heard.append))
        monitor._announce(Outcome((alert(),)))
        await monitor._recorder.close()

    asyncio.run(live())
    assert [a.id for a in heard] == ["alert-1"]


def test_the_signal_is_shown_at_every_tick_by_all_although_one_fails(tmp_path: Path) -> None:
    seen: list[Signal] = []

    def broken_lamp(_: Signal) -> None:
        raise OSError("no such GPIO")

    async def live() -> None:
        monitor = daemon(tmp_path, lambda _: ())
        monitor.show_with(broken_lamp, seen.append)
        monitor._tick()
        monitor._tick()
        await monitor._recorder.close()

    asyncio.run(live())
    assert seen == [Signal(), Signal()]


# --- what stood before ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "same_boot", "away_s"),
    [
        (WallEntry("boot-1", 50.0, 1.0, synchronised=False), True, None),
        (WallEntry("boot-2", 5.0, 1060.0, synchronised=True), False, 60.0),
        (WallEntry("boot-2", 5.0, 1060.0, synchronised=False), False, None),
        (WallEntry("boot-2", 5.0, 990.0, synchronised=True), False, None),
    ],
)
def test_how_long_the_monitor_was_away_is_told_only_by_clocks_that_know(
    now: WallEntry, same_boot: bool, away_s: float | None
) -> None:
    kept = KeptAlerts(b"x", WallEntry("boot-1", 40.0, 1000.0, synchronised=True))

    assert as_of(kept, now) == Kept(b"x", 40.0, same_boot, away_s)


def test_a_clock_that_was_not_set_when_the_state_was_kept_tells_nothing() -> None:
    kept = KeptAlerts(b"x", WallEntry("boot-1", 40.0, 1000.0, synchronised=False))

    assert as_of(kept, WallEntry("boot-2", 5.0, 1060.0, synchronised=True)).away_s is None


def test_a_store_that_cannot_be_read_is_a_start_without_what_stood(tmp_path: Path) -> None:
    path = tmp_path / "homeward.db"
    assert kept_in(path, CLOCK.read()) is None
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    assert kept_in(path, CLOCK.read()) is None
    Store.begin(path, RUN).close()
    assert kept_in(path, CLOCK.read()) is None


def test_records_that_are_locked_wait_for_their_key_and_those_not_encrypted_for_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.02)
    path = tmp_path / "homeward.db"
    why: list[Exception] = [KeysError("plug the stick in")]
    n_asked: list[int] = []

    def keys() -> KeyRing:
        n_asked.append(1)
        if why:
            raise why[0]
        return open_keys(tmp_path)

    async def act(recorder: Recorder) -> None:
        recorder.add([], Outcome((alert(), summary())), 1.0)
        await until(lambda: recorder.report().n_failures >= 3)
        report = recorder.report()
        assert report.locked
        assert "plug the stick in" in report.trouble
        assert report.n_waiting == 2
        assert not path.exists()
        why[0] = StorePlainError("there is no room to encrypt it")
        await until(lambda: not recorder.report().locked)
        n_before = len(n_asked)
        assert await recorder.stored() is False
        assert await recorder.stored() is False
        assert len(n_asked) == n_before  # it is not done again and again
        assert "no room" in recorder.report().trouble
        why.clear()
        assert recorder.report().n_waiting == 2

    record_until(lambda: Recorder(path, RUN, CLOCK.now_s, keys=keys), act)
    with History.open(path) as history:  # at the end it is tried once more
        assert history.counts()["alerts"] == history.counts()["summaries"] == 1
