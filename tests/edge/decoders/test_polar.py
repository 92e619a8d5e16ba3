"""Vectors marked SDK are those of polarofficial/polar-ble-sdk, sources/Android/
android-communications/library/src/test/.../gatt/client/pmd/model/*Test.kt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decoders import BrokenError, NotMineError
from edge.decoders._polar_frames import unpack_deltas, unpack_raw
from edge.decoders.polar import ACC, CONTROL, DATA, DECODER, ECG, PPG, PPI, PROFILE
from edge.records import Gap, Packet, Samples
from edge.sources import Sources, Stream

POWER_UP_NS = 599_616_000_000_000_000
LIMIT_S = 60e-6

Read = Callable[..., tuple[Samples, ...]]


def frame(kind: int, form: int, last_ns: int, content: bytes) -> bytes:
    return bytes([kind]) + last_ns.to_bytes(8, "little") + bytes([form]) + content


def ecg(n: int) -> bytes:
    return b"".join((i % 50).to_bytes(3, "little") for i in range(n))


@pytest.fixture
def read() -> Read:
    decode = DECODER.open()

    def read_one(kind: int, form: int, last_ns: int, content: bytes) -> tuple[Samples, ...]:
        return decode(Packet("strap", DATA, 5.0, frame(kind, form, last_ns, content)))

    return read_one


# What is in a frame.

SDK_ACC_0 = (
    "71 07 F0 6A 9E 8D 0A 38 BE 5C BE BA 2F 96 B3 EE 4B E5 AD FB 42 B9 EB BE 4C FE BA 2F 92 BF EE"
    "4B E4 B1 FB 12 B9 EC BD 3C 3E BB 2F 8F D3 DE 4B E3 B5 F7 D2 B8 ED BD 30 7E 7B 2F 8B E3 CE 8B"
    "E2 BA F7 A2 B8 EE BC 20 BE 7B 2F 88 F3 CE CB E1 BD EF 52 F8 EF BC 18 FE 3B 2F 84 03 BF CB E0"
    "C2 EF 32 B8 F0 BB 04 4E BC 2E 81 13 AF 0B E0 C6 EF F2 F7 F1 B9 FC 7D BC 2E 7D 27 9F 4B DF CA"
    "EB C2 F7 F2 B8 EC CD 7C 2E 7B 37 8F 4B DE CE E3 92 F7 F3 B8 E0 0D FD 2D 77 4B 7F CB DD D2 DF"
    "62 37 F5 B7 D4 4D BD 2D 74 5B 6F CB DC D7 D7 32 37 F6 B5 C8 8D 7D 2D 71 6B 4F 4B DC DC D3 F2"
    "36 F7 B4 BC DD FD 2C 6F 7B 3F 4B DB E0 CF D2 36 F8 B2 B0 2D BE 2C 6C 8F 1F CB DA E3 C7 A2 76"
    "F9"
)
SDK_PPG_0 = (
    "2C 2D 00 C2 77 00 D3 D2 FF 3D 88 FF 0A 29 B2 F0 EE 34 11 B2 EC EE 74 11 B1 E8 FE B4 11 B1 E8"
    "FE B4 11 B1 E0 FE 34 12 B0 DC 0E 75 12 B0 D8 0E B5 12 AF D4 1E F5 12 AF D0 1E 35 13 AE CC 2E"
    "75 13 AE C8 2E B5 13 AD C4 3E F5 13 AD BC 3E 75 14 AD BC 3E 75 14 AC B8 4E B5 14 AC B4 4E F5"
    "14 AB B0 5E 35 15 AA AC 6E 75 15 AA A8 6E B5 15 AA A4 6E F5 15 A9 A0 7E 35 16 A9 9C 7E 75 16"
    "A8 98 8E B5 16 A7 94 9E F5 16 A7 90 9E 35 17 A7 8C 9E 75 17 A6 88 AE B5 17 A5 88 BE B5 17 A5"
    "80 BE 35 18 A4 7C CE 75 18 A4 78 CE B5 18 A3 78 DE B5 18 A2 70 EE 35 19 A2 6C EE 75 19 A2 6C"
    "EE 75 19 A1 68 FE B5 19 A0 60 0E 36 1A 9F 60 1E 36 1A 9F 5C 1E 76 1A 9F 58 1E B6 1A 9D 54 3E"
    "F6 1A"
)
# The first reference row and the first of the six blocks of the vector of frame type 10.
SDK_PPG_10 = (
    "35 0B 18 6B DF 1D C5 8D 1A 6C E1 1A 4D 93 1B 48 BA 16 A2 10 18 3B D0 1B 32 1D 1E 63 BD 1A 08"
    "F3 17 FB 2F 11 00 01 00 A0 07 14 C2 7F 19 70 0A 22 97 7D 19 CC 08 22 A0 07 14 57 F3 A5 FF CF"
    "03"
)


def test_it_reads_the_sdks_compressed_movement(read):
    x, y, z = (one.values for one in read(ACC, 0x80, 2_000_000_000, bytes.fromhex(SDK_ACC_0)))
    assert len(x) == len(y) == len(z) == 57
    unit = 8 / 32768
    np.testing.assert_array_equal(x[:2], np.array([1905, 1905 + 190], np.float32) * unit)
    np.testing.assert_array_equal(y[:2], np.array([27376, 27376 - 105], np.float32) * unit)
    np.testing.assert_array_equal(z[:2], np.array([-29282, -29282 - 85], np.float32) * unit)
    # A wrong bit order or sign would leave the range at once.
    assert max(np.abs(x).max(), np.abs(y).max(), np.abs(z).max()) <= 8.0


def test_it_reads_the_sdks_compressed_pleth(read):
    found = read(PPG, 0x80, 2_000_000_000, bytes.fromhex(SDK_PPG_0))
    assert [one.lead for one in found] == ["0", "1", "2", "ambient"]
    assert {len(one.values) for one in found} == {42}
    first = [one.values[:2].tolist() for one in found]
    assert first == [[11564, 11742], [30658, 30590], [-11565, -11743], [-30659, -30591]]


def test_it_reads_the_sdks_pleth_of_three_colours(read):
    found = read(PPG, 0x8A, 112_525_000_000_000_000, bytes.fromhex(SDK_PPG_10))
    values = {one.lead: one.values.tolist() for one in found}
    assert [values[f"green{i}"] for i in (0, 1, 7)] == [[1575733], [1957739], [1822779]]
    assert [values[f"red{i}"] for i in (0, 4, 5)] == [[1973554], [256], [1312672]]
    assert [values[f"infrared{i}"] for i in (0, 5)] == [[1671106], [-5901481]]
    assert len(values) == 20


def compress(rows: np.ndarray, n_bytes: int, cuts: Iterable[int]) -> bytes:
    """Return rows as a device packs them, bit by bit; `cuts` are the rows at which blocks begin."""
    out = b"".join(int(v).to_bytes(n_bytes, "little", signed=True) for v in rows[0])
    places = [1, *sorted(c for c in set(cuts) if 1 < c < len(rows)), len(rows)]
    for begin, end in pairwise(places):
        for low in range(begin, end, 255):
            deltas = [int(d) for d in np.diff(rows, axis=0)[low - 1 : min(low + 255, end) - 1].flat]
            n = len(deltas) // rows.shape[1]
            width = max(max(d, ~d).bit_length() + 1 for d in deltas)
            text = "".join(f"{d & (1 << width) - 1:0{width}b}"[::-1] for d in deltas)
            n_packed = -(-len(text) // 8)
            packed = int(text[::-1], 2).to_bytes(n_packed, "little")
            out += bytes([width, n]) + packed
    return out


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    n_bytes = draw(st.integers(1, 3))
    top = 1 << 8 * n_bytes - 1
    n, n_channels = draw(st.integers(2, 60)), draw(st.integers(1, 6))
    spread = draw(st.integers(0, top - 1))
    cell = st.integers(-spread - 1, spread)
    flat = draw(st.lists(cell, min_size=n * n_channels, max_size=n * n_channels))
    return np.array(flat).reshape(n, n_channels), n_bytes


@given(table=tables(), cuts=st.lists(st.integers(1, 60), max_size=4))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_what_is_packed_as_differences_comes_back(table, cuts):
    rows, n_bytes = table
    packed = compress(rows, n_bytes, cuts)
    np.testing.assert_array_equal(unpack_deltas(packed, rows.shape[1], n_bytes), rows)


@given(table=tables())
@settings(deadline=None, derandomize=True, max_examples=50)
def test_raw_numbers_come_back(table):
    rows, n_bytes = table
    packed = b"".join(int(v).to_bytes(n_bytes, "little", signed=True) for v in rows.flat)
    np.testing.assert_array_equal(unpack_raw(packed, rows.shape[1], n_bytes), rows)


def test_more_than_255_rows_are_several_blocks():
    rows = np.arange(600).reshape(-1, 1)
    assert unpack_deltas(compress(rows, 3, ()), 1, 3)[-1] == 599


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "no reference row"),
        ("0000", "no reference row"),
        ("000000 08", "head of a block"),
        ("000000 0803 0000", "ends inside a block"),
        ("000000 0001", "0-bit"),
        ("000000 2101 0000000000", "33-bit"),
    ],
)
def test_damaged_differences_are_broken(content, why):
    with pytest.raises(BrokenError, match=why):
        unpack_deltas(bytes.fromhex(content), 1, 3)


@pytest.mark.parametrize("kind", [ECG, PPG, ACC])
@pytest.mark.parametrize("n", [0, 1, 4, 7])
def test_a_frame_cut_inside_a_row_is_broken(read, kind, n):
    with pytest.raises(BrokenError, match="no whole rows"):
        read(kind, 1 if kind == ACC else 0, 1_000, bytes(n))


@pytest.mark.parametrize(("kind", "form"), [(ECG, 0x80), (PPG, 0x7F), (ACC, 3), (PPI, 1), (4, 0)])
def test_what_the_sdk_does_not_know_is_not_mine(read, kind, form):
    with pytest.raises(NotMineError, match="unknown kind"):
        read(kind, form, 1_000, bytes(12))


@pytest.mark.parametrize("n", range(10))
def test_less_than_a_head_is_not_mine(n):
    with pytest.raises(NotMineError, match="at least 10"):
        DECODER.open()(Packet("strap", DATA, 1.0, bytes(n)))


@pytest.mark.parametrize("kind", [5, 6, 7, 10, 11, 12, 14, 15])
def test_what_nobody_watches_gives_nothing(read, kind):
    assert read(kind, 0, 1_000, bytes(12)) == ()


@pytest.mark.parametrize("form", [1, 2, 3])
def test_an_ecg_whose_sign_or_unit_nobody_tells_gives_nothing(read, form):
    assert read(ECG, form, 1_000, bytes(21)) == ()


def test_the_upper_bits_of_the_kind_are_not_its_own(read):
    assert read(0xC0 | ECG, 0, 1_000_000_000, ecg(3))[0].signal == "ecg_mv"


# When its samples were taken, as the pipeline places them.


class Strap:
    """A device with a clock and a rate of its own, and the pipeline's view of its stream."""

    def __init__(self, kind: int, form: int, fs_hz: float, n: int, begin_ns: int) -> None:
        self.kind, self.form, self.fs_hz, self.n = kind, form, fs_hz, n
        self.begin_ns, self.taken = begin_ns, 0
        self.sources = Sources([DECODER], {}, "p1")
        self.gaps: list[Gap] = []
        self.runs: list[Samples] = []
        self.late_s: list[float] = []

    def send(self, n_frames: int = 1, *, lost: bool = False, unset: bool = False) -> None:
        for _ in range(n_frames):
            self.taken += self.n
            taken_s = self.taken / self.fs_hz
            last_ns = self.begin_ns + round((self.taken - 1) / self.fs_hz * 1e9)
            if not lost:
                self.hear(0 if unset else last_ns, 100.0 + taken_s)

    def hear(self, last_ns: int, arrived_s: float) -> None:
        row = {ECG: 3, ACC: 6}[self.kind]
        payload = frame(self.kind, self.form, last_ns, bytes(row * self.n))
        self.sources.take(Packet("strap", DATA, arrived_s, payload))
        stream: Stream = next(iter(self.sources))
        stamp = None
        for samples, at_s in stream.decode():
            self.runs.append(samples)
            if samples.stamp is not stamp:
                stamp = samples.stamp
                place, gap = stream.place(samples, at_s)
                end_s = place.start_s + (self.n - 1) * place.step_s
                self.late_s.append(end_s - at_s)
                if gap:
                    self.gaps.append(gap)


