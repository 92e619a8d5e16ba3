"""Every part of the self-test fails where what it tests has really failed."""

from __future__ import annotations

import asyncio
import math
import os
import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import edge.alarms
import edge.decoders
import edge.features
from edge.alarms import Rule
from edge.annunciators import Opened, Proof, Quiet, Rim, State
from edge.annunciators.sound import Loudspeaker
from edge.annunciators.sound import Settings as Sound
from edge.assemble import assemble, settings_of
from edge.bluez import Adapter
from edge.bluez.rfkill import Block
from edge.bundle import SHIPPED
from edge.clock import BootClock
from edge.daemon.recorder import Recorder
from edge.decoders import Decoder
from edge.devices import Device, save
from edge.discover import discover
from edge.doctor.bluetooth import Seen
from edge.features import FeatureFamily
from edge.gatt import uuid
from edge.pipeline import Pipeline, PipelineSettings
from edge.records import Finding, Priority, Security, Verdict
from edge.selftest import (
    Bench,
    Heard,
    Part,
    adapter,
    annunciator,
    battery,
    bond,
    button,
    clock,
    contact,
    disk,
    engine,
    model,
    notices,
    store,
)
from edge.selftest._running import Runner
from edge.store import Run, StoreError
from tests.edge.selftest.bench import NOTHING, bench, config, patient, rows, sensor, source

FAILED, PASSED, NOT_THERE, UNKNOWN = (
    Verdict.FAILED,
    Verdict.PASSED,
    Verdict.NOT_THERE,
    Verdict.UNKNOWN,
)
STRAP = Device(
    address="C0:DE:00:00:00:01",
    name="Strap",
    bonded=True,
    security=Security.SECURE,
    profiles=("heart_rate",),
)


def one(part: Part, on: Bench) -> tuple[Verdict, str]:
    (row,) = rows(part, on)
    if row.verdict is FAILED:
        assert row.why
        assert row.cure
    return row.verdict, row.found


def seeing(on: Bench, **live: object) -> Bench:
    return msgspec.structs.replace(on, live=msgspec.structs.replace(NOTHING, **live))


# --- Bluetooth -----------------------------------------------------------------------------------


def test_a_box_that_uses_a_sensor_needs_a_radio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = bench(tmp_path)
    assert one(adapter.PART, on)[0] is NOT_THERE
    assert one(bond.PART, on)[0] is NOT_THERE
    save(tmp_path, (STRAP,))
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    verdict, found = one(adapter.PART, on)
    assert (verdict, "cannot be asked" in found) == (FAILED, True)
    # One cause, one failure: the bond cannot be told without BlueZ.
    assert one(bond.PART, on)[0] is UNKNOWN


@pytest.mark.parametrize(
    ("powered", "blocks", "verdict", "cure"),
    [
        ((), (), FAILED, "plug an adapter in"),
        ((False,), (), FAILED, "bluetoothctl power on"),
        ((False,), (Block("hci0", hard=False),), FAILED, "rfkill unblock"),
        ((True,), (), PASSED, ""),
    ],
)
def test_a_radio_that_is_not_there_or_off_fails(
    powered: tuple[bool, ...], blocks: tuple[Block, ...], verdict: Verdict, cure: str
) -> None:
    radios = tuple(
        Adapter("/org/bluez/hci0", "hci0", "B8:27:EB:00:00:01", on, False) for on in powered
    )
    row = adapter.judge(Seen(radios), blocks)
    assert row.verdict is verdict
    assert cure in row.cure


def test_a_bond_that_is_lost_fails_and_one_that_never_was_is_only_told_where_agreed() -> None:
    agreed = msgspec.structs.replace(STRAP, bonded=False, consent=True, name="Agreed")
    not_agreed = msgspec.structs.replace(STRAP, bonded=False, name="Open")
    found = list(bond.judge((STRAP, agreed, not_agreed), Seen()))
    assert [(row.subject, row.verdict) for row in found] == [
        ("Strap", FAILED),
        ("Agreed", UNKNOWN),
        ("Open", FAILED),
    ]


# --- sensors -------------------------------------------------------------------------------------


