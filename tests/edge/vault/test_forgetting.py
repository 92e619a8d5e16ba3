"""What is forgotten is gone, what is kept stays exact, and what is old gives way in its order."""

import os
import shutil
from types import SimpleNamespace

import msgspec
import pytest

from edge.keys import KeysError, new_key
from edge.keys.keyfile import plain as plain_file
from edge.keys.keyfile import write_key_file
from edge.keys.ring import NAME
from edge.packetlog import RECAP
from edge.records import Packet
from edge.vault import (
    HOLE,
    Bounds,
    VaultError,
    VaultWriter,
    WallSpan,
    forget_all,
    forget_span,
    open_keys,
    packets,
    rows,
    verify,
)
from edge.vault import forgetting as forgetting_module
from edge.vault import keeping as keeping_module
from edge.vault.bounds import DAY_S
from edge.vault.folder import device_ids, segments
from tests.edge.vault.kit import SMALL, WALL_S, Clock, assign, read, start, wave, write

SPAN = WallSpan(WALL_S + 20.0, WALL_S + 40.0)
"""Boot time 1020 to 1040."""


def forget(tmp_path, span=SPAN):
    return forget_span(tmp_path / "vault", open_keys(tmp_path), span)


def kept_of(given, from_s=1020.0, to_s=1040.0):
    return [p for p in given if not from_s <= p.arrived_s < to_s]


@pytest.mark.parametrize("bounds", [None, SMALL])
def test_a_span_is_gone_and_all_else_is_there(tmp_path, bounds):
    given = [start(), assign(), *wave(600)]
    write(tmp_path, given, bounds=bounds)
    told = forget(tmp_path)
    assert told.n_packets == len(given) - len(kept_of(given)) == 200
    assert read(tmp_path) == kept_of(given)
    assert verify(tmp_path / "vault", open_keys(tmp_path)).whole
    assert forget(tmp_path).n_packets == 0


def test_after_a_hole_what_stood_is_said_again(tmp_path):
    moved = assign(1030.0, patient="p3")  # within what is forgotten
    given = [start(), assign(), *wave(250), moved, *wave(350, at_s=1030.0)]
    write(tmp_path, given)
    forget(tmp_path)
    found = list(packets(tmp_path / "vault", open_keys(tmp_path)))
    (hole,) = [p for p in found if p.stream == HOLE]
    said = msgspec.msgpack.decode(hole.payload, type=list[Packet])
    assert [p.stream for p in said] == ["box:start", "box:assign"]
    assert said[1].payload == moved.payload
    assert hole.arrived_s == pytest.approx(1040.0, abs=0.11)


def test_every_segment_but_a_runs_first_begins_with_what_stood(tmp_path):
    write(tmp_path, [start(), assign(), *wave(600)], bounds=SMALL)
    found = [p for p in packets(tmp_path / "vault", open_keys(tmp_path)) if p.stream == RECAP]
    assert len(found) == len(segments(tmp_path / "vault")) - 1 > 3
    assert all(b"p2" in p.payload for p in found)


def test_the_key_of_what_is_gone_is_overwritten_before_anything_is_removed(tmp_path, monkeypatch):
    write(tmp_path, [start(), *wave(100)])
    (segment,) = segments(tmp_path / "vault")
    fd = os.open(segment.key_path, os.O_RDONLY)
    seen = []
    real = type(segment.path).unlink

    def unlink(path, **named):
        if path == segment.key_path:
            seen.append(os.pread(fd, 10_000, 0))
        return real(path, **named)

    monkeypatch.setattr(type(segment.path), "unlink", unlink)
    forget(tmp_path, WallSpan(WALL_S - 10.0, WALL_S + 1000.0))
    os.close(fd)
    assert seen
    assert set(seen[0]) == {0}
    assert read(tmp_path) == []


def test_a_wrong_key_forgets_nothing(tmp_path):
    write(tmp_path, [start(), *wave(600)], bounds=SMALL)
    write_key_file(tmp_path / NAME, plain_file(new_key()))
    n = len(segments(tmp_path / "vault"))
    with pytest.raises(KeysError, match="nothing was touched"):
        forget(tmp_path)
    assert len(segments(tmp_path / "vault")) == n


