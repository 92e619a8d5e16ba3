"""What a board does over time: ``hw_board.c``, heard as the monitor hears it."""

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import frame
from edge.decoders.homeward_serial import DECODER
from edge.frame import Answer, Code, Result
from edge.records import Packet
from tests.hardware import python_says as python

TWO = 'i16 1000 0 "ecg_mv" "II" i16 2 100 "resp_au" ""'
DESCRIBED = [frame.DESCRIPTION, frame.STATUS]
STEP_US = 4_000  # 250 Hz
WRAP = frame.CLOCK_WRAP


def begin(clock_us=0, rows_a_frame=5, rates="-", channels=TWO):
    return f'begin {clock_us} {rows_a_frame} {rates} 250000 "board" "1.0" {channels}'


def row(at, clock_us=None):
    return f"row {at * STEP_US if clock_us is None else clock_us} {at} {-at}"


def hears(clock_us, *commands):
    return f"hears {clock_us} {python.in_hex(b''.join(commands))}"


def frames(answer):
    """Return the frames a board wrote at one line of its life."""
    if answer == "-":
        return []
    pieces = bytes.fromhex(answer).split(b"\0")
    assert pieces[-1] == b"", "a frame has not ended"
    return [frame.unpack(piece) for piece in pieces if piece]


def live(core, *lines):
    """Return what the board wrote at each line of its life."""
    return [frames(answer) for answer in core.says_all(lines)]


def together(answers):
    return [whole for said in answers for whole in said]


def kinds(said):
    return [whole.kind for whole in said]


def counts(whole):
    return np.frombuffer(whole.body, "<i2").reshape(-1, 2).tolist()


def answered(whole):
    assert whole.kind == frame.ANSWER
    return frame.unpack_answer(whole.body)


def test_a_board_begins_with_a_zero_its_description_and_its_status(core):
    (answer,) = core.says_all([begin(clock_us=77)])
    assert answer.startswith("00 ")
    said = frames(answer)
    assert [(whole.kind, whole.sequence, whole.clock_us) for whole in said] == [
        (frame.DESCRIPTION, 0, 77),
        (frame.STATUS, 0, 77),
    ]
    described = frame.unpack_description(said[0].body)
    assert (described.fs_hz, described.device, described.firmware) == (250.0, "board", "1.0")
    assert frame.unpack_status(said[1].body) == frame.Status(0, None)


def test_rows_are_sent_when_a_frame_is_full_with_the_time_of_the_first(core):
    said = live(core, begin(rows_a_frame=3), *(row(at) for at in range(7)))[1:]
    assert said[:2] == [[], []]
    (first,), (second,) = said[2], said[5]
    assert (first.sequence, first.clock_us, counts(first)) == (0, 0, [[0, 0], [1, -1], [2, -2]])
    assert (second.sequence, second.clock_us) == (1, 3 * STEP_US)
    assert said[6] == []


