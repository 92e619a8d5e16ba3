"""The box watches itself: real files and real threads at the rim, and alerts within ten seconds."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge.assemble import assemble
from edge.clock import BootClock, WallEntry
from edge.control.board import HEARD_S, NoticesReport
from edge.daemon.boxwatch import AGAIN_S, BoxWatch, Look
from edge.daemon.boxwatch.disk import Disk
from edge.daemon.boxwatch.hardware import Hardware
from edge.daemon.boxwatch.parts import ClockPart, NoticesPart, RecorderPart, SoundPart
from edge.daemon.boxwatch.steady import Steady
from edge.daemon.boxwatch.vault import VaultPart
from edge.daemon.local import AnnunciatorReport
from edge.daemon.recorder import StoreReport
from edge.daemon.resume import clock_was_set
from edge.daemon.vaultstate import VaultState
from edge.events import BoxHealth
from edge.live import Signal
from edge.pipeline import PipelineSettings
from edge.records import Alert, AlertState, Packet
from edge.store import Run, Store
from edge.store.rationing import RoomReport
from tests.edge.alarms.box_night import DUE_S

CLOCK = BootClock()
TICK_S = 0.25


class Monitor:
    """The tick of the daemon, with its box watch, under a clock of the test's own."""

    def __init__(self, *parts: Callable[[float], BoxHealth], looks: tuple[Look, ...] = ()) -> None:
        self.now_s = 1000.0
        self.packets: list[Packet] = []
        self.queue: list[Packet] = []
        self.alerts: list[Alert] = []
        self.watch = BoxWatch(self.put, parts, looks)
        self.pipeline = assemble(PipelineSettings(), "box", start_s=self.now_s)

    def put(self, packet: Packet) -> None:
        self.packets.append(packet)
        self.queue.append(packet)

    def live(self, span_s: float) -> None:
        """Run the ticks of a span, and let the threads of the looks come round."""
        end_s = self.now_s + span_s
        while self.now_s < end_s:
            self.now_s += TICK_S
            taken, self.queue = self.queue, []
            outcome = self.pipeline.advance(taken, self.now_s)
            self.alerts += [r for r in outcome.records if isinstance(r, Alert)]
            self.watch.turn(self.now_s)
            if self.watch._looks:
                time.sleep(0.01)

    def raised_after(self, rule: str) -> float:
        """Live until a rule's alert is raised; return how long that took."""
        began_s = self.now_s
        while self.now_s < began_s + 2 * DUE_S:
            self.live(TICK_S)
            if any(a.rule == rule and a.state is AlertState.RAISED for a in self.alerts):
                return self.now_s - began_s
        raise AssertionError(f"no {rule}; the box says {self.pipeline.live().box}")

    def ended(self, rule: str, limit_s: float = 90.0) -> None:
        end_s = self.now_s + limit_s
        while self.now_s < end_s:
            self.live(TICK_S)
            if any(a.rule == rule and a.state is AlertState.ENDED for a in self.alerts):
                return
        raise AssertionError(f"{rule} has not ended")

    @property
    def told(self) -> list[BoxHealth]:
        return [msgspec.json.decode(p.payload, type=BoxHealth) for p in self.packets]

    @property
    def signal(self) -> Signal:
        return self.pipeline.signal(self.now_s)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# --- when it is told -----------------------------------------------------------------------------


def test_what_does_not_change_is_told_once_a_minute_and_what_changes_at_once() -> None:
    facts = {"cpu_degc": 50.0}
    monitor = Monitor(lambda _: BoxHealth(dict(facts)))
    monitor.live(AGAIN_S - 5.0)
    assert len(monitor.told) == 1
    monitor.live(10.0)
    assert len(monitor.told) == 2
    facts["cpu_degc"] = 60.0
    monitor.live(1.0)
    assert monitor.told[-1] == BoxHealth({"cpu_degc": 60.0})
    assert monitor.pipeline.live().box == {"cpu_degc": 60.0}


