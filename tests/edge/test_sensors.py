"""What a sensor says of itself, and its measurements of their own, at their own time."""

import math

import msgspec
import pytest

from edge.alarms.key_lost import RULE
from edge.alerts import Answer
from edge.assemble import assemble
from edge.bits import date_time_s, pack_sfloat
from edge.events import (
    ASSIGN,
    DEVICE_CLOCK,
    EXPECT,
    LINK,
    Assignment,
    DeviceClock,
    Expectation,
    LinkTold,
    tell,
)
from edge.gatt import STORED, uuid
from edge.pipeline import PipelineSettings
from edge.records import (
    Alert,
    AlertState,
    Beat,
    Features,
    LinkChange,
    LinkState,
    Packet,
    Reading,
    Security,
)

CUFF, STRAP, CLIP = "C0:00:00:00:00:01", "C0:00:00:00:00:02", "C0:00:00:00:00:03"
SPOT_CHECK = uuid(0x2A5E)
NOON = bytes([0xEA, 0x07, 11, 21, 12, 0, 0])
NOON_S = date_time_s(NOON, 0)


def cuff(at_s, *, systolic=120, when=NOON):
    body = b"".join(pack_sfloat(v) for v in (systolic, 80, 93))
    return Packet(CUFF, uuid(0x2A35), at_s, bytes([0x02]) + body + when)


def strap(at_s, bpm=60):
    return Packet(STRAP, uuid(0x2A37), at_s, bytes([0x06, bpm]))


def clip(at_s, spo2_pct, *, stream=SPOT_CHECK, when=NOON):
    body = pack_sfloat(spo2_pct) + pack_sfloat(70)
    return Packet(CLIP, stream, at_s, bytes([0x01]) + body + when)


def clock(at_s, *, ahead_s=0.0, source=CUFF):
    """Return the packet that says that a sensor's clock shows noon at a boot time."""
    told = DeviceClock(source, NOON_S + ahead_s, at_s, 0.5)
    return tell(DEVICE_CLOCK, told, at_s)


def link(at_s, state, security=Security.SECURE, source=STRAP):
    return tell(LINK, LinkTold(source, state, security, "strap", "chest"), at_s)


def live(packets, end_s, **settings):
    made = assemble(PipelineSettings(**settings), "test")
    packets = sorted(packets, key=lambda packet: packet.arrived_s)
    return made, list(made.advance(packets, end_s).records)


def of(kind, records):
    return [record for record in records if isinstance(record, kind)]


def states(records, rule):
    return [(a.at_s, a.state) for a in of(Alert, records) if a.rule == rule]


def test_a_measurement_is_recorded_at_the_sensors_own_time():
    _, records = live([clock(100.0), cuff(100.5)], 110.0)
    readings = {r.signal: r for r in of(Reading, records)}

    assert readings["nibp_sys_mmhg"].value == 120.0
    assert readings["nibp_dia_mmhg"].value == 80.0
    assert readings["nibp_sys_mmhg"].at_s == pytest.approx(100.0)
    assert 1.0 <= readings["nibp_sys_mmhg"].uncertainty_s <= 2.0
    assert not readings["nibp_sys_mmhg"].backfilled


def test_a_measurement_of_an_hour_ago_is_placed_there_and_alarms_nobody():
    then = bytes([0xEA, 0x07, 11, 21, 11, 0, 0])
    _, records = live([clock(5000.0, source=CLIP), clip(5000.5, 70, when=then)], 5030.0)
    spo2 = next(r for r in of(Reading, records) if r.signal == "spo2_pct")

    assert (spo2.at_s, spo2.backfilled) == (1400.0, True)
    assert spo2.uncertainty_s == pytest.approx(1.5 + 0.36, abs=0.01)
    assert not of(Alert, records)


