"""What is taken out of a text, and what is left so that a fault can be found."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from edge.alerts import Answer
from edge.control import Acknowledge, Tell
from edge.journal import Names, open_journal, scrubbed
from edge.journal.lines import BROKEN, printable_error, scrub_event
from edge.journal.traces import trace_text

NAME = "Zenobia Quux"


@pytest.fixture
def names() -> Names:
    names = Names()
    names.hide(NAME, "[patient 1]")
    return names


@pytest.fixture
def journal(names: Names) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    handlers, level = root.handlers[:], root.level
    out = io.StringIO()
    open_journal(out, names)
    yield out
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"{NAME} is gone", "[patient 1] is gone"),
        (f"patient={NAME.upper()!r}", "patient='[quoted]'"),
        ("no reply from AA:BB:CC:DD:EE:FF", "no reply from ..:EE:FF"),
        ("/org/bluez/hci0/dev_AA_BB_CC_DD_EE_FF", "/org/bluez/hci0/dev_.._EE_FF"),
        ("sensor A0B1C2D3E4F5 gone", "sensor ..E4F5 gone"),
        ("post https://a:b@ntfy.sh/topic-7f failed", "post [address] failed"),
        ("spo2 was 88 %, then 87.25", "spo2 was # %, then #"),
        ("hr=31.41592", "hr=#"),
        ("[Errno 28] No space left on device: '/var/x/homeward.db'",) * 2,
        ("/home/zenobia/data cannot be read", "~/data cannot be read"),
        (
            "/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00 is busy",
            "/dev/serial/by-id/..if00 is busy",
        ),
        ("BleakError('device 12 said \"Anna\"')", "BleakError(device # said '[quoted]')"),
        ('value "Anna\'s" is wrong', "value '[quoted]' is wrong"),
        ("it can't and won't",) * 2,
        ("ttyUSB0 hci0 0x1f utf-8",) * 2,
    ],
)
def test_a_text_keeps_what_failed_and_loses_whom(text: str, left: str, names: Names) -> None:
    assert scrubbed(text, names) == left


NAME_LIKE = st.text(min_size=4, max_size=30).filter(lambda name: len(name.strip()) >= 4)
"""Shorter ones are found as words of their own."""


@given(NAME_LIKE, st.text(max_size=20), st.text(max_size=20))
def test_a_known_name_is_found_whatever_stands_around_it(name: str, left: str, right: str) -> None:
    names = Names()
    names.hide(name, "[patient 1]")
    for text in (left + name + right, repr(left + name + right), ascii(left + name + right)):
        assert name.strip() not in scrubbed(text, names) or name.strip() in "[patient 1][quoted]#.."


def test_what_a_person_typed_into_a_request_is_hidden(names: Names) -> None:
    names.hear(Acknowledge("alert-1", "Maria Muster"))
    names.hear(Tell(Answer("hand_off", by="Jan", to="Nurse Ottilie")))
    told = scrubbed("jan asked Nurse Ottilie, not MARIA MUSTER; January is no name", names)
    assert told == "[typed] asked [typed], not [typed]; January is no name"


def test_a_short_name_does_not_eat_into_words() -> None:
    names = Names()
    names.hide("Al", "[patient 1]")
    assert scrubbed("Al cannot alarm", names) == "[patient 1] cannot alarm"


def test_a_word_of_the_program_is_no_name() -> None:
    names = Names()
    names.hide("simulated", "[source 1]")
    names.allow(["simulated"])
    assert scrubbed("simulated failed", names) == "simulated failed"


def fail(patient: str) -> None:
    hr_bpm = 31.41592
    raise ValueError(f"{patient} has {hr_bpm}")


def test_a_trace_says_where_and_not_with_what(names: Names) -> None:
    try:
        try:
            fail(NAME)
        except ValueError as error:
            raise RuntimeError("the step failed") from error
    except RuntimeError as error:
        told = trace_text(error, names)
    assert "in fail" in told
    assert "ValueError: [patient 1] has #" in told
    assert "RuntimeError: the step failed" in told
    assert "tests/edge/journal/test_scrubbed.py:" in told
    assert NAME not in told
    assert "31.4" not in told


def test_an_exception_that_cannot_be_told_is_told_by_its_name(names: Names) -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise KeyError(NAME)

    assert "[KeyError when it was to be told]" in trace_text(OddError(), names)


def test_libraries_take_the_same_way(journal: io.StringIO) -> None:
    logging.getLogger("bleak.backends").warning("%s at AA:BB:CC:DD:EE:FF sent %s", NAME, [88, 87])
    logging.getLogger("asyncio").info("not worth a line: %s", NAME)
    try:
        fail(NAME)
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    told = journal.getvalue()
    assert "library=bleak.backends" in told
    assert "[patient 1] at ..:EE:FF sent [#, #]" in told
    assert "ValueError: [patient 1] has #" in told
    assert NAME not in told
    assert "worth" not in told


def test_a_thread_that_ends_by_a_fault_says_so_without_names(journal: io.StringIO) -> None:
    thread = threading.Thread(target=fail, args=(NAME,))
    thread.start()
    thread.join()
    assert 'event="a thread ended by a fault"' in journal.getvalue()
    assert NAME not in journal.getvalue()


def test_an_exception_of_ours_is_told_where_it_is_logged(journal: io.StringIO) -> None:
    log = structlog.get_logger("monitor")
    try:
        fail(NAME)
    except ValueError:
        log.exception("cannot show", by=NAME, id="a1", vitals=88)
    told = journal.getvalue()
    assert "level=error" in told
    assert "id=a1" in told
    assert "vitals=[int]" in told
    assert 'by="[patient 1]"' in told
    assert "in fail" in told


def test_a_scrubber_that_fails_says_that_and_nothing_else() -> None:
    class BrokenNames(Names):
        def without(self, text: str) -> str:
            raise RuntimeError(text)

    told = scrub_event("monitor", "info", {"event": "x", "by": NAME}, BrokenNames())
    assert told["event"] == BROKEN
    assert NAME not in str(told)


def test_an_error_at_the_start_is_whole_for_people_and_scrubbed_for_the_journal() -> None:
    error = ValueError("[[patients]] id 'Anna' has 5 letters")
    assert printable_error(error, to_journal=False) == str(error)
    assert printable_error(error, to_journal=True) == "[[patients]] id '[quoted]' has 5 letters"
