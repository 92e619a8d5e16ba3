"""The list of what may leave: every field is reviewed, none can hold samples, nothing slips by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from edge.clock import TimeQuality
from edge.egress import EgressError
from edge.egress.alert import Stamped, alert_out, vitals_of
from edge.egress.allowed import ALLOWED, Content
from edge.egress.board import Board, notice_of, reason_out, sentences, urgent_first
from edge.egress.bounds import MAX_NOTICES, checked, cut, cut_lines
from edge.egress.messages import NoticeOut, notice_out
from edge.egress.schema import faults, table
from edge.egress.summary import CoverageOut, summary_out
from edge.records import Alert, AlertState, Kind, Meaning, Priority, Role, Step, Summary
from edge.summaries import VITALS

REVIEWED = Path(__file__).with_name("schema.txt")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WHEN = Stamped(NOON, NOON, TimeQuality.SYNCED)
MARK = "Zz31.41592"
"""Stands in everything that is not on the list: a sample's value and a name in one."""


def test_every_field_that_may_leave_is_under_review() -> None:
    assert table() == REVIEWED.read_text(), (
        "what may leave the box has changed: review it, then write the table of "
        "`homeward ledger --schema` into tests/edge/egress/schema.txt"
    )


@pytest.mark.parametrize("content", list(Content))
def test_no_kind_of_content_can_hold_samples_or_what_nobody_bounds(content: Content) -> None:
    assert faults(ALLOWED[content].struct) == []
    assert ALLOWED[content].words


class Sneaky(msgspec.Struct):
    """What must be found: controls of the test above."""

    wave: Annotated[tuple[float, ...], Meta(max_length=250, description="An ECG")]
    endless: Annotated[tuple[str, ...], Meta(description="As many as one likes")]
    anything: Annotated[Any, Meta(description="Whatever")]
    table: Annotated[dict[str, float], Meta(max_length=4, description="Names of one's own")]
    blob: Annotated[bytes, Meta(max_length=4, description="Bytes")]
    text: Annotated[str, Meta(description="A novel")]
    long: Annotated[str, Meta(max_length=100_000, description="A novel with an end")]
    number: Annotated[float, Meta(description="Any number")]
    silent: Annotated[int, Meta(ge=0)]
    rows: Annotated[tuple[CoverageOut, ...], Meta(max_length=250, description="An ECG, with names")]


def test_the_check_finds_samples_blobs_and_unbounded_texts() -> None:
    found = faults(Sneaky)
    for field in Sneaky.__struct_fields__:
        assert any(f"Sneaky.{field}" in fault for fault in found), (field, found)


def test_a_summary_describes_exactly_the_vital_signs_that_are_listed() -> None:
    assert set(VITALS) == set(vitals_of({}).__struct_fields__)


words = st.sampled_from([MARK, f"{MARK} said {MARK}", f"\x00{MARK}\n", "ecg_mv", "p10"])
numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(
    patient=st.sampled_from(["", MARK]),
    others=st.lists(words, min_size=3, max_size=3),
    evidence=st.dictionaries(words, numbers, max_size=5),
    answered=st.sampled_from(["", MARK]),
)
def test_whatever_an_alert_holds_only_what_is_listed_leaves(
    patient: str, others: list[str], evidence: dict[str, float], answered: str
) -> None:
    alert = Alert(
        *("id-1", patient, others[0], "low_spo2", Kind.PHYSIOLOGICAL, Priority.HIGH),
        *(AlertState.ACTIVE, 1.0, 2.0, f"SpO2 of {patient or 'the box'} is low", evidence),
        answered_by=answered,
        role=Role.CARER,
        meaning=Meaning.SEEN,
    )
    out = msgspec.json.encode(alert_out(alert, 1, "u-1", WHEN, pseudonym=lambda _: "hw-x")).decode()
    assert MARK not in out
    assert "31.41592" not in out
    told = notice_of(alert, Step.BOX, "", (NOON, NOON), details=True, pseudonym=lambda _: "hw-x")
    plain = msgspec.json.encode(msgspec.structs.replace(told, answered_by="")).decode()
    assert MARK not in plain
    assert told.answered_by == answered  # the one name that is on the list


