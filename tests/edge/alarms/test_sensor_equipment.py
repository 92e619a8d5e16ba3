"""Batteries that run low and values that cannot be true: told of each sensor, by its name."""

from __future__ import annotations

import math

import pytest

from edge.alarms.battery_low import RULE as BATTERY
from edge.alarms.implausible_value import RULE as IMPLAUSIBLE
from edge.assemble import assemble
from edge.events import ASSIGN, LINK, Assignment, LinkTold, tell
from edge.gatt import BATTERY_LEVEL, uuid
from edge.pipeline import Pipeline, PipelineSettings
from edge.records import (
    SECOND_S,
    Alert,
    AlertState,
    Features,
    LinkState,
    Packet,
    Priority,
    Security,
)
from tests.edge.alarms.box_night import DUE_S

STRAP, CLIP = "C0:00:00:00:00:02", "C0:00:00:00:00:03"
NAMES = {STRAP: "Ann's strap", CLIP: "clip"}
LOW, MEDIUM = Priority.LOW, Priority.MEDIUM


def named(source: str, at_s: float, state: LinkState = LinkState.CONNECTED) -> Packet:
    return tell(LINK, LinkTold(source, state, Security.SECURE, NAMES[source], "chest"), at_s)


def battery(source: str, at_s: float, pct: int) -> Packet:
    return Packet(source, BATTERY_LEVEL, at_s, bytes([pct]))


def strap(at_s: float, rr_ticks: int = 1024) -> Packet:
    """Return a strap's packet with one interval, in 1/1024 s; 64 s is none of a living heart."""
    return Packet(STRAP, uuid(0x2A37), at_s, bytes([0x16, 60]) + rr_ticks.to_bytes(2, "little"))


class Night:
    """A pipeline and the alerts it gave."""

    def __init__(self) -> None:
        self.pipeline: Pipeline = assemble(PipelineSettings(), "night")
        self.alerts: list[Alert] = []

    def live(self, until_s: float, *packets: Packet) -> None:
        records = self.pipeline.advance(packets, until_s).records
        self.alerts += [record for record in records if isinstance(record, Alert)]

    def of(self, rule: str) -> list[Alert]:
        return [alert for alert in self.alerts if alert.rule == rule]


def test_a_battery_that_runs_low_is_told_by_its_sensors_name_and_rises() -> None:
    night = Night()
    night.live(10.0, named(STRAP, 1.0), battery(STRAP, 2.0, 21))
    assert night.of("battery_low") == []
    night.live(20.0, battery(STRAP, 10.1, 20))
    (raised,) = night.of("battery_low")
    assert raised.at_s - 10.1 <= DUE_S
    assert (raised.patient, raised.priority) == ("patient-1", LOW)
    assert "the battery of Ann's strap is down to 20 %" in raised.reason
    night.live(30.0, battery(STRAP, 20.1, 10))
    worse = night.of("battery_low")[-1]
    assert (worse.id, worse.priority) == (raised.id, MEDIUM)
    assert worse.at_s - 20.1 <= DUE_S
    night.live(60.0, battery(STRAP, 40.0, 100))
    assert night.of("battery_low")[-1].state is AlertState.ENDED


def test_a_sensor_that_does_not_know_its_charge_any_more_was_not_charged() -> None:
    night = Night()
    night.live(90.0, named(STRAP, 1.0), battery(STRAP, 2.0, 5), battery(STRAP, 20.0, 255))
    assert [alert.state for alert in night.of("battery_low")] == [AlertState.RAISED]


def test_a_sensor_that_was_removed_or_given_to_another_has_no_battery_to_charge() -> None:
    for away in (
        named(STRAP, 20.0, LinkState.REMOVED),
        tell(ASSIGN, Assignment(STRAP, "p2"), 20.0),
    ):
        night = Night()
        night.live(60.0, named(STRAP, 1.0), battery(STRAP, 2.0, 5), away)
        states = [a.state for a in night.of("battery_low") if a.patient == "patient-1"]
        assert states == [AlertState.RAISED, AlertState.ENDED]


