"""What was broken off (by a power cut, by kill -9) is finished, and nobody is accused of it."""

from edge.keys.ring import NAME
from edge.vault import WallSpan, forget_span, open_keys, verify
from edge.vault import writer as writer_module
from edge.vault.folder import GONE, segments
from tests.edge.vault.kit import WALL_S, read, start, wave, write


def spans(tmp_path, *boot_s):
    for from_s, to_s in boot_s:
        offset_s = WALL_S - 1000.0
        span = WallSpan(from_s + offset_s, to_s + offset_s)
        forget_span(tmp_path / "vault", open_keys(tmp_path), span)


def test_a_segment_that_is_forgotten_in_twice_is_still_known_to_the_one_after_it(tmp_path):
    write(tmp_path, [start(), *wave(100)])
    write(tmp_path, [start("two", 1100.0), *wave(100, at_s=1100.0)])
    write(tmp_path, [start("three", 1200.0), *wave(100, at_s=1200.0)])
    spans(tmp_path, (1001.0, 1002.0), (1003.0, 1004.0), (1101.0, 1102.0), (1103.0, 1104.0))
    report = verify(tmp_path / "vault", open_keys(tmp_path))
    assert report.whole, report.messages
    assert len(read(tmp_path)) == 303 - 4 * 10


def test_a_segment_whose_key_was_destroyed_before_the_cut_goes_with_the_next_start(tmp_path):
    for number in range(3):
        at_s = 1000.0 + 100.0 * number
        write(tmp_path, [start(f"run-{number}", at_s), *wave(50, at_s=at_s)])
    first = segments(tmp_path / "vault")[0]
    (tmp_path / "vault" / GONE).write_text(f"{first.head().id.hex()} expired\n")
    first.key_path.write_bytes(bytes(first.key_path.stat().st_size))
    write(tmp_path, [start("after", 1400.0)])
    assert not first.path.exists()
    assert verify(tmp_path / "vault", open_keys(tmp_path)).whole


def test_a_segment_that_lost_its_key_by_accident_is_left_alone(tmp_path):
    write(tmp_path, [start(), *wave(50)])
    (only,) = segments(tmp_path / "vault")
    only.key_path.write_bytes(bytes(4272))
    write(tmp_path, [start("after", 1100.0)])
    assert only.path.exists()
    assert verify(tmp_path / "vault", open_keys(tmp_path)).n_unreadable == 1


def test_a_device_key_that_was_destroyed_before_the_cut_counts_as_gone(tmp_path):
    (tmp_path / NAME).write_bytes(bytes(131))
    (tmp_path / NAME).chmod(0o600)
    write(tmp_path, [start(), *wave(10)])
    assert len(read(tmp_path)) == 11


def test_what_a_killed_writer_left_is_forced_out_before_it_is_counted(tmp_path, monkeypatch):
    write(tmp_path, [start(), *wave(50)])
    forced = []
    monkeypatch.setattr(writer_module, "sync_file", forced.append)
    monkeypatch.setattr(writer_module, "sync_folder", forced.append)
    write(tmp_path, [start("after", 1100.0)])
    first = segments(tmp_path / "vault")[0]
    assert forced == [tmp_path, first.path, tmp_path / "vault"]
