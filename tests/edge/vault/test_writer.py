"""What the writer took comes back, whatever happened to the process, the disk and the clock."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from edge.daemon.recorder import Recorder
from edge.packetlog import LogError
from edge.records import Outcome
from edge.store import Run
from edge.vault import Bounds, VaultError, VaultReport, VaultWriter, open_keys, rows, verify
from edge.vault import segment as segment_module
from edge.vault import writer as writer_module
from edge.vault.folder import segments
from edge.vault.layout import Kind
from edge.vault.scan import blocks, heads
from tests.edge.vault.kit import SMALL, WALL_S, Clock, assign, read, start, wave, write


def syncs(monkeypatch):
    """Count what is synchronised: a list that grows."""
    done = []
    for name in ("fsync", "fdatasync"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda fd, real=real: (done.append(fd), real(fd))[1])
    return done


def test_what_was_appended_comes_back_over_all_segments_and_runs(tmp_path):
    first = [start(), assign(), *wave(500)]
    second = [start("two", 2000.0), *wave(300, at_s=2000.0, seed=2)]
    write(tmp_path, first, bounds=SMALL)
    write(tmp_path, second, Clock(2000.0), bounds=SMALL)
    assert read(tmp_path) == first + second
    assert len(segments(tmp_path / "vault")) > 5
    report = verify(tmp_path / "vault", open_keys(tmp_path))
    assert report.whole
    assert report.messages == []


def test_a_block_is_written_at_least_every_ten_seconds_and_synced_every_minute(
    tmp_path, monkeypatch
):
    clock, written = Clock(), []
    monkeypatch.setattr(
        os, "fdatasync", lambda fd, real=os.fdatasync: (written.append(clock.boot_s), real(fd))[1]
    )
    packets = [start(), *wave(6000)]
    write(tmp_path, packets, clock)
    (segment,) = segments(tmp_path / "vault")
    spans = [(h.first_s, h.last_s) for h in heads(segment) if h.kind == Kind.PACKETS]
    assert all(b - a <= 10.0 for a, b in spans)
    gaps = [b - a for a, b in pairwise(written)]
    assert len(gaps) >= 10
    assert max(gaps) <= 60.0
    assert min(gaps[:-2]) > 45.0  # and no more often: every sync wears the card


def test_a_flush_is_in_the_file_and_a_durable_one_on_the_medium(tmp_path, monkeypatch):
    writer = write(tmp_path, [start(), *wave(2)], close=False)
    writer.flush()
    done = syncs(monkeypatch)
    writer.append(wave(1, at_s=1001.0)[0])
    assert len(read(tmp_path)) == 3
    writer.flush()
    assert len(read(tmp_path)) == 4
    assert done == []
    writer.flush(durable=True)
    assert len(done) == 1
    writer.close()
    writer.close()


def test_hurry_syncs_at_once_and_every_block_of_the_two_minutes_after(tmp_path, monkeypatch):
    writer = write(tmp_path, [start(), *wave(20)], close=False)
    writer.flush()
    done = syncs(monkeypatch)
    writer.hurry(1002.0, "very_low_spo2")
    assert len(done) == 1
    for packet in wave(1800, at_s=1002.1):
        writer.append(packet)
    assert 100 <= len(done) <= 125
    writer.close()
    assert len(read(tmp_path)) == 1821


def test_what_waits_is_written_though_no_packets_come(tmp_path, monkeypatch):
    writer = write(tmp_path, [start(), *wave(3)], close=False)
    writer.tend(1005.0)
    assert read(tmp_path) == []
    writer.tend(1010.0)
    assert len(read(tmp_path)) == 4
    done = syncs(monkeypatch)
    writer.tend(1057.0)
    assert done == []
    writer.tend(1058.5)
    assert len(done) == 1
    writer.close()


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path):
    writer = write(tmp_path, [start()], close=False)
    with pytest.raises(VaultError, match="another process writes"):
        VaultWriter(tmp_path / "vault", open_keys(tmp_path), Clock())
    writer.append(wave(1)[0])
    writer.close()
    assert len(read(tmp_path)) == 2
    write(tmp_path, [start("two")], Clock())


def test_a_packet_that_is_too_large_is_refused_and_the_others_are_taken(tmp_path):
    writer = write(tmp_path, [start()], close=False)
    big = wave(1, n_bytes=writer_module.MAX_PAYLOAD_BYTES)[0]
    with pytest.raises(LogError, match="holds"):
        writer.append(big)
    writer.append(wave(1)[0])
    writer.close()
    assert len(read(tmp_path)) == 2


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_refuses_loses_nothing_once_it_takes_again(tmp_path, monkeypatch, call, error):
    clock = Clock()
    packets = [start(), *wave(4000)]
    writer = write(tmp_path, packets[:500], clock, close=False)
    real, failing = getattr(os, call), [False]

    def fails(*args):
        if failing[0]:
            if call == "pwrite":
                real(args[0], bytes(args[1][:7]), args[2])  # a short write, then nothing
            raise OSError(error, os.strerror(error))
        return real(*args)

    monkeypatch.setattr(segment_module.os, call, fails)
    n_failed = 0
    for number, packet in enumerate(packets[500:]):
        failing[0] = 500 < number < 2500
        clock.boot_s = packet.arrived_s
        try:
            writer.append(packet)
        except LogError:
            n_failed += 1
    writer.close()
    assert n_failed > 2
    assert read(tmp_path) == packets
    assert verify(tmp_path / "vault", open_keys(tmp_path)).whole


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_whichever_call_to_the_disk_fails_nothing_is_lost(tmp_path, monkeypatch, error):
    # The k-th call fails once, for every k there is, of all that change files.
    given = [start(), *wave(250)]
    left = [0]

    def failing(real):
        def call(*args, **named):
            left[0] -= 1
            if left[0] == 0:
                raise OSError(error, os.strerror(error))
            return real(*args, **named)

        return call

    for name in ("write", "pwrite", "fsync", "fdatasync", "replace", "ftruncate", "open", "unlink"):
        monkeypatch.setattr(os, name, failing(getattr(os, name)))
    for k in range(1, 1000):
        left[0] = -1
        box = tmp_path / str(k)
        ring = open_keys(box)
        clock = Clock()
        writer = VaultWriter(box / "vault", ring, clock, SMALL)
        left[0] = k
        for packet in given:
            clock.boot_s = packet.arrived_s
            with suppress(LogError):
                writer.append(packet)
        for _ in range(3):
            with suppress(LogError):
                writer.flush(durable=True)
        with suppress(LogError):
            writer.close()
        done = left[0] > 0
        left[0] = -1
        found = read(box)
        assert found == given, k
        assert verify(box / "vault", ring).whole, k
        if done:
            break
    assert k > 40


def test_what_waits_while_the_disk_refuses_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_WAITING_BYTES", 10_000)
    writer = write(tmp_path, [start(), *wave(10)], close=False)

    def refuses(*_):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(segment_module.os, "pwrite", refuses)
    n_refused = 0
    for packet in wave(1300):
        try:
            writer.append(packet)
        except LogError:
            n_refused += 1
    assert n_refused > 1000
    assert writer._waiting_bytes() < 11_000
    monkeypatch.undo()
    writer.close()
    assert len(read(tmp_path)) >= 100


def test_a_full_disk_costs_nothing_of_what_is_kept_and_nothing_that_waits(tmp_path, monkeypatch):
    first = [start(), *wave(500)]
    write(tmp_path, first, bounds=SMALL)
    second = [start("two", 2000.0), *wave(500, at_s=2000.0, seed=2)]

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(segment_module.os, "pwrite", full)
    writer = VaultWriter(tmp_path / "vault", open_keys(tmp_path), Clock(2000.0), SMALL)
    for packet in second:
        with suppress(LogError):
            writer.append(packet)
    assert read(tmp_path) == first
    monkeypatch.undo()
    writer.flush(durable=True)
    assert read(tmp_path) == first + second
    writer.close()


def test_a_step_of_the_wall_clock_begins_a_segment_that_tells_the_new_time(tmp_path):
    clock = Clock(synchronised=False)
    writer = write(tmp_path, [start(), *wave(900)], clock, close=False)
    clock.offset_s += 7200.0
    clock.synchronised = True
    for packet in wave(300, at_s=1090.0):
        clock.boot_s = packet.arrived_s
        writer.append(packet)
    writer.close()
    found = list(rows(tmp_path / "vault"))
    assert [row.synchronised for row in found] == [False, True]
    assert found[1].wall_s - found[1].boot_s == pytest.approx(WALL_S - 1000.0 + 7200.0)
    assert len(read(tmp_path)) == 1201


def test_a_clock_that_steps_all_the_time_does_not_make_a_segment_of_every_block(tmp_path):
    clock = Clock()
    writer = write(tmp_path, [start()], clock, close=False)
    for packet in wave(6000):
        clock.boot_s = packet.arrived_s
        clock.offset_s += 1.0
        writer.append(packet)
    writer.close()
    assert len(segments(tmp_path / "vault")) <= 11


def test_no_nonce_is_used_twice_over_restarts_kills_and_failed_writes(tmp_path, monkeypatch):
    used = Counter()
    real = segment_module.SegmentKey.seal

    def seal(key, kind, body, *rest):
        used[key.secret, key._next] += 1
        return real(key, kind, body, *rest)

    monkeypatch.setattr(segment_module.SegmentKey, "seal", seal)
    fails = [0]
    write_real = os.pwrite

    def pwrite(*args):
        fails[0] += 1
        if fails[0] % 3 == 0:
            raise OSError(errno.EIO, "no")
        return write_real(*args)

    monkeypatch.setattr(segment_module.os, "pwrite", pwrite)
    for run in range(12):
        writer = VaultWriter(
            tmp_path / "vault", open_keys(tmp_path), Clock(), Bounds(segment_bytes=4096)
        )
        for packet in wave(400, seed=run):
            try:
                writer.append(packet)
            except LogError:
                continue
        writer._lock.release()  # as a kill does
    assert len(used) > 100
    assert max(used.values()) == 1
    assert len({secret for secret, _ in used}) > 20


def test_a_key_that_came_from_the_medium_never_encrypts():
    key = segment_module.SegmentKey(b"x" * 16, b"k" * 32)
    with pytest.raises(VaultError, match="begin another"):
        key.seal(0, b"", 0, 0.0, 0.0)


def test_the_recorder_of_the_daemon_writes_it_as_it_writes_a_packet_log(tmp_path):
    # As tests/edge/test_daemon.py does it with a packet log.
    clock = Clock()
    given = [start(), *wave(200)]

    async def act():
        vault = VaultWriter(tmp_path / "vault", open_keys(tmp_path), clock)
        run = Run("run", "boot-1", 0.0, "0", "digest")
        recorder = Recorder(tmp_path / "x.db", run, lambda: clock.boot_s, vault, "vault")
        task = asyncio.create_task(recorder.run())
        recorder.add(given, Outcome(), 1000.0)
        assert await recorder.stored()
        task.cancel()
        assert await recorder.close()

    asyncio.run(act())
    assert read(tmp_path) == given
    assert verify(tmp_path / "vault", open_keys(tmp_path)).whole


KILLED = """
import os, signal, sys
from pathlib import Path
from edge.vault import VaultWriter, open_keys, Bounds
from tests.edge.vault.kit import Clock, start, wave
folder = Path(sys.argv[1])
print("up", flush=True)
for line in sys.stdin:
    run = int(line)
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        print("gone", flush=True)
        continue
    clock = Clock(1000.0 * run)
    writer = VaultWriter(folder / "vault", open_keys(folder), clock, Bounds(segment_bytes=20000))
    out = os.open(folder / "acknowledged", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for number, packet in enumerate(wave(2000, at_s=clock.boot_s, every_s=0.5, seed=run)):
        clock.boot_s = packet.arrived_s
        writer.append(packet)
        if number % 7 == 6:
            writer.flush()
            os.write(out, f"{run} {number + 1}\\n".encode())
        if number == 6:
            print(os.getpid(), flush=True)
    signal.pause()
"""


def test_a_hundred_kills_in_the_midst_of_writing_lose_nothing_acknowledged(tmp_path):
    # One process imports, and its children are killed: the time goes into writing.
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    for run in range(1, 101):
        process.stdin.write(f"{run}\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        time.sleep((run * 7919 % 41) / 1000.0)
        os.kill(child, signal.SIGKILL)
        process.stdout.readline()
    process.communicate()
    acknowledged: Counter[int] = Counter()
    for line in (tmp_path / "acknowledged").read_text().splitlines():
        run, number = map(int, line.split())
        acknowledged[run] = max(acknowledged[run], number)
    report = VaultReport()
    found = Counter()
    sent = {run: wave(2000, at_s=1000.0 * run, every_s=0.5, seed=run) for run in acknowledged}
    where = {p.payload: run for run, packets in sent.items() for p in packets}
    for packet in read(tmp_path, report):
        run = where[packet.payload]
        assert packet == sent[run][found[run]]  # in order, none left out, none twice
        found[run] += 1
    assert len(acknowledged) == 100
    assert all(found[run] >= n for run, n in acknowledged.items())
    assert report.n_damaged == report.n_missing == report.n_changed == report.n_unreadable == 0


def test_the_last_block_torn_at_any_byte_gives_all_before_it(tmp_path):
    packets = [start(), *wave(30)]
    writer = write(tmp_path, packets, close=False)
    writer.flush()
    writer.append(wave(1, at_s=1009.0, n_bytes=20)[0])
    writer.flush(durable=True)
    writer._lock.release()
    (segment,) = segments(tmp_path / "vault")
    whole = segment.path.read_bytes()
    last = list(blocks(segment, VaultReport()))[-1]
    for end in range(last.at, len(whole)):
        segment.path.write_bytes(whole[:end])
        report = VaultReport()
        assert read(tmp_path, report) == packets
        assert report.whole
        assert report.n_cut == (end > last.at)
    segment.path.write_bytes(whole[: last.at + 30] + bytes(len(whole) - last.at - 30))
    assert read(tmp_path, report := VaultReport()) == packets
    assert report.n_cut == 1


def test_a_run_after_a_torn_tail_goes_on_and_both_are_read(tmp_path):
    write(tmp_path, [start(), *wave(300)])
    (segment,) = segments(tmp_path / "vault")
    whole = segment.path.read_bytes()
    segment.path.write_bytes(whole[:-100])
    second = [start("two", 2000.0), *wave(10, at_s=2000.0)]
    writer = write(tmp_path, second, Clock(2000.0))
    assert any("power cut" in said for said in writer.messages)
    assert read(tmp_path)[-11:] == second
    assert verify(tmp_path / "vault", open_keys(tmp_path)).whole