def test_a_second_low_battery_is_news_after_an_answer() -> None:
    night = Night()
    night.live(10.0, *(named(source, 1.0) for source in NAMES), battery(STRAP, 2.0, 15))
    answer = f'{{"action":"acknowledge","alert_id":"{night.alerts[0].id}","by":"Ann"}}'
    said = Packet("person", "person:answer", 10.5, answer.encode())
    night.live(30.0, said, battery(CLIP, 20.0, 15))
    first, _, ended, second = night.of("battery_low")
    assert (ended.id, ended.state) == (first.id, AlertState.ENDED)
    assert second.state is AlertState.RAISED
    assert second.evidence == {"battery_pct:Ann's strap": 15.0, "battery_pct:clip": 15.0}


def test_a_charge_that_trembles_is_one_episode() -> None:
    night = Night()
    packets = [battery(STRAP, 2.0 + 15.0 * n, (20, 22)[n % 2]) for n in range(40)]
    night.live(600.0, named(STRAP, 1.0), *packets)
    assert [alert.state for alert in night.of("battery_low")].count(AlertState.RAISED) == 1
    assert AlertState.ENDED not in {alert.state for alert in night.of("battery_low")}


def test_two_sensors_of_one_name_count_as_the_emptier() -> None:
    packets = [tell(LINK, LinkTold(s, LinkState.CONNECTED, name="strap"), 1.0) for s in NAMES]
    night = Night()
    night.live(10.0, *packets, battery(STRAP, 2.0, 12), battery(CLIP, 3.0, 90))
    assert night.of("battery_low")[0].evidence == {"battery_pct:strap": 12.0}


def test_a_value_that_cannot_be_true_and_keeps_coming_is_told_within_ten_seconds() -> None:
    night = Night()
    good = [strap(1.0 + n) for n in range(20)]
    cause_s = 21.0
    bad = [strap(cause_s + n, 0xFFFF) for n in range(15)]
    night.live(36.0, named(STRAP, 0.5), *good, *bad)
    (alert,) = night.of("implausible_value")
    assert alert.at_s - cause_s <= DUE_S
    assert "a beat interval that cannot be true keeps coming from Ann's strap" in alert.reason
    assert alert.priority is MEDIUM
    night.live(140.0, *(strap(36.0 + n) for n in range(100)))
    assert night.of("implausible_value")[-1].state is AlertState.ENDED
    assert night.pipeline.live().patients[0].n_implausible == 15


def test_now_and_then_a_value_that_cannot_be_true_is_noise() -> None:
    night = Night()
    packets = [strap(1.0 + n, 0xFFFF if n % 20 == 0 else 1024) for n in range(200)]
    night.live(201.0, named(STRAP, 0.5), *packets)
    assert night.of("implausible_value") == []


def test_the_vital_signs_of_nobody_hold_a_battery() -> None:
    night = Night()
    night.live(10.0, named(STRAP, 1.0), battery(STRAP, 2.0, 50), strap(3.0))
    (patient,) = night.pipeline.live().patients
    assert patient.vitals["battery_pct:Ann's strap"] == 50.0
    assert patient.vitals["n_implausible"] == 0.0


def seen(at_s: float, **values: float) -> Features:
    return Features("p1", at_s - SECOND_S, SECOND_S, values)


def test_no_charge_is_no_low_battery() -> None:
    _, finding = BATTERY.step(BATTERY.start, seen(1.0), None, BATTERY.settings)
    assert finding.present is False
    nothing = {"battery_pct:x": math.nan}
    _, finding = BATTERY.step({"battery_pct:x": 1}, seen(1.0, **nothing), None, BATTERY.settings)
    assert finding.present is False


@pytest.mark.parametrize("values", [{}, {"n_implausible": math.nan}])
def test_where_nothing_has_come_nothing_can_be_told(values: dict[str, float]) -> None:
    _, finding = IMPLAUSIBLE.step(IMPLAUSIBLE.start, seen(1.0, **values), None, {})
    assert finding.present is None


def test_a_count_that_begins_anew_is_no_wrong_value() -> None:
    name = "n_implausible:ecg_mv:board"
    state = IMPLAUSIBLE.start
    for at_s, count in enumerate((7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)):
        told = seen(float(at_s), n_implausible=7.0, **({name: count} if count else {}))
        state, finding = IMPLAUSIBLE.step(state, told, None, IMPLAUSIBLE.settings)
        assert finding.present is False
