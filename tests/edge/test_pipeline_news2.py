"""Entries, facts, breaths and an oximeter alone, through the whole monitor."""

import math
import struct

import msgspec
import pytest

from edge.assemble import assemble
from edge.events import ENTRY, FACTS, PERSON, Entry, Facts, tell
from edge.packetlog import PacketLogWriter, read
from edge.pipeline import START, Kept, PipelineSettings, RuleSettings, Start
from edge.readers import simulated
from edge.records import Alert, AlertState, Packet, Priority, encode_record

PATIENT = "patient-1"
CLIP = "00002a5f-0000-1000-8000-00805f9b34fb"


def entry(at_s, what, value, valid_for_s=3600.0, **more):
    told = Entry(PATIENT, what, value, "Ana", "nurse", valid_for_s, **more)
    return Packet(PERSON, ENTRY, at_s, msgspec.json.encode(told))


def facts(at_s, years=71, **more):
    return tell(FACTS, Facts(PATIENT, years, **more), at_s)


def sfloat(value):
    return int(value) & 0x0FFF


def clip(at_s, spo2_pct, pulse_bpm):
    """A PLX continuous measurement (Bluetooth PLXS 1.0.1, 3.3), as an oximeter sends one."""
    payload = struct.pack("<BHH", 0, sfloat(spo2_pct), sfloat(pulse_bpm))
    return Packet("clip", CLIP, at_s, payload)


def oximeter(first_s, last_s, spo2_pct, pulse_bpm):
    return [clip(s + 0.5, spo2_pct, pulse_bpm) for s in range(first_s, last_s)]


def run(packets, end_s, **settings):
    watched = assemble(PipelineSettings(**settings), "test")
    packets = sorted(packets, key=lambda p: p.arrived_s)
    return watched, [r for r in watched.advance(packets, end_s).records if isinstance(r, Alert)]


def vitals(watched):
    return watched.live().patients[0].vitals


def all_entered(at_s, valid_for_s=3600.0, **changes):
    values = {
        "oxygen": "air",
        "consciousness": "A",
        "resp_brpm": 16,
        "nibp_sys_mmhg": 125,
        "temp_degc": 36.8,
    }
    return [entry(at_s, what, v, valid_for_s) for what, v in {**values, **changes}.items()]


def test_without_the_facts_there_is_no_score():
    watched, alerts = run(oximeter(0, 20, 97, 70) + all_entered(1.0), 20.0)

    assert math.isnan(vitals(watched)["news2_lower"])
    assert vitals(watched)["news2_refusal"] == 1.0
    assert alerts == []


@pytest.mark.parametrize(
    ("told", "refusal"), [(facts(0.0, years=15), 2.0), (facts(0.0, pregnant=True), 3.0)]
)
def test_a_child_and_a_pregnant_woman_get_no_score(told, refusal):
    watched, _ = run([told, *oximeter(0, 20, 80, 140), *all_entered(1.0)], 20.0)

    assert vitals(watched)["news2_refusal"] == refusal
    assert math.isnan(vitals(watched)["news2_upper"])


def test_what_was_entered_and_what_is_measured_make_one_score():
    packets = [facts(0.0), *oximeter(0, 30, 95, 95), *all_entered(1.0, consciousness="C")]
    seen = vitals(run(packets, 30.0)[0])

    assert seen["news2_lower"] == seen["news2_upper"] == 1 + 1 + 3
    assert seen["news2_n_missing"] == 0.0
    assert seen["news2_age_s"] == 29.0


def test_an_entry_expires_and_is_missing_then():
    packets = [facts(0.0), *oximeter(0, 130, 97, 70), *all_entered(1.0, valid_for_s=100.0)]

    assert vitals(run(packets, 100.0)[0])["news2_n_missing"] == 0.0
    late = vitals(run(packets, 110.0)[0])
    assert (late["news2_n_missing"], late["news2_lower"], late["news2_upper"]) == (5.0, 0.0, 14.0)


def test_what_was_measured_a_while_before_it_was_entered_expires_by_when_it_was_measured():
    packets = [facts(0.0), entry(1.0, "temp_degc", 39.5, 100.0, age_s=60.0)]
    packets += oximeter(0, 60, 97, 70)

    assert vitals(run(packets, 40.0)[0])["news2_temp_points"] == 2.0
    assert math.isnan(vitals(run(packets, 42.0)[0])["news2_temp_points"])


def test_a_newer_entry_takes_the_place_of_an_older_one_and_not_the_other_way_round():
    packets = [facts(0.0), entry(5.0, "oxygen", "oxygen"), entry(8.0, "oxygen", "air", age_s=600.0)]
    seen = vitals(run([*packets, *oximeter(0, 20, 97, 70)], 20.0)[0])

    assert seen["news2_oxygen_points"] == 2.0


