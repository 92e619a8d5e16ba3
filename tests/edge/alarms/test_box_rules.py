"""What watches over the box: told by packets, said within ten seconds, one alert a fault."""

from __future__ import annotations

import itertools
import math
from typing import Any

import msgspec
import pytest

import edge.alarms
from edge.alarms import Rule, Scope
from edge.assemble import assemble
from edge.discover import discover
from edge.events import HEALTH, MAX_FACTS, BoxHealth, tell
from edge.pipeline import PipelineSettings, RuleSettings
from edge.readers import simulated
from edge.records import (
    AlarmEvent,
    Alert,
    AlertState,
    Kind,
    Packet,
    Priority,
    Summary,
    encode_record,
)
from tests.edge.alarms.box_night import DUE_S, FINE, BoxNight

BOX_RULES = [r for r in discover(edge.alarms, "RULE", Rule) if r.scope is Scope.BOX]
LOW, MEDIUM, HIGH = Priority.LOW, Priority.MEDIUM, Priority.HIGH

FAULTS: list[tuple[str, dict[str, Any], str, Priority]] = [
    ("clock_unset", {"clock_synced_flag": 0.0, "clock_set_flag": 0.0}, "", MEDIUM),
    ("clock_unset", {"clock_synced_flag": 0.0}, "", LOW),
    ("disk_low", {"disk_free_pct": 10.0}, "", LOW),
    ("disk_low", {"disk_free_pct": 5.0}, "", MEDIUM),
    ("disk_low", {"rationed_flag": 1.0}, "", MEDIUM),
    ("over_heat", {"cpu_degc": 80.0}, "", LOW),
    ("over_heat", {"cpu_degc": 85.0}, "", MEDIUM),
    ("memory_short", {"memory_free_pct": 8.0}, "", LOW),
    ("memory_short", {"memory_free_pct": 5.0}, "", MEDIUM),
    ("under_voltage", {"undervoltage_flag": 1.0}, "", MEDIUM),
    ("cannot_record", {}, "store_fails_s", MEDIUM),
    ("cannot_record", {}, "locked_fails_s", MEDIUM),
    ("cannot_record", {}, "disk_fails_s", MEDIUM),
    ("cannot_record", {}, "given_up_fails_s", MEDIUM),
    ("cannot_record", {}, "log_fails_s", LOW),
    ("vault_down", {}, "vault_key_fails_s", LOW),
    ("vault_down", {}, "vault_write_fails_s", LOW),
    ("vault_down", {}, "vault_stuck_fails_s", LOW),
    ("vault_down", {}, "vault_lost_fails_s", LOW),
    ("cannot_be_heard", {}, "unheard_fails_s:sound", MEDIUM),
    ("cannot_be_heard", {"unheard_fails_s__gpio": None}, "unheard_fails_s:sound", HIGH),
    ("cannot_notify", {}, "notices_fails_s", MEDIUM),
    ("box_blind", {}, "look_fails_s:disk", MEDIUM),
]
"""Rule, what is told, what fails since then, and how urgent that is."""


@pytest.mark.parametrize(
    ("rule", "facts", "since", "priority"), FAULTS, ids=lambda x: str(x) if x else "-"
)
def test_a_fault_is_an_alert_within_ten_seconds_and_ends_when_it_is_mended(
    rule: str, facts: dict[str, Any], since: str, priority: Priority
) -> None:
    night = BoxNight()
    night.say()
    night.live(5.0)
    assert night.records == []
    # The cause, as late in a second as it can be; and one look passes before it is told.
    night.live(0.25)
    cause_s = night.now_s
    night.live(2.0)
    night.say({since: cause_s} if since else {}, **facts)
    spent_s = 2.0 + night.until(rule)
    assert spent_s <= DUE_S

    (alert,) = night.pipeline.live().alerts
    assert (alert.rule, alert.patient, alert.kind) == (rule, "", Kind.TECHNICAL)
    assert alert.priority is priority
    signal = night.pipeline.signal(night.now_s)
    assert signal.audible
    assert signal.category.value == "equipment"
    assert alert.reason
    assert alert.evidence
    mended = {} if not since else {f: v for f, v in facts.items() if v is None}
    night.say(**mended)
    night.live(75.0)
    assert night.pipeline.live().alerts == ()
    assert [state for _, state in night.stories()] == ["raised", "ended"]


def test_every_rule_of_the_box_is_tried_above() -> None:
    tried = {rule for rule, *_ in FAULTS} | {"sync_stale"}
    tried |= {"self_test_failed", "self_test_overdue"}  # test_self_test_rules.py
    tried |= {"store_damaged"}
    assert {rule.name for rule in BOX_RULES} <= tried


