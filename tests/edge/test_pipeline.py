"""The monitor is one function: the same packets give the same records, however they come."""

import hashlib
import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.assemble import assemble
from edge.packetlog import PacketLogWriter, read
from edge.pipeline import Kept, PipelineSettings, RuleSettings, Start
from edge.readers import replay, simulated
from edge.records import (
    AlarmEvent,
    Alert,
    AlertState,
    Beat,
    Gap,
    Outcome,
    Packet,
    Score,
    Summary,
    encode_record,
)

DATA = Path(os.environ.get("HOMEWARD_DATA", "../shared/data"))
RECORD_208 = DATA / "mitdb" / "208"
needs_208 = pytest.mark.skipif(
    not RECORD_208.with_suffix(".hea").exists(),
    reason="the recordings are not here: set HOMEWARD_DATA to the folder that holds mitdb",
)


class Fixed:
    """A model that calls a window abnormal by its shortest interval: small, and real."""

    def score(self, features):
        value = features.values.get("rr_min_ratio", float("nan"))
        return Score(
            features.patient, features.start_s, features.length_s, 1 - value, {}, 0.3, "fixed"
        )


def pipeline(**changes):
    return assemble(PipelineSettings(**changes), "test", scorer=Fixed())


def live(packets, end_s, *, step_s=0.25, **changes):
    """Feed packets as a daemon does, tick by tick; return all records."""
    watched, records, at = pipeline(**changes), [], 0
    packets = list(packets)
    n = round(end_s / step_s)
    for i in range(1, n + 1):
        now_s = i * step_s
        first = at
        while at < len(packets) and packets[at].arrived_s <= now_s:
            at += 1
        records += watched.advance(packets[first:at], now_s).records
    return records


def digest(records):
    return hashlib.sha256(b"\n".join(encode_record(r) for r in records)).hexdigest()


def simulate(scenario, **options):
    return list(simulated.packets(simulated.Settings(scenario=scenario, **options)))


def recording(chunk, to_s=120.0):
    return list(replay.packets(replay.ReplaySettings(path=str(RECORD_208), chunk=chunk, to_s=to_s)))


@needs_208
@pytest.mark.parametrize("chunk", [18, 100, 360, -1])
def test_a_recording_gives_the_same_records_however_it_is_cut(chunk):
    expected = digest(live(recording(0), 124.0))

    assert digest(live(recording(chunk), 124.0)) == expected


@needs_208
def test_a_recording_handed_over_at_once_gives_the_same_records():
    expected = digest(live(recording(36), 124.0))

    assert digest(pipeline().advance(recording(36), 124.0).records) == expected


@needs_208
def test_the_packet_log_of_a_recording_gives_the_same_records(tmp_path):
    with PacketLogWriter(tmp_path / "208.hwl") as log:
        for packet in recording(100):
            log.append(packet)

    from_log = digest(live(read(tmp_path / "208.hwl"), 124.0))

    assert from_log == digest(live(recording(100), 124.0))


def test_a_simulated_night_with_every_fault_is_the_same_twice_and_at_any_tick_rate():
    packets = simulate("faults", duration_s=240.0)
    expected = digest(live(packets, 244.0))

    assert digest(live(packets, 244.0)) == expected
    assert digest(live(packets, 244.0, step_s=1.0)) == expected
    assert digest(pipeline().advance(packets, 244.0).records) == expected


@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.floats(0.0, 60.0), max_size=10).map(sorted))
def test_a_late_daemon_makes_up_for_the_ticks_it_missed(cuts):
    packets = simulate("demo", duration_s=60.0)
    expected = digest(live(packets, 60.0))
    watched, records, at = pipeline(), [], 0

    for now_s in [*cuts, 60.0]:
        first = at
        while at < len(packets) and packets[at].arrived_s <= now_s:
            at += 1
        records += watched.advance(packets[first:at], now_s).records

    assert digest(records) == expected


def test_the_demo_raises_and_ends_what_its_scenario_plays():
    alerts = [r for r in live(simulate("demo"), 194.0) if isinstance(r, Alert)]
    raised = {a.rule for a in alerts if a.state is AlertState.RAISED}
    ended = {a.rule for a in alerts if a.state is AlertState.ENDED}

    assert {"very_low_spo2", "low_spo2", "lead_off"} <= raised
    assert {"very_low_spo2", "low_spo2", "lead_off"} <= ended


