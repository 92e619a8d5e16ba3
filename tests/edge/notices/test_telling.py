"""Who is told what: by what stands, whoever was away, and never twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import TimeQuality
from edge.config import Notice
from edge.control.board import AlertNotice, Board
from edge.notices.channels.ntfy import Settings
from edge.notices.content import Item
from edge.notices.telling import Teller, Told, in_quiet_hours
from edge.notices.waiting import Waiting
from edge.records import AlertState, Kind, Meaning, Priority, Role, Step

NOW = datetime(2026, 11, 22, 2, 20, tzinfo=UTC)
DAY = 12 * 60.0
NIGHT = 2 * 60.0


def way(name: str = "anna", **more: Any) -> Notice:
    return Notice(channel="ntfy", name=name, url_file="x", settings=Settings(), **more)


def alert(**more: Any) -> AlertNotice:
    known: dict[str, Any] = {
        "id": "a1",
        "patient": "patient-1",
        "words": "very low SpO2",
        "kind": Kind.PHYSIOLOGICAL,
        "priority": Priority.HIGH,
        "state": AlertState.RAISED,
        "since_utc": NOW - timedelta(minutes=6),
        "at_utc": NOW,
        "step": Step.FIRST_CARER,
        "reason": "SpO2 80 % below 85 % for 10 s",
    }
    return AlertNotice(**{**known, **more})


def board(*standing: AlertNotice, ended: tuple[AlertNotice, ...] = (), **more: Any) -> Board:
    known: dict[str, Any] = {
        "change": 1,
        "run_id": "run",
        "boot_id": "boot",
        "box": "bedroom",
        "tick_s": 100.0,
        "now_s": 100.0,
        "time_quality": TimeQuality.SYNCED,
        "ready": True,
    }
    return Board(**{**known, "standing": standing, "ended": ended, **more})


def told(
    teller: Teller, seen: Board, minute: float | None = DAY
) -> list[tuple[str, str, Priority]]:
    return [(name, item.title, item.priority) for name, item in teller.look(seen, NOW, minute)]


def texts(teller: Teller, seen: Board) -> list[str]:
    return [item.text for _, item in teller.look(seen, NOW, DAY)]


FIRST, SECOND = way("anna"), way("bob", who=("second_carer",))


def test_nobody_is_told_before_it_is_carried_to_them_and_each_only_once() -> None:
    teller = Teller([FIRST, SECOND])
    assert told(teller, board(alert(step=Step.PAGE))) == []
    high = ("HIGH alarm: very low SpO2", Priority.HIGH)
    assert told(teller, board(alert())) == [("anna", *high)]
    assert told(teller, board(alert())) == []
    assert told(teller, board(alert(step=Step.SECOND_CARER))) == [("bob", *high)]
    assert told(teller, board(alert(step=Step.SECOND_CARER))) == []


def test_a_notice_says_who_what_and_since_when_and_no_value() -> None:
    (text,) = texts(Teller([FIRST]), board(alert()))
    assert text == "patient-1 at bedroom, since 02:14. Nobody has answered yet."
    (text,) = texts(Teller([way(details=True)]), board(alert()))
    assert text.endswith("Nobody has answered yet. SpO2 80 % below 85 % for 10 s")


def test_a_time_that_is_not_certain_says_so_and_an_older_one_has_its_day() -> None:
    unset = board(alert(), time_quality=TimeQuality.UNSYNCED)
    assert "02:14 (clock not set)" in texts(Teller([FIRST]), unset)[0]
    old = alert(since_utc=NOW - timedelta(days=1))
    assert "since 2026-11-21 02:20" in texts(Teller([FIRST]), board(old))[0]
    assert "since a time not known" in texts(Teller([FIRST]), board(alert(since_utc=None)))[0]


def test_who_has_the_watch_is_told_in_the_first_carers_place() -> None:
    ways = [FIRST, way("carla", who=("Carla",))]
    assert [n for n, *_ in told(Teller(ways), board(alert(to="carla")))] == ["carla"]
    assert [n for n, *_ in told(Teller(ways), board(alert(to="nobody known")))] == ["anna"]
    assert [n for n, *_ in told(Teller(ways), board(alert()))] == ["anna"]


def test_after_a_hand_over_the_next_is_told_what_still_waits() -> None:
    teller = Teller([FIRST, way("carla", who=("Carla",))])
    assert [n for n, *_ in told(teller, board(alert()))] == ["anna"]
    assert [n for n, *_ in told(teller, board(alert(to="Carla")))] == ["carla"]


def test_who_wants_it_at_once_is_told_at_once() -> None:
    teller = Teller([way(on="raise")])
    assert len(told(teller, board(alert(step=Step.BOX)))) == 1


@pytest.mark.parametrize(
    ("more", "of", "n"),
    [
        ({"from_priority": "medium"}, {"priority": Priority.LOW}, 0),
        ({"from_priority": "medium"}, {"priority": Priority.MEDIUM}, 1),
        ({"from_priority": "low"}, {"priority": Priority.INFORMATION}, 0),
        ({"technical": False}, {"kind": Kind.TECHNICAL}, 0),
        ({"technical": True}, {"kind": Kind.TECHNICAL}, 1),
        ({}, {"state": AlertState.LATCHED}, 1),
    ],
)
def test_each_is_told_what_they_want_to_be_told(
    more: dict[str, Any], of: dict[str, Any], n: int
) -> None:
    assert len(told(Teller([way(on="raise", **more)]), board(alert(**of)))) == n


QUIET = {"quiet_from": "22:00", "quiet_to": "07:00"}


def test_in_quiet_hours_the_floor_is_told_and_the_rest_when_they_are_over() -> None:
    teller = Teller([way(**QUIET)])
    medium = board(alert(priority=Priority.MEDIUM))
    assert told(teller, medium, NIGHT) == []
    assert len(told(teller, board(alert()), NIGHT)) == 1
    teller = Teller([way(**QUIET)])
    assert told(teller, medium, NIGHT) == []
    assert len(told(teller, medium, DAY)) == 1
    assert len(told(Teller([way(**QUIET)]), medium, None)) == 1  # no clock: no quiet hours


@given(st.sampled_from(["low", "medium", "high"]), st.floats(0, 1439.9) | st.none())
def test_high_priority_is_never_kept_back_by_quiet_hours(floor: Any, minute: float | None) -> None:
    teller = Teller([way(quiet_from="00:00", quiet_to="23:59", quiet_floor=floor)])
    assert len(told(teller, board(alert()), minute)) == 1


@pytest.mark.parametrize(
    ("start", "end", "minute", "quiet"),
    [
        ("22:00", "07:00", 1320.0, True),
        ("22:00", "07:00", 419.9, True),
        ("22:00", "07:00", 420.0, False),
        ("13:00", "15:00", 800.0, True),
        ("13:00", "15:00", 900.0, False),
    ],
)
def test_quiet_hours_may_go_over_midnight(start: str, end: str, minute: float, quiet: bool) -> None:
    assert in_quiet_hours(way(quiet_from=start, quiet_to=end), minute) is quiet


ANSWERED: dict[str, Any] = {
    "state": AlertState.ACKNOWLEDGED,
    "answered_by": "Anna",
    "role": Role.CARER,
    "meaning": Meaning.HANDLED,
}


def test_those_who_were_told_are_told_who_handled_it_and_that_it_is_over() -> None:
    teller = Teller([FIRST, SECOND])
    told(teller, board(alert()))
    (item,) = [item for _, item in teller.look(board(alert(**ANSWERED)), NOW, DAY)]
    assert (item.title, item.priority) == ("Handled: very low SpO2", Priority.INFORMATION)
    assert item.text == "patient-1 at bedroom, handled by Anna 02:20."
    assert told(teller, board(alert(**ANSWERED))) == []
    over = alert(**{**ANSWERED, "state": AlertState.ENDED})
    (item,) = [item for _, item in teller.look(board(ended=(over,)), NOW, DAY)]
    assert item.title == "Over: very low SpO2"
    assert item.text == "patient-1 at bedroom, 02:14 to 02:20. It was handled by Anna."
    assert told(teller, board(ended=(over,))) == []


def test_who_was_not_told_hears_nothing_of_how_it_went_on() -> None:
    teller = Teller([FIRST])
    told(teller, board(alert(step=Step.BOX)))
    assert told(teller, board(alert(**ANSWERED, step=Step.BOX))) == []
    over = alert(**{**ANSWERED, "state": AlertState.ENDED}, step=Step.BOX)
    assert told(teller, board(ended=(over,))) == []


def test_the_patients_own_answer_to_a_high_alarm_keeps_nobody_away() -> None:
    pressed = alert(**{**ANSWERED, "role": Role.PATIENT, "answered_by": "patient"})
    (text,) = texts(Teller([FIRST]), board(pressed))
    assert "Only the patient has answered (patient)." in text
    medium = msgspec.structs.replace(pressed, priority=Priority.MEDIUM)
    assert told(Teller([FIRST]), board(medium)) == []


def test_an_alarm_that_gets_worse_is_told_again_and_so_is_its_next_answer() -> None:
    teller = Teller([FIRST])
    medium = {"priority": Priority.MEDIUM}
    assert len(told(teller, board(alert(**medium)))) == 1
    assert len(told(teller, board(alert(**medium, **ANSWERED)))) == 1
    assert told(teller, board(alert())) == [("anna", "HIGH alarm: very low SpO2", Priority.HIGH)]
    assert told(teller, board(alert(**medium))) == []
    assert told(teller, board(alert(**ANSWERED)))[0][1] == "Handled: very low SpO2"


def test_a_monitor_that_has_just_begun_makes_nothing_over() -> None:
    teller = Teller([FIRST])
    told(teller, board(alert()))
    assert told(teller, board(ready=False)) == []
    assert told(teller, board(alert())) == []


def test_an_alert_the_monitor_knows_no_more_is_said_to_stand_no_more() -> None:
    teller = Teller([FIRST])
    told(teller, board(alert()))
    (text,) = texts(teller, board())
    assert text == "patient-1 at bedroom, since 02:14: stands no more."
    assert teller.told == {}


def test_what_began_and_ended_while_nobody_could_be_told_is_told_afterwards() -> None:
    ended = alert(state=AlertState.ENDED)
    teller = Teller([FIRST, SECOND])
    told(teller, board())
    assert told(teller, board(ended=(ended,))) == [
        ("anna", "Was HIGH alarm: very low SpO2", Priority.LOW)
    ]
    assert told(teller, board(ended=(ended,))) == []
    # A notifier that remembers nothing does not tell all of this run's history.
    assert told(Teller([FIRST], fresh=True), board(ended=(ended,))) == []


def test_what_was_told_before_a_restart_is_not_told_after_it() -> None:
    teller = Teller([FIRST])
    told(teller, board(alert()))
    kept = msgspec.json.decode(msgspec.json.encode(teller.told), type=dict[str, Told])
    assert "80 %" not in msgspec.json.encode(teller.told).decode()
    again = Teller([FIRST], kept)
    assert told(again, board(alert())) == []
    assert told(again, board(alert(**ANSWERED)))[0][1] == "Handled: very low SpO2"


_STATES = st.builds(
    alert,
    id=st.sampled_from(["a1", "a2", "a3"]),
    priority=st.sampled_from([Priority.LOW, Priority.MEDIUM, Priority.HIGH]),
    state=st.sampled_from([AlertState.RAISED, AlertState.ACTIVE, AlertState.LATCHED]),
    step=st.sampled_from(list(Step)),
    to=st.sampled_from(["", "Carla"]),
)
_BOARDS = st.lists(_STATES, max_size=3, unique_by=lambda one: one.id)


@settings(deadline=None)
@given(st.lists(_BOARDS, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_whatever_happens_and_whenever_it_restarts_nobody_is_told_twice(
    seen: list[list[AlertNotice]], restarts: list[bool]
) -> None:
    ways = [FIRST, SECOND, way("carla", who=("Carla",)), way("dora", on="raise")]
    teller = Teller(ways)
    ids: list[str] = []
    alive: set[str] = set()
    for standing, restart in zip(seen, restarts, strict=False):
        if restart:
            kept = msgspec.json.encode(teller.told)
            teller = Teller(ways, msgspec.json.decode(kept, type=dict[str, Told]))
        known = {one.id for one in standing}
        back = known - alive
        # An id that has gone never comes back in the monitor: here it is then another story.
        ids = [one for one in ids if not any(one.endswith(b) for b in back)]
        alive = known
        for name, item in teller.look(board(*standing), NOW, DAY):
            key = key_of(name, item)
            assert key not in ids
            ids.append(key)
        for one in standing:
            assert "dora" in teller.told[one.id].to


def key_of(name: str, item: Item) -> str:
    return f"{name}/{item.about}/{item.priority}/{item.id}/{item.alerts[0]}"


def test_an_alarm_that_asks_anew_after_its_answer_is_told_again_as_a_notice_of_its_own() -> None:
    teller = Teller([FIRST])
    (first,) = teller.look(board(alert()), NOW, DAY)
    answered = alert(state=AlertState.ACKNOWLEDGED, answered_by="Ann", role=Role.CARER)
    assert [item.about for _, item in teller.look(board(answered), NOW, DAY)] == ["answered"]
    assert told(teller, board(alert(step=Step.PAGE))) == [], "not carried to anybody yet"
    (again,) = teller.look(board(alert(state=AlertState.ACTIVE)), NOW, DAY)
    assert (again[1].about, again[1].priority) == ("alarm", Priority.HIGH)
    assert again[1].id != first[1].id
    assert told(teller, board(alert(state=AlertState.ACTIVE))) == [], "once"


def test_an_alarm_of_high_priority_that_only_the_patient_answered_is_still_sent() -> None:
    teller, waiting = Teller([FIRST]), Waiting(5, 60.0, 0.0)
    seen = alert(state=AlertState.ACKNOWLEDGED, answered_by="patient", role=Role.PATIENT)
    for standing in (alert(), seen):
        for _, item in teller.look(board(standing), NOW, DAY):
            waiting.put(item, 0.0)
    (first,) = waiting.take(0.0)
    assert (first.about, first.priority) == ("alarm", Priority.HIGH)
