"""Every alert is followed until it was heard and seen, or it is written down why not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge.annunciators import UNHEARD_S
from edge.daemon.delivery import GRACE_S, MAX_CHANGES, Delivery
from edge.daemon.local import AnnunciatorReport
from edge.live import MuteLive, Signal
from edge.records import AlarmAct, Alert, AlertState, Priority
from edge.store import LedgerEntry
from tests.edge.store.test_store import alert

TICK_S = 0.25
HIGH = alert(1)
SOUNDS = Signal(Priority.HIGH, audible=True, visual=Priority.HIGH, alert_id=HIGH.id, n_waiting=1)
QUIET = Signal(Priority.HIGH, visual=Priority.HIGH, alert_id=HIGH.id, n_waiting=1)


def speaker(n_given: int, n_shown: int, given_s: float | None = None, reason: str = "") -> Any:
    return AnnunciatorReport(
        *("sound", not reason, reason, 0.0, n_given, given_s), n_shown=n_shown, gives=("sounded",)
    )


def lamp(n_given: int, n_shown: int, given_s: float | None = None) -> AnnunciatorReport:
    return AnnunciatorReport(
        *("gpio", True, "", 0.0, n_given, given_s), n_shown=n_shown, gives=("shown",)
    )


def pause(upto: Priority = Priority.HIGH, patient: str = "", until_s: float = 140.0) -> MuteLive:
    return MuteLive(AlarmAct.AUDIO_PAUSED, patient, upto, "Ann", until_s)


class Box:
    """A box at its ticks; what it says of its alerts is collected."""

    def __init__(self) -> None:
        self.delivery = Delivery()
        self.now_s = 100.0
        self.rows: list[LedgerEntry] = []

    def tick(
        self,
        signal: Signal,
        *reports: AnnunciatorReport,
        alerts: tuple[Alert, ...] = (HIGH,),
        mutes: tuple[MuteLive, ...] = (),
        passed_s: float = TICK_S,
    ) -> list[tuple[str, str, float]]:
        self.now_s += passed_s
        found = self.delivery.look(self.now_s, signal, alerts, mutes, reports)
        self.rows += found
        return [(row.stage, row.by, row.at_s) for row in found]


@pytest.fixture
def box() -> Box:
    return Box()


def test_an_alarm_is_sounded_when_the_sound_card_has_taken_it(box: Box) -> None:
    assert box.tick(SOUNDS, speaker(0, 1)) == []
    assert box.tick(SOUNDS, speaker(1, 1, 100.3)) == [("sounded", "sound", 100.3)]
    assert box.tick(SOUNDS, speaker(1, 1, 100.3)) == []


def test_what_is_taken_within_the_tick_that_showed_it_counts(box: Box) -> None:
    assert box.tick(SOUNDS, speaker(1, 1, 100.24)) == [("sounded", "sound", 100.25)]


def test_a_sound_of_before_does_not_count_for_what_is_yet_to_sound(box: Box) -> None:
    # Three changes came out long ago; the fourth, this alarm, has not.
    assert box.tick(SOUNDS, speaker(3, 4, 50.0)) == []
    assert box.tick(SOUNDS, speaker(4, 4, 100.4)) == [("sounded", "sound", 100.4)]


def test_an_alarm_that_joins_one_sound_is_sounded_with_it_and_then_for_itself(box: Box) -> None:
    box.tick(SOUNDS, speaker(1, 1, 100.25))
    other = alert(2)
    joined = box.tick(SOUNDS, speaker(1, 1, 100.25), alerts=(HIGH, other))
    assert joined == [("sounded", "sound", 100.5)]
    assert (box.rows[-1].ref, box.rows[-1].body["with"]) == (other.id, HIGH.id)
    answered = msgspec.structs.replace(HIGH, state=AlertState.ACKNOWLEDGED, answered_by="Ann")
    alone = msgspec.structs.replace(SOUNDS, alert_id=other.id)
    box.tick(alone, speaker(1, 2, 100.25), alerts=(answered, other))
    assert box.tick(alone, speaker(2, 2, 101.0), alerts=(answered, other)) == [
        ("sounded", "sound", 101.0)
    ]
    assert "with" not in box.rows[-1].body


def test_a_paused_alarm_says_who_paused_it_and_sounds_when_that_is_over(box: Box) -> None:
    assert box.tick(QUIET, speaker(0, 0), mutes=(pause(),)) == [("not_sounded", "Ann", 100.25)]
    assert box.rows[0].body == {
        "priority": "high",
        "why": "audio_paused",
        "reason": "audio paused up to high priority",
        "until_s": 140.0,
    }
    assert box.tick(QUIET, speaker(0, 0), mutes=(pause(),)) == []
    assert box.tick(SOUNDS, speaker(1, 1, 100.75)) == [("sounded", "sound", 100.75)]
    assert box.tick(QUIET, speaker(2, 2, 101.0), mutes=(pause(until_s=150.0),)) == [
        ("not_sounded", "Ann", 101.0)
    ]


@pytest.mark.parametrize("other", [pause(Priority.MEDIUM), pause(patient="p2")])
def test_a_pause_of_something_else_is_no_reason(box: Box, other: MuteLive) -> None:
    found = box.tick(SOUNDS, speaker(1, 1, 100.25), mutes=(other,))
    assert found == [("sounded", "sound", 100.25)]


def test_a_loudspeaker_that_does_not_work_is_the_reason_and_its_return_is_told(box: Box) -> None:
    broken = speaker(0, 1, reason="the card is not there")
    assert box.tick(SOUNDS, broken) == []  # it may just be starting
    assert box.tick(SOUNDS, broken, passed_s=GRACE_S) == [("not_sounded", "sound", 102.25)]
    assert box.rows[-1].body["reason"] == "the card is not there"
    assert box.tick(SOUNDS, broken) == []
    back = msgspec.structs.replace(speaker(1, 1, 103.0), since_s=104.0)
    assert box.tick(SOUNDS, back, passed_s=2.0) == [("sounded", "sound", 104.0)]


def test_a_card_that_is_lost_in_the_midst_of_the_alarm_is_told(box: Box) -> None:
    box.tick(SOUNDS, speaker(1, 1, 100.25))
    lost = speaker(1, 1, 100.25, reason="gone")
    assert box.tick(SOUNDS, lost) == [("not_sounded", "sound", 100.5)]
    again = msgspec.structs.replace(speaker(1, 1, 100.25), since_s=101.0)
    assert box.tick(SOUNDS, again, passed_s=1.0) == [("sounded", "sound", 101.0)]


def test_sound_that_came_out_before_the_card_was_proven_counts(box: Box) -> None:
    starting = speaker(1, 1, 100.3, reason="starting: not proven yet")
    assert box.tick(SOUNDS, starting) == []
    assert box.tick(SOUNDS, starting, passed_s=GRACE_S + 1.0) == []
    assert box.tick(SOUNDS, speaker(1, 1, 100.3)) == [("sounded", "sound", 100.3)]


def test_what_a_player_took_that_died_of_it_was_not_sounded(box: Box) -> None:
    dead = speaker(1, 1, 100.3, reason="aplay ended with code 1")
    assert box.tick(SOUNDS, dead) == []
    assert box.tick(SOUNDS, dead, passed_s=GRACE_S) == [("not_sounded", "sound", 102.25)]


def test_a_sound_that_is_never_taken_is_told_within_the_time_of_a_technical_alarm(box: Box) -> None:
    assert box.tick(SOUNDS, speaker(0, 1)) == []
    found = box.tick(SOUNDS, speaker(0, 1), passed_s=UNHEARD_S)
    assert [row[0] for row in found] == ["not_sounded"]
    assert "nothing was taken for 10 s" in box.rows[-1].body["reason"]


def test_a_box_without_a_loudspeaker_says_so(box: Box) -> None:
    assert box.tick(SOUNDS) == [("not_sounded", "", 100.25)]
    assert box.rows[-1].body["why"] == "none"


@pytest.mark.parametrize(("state", "why"), [(AlertState.ACKNOWLEDGED, "answered"), (None, "over")])
def test_what_was_answered_or_over_before_its_sound_was_due_says_so(
    box: Box, state: AlertState | None, why: str
) -> None:
    low = msgspec.structs.replace(HIGH, priority=Priority.LOW)
    waits = Signal(Priority.LOW, visual=Priority.LOW, alert_id=low.id, n_waiting=1)
    assert box.tick(waits, speaker(0, 0), alerts=(low,)) == []  # the delay of the signal
    after: tuple[Alert, ...] = ()
    if state is not None:
        after = (msgspec.structs.replace(low, state=state, answered_by="Ann"),)
    found = box.tick(Signal(), speaker(0, 0), alerts=after)
    assert found == [("not_sounded", "Ann" if after else "", 100.5)]
    assert box.rows[-1].body["why"] == why
    assert box.tick(Signal(), speaker(0, 0), alerts=()) == []


def test_what_was_answered_after_it_sounded_is_no_failure(box: Box) -> None:
    box.tick(SOUNDS, speaker(1, 1, 100.25))
    answered = msgspec.structs.replace(HIGH, state=AlertState.ACKNOWLEDGED, answered_by="Ann")
    assert box.tick(QUIET, speaker(2, 2, 100.5), alerts=(answered,)) == []
    worse = box.tick(SOUNDS, speaker(3, 3, 100.75))  # the answer was for less, and counts no more
    assert worse == [("sounded", "sound", 100.75)]
    assert box.tick(Signal(), speaker(4, 4, 101.0), alerts=()) == []


def test_what_was_answered_before_the_monitor_began_again_is_not_told_as_unheard() -> None:
    answered = msgspec.structs.replace(HIGH, state=AlertState.ACKNOWLEDGED, answered_by="Ann")
    delivery = Delivery(began_s=HIGH.at_s + 1.0)
    assert delivery.look(90.0, QUIET, (answered,), (), (speaker(0, 0),)) == []
    assert delivery.look(91.0, Signal(), (), (), (speaker(0, 0),)) == []


def test_an_alarm_that_becomes_more_urgent_is_followed_anew(box: Box) -> None:
    medium = msgspec.structs.replace(HIGH, priority=Priority.MEDIUM)
    box.tick(SOUNDS, speaker(1, 1, 100.25), alerts=(medium,))
    box.tick(SOUNDS, speaker(1, 2, 100.25))
    assert box.tick(SOUNDS, speaker(2, 2, 100.8)) == [("sounded", "sound", 100.8)]
    assert [row.body["priority"] for row in box.rows] == ["medium", "high"]


def test_a_lamp_shows_an_alert_once_also_while_its_sound_is_paused(box: Box) -> None:
    assert box.tick(QUIET, lamp(0, 1), mutes=(pause(),)) == [("not_sounded", "Ann", 100.25)]
    shown = box.tick(QUIET, lamp(1, 1, 100.5), mutes=(pause(),))
    assert shown == [("shown", "gpio", 100.5)]
    assert box.tick(QUIET, lamp(1, 1, 100.5), mutes=(pause(),)) == []


def test_a_lamp_shows_nothing_while_all_signals_are_paused(box: Box) -> None:
    paused = msgspec.structs.replace(pause(), act=AlarmAct.ALARMS_PAUSED)
    hidden = msgspec.structs.replace(QUIET, visual=None)
    assert [row[0] for row in box.tick(hidden, lamp(1, 1, 50.0), mutes=(paused,))] == [
        "not_sounded"
    ]


def test_each_kind_of_client_is_told_of_once(box: Box) -> None:
    assert [row.by for row in box.delivery.handed_to("live", [HIGH], 100.0)] == ["live"]
    assert box.delivery.handed_to("live", [HIGH], 101.0) == []
    assert [row.by for row in box.delivery.handed_to("status", [HIGH], 102.0)] == ["status"]


def test_information_makes_no_sound_and_no_row(box: Box) -> None:
    only = msgspec.structs.replace(HIGH, priority=Priority.INFORMATION)
    assert box.tick(Signal(), alerts=(only,)) == []
    assert box.tick(Signal(), alerts=()) == []


def test_what_flaps_cannot_fill_the_disk(box: Box) -> None:
    for number in range(4 * MAX_CHANGES):
        box.tick(SOUNDS, speaker(1, 1, 100.25, reason="gone" if number % 2 else ""))
    assert len(box.rows) == MAX_CHANGES
    assert box.rows[-1].body["last"] is True


def test_nothing_is_looked_at_while_nothing_can_have_changed(box: Box) -> None:
    quiet, reports = Signal(), (speaker(0, 0),)
    box.tick(quiet, *reports, alerts=())
    assert box.delivery.is_idle(quiet, reports)
    assert not box.delivery.is_idle(SOUNDS, reports)
    box.tick(SOUNDS, speaker(0, 1))
    assert not box.delivery.is_idle(SOUNDS, (speaker(0, 1),))  # it is yet to come out
    box.tick(SOUNDS, speaker(1, 1, 101.0))
    assert box.delivery.is_idle(SOUNDS, (speaker(1, 1, 101.0),))


def test_ended_alerts_are_remembered_for_late_reports(box: Box) -> None:
    assert not box.delivery.knows(HIGH.id)
    box.tick(SOUNDS)
    box.tick(Signal(), alerts=())
    assert box.delivery.knows(HIGH.id)