def test_a_number_that_trembles_is_told_when_it_moved_and_at_once_when_it_became_worse() -> None:
    steady = Steady()
    told = [steady.still({"disk_free_pct": v})["disk_free_pct"] for v in (10.2, 9.98, 10.3, 10.6)]
    assert told == [10.0, 9.0, 9.0, 10.0]
    hot = [steady.still({"cpu_degc": v})["cpu_degc"] for v in (79.9, 80.0, 78.5, 79.9, 77.0)]
    assert hot == [79.0, 80.0, 80.0, 80.0, 77.0]
    assert steady.still({"undervoltage_flag": 1.0}) == {"undervoltage_flag": 1.0}


def test_a_part_that_fails_blinds_no_other_and_does_not_stop_the_tick() -> None:
    def broken(_: float) -> BoxHealth:
        raise ZeroDivisionError("a bug")

    monitor = Monitor(broken, lambda _: BoxHealth({"disk_free_pct": 1.0}))
    assert monitor.raised_after("disk_low") <= DUE_S


def test_what_another_part_of_the_monitor_knows_is_told_too() -> None:
    monitor = Monitor()
    failing_since_s = monitor.now_s
    monitor.watch.know_with(lambda _: BoxHealth({}, {"notices_fails_s": failing_since_s}))
    assert monitor.raised_after("cannot_notify") <= DUE_S


def test_a_notifier_that_falls_silent_is_told_in_time_and_ends_when_it_speaks_again() -> None:
    state = NoticesReport(wanted=True, age_s=0.1, trouble="", failing_s=None)
    monitor = Monitor(NoticesPart(lambda: state))
    monitor.live(4.0)
    assert monitor.pipeline.live().box == {"notices_fails_s": 0.0}
    spoke_s = monitor.now_s
    monitor.live(HEARD_S)  # so long nobody can know
    assert monitor.alerts == []
    failing = {"trouble": "gone", "failing_s": HEARD_S, "since_s": spoke_s}
    state = msgspec.structs.replace(state, **failing)
    assert HEARD_S + monitor.raised_after("cannot_notify") <= DUE_S
    n_told = len(monitor.told)
    monitor.live(20.0)
    assert len(monitor.told) == n_told  # since when it fails has not changed
    state = msgspec.structs.replace(state, trouble="", failing_s=None, since_s=None)
    monitor.ended("cannot_notify")


def test_a_line_that_is_cut_while_nothing_waits_is_no_alarm_for_minutes() -> None:
    told = {"trouble": "no network", "failing_s": 1.0, "ways": (), "since_s": 1000.0}
    state = NoticesReport(wanted=True, age_s=0.1, idle=True, **told)
    monitor = Monitor(NoticesPart(lambda: state))
    monitor.live(60.0)
    assert monitor.alerts == []
    state = msgspec.structs.replace(state, idle=False)  # now somebody is to be told
    assert monitor.raised_after("cannot_notify") <= DUE_S


@pytest.mark.parametrize(
    "state",
    [
        NoticesReport(wanted=False, age_s=None, trouble="", failing_s=None),
        NoticesReport(wanted=False, age_s=1.0, trouble="x", failing_s=9.0, since_s=900.0),
        NoticesReport(wanted=True, age_s=None, trouble="", failing_s=None),
    ],
)
def test_notices_nobody_wants_and_a_notifier_that_may_be_starting_are_not_known(
    state: NoticesReport,
) -> None:
    monitor = Monitor(NoticesPart(lambda: state))
    monitor.live(20.0)
    assert monitor.alerts == []
    assert monitor.pipeline.live().box == {}


# --- looks that hang -----------------------------------------------------------------------------


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    event.set()
    yield event
    event.set()


def test_a_look_that_hangs_holds_up_nobody_and_is_told_within_ten_seconds(
    gate: threading.Event,
) -> None:
    def look() -> BoxHealth:
        gate.wait()
        return BoxHealth({"disk_free_pct": 50.0})

    monitor = Monitor(looks=(Look("disk", look),))
    monitor.live(5.0)
    assert monitor.pipeline.live().box == {"disk_free_pct": 50.0, "look_fails_s:disk": 0.0}
    gate.clear()
    began = time.monotonic()
    assert monitor.raised_after("box_blind") <= DUE_S
    assert time.monotonic() - began < DUE_S
    (alert,) = monitor.pipeline.live().alerts
    assert "its disk does not answer" in alert.reason
    # What the look would have told is not known meanwhile.
    assert "disk_free_pct" not in monitor.pipeline.live().box
    gate.set()
    monitor.ended("box_blind")


