"""How loud by day and by night, and the floor under a high alarm."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.annunciators._levels import HIGH_FLOOR_DBFS, Levels, level_now
from edge.annunciators._melody import LEVEL_DB, burst
from edge.annunciators._sequencer import Cue, Sequencer
from edge.records import Priority
from tests.edge.annunciators.sound_analysis import pulses_of

NIGHT, DAY = 3 * 60.0, 12 * 60.0
DB = st.floats(-60.0, 0.0)


def heard_dbfs(levels, priority, minute):
    player = Sequencer(level_now(levels, lambda: minute))
    player.want(Cue(priority.rank, "general"))
    n = len(burst(priority, "general"))
    return pulses_of(player.take(n) / 32767)[0].peak_dbfs


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.MEDIUM, Priority.LOW])
@pytest.mark.parametrize("minute", [DAY, NIGHT, None])
def test_the_level_that_is_set_is_the_level_that_is_heard(priority, minute):
    levels = Levels(volume_dbfs=-4.0, night_volume_dbfs=-25.0, night_high_dbfs=-10.0)
    night = -10.0 if priority is Priority.HIGH else -25.0
    meant = (night if minute == NIGHT else -4.0) + LEVEL_DB[priority]
    assert heard_dbfs(levels, priority, minute) == pytest.approx(meant, abs=0.2)


@given(DB, DB, DB, st.one_of(st.none(), st.floats(0, 1440, exclude_max=True)))
def test_no_setting_makes_a_high_alarm_quieter_than_the_floor(day, night, high, minute):
    toml = {"volume_dbfs": day, "night_volume_dbfs": night, "night_high_dbfs": high}
    try:
        levels = msgspec.convert(toml, Levels)
    except msgspec.ValidationError:
        assert min(day, high) < HIGH_FLOOR_DBFS or night > min(day, high)
        return
    assert levels.of(high=True, minute=minute) >= HIGH_FLOOR_DBFS
    assert levels.of(high=True, minute=minute) >= levels.of(high=False, minute=minute)


@pytest.mark.parametrize("name", ["volume_dbfs", "night_high_dbfs"])
def test_a_setting_under_the_floor_is_refused_with_the_least_that_is_allowed(name):
    with pytest.raises(ValueError, match=f"{name} = -30.*-12 or more"):
        Levels(**{name: -30.0})


def test_a_night_louder_than_the_day_is_refused():
    with pytest.raises(ValueError, match="night_volume_dbfs"):
        Levels(volume_dbfs=-6.0, night_volume_dbfs=-3.0)


@pytest.mark.parametrize("text", ["7:00", "24:00", "22:60", "ten"])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"night_from": text}, Levels)


@pytest.mark.parametrize(
    ("begin", "end", "minute", "night"),
    [
        ("22:00", "07:00", 22 * 60, True),
        ("22:00", "07:00", 22 * 60 - 0.1, False),
        ("22:00", "07:00", 0.0, True),
        ("22:00", "07:00", 7 * 60 - 0.1, True),
        ("22:00", "07:00", 7 * 60, False),
        ("13:00", "15:00", 14 * 60, True),
        ("13:00", "15:00", 23 * 60, False),
        ("00:00", "00:00", 0.0, False),
    ],
)
def test_the_night_begins_and_ends_at_its_minutes(begin, end, minute, night):
    assert Levels(night_from=begin, night_until=end).is_night(minute) is night


def test_an_unknown_hour_is_day():
    assert Levels().of(high=False, minute=None) == Levels().volume_dbfs