@given(
    coverage=st.dictionaries(words, numbers, max_size=40),
    vitals=st.dictionaries(words, st.dictionaries(words, numbers, max_size=9), max_size=9),
)
def test_whatever_a_summary_holds_only_what_is_listed_leaves(
    coverage: dict[str, float], vitals: dict[str, dict[str, float]]
) -> None:
    whole = {"n": 3, "min": 1.0, "p10": 1.0, "p50": 2.0, "p90": 3.0, "max": 3.0, MARK: 31.41592}
    summary = Summary(MARK, 0.0, 60.0, coverage, {**vitals, "hr_bpm": whole}, 7, 0, 1, {})
    out = summary_out(summary, "u-2", WHEN, pseudonym=lambda _: "hw-x")
    text = msgspec.json.encode(out).decode()
    assert MARK not in text
    assert "31.41592" not in text
    assert [one.name for one in out.vitals] == ["hr_bpm"]


def test_a_vital_sign_out_of_its_range_does_not_leave() -> None:
    values = vitals_of({"hr_bpm": 31415.92, "spo2_pct": float("nan"), "temp_degc": 36.6})
    assert (values.hr_bpm, values.spo2_pct, values.temp_degc) == (None, None, 36.6)


def test_a_text_is_cut_to_its_bound_and_made_printable() -> None:
    assert cut("a" * 70, 64) == "a" * 63 + "…"
    assert cut("a\x1b[2Jb", 64) == "a [2Jb"
    assert cut_lines("a\nb\x00c", 64) == "a\nb c"
    assert len(cut_lines("x\n" * 9000, 4000)) <= 4000


def test_a_reason_names_its_patient_by_the_pseudonym_alone() -> None:
    alert = Alert(
        *("id", "mary.smith", "e", "low_spo2", Kind.TECHNICAL, Priority.LOW, AlertState.RAISED),
        *(0.0, 0.0, "the strap of mary.smith is silent", {}),
    )
    assert reason_out(alert, lambda _: "hw-1") == "the strap of hw-1 is silent"


def test_a_notice_leaves_within_its_bounds_or_not_at_all() -> None:
    told = notice_out("hw1", "alarm", Priority.HIGH, "t" * 999, "x" * 9999, {"seen": "w0rd"})
    assert isinstance(told, NoticeOut)
    assert (len(told.title), len(told.text), told.tokens) == (250, 4000, {"seen": "w0rd"})
    with pytest.raises(EgressError, match="not keep to the list") as refused:
        notice_out("hw1", "alarm", Priority.HIGH, "t", "x", {"self-destruct": MARK})
    assert MARK not in str(refused.value)
    with pytest.raises(EgressError):
        checked(NoticeOut("no id!", "alarm", Priority.HIGH, "", ""))


def test_a_board_keeps_to_its_bounds_and_the_most_urgent_alerts_stay() -> None:
    def told(n: int, priority: Priority) -> Any:
        alert = Alert(
            *(f"id-{n}", "p", "e", "r" * 300, Kind.TECHNICAL, priority, AlertState.RAISED),
            *(0.0, 0.0, "reason " * 300, {}),
            answered_by="a" * 300,
        )
        return notice_of(alert, Step.BOX, "t" * 300, (NOON, NOON), details=True)

    many = [told(n, Priority.LOW) for n in range(MAX_NOTICES + 9)] + [told(-1, Priority.HIGH)]
    board = Board(
        *(1, "run", "boot", "box", 1.0, 1.0, None, True, sentences(["s" * 999] * 99)),
        standing=urgent_first(many),
    )
    assert checked(board).standing[0].id == "id--1"
    assert len(board.standing) == MAX_NOTICES