def strap(fs_hz: float = 130.0, n: int = 73, begin_ns: int = POWER_UP_NS) -> Strap:
    return Strap(ECG, 0, fs_hz, n, begin_ns)


OFF = [-0.0101, -0.01, -0.003, -5e-5, 0.0, 2e-5, 0.0014, 0.0016, 0.01, 0.0101]


@pytest.mark.parametrize("off", OFF)
def test_a_strap_whose_rate_is_off_loses_nothing(off):
    device = strap(130.0 * (1 + off))
    device.send(400)
    assert device.gaps == []
    assert len(device.runs) == 400
    assert max(map(abs, device.late_s[:9])) < 0.030  # its rate is not known yet
    assert max(map(abs, device.late_s[9:])) < 0.008


@pytest.mark.parametrize("off", OFF)
@pytest.mark.parametrize("n_before", [10, 80])
def test_one_lost_frame_is_a_gap_of_its_samples(off, n_before):
    device = strap(130.0 * (1 + off))
    device.send(n_before)
    device.send(lost=True)
    device.send(20)
    assert [(gap.n_lost, gap.reason) for gap in device.gaps] == [(73, "lost")]
    assert device.gaps[0].end_s - device.gaps[0].start_s == pytest.approx(73 / device.fs_hz, 1e-3)