def test_a_fifo_in_the_place_of_a_file_of_the_kernel_hangs_only_its_own_look(
    tmp_path: Path,
) -> None:
    zone = tmp_path / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    os.mkfifo(zone / "temp")  # opening it waits for a writer: a driver that never answers
    looks = Look("hardware", Hardware(tmp_path, tmp_path)), Look("disk", BoxHealth)
    monitor = Monitor(looks=looks)
    try:
        assert monitor.raised_after("box_blind") <= DUE_S
        assert monitor.pipeline.live().box["look_fails_s:disk"] == 0.0
    finally:
        os.close(os.open(zone / "temp", os.O_WRONLY))
        monitor.watch.close()


def test_a_look_that_raises_is_not_known_and_is_tried_again() -> None:
    n_looks = 0

    def look() -> BoxHealth:
        nonlocal n_looks
        n_looks += 1
        if n_looks == 1:
            raise RuntimeError("a bug")
        return BoxHealth({"cpu_degc": 50.0})

    monitor = Monitor(looks=(Look("hardware", look),))
    monitor.live(8.0)
    assert n_looks >= 3
    assert monitor.told[0] == BoxHealth({"look_fails_s:hardware": 0.0})
    assert monitor.pipeline.live().box["cpu_degc"] == 50.0


def test_no_look_is_begun_after_the_end() -> None:
    n_looks = 0

    def look() -> BoxHealth:
        nonlocal n_looks
        n_looks += 1
        return BoxHealth()

    monitor = Monitor(looks=(Look("disk", look),))
    monitor.live(1.0)
    monitor.watch.close()
    monitor.live(10.0)
    assert n_looks == 1


# --- the disk ------------------------------------------------------------------------------------


def disk_of(folder: Path, now_s: Callable[[], float] = CLOCK.now_s) -> Disk:
    return Disk(folder, folder / "homeward.db", now_s)


def monitor_of(folder: Path) -> Monitor:
    """Return a monitor that looks at the disk of a folder."""
    disk = disk_of(folder, lambda: monitor.now_s)
    monitor = Monitor(looks=(Look("disk", disk),))
    return monitor


def small_disk(folder: Path, size: str = "4m") -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("a small disk can be mounted only as root")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "card"
    folder.mkdir()
    small_disk(folder)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_is_low_then_full_and_mended(small: Path) -> None:
    write(small / "homeward.db", "records")
    monitor = monitor_of(small)
    monitor.live(4.0)
    assert monitor.alerts == []
    filling = small / "film"
    filling.write_bytes(bytes(3800 * 1024))  # 7 % are left
    assert monitor.raised_after("disk_low") <= DUE_S
    assert monitor.signal.priority == "low"
    with filling.open("ab") as file:
        file.write(bytes(260 * 1024))
    assert monitor.raised_after("cannot_record") <= DUE_S
    assert monitor.signal.priority == "medium"
    filling.unlink()
    monitor.ended("cannot_record")
    monitor.ended("disk_low")


def test_a_disk_that_becomes_read_only_cannot_record(small: Path) -> None:
    write(small / "homeward.db", "records")
    monitor = monitor_of(small)
    monitor.live(4.0)
    assert monitor.alerts == []
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    assert monitor.raised_after("cannot_record") <= DUE_S
    assert monitor.signal.audible
    subprocess.run(["mount", "-o", "remount,rw", str(small)], check=True)
    monitor.ended("cannot_record")