def test_scale_2_is_used_once_it_was_decided():
    decided = facts(10.0, spo2_scale=2, decided_by="Dr Lo", decided_on="2026-03-01", why="gases")
    packets = [facts(0.0), *oximeter(0, 20, 89, 70), decided]

    before, after = (vitals(run(packets, end_s)[0]) for end_s in (9.0, 20.0))
    assert (before["news2_scale"], before["news2_spo2_points"]) == (1.0, 3.0)
    assert (after["news2_scale"], after["news2_spo2_points"]) == (2.0, 0.0)


def test_a_decision_nobody_made_changes_nothing_and_is_noted():
    forged = Packet("box", FACTS, 5.0, b'{"patient":"patient-1","spo2_scale":2}')
    watched, _ = run([facts(0.0), forged, *oximeter(0, 20, 89, 70)], 20.0)

    assert vitals(watched)["news2_scale"] == 1.0
    assert "who decided it, when and why" in watched.live().notes[0]


def test_an_emergency_score_alarms_after_five_minutes():
    ill = [facts(0.0), *oximeter(0, 400, 92, 115), *all_entered(1.0, resp_brpm=22, temp_degc=38.5)]
    _, alerts = run(ill, 400.0)
    raised = {a.rule: a for a in alerts if a.state is AlertState.RAISED}

    assert raised["news2_emergency"].priority is Priority.MEDIUM
    assert raised["news2_emergency"].at_s == pytest.approx(302.0, abs=2.0)
    assert raised["news2_urgent"].priority is Priority.LOW
    assert "NEWS2 7 (respiration rate 2, SpO2 2, pulse 2, temperature 1)" in (
        raised["news2_emergency"].reason
    )


def test_an_oximeter_alone_raises_a_heart_rate_alarm_and_says_whose_rate_it_was():
    _, alerts = run(oximeter(0, 60, 97, 35), 60.0)
    raised = {a.rule: a.reason for a in alerts if a.state is AlertState.RAISED}

    assert set(raised) == {"low_hr", "very_low_hr"}
    assert raised["very_low_hr"].startswith("pulse of the oximeter (no ECG) 35 bpm for 10 s")


def test_a_night_with_entries_replays_from_its_log_to_the_same_bytes(tmp_path):
    packets = [facts(0.0), *oximeter(0, 400, 92, 115), *all_entered(1.0, resp_brpm=25)]
    packets.sort(key=lambda p: p.arrived_s)
    with PacketLogWriter(tmp_path / "night.hwl") as log:
        for packet in packets:
            log.append(packet)
    _, live = run(packets, 400.0)
    _, again = run(list(read(tmp_path / "night.hwl")), 400.0)

    assert live
    assert [encode_record(a) for a in live] == [encode_record(a) for a in again]


def test_an_apnoea_alarms_after_thirty_seconds_and_slow_breathing_before(tmp_path):
    path = tmp_path / "apnoea.toml"
    path.write_text(
        'title = "a"\nduration_s = 240\n[[events]]\nkind = "apnoea"\nat_s = 100\nfor_s = 60\n'
    )
    packets = simulated.packets(simulated.Settings(scenario=str(path)))
    _, alerts = run(packets, 240.0)
    story = [(a.state, a.at_s) for a in alerts if a.rule == "no_breath"]

    assert [state for state, _ in story][0::len(story) - 1] == [
        AlertState.RAISED, AlertState.LATCHED
    ]  # fmt: skip
    assert 125.0 <= story[0][1] <= 140.0
    assert 160.0 <= story[-1][1] <= 190.0


def test_each_patient_can_have_limits_of_their_own():
    low = {"limit_pct": 80.0, "delay_s": 15.0, "hold_s": 10.0}
    rules_of = {PATIENT: {"low_spo2": RuleSettings(low, Priority.MEDIUM)}}

    assert {a.rule for a in run(oximeter(0, 60, 86, 70), 60.0)[1]} == {"low_spo2"}
    assert run(oximeter(0, 60, 86, 70), 60.0, rules_of=rules_of)[1] == []
    other = {"somebody": rules_of[PATIENT]}
    assert {a.rule for a in run(oximeter(0, 60, 86, 70), 60.0, rules_of=other)[1]} == {"low_spo2"}


def test_a_rule_that_one_patient_does_not_want_watches_the_others():
    off = RuleSettings({"limit_pct": 88.0, "delay_s": 15.0, "hold_s": 10.0}, Priority.MEDIUM, False)
    packets = oximeter(0, 60, 86, 70)

    assert run(packets, 60.0, rules_of={PATIENT: {"low_spo2": off}})[1] == []
    assert run(packets, 60.0, rules_of={"somebody": {"low_spo2": off}})[1]


