"""C and Python make the same bytes of the same numbers, and read the same from the same bytes.

The C core runs with its memory accesses and overflows checked, so that what it is fed here also
shows that nothing on a line can bring it down.
"""

import subprocess

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import frame
from edge.records import UNITS
from tests.hardware import c_core
from tests.hardware import python_says as python

# The core is one process for all examples; it keeps nothing from line to line.
same = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
sequences, clocks = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
names = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"'))
singles = st.floats(width=32, allow_nan=False)
channels = st.lists(
    st.tuples(
        st.sampled_from(sorted(python.TYPES)),
        st.floats(2**-36, 2**36, width=32) | st.floats(-(2**36), -(2**-36), width=32),
        st.floats(width=32, allow_nan=False, allow_infinity=False),
        st.sampled_from(sorted(UNITS)).map(lambda unit: f"x_{unit}"),
        names.map(lambda name: name[:31]),
    ),
    min_size=1,
    max_size=frame.MAX_CHANNELS,
    unique_by=lambda channel: channel[3:],
)
# Zeros and full blocks are what stuffing is about; random bytes hold few of either.
stuffy = st.lists(
    st.binary(max_size=20)
    | st.integers(1, 300).map(lambda n: b"\x11" * n)
    | st.integers(1, 5).map(bytes)
    | st.sampled_from([b"\xff", b"\xfe", b"\x01"]),
    max_size=8,
).map(b"".join)


def both(core, question):
    """Return what C says to a line, which must be what Python says."""
    answer = core.says(question)
    assert answer == python.says(question), question
    return answer


def unpacked(line):
    return frame.unpack(bytes.fromhex(line)[:-1])


@same
@given(kind=st.integers(0, 255), sequence=sequences, clock_us=clocks, body=stuffy)
def test_any_frame(core, kind, sequence, clock_us, body):
    line = both(core, f"frame {kind} {sequence} {clock_us} {python.in_hex(body)}")
    if line != python.TOO_LONG:
        assert unpacked(line) == frame.Frame(kind, sequence, clock_us, body)


@same
@given(room=st.integers(0, 700), body=stuffy)
def test_a_frame_in_any_room_is_whole_or_refused(core, room, body):
    both(core, f"room {room} frame 2 1 2 {python.in_hex(body)}")


@same
@given(
    sequence=sequences,
    clock_us=clocks,
    rate_mhz=st.integers(1, frame.MAX_RATE_MHZ),
    device=names.map(lambda name: name[:31]),
    firmware=names.map(lambda name: name[:31]),
    channels=channels,
)
def test_any_description(core, sequence, clock_us, rate_mhz, device, firmware, channels):
    said = [
        f'{kind} {gain} {base} "{signal}" "{lead}"' for kind, gain, base, signal, lead in channels
    ]
    words = f'{rate_mhz} "{device}" "{firmware}" {" ".join(said)}'
    line = both(core, f"description {sequence} {clock_us} {words}")
    if line == python.TOO_LONG:
        return
    whole = unpacked(line)
    assert (whole.kind, whole.sequence, whole.clock_us) == (frame.DESCRIPTION, sequence, clock_us)
    read = frame.unpack_description(whole.body)
    assert (read.fs_hz, read.device, read.firmware) == (rate_mhz / 1000, device, firmware)
    assert not read.host_clock
    assert [(c.gain, c.baseline, c.signal, c.lead) for c in read.channels] == [
        channel[1:] for channel in channels
    ]


@same
@given(data=st.data(), sequence=sequences, clock_us=clocks)
def test_any_samples(core, data, sequence, clock_us):
    types = data.draw(st.lists(st.sampled_from(sorted(python.TYPES)), min_size=1, max_size=32))
    drawn = {
        "i16": st.integers(-32_767, 32_767) | st.just("none"),
        "i32": st.integers(-(2**31) + 1, 2**31 - 1) | st.just("none"),
        "f32": singles | st.just("none"),
    }
    rows = data.draw(st.lists(st.tuples(*(drawn[name] for name in types)), min_size=1, max_size=12))
    values = " / ".join(" ".join(map(str, row)) for row in rows)
    line = both(core, f"samples {sequence} {clock_us} {','.join(types)} {values}")
    if line == python.TOO_LONG:
        return
    described = tuple(frame.Channel("x_mv", number_type=python.TYPES[name]) for name in types)
    read = np.frombuffer(unpacked(line).body, frame.row_type(described)).tolist()
    for numbers, row in zip(read, rows, strict=True):
        for number, value in zip(numbers, row, strict=True):
            if value == "none":
                assert np.isnan(number) or number in {-(2**15), -(2**31)}
            else:
                assert number == value