def test_a_database_that_is_moved_away_cannot_record_and_one_not_yet_there_is_not_missed(
    tmp_path: Path,
) -> None:
    monitor = monitor_of(tmp_path)
    monitor.live(4.0)
    assert monitor.pipeline.live().box["disk_fails_s"] == 0.0
    database = write(tmp_path / "homeward.db", "records")
    monitor.live(4.0)
    database.rename(tmp_path / "elsewhere.db")
    assert monitor.raised_after("cannot_record") <= DUE_S


def test_a_look_at_the_disk_leaves_the_locks_of_the_store_alone(tmp_path: Path) -> None:
    store = Store.begin(tmp_path / "homeward.db", Run("run-1", "boot-1", 0.0, "0.1.0", "digest"))
    assert disk_of(tmp_path)().facts["disk_fails_s"] == 0.0
    # Another program that looks into the records and leaves must find that somebody is there.
    other = (
        "import sys; from pathlib import Path; from edge.store.database import connect\n"
        "connect(Path(sys.argv[1])).execute('SELECT n FROM runs')"
    )
    subprocess.run([sys.executable, "-c", other, str(tmp_path / "homeward.db")], check=True)
    assert (tmp_path / "homeward.db-wal").exists()
    store.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_a_disk_that_says_only_errors_cannot_record(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> os.statvfs_result:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "statvfs", fail)
    found = disk_of(tmp_path)()
    assert "disk_free_pct" not in found.facts
    assert found.since_s.keys() == {"disk_fails_s"}


def test_a_disk_without_room_for_files_is_as_full_as_one_without_room_for_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    #       bsize frsize blocks bfree bavail files ffree favail flag namemax
    found = os.statvfs_result((4096, 4096, 1000, 900, 900, 100, 3, 3, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: found)
    assert disk_of(tmp_path)().facts["disk_free_pct"] == 3.0


# --- the hardware --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alarm", "throttled", "flag"),
    [
        ("0\n", None, 0.0),
        ("1\n", None, 1.0),
        (None, "50005\n", 1.0),
        (None, "50000\n", 0.0),
        ("0\n", "1\n", 1.0),
        (None, "soon\n", None),
        (None, None, None),
    ],
)
def test_too_little_voltage_is_read_from_what_the_kernel_has(
    alarm: str | None, throttled: str | None, flag: float | None, tmp_path: Path
) -> None:
    write(tmp_path / "class/hwmon/hwmon0/name", "cpu_thermal\n")
    write(tmp_path / "class/hwmon/hwmon0/in0_lcrit_alarm", "1\n")  # another chip's is not ours
    if alarm is not None:
        write(tmp_path / "class/hwmon/hwmon1/name", "rpi_volt\n")
        write(tmp_path / "class/hwmon/hwmon1/in0_lcrit_alarm", alarm)
    if throttled is not None:
        write(tmp_path / "devices/platform/soc/soc:firmware/get_throttled", throttled)
    found = Hardware(tmp_path, tmp_path)().facts
    assert found.get("undervoltage_flag") == flag


def test_the_temperature_is_the_processors_and_of_all_where_none_is_named(tmp_path: Path) -> None:
    hardware = Hardware(tmp_path, tmp_path)
    assert hardware() == BoxHealth()
    thermal = tmp_path / "class/thermal"
    write(thermal / "thermal_zone0/type", "battery\n")
    write(thermal / "thermal_zone0/temp", "91000\n")
    assert hardware().facts == {"cpu_degc": 91.0}
    write(thermal / "thermal_zone1/type", "cpu-thermal\n")
    write(thermal / "thermal_zone1/temp", "54321\n")
    assert hardware().facts == {"cpu_degc": 54.321}


def test_the_free_memory_is_what_could_be_had(tmp_path: Path) -> None:
    write(tmp_path / "meminfo", "MemTotal:  400000 kB\nMemFree: 1 kB\nMemAvailable: 30000 kB\n")
    assert Hardware(tmp_path, tmp_path)().facts == {"memory_free_pct": 7.5}
    write(tmp_path / "meminfo", "MemTotal:  0 kB\nMemAvailable: few kB\n")
    assert Hardware(tmp_path, tmp_path)() == BoxHealth()