def test_several_lost_frames_are_one_gap():
    device = strap(130.02)
    device.send(100)
    device.send(9, lost=True)
    device.send(3)
    assert [gap.n_lost for gap in device.gaps] == [9 * 73]


def test_a_rate_that_is_nearly_its_name_keeps_it():
    device = strap(130.0 * (1 + 0.0014))
    device.send(300)
    assert {run.fs_hz for run in device.runs} == {130.0}


def test_a_rate_that_is_off_is_given_as_it_is():
    device = strap(131.3)
    device.send(300)
    assert [run.fs_hz for run in device.runs[:3]] == [130.0] * 3
    assert {run.fs_hz for run in device.runs[9:]} == {131.3}


def test_stamps_that_are_a_little_out_change_no_rate():
    rng = np.random.default_rng(4)
    device = strap(130.01)
    for _ in range(1000):
        device.begin_ns = POWER_UP_NS + int(rng.integers(-3_000_000, 3_000_000))
        device.send()
    assert {run.fs_hz for run in device.runs} == {130.0}
    assert device.gaps == []


@pytest.mark.parametrize(
    ("asked_hz", "sent_hz"),
    [(25, 25.0), (25, 26.0), (25, 50.0), (25, 100.0), (25, 200.0), (25, 12.0), (25, 201.4)],
)
def test_the_rate_of_movement_is_learnt_from_its_frames(asked_hz, sent_hz):
    device = Strap(ACC, 1, sent_hz, 36, POWER_UP_NS)
    device.send(40)
    assert device.runs[0].fs_hz == asked_hz
    assert device.runs[-1].fs_hz == sent_hz
    n_gaps = len(device.gaps)
    device.send(200)
    assert len(device.gaps) == n_gaps
    device.send(lost=True)
    device.send(2)
    assert [gap.n_lost for gap in device.gaps[n_gaps:]] == [36]