def test_a_spot_check_of_now_alarms_and_is_not_missed_afterwards():
    _, records = live([clock(100.0, source=CLIP)] + [clip(100.0 + i, 70) for i in range(30)], 200.0)
    rules = {a.rule for a in of(Alert, records)}

    assert {"low_spo2", "very_low_spo2"} & rules
    assert "signal_lost" not in rules


def test_the_same_record_fetched_again_is_one_reading():
    fetched = [clip(at_s, 95, stream=STORED + SPOT_CHECK) for at_s in (100.0, 101.0, 250.0)]
    _, records = live([clock(99.0, source=CLIP), *fetched], 300.0)
    spo2 = [r for r in of(Reading, records) if r.signal == "spo2_pct"]

    assert [(r.at_s, r.backfilled) for r in spo2] == [(pytest.approx(99.0), True)]


def test_a_record_whose_clock_nobody_knows_has_no_time_and_is_kept():
    _, records = live([clip(100.0, 95, stream=STORED + SPOT_CHECK)], 110.0)
    spo2 = next(r for r in of(Reading, records) if r.signal == "spo2_pct")

    assert (spo2.at_s, spo2.uncertainty_s, spo2.arrived_s) == (None, math.inf, 100.0)


def test_a_record_made_before_the_clock_was_set_back_has_no_time():
    newer = bytes([0xEA, 0x07, 11, 22, 12, 0, 0])
    stored = clip(101.0, 95, stream=STORED + SPOT_CHECK, when=newer)
    _, records = live([clock(100.0, source=CLIP), stored], 110.0)

    assert [r.at_s for r in of(Reading, records) if r.signal == "spo2_pct"] == [None]


def test_what_becomes_of_a_link_is_recorded_once_and_shown():
    told = [link(1.0, LinkState.CONNECTED), link(2.0, LinkState.CONNECTED), strap(2.5)]
    made, records = live([*told, link(9.0, LinkState.LOST)], 10.0)
    changes = of(LinkChange, records)

    assert [(c.at_s, c.state) for c in changes] == [
        (1.0, LinkState.CONNECTED),
        (9.0, LinkState.LOST),
    ]
    assert {c.security for c in changes} == {Security.SECURE}
    (sensor,) = made.live().sensors
    assert (sensor.name, sensor.place, sensor.state) == ("strap", "chest", LinkState.LOST)
    assert (sensor.patient, sensor.since_s) == ("patient-1", 1.0)


def test_a_battery_is_shown_with_its_sensor_and_the_worst_one_counts():
    told = [link(1.0, LinkState.CONNECTED), link(1.0, LinkState.CONNECTED, source=CLIP)]
    level = [
        Packet(STRAP, uuid(0x2A19), 2.0, bytes([80])),
        Packet(CLIP, uuid(0x2A19), 2.0, bytes([15])),
    ]
    made, _ = live([*told, *level], 5.0)

    assert [s.battery_pct for s in made.live().sensors] == [80.0, 15.0]


def test_two_sensors_do_not_hide_that_one_is_off():
    packets = [strap(1.0 + i) for i in range(60)]  # says: skin contact made
    off = bytes([0x08, 0xFF, 0x07, 0xFF, 0x07, 0x00, 0x88, 0x00])
    packets += [Packet(CLIP, uuid(0x2A5F), 30.2 + i, off) for i in range(20)]
    _, records = live(packets, 60.0)

    assert states(records, "lead_off")[0][1] is AlertState.RAISED