def test_a_box_that_gets_hot_and_weak_is_told_within_ten_seconds(tmp_path: Path) -> None:
    temp = write(tmp_path / "class/thermal/thermal_zone0/temp", "50000\n")
    write(tmp_path / "class/thermal/thermal_zone0/type", "cpu-thermal\n")
    write(tmp_path / "class/hwmon/hwmon1/name", "rpi_volt\n")
    alarm = write(tmp_path / "class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    memory = write(tmp_path / "meminfo", "MemTotal: 100 kB\nMemAvailable: 50 kB\n")
    monitor = Monitor(looks=(Look("hardware", Hardware(tmp_path, tmp_path)),))
    monitor.live(5.0)
    assert monitor.alerts == []
    for path, text, rule in (
        (temp, "80000\n", "over_heat"),
        (alarm, "1\n", "under_voltage"),
        (memory, "MemTotal: 100 kB\nMemAvailable: 5 kB\n", "memory_short"),
    ):
        path.write_text(text)
        assert monitor.raised_after(rule) <= DUE_S


# --- the clock -----------------------------------------------------------------------------------


def test_a_clock_that_is_not_synchronised_is_told_and_whether_it_ever_was() -> None:
    synchronised = True

    def read() -> WallEntry:
        return WallEntry("boot", 1.0, 2.0, synchronised)

    monitor = Monitor(ClockPart(read))
    monitor.live(3.0)
    synchronised = False
    assert monitor.raised_after("clock_unset") <= DUE_S
    assert monitor.signal.priority == "low"
    assert Monitor(ClockPart(read)).raised_after("clock_unset") <= DUE_S
    kept = ClockPart(read, was_set=True)
    assert kept(0.0).facts == {"clock_synced_flag": 0.0, "clock_set_flag": 1.0}


def test_a_start_knows_from_the_store_whether_the_clock_was_set_in_this_boot(
    tmp_path: Path,
) -> None:
    path = tmp_path / "homeward.db"
    assert not clock_was_set(path, "boot-1")
    store = Store.begin(path, Run("run-1", "boot-1", 0.0, "0.1.0", "digest"))
    store.backlog.add_clock(WallEntry("boot-1", 1.0, 2.0, synchronised=True))
    store.flush(100.0)
    store.close()
    assert clock_was_set(path, "boot-1")
    assert not clock_was_set(path, "boot-2")
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    assert not clock_was_set(path, "boot-1")


# --- records and sound ---------------------------------------------------------------------------


class Told:
    """What the recorder and the annunciators of a test say."""

    store = StoreReport("x.db", "", 0, 0, 0, None, None, "", "")
    sound: tuple[AnnunciatorReport, ...] = ()

    def say(self, **changes: object) -> None:
        self.store = msgspec.structs.replace(self.store, **changes)


def test_what_cannot_be_recorded_is_told_within_ten_seconds_and_ends() -> None:
    faults = (
        {"trouble": "cannot open x.db", "n_failures": 1},
        {"n_dropped": 7},
        {"packet_log": "ended: the disk is full"},
    )
    for fault in faults:
        told = Told()
        monitor = Monitor(RecorderPart(lambda told=told: told.store))
        monitor.live(5.0)
        assert monitor.alerts == []
        told.say(**fault)
        assert monitor.raised_after("cannot_record") <= DUE_S
        if "n_dropped" not in fault:
            told.say(trouble="", packet_log="")
        if "packet_log" in fault:
            continue  # a log that has ended does not go on
        monitor.ended("cannot_record")


def test_a_vault_that_keeps_nothing_is_told_within_ten_seconds_and_ends() -> None:
    fine = VaultState("vault")
    faults = (
        {"trouble": "its passphrase", "kind": "key"},
        {"trouble": "the disk is full", "kind": "write"},
        {"n_dropped": 7},
    )
    for fault in faults:
        told = [fine]
        monitor = Monitor(VaultPart(lambda told=told: told[0]))
        monitor.live(5.0)
        assert monitor.alerts == []
        since_s = None if "n_dropped" in fault else monitor.now_s
        told[0] = msgspec.structs.replace(fine, failing_s=since_s, **fault)
        assert monitor.raised_after("vault_down") <= DUE_S
        assert monitor.signal.priority == "low"
        told[0] = msgspec.structs.replace(fine, n_dropped=told[0].n_dropped)
        monitor.ended("vault_down", 120.0)


def test_a_vault_whose_disk_does_not_come_back_is_told_and_a_long_write_is_no_fault() -> None:
    told = [VaultState("vault")]
    monitor = Monitor(VaultPart(lambda: told[0]))
    told[0] = VaultState("vault", busy_s=monitor.now_s)
    monitor.live(15.0)
    assert monitor.alerts == []
    assert monitor.raised_after("vault_down") <= DUE_S


def test_where_no_vault_is_wanted_nothing_is_said_of_it() -> None:
    monitor = Monitor(VaultPart(lambda: None))
    monitor.live(30.0)
    assert not any("vault" in name for health in monitor.told for name in health.facts)


def test_records_that_are_held_back_on_a_full_disk_are_told() -> None:
    told = Told()
    monitor = Monitor(RecorderPart(lambda: told.store))
    told.say(room=RoomReport("low"))
    monitor.live(5.0)
    assert monitor.alerts == []
    told.say(room=RoomReport("full"))
    assert monitor.raised_after("disk_low") <= DUE_S
    assert monitor.signal.priority == "medium"


def test_a_store_has_a_moment_to_be_opened_at_the_start_and_then_it_is_told() -> None:
    told = Told()
    monitor = Monitor(RecorderPart(lambda: told.store))
    told.say(trouble="the store is not open yet", writing_since_s=monitor.now_s)
    monitor.live(5.0)
    assert monitor.alerts == []
    assert 5.0 + monitor.raised_after("cannot_record") <= DUE_S
    told.say(trouble="", writing_since_s=None)
    monitor.ended("cannot_record")


def test_a_write_that_does_not_come_back_is_told_within_ten_seconds() -> None:
    told = Told()
    monitor = Monitor(RecorderPart(lambda: told.store))
    monitor.live(5.0)
    told.say(writing_since_s=monitor.now_s)
    assert monitor.raised_after("cannot_record") <= DUE_S


def test_a_short_write_is_no_fault() -> None:
    told = Told()
    monitor = Monitor(RecorderPart(lambda: told.store))
    for _ in range(20):
        told.say(writing_since_s=monitor.now_s)
        monitor.live(2.0)
        told.say(writing_since_s=None)
        monitor.live(1.0)
    assert monitor.alerts == []


def sound(monitor: Monitor, name: str = "sound", *, works: bool = True) -> AnnunciatorReport:
    return AnnunciatorReport(name, works, "" if works else "it is gone", monitor.now_s)


def test_a_loudspeaker_has_a_moment_to_show_that_it_works_and_then_it_is_told() -> None:
    told = Told()
    monitor = Monitor(SoundPart(lambda: told.sound))
    told.sound = (sound(monitor, works=False),)
    monitor.live(6.5)
    assert monitor.alerts == []
    assert 6.5 + monitor.raised_after("cannot_be_heard") <= DUE_S
    assert monitor.signal.priority == "high"
    told.sound = (sound(monitor),)
    monitor.ended("cannot_be_heard")


def test_a_loudspeaker_that_stops_is_told_soon_and_is_less_where_the_light_works() -> None:
    told = Told()
    monitor = Monitor(SoundPart(lambda: told.sound))
    told.sound = (sound(monitor), sound(monitor, "gpio"))
    monitor.live(20.0)
    told.sound = (sound(monitor, works=False), sound(monitor, "gpio"))
    assert monitor.raised_after("cannot_be_heard") <= 5.0
    assert monitor.signal.priority == "medium"
    assert "the loudspeaker does not work" in monitor.pipeline.live().alerts[0].reason


def test_a_box_without_any_annunciator_is_not_called_mute() -> None:
    monitor = Monitor(SoundPart(lambda: ()))
    monitor.live(30.0)
    assert monitor.alerts == []