@pytest.mark.parametrize(("well_s", "ill_s"), [(0.1, 0.9), (0.9, 0.1)])
def test_of_two_oximeters_the_one_that_is_well_does_not_hide_the_other(well_s, ill_s):
    two = [
        msgspec.structs.replace(clip(s + at_s, spo2_pct, pulse_bpm), source=name)
        for s in range(30)
        for name, at_s, spo2_pct, pulse_bpm in (("a", well_s, 97, 70), ("b", ill_s, 80, 160))
    ]
    _, alerts = run(two, 30.0)

    assert {a.rule for a in alerts} == {"very_low_spo2", "low_spo2", "very_high_hr"}


def kept_of(watched, kept_s, **clock):
    return Kept(watched.alert_state(), kept_s, **clock)


def restarted(kept, at_s, packets, end_s):
    start = Packet("box", START, at_s, msgspec.json.encode(Start("run-2", alerts=kept)))
    watched = assemble(PipelineSettings(), "x", start_s=at_s)
    watched.advance([start, facts(at_s), *packets], end_s)
    return watched


ENTERED = (
    facts(0.0),
    *all_entered(1.0, valid_for_s=600.0),
    entry(2.0, "oxygen", "oxygen", 100.0),
    entry(3.0, "temp_degc", 38.5, 5000.0),
)


def test_a_restart_in_the_same_boot_keeps_what_was_entered_until_it_expires():
    before = run([*ENTERED, *oximeter(0, 50, 95, 95)], 50.0)[0]
    kept = kept_of(before, 50.0, same_boot=True)
    after = restarted(kept, 60.0, oximeter(60, 90, 95, 95), 90.0)
    unbroken = run([*ENTERED, *oximeter(0, 90, 95, 95)], 90.0)[0]

    assert vitals(after)["news2_n_missing"] == 0.0
    for name in ("news2_lower", "news2_upper", "news2_age_s", "news2_oxygen_points"):
        assert vitals(after)[name] == vitals(unbroken)[name], name
    after.advance(oximeter(90, 110, 95, 95), 110.0)
    assert math.isnan(vitals(after)["news2_oxygen_points"])  # expired meanwhile


def test_what_was_entered_moves_to_the_clock_of_the_next_boot():
    before = run([*ENTERED, *oximeter(0, 50, 95, 95)], 50.0)[0]
    kept = kept_of(before, 50.0, same_boot=False, away_s=20.0)
    # 70 s after the entries' own clock began, another boot is 8 s old.
    after = restarted(kept, 8.0, oximeter(8, 28, 95, 95), 28.0)

    assert vitals(after)["news2_n_missing"] == 0.0
    assert vitals(after)["news2_age_s"] == 90.0 - 1.0
    after.advance(oximeter(28, 48, 95, 95), 48.0)
    assert math.isnan(vitals(after)["news2_oxygen_points"])
    assert vitals(after)["news2_temp_points"] == 1.0


def test_where_nobody_knows_how_long_it_was_off_nothing_entered_is_known_any_more():
    before = run([*ENTERED, *oximeter(0, 50, 95, 95)], 50.0)[0]
    kept = kept_of(before, 50.0, same_boot=False, away_s=None)

    after = vitals(restarted(kept, 8.0, oximeter(8, 28, 95, 95), 28.0))
    assert after["news2_n_missing"] == 5.0
    assert after["news2_lower"] == 2.0


def test_a_second_start_does_not_bring_back_what_was_entered():
    kept = kept_of(run(ENTERED, 50.0)[0], 50.0, same_boot=True)
    again = Packet("box", START, 61.0, msgspec.json.encode(Start("run-3", alerts=kept)))
    after = restarted(None, 60.0, [again, *oximeter(60, 90, 95, 95)], 90.0)

    assert vitals(after)["news2_n_missing"] == 5.0


def test_there_is_something_to_keep_when_somebody_entered_or_a_cuff_measured():
    assert run([facts(0.0), *oximeter(0, 20, 97, 70)], 20.0)[0].n_entered == 0
    assert run([facts(0.0), entry(1.0, "oxygen", "air")], 20.0)[0].n_entered == 1


LEAD_OFF_THEN_APNOEA = """
title = "An electrode is off for six seconds; a minute later breath stops"
duration_s = 200
devices = ["board"]
[[events]]
kind = "electrode_off"
at_s = 60
for_s = 6
[[events]]
kind = "apnoea"
at_s = 120
for_s = 60
"""


def test_breath_that_stops_is_found_after_an_electrode_was_off(tmp_path):
    path = tmp_path / "off.toml"
    path.write_text(LEAD_OFF_THEN_APNOEA)
    packets = list(simulated.packets(simulated.Settings(scenario=str(path))))
    _, alerts = run(packets, 200.0)

    assert next(a.state for a in alerts if a.rule == "no_breath") is AlertState.RAISED
    assert not any(a.rule in ("asystole", "frozen_value") for a in alerts)