def test_having_answered_for_one_sensor_that_is_off_does_not_hide_the_next():
    off = bytes([0x08, 0xFF, 0x07, 0xFF, 0x07, 0x00, 0x88, 0x00])
    clips = [(CLIP, 1.0), ("another clip", 60.0)]
    packets = [
        Packet(source, uuid(0x2A5F), first_s + i, off)
        for source, first_s in clips
        for i in range(120)
        if first_s + i < 90.0
    ]
    watched = assemble(PipelineSettings(), "x")
    packets.sort(key=lambda p: p.arrived_s)
    watched.advance([p for p in packets if p.arrived_s < 30.0], 29.0)
    (alert,) = [a for a in watched.live().alerts if a.rule == "lead_off"]
    answer = Answer("acknowledge", alert.id, "Ann")
    said = Packet("person", "person:answer", 29.5, msgspec.json.encode(answer))
    rest = [said, *(p for p in packets if p.arrived_s >= 30.0)]
    records = watched.advance(rest, 90.0).records

    told = states(records, "lead_off")
    assert [state for _, state in told] == ["acknowledged", "ended", "raised"]
    assert 63.0 <= told[-1][0] <= 66.0


def test_two_straps_do_not_count_every_beat_twice():
    def beats(source, at_s):
        return Packet(source, uuid(0x2A37), at_s, bytes([0x16, 60, 0x00, 0x04]))

    one = [beats(STRAP, 1.0 + i) for i in range(30)]
    other = [beats(CLIP, 1.4 + i) for i in range(90)]
    _, records = live([*one, *other], 95.0)
    found = of(Beat, records)

    assert 85 <= len(found) <= 92
    assert {b.source for b in found if b.at_s < 30.0} == {STRAP}
    assert {b.source for b in found if b.at_s > 45.0} == {CLIP}


def test_a_lost_key_alerts_until_it_is_mended():
    told = [link(1.0, LinkState.CONNECTED), link(20.0, LinkState.KEY_LOST)]
    _, records = live([*told, link(60.0, LinkState.CONNECTED)], 90.0)
    found = states(records, "key_lost")

    assert found[0] == (20.0, AlertState.RAISED)
    assert found[-1][1] is AlertState.ENDED
    assert found[-1][0] <= 71.0


@pytest.mark.parametrize(("n", "present"), [(math.nan, None), (0.0, False), (1.0, True)])
def test_the_rule_is_exact(n, present):
    seen = Features("p1", 0.0, 1.0, {"n_keys_lost": n})

    assert RULE.step(RULE.start, seen, None, RULE.settings)[1].present is present


def test_a_sensor_that_a_person_removes_is_missed_no_more():
    packets = [link(0.5, LinkState.CONNECTED), *(strap(1.0 + i) for i in range(30))]
    _, kept = live(packets, 100.0)
    _, removed = live([*packets, link(60.0, LinkState.REMOVED)], 100.0)

    assert states(kept, "signal_lost")[-1][1] is not AlertState.ENDED
    assert states(removed, "signal_lost")[-1][1] is AlertState.ENDED


def test_a_sensor_that_is_awaited_for_nobody_in_particular_is_the_first_patients():
    expected = tell(EXPECT, Expectation(STRAP, ""), 0.5)
    assigned = tell(ASSIGN, Assignment(STRAP, "", STRAP), 70.0)
    made, records = live([expected, assigned, strap(70.5)], 100.0, default_patient="anna")

    assert states(records, "never_heard")[0] == (61.0, AlertState.RAISED)
    assert {p.patient for p in made.live().patients} == {"anna"}


def test_a_sensor_that_connected_and_never_measured_anything_is_missed():
    told = [tell(EXPECT, Expectation(STRAP, ""), 0.5), link(1.0, LinkState.CONNECTED)]
    told.append(tell(ASSIGN, Assignment(STRAP, "", STRAP), 1.0))
    battery = Packet(STRAP, uuid(0x2A19), 1.2, bytes([80]))
    packets = [*told, battery, strap(1.5, bpm=0), link(2.0, LinkState.LOST)]

    assert states(live(packets, 100.0)[1], "never_heard")[0] == (61.0, AlertState.RAISED)


def test_a_withdrawn_expectation_is_no_longer_missed():
    told = [tell(EXPECT, Expectation(STRAP, ""), 0.5)]
    told.append(tell(EXPECT, Expectation(STRAP, "", withdrawn=True), 30.0))

    assert states(live(told, 100.0)[1], "never_heard") == []