@same
@given(
    sequence=sequences,
    clock_us=clocks,
    lead_off=st.integers(0, 255),
    battery=st.integers(0, 100) | st.just(255),
)
def test_any_status(core, sequence, clock_us, lead_off, battery):
    line = both(core, f"status {sequence} {clock_us} {lead_off} {battery}")
    said = frame.Status(lead_off, None if battery == 255 else battery)
    assert frame.unpack_status(unpacked(line).body) == said


@same
@given(
    sequence=sequences,
    clock_us=clocks,
    code=st.integers(0, 255),
    asked=sequences,
    result=st.integers(0, 255),
    rate_mhz=st.integers(0, 0xFFFFFFFF),
)
def test_any_answer(core, sequence, clock_us, code, asked, result, rate_mhz):
    line = both(core, f"answer {sequence} {clock_us} {code} {asked} {result} {rate_mhz}")
    read = frame.unpack_answer(unpacked(line).body)
    assert read == frame.Answer(code, asked, result, rate_mhz / 1000)


@same
@given(number=singles)
def test_any_float_becomes_the_double_that_is_the_same(core, number):
    both(core, f"float {number!r}")


@same
@given(
    code=st.sampled_from(frame.Code),
    sequence=sequences,
    rate_mhz=st.integers(1, frame.MAX_RATE_MHZ),
    before=st.binary(max_size=60),
)
def test_c_hears_any_command_python_writes_whatever_came_before(
    core, code, sequence, rate_mhz, before
):
    rate = rate_mhz if code is frame.Code.RATE else None
    written = frame.command(code, sequence, None if rate is None else rate / 1000)
    heard = both(core, f"take {python.in_hex(before + written)}")
    assert heard.split(" / ")[-1] == f"{code} {sequence} {rate or 0}"


@same
@given(
    commands=st.lists(
        st.tuples(st.sampled_from(frame.Code), sequences, st.binary(max_size=40)),
        min_size=1,
        max_size=4,
    ),
    at=st.integers(0, 200),
    flip=st.integers(0, 255),
)
def test_c_and_python_hear_the_same_in_damaged_commands(core, commands, at, flip):
    line = bytearray()
    for code, sequence, more in commands:
        body = bytes([code]) + more
        line += b"\0" + frame.pack(frame.COMMAND, sequence, 0, body) + b"\0"
    line[at % len(line)] ^= flip
    both(core, f"take {python.in_hex(bytes(line))}")


@same
@given(raw=st.binary(max_size=400) | stuffy)
def test_c_and_python_read_the_same_in_any_bytes(core, raw):
    said = python.in_hex(raw)
    both(core, f"crc {said}")
    both(core, f"unstuff {said}")
    both(core, f"take {said}")
    assert both(core, f"read {said}") == python.REFUSED or raw


@same
@given(body=stuffy, at=st.integers(0, 3000), flip=st.integers(0, 255))
def test_c_and_python_judge_a_damaged_frame_alike(core, body, at, flip):
    line = bytearray(frame.pack(frame.SAMPLES, 300, 70_000, body))
    line[at % len(line)] ^= flip
    both(core, f"read {python.in_hex(bytes(line))}")
    both(core, f"unstuff {python.in_hex(bytes(line))}")


@pytest.mark.parametrize(
    ("name", "sent"),
    [("x" * 32, "x" * 31), ("y" * 200, "y" * 31), ("Ger\xe4t", "Ger??t")],
)
def test_c_sends_of_a_name_what_a_description_can_hold(core, name, sent):
    line = core.says(f'description 0 0 250000 "{name}" "" i16 1 0 "ecg_mv" "{name}"')
    read = frame.unpack_description(unpacked(line).body)
    assert (read.device, read.channels[0].lead) == (sent, sent)


@pytest.mark.parametrize("seed", ["4", "5"])
def test_nothing_random_brings_the_c_core_down(seed, tmp_path):
    sources = (c_core.HERE / "core_random.c", *c_core.CORE)
    program = c_core.compiled(tmp_path / "core_random", sources, *c_core.SANITISED)
    done = subprocess.run(
        [program, "20000", seed], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "20000 rounds\n", "")