def test_every_other_frame_lost_is_not_taken_for_half_the_rate():
    for device in (strap(), Strap(ACC, 1, 25.0, 36, POWER_UP_NS)):
        device.send(10)
        for _ in range(30):
            device.send(lost=True)
            device.send()
        assert {run.fs_hz for run in device.runs} == {device.runs[0].fs_hz}
        assert [gap.n_lost for gap in device.gaps] == [device.n] * 30


def test_every_other_frame_lost_from_the_first_on_does_not_halve_an_ecgs_rate():
    device = strap()
    for _ in range(30):
        device.send()
        device.send(lost=True)
    assert {run.fs_hz for run in device.runs} == {130.0}


def test_a_frame_sent_twice_is_heard_once():
    device = strap()
    device.send(10)
    again_ns = device.begin_ns + round((device.taken - 1) / device.fs_hz * 1e9)
    device.hear(again_ns, 100.0 + device.taken / device.fs_hz)
    device.send(10)
    assert len(device.runs) == 20
    assert device.gaps == []


def test_a_clock_that_begins_anew_loses_nothing():
    device = strap(begin_ns=700_000_000_000_000_000)
    device.send(20)
    device.begin_ns = POWER_UP_NS
    device.send(100)
    assert device.gaps == []  # its samples came on without a pause
    assert len(device.runs) == 120
    assert max(map(abs, device.late_s)) < 0.010