def test_silence_is_an_alert_within_ten_seconds():
    packets = [p for p in simulate("quiet", duration_s=60.0) if p.arrived_s < 30.0]
    alerts = [r for r in live(packets, 60.0) if isinstance(r, Alert)]
    lost = next(a for a in alerts if a.rule == "signal_lost")

    assert lost.state is AlertState.RAISED
    assert 30.0 < lost.at_s <= 40.0
    assert not any(a.rule == "asystole" for a in alerts)


def test_a_rule_that_is_switched_off_says_nothing():
    off = {"very_low_spo2": RuleSettings({}, msgspec.UNSET, enabled=False)}
    alerts = [r for r in live(simulate("demo"), 120.0, rules=off) if isinstance(r, Alert)]

    assert "low_spo2" in {a.rule for a in alerts}
    assert "very_low_spo2" not in {a.rule for a in alerts}


def test_a_persons_answer_is_a_packet_like_any_other():
    packets = simulate("demo", duration_s=90.0)
    first = next(r for r in live(packets, 60.0) if isinstance(r, Alert))
    answer = json.dumps({"action": "acknowledge", "alert_id": first.id, "by": "Ana"}).encode()
    packets = [p for p in packets if p.arrived_s <= 60.0] + [
        Packet("person", "person:answer", 60.0, answer),
        *[p for p in packets if p.arrived_s > 60.0],
    ]

    states = [
        (a.state, a.answered_by)
        for a in live(packets, 90.0)
        if isinstance(a, Alert) and a.id == first.id
    ]

    assert (AlertState.ACKNOWLEDGED, "Ana") in states


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b'{"action":"sing"}', b'{"action":"acknowledge","alert_id":"x","by":"y"}'],
)
def test_an_answer_that_fits_nothing_is_noted_and_changes_nothing(payload):
    watched = pipeline()
    watched.advance([Packet("person", "person:answer", 0.5, payload)], 1.0)

    assert "person:answer" in watched.live().notes[0]


def test_a_log_that_begins_with_its_run_makes_the_alert_ids_again():
    start = Packet("box", "box:start", 0.0, b'{"run_id":"the-night"}')
    packets = simulate("demo", duration_s=60.0)
    ids = [a.id for a in live([start, *packets], 60.0) if isinstance(a, Alert)]
    other = [a.id for a in live(packets, 60.0) if isinstance(a, Alert)]

    assert ids
    assert not set(ids) & set(other)


def said(at_s, **answer):
    return Packet("person", "person:answer", at_s, json.dumps(answer).encode())


def with_answers(packets, *answers):
    return sorted([*packets, *answers], key=lambda p: p.arrived_s)


PEOPLE = (
    said(30.1, action="pause_audio", by="Ann", lasts_s=20.0),
    said(45.0, action="hand_off", by="Ann", to="Bob"),
    said(60.0, action="audio_off", by="Bob", priority="low"),
    said(62.0, action="pause_alarms", by="Bob", lasts_s=30.0),
    said(70.0, action="resume", by="Bob"),
)


def test_a_night_replays_with_its_pauses_watches_and_steps():
    packets = with_answers(simulate("demo", duration_s=150.0), *PEOPLE)
    records = live(packets, 150.0)
    acts = [r.act.value for r in records if isinstance(r, AlarmEvent)]

    assert [act for act in acts if act != "escalated"] == [
        *("audio_paused", "handed_off", "rearmed", "audio_off", "alarms_paused"),
        *("rearmed", "rearmed"),
    ]
    assert "escalated" in acts
    assert digest(live(packets, 150.0, step_s=1.0)) == digest(records)
    assert digest(pipeline().advance(packets, 150.0).records) == digest(records)


def test_a_pause_changes_no_alert_only_what_is_heard():
    packets = simulate("demo", duration_s=90.0)
    pause = said(30.0, action="pause_alarms", by="Ann", priority="high")
    quiet, loud = pipeline(), pipeline()
    alerts = [
        [r for r in one.advance(given, 90.0).records if isinstance(r, Alert)]
        for one, given in ((quiet, with_answers(packets, pause)), (loud, packets))
    ]

    assert alerts[0] == alerts[1]
    assert loud.signal(90.0).audible
    assert not quiet.signal(90.0).audible
    assert quiet.live().signal == quiet.signal(90.0)
    assert quiet.live().mutes[0].until_s == 150.0
    assert quiet.signal(150.0).audible