def test_a_way_without_a_network_is_told_at_once_only_where_something_waits() -> None:
    night = BoxNight()
    cut_s = night.now_s
    night.say({"idle_way_fails_s": cut_s})
    night.live(299.0)
    assert night.records == []
    night.say()
    night.live(60.0)
    assert night.records == []  # the line was back before anybody was untold
    cut_s = night.now_s
    night.say({"idle_way_fails_s": cut_s})
    night.live(100.0)
    night.say({"notices_fails_s": cut_s}, notices_fails_s=None)
    assert night.until("cannot_notify") <= DUE_S


def test_damaged_records_are_told_at_once_and_until_somebody_has_seen_it() -> None:
    night = BoxNight()
    night.say(damaged_flag=0.0)
    night.live(5.0)
    night.say(damaged_flag=1.0)
    assert night.until("store_damaged") <= DUE_S
    assert night.standing()["store_damaged"].priority is LOW
    night.say(damaged_flag=0.0)
    night.live(3600.0)
    alert = night.standing()["store_damaged"]
    night.answer("acknowledge", alert_id=alert.id)
    night.live(75.0)
    assert night.standing() == {}


def test_what_waits_to_leave_the_box_is_told_after_an_hour_and_rises_after_half_a_day() -> None:
    night = BoxNight()
    waits_since_s = night.now_s
    night.say({"unsent_s": waits_since_s})
    night.live(3599.0)
    assert night.records == []
    assert night.until("sync_stale") <= DUE_S
    assert night.standing()["sync_stale"].priority is LOW
    night.live(43200.0 - 3600.0)
    assert night.standing()["sync_stale"].priority is MEDIUM


@pytest.mark.parametrize("rule", BOX_RULES, ids=lambda rule: rule.name)
def test_nothing_told_of_a_part_of_the_box_says_neither_present_nor_absent(rule: Rule) -> None:
    seen = edge.alarms.Features("", 0.0, 1.0, {})
    _, finding = rule.step(rule.start, seen, None, rule.settings)

    assert finding.present is None
    assert rule.kind is Kind.TECHNICAL


def test_a_box_of_which_nothing_is_told_is_not_asked() -> None:
    night = BoxNight()
    night.live(100.0)

    assert night.records == []
    assert night.pipeline.live().box == {}


def test_a_fault_that_is_not_told_of_any_more_does_not_end() -> None:
    night = BoxNight()
    night.say(disk_free_pct=4.0)
    night.live(2.0)
    night.say(disk_free_pct=None)
    night.live(60.0)

    alert = night.standing()["disk_low"]
    assert "cannot tell for" in alert.reason


@pytest.mark.parametrize(
    ("rule", "fact", "values"),
    [
        ("disk_low", "disk_free_pct", (5.0, 6.0)),
        ("disk_low", "disk_free_pct", (10.0, 11.0)),
        ("over_heat", "cpu_degc", (80.0, 76.0)),
        ("over_heat", "cpu_degc", (85.0, 81.0)),
        ("memory_short", "memory_free_pct", (5.0, 7.0)),
        ("under_voltage", "undervoltage_flag", (1.0, 0.0)),
    ],
)
@pytest.mark.parametrize("every_s", [1.0, 5.0, 31.0])
def test_what_trembles_around_a_limit_is_one_episode(
    rule: str, fact: str, values: tuple[float, float], every_s: float
) -> None:
    night = BoxNight()
    for value in itertools.islice(itertools.cycle(values), int(600 / every_s)):
        night.say(**{fact: value})
        night.live(every_s)

    assert [alert.rule for alert in night.raised()] == [rule]
    assert AlertState.ENDED not in {alert.state for alert in night.records}


def test_a_part_that_fails_again_and_again_is_one_episode() -> None:
    night = BoxNight()
    for _ in range(60):
        night.say({"store_fails_s": night.now_s})
        night.live(5.0)
        night.say()
        night.live(5.0)

    assert [alert.rule for alert in night.raised()] == ["cannot_record"]
    assert AlertState.ENDED not in {alert.state for alert in night.records}


def test_what_becomes_worse_sounds_again_although_somebody_has_answered() -> None:
    night = BoxNight()
    night.say(disk_free_pct=9.0)
    night.live(2.0)
    alert = night.standing()["disk_low"]
    night.answer("acknowledge", alert_id=alert.id)
    assert not night.pipeline.signal(night.now_s).audible
    night.say(disk_free_pct=4.0)
    night.live(2.0)

    assert night.pipeline.signal(night.now_s).audible
    assert night.standing()["disk_low"].id == alert.id
    assert night.standing()["disk_low"].priority is MEDIUM


