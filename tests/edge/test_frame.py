import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import frame
from edge.frame import Answer, Channel, Code, Description, FrameError, Result, Status
from edge.records import UNITS
from tests.edge import reference_frame as reference

PACKET_MD = Path(__file__).parents[2] / "hardware" / "PACKET.md"
TWO_CHANNELS = (Channel("ecg_mv", "II", 0, 1000.0), Channel("resp_au", "", 0, 2.0, 100.0))
BOARD = Description(250.0, TWO_CHANNELS, "board", "1.0")

names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=31)
channels = st.lists(
    st.builds(
        Channel,
        signal=st.sampled_from(sorted(UNITS)).map(lambda unit: f"x_{unit}"),
        lead=names,
        number_type=st.sampled_from(sorted(frame.NUMBER_TYPES)),
        gain=st.floats(1e-6, 1e6) | st.floats(-1e6, -1e-6),
        baseline=st.floats(-1e6, 1e6),
    ),
    min_size=1,
    max_size=frame.MAX_CHANNELS,
    unique_by=lambda channel: (channel.signal, channel.lead),
)


def documented(heading: str) -> list[tuple[str, str]]:
    """Return the rows of the table under a heading of PACKET.md: first and last column."""
    section = PACKET_MD.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [re.findall(r"`([^`]*)`", line) for line in section.splitlines() if line[:1] == "|"]
    return [(found[0], found[-1]) for found in cells if len(found) >= 2]


@given(
    st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=600)
)
def test_a_frame_comes_back_and_another_maker_packs_the_same_bytes(kind, sequence, clock_us, body):
    packed = frame.pack(kind, sequence, clock_us, body)
    assert frame.unpack(packed) == frame.Frame(kind, sequence, clock_us, body)
    assert frame.unpack(reference.frame(kind, sequence, clock_us, body)).body == body
    assert 0 not in packed


def test_counters_wrap_when_packed():
    whole = frame.unpack(frame.pack(frame.SAMPLES, 65_536 + 5, (1 << 32) + 7, b""))
    assert (whole.sequence, whole.clock_us) == (5, 7)


@given(st.integers(0, 7 * 8 - 1), st.data())
def test_one_flipped_bit_is_found(bit, data):
    packed = bytearray(frame.pack(frame.SAMPLES, 300, 70_000, b"\x01\x02\x03\x04"))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= 1 << bit % 8
    with pytest.raises(FrameError):
        frame.unpack(bytes(packed))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "at least"),
        (b"\x05ab", "ends inside"),
        (frame.pack(1, 1, 1, b"abc") + b"\x00", "zero byte"),
        (frame.cobs_encode(b"\x01" * 9), "CRC"),
    ],
)
def test_what_is_no_frame_is_refused_with_the_reason(payload, reason):
    with pytest.raises(FrameError, match=reason):
        frame.unpack(payload)


@given(st.integers(1, 100_000_000), channels, names, names, st.booleans(), st.binary(max_size=8))
def test_a_description_comes_back_whatever_a_later_version_adds(
    fs_mhz, channels, device, firmware, host_clock, later
):
    said = Description(fs_mhz / 1000, tuple(channels), device, firmware, host_clock)
    body = frame.pack_description(said)
    assert frame.unpack_description(body + later) == said
    rows = [(c.number_type, c.gain, c.baseline, c.signal, c.lead) for c in channels]
    assert body == reference.description(fs_mhz, rows, device, firmware, int(host_clock))


def test_a_description_cut_anywhere_is_refused():
    body = frame.pack_description(BOARD)
    for n in range(len(body)):
        with pytest.raises(FrameError):
            frame.unpack_description(body[:n])


@pytest.mark.parametrize(
    ("fs_mhz", "rows", "reason"),
    [
        (0, [(0, 1.0, 0.0, "ecg_mv", "")], "rate"),
        (250_000, [], "channels"),
        (250_000, [(0, 1.0, 0.0, "ecg_mv", str(i)) for i in range(33)], "channels"),
        (250_000, [(0, 1.0, 0.0, "ecg_mv", "")] * 2, "twice"),
        (250_000, [(1, 1.0, 0.0, "ecg_mv", "")], "number type"),
        (250_000, [(0, 0.0, 0.0, "ecg_mv", "")], "scale"),
        (250_000, [(0, float("nan"), 0.0, "ecg_mv", "")], "scale"),
        (250_000, [(0, 1.0, float("inf"), "ecg_mv", "")], "scale"),
        (250_000, [(0, 1.0, 0.0, "ecg_volts", "")], "unit"),
    ],
)
def test_an_impossible_description_is_refused(fs_mhz, rows, reason):
    with pytest.raises(FrameError, match=reason):
        frame.unpack_description(reference.description(fs_mhz, rows))


def test_a_description_of_another_version_is_refused():
    body = bytearray(frame.pack_description(BOARD))
    body[0] = 2
    with pytest.raises(FrameError, match="version 2"):
        frame.unpack_description(bytes(body))


@pytest.mark.parametrize(
    "said",
    [
        Description(250.0, ()),
        Description(250.0, (Channel("ecg_volts"),)),
        Description(250.0, (Channel("ecg_mv", number_type=1),)),
        Description(250.0, TWO_CHANNELS, "x" * 32),
        Description(250.0, TWO_CHANNELS, "Gerät"),
    ],
)
def test_an_impossible_description_cannot_be_packed(said):
    with pytest.raises(ValueError, match=r".+"):
        frame.pack_description(said)