def test_forgetting_that_is_killed_at_any_step_keeps_what_is_to_be_kept(tmp_path):
    given = [start(), *wave(600)]
    write(tmp_path / "first", given, bounds=Bounds(segment_bytes=16_000))
    wanted = kept_of(given)
    for k in range(500):
        box = tmp_path / str(k)
        shutil.copytree(tmp_path / "first", box)
        pid = os.fork()
        if not pid:
            _forget_and_die_at(box, k)
        done = os.waitpid(pid, 0)[1] == 0
        assert [p for p in read(box) if p in wanted] == wanted, k
        forget(box)
        assert read(box) == wanted
        assert verify(box / "vault", open_keys(box)).whole
        files = [p.stem for p in (box / "vault").iterdir() if p.suffix != ".lock"]
        assert all(files.count(stem) == 2 or stem == "gone" for stem in files)
        shutil.rmtree(box)
        if done:
            break
    else:
        pytest.fail("it never ended")
    assert k > 20


def _forget_and_die_at(data_dir, k):
    left = [k]

    def dying(real):
        def call(*args, **named):
            if left[0] == 0:
                os._exit(9)
            left[0] -= 1
            return real(*args, **named)

        return call

    for name in ("write", "pwrite", "fsync", "fdatasync", "rename", "replace", "unlink"):
        setattr(os, name, dying(getattr(os, name)))
    forget(data_dir)
    os._exit(0)


def test_a_monitor_that_runs_ends_its_segment_and_the_span_is_gone(tmp_path, monkeypatch):
    given = [start(), *wave(600)]
    clock = Clock()
    writer = write(tmp_path, given, clock, close=False)
    later = wave(200, at_s=1060.0)

    def sleep(_):
        while later and not (packet := later.pop(0)).arrived_s < 0:
            given.append(packet)
            clock.boot_s = packet.arrived_s
            writer.append(packet)

    monkeypatch.setattr(
        forgetting_module, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep)
    )
    told = forget(tmp_path)
    assert told.n_packets == 200
    writer.close()
    assert read(tmp_path) == kept_of(given)


def test_a_monitor_that_does_not_answer_is_told_and_nothing_is_touched(tmp_path, monkeypatch):
    writer = write(tmp_path, [start(), *wave(600)], close=False)
    monkeypatch.setattr(forgetting_module, "ROLL_WAIT_S", 0.3)
    monkeypatch.setattr(forgetting_module.roll, "__defaults__", (0.3,))
    with pytest.raises(VaultError, match="did not end its segment"):
        forget(tmp_path)
    writer.close()
    assert len(read(tmp_path)) == 601


def test_forgetting_all_leaves_no_key_and_no_block_and_the_monitor_begins_anew(tmp_path):
    write(tmp_path, [start(), *wave(600)], bounds=SMALL)
    told = forget_all(tmp_path, tmp_path / "vault")
    assert told.n_destroyed > 3
    left = {p.name for p in (tmp_path / "vault").iterdir()}
    assert left <= {"vault.lock", "change.lock"}
    assert not (tmp_path / NAME).exists()
    write(tmp_path, [start("two")])
    assert len(read(tmp_path)) == 1


def test_forgetting_all_is_refused_while_a_monitor_writes(tmp_path):
    writer = write(tmp_path, [start()], close=False)
    with pytest.raises(VaultError, match="another process"):
        forget_all(tmp_path, tmp_path / "vault")
    writer.close()
    assert len(read(tmp_path)) == 1


def days(tmp_path, n, bounds, *, alert_day=None, synchronised=True):
    """Write an hour of 60 packets a day, for some days."""
    for day in range(n):
        at_s = 1000.0 + day * DAY_S
        clock = Clock(at_s, WALL_S + day * DAY_S, synchronised=synchronised)
        clock.boot_id = f"boot-{day}"
        writer = VaultWriter(tmp_path / "vault", open_keys(tmp_path), clock, bounds)
        for packet in [start(f"day-{day}", at_s), *wave(60, at_s=at_s, every_s=60.0, seed=day)]:
            clock.boot_s = packet.arrived_s
            writer.append(packet)
            if day == alert_day and packet.arrived_s == at_s + 1800.0:
                writer.pin(at_s + 1800.0, "asystole")
        writer.close()