@pytest.mark.parametrize("start_us", [0, 123_456, WRAP - 25_000_000, WRAP - 1])
def test_a_minute_is_read_without_an_error_and_described_every_ten_seconds(core, start_us):
    n_rows = 60 * 250
    lines = [begin(clock_us=start_us)]
    for at in range(n_rows):
        clock_us = (start_us + at * STEP_US) % WRAP
        lines += [f"row {clock_us} {at} {-at}", f"idle {clock_us}"]
    said = together(live(core, *lines))
    described = [whole.clock_us for whole in said if whole.kind == frame.DESCRIPTION]
    assert described == [(start_us + n * 10_000_000) % WRAP for n in range(6)]
    assert kinds(said).count(frame.STATUS) == 6

    # Frame by frame, as a line that is cut at its zeros brings them.
    decode = DECODER.open()
    found = []
    for whole in said:
        payload = frame.pack(whole.kind, whole.sequence, whole.clock_us, whole.body)
        found += decode(Packet("board", frame.STREAM, 1.0, payload))
    ecg = [samples for samples in found if samples.signal == "ecg_mv"]
    wanted = np.arange(n_rows, dtype=np.float32) / np.float32(1000.0)
    assert np.array_equal(np.concatenate([samples.values for samples in ecg]), wanted)
    assert [samples.stamp.sequence for samples in ecg] == list(range(n_rows // 5))
    moved = np.diff([samples.stamp.ticks for samples in ecg]) % WRAP
    assert set(moved.tolist()) == {5 * STEP_US}

    # Joined, they are one stretch between a description and the next.
    packed = [frame.pack(w.kind, w.sequence, w.clock_us, w.body) for w in said]
    batch = DECODER.open_batch()([Packet("board", frame.STREAM, 1.0, raw) for raw in packed])
    assert not batch.errors
    assert sum(samples.signal == "ecg_mv" for samples, _ in batch.found) == 6


def test_the_sequence_number_wraps(core):
    lines = [begin(rows_a_frame=1), *(f"row {at} 1 2" for at in range(65_538))]
    said = together(live(core, *lines))[2:]
    assert [whole.sequence for whole in said] == [at % 65_536 for at in range(65_538)]


def test_a_missed_sample_ends_the_frame_and_skips_one_number_however_many_were_missed(core):
    missed = ["missed"] * 3
    said = live(core, begin(), row(0), row(1), *missed, *(row(at) for at in range(5, 10)))
    (cut,) = said[3]
    assert (cut.sequence, counts(cut)) == (0, [[0, 0], [1, -1]])
    assert said[4:6] == [[], []]
    (after,) = said[-1]
    assert (after.sequence, after.clock_us, len(counts(after))) == (2, 5 * STEP_US, 5)


def test_every_hole_skips_a_number_of_its_own(core):
    said = live(core, begin(rows_a_frame=1), row(0), "missed", row(3), "missed", row(5), row(6))
    assert [whole.sequence for whole in together(said)[2:]] == [0, 2, 4, 5]


def test_samples_missed_while_stopped_are_none(core):
    stop, start = frame.command(Code.STOP), frame.command(Code.START)
    lines = [begin(rows_a_frame=1), row(0), hears(1, stop), "missed", hears(2, start), row(1)]
    said = live(core, *lines)
    assert said[3] == []
    assert [whole.sequence for whole in said[5]] == [1]


def test_a_change_of_electrodes_is_said_at_once_and_harms_no_begun_frame(core):
    lines = [
        begin(),
        row(0),
        row(1),
        "electrodes 7000 1 90",
        "electrodes 7100 1 90",
        "electrodes 7200 1 89",
    ]
    said = live(core, *lines, row(2), row(3), row(4))
    (off,), again, (battery,) = said[3], said[4], said[5]
    assert (off.kind, off.sequence, off.clock_us) == (frame.STATUS, 0, 7000)
    assert frame.unpack_status(off.body) == frame.Status(1, 90)
    assert again == []
    assert frame.unpack_status(battery.body) == frame.Status(1, 89)
    (samples,) = said[-1]
    assert (samples.clock_us, counts(samples)[4]) == (0, [4, -4])


def test_what_the_electrodes_are_is_repeated_with_every_description(core):
    said = live(
        core, begin(), "electrodes 5 3 255", "idle 9999999", "idle 10000000", "describe 10000001"
    )
    assert said[2] == []
    for both in said[3:]:
        assert kinds(both) == DESCRIBED
        assert frame.unpack_status(both[1].body) == frame.Status(3, None)


def test_a_description_that_was_asked_for_puts_off_the_next(core):
    said = live(core, begin(), "describe 4000000", "idle 13999999", "idle 14000000")
    assert [kinds(some) for some in said[1:]] == [DESCRIBED, [], DESCRIBED]


def test_describe_is_answered_first_and_leaves_the_begun_frame_alone(core):
    lines = [begin(), row(0), hears(999, frame.command(Code.DESCRIBE, 500))]
    said = live(core, *lines, *(row(at) for at in range(1, 5)))
    assert kinds(said[2]) == [frame.ANSWER, *DESCRIBED]
    assert (said[2][0].sequence, said[2][0].clock_us) == (0, 999)
    assert answered(said[2][0]) == Answer(Code.DESCRIBE, 500, Result.DONE, 250.0)
    assert len(counts(said[-1][0])) == 5


def test_stop_sends_what_has_begun_and_start_goes_on_counting(core):
    said = live(
        core,
        begin(rows_a_frame=2),
        *(row(at) for at in range(3)),
        hears(12_000, frame.command(Code.STOP, 1)),
        *(row(at) for at in range(3, 9)),
        "idle 10000000",
        hears(10_000_001, frame.command(Code.DESCRIBE, 2)),
        "electrodes 10000002 1 50",
        hears(10_000_003, frame.command(Code.STOP, 3)),
        hears(10_000_004, frame.command(Code.START, 4)),
        row(0, 10_004_000),
        row(1, 10_008_000),
    )
    stop, stopped, idle, asked, electrodes, again, start, _, last = (
        said[4],
        together(said[5:11]),
        *said[11:],
    )
    assert kinds(stop) == [frame.ANSWER, frame.SAMPLES]
    assert answered(stop[0]) == Answer(Code.STOP, 1, Result.DONE, 0.0)
    assert counts(stop[1]) == [[2, -2]]
    assert stopped == []
    assert kinds(idle) == DESCRIBED
    assert answered(asked[0]) == Answer(Code.DESCRIBE, 2, Result.DONE, 0.0)
    assert kinds(electrodes) == [frame.STATUS]
    assert [answered(whole).fs_hz for whole in again] == [0.0]
    assert kinds(start) == [frame.ANSWER, *DESCRIBED]
    assert answered(start[0]) == Answer(Code.START, 4, Result.DONE, 250.0)
    assert [(whole.sequence, whole.clock_us) for whole in last] == [(2, 10_004_000)]


def test_a_rate_the_board_has_holds_from_the_next_frame_on(core):
    said = live(
        core,
        begin(rates="125000,250000"),
        row(0),
        hears(4000, frame.command(Code.RATE, 9, 125.0)),
        *(row(at) for at in range(1, 6)),
    )
    assert kinds(said[2]) == [frame.ANSWER, frame.SAMPLES, *DESCRIBED]
    assert answered(said[2][0]) == Answer(Code.RATE, 9, Result.DONE, 125.0)
    assert counts(said[2][1]) == [[0, 0]]
    assert frame.unpack_description(said[2][2].body).fs_hz == 125.0
    assert [whole.sequence for whole in said[-1]] == [1]


@pytest.mark.parametrize(
    ("rates", "asked_hz", "result", "fs_hz"),
    [
        ("-", 250.0, Result.DONE, 250.0),
        ("-", 125.0, Result.REFUSED, 250.0),
        ("125000,250000", 250.0, Result.DONE, 250.0),
        ("125000,250000", 125.001, Result.REFUSED, 250.0),
    ],
)
def test_a_rate_is_refused_unless_it_can_be_kept_exactly(core, rates, asked_hz, result, fs_hz):
    said = live(core, begin(rates=rates), row(0), hears(5, frame.command(Code.RATE, 1, asked_hz)))[
        2
    ]
    assert answered(said[0]) == Answer(Code.RATE, 1, result, fs_hz)
    after = [frame.ANSWER, frame.SAMPLES, *DESCRIBED] if result is Result.DONE else [frame.ANSWER]
    assert kinds(said) == after


def test_a_rate_does_not_start_a_board_that_was_stopped(core):
    said = live(
        core,
        begin(rows_a_frame=1, rates="125000"),
        hears(1, frame.command(Code.STOP, 1), frame.command(Code.RATE, 2, 125.0)),
        row(1),
        hears(9, frame.command(Code.START, 3)),
        row(2),
    )
    assert kinds(said[1]) == [frame.ANSWER, frame.ANSWER, *DESCRIBED]
    assert answered(said[1][1]) == Answer(Code.RATE, 2, Result.DONE, 0.0)
    assert said[2] == []
    assert answered(said[3][0]).fs_hz == 125.0
    assert kinds(said[4]) == [frame.SAMPLES]


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"\x09", Result.UNKNOWN),
        (b"\xff\x01\x02", Result.UNKNOWN),
        (b"\x03", Result.REFUSED),
        (b"\x03\x90\xd0\x03", Result.REFUSED),
        (b"\x03\x00\x00\x00\x00", Result.REFUSED),
    ],
)
def test_what_the_board_cannot_do_is_answered_and_changes_nothing(core, body, result):
    packed = b"\0" + frame.pack(frame.COMMAND, 3, 0, body) + b"\0"
    (said,) = live(core, begin(rates="250000"), hears(1, packed))[1:]
    assert [answered(whole) for whole in said] == [Answer(body[0], 3, result, 250.0)]


