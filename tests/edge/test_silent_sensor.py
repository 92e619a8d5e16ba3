"""Of two sensors the one that alarms falls silent: the other's good number ends nothing.

Losing the sensor cures no one (DESIGN 1), sensor by sensor: until it speaks again, is taken away,
or a person has answered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

import edge.alarms
import edge.features
from edge.alarms import Rule
from edge.decoders import Decoder
from edge.discover import discover
from edge.events import ASSIGN, LINK, Assignment, LinkTold, tell
from edge.features import FeatureFamily
from edge.pipeline import ANSWER, Pipeline, PipelineSettings, RuleSettings
from edge.pipeline.past import Past, Refold
from edge.records import (
    AlarmEvent,
    Alert,
    AlertState,
    LinkState,
    Packet,
    Priority,
    Record,
    Samples,
    encode_record,
)

SILENT_S, END_S = 90.0, 240.0
FEATURES = discover(edge.features, "FEATURES", FeatureFamily)
RULES = discover(edge.alarms, "RULE", Rule)


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Decode ``signal value``."""
    signal, value = packet.payload.decode().split()
    return (Samples(signal, packet.arrived_s, 0.0, np.array([float(value)], np.float32)),)


NUMBERS = Decoder(
    "test", ("test",), ("spo2_pct", "pulse_bpm", "hr_bpm", "resp_brpm"), lambda: decode
)


def says(
    source: str, value: float, from_s: float, to_s: float, signal: str = "spo2_pct"
) -> list[Packet]:
    """Return a number every second, that trembles as a measured one does."""
    late_s = 0.3 if source == "a" else 0.7
    return [
        Packet(source, "test", at_s + late_s, f"{signal} {value + 0.1 * (at_s % 3)}".encode())
        for at_s in range(int(from_s), int(to_s))
    ]


def monitor(packets: Sequence[Packet], end_s: float = END_S, step_s: float = END_S) -> list[Record]:
    pipeline = Pipeline(PipelineSettings(), [NUMBERS], FEATURES, RULES, None, "run")
    waiting = sorted(packets, key=lambda packet: packet.arrived_s)
    records: list[Record] = []
    for n in range(1, round(end_s / step_s) + 1):
        now_s = n * step_s
        records += pipeline.advance([p for p in waiting if p.arrived_s <= now_s], now_s).records
        waiting = [p for p in waiting if p.arrived_s > now_s]
    return records


def course(records: Sequence[Record], rule: str) -> list[tuple[AlertState, float]]:
    """Return when alerts of a rule were raised, answered and ended."""
    told = [r for r in records if isinstance(r, Alert) and r.rule == rule]
    return [(r.state, r.at_s) for r in told if r.state is not AlertState.ACTIVE]


def states(records: Sequence[Record], rule: str) -> list[AlertState]:
    return [state for state, _ in course(records, rule)]


def answered(records: Sequence[Record], rule: str, at_s: float) -> Packet:
    alert = next(r for r in records if isinstance(r, Alert) and r.rule == rule)
    payload = {"action": "acknowledge", "alert_id": alert.id, "by": "Ana"}
    return Packet("person", ANSWER, at_s, json.dumps(payload).encode())


A_FALLS = [*says("a", 97, 0, 30), *says("a", 80, 30, SILENT_S)]
B_IS_WELL = says("b", 97, 0, END_S)
LOST = [*A_FALLS, *B_IS_WELL]


def test_the_alert_of_a_clip_that_falls_silent_stands() -> None:
    records = monitor(LOST)

    assert states(records, "low_spo2") == [AlertState.RAISED]
    assert states(records, "very_low_spo2") == [AlertState.RAISED]
    assert states(records, "sensor_silent") == [AlertState.RAISED]


@pytest.mark.parametrize(
    ("signal", "rule", "fine", "beyond"),
    [
        ("hr_bpm", "very_high_hr", 72, 160),
        ("hr_bpm", "low_hr", 72, 45),
        ("pulse_bpm", "high_hr", 72, 130),
        ("resp_brpm", "low_resp", 14, 7),
        ("resp_brpm", "high_resp", 14, 40),
    ],
)
def test_so_it_does_of_any_number_that_several_sensors_tell(
    signal: str, rule: str, fine: float, beyond: float
) -> None:
    packets = [*says("a", beyond, 0, SILENT_S, signal), *says("b", fine, 0, END_S, signal)]

    assert states(monitor(packets), rule) == [AlertState.RAISED]
    again = says("a", fine, SILENT_S + 40.0, END_S, signal)
    assert states(monitor([*packets, *again]), rule) == [AlertState.RAISED, AlertState.ENDED]


