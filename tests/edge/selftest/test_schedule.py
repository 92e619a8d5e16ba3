"""Once a day, at its time of day, whatever the clocks do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from edge.records import SelfTest, SelfTestRow, Verdict
from edge.selftest._schedule import DAY_S, FIRST_S, Moment, due_since
from edge.selftest._words import headline, moment_text

BERLIN = ZoneInfo("Europe/Berlin")
OFFSET_S = 1_760_000_000.0
"""Wall time of boot time 0: 2025-10-09 08:53:20 UTC."""


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def moment(boot_s: float, *, synced: bool = True) -> Moment:
    local = datetime.fromtimestamp(OFFSET_S + boot_s, tz=UTC).astimezone()
    return Moment(boot_s, local if synced else None)


def boot_at(*when: int) -> float:
    return datetime(*when, tzinfo=BERLIN).timestamp() - OFFSET_S


def ran_in(hours: float, synced_from_s: float = 0.0) -> list[datetime]:
    """Return when tests would run, looked at every 10 s, each taking 5 s."""
    ran, last_s = [], None
    for tick in range(int(hours * 360)):
        now = moment(10.0 * tick, synced=10.0 * tick >= synced_from_s)
        if due_since(now, 0.0, last_s, "08:00") is not None:
            last_s = now.boot_s + 5.0
            ran.append(moment(now.boot_s).local)
    return ran


def test_a_fresh_box_is_tested_within_minutes_and_then_daily() -> None:
    first, *daily = ran_in(80)
    assert first == moment(FIRST_S).local
    assert [(f"{one:%d %H:%M}") for one in daily] == ["10 08:00", "11 08:00", "12 08:00"]


def test_without_a_clock_it_is_every_24_h_of_boot_time() -> None:
    ran = ran_in(80, 1e9)
    gaps_s = [(b - a).total_seconds() for a, b in pairwise(ran)]
    assert gaps_s == [DAY_S + 10.0] * 3


def test_a_clock_that_is_set_in_the_evening_brings_no_second_test_that_day() -> None:
    assert [f"{one:%d %H:%M}" for one in ran_in(30, 6 * 3600)] == [
        "09 10:55",
        "10 08:00",
    ]


def test_when_clocks_change_in_the_night_it_is_still_at_eight_and_never_at_night() -> None:
    # 26 October 2025, 03:00 -> 02:00.
    start_s = boot_at(2025, 10, 24, 9, 0)
    last_s = start_s - 3600.0
    ran = []
    for tick in range(6 * 100):
        now = moment(start_s + 600.0 * tick)
        if due_since(now, 0.0, last_s, "08:00") is not None:
            last_s = now.boot_s
            ran.append(f"{now.local:%d %H:%M %z}")
    assert ran == ["25 08:00 +0200", "26 08:00 +0100", "27 08:00 +0100", "28 08:00 +0100"]


def test_a_box_that_slept_over_its_time_is_tested_when_it_has_settled() -> None:
    began_s, last_s = boot_at(2025, 10, 11, 9, 0), boot_at(2025, 10, 10, 8, 0)
    assert due_since(moment(began_s + 60), began_s, last_s, "08:00") is None
    assert due_since(moment(began_s + 150), began_s, last_s, "08:00") == began_s + FIRST_S


def test_a_restart_after_the_daily_test_brings_none() -> None:
    began_s, last_s = boot_at(2025, 10, 11, 9, 0), boot_at(2025, 10, 11, 8, 0) + 5.0
    assert due_since(moment(began_s + 3600), began_s, last_s, "08:00") is None


# --- words ---------------------------------------------------------------------------------------


def ended(verdict: Verdict, *labels: str) -> SelfTest:
    rows = [SelfTestRow(label, "", verdict, "x") for label in labels]
    rows.append(SelfTestRow("annunciator", "sound", Verdict.PASSED, "a tone was played"))
    return SelfTest("t", 0.0, 5.0, "", tuple(rows))


NOW_S = boot_at(2025, 10, 11, 9, 0)
EIGHT_S = boot_at(2025, 10, 11, 8, 0)
BEFORE_S = boot_at(2025, 10, 10, 8, 0)
LIMIT_S = 26 * 3600.0


@pytest.mark.parametrize(
    ("last", "ended_s", "proven_s", "proven", "words"),
    [
        (None, 0.0, None, False, "alarm path not proven yet: the first self-test comes by itself"),
        (ended(Verdict.PASSED, "disk"), EIGHT_S, EIGHT_S, True, "alarm path proven 08:00"),
        (
            ended(Verdict.FAILED, "sound"),
            EIGHT_S,
            BEFORE_S,
            False,
            "alarm path NOT proven since yesterday 08:00: sound failed",
        ),
        (
            ended(Verdict.FAILED, "sound", "disk"),
            EIGHT_S,
            None,
            False,
            "alarm path NOT proven: sound, disk failed",
        ),
        (
            ended(Verdict.PASSED, "disk"),
            BEFORE_S - DAY_S,
            BEFORE_S - DAY_S,
            False,
            "alarm path NOT proven since 2025-10-09 08:00: the self-test is overdue",
        ),
    ],
)
def test_one_line_says_whether_the_alarm_path_is_proven(
    last: SelfTest | None, ended_s: float, proven_s: float | None, proven: bool, words: str
) -> None:
    assert headline(moment(NOW_S), last, ended_s, proven_s, LIMIT_S) == (proven, words)


def test_a_box_without_sound_or_light_says_so_in_the_same_line() -> None:
    silent = SelfTest("t", 0.0, 5.0, "", (SelfTestRow("disk", "", Verdict.PASSED, "x"),))
    assert headline(moment(NOW_S), silent, EIGHT_S, EIGHT_S, LIMIT_S) == (
        True,
        "alarm path proven 08:00 (nothing sounds or shines at this box)",
    )


def test_a_tone_that_was_played_and_not_answered_for_is_still_a_voice() -> None:
    asked = SelfTest("t", 0.0, 5.0, "Ann", (SelfTestRow("annunciator", "s", Verdict.UNKNOWN, "x"),))
    told = headline(moment(NOW_S), asked, EIGHT_S, EIGHT_S, LIMIT_S)
    assert told == (True, "alarm path proven 08:00")


def test_without_a_clock_it_is_told_how_long_ago() -> None:
    assert moment_text(moment(NOW_S, synced=False), EIGHT_S) == "1 h ago"
    assert moment_text(moment(NOW_S, synced=False), NOW_S - 240.0) == "4 min ago"