def test_a_battery_that_is_low_fails_by_the_sensors_name(tmp_path: Path) -> None:
    sensors = (sensor("Strap", 19.0), sensor("Clip", 20.0), sensor("Ring", math.nan))
    found = rows(battery.PART, seeing(bench(tmp_path), sensors=sensors))
    assert [(row.label, row.verdict) for row in found] == [
        ("Strap battery", FAILED),
        ("Clip battery", PASSED),
        ("Ring battery", UNKNOWN),
    ]


def test_no_data_at_all_fails(tmp_path: Path) -> None:
    assert one(contact.PART, bench(tmp_path)) == (FAILED, "no sensor sends anything")
    silent = bench(tmp_path, silent_links={"uart": "no such port"})
    assert "no such port" in one(contact.PART, silent)[1]
    save(tmp_path, (STRAP,))
    assert one(contact.PART, bench(tmp_path)) == (FAILED, "Strap has sent nothing since the start")


@pytest.mark.parametrize(
    ("age_s", "n_packets", "stream", "verdict"),
    [
        (10.0, 10_000, "uart", PASSED),
        (11.0, 10_000, "uart", FAILED),
        (11.0, 100, "uart", PASSED),  # a thermometer: one packet in 10 s
        (25.0, 300, "uart", PASSED),  # three at a time
        (101.0, 100, "uart", FAILED),
        (301.0, 1, "uart", FAILED),
        (3600.0, 1, uuid(0x2A35), UNKNOWN),  # a cuff speaks when it is used
        (11.0, 10_000, uuid(0x2A37), FAILED),
    ],
)
def test_stale_data_fail(
    age_s: float, n_packets: int, stream: str, verdict: Verdict, tmp_path: Path
) -> None:
    sources = (source("s", age_s, n_packets, stream),)
    on = msgspec.structs.replace(seeing(bench(tmp_path), sources=sources), up_s=1000.0)
    assert one(contact.PART, on)[0] is verdict


def test_a_source_with_a_stream_that_still_flows_is_not_stale(tmp_path: Path) -> None:
    sources = (source("s", 500.0, stream="battery"), source("s", 0.2))
    assert one(contact.PART, seeing(bench(tmp_path), sources=sources))[0] is PASSED


@pytest.mark.parametrize(
    ("vitals", "verdict", "words"),
    [
        ({"lead_off_flag": 1.0, "ecg_quality": 0.9}, FAILED, "electrode is off"),
        ({"contact_flag": 0.0}, FAILED, "no contact"),
        ({"contact_flag": 1.0}, PASSED, "sensors are on"),
        ({"ecg_quality": 0.29}, FAILED, "too poor"),
        ({"ecg_quality": 0.3, "lead_off_flag": 0.0}, PASSED, "quality of the ECG 0.30"),
    ],
)
def test_a_sensor_that_is_off_or_a_signal_that_is_poor_fails(
    vitals: dict[str, float], verdict: Verdict, words: str, tmp_path: Path
) -> None:
    on = seeing(bench(tmp_path), sources=(source("s", 0.1),), patients=(patient(**vitals),))
    last = rows(contact.PART, on)[-1]
    assert (last.verdict, last.subject) == (verdict, "patient-1")
    assert words in last.found


# --- box -----------------------------------------------------------------------------------------


def test_a_clock_that_is_not_set_fails(tmp_path: Path) -> None:
    assert one(clock.PART, bench(tmp_path))[0] is PASSED
    assert one(clock.PART, bench(tmp_path, clock_is_set=lambda: False))[0] is FAILED


def at(folder: Path, here: Path) -> Bench:
    return bench(here, config=config(here, **{"box.data_dir": str(folder)}))