def test_it_ends_when_the_clip_speaks_again_and_says_that_all_is_well() -> None:
    ended = course(monitor([*LOST, *says("a", 96, 150, END_S)]), "low_spo2")[-1]

    assert ended[0] is AlertState.ENDED
    assert 150.0 < ended[1] < 165.0


def test_no_contact_cures_no_one_either() -> None:
    no_value = [Packet("a", "test", at_s, b"spo2_pct nan") for at_s in np.arange(90.3, 95.0)]

    assert states(monitor([*LOST, *no_value]), "low_spo2") == [AlertState.RAISED]


@pytest.mark.parametrize(
    "told",
    [
        [
            tell(LINK, LinkTold("a", LinkState.CONNECTED), 0.5),
            tell(LINK, LinkTold("a", LinkState.REMOVED), 150.0),
        ],
        [tell(ASSIGN, Assignment("a", "p2"), 150.0)],
    ],
    ids=["removed", "another patient's"],
)
def test_it_ends_when_a_person_took_the_clip_away(told: list[Packet]) -> None:
    ended = course(monitor([*LOST, *told]), "low_spo2")[-1]

    assert ended[0] is AlertState.ENDED
    assert 150.0 < ended[1] < 165.0


@pytest.mark.parametrize("at_s", [70.0, 150.0], ids=["while it spoke", "while it was silent"])
def test_it_ends_once_a_person_has_answered_and_the_next_fall_is_a_new_alert(at_s: float) -> None:
    falls = [*says("b", 97, 0, 180), *says("b", 80, 180, END_S)]
    packets = [*A_FALLS, *falls]
    records = monitor([*packets, answered(monitor(packets), "low_spo2", at_s)])

    assert states(records, "low_spo2") == [
        AlertState.RAISED,
        AlertState.ACKNOWLEDGED,
        AlertState.ENDED,
        AlertState.RAISED,
    ]
    assert states(records, "very_low_spo2") == [AlertState.RAISED]


def test_a_clip_put_away_before_holds_no_alert_of_another() -> None:
    put_away = [*says("a", 97, 0, 20), *says("a", 80, 20, 25)]
    other = [*says("b", 97, 0, 100), *says("b", 80, 100, 150), *says("b", 97, 150, END_S)]

    records = monitor([*put_away, *other])
    assert states(records, "low_spo2") == [AlertState.RAISED, AlertState.ENDED]
    assert course(records, "low_spo2")[-1][1] < 165.0


def test_a_clip_that_is_changed_without_an_alert_raises_none() -> None:
    records = monitor([*says("a", 97, 0, 60), *says("a", 86, 60, 63), *says("b", 96, 50, END_S)])

    assert states(records, "low_spo2") == []
    assert states(records, "very_low_spo2") == []


def test_such_a_night_replays_byte_for_byte_however_it_is_cut() -> None:
    packets = [*LOST, answered(monitor(LOST), "low_spo2", 150.0)]
    expected = [encode_record(record) for record in monitor(packets)]

    assert [encode_record(r) for r in monitor(packets, step_s=0.25)] == expected


@pytest.mark.parametrize("limit_pct", [88.0, 90.0, 75.0])
def test_a_past_with_a_silent_sensor_and_an_answer_is_asked_again_exactly(limit_pct: float) -> None:
    other = {"limit_pct": limit_pct, "delay_s": 15.0, "hold_s": 10.0}
    settings = PipelineSettings(rules={"low_spo2": RuleSettings(other, Priority.MEDIUM)})
    packets = [*says("a", 80.0, 0, SILENT_S), *says("b", 97.0, 0, END_S)]
    packets.sort(key=lambda packet: packet.arrived_s)

    def lived(told: PipelineSettings, past: Past | None = None) -> list[bytes]:
        pipeline = Pipeline(told, [NUMBERS], FEATURES, RULES, None, "run")
        pipeline.witness = past
        before = pipeline.advance([p for p in packets if p.arrived_s <= 120.0], 120.0).records
        stood = next(r.id for r in before if isinstance(r, Alert) and r.rule == "low_spo2")
        answer = {"action": "acknowledge", "alert_id": stood, "by": "Ann"}
        said = Packet("person", ANSWER, 120.1, json.dumps(answer).encode())
        after = [said, *(p for p in packets if p.arrived_s > 120.0)]
        records = [*before, *pipeline.advance(after, END_S).records]
        return [encode_record(r) for r in records if isinstance(r, Alert | AlarmEvent)]

    past = Past()
    assert lived(PipelineSettings(), past)
    fold = Refold(settings, RULES, "run", fixed=False)
    again = [encode_record(r) for second in past for r in fold.advance(second, past.layouts)]
    if limit_pct > 80.0:
        assert again == lived(settings)
    else:
        assert not any(b'"low_spo2"' in line for line in again)
