"""Every line of ``hardware/common/vectors.txt`` holds in C and in Python."""

import re
import subprocess

import numpy as np
import pytest

from edge import frame
from tests.hardware import c_core
from tests.hardware import python_says as python

CASES = python.cases()
WRITTEN = {"description", "samples", "status", "answer", "frame"}


def asked(kind):
    return [(question, answer) for question, answer in CASES if python.words(question)[0] == kind]


def unpacked(line):
    raw = python.octets(line.split())
    assert raw[-1] == 0
    return frame.unpack(raw[:-1])


def test_the_vectors_cover_every_kind_of_line_and_are_not_few():
    kinds = {python.words(question)[0] for question, _ in CASES}
    assert kinds == WRITTEN | {"crc", "unstuff", "float", "read", "take", "room"}
    assert len(CASES) >= 170
    assert len({question for question, _ in CASES}) == len(CASES)
    for refusal in (python.TOO_LONG, python.REFUSED, python.NOTHING):
        assert sum(answer == refusal for _, answer in CASES) >= 5


@pytest.mark.parametrize("kind", sorted(WRITTEN | {"crc", "unstuff", "float", "read", "take"}))
def test_python_makes_what_the_vectors_say(kind):
    for question, answer in asked(kind):
        assert python.says(question) == python.in_full(answer), question


def test_python_says_what_does_not_fit_its_room():
    for question, answer in asked("room"):
        assert python.says(question) == python.in_full(answer), question


def test_the_c_core_makes_what_the_vectors_say(core):
    for question, answer in CASES:
        assert core.says(question) == python.in_full(answer), question


@pytest.mark.parametrize("flags", [("-O2",), ("-Os", "-funsigned-char"), c_core.SANITISED])
def test_the_c_program_that_reads_the_vectors_itself_finds_nothing_wrong(flags, tmp_path):
    sources = (*c_core.SAYS, *c_core.CORE)
    program = c_core.compiled(tmp_path / "core_says", sources, *flags)
    done = subprocess.run(
        [program, "--check", python.VECTORS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout.endswith(f"\n{len(CASES)} vectors, 0 wrong\n")


def test_a_wrong_vector_is_found_by_the_c_program(core, tmp_path):
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("# one of two\ncrc 00 = E1F0\ncrc 00 = E1F1\n")
    done = subprocess.run(
        [core.program, "--check", wrong], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "wanted E1F1\n  made   E1F0\n2 vectors, 1 wrong" in done.stdout


def test_python_reads_every_frame_of_the_vectors():
    n_read = 0
    for question, answer in CASES:
        kind, *said = python.words(question)
        if kind not in WRITTEN or answer == python.TOO_LONG:
            continue
        whole = unpacked(python.in_full(answer))
        at = 1 if kind == "frame" else 0
        assert (whole.sequence, whole.clock_us) == (int(said[at]), int(said[at + 1])), question
        n_read += 1
    assert n_read >= 60


def test_python_reads_the_descriptions_of_the_vectors_as_they_were_said():
    for question, answer in asked("description"):
        if answer != python.TOO_LONG:
            said = python.description(python.words(question)[3:])
            assert frame.unpack_description(unpacked(python.in_full(answer)).body) == said


def test_python_reads_the_samples_of_the_vectors_as_they_were_said():
    for question, answer in asked("samples"):
        _, _, _, types, *values = python.words(question)
        channels = tuple(
            frame.Channel(f"x{i}_mv", number_type=python.TYPES[name])
            for i, name in enumerate(types.split(","))
        )
        row = frame.row_type(channels)
        rows = np.frombuffer(unpacked(python.in_full(answer)).body, row)
        flat = [number for numbers in rows.tolist() for number in numbers]
        wanted = [value for value in values if value != "/"]
        assert len(flat) == len(wanted)
        for number, text in zip(flat, wanted, strict=True):
            if text == "none":
                assert np.isnan(number) or number in {-32_768, -2_147_483_648}
            else:
                assert number == np.float32(text) or number == int(float(text)), question


def test_python_reads_the_answers_of_the_vectors_as_they_were_said():
    for question, answer in asked("answer"):
        code, sequence, result, rate_mhz = map(int, python.words(question)[3:])
        said = frame.unpack_answer(unpacked(python.in_full(answer)).body)
        assert said == frame.Answer(code, sequence, result, rate_mhz / 1000)


def test_python_reads_the_status_of_the_vectors_as_it_was_said():
    for question, answer in asked("status"):
        lead_off, battery = map(int, python.words(question)[3:])
        said = frame.unpack_status(unpacked(python.in_full(answer)).body)
        assert said == frame.Status(lead_off, None if battery == 255 else battery)


def test_python_writes_the_commands_of_the_vectors():
    questions = {question for question, _ in asked("take")}
    for code, sequence, fs_hz in [
        (frame.Code.DESCRIBE, 0, None),
        (frame.Code.START, 1, None),
        (frame.Code.STOP, 65_535, None),
        (frame.Code.RATE, 256, 250.0),
        (frame.Code.RATE, 2, 0.001),
        (frame.Code.RATE, 3, 100_000.0),
        # Which are a little less than 1,001 and 1,009 when they are multiplied.
        (frame.Code.RATE, 4, 1.001),
        (frame.Code.RATE, 5, 1.009),
    ]:
        assert f"take {python.in_hex(frame.command(code, sequence, fs_hz))}" in questions


def test_the_frames_on_the_page_are_among_the_vectors():
    page = (c_core.ROOT / "hardware" / "PACKET.md").read_text()
    table = page.split("## Whole frames to test against\n")[1]
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", table, re.MULTILINE)
    assert len(rows) >= 8
    known = {python.in_full(answer) for _, answer in CASES}
    known |= {question.removeprefix("take ") for question, _ in asked("take")}
    for name, line in rows:
        assert line in known, name