def test_a_start_goes_on_with_what_stood_and_so_does_its_replay():
    packets = simulate("demo", duration_s=150.0)
    first = pipeline()
    first.advance(with_answers(packets, said(55.0, action="pause_audio", by="Ann")), 60.0)
    stood = first.live()
    kept = Kept(first.alert_state(), 60.0, same_boot=True)
    start = Packet("box", "box:start", 65.0, msgspec.json.encode(Start("run-2", alerts=kept)))
    rest = [start, *[p for p in packets if p.arrived_s > 65.0]]

    def again():
        watched = assemble(PipelineSettings(), "x", scorer=Fixed(), start_s=65.0)
        return watched, watched.advance(rest, 70.0).records

    after, records = again()
    assert stood.alerts
    assert {a.id for a in stood.alerts} <= {a.id for a in after.live().alerts}
    assert after.live().mutes == stood.mutes
    assert digest(again()[1]) == digest(records)


def test_a_state_that_cannot_be_read_is_noted_and_the_monitor_begins_without():
    start = Start("run-2", alerts=Kept(b"rubbish", 0.0, same_boot=True))
    watched = pipeline()
    watched.advance([Packet("box", "box:start", 0.5, msgspec.json.encode(start))], 1.0)

    assert "stored alert state cannot be read" in watched.live().notes[0]
    alerts = [
        r
        for r in watched.advance(simulate("demo", duration_s=60.0), 60.0).records
        if isinstance(r, Alert)
    ]
    assert alerts


def test_a_start_of_before_is_still_read():
    payload = b'{"run_id":"the-night","version":"0.1.0","model_id":"m"}'

    assert msgspec.json.decode(payload, type=Start) == Start("the-night", "0.1.0", "m")


def test_broken_packets_are_counted_and_the_monitor_goes_on():
    packets = simulate("quiet", duration_s=70.0)
    broken = [
        msgspec.structs.replace(p, payload=p.payload[:-3] + b"\x01\x02\x03")
        if p.source == "sim:board" and 20 < p.arrived_s < 21 and i % 2
        else p
        for i, p in enumerate(packets)
    ]
    records = live(broken, 70.0)
    summary = next(r for r in records if isinstance(r, Summary))

    assert summary.n_broken > 0
    assert summary.n_gaps >= 1
    assert any(isinstance(r, Gap) and r.reason == "lost" for r in records)
    assert sum(isinstance(r, Beat) and r.at_s > 30 for r in records) > 30


def test_unknown_streams_are_counted_not_feared():
    watched = pipeline()

    assert not watched.advance([Packet("x", "nobody:knows", 0.1, b"\x00")], 1.0)
    assert watched.live().n_unknown == 1


def test_patients_share_nothing_but_the_box():
    one = simulate("demo", duration_s=60.0)
    two = [
        msgspec.structs.replace(p, source=f"b/{p.source}")
        for p in simulate("quiet", duration_s=60.0, seed=9)
    ]
    both = sorted([*one, *two], key=lambda p: p.arrived_s)
    names = {p.source: "patient-2" for p in two}
    records = live(both, 60.0, patient_of=names)

    alone = live(one, 60.0)

    assert digest([r for r in records if r.patient == "patient-1"]) == digest(alone)
    assert {r.patient for r in records} == {"patient-1", "patient-2"}


def test_a_source_is_given_to_a_patient_by_a_packet_of_the_box():
    packets = simulate("quiet", duration_s=20.0)
    said = b'{"source":"sim:board","patient":"patient-2"}'
    records = live([Packet("box", "box:assign", 0.0, said), *packets], 20.0)

    assert {r.patient for r in records if isinstance(r, Beat)} == {"patient-2"}


def test_an_empty_outcome_is_false():
    assert not Outcome()
    assert pipeline().advance([], 0.25).records == ()


def test_a_strap_alone_gives_beats_and_a_heart_rate():
    packets = simulate("quiet", duration_s=40.0, devices=("strap",))
    watched = pipeline()
    records = watched.advance(packets, 40.0).records
    beats = [r for r in records if isinstance(r, Beat)]

    assert len(beats) > 25
    assert all(b.sample_idx == -1 for b in beats)
    assert 40 < watched.live().patients[0].vitals["hr_bpm"] < 110