def test_a_disk_that_takes_and_gives_back_passes_and_is_left_clean(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    verdict, found = one(disk.PART, at(folder, tmp_path))
    assert "read back" in found
    free = shutil.disk_usage(tmp_path)
    assert verdict is (PASSED if free.free / free.total >= 0.05 else FAILED)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("folder", ["/proc", "/sys", "/no/such/folder"])
def test_a_disk_that_cannot_be_written_fails(folder: str, tmp_path: Path) -> None:
    verdict, found = one(disk.PART, at(Path(folder), tmp_path))
    assert verdict is FAILED
    assert f"{folder} does not take 64 kB" in found


def test_a_disk_without_room_fails(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    on = bench(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, hard))
    try:
        verdict, found = one(disk.PART, on)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (verdict, "File too large" in found) == (FAILED, True)
    assert not (tmp_path / disk.FILE).exists()


def test_a_link_that_somebody_laid_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    (tmp_path / disk.FILE).symlink_to(tmp_path / "precious")
    assert one(disk.PART, bench(tmp_path))[0] is FAILED
    assert (tmp_path / "precious").read_text() == "data"


def test_a_disk_that_hangs_fails_after_its_deadline(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / disk.FILE)  # opening it waits for a reader, for ever
    quick = msgspec.structs.replace(disk.PART, deadline_s=0.3)
    (row,) = Runner([quick], time.monotonic).run(bench(tmp_path), lambda _: None)
    assert (row.verdict, "it hangs" in row.found) == (FAILED, True)
    os.close(os.open(tmp_path / disk.FILE, os.O_RDONLY | os.O_NONBLOCK))  # lets the thread go


def test_a_store_that_cannot_be_written_fails_and_a_real_one_passes(tmp_path: Path) -> None:
    box_clock = BootClock()

    async def prove(path: Path) -> tuple[Verdict, str]:
        recorder = Recorder(path, Run("r", box_clock.boot_id, 0.0, "0", "d"), box_clock.now_s)
        writing = asyncio.create_task(recorder.run())
        await recorder.stored()
        found = await asyncio.to_thread(
            one, store.PART, bench(tmp_path, prove_store=recorder.prove)
        )
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await recorder.close()
        return found

    verdict, found = asyncio.run(prove(tmp_path / "homeward.db"))
    assert (verdict, "read back" in found) == (PASSED, True)
    verdict, found = asyncio.run(prove(Path("/proc/homeward.db")))
    assert (verdict, "cannot be written" in found) == (FAILED, True)

    def full() -> float:
        raise StoreError("the disk is full")

    assert one(store.PART, bench(tmp_path, prove_store=full)) == (FAILED, "the disk is full")


def test_a_model_that_is_damaged_missing_or_fails_now_is_told(tmp_path: Path) -> None:
    assert one(model.PART, bench(tmp_path))[0] is PASSED
    assert one(model.PART, bench(tmp_path, text="[model]\nenabled = false\n"))[0] is NOT_THERE
    running = bench(tmp_path, model_trouble="onnxruntime was missing at the start")
    assert "onnxruntime was missing" in one(model.PART, running)[1]
    broken = tmp_path / "model"
    shutil.copytree(SHIPPED, broken)
    damaged = bytearray((broken / "model.onnx").read_bytes())
    damaged[1000] ^= 1
    (broken / "model.onnx").write_bytes(bytes(damaged))
    told = f'[model]\nbundle = "{broken}"\n'
    verdict, found = one(model.PART, bench(tmp_path, text=told))
    assert (verdict, "is not the file its card describes" in found) == (FAILED, True)


# --- the engine ----------------------------------------------------------------------------------


def rehearsed(folder: Path, text: str = "") -> list[tuple[Verdict, str]]:
    return [(row.verdict, row.found) for row in rows(engine.PART, bench(folder, text))]


def test_every_limit_rule_is_found_to_work_for_every_patient(tmp_path: Path) -> None:
    text = '[[patients]]\nid = "a"\n[[patients]]\nid = "b"\npreset = "copd"\n'
    found = rehearsed(tmp_path, text)
    assert [verdict for verdict, _ in found] == [PASSED, PASSED]
    rules = "low_spo2, very_low_spo2, high_hr, very_high_hr, low_hr, very_low_hr"
    assert found[0][1] == f"a made-up emergency was found and sounded by {rules}"


def test_the_widest_limits_and_longest_delays_that_can_be_set_still_pass(tmp_path: Path) -> None:
    limits = {
        "very_low_spo2": ("limit_pct", 70),
        "low_spo2": ("limit_pct", 80),
        "high_hr": ("limit_bpm", 180),
        "very_high_hr": ("limit_bpm", 220),
        "low_hr": ("limit_bpm", 30),
        "very_low_hr": ("limit_bpm", 20),
    }
    text = "[alerts]\nsignal_delay_s = 10\n" + "".join(
        f"[alarms.{rule}]\n{name} = {limit}\ndelay_s = 60\n"
        for rule, (name, limit) in limits.items()
    )
    ((verdict, found),) = rehearsed(tmp_path, text)
    assert verdict is PASSED, found


def test_a_configuration_that_would_stay_silent_fails(tmp_path: Path) -> None:
    every = [rule for emergency in engine.EMERGENCIES for rule in emergency.rules]
    off = "".join(f"[alarms.{rule}]\nenabled = false\n" for rule in every)
    assert rehearsed(tmp_path, off) == [
        (FAILED, "no limit of SpO2 or heart rate is switched on"),
    ]
    mute = "".join(f'[alarms.{rule}]\npriority = "information"\n' for rule in every)
    ((verdict, found),) = rehearsed(tmp_path, mute)
    assert (verdict, "makes no sound" in found) == (FAILED, True)


def broken_with(
    folder: Path, change: Callable[[Rule], Rule]
) -> tuple[PipelineSettings, Callable[[], Pipeline]]:
    """Return settings, and what makes a pipeline of which every rule is changed."""
    settings = settings_of(config(folder))
    rules = [change(rule) for rule in discover(edge.alarms, "RULE", Rule)]
    decoders = discover(edge.decoders, "DECODER", Decoder)
    families = discover(edge.features, "FEATURES", FeatureFamily)
    return settings, lambda: Pipeline(settings, decoders, families, rules, None, "control")


def deaf(rule: Rule) -> Rule:
    if rule.name != "very_low_spo2":
        return rule

    def step(state: object, seen: object, _: object, __: object) -> tuple[object, Finding]:
        return state, Finding(seen.patient, rule.name, seen.end_s, False, "all is well")

    return msgspec.structs.replace(rule, step=step)


def late(rule: Rule) -> Rule:
    def step(state: object, seen: object, score: object, told: object) -> tuple[object, Finding]:
        return rule.step(state, seen, score, {**told, "delay_s": 1000.0})

    return msgspec.structs.replace(rule, step=step)


def test_control_an_engine_that_is_broken_fails(tmp_path: Path) -> None:
    for change, words in ((lambda rule: rule, ""), (deaf, "very_low_spo2"), (late, "low_hr")):
        settings, fresh = broken_with(tmp_path, change)
        row = engine.judge(settings, "patient-1", fresh)
        assert row.verdict is (FAILED if words else PASSED)
        assert (f"{words} said nothing" in row.found) is bool(words)


class Mute(Pipeline):
    """A pipeline whose signal has broken."""

    def signal(self, now_s: float, patient: str = "") -> Quiet:
        return Quiet(priority=Priority.LOW, audible=super().signal(now_s, patient).priority is None)


class Meek(Pipeline):
    """A pipeline that makes every alarm a low one."""

    def signal(self, now_s: float, patient: str = "") -> Quiet:
        return Quiet(priority=Priority.LOW, audible=super().signal(now_s, patient).audible)


@pytest.mark.parametrize(
    ("kind", "words"), [(Mute, "did not sound"), (Meek, "sounded as low, and not as high")]
)
def test_control_an_alarm_that_does_not_sound_or_not_as_it_should_fails(
    kind: type[Pipeline], words: str, tmp_path: Path
) -> None:
    settings = settings_of(config(tmp_path))

    def fresh() -> Pipeline:
        made = assemble(settings, "control")
        made.__class__ = kind
        return made

    row = engine.judge(settings, "patient-1", fresh)
    assert (row.verdict, words in row.found) == (FAILED, True)


# --- heard and told ------------------------------------------------------------------------------


def test_a_box_without_notifier_says_so_and_one_that_fails_fails(tmp_path: Path) -> None:
    assert "no notifier runs" in one(notices.PART, bench(tmp_path))[1]
    for verdict in (PASSED, FAILED, UNKNOWN):
        told = bench(tmp_path, notice=lambda v=verdict: (v, "said"))
        assert one(notices.PART, told) == (verdict, "said")


BUTTON = "[annunciators.gpio]\nbutton_pin = 5\n"


def test_a_button_is_pressed_by_a_person_or_not_known(tmp_path: Path) -> None:
    assert one(button.PART, bench(tmp_path))[0] is NOT_THERE
    assert one(button.PART, bench(tmp_path, BUTTON))[0] is UNKNOWN
    for pressed, verdict in ((True, PASSED), (False, FAILED)):
        on = bench(tmp_path, BUTTON, listening=True, pressed=lambda _, p=pressed: p)
        assert one(button.PART, on)[0] is verdict


class Lamp:
    """A way to be seen whose proof is what a test says."""

    def __init__(self, *, passes: bool = True, hangs: bool = False) -> None:
        self.passes, self.hangs, self.soft = passes, hangs, []

    def show(self, signal: object) -> None:
        raise AssertionError(f"a self-test shows nothing: {signal}")

    def state(self) -> State:
        return State(True, "", 0.0, 0, math.nan)

    def prove(self, *, soft: bool = False) -> Proof:
        self.soft.append(soft)
        if self.hangs:
            threading.Event().wait(5.0)
        return Proof(self.passes, "it shone" if self.passes else "burnt out")

    def close(self) -> None:
        return


def opened(**ways: Opened) -> dict[str, object]:
    return {"opened": ways}


def test_what_a_person_says_they_heard_is_kept_with_the_name(tmp_path: Path) -> None:
    answers: dict[str, Heard | None] = {"passed": Heard(True, "Ann"), "failed": Heard(False, "Ann")}
    for verdict, heard in answers.items():
        lamp = Lamp()
        on = bench(tmp_path, listening=True, ask=lambda _, h=heard: h, **opened(lamp=lamp))
        (row,) = rows(annunciator.PART, on)
        assert (row.verdict.value, row.by, "Ann" in row.found) == (verdict, "Ann", True)
        assert lamp.soft == [False]  # as loud as an alarm
    nobody = bench(tmp_path, listening=True, **opened(lamp=Lamp()))
    assert one(annunciator.PART, nobody)[0] is UNKNOWN


def test_by_itself_it_is_soft_and_nobody_is_asked(tmp_path: Path) -> None:
    lamp = Lamp()

    def ask(question: str) -> Heard:
        raise AssertionError(question)

    on = bench(tmp_path, ask=ask, **opened(lamp=lamp))
    assert one(annunciator.PART, on) == (PASSED, "it shone")
    assert lamp.soft == [True]


def test_one_that_is_broken_hangs_or_could_not_be_opened_does_not_hide_the_others(
    tmp_path: Path,
) -> None:
    ways = {"burnt": Lamp(passes=False), "hung": Lamp(hangs=True), "lamp": Lamp()}
    on = bench(tmp_path, unopened={"pins": "no such chip"}, **opened(**ways))
    quick = msgspec.structs.replace(annunciator.PART, deadline_s=0.3)
    found = Runner([quick], time.monotonic).run(on, lambda _: None)
    assert {row.subject: row.verdict for row in found} == {
        "burnt": FAILED,
        "hung": FAILED,
        "lamp": PASSED,
        "pins": FAILED,
    }
    assert one(annunciator.PART, bench(tmp_path))[0] is NOT_THERE


@pytest.fixture
def no_player() -> Iterator[Loudspeaker]:
    speaker = Loudspeaker(Sound(), Rim(now_s=time.monotonic), program="no-such-aplay")
    yield speaker
    speaker.close()


def test_a_loudspeaker_that_is_missing_fails_in_its_own_words(
    no_player: Loudspeaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annunciator, "UNHEARD_S", 0.5)
    verdict, found = one(annunciator.PART, bench(tmp_path, **opened(sound=no_player)))
    assert (verdict, "apt install alsa-utils" in found) == (FAILED, True)