def test_what_is_older_than_the_days_goes_but_the_minutes_around_an_alert_stay(tmp_path):
    days(tmp_path, 12, Bounds(days=5.0), alert_day=2)
    found = list(rows(tmp_path / "vault"))
    assert [row.boot_id for row in found] == ["boot-2", *(f"boot-{d}" for d in range(6, 12))]
    old = [p.arrived_s - 2 * DAY_S for p in read(tmp_path) if p.arrived_s < 3 * DAY_S]
    assert old == [2680.0, 2740.0, 2800.0, 2860.0]  # two minutes before and after 2800
    assert verify(tmp_path / "vault", open_keys(tmp_path)).whole


def test_what_was_kept_of_an_alert_goes_at_last(tmp_path):
    days(tmp_path, 14, Bounds(days=5.0, pinned_days=8.0), alert_day=2)
    assert next(rows(tmp_path / "vault")).boot_id == "boot-8"


def test_a_clock_that_is_not_set_lets_nothing_expire(tmp_path):
    days(tmp_path, 8, Bounds(days=2.0), synchronised=False)
    assert len(segments(tmp_path / "vault")) == 8


def test_a_clock_that_is_set_wrong_for_a_moment_does_not_take_the_past(tmp_path):
    days(tmp_path, 30, Bounds(days=60.0))
    write(tmp_path, [start()], Clock(1000.0, WALL_S + 9999 * DAY_S))
    assert len(segments(tmp_path / "vault")) >= 30 + 1 - keeping_module.MAX_AGED


def test_all_together_stay_within_the_bound_and_hold_the_newest(tmp_path):
    bounds = Bounds(segment_bytes=16_000, max_bytes=200_000)
    given = [start(), *wave(10_000)]
    clock = Clock()
    writer = VaultWriter(tmp_path / "vault", open_keys(tmp_path), clock, bounds)
    most = 0
    for number, packet in enumerate(given):
        clock.boot_s = packet.arrived_s
        writer.append(packet)
        if number % 100 == 0:
            most = max(most, sum(s.n_bytes() for s in segments(tmp_path / "vault")))
    writer.close()
    assert most <= 200_000
    found = read(tmp_path)
    assert found == given[-len(found) :]
    assert len(found) > 1000
    assert verify(tmp_path / "vault", open_keys(tmp_path)).whole


def test_minutes_around_many_alerts_do_not_take_the_room_of_what_is_being_lived(tmp_path):
    bounds = Bounds(segment_bytes=16_000, max_bytes=200_000)
    given = [start(), *wave(10_000, every_s=1.0)]
    clock = Clock()
    writer = VaultWriter(tmp_path / "vault", open_keys(tmp_path), clock, bounds)
    for number, packet in enumerate(given):
        clock.boot_s = packet.arrived_s
        writer.append(packet)
        if number % 200 == 0 and number < 6000:
            writer.pin(packet.arrived_s, "asystole")
    writer.close()
    found = read(tmp_path)
    assert found[-600:] == given[-600:]


def test_never_more_than_its_share_of_the_disk(tmp_path, monkeypatch):
    bounds = Bounds(segment_bytes=16_000, share=0.5, reserve_bytes=20_000)
    (tmp_path / "vault").mkdir()
    disk = SimpleNamespace(f_blocks=400, f_frsize=1000, f_bavail=100)
    monkeypatch.setattr(keeping_module.os, "statvfs", lambda _: disk)
    assert keeping_module.bound_bytes(tmp_path / "vault", bounds, used=150_000) == 200_000
    assert keeping_module.bound_bytes(tmp_path / "vault", bounds, used=50_000) == 130_000
    disk.f_bavail = 0
    assert keeping_module.bound_bytes(tmp_path / "vault", bounds, used=100_000) == 80_000
    # Whatever else fills the disk does not take all of the past.
    assert keeping_module.bound_bytes(tmp_path / "vault", bounds, used=60_000) == 50_000


def test_the_ids_of_device_keys_are_known_without_any_key(tmp_path):
    write(tmp_path, [start()])
    assert device_ids(tmp_path / "vault") == {open_keys(tmp_path).newest.id}
