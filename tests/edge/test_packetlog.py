import os
import struct
import tracemalloc
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.packetlog import LogError, LogReport, PacketLogWriter, is_packet_log, layout, read
from edge.records import Packet

PACKETS = [
    Packet(f"AA:BB:{i % 3}", "2a37" if i % 2 else "uart:homeward", i * 0.25, bytes([i, 0]) * i)
    for i in range(40)
]


def write(path, packets, **options):
    with PacketLogWriter(path, **options) as log:
        for packet in packets:
            log.append(packet)
    return path


@pytest.fixture(name="log")
def small_log(tmp_path):
    return write(tmp_path / "night.hwl", PACKETS, block_s=2.0)


def taken(path):
    report = LogReport()
    return list(read(path, report)), report


def is_part_of(found, whole):
    rest = iter(whole)
    return all(packet in rest for packet in found)


def test_what_was_written_is_read_back_in_order(log):
    found, report = taken(log)
    assert found == PACKETS
    assert (report.n_packets, report.n_blocks) == (40, 5)
    assert (report.n_bad_blocks, report.n_bytes_skipped, report.cut_tail) == (0, 0, False)
    assert report.messages == []
    assert is_packet_log(log)


packets_of_any_kind = st.builds(
    Packet,
    st.text(st.characters(exclude_categories=[]), max_size=20),
    st.text(max_size=20),
    st.floats(allow_nan=False),
    st.one_of(st.binary(max_size=300), st.just(layout.MARKER * 2), st.just(layout.ESCAPED)),
)


