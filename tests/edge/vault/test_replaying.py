"""The vault is a past like any other: replayed from a start it gives the records that were."""

import hashlib
import math
from itertools import chain

import msgspec
import pytest

from edge.assemble import assemble, open_scorer
from edge.cli._vault import LedUp
from edge.events import FACTS, Facts, tell
from edge.pipeline import START, Kept, PipelineSettings, Start
from edge.playback import replay_packets
from edge.readers import replay, simulated
from edge.records import Alert, AlertState, Packet, encode_record
from edge.vault import Bounds, VaultReport, WallSpan, forget_span, open_keys
from edge.vault.folder import destroy, segments
from edge.whatif.nights import WARM_UP_S, from_vault
from tests.edge.test_pipeline import RECORD_208, needs_208
from tests.edge.vault.kit import WALL_S, Clock, assign, write

BOUNDS = Bounds(segment_s=300.0)


def shifted(packets, by_s):
    return [msgspec.structs.replace(p, arrived_s=p.arrived_s + by_s) for p in packets]


def scenario(name, at_s=0.0, **options):
    return shifted(simulated.packets(simulated.Settings(scenario=name, **options)), at_s)


def begun(packets, run_id="run-1", kept=None):
    """Return a run as the daemon logs it: its start, what is known, and what entered."""
    at_s = packets[0].arrived_s
    start = Start(run_id, alerts=kept)
    known = tell(FACTS, Facts("patient-1", 70), at_s)
    return [Packet("box", START, at_s, msgspec.json.encode(start)), known, *packets]


def live(packets, *, begin_s=None, scorer=None):
    """Return the lines of the records, from `begin_s` on."""
    packets = iter(packets)
    first = next(packets)
    watched = assemble(PipelineSettings(), "x", scorer=scorer, start_s=math.floor(first.arrived_s))
    found = []
    led_up = LedUp(found.append, begin_s)
    replay_packets(chain([first], packets), watched, led_up, on_time=led_up.timed)
    return watched, found


def digest(records):
    return hashlib.sha256(b"\n".join(map(encode_record, records))).hexdigest()


def nights(tmp_path, span_s=None):
    report = VaultReport()
    return list(from_vault(tmp_path / "vault", open_keys(tmp_path), span_s, report))


@pytest.mark.parametrize("name", ["demo", "faults"])
def test_a_simulated_run_gives_the_same_records_byte_for_byte(tmp_path, name):
    given = begun(scenario(name, at_s=1000.0, duration_s=700.0))
    write(tmp_path, given, bounds=BOUNDS)
    (night,) = nights(tmp_path)
    assert night.run_id == "run-1"
    assert digest(live(night.packets)[1]) == digest(live(given)[1])


def test_a_restart_goes_on_with_what_stood_and_gives_the_same_records(tmp_path):
    first = begun(scenario("demo", at_s=1000.0, duration_s=100.0))
    watched, _ = live(first)
    kept = Kept(watched.alert_state(), 1100.0, same_boot=True)
    second = begun(scenario("demo", at_s=1200.0, duration_s=150.0), "run-2", kept)
    write(tmp_path, first, bounds=BOUNDS)
    write(tmp_path, second, Clock(1200.0), bounds=BOUNDS)
    one, two = nights(tmp_path)
    assert (one.run_id, two.run_id) == ("run-1", "run-2")
    assert digest(live(two.packets)[1]) == digest(live(second)[1])


@needs_208
def test_a_real_recording_gives_the_same_records_byte_for_byte(tmp_path):
    settings = replay.ReplaySettings(path=str(RECORD_208), chunk=36, to_s=600.0)
    given = begun(shifted(replay.packets(settings), 0.0))
    write(tmp_path, given, Clock(0.0), bounds=BOUNDS)
    (night,) = nights(tmp_path)
    scorer = open_scorer()
    assert digest(live(night.packets, scorer=scorer)[1]) == digest(live(given, scorer=scorer)[1])