@pytest.mark.parametrize(
    "heard",
    [
        frame.command(Code.STOP)[:-1],
        bytes([*frame.command(Code.STOP)[:5], 0x55, *frame.command(Code.STOP)[6:]]),
        b"\0" + frame.pack(frame.STATUS, 0, 0, b"\x01\x02") + b"\0",
        b"\0" + frame.pack(frame.COMMAND, 0, 0, b"") + b"\0",
        b"\0" + frame.pack(frame.COMMAND, 0, 0, b"\x02" + b"\x01" * 40) + b"\0",
        b"\0\0\0",
    ],
)
def test_what_is_no_command_is_passed_over_in_silence(core, heard):
    said = live(core, begin(rows_a_frame=1), hears(1, heard), row(1))
    assert said[1] == []
    assert kinds(said[2]) == [frame.SAMPLES]


def test_a_command_that_comes_byte_by_byte_between_rows_is_heard(core):
    lines = [begin(rows_a_frame=4)]
    for at, byte in enumerate(frame.command(Code.DESCRIBE, 8)):
        lines += [row(at), f"hears {at * STEP_US} {byte:02X}"]
    said = together(live(core, *lines))[2:]
    assert [answered(whole).sequence for whole in said if whole.kind == frame.ANSWER] == [8]
    samples = [whole.sequence for whole in said if whole.kind == frame.SAMPLES]
    assert samples == list(range(len(samples)))
    assert len(samples) >= 3


