"""Every log call of the tree: what it may print is listed, and nothing else comes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.journal.keys import ALWAYS, KEYS, Shown
from edge.journal.lines import scrub_event
from edge.journal.names import Names
from tests.edge.journal.log_calls import LogCall, log_calls

CALLS = log_calls()
NOT_LITERAL = {"edge/annunciators/_standing.py"}
"""Where an event is put together: from a word of the program."""
SPREAD = {"edge/store/keeping.py": {"n", "head"}}
"""Where fields come from a dictionary: which."""
SEVERAL = {"ble", "boxwatch"}
"""Loggers of several files, whose fields are listed together."""
SOON = {("monitor", "socket")}
"""Listed for parts that are on their way."""
NAME, VALUE, ADDRESS = "Zenobia Quux", 31.41592, "AA:BB:CC:DD:EE:FF"


def fields(call: LogCall) -> set[str]:
    spread = SPREAD.get(call.place.rpartition(":")[0], set()) if "**" in call.keys else set()
    return ({*call.keys} - {"**", "exc_info"}) | spread


def test_the_log_calls_of_the_tree_are_found() -> None:
    assert len(CALLS) > 90
    assert {"monitor", "ble", "notify", "recorder"} <= {call.logger for call in CALLS}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.place)
def test_every_field_is_listed_with_what_it_is_printed_as(call: LogCall) -> None:
    listed = {*ALWAYS, *KEYS.get(call.logger, {})}
    assert fields(call) <= listed, f"{call.place}: list these in edge/journal/keys.py"
    assert "**" not in call.keys or call.place.rpartition(":")[0] in SPREAD


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.place)
def test_every_event_is_a_sentence_of_the_program(call: LogCall) -> None:
    assert call.event is not None or call.place.rpartition(":")[0] in NOT_LITERAL


def test_no_field_is_listed_that_nobody_prints() -> None:
    printed = {(call.logger, key) for call in CALLS for key in fields(call)}
    loggers = {call.logger for call in CALLS} - SEVERAL
    extra = {(log, key) for log, keys in KEYS.items() if log in loggers for key in keys} - printed
    assert extra <= SOON


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.place)
def test_no_marker_comes_out_of_any_field(call: LogCall) -> None:
    names = Names()
    names.hide(NAME, "[patient 1]")
    for said in (NAME, f"failed for {NAME}: {VALUE} at {ADDRESS}", VALUE, ADDRESS, [NAME, VALUE]):
        event = {"event": call.event or "works", **dict.fromkeys(fields(call), said)}
        told = str(scrub_event(call.logger, call.method, event, names))
        assert NAME not in told, call.place
        assert ADDRESS not in told, call.place
        if not isinstance(said, float):
            assert str(VALUE) not in told, call.place


def test_a_number_is_printed_only_where_numbers_are_counts() -> None:
    names = Names()
    for logger, keys in KEYS.items():
        for key, kind in keys.items():
            told = scrub_event(logger, "info", {"event": "x", key: VALUE}, names)
            assert (str(VALUE) in str(told[key])) == (kind is Shown.NUMBER), (logger, key)


def test_a_control_without_the_scrubber_does_print_the_marker() -> None:
    assert NAME in str({"event": "x", "path": NAME})


@given(
    key=st.text("abcdefghijklmnop_", min_size=1, max_size=12),
    value=st.text(min_size=4, max_size=40) | st.floats() | st.lists(st.text(min_size=4)),
)
def test_what_is_listed_nowhere_is_never_printed(key: str, value: object) -> None:
    told = scrub_event("no such logger", "info", {"event": "x", f"q_{key}": value}, Names())
    assert told[f"q_{key}"].startswith("[")
    assert told[f"q_{key}"].endswith("]")
    length = f" of {len(value)}" if isinstance(value, str | list) else ""
    assert told[f"q_{key}"] == f"[{type(value).__name__}{length}]"