def alerts(records, begin_s, settled_s=60.0):
    """Return what was raised, when: not what stood already, nor what the warm-up still weighs."""
    return [
        (a.rule, a.patient, a.priority, a.at_s)
        for a in records
        if isinstance(a, Alert) and a.state is AlertState.RAISED and a.at_s >= begin_s + settled_s
    ]


def test_a_span_from_the_middle_of_a_simulated_night_gives_the_same_alerts(tmp_path):
    parts = [scenario(n, at_s=s) for n, s in (("arrhythmia", 1000.0), ("faults", 1800.0))]
    given = begun([*[p for p in parts[0] if p.arrived_s < 1790.0], *parts[1]])
    write(tmp_path, given, bounds=BOUNDS)
    (night,) = nights(tmp_path, 850.0)
    assert night.begin_s - WARM_UP_S > given[0].arrived_s + 100.0
    whole = alerts(live(given)[1], night.begin_s, 0.0)
    span = alerts(live(night.packets, begin_s=night.begin_s)[1], night.begin_s, 0.0)
    assert span == whole
    assert len(whole) > 3


@needs_208
@pytest.mark.parametrize("record", ["205", "207", "208"])
def test_a_span_from_the_middle_of_a_real_recording_gives_the_same_alerts(tmp_path, record):
    settings = replay.ReplaySettings(path=str(RECORD_208.parent / record), chunk=36)
    given = begun(list(replay.packets(settings)))
    write(tmp_path, given, Clock(0.0), bounds=BOUNDS)
    (night,) = nights(tmp_path, 900.0)
    assert night.begin_s > WARM_UP_S + 200.0
    scorer = open_scorer()
    whole = alerts(live(given, scorer=scorer)[1], night.begin_s, 0.0)
    span = alerts(live(night.packets, begin_s=night.begin_s, scorer=scorer)[1], night.begin_s, 0.0)
    assert span == whole
    assert len(whole) >= 2


def test_a_short_span_reads_only_the_last_segments_and_knows_whose_the_sources_are(tmp_path):
    given = begun([assign(1000.0), *scenario("quiet", at_s=1000.0, duration_s=1500.0)])
    write(tmp_path, given, bounds=BOUNDS)
    report = VaultReport()
    (night,) = from_vault(tmp_path / "vault", open_keys(tmp_path), 30.0, report)
    found = list(night.packets)
    assert [p.stream for p in found[:3]] == [START, FACTS, "box:assign"]
    assert night.run_id == "run-1"
    assert report.n_segments <= 4


def test_where_whole_segments_are_gone_a_new_night_begins_with_what_stood(tmp_path):
    given = begun([assign(1000.0), *scenario("quiet", at_s=1000.0, duration_s=1500.0)])
    write(tmp_path, given, bounds=BOUNDS)
    span = WallSpan(WALL_S + 200.0, WALL_S + 1100.0)
    told = forget_span(tmp_path / "vault", open_keys(tmp_path), span)
    assert told.n_destroyed >= 2
    assert [p.stream for p in list(nights(tmp_path)[1].packets)[:3]] == [START, FACTS, "box:assign"]
    destroy(segments(tmp_path / "vault")[0])
    (left,) = nights(tmp_path)
    assert [p.stream for p in list(left.packets)[:3]] == [START, FACTS, "box:assign"]
    assert left.run_id == "run-1"


def test_after_what_was_forgotten_the_same_run_is_another_night(tmp_path):
    given = begun([assign(1000.0), *scenario("quiet", at_s=1000.0, duration_s=600.0)])
    write(tmp_path, given, bounds=BOUNDS)
    span = WallSpan(WALL_S + 200.0, WALL_S + 400.0)
    forget_span(tmp_path / "vault", open_keys(tmp_path), span)
    one, two = nights(tmp_path)
    assert (one.run_id, two.run_id) == ("run-1", "run-1")
    assert one.end_s < 1200.0
    assert 1400.0 <= two.begin_s < 1402.0
    _, records = live(two.packets)
    assert not any(isinstance(r, Alert) and r.rule == "signal_lost" for r in records)
    assert [p.stream for p in list(nights(tmp_path)[1].packets)[:3]] == [START, FACTS, "box:assign"]
