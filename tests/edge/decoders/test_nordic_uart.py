import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import frame
from edge.decoders import BrokenError, NotMineError
from edge.decoders._homeward_line import HALF_LASTS_S, MAX_FRAME_BYTES
from edge.decoders.nordic_uart import DECODER, NOTIFY
from edge.frame import Channel, Description
from edge.records import Packet

ECG = Channel("ecg_mv", "II", 0, 1000.0)
DESCRIPTION = frame.pack(
    frame.DESCRIPTION, 0, 0, frame.pack_description(Description(250.0, (ECG,)))
)


def samples(sequence: int, first: int = 1000, n: int = 10) -> bytes:
    rows = np.arange(first, first + n, dtype="<i2").tobytes()
    return frame.pack(frame.SAMPLES, sequence, sequence * 40_000, rows)


def damaged(whole: bytes) -> bytes:
    # A changed byte that makes no zero, which would end the frame there.
    raw = bytearray(whole)
    raw[-2] ^= 0x01 if raw[-2] != 0x01 else 0x02
    return bytes(raw)


class Link:
    """One board's notifications, a tenth of a second apart."""

    def __init__(self) -> None:
        self._decode, self.now_s = DECODER.open(), 100.0

    def bring(self, payload: bytes, after_s: float = 0.1) -> list[float]:
        """Return the ECG in thousandths of a millivolt that one notification gives."""
        self.now_s += after_s
        found = self._decode(Packet("board", NOTIFY, self.now_s, payload))
        assert all(run.start_s == self.now_s for run in found)
        return [float(value) for run in found for value in np.round(run.values * 1000)]


def described() -> Link:
    link = Link()
    assert link.bring(b"\0" + DESCRIPTION + b"\0") == []
    return link


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_frames_are_read_however_they_are_cut(sizes):
    line = b"\0" + DESCRIPTION + b"\0" + b"".join(samples(i, 100 * i) + b"\0" for i in range(20))
    link, values, at = Link(), [], 0
    for size in [*sizes, len(line)]:
        values += link.bring(line[at : at + size])
        at += size
    assert values == [100 * i + k for i in range(20) for k in range(10)]


def test_the_clock_and_the_number_of_a_frame_are_kept():
    decode = DECODER.open()
    decode(Packet("board", NOTIFY, 1.0, DESCRIPTION + b"\0"))
    decode(Packet("board", NOTIFY, 1.1, samples(7)[:15]))
    (run,) = decode(Packet("board", NOTIFY, 1.2, samples(7)[15:] + b"\0"))
    assert (run.stamp.sequence, run.stamp.ticks, run.stamp.host) == (7, 280_000, False)
    assert (run.signal, run.lead, run.fs_hz, run.start_s) == ("ecg_mv", "II", 250.0, 1.2)


def test_a_good_frame_beside_a_damaged_one_is_not_lost():
    link = described()
    both = damaged(samples(0)) + b"\0" + samples(1, 5) + b"\0"
    assert link.bring(both) == list(range(5, 15))
    assert link.bring(samples(2, 7) + b"\0" + damaged(samples(3)) + b"\0") == list(range(7, 17))


def test_a_notification_of_damage_alone_is_broken_and_counts_once():
    link = described()
    with pytest.raises(BrokenError, match="CRC"):
        link.bring(damaged(samples(0)) + b"\0" + damaged(samples(1)) + b"\0")
    assert link.bring(samples(2, 3) + b"\0") == list(range(3, 13))


def test_a_lost_piece_costs_the_frame_it_was_of():
    link = described()
    whole = samples(0) + b"\0"
    link.bring(whole[:8])
    with pytest.raises(BrokenError):
        link.bring(whole[16:])
    assert link.bring(samples(1, 3) + b"\0") == list(range(3, 13))


def test_who_comes_in_the_middle_of_a_frame_waits_for_the_next_and_counts_nothing():
    link = Link()
    assert link.bring(samples(0)[9:] + b"\0" + DESCRIPTION + b"\0") == []
    assert link.bring(samples(1, 3) + b"\0") == list(range(3, 13))


def test_a_first_frame_without_a_zero_before_it_is_read():
    link = Link()
    assert link.bring(DESCRIPTION + b"\0" + samples(0, 3) + b"\0") == list(range(3, 13))


def test_a_frame_begun_before_the_link_was_lost_does_not_spoil_the_next():
    link = described()
    link.bring(samples(0)[:12])
    assert link.bring(samples(9, 3) + b"\0", HALF_LASTS_S + 0.1) == list(range(3, 13))


def test_a_begun_frame_outlives_a_short_pause():
    link = described()
    whole = samples(0, 3) + b"\0"
    link.bring(whole[:12])
    assert link.bring(whole[12:], HALF_LASTS_S - 0.1) == list(range(3, 13))


def test_noise_without_an_end_is_dropped_at_the_bound():
    link = described()
    for _ in range(MAX_FRAME_BYTES // 100):
        assert link.bring(b"\x07" * 100) == []
    with pytest.raises(BrokenError, match="within 1024 bytes"):
        link.bring(b"\x07" * 100)
    for _ in range(20):
        assert link.bring(b"\x07" * 100) == []
    assert link.bring(b"\x07\0" + samples(0, 3) + b"\0") == list(range(3, 13))


def test_a_frame_of_the_longest_kind_is_read():
    body = np.arange(504, dtype="<i2") + 1000  # 4 bytes short of the bound, stuffed
    whole = frame.pack(frame.SAMPLES, 0, 0, body.tobytes()) + b"\0"
    assert MAX_FRAME_BYTES - 8 < len(whole) <= MAX_FRAME_BYTES
    link = described()
    link.bring(whole[:500])
    assert link.bring(whole[500:]) == list(range(1000, 1504))


def test_printed_text_is_not_mine():
    link = Link()
    for line in (b"HR=72\r\n", b"SpO2: 98", b" %\n"):
        with pytest.raises(NotMineError, match="printed text"):
            link.bring(line)


def test_unknown_bytes_are_not_mine_until_a_good_frame_came_and_broken_after():
    link = Link()
    assert link.bring(b"\x01\xfe\0") == []
    with pytest.raises(NotMineError, match="not known for a Homeward board"):
        link.bring(b"\x01\xfe\x80\x99\0")
    link.bring(DESCRIPTION + b"\0")
    with pytest.raises(BrokenError):
        link.bring(b"\x01\xfe\x80\x99\0")


def test_samples_before_the_description_are_not_mine():
    link = Link()
    with pytest.raises(NotMineError, match="before the board described itself"):
        link.bring(b"\0" + samples(0) + b"\0")


def test_the_profile_asks_for_what_the_decoder_reads():
    (profile,) = DECODER.profiles
    assert profile.streams == DECODER.streams
    assert (profile.start, profile.poll, profile.deadline_s) == ((), None, 5.0)