@given(st.lists(packets_of_any_kind, max_size=30), st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_any_packets_survive_the_round_trip(tmp_path_factory, packets, block_bytes):
    path = tmp_path_factory.mktemp("log") / "a.hwl"
    write(path, packets, block_bytes=block_bytes)
    assert list(read(path)) == packets


def test_an_arrival_that_is_not_a_number_is_kept(tmp_path):
    path = write(tmp_path / "a.hwl", [Packet("a", "b", float("nan"), b"")])
    (found,) = read(path)
    assert found.arrived_s != found.arrived_s


@st.composite
def damages(draw):
    kind = draw(st.sampled_from(["flip", "cut", "insert", "zero", "delete"]))
    return kind, draw(st.floats(0, 1)), draw(st.integers(1, 400)), draw(st.binary(max_size=40))


def damage(raw, kind, where, length, extra):
    at = int(where * (len(raw) - 1))
    if kind == "flip":
        return raw[:at] + bytes([raw[at] ^ (1 << length % 8)]) + raw[at + 1 :]
    if kind == "cut":
        return raw[:at]
    if kind == "insert":
        return raw[:at] + extra + raw[at:]
    middle = bytes(min(length, len(raw) - at)) if kind == "zero" else b""
    return raw[:at] + middle + raw[at + length :]


@given(st.lists(damages(), min_size=1, max_size=4))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_damage_gives_a_packet_that_was_not_written_nor_an_unknown_error(log, hurt):
    raw = log.read_bytes()
    for one in hurt:
        if raw:
            raw = damage(raw, *one)
    broken = log.with_name("broken.hwl")
    broken.write_bytes(raw)
    try:
        found = list(read(broken))
    except LogError:
        return
    assert is_part_of(found, PACKETS)


@given(st.lists(damages(), min_size=1, max_size=2))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_log_can_be_continued_and_what_comes_after_is_read(log, hurt):
    raw = log.read_bytes()
    for one in hurt:
        raw = damage(raw, *one) if raw else raw
    broken = log.with_name("broken.hwl")
    broken.write_bytes(raw)
    later = [Packet("later", "x", 1e6, b"after the damage")]
    try:
        write(broken, later)
    except LogError:
        assert broken.read_bytes() == raw
    else:
        assert list(read(broken))[-1:] == later


def test_one_damaged_block_costs_only_its_own_packets(log):
    raw = bytearray(log.read_bytes())
    second = raw.find(layout.MARKER, raw.find(layout.MARKER) + 1)
    raw[second + 60] ^= 0x40
    log.write_bytes(raw)
    found, report = taken(log)
    assert found == PACKETS[:9] + PACKETS[18:]
    assert (report.n_bad_blocks, report.n_blocks, report.cut_tail) == (1, 4, False)
    assert "damaged" in report.messages[0]


def test_a_cut_tail_gives_the_good_part(log):
    log.write_bytes(log.read_bytes()[:-5])
    found, report = taken(log)
    assert found == PACKETS[:36]
    assert report.cut_tail
    assert report.n_tail_bytes > 0
    assert "power cut" in report.messages[0]


def test_writing_goes_on_after_a_cut_tail_and_the_tail_is_kept_aside(log):
    raw = log.read_bytes()
    log.write_bytes(raw[:-5])
    more = [Packet("c", "d", 99.0, b"later")]
    with PacketLogWriter(log) as writer:
        assert "kept in" in writer.messages[-1]
        writer.append(more[0])
    found, report = taken(log)
    assert found == PACKETS[:36] + more
    assert not report.messages
    tail = log.with_name("night.hwl.cut").read_bytes()
    assert raw[:-5].endswith(tail)
    assert len(tail) > 0


def test_writing_goes_on_in_a_whole_log(log):
    write(log, PACKETS)
    assert list(read(log)) == PACKETS * 2
    assert not log.with_name("night.hwl.cut").exists()


def test_writing_goes_on_in_an_empty_file(tmp_path):
    path = tmp_path / "a.hwl"
    path.touch()
    assert taken(path)[0] == []
    assert "nothing was ever written" in taken(path)[1].messages[0]
    write(path, PACKETS)
    assert list(read(path)) == PACKETS


@pytest.mark.parametrize("n_bytes", [1, 8, 15])
def test_writing_goes_on_in_a_file_whose_head_was_cut(tmp_path, n_bytes):
    path = tmp_path / "a.hwl"
    path.write_bytes(layout.pack_head()[:n_bytes])
    write(path, PACKETS)
    assert taken(path) == (PACKETS, LogReport(n_blocks=1, n_packets=40))


def test_a_damaged_head_does_not_cost_the_blocks(log):
    raw = log.read_bytes()
    log.write_bytes(b"\x00" * 9 + raw[9:])
    found, report = taken(log)
    assert found == PACKETS
    assert "damaged" in report.messages[0]


WRONG = {
    "photo.jpg": (b"\xff\xd8\xff\xe0" + bytes(50), "JPEG"),
    "note.txt": (b"Dear diary,\nthe patient slept well.\n", "text"),
    "101.hea": (b"101 2 360 650000\n101.dat 212 200 11 1024 955 29832 0 MLII\n", "text"),
    "a.edf": (b"0       " + b" " * 248, "EDF"),
    "short": (b"\x01\x02", "not a packet log"),
    "binary": (os.urandom(16) * 200_000, "not a packet log"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_of_another_kind_is_named_and_left_as_it_is(tmp_path, name):
    content, kind = WRONG[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LogError, match=kind):
        read(path)
    with pytest.raises(LogError, match=kind):
        PacketLogWriter(path)
    assert path.read_bytes() == content
    assert not is_packet_log(path)


def test_another_version_says_which(log):
    head = struct.pack("<8sHH", layout.MAGIC, 2, 0)
    raw = log.read_bytes()
    log.write_bytes(head + crc32(head).to_bytes(4, "little") + raw[16:])
    with pytest.raises(LogError, match="version 2, this program reads version 1"):
        read(log)


def test_a_missing_file_and_a_folder_say_so_at_once(tmp_path):
    with pytest.raises(LogError, match="No such file"):
        read(tmp_path / "none.hwl")
    with pytest.raises(LogError, match="Is a directory"):
        read(tmp_path)
    with pytest.raises(LogError, match="cannot open"):
        PacketLogWriter(tmp_path / "no" / "folder.hwl")


def test_a_sound_checksum_over_nonsense_is_left_out(log):
    body = b"\x02\x00nonsense"
    head = layout.BLOCK_HEAD.pack(layout.MARKER, 3, len(body), crc32(body), 0)[:-4]
    with log.open("ab") as file:
        file.write(head + crc32(head).to_bytes(4, "little") + body)
    found, report = taken(log)
    assert found == PACKETS
    assert report.n_bad_blocks == 1


def test_a_payload_that_holds_a_whole_log_cannot_be_taken_for_blocks(tmp_path, log):
    inner = log.read_bytes()
    outer = write(tmp_path / "outer.hwl", [Packet("evil", "x", 0.0, inner)])
    raw = bytearray(outer.read_bytes())
    raw[60] ^= 1
    outer.write_bytes(raw)
    found, report = taken(outer)
    assert found == []
    assert report.n_bad_blocks == 1


def test_blocks_are_flushed_by_size_by_time_and_by_hand(tmp_path):
    path = tmp_path / "a.hwl"
    with PacketLogWriter(path, block_bytes=1000, block_s=5.0) as log:
        log.append(Packet("a", "b", 0.0, bytes(10)))
        assert list(read(path)) == []
        log.append(Packet("a", "b", 5.0, b""))
        assert len(list(read(path))) == 2
        log.append(Packet("a", "b", 6.0, bytes(2000)))
        assert len(list(read(path))) == 3
        log.append(Packet("a", "b", 6.1, b"x"))
        assert len(list(read(path))) == 3
        log.flush()
        assert len(list(read(path))) == 4


def test_a_packet_of_megabytes_is_one_block(tmp_path):
    big = Packet("replay:101", "uart:homeward", 0.0, os.urandom(5_000_000))
    path = write(tmp_path / "a.hwl", [PACKETS[0], big, PACKETS[1]])
    assert list(read(path)) == [PACKETS[0], big, PACKETS[1]]


def test_a_packet_with_an_endless_name_is_refused_and_the_log_stays_good(tmp_path):
    with PacketLogWriter(tmp_path / "a.hwl") as log:
        with pytest.raises(LogError, match="too long"):
            log.append(Packet("a" * 70_000, "b", 0.0, b""))
        log.append(PACKETS[0])
    assert list(read(tmp_path / "a.hwl")) == PACKETS[:1]


def test_a_full_disk_keeps_the_packets_and_half_a_block_is_taken_back(tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    path = write(tmp_path / "a.hwl", PACKETS[:5])
    size = path.stat().st_size
    log = PacketLogWriter(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        big = Packet("a", "b", 1.0, bytes(500))
        log.append(big)
        with pytest.raises(LogError, match="1 packets wait in memory"):
            log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert path.stat().st_size == size
    log.close()
    assert list(read(path)) == [*PACKETS[:5], big]


def test_reading_holds_one_block_in_memory(tmp_path):
    path = tmp_path / "a.hwl"
    with PacketLogWriter(path) as log:
        for i in range(300):
            log.append(Packet("a", "b", i * 1.0, os.urandom(40_000)))
    assert path.stat().st_size > 12_000_000
    tracemalloc.start()
    n = sum(1 for _ in read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 300
    assert peak < 4_000_000
