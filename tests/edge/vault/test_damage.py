"""Damage and malice: the good part is kept, each is told, and nothing crashes."""

import random
import shutil
import zlib

import pytest

from edge.records import Packet
from edge.vault import Bounds, VaultReport, layout, open_keys, packets, rows, verify
from edge.vault.folder import segments
from edge.vault.layout import Kind
from edge.vault.reading import entries
from edge.vault.scan import blocks
from tests.edge.vault.kit import SMALL, Clock, read, start, wave, write

N_DAMAGES = 2000


def damaged(raw, rng):
    """Return the bytes with one thing wrong."""
    bad = bytearray(raw)
    at = rng.randrange(len(bad))
    kind = rng.randrange(5)
    if kind == 0:
        bad[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        n = rng.randrange(1, 600)
        bad[at : at + n] = bytes(len(bad[at : at + n]))
    elif kind == 2:
        del bad[at:]
    elif kind == 3:
        del bad[at : at + rng.randrange(1, 600)]
    else:
        bad[at:at] = rng.randbytes(rng.randrange(1, 600))
    return bytes(bad)


def test_two_thousand_damages_keep_the_good_part_crash_nothing_and_are_told(tmp_path):
    given = [start(), *wave(100)]
    write(tmp_path, given, bounds=Bounds(block_s=1.0, segment_bytes=4096))
    vault, ring = tmp_path / "vault", open_keys(tmp_path)
    there = segments(vault)
    assert len(there) >= 2
    content = {path: path.read_bytes() for s in there for path in (s.path, s.key_path)}
    n_blocks = {s.path: len(list(blocks(s, VaultReport()))) for s in there}
    rng = random.Random(6)  # noqa: S311
    wanted = set(given)
    n_told = n_lost = 0
    for _ in range(N_DAMAGES):
        path = rng.choice(list(content))
        bad = damaged(content[path], rng)
        path.write_bytes(bad)
        report = VaultReport()
        found = list(packets(vault, ring, report))
        kept = [p for p in found if p.source == "strap"]
        assert wanted.issuperset(kept)  # nothing is made up, nothing is changed
        assert len(set(kept)) == len(kept)
        told = verify(vault, ring)
        list(rows(vault))
        n_told += bool(told.messages)
        if bad != content[path] and len(kept) < len(given) - 1:
            n_lost += 1
            assert told.messages, "something is lost and nobody says so"
        if path.suffix == ".hwv" and len(bad) >= len(content[path]) - 600:
            # A damage costs the blocks it lies in, but for what was cut off.
            assert report.n_blocks >= sum(n_blocks.values()) - 600 // 100 - 2
        path.write_bytes(content[path])
    assert n_lost > N_DAMAGES / 4
    assert n_told > N_DAMAGES / 2
    assert read(tmp_path) == given


def test_a_flipped_bit_costs_one_block(tmp_path):
    given = [start(), *wave(1500)]
    write(tmp_path, given)
    (segment,) = segments(tmp_path / "vault")
    raw = bytearray(segment.path.read_bytes())
    third = list(blocks(segment, VaultReport()))[3]
    raw[third.at + layout.BLOCK_BYTES + 5] ^= 4
    segment.path.write_bytes(raw)
    report = VaultReport()
    found = read(tmp_path, report)
    assert len(found) == len(given) - third.head.n_packets
    assert (report.n_damaged, report.n_missing) == (1, 1)
    assert f"bytes {third.at} to" in report.messages[0]


def test_damage_is_found_without_the_key(tmp_path):
    write(tmp_path, [start(), *wave(1500)])
    (segment,) = segments(tmp_path / "vault")
    assert verify(tmp_path / "vault", None).whole
    raw = bytearray(segment.path.read_bytes())
    raw[len(raw) // 2] ^= 1
    segment.path.write_bytes(raw)
    report = verify(tmp_path / "vault", None)
    assert report.n_damaged == 1
    assert not report.whole


def test_a_damaged_head_costs_nothing(tmp_path):
    given = [start(), *wave(50)]
    write(tmp_path, given)
    (segment,) = segments(tmp_path / "vault")
    raw = bytearray(segment.path.read_bytes())
    raw[3:60] = bytes(57)
    segment.path.write_bytes(raw)
    assert read(tmp_path, report := VaultReport()) == given
    assert report.n_damaged == 1
    assert next(rows(tmp_path / "vault")).boot_id == "boot-1"


def test_one_copy_of_a_key_is_enough(tmp_path):
    given = [start(), *wave(50)]
    write(tmp_path, given)
    (segment,) = segments(tmp_path / "vault")
    raw = bytearray(segment.key_path.read_bytes())
    raw[:1000] = bytes(1000)
    segment.key_path.write_bytes(raw)
    assert read(tmp_path) == given
    found = verify(tmp_path / "vault", open_keys(tmp_path))
    assert "one of the two copies" in found.messages[0]
    raw[layout.COPY_AT + 20] ^= 1
    segment.key_path.write_bytes(raw)
    assert read(tmp_path, report := VaultReport()) == []
    assert report.n_unreadable == 1


def two_blocks(path):
    found = [b for b in blocks(path, VaultReport()) if b.head.kind == Kind.PACKETS]
    raw = path.path.read_bytes()
    return raw, found


def again(head, body, **changes):
    """Return a block with sound CRCs, as somebody without the key would forge it."""
    told = {f: getattr(head, f) for f in ("kind", "sequence", "n_packets", "first_s", "last_s")}
    told.update(changes)
    return layout.pack_block(layout.BlockHead(n_bytes=len(body), **told), body)


@pytest.mark.parametrize("what", ["swap", "renumber", "time", "duplicate", "drop", "body", "cut"])
def test_whoever_changes_blocks_without_the_key_is_found(tmp_path, what):
    given = [start(), *wave(1500)]
    write(tmp_path, given)
    write(tmp_path, [start("two", 2000.0)], Clock(2000.0))
    segment = segments(tmp_path / "vault")[0]
    raw, found = two_blocks(segment)
    a, b = found[2], found[3]
    parts = [raw[: a.at], raw[a.at : a.end], raw[a.end : b.end], raw[b.end :]]
    if what == "swap":
        parts[1], parts[2] = parts[2], parts[1]
    elif what == "renumber":
        one = again(a.head, b.body, sequence=a.head.sequence, n_packets=b.head.n_packets)
        two = again(b.head, a.body, sequence=b.head.sequence, n_packets=a.head.n_packets)
        parts[1], parts[2] = one, two
    elif what == "time":
        parts[1] = again(a.head, a.body, first_s=5.0)
    elif what == "duplicate":
        parts[2] += parts[2]
    elif what == "drop":
        parts[1] = b""
    elif what == "body":
        body = bytearray(a.body)
        body[7] ^= 1
        parts[1] = again(a.head, bytes(body))
    else:
        parts[3] = b""
    segment.path.write_bytes(b"".join(parts))
    report = verify(tmp_path / "vault", open_keys(tmp_path))
    assert not report.whole
    assert report.messages
    kept = read(tmp_path)
    assert set(kept) <= {*given, start("two", 2000.0)}


def test_a_block_of_another_segment_does_not_open(tmp_path):
    write(tmp_path, [start(), *wave(300)], bounds=SMALL)
    one, two = segments(tmp_path / "vault")[:2]
    shutil.copy(two.path, one.path)
    report = VaultReport()
    assert list(entries(one, open_keys(tmp_path), report)) == []
    assert report.n_changed > 0
    shutil.copy(two.key_path, one.key_path)
    assert list(entries(one, open_keys(tmp_path), report := VaultReport())) == []
    assert "was moved" in report.messages[0]


def test_a_segment_taken_out_of_the_midst_is_missed(tmp_path):
    write(tmp_path, [start(), *wave(600)], bounds=SMALL)
    there = segments(tmp_path / "vault")
    there[3].path.unlink()
    report = verify(tmp_path / "vault", open_keys(tmp_path))
    assert report.n_missing == 1
    assert "is not there any more" in report.messages[0]


def test_no_marker_is_found_in_clear(tmp_path):
    rng = random.Random(9)  # noqa: S311
    markers = [rng.randbytes(8) for _ in range(10_000)]
    names = [f"canary-name-{i}" for i in range(50)]
    given = [
        Packet(names[i % 50], f"stream-of-{names[i % 50]}", 1000.0 + i / 20, marker + bytes(12))
        for i, marker in enumerate(markers)
    ]
    write(tmp_path, given)
    writer = write(tmp_path, [start("secret-run", 3000.0)], Clock(3000.0), close=False)
    writer.hurry(3000.0, "canary-name-of-an-alert")
    writer.close()
    everything = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    for marker in markers:
        assert marker not in everything
    for word in ("canary", "secret-run", "stream", "box:start"):
        assert word.encode() not in everything
    key = open_keys(tmp_path).newest.secret
    vault = b"".join(p.read_bytes() for p in (tmp_path / "vault").iterdir())
    assert key not in vault
    # The control: what is searched for would be found, were it not encrypted.
    body = b"".join(p.payload for p in given)
    assert all(marker in body for marker in markers)
    assert zlib.crc32(body)
    assert [p for p in read(tmp_path) if p.stream != "box:start"] == given
