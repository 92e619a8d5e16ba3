"""The last packets of a box, within a bound, readable from any file on."""

import msgspec

from edge.events import (
    ASSIGN,
    BEGUN_LIMITS,
    LIMIT,
    PERSON,
    Assignment,
    BegunLimits,
    Limits,
    RuleLimits,
    tell,
)
from edge.packetlog import RollingLog, read
from edge.packetlog.rolling import LEAST_BYTES
from edge.pipeline import START, Kept, Start
from edge.records import LimitAct, Packet, Role
from edge.whatif.nights import from_logs

BOUND = 4 * LEAST_BYTES


def files(folder):
    return sorted(folder.glob("*.hwl"))


def a_run(folder, run_id, n_mb, at_s=0.0, wave=b"x" * 10_000):
    log = RollingLog(folder, BOUND)
    kept = Kept(b"state", 1.0, same_boot=True)
    start = Start(run_id, alerts=kept)
    packets = [
        Packet("box", START, at_s, msgspec.json.encode(start)),
        tell(ASSIGN, Assignment("strap", "p2"), at_s),
    ]
    packets += [Packet("strap", "wave", at_s + 1.0 + i, wave) for i in range(n_mb * 100)]
    for packet in packets:
        log.append(packet)
    log.close()
    return packets


def test_all_files_together_stay_within_the_bound_and_hold_the_newest(tmp_path):
    packets = a_run(tmp_path, "run", 12)
    assert sum(f.stat().st_size for f in files(tmp_path)) <= BOUND + LEAST_BYTES + 300_000
    kept = [p for f in files(tmp_path) for p in read(f) if p.stream == "wave"]
    assert kept == packets[-len(kept) :]
    assert len(kept) > 250


def test_a_past_whose_beginning_is_gone_knows_its_run_and_whose_the_sources_are(tmp_path):
    packets = a_run(tmp_path, "run", 12)
    (night,) = from_logs(files(tmp_path), None)
    found = list(night.packets)
    assert night.run_id == "run"
    assert [p.stream for p in found[:2]] == [START, ASSIGN]
    assert msgspec.json.decode(found[0].payload, type=Start).alerts is None  # of another moment
    assert found[0].arrived_s <= found[2].arrived_s
    assert [p for p in found if p.stream == "wave"] == packets[-(len(found) - 2) :]


def test_a_whole_past_is_what_was_written_and_nothing_is_said_twice(tmp_path):
    first = a_run(tmp_path, "one", 2)
    second = a_run(tmp_path, "two", 1, at_s=10.0)
    nights = [(n.run_id, list(n.packets)) for n in from_logs(files(tmp_path), None)]
    assert nights == [("one", first), ("two", second)]
    assert len(files(tmp_path)) >= 3


def test_the_monitor_goes_on_counting_after_what_is_there(tmp_path):
    a_run(tmp_path, "one", 0)
    a_run(tmp_path, "two", 0)
    assert [f.name for f in files(tmp_path)] == ["00000001.hwl", "00000002.hwl"]


def test_a_past_whose_beginning_is_gone_knows_the_limits_that_were_set_meanwhile(tmp_path):
    log = RollingLog(tmp_path, BOUND)
    rules = {name: RuleLimits(enabled=True, values={"limit_pct": 88.0}) for name in ("a", "b")}
    off = {"a": RuleLimits(enabled=False, values={"limit_pct": 88.0})}
    said = Limits(LimitAct.SET, "p2", "Ann", Role.CLINICIAN, "x", off)
    log.append(Packet("box", START, 0.0, msgspec.json.encode(Start("run"))))
    log.append(tell(BEGUN_LIMITS, BegunLimits("p2", rules), 0.0))
    log.append(Packet(PERSON, LIMIT, 0.5, msgspec.json.encode(said)))
    for second in range(1200):
        log.append(Packet("strap", "wave", 1.0 + second, b"x" * 10_000))
    log.close()
    (night,) = from_logs(files(tmp_path), None)
    (begun,) = [p for p in night.packets if p.stream == BEGUN_LIMITS]
    assert msgspec.json.decode(begun.payload, type=BegunLimits).rules == {**rules, **off}