@pytest.mark.parametrize("step_ns", [-3_000_000_000, 4 * 365 * 86400 * 10**9])
def test_a_clock_that_is_set_is_survived(step_ns):
    device = strap(130.05)
    device.send(50)
    device.begin_ns += step_ns
    device.send(50)
    assert len(device.runs) == 100
    assert len(device.gaps) <= 1
    assert abs(device.late_s[-1]) < 0.010


def test_a_device_without_a_time_is_timed_by_the_count_of_its_samples():
    device = strap(130.1)
    device.send(300, unset=True)
    assert device.gaps == []
    assert len(device.runs) == 300
    assert max(map(abs, device.late_s)) < 0.2


def test_a_clock_that_comes_and_goes_is_survived():
    device = strap()
    for i in range(60):
        device.send(unset=i % 7 == 3)
    assert len(device.runs) == 60
    assert device.gaps == []


@given(stamps=st.lists(st.integers(0, (1 << 64) - 1) | st.integers(0, 10**10), max_size=12))
@settings(deadline=None, derandomize=True, max_examples=200)
def test_no_clock_is_too_mad(stamps):
    device = strap(n=4)
    for at, last_ns in enumerate(stamps):
        device.hear(last_ns, 100.0 + at)
    assert len(device.runs) <= len(stamps)
    assert all(1.0 <= run.fs_hz <= 1000.0 for run in device.runs)


def test_the_leads_of_a_frame_share_one_stamp(read):
    found = read(ACC, 1, 9_000_000_000, bytes(60))
    assert [one.lead for one in found] == ["x", "y", "z"]
    assert len({id(one.stamp) for one in found}) == 1


# What is asked of the device.


def test_every_command_waits_for_its_own_answer():
    for write in (*PROFILE.start, *PROFILE.stop):
        assert write.to == CONTROL
        assert write.answer is not None
        assert write.answer.begins == b"\xf0" + write.payload[:2]
        assert write.optional
        assert write.needs is not None
        assert write.needs.bit == write.payload[1]


def test_the_commands_are_those_seen_in_the_wild():
    # bleakheart; Polar Verity Sense clients that write to fb005c81.
    payloads = [write.payload.hex().upper() for write in PROFILE.start]
    assert payloads[0] == "02000001820001010E00"
    assert "0202000119000101100002010200" in payloads
    assert "0202000134000101100002010800040103" in payloads
    assert "0201000187000101160004" + "0104" in payloads
    assert "0203" in payloads


def test_what_is_started_is_stopped():
    started = {(write.payload[1], write.option) for write in PROFILE.start}
    assert {(write.payload[1], write.option) for write in PROFILE.stop} == started
    assert {write.payload[0] for write in PROFILE.stop} == {0x03}


def test_the_pleth_is_asked_for_only_when_somebody_wants_it():
    assert set(PROFILE.options) == {"ecg", "acc", "ppi"}


def test_a_frame_of_ecg_is_read_quickly():
    packets = [
        Packet("strap", DATA, i * 0.56, frame(ECG, 0, POWER_UP_NS + i * 561_538_461, ecg(73)))
        for i in range(1, 400)
    ]

    def each_s() -> float:
        decode = DECODER.open()
        begin_s = time.thread_time()
        for packet in packets:
            decode(packet)
        return (time.thread_time() - begin_s) / len(packets)

    assert min(each_s() for _ in range(5)) < LIMIT_S
