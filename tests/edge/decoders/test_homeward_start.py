"""A board that begins anew, or is changed for another one: nothing is read with the old scale."""

import numpy as np
import pytest

from edge import frame
from edge.decoders.homeward_serial import DECODER
from edge.records import Packet

FRAME_S, ROWS = 0.1, 25
GAIN, OTHER_GAIN = 1000.0, 6000.0
ANEW = "began anew"


def described(gain: float = GAIN, fs_hz: float = 250.0, signal: str = "ecg_mv") -> bytes:
    body = frame.pack_description(
        frame.Description(fs_hz, (frame.Channel(signal, "II", 0, gain),), "rig", "1.0")
    )
    return frame.pack(frame.DESCRIPTION, 0, 0, body) + b"\0"


class Talk:
    """What one port brings, frame by frame, and what is made of it."""

    def __init__(self, *, batch: bool) -> None:
        self.now_s = 1_000.0
        self._waiting: list[Packet] = []
        self._decode = DECODER.open_batch()
        self._batch = batch
        self.errors: list[str] = []

    def bring(self, line: bytes, *, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self._waiting.append(Packet("uart-x", frame.LINE, self.now_s, line))

    def samples(
        self, sequence: int, clock_s: float, n: int = 1, *, step_s: float = FRAME_S
    ) -> None:
        """Bring frames of 1000 counts that follow one another."""
        for at in range(n):
            clock_us = round((clock_s + at * step_s) * 1e6)
            body = np.full(ROWS, 1000, "<i2").tobytes()
            sent = frame.pack(frame.SAMPLES, sequence + at, clock_us, body)
            self.bring(sent + b"\0", after_s=FRAME_S)

    def opened(self) -> None:
        """The port was opened anew: the reader says so with a packet without a byte."""
        self.bring(b"")

    def values(self) -> list[float]:
        """Return the values that were read since the last time."""
        waiting, self._waiting = self._waiting, []
        self.errors = []
        found = []
        for packets in [waiting] if self._batch else [[packet] for packet in waiting]:
            batch = self._decode(packets)
            self.errors += map(str, batch.errors)
            found += [value for samples, _ in batch.found for value in samples.values.tolist()]
        return found


@pytest.fixture(params=[True, False], ids=["batch", "one by one"])
def talk(request) -> Talk:
    talk = Talk(batch=request.param)
    talk.bring(b"\0" + described())
    talk.samples(0, 5.0, 50)
    assert talk.values() == [1.0] * 50 * ROWS
    return talk


def test_a_restart_whose_description_was_lost_is_not_read_with_the_old_one(talk):
    talk.samples(0, 0.2, 20)
    assert talk.values() == []
    assert ANEW in talk.errors[0]
    talk.samples(20, 2.2, 20)
    assert talk.values() == []
    talk.bring(described(OTHER_GAIN))
    talk.samples(40, 4.2, 3)
    assert talk.values() == [pytest.approx(1000 / OTHER_GAIN)] * 3 * ROWS


def test_a_restart_that_describes_itself_is_read_at_once(talk):
    for again in range(3):
        talk.bring(b"\x05torn mid frame\0" + described(GAIN * (again + 2)))
        talk.samples(0, 0.2, 5)
        assert talk.values() == [pytest.approx(1 / (again + 2))] * 5 * ROWS


def test_a_description_torn_by_the_restart_is_none(talk):
    whole = described(OTHER_GAIN)
    talk.bring(whole[: len(whole) // 2])  # the board resets while it describes itself
    talk.bring(b"\0")
    talk.samples(0, 0.2, 5)
    assert talk.values() == []


def test_another_board_at_the_same_port_is_not_read_before_it_says_what_it_measures(talk):
    talk.bring(b"", after_s=1.0)
    talk.samples(7000, 700.0, 10)
    assert talk.values() == []
    talk.bring(described(36.6, 4.0, "temp_degc"))
    talk.samples(7010, 701.0, 1)
    assert talk.values() == [pytest.approx(1000 / 36.6)] * ROWS


def test_the_same_board_back_after_a_pulled_plug_is_read_at_once(talk):
    talk.bring(b"", after_s=2.0)
    talk.samples(70, 12.05, 10)
    assert talk.values() == [1.0] * 10 * ROWS


@pytest.mark.parametrize("rate", [0.95, 1.05])
def test_a_crystal_that_is_far_off_is_still_the_same_board(talk, rate):
    talk.bring(b"", after_s=20.0)
    talk.samples(250, 10.0 + 20.0 * rate, 5)
    assert talk.values() == [1.0] * 5 * ROWS


def test_nobody_is_recognised_after_a_long_absence(talk):
    talk.bring(b"", after_s=90.0)
    talk.samples(950, 100.0, 5)
    assert talk.values() == []


@pytest.mark.parametrize("away_s", [0.0, 1.5])
def test_counters_that_wrap_are_no_restart(talk, away_s):
    wrap_s, wrap = frame.CLOCK_WRAP / 1e6, frame.SEQUENCE_WRAP
    talk.bring(described())
    talk.samples(wrap - 5, wrap_s - 0.5, 4)
    n_lost = round(away_s / FRAME_S)
    if away_s:
        talk.bring(b"", after_s=away_s)
    talk.samples(wrap - 1 + n_lost, wrap_s - 0.1 + away_s, 4)
    assert talk.values() == [1.0] * 8 * ROWS


def test_frames_lost_on_the_line_and_late_ones_are_no_restart(talk):
    talk.samples(57, 10.7, 3)
    talk.now_s += 8.0  # held up by a radio
    talk.samples(62, 11.2, 3)
    talk.samples(64, 11.4, 1)  # one that came twice
    assert talk.values() == [1.0] * 7 * ROWS


def test_a_clock_that_stands_still_is_no_restart(talk):
    talk.samples(50, 9.9, 20, step_s=0.0)
    talk.samples(75, 9.9, 20, step_s=0.0)
    assert talk.values() == [1.0] * 40 * ROWS


def test_a_description_that_cannot_be_read_ends_the_one_before(talk):
    newer = (
        b"\x02"
        + frame.pack_description(
            frame.Description(250.0, (frame.Channel("ecg_mv", "II", 0, OTHER_GAIN),))
        )[1:]
    )
    talk.bring(frame.pack(frame.DESCRIPTION, 50, 10_000_000, newer) + b"\0")
    talk.samples(50, 10.0, 5)
    assert talk.values() == []
    talk.bring(described())
    talk.samples(55, 10.5, 5)
    assert talk.values() == [1.0] * 5 * ROWS


def test_a_description_of_more_than_a_line_can_bring_keeps_no_memory(talk):
    channels = tuple(frame.Channel("ecg_mv", str(at)) for at in range(32))
    body = frame.pack_description(frame.Description(100_000.0, channels))
    talk.bring(frame.pack(frame.DESCRIPTION, 50, 10_000_000, body) + b"\0")
    talk.samples(50, 10.0, 5)
    assert talk.values() == []
    assert "a line brings 65536 at most" in talk.errors[0]


def test_no_frame_is_made_of_two_halves_on_either_side_of_an_opening(talk):
    sent = frame.pack(frame.SAMPLES, 50, 10_000_000, np.full(ROWS, 1000, "<i2").tobytes()) + b"\0"
    talk.bring(sent[:30])
    talk.opened()
    talk.bring(sent[30:])
    assert talk.values() == []
    assert talk.errors == []  # we came in the middle
    talk.samples(51, 10.1, 3)
    assert talk.values() == [1.0] * 3 * ROWS


def test_a_description_that_changes_every_second_is_always_the_newest(talk):
    for second in range(30):
        gain = GAIN * (1 + second % 3)
        talk.bring(described(gain, 250.0 + second))
        talk.samples(50 + second * 10, 10.0 + second, 10)
        assert talk.values() == [pytest.approx(1000 / gain)] * 10 * ROWS