def test_a_second_fault_of_the_same_rule_is_news_after_an_answer() -> None:
    night = BoxNight()
    night.say({"unheard_fails_s:sound": night.now_s})
    night.live(3.0)
    first = night.standing()["cannot_be_heard"]
    night.answer("acknowledge", alert_id=first.id)
    night.say({"unheard_fails_s:sound": night.now_s, "unheard_fails_s:gpio": night.now_s})
    night.live(3.0)
    second = night.standing()["cannot_be_heard"]

    assert second.id != first.id
    assert (second.priority, second.state) == (HIGH, AlertState.RAISED)
    assert "no alarm can be heard or seen" in second.reason


def test_a_rule_that_is_set_to_less_is_never_more() -> None:
    settings = RuleSettings({"bad_pct": 10.0, "worse_pct": 5.0, "margin_pct": 2.0}, LOW)
    quiet = msgspec.structs.replace(settings, priority=Priority.INFORMATION)
    for told, expected in ((settings, LOW), (quiet, Priority.INFORMATION)):
        night = BoxNight(rules={"disk_low": told})
        for free_pct in (9.0, 4.0):
            night.say(disk_free_pct=free_pct)
            night.live(2.0)
            assert night.standing()["disk_low"].priority is expected


def test_a_rule_of_the_box_that_is_switched_off_says_nothing() -> None:
    off = RuleSettings({"bad_pct": 10.0, "worse_pct": 5.0, "margin_pct": 2.0}, LOW, enabled=False)
    night = BoxNight(rules={"disk_low": off})
    night.say(disk_free_pct=1.0)
    night.live(20.0)

    assert night.records == []


def test_the_clock_is_given_time_to_be_set_after_the_box_was_switched_on() -> None:
    night = BoxNight(start_s=20.0)
    night.say(clock_synced_flag=0.0, clock_set_flag=0.0)
    night.live(69.0)
    assert night.records == []
    assert night.until("clock_unset") <= DUE_S


def test_an_alert_of_the_box_is_of_no_patient_and_changes_no_summary() -> None:
    packets = list(simulated.packets(simulated.Settings(scenario="quiet", duration_s=130.0)))
    fault = tell(HEALTH, BoxHealth({"disk_free_pct": 1.0}), 30.0)
    both = sorted([*packets, fault], key=lambda p: p.arrived_s)
    plain = assemble(PipelineSettings(), "one").advance(packets, 130.0).records
    watched = assemble(PipelineSettings(), "one")
    records = watched.advance(both, 130.0).records

    alert = next(r for r in records if isinstance(r, Alert) and r not in plain)
    assert (alert.patient, alert.rule) == ("", "disk_low")
    ours = Alert, AlarmEvent
    rest = [r for r in records if not (isinstance(r, ours) and r.patient == "")]
    assert [encode_record(r) for r in rest] == [encode_record(r) for r in plain]
    assert {r.patient for r in records if isinstance(r, Summary)} == {"patient-1"}
    assert [p.patient for p in watched.live().patients] == ["patient-1"]


def test_a_pause_of_one_patient_does_not_cover_the_box_and_one_of_everybody_does() -> None:
    night = BoxNight()
    night.say(disk_free_pct=1.0)
    night.live(2.0)
    for patient, audible in (("p1", True), ("", False)):
        night.answer("pause_audio", patient=patient, priority="high")
        assert night.pipeline.signal(night.now_s).audible is audible


def test_what_was_told_replays_and_a_start_goes_on_with_it() -> None:
    night = BoxNight()
    for value in (60.0, 9.0, 4.0):
        night.say(disk_free_pct=value)
        night.live(7.25)
    again = assemble(PipelineSettings(), "box", start_s=1000.0)
    records = again.advance(night.packets, night.now_s).records

    assert [encode_record(r) for r in records if isinstance(r, Alert)] == [
        encode_record(r) for r in night.records
    ]


def test_health_that_cannot_be_read_is_noted_and_the_last_one_counts() -> None:
    night = BoxNight()
    night.say(disk_free_pct=4.0)
    too_many = {f"look_fails_s:{n}": 0.0 for n in range(MAX_FACTS + 1)}
    for payload in (b"{", b'{"facts":{"cpu_degc":null}}', msgspec.json.encode({"facts": too_many})):
        night._take(Packet("box", HEALTH, night.now_s, payload))
    night.live(2.0)

    assert len(night.pipeline.live().notes) == 3
    assert night.pipeline.live().box == {**FINE, "disk_free_pct": 4.0}
    assert "disk_low" in night.standing()


def test_ages_are_of_the_moment_and_never_negative() -> None:
    told = BoxHealth({"cpu_degc": 50.0}, {"store_fails_s": 100.0})

    assert told.at(104.5) == {"cpu_degc": 50.0, "store_fails_s": 4.5}
    assert told.at(90.0)["store_fails_s"] == 0.0
    assert not any(math.isnan(value) for value in told.at(0.0).values())
