import math

import pytest

from edge.bits import crc8
from edge.decoders import BrokenError, NotMineError
from edge.decoders.viatom import DECODER, LIVE_BYTES, MAX_CONTENT_BYTES, NOTIFY, POLL
from edge.records import Packet

WORN = "624200000000006100920a0100"  # published in o2r: 98 %, 66 bpm, battery 97 %


def answer(content: bytes, status: int = 0) -> bytes:
    head = bytes([0x55, status, status ^ 0xFF, 0, 0]) + len(content).to_bytes(2, "little")
    return head + content + bytes([crc8(head + content)])


def live(**changes: int) -> bytes:
    """Return a live answer; ``at_11=0`` changes byte 11 of its content."""
    content = bytearray.fromhex(WORN)
    for name, value in changes.items():
        content[int(name.removeprefix("at_"))] = value
    return answer(bytes(content))


class Ring:
    def __init__(self) -> None:
        self._decode = DECODER.open()

    def bring(self, *payloads: bytes) -> dict[str, float]:
        """Return the values of the last of these notifications."""
        found = ()
        for payload in payloads:
            found = self._decode(Packet("ring", NOTIFY, 5.0, payload))
        return {run.signal: float(run.values[0]) for run in found}


def read(payload: bytes) -> dict[str, float]:
    return Ring().bring(payload[:20], payload[20:])


def test_a_worn_ring_tells_all():
    assert read(live()) == pytest.approx(
        {
            "spo2_pct": 98.0,
            "pulse_bpm": 66.0,
            "pai_pct": 1.0,
            "movement_au": 146.0,
            "battery_pct": 97.0,
            "contact_flag": 1.0,
        }
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 20, 21, 23])
def test_an_answer_is_read_however_it_is_cut(size):
    whole = live()
    ring = Ring()
    assert ring.bring(*(whole[a : a + size] for a in range(0, len(whole), size)))["spo2_pct"] == 98


def test_an_answer_whose_crc_looks_like_a_beginning_is_read():
    # One byte is sent alone in the second notification, and 55 begins answers too.
    whole = next(one for n in range(256) if (one := live(at_9=n))[-1] == 0x55)
    assert read(whole)["spo2_pct"] == 98.0


@pytest.mark.parametrize("state", [0, 2, 3, 0xFF])
def test_a_ring_that_is_not_worn_says_nothing_of_the_patient(state):
    found = read(live(at_11=state))
    assert found["contact_flag"] == 0.0
    assert all(math.isnan(found[name]) for name in ("spo2_pct", "pulse_bpm", "pai_pct"))
    assert found["battery_pct"] == 97.0


def test_a_ring_that_is_finding_the_pulse_has_contact_and_no_values():
    found = read(live(at_0=0, at_1=0, at_10=0))
    assert found["contact_flag"] == 1.0
    assert all(math.isnan(found[name]) for name in ("spo2_pct", "pulse_bpm", "pai_pct"))


@pytest.mark.parametrize(
    ("at", "raw", "signal"),
    [
        (0, 101, "spo2_pct"),
        (0, 0xFF, "spo2_pct"),
        (1, 0xFF, "pulse_bpm"),
        (2, 0xFF, "pulse_bpm"),
        (2, 1, "pulse_bpm"),
        (7, 101, "battery_pct"),
    ],
)
def test_an_impossible_value_is_no_value_and_leaves_the_others(at, raw, signal):
    found = read(live(**{f"at_{at}": raw}))
    assert [name for name, value in found.items() if math.isnan(value)] == [signal]


def test_answers_to_other_commands_and_refusals_give_nothing():
    ring = Ring()
    assert ring.bring(answer(b'{"Model":"O2Ring"}')) == {}
    assert ring.bring(answer(b"", status=1)) == {}
    assert ring.bring(answer(bytes(LIVE_BYTES), status=1)) == {}
    assert ring.bring(answer(b"")) == {}
    assert ring.bring(live())["pulse_bpm"] == 66.0


def test_a_lost_end_is_broken_and_the_next_answer_is_read():
    ring = Ring()
    assert ring.bring(live()[:20]) == {}
    with pytest.raises(BrokenError, match="never came to its end"):
        ring.bring(live(at_0=90)[:20])
    assert ring.bring(live(at_0=90)[20:])["spo2_pct"] == 90.0


def test_a_lost_end_before_an_answer_in_one_piece_loses_nothing_else():
    ring = Ring()
    assert ring.bring(live()[:20]) == {}
    assert ring.bring(live(at_0=90))["spo2_pct"] == 90.0


def test_a_changed_byte_is_broken():
    for at in range(7, 21):
        raw = bytearray(live())
        raw[at] ^= 0x10
        with pytest.raises(BrokenError, match="CRC"):
            read(bytes(raw))


def test_a_claimed_length_beyond_all_answers_is_broken_at_once():
    head = bytes([0x55, 0, 0xFF, 0, 0]) + (MAX_CONTENT_BYTES + 1).to_bytes(2, "little")
    with pytest.raises(BrokenError, match="1025 of at most"):
        Ring().bring(head)


@pytest.mark.parametrize(
    "payload", ["", "A503FC01000000", "FEEF0A09ABAA", "AA17E8000000001B", "5500"]
)
def test_other_devices_with_these_uuids_are_not_mine(payload):
    raw = bytes.fromhex(payload)
    with pytest.raises(NotMineError):
        Ring().bring(raw, b"\x00")


def test_a_rest_without_its_beginning_is_broken_once_the_ring_is_known():
    ring = Ring()
    ring.bring(live())
    with pytest.raises(BrokenError, match="beginning"):
        ring.bring(live()[20:])


def test_the_poll_is_a_question_for_the_sensors_with_a_good_crc():
    assert POLL[-1] == crc8(POLL[:-1])
    (profile,) = DECODER.profiles
    assert profile.poll is not None
    assert profile.poll.payload == POLL
    assert 0 < profile.poll_s < profile.deadline_s / 3