def test_a_frame_that_does_not_fit_is_counted_and_shows_as_a_hole(core):
    lines = [begin(rows_a_frame=60), *(row(at) for at in range(61)), "missed", "lost"]
    *said, lost = core.says_all(lines)
    assert lost == "1"
    (after,) = frames(said[-1])
    assert (after.sequence, after.clock_us) == (1, 60 * STEP_US)
    assert all(answer == "-" for answer in said[1:-1])


def test_a_description_that_does_not_fit_is_counted_and_the_status_still_sent(core):
    names = " ".join(f'i16 1 0 "x_au" "{at}"' for at in range(32))
    answer, lost = core.says_all([begin(channels=names), "lost"])
    assert (kinds(frames(answer)), lost) == ([frame.STATUS], "1")


@pytest.mark.parametrize(
    ("kind", "form", "handed", "sent"),
    [
        ("i16", "<h", "32767 32768 2147483647", [32767] * 3),
        ("i16", "<h", "-32767 -32768 -2147483647", [-32767] * 3),
        ("i16", "<h", "0 -1 none", [0, -1, -32768]),
        ("i32", "<i", "2147483647 -2147483647 none", [2**31 - 1, -(2**31) + 1, -(2**31)]),
        ("f32", "<f", "16777216 -3 0", [16777216.0, -3.0, 0.0]),
    ],
)
def test_a_count_beyond_the_number_type_is_sent_as_its_largest(core, kind, form, handed, sent):
    channel = f'{kind} 1 0 "ecg_mv" ""'
    rows = [f"row {at} {count}" for at, count in enumerate(handed.split())]
    (whole,) = live(core, begin(rows_a_frame=3, channels=channel), *rows)[-1]
    assert [number for (number,) in struct.iter_unpack(form, whole.body)] == sent


def test_no_value_of_a_float_is_not_a_number(core):
    (whole,) = live(core, begin(rows_a_frame=1, channels='f32 1 0 "ecg_mv" ""'), "row 0 none")[-1]
    assert np.isnan(np.frombuffer(whole.body, "<f4")).all()


events = st.lists(
    st.sampled_from(["row"] * 12 + ["missed", "idle", "describe"])
    | st.builds(lambda bits, pct: f"electrodes {bits} {pct}", st.integers(0, 3), st.integers(0, 2))
    | st.tuples(st.sampled_from(Code), st.integers(0, 0xFFFF))
    | st.binary(max_size=40),
    max_size=120,
)


def check_a_life(said, handed, skips, rows_a_frame):
    """Check that every row that was handed over came, and no number was skipped without cause."""
    sent, expected = [], 0
    for whole in said:
        if whole.sequence != expected:
            # Rows are missing only where the board was told so.
            assert len(sent) in skips
            expected += 1
        assert whole.sequence == expected
        if whole.kind == frame.SAMPLES:
            assert whole.clock_us == handed[len(sent)][0]
            assert 1 <= len(counts(whole)) <= rows_a_frame
            sent += counts(whole)
            expected += 1
    assert sent == [numbers for _, numbers in handed]


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    events=events, rows_a_frame=st.integers(1, 12), clock_us=st.integers(WRAP - 500_000, WRAP - 1)
)
def test_whatever_happens_no_row_is_lost_doubled_or_out_of_order(
    core, events, rows_a_frame, clock_us
):
    handed, stopped, n_commands, skips = [], False, 0, set()
    said = frames(core.says(begin(clock_us, rows_a_frame)))
    for at, event in enumerate(events):
        clock_us = (clock_us + STEP_US) % WRAP
        if event == "row":
            said += frames(core.says(f"row {clock_us} {at} {-at}"))
            handed += [] if stopped else [(clock_us, [at, -at])]
        elif isinstance(event, bytes):
            said += frames(core.says(hears(clock_us, event)))
        elif isinstance(event, tuple):
            code, sequence = event
            command = frame.command(code, sequence, 250.0 if code is Code.RATE else None)
            answer, *rest = frames(core.says(hears(clock_us, command)))
            said += [answer, *rest]
            n_commands += 1
            stopped = code is Code.STOP or (stopped and code is not Code.START)
            assert answered(answer) == Answer(code, sequence, Result.DONE, 250.0 * (not stopped))
        elif event.startswith("electrodes"):
            said += frames(core.says(event.replace(" ", f" {clock_us} ", 1)))
        else:
            if event == "missed" and not stopped:
                skips.add(len(handed))
            said += frames(core.says(f"{event} {clock_us}"))
    said += frames(core.says(hears(clock_us, b"\0" + frame.command(Code.STOP))))
    n_commands += 1
    check_a_life(said, handed, skips, rows_a_frame)
    assert kinds(said).count(frame.ANSWER) == n_commands