@pytest.mark.parametrize("status", [Status(0, 100), Status(5, 0), Status(255, None)])
def test_a_status_comes_back(status):
    assert frame.unpack_status(frame.pack_status(status) + b"later") == status
    with pytest.raises(FrameError, match="status frame"):
        frame.unpack_status(frame.pack_status(status)[:1])


def test_rows_come_back_in_every_number_type():
    mixed = tuple(Channel(f"x{i}_mv", number_type=kind) for i, kind in enumerate((0, 2, 3, 4)))
    rows = np.array([(-1, 2, 0.5, 1e300), (32767, -9, 1.5, -0.25)], frame.row_type(mixed))
    body = frame.pack_rows(rows)
    assert len(body) == 2 * (2 + 4 + 4 + 8)
    assert np.frombuffer(body, frame.row_type(mixed)).tolist() == rows.tolist()
    assert frame.row_type(TWO_CHANNELS).shape == (2,)


def test_the_documented_checks_of_the_crc_hold():
    rows = documented("Checking bytes: CRC")
    assert len(rows) >= 4
    for raw, crc in rows:
        assert f"{frame.crc16(bytes.fromhex(raw)):04X}" == crc
        assert f"{reference.crc16(bytes.fromhex(raw)):04X}" == crc


def test_the_documented_stuffings_hold():
    rows = documented("Framing: COBS")
    assert len(rows) >= 4
    for plain, stuffed in rows:
        assert frame.cobs_encode(bytes.fromhex(plain)).hex(" ").upper() == stuffed
        assert reference.cobs(bytes.fromhex(plain)).hex(" ").upper() == stuffed


def test_the_documented_frames_are_what_the_code_makes():
    rows = dict(documented("Whole frames to test against"))
    body = {
        "description": (1, 0, 1000, frame.pack_description(BOARD)),
        "status": (3, 0, 1000, frame.pack_status(Status(3, 88))),
        "samples": (2, 0, 1000, np.array([[1000, 100], [-500, -32768]], "<i2").tobytes()),
        "samples at the wrap": (2, 65_535, 0xFFFFFFFF, np.array([[0, 1]], "<i2").tobytes()),
    }
    commands = {"describe": (Code.DESCRIBE, 1), "rate": (Code.RATE, 7, 500.0)}
    answers = {
        "answer to describe": Answer(0, 1, Result.DONE, 250.0),
        "answer to rate": Answer(3, 7, Result.REFUSED, 250.0),
    }
    assert rows.keys() == body.keys() | commands.keys() | answers.keys()
    for name, parts in body.items():
        wanted = bytes.fromhex(rows[name])
        assert wanted == frame.pack(*parts) + b"\x00" == reference.frame(*parts) + b"\x00", name
    for name, (code, sequence, *fs_hz) in commands.items():
        wanted = bytes.fromhex(rows[name])
        rates_mhz = [round(rate * 1000) for rate in fs_hz]
        assert wanted == frame.command(code, sequence, *fs_hz), name
        assert wanted == reference.command(code, sequence, *rates_mhz), name
    for name, said in answers.items():
        wanted = bytes.fromhex(rows[name])
        raw = reference.answer(said.code, said.sequence, said.result, round(said.fs_hz * 1000))
        assert wanted == reference.frame(5, 0, 1000, raw) + b"\x00", name
        whole = frame.unpack(wanted[:-1])
        assert (whole.kind, whole.sequence, whole.clock_us) == (frame.ANSWER, 0, 1000)
        assert frame.unpack_answer(whole.body) == said, name


@given(st.sampled_from(Code), st.integers(0, 0xFFFF), st.integers(1, frame.MAX_RATE_MHZ))
def test_a_command_is_packed_as_another_maker_packs_it(code, sequence, rate_mhz):
    rate = rate_mhz if code is Code.RATE else None
    written = frame.command(code, sequence, None if rate is None else rate / 1000)
    assert written == reference.command(code, sequence, rate)
    assert len(written) <= 33  # 32 bytes of the frame, and the zero before it
    whole = frame.unpack(written[1:-1])
    assert (whole.kind, whole.sequence, whole.clock_us) == (frame.COMMAND, sequence, 0)


@pytest.mark.parametrize(
    ("code", "fs_hz"),
    [
        (Code.RATE, None),
        (Code.RATE, 0.0),
        (Code.RATE, -1.0),
        (Code.RATE, 1e5 + 1),
        (Code.STOP, 1.0),
    ],
)
def test_an_impossible_command_cannot_be_packed(code, fs_hz):
    with pytest.raises(ValueError, match="rate"):
        frame.command(code, 0, fs_hz)


@given(
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.integers(0, 255),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=8),
)
def test_an_answer_is_read_whatever_a_later_version_adds(code, sequence, result, rate_mhz, later):
    body = reference.answer(code, sequence, result, rate_mhz)
    said = frame.unpack_answer(body + later)
    assert said == Answer(code, sequence, result, rate_mhz / 1000)


def test_an_answer_cut_anywhere_is_refused():
    body = reference.answer(3, 7, 0, 250_000)
    for n in range(len(body)):
        with pytest.raises(FrameError, match="answer frame"):
            frame.unpack_answer(body[:n])
