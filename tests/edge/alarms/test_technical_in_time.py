"""Technical alarms of a patient's sensors: each within ten seconds of its cause (target A2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import edge.alarms
import edge.features
from edge.alarms import Rule
from edge.decoders import Decoder
from edge.discover import discover
from edge.events import ASSIGN, LINK, Assignment, LinkTold, tell
from edge.features import FeatureFamily
from edge.pipeline import Pipeline, PipelineSettings
from edge.records import Alert, AlertState, LinkState, Packet, Samples
from tests.edge.alarms.box_night import DUE_S
from tests.edge.test_bedside import FS_HZ, ecg

CAUSE_S, END_S = 30.0, 60.0
N_PACKET = 50


def raised(packets: list[Packet], decoder: Decoder, end_s: float = END_S) -> list[Alert]:
    pipeline = Pipeline(
        PipelineSettings(),
        [decoder],
        discover(edge.features, "FEATURES", FeatureFamily),
        discover(edge.alarms, "RULE", Rule),
        None,
        "run",
    )
    packets = sorted(packets, key=lambda packet: packet.arrived_s)
    records = pipeline.advance(packets, end_s).records
    return [r for r in records if isinstance(r, Alert) and r.state is AlertState.RAISED]


def noise(values: np.ndarray) -> np.ndarray:
    return values + np.random.default_rng(2).normal(0.0, 1.5, len(values)).astype(np.float32)


def stuck(values: np.ndarray) -> np.ndarray:
    return np.full_like(values, 0.25)


def gone(_: np.ndarray) -> np.ndarray:
    return np.array([], np.float32)


@pytest.mark.parametrize(
    ("rule", "fault"), [("poor_signal", noise), ("frozen_value", stuck), ("signal_lost", gone)]
)
@pytest.mark.parametrize("late_s", [0.0, 0.3, 0.8])
def test_an_ecg_that_goes_wrong_is_told_within_ten_seconds(
    rule: str, fault: Callable[[np.ndarray], np.ndarray], late_s: float
) -> None:
    values = ecg(0.0, END_S)
    n_good = round((CAUSE_S + late_s) * FS_HZ) // N_PACKET * N_PACKET
    values = np.concatenate([values[:n_good], fault(values[n_good:])])

    def decode(packet: Packet) -> tuple[Samples, ...]:
        first = int(packet.payload)
        part = values[first : first + N_PACKET]
        return (Samples("ecg_mv", packet.arrived_s, FS_HZ, part, "II"),)

    packets = [
        Packet("board", "test", (first + N_PACKET) / FS_HZ, b"%d" % first)
        for first in range(0, len(values), N_PACKET)
    ]
    decoder = Decoder("test", ("test",), ("ecg_mv",), lambda: decode)
    alert = next(a for a in raised(packets, decoder) if a.rule == rule)
    assert 0.0 < alert.at_s - n_good / FS_HZ <= DUE_S


def number(packet: Packet) -> tuple[Samples, ...]:
    """Decode ``signal value``."""
    signal, value = packet.payload.decode().split()
    values = np.array([float(value)], np.float32)
    return (Samples(signal, packet.arrived_s, 0.0, values, spot=packet.stream == "spot"),)


NUMBERS = Decoder("test", ("test", "spot"), ("spo2_pct",), lambda: number)


def speaks(
    source: str, signal: str, until_s: float, every_s: float = 1.0, stream: str = "test"
) -> list[Packet]:
    first = 33 if signal.endswith("degc") else 95
    times = np.arange(1.0, until_s, every_s)
    return [
        Packet(source, stream, float(t), f"{signal} {first + n % 3}".encode())
        for n, t in enumerate(times)
    ]


def test_an_electrode_that_comes_off_is_told_within_ten_seconds() -> None:
    flags = [
        Packet("strap", "test", t + 0.5, f"contact_flag {int(t < CAUSE_S)}".encode())
        for t in range(int(END_S))
    ]
    (alert,) = [a for a in raised(flags, NUMBERS) if a.rule == "lead_off"]
    assert 0.0 < alert.at_s - (CAUSE_S + 0.5) <= DUE_S


def test_a_key_that_is_lost_is_told_within_ten_seconds() -> None:
    told = tell(LINK, LinkTold("strap", LinkState.KEY_LOST, name="strap"), CAUSE_S)
    (alert,) = raised([told], NUMBERS)
    assert alert.rule == "key_lost"
    assert alert.at_s - CAUSE_S <= DUE_S


def test_one_of_two_sensors_of_a_kind_that_falls_silent_is_told_by_its_name() -> None:
    name = tell(LINK, LinkTold("b", LinkState.CONNECTED, name="the clip"), 0.5)
    packets = [name, *speaks("a", "spo2_pct", END_S), *speaks("b", "spo2_pct", CAUSE_S)]
    (alert,) = raised(packets, NUMBERS)
    assert alert.rule == "sensor_silent"
    assert alert.at_s - (CAUSE_S - 1.0) <= DUE_S
    assert "nothing from the clip for" in alert.reason


def test_the_last_sensor_of_a_kind_that_falls_silent_is_one_alert() -> None:
    (alert,) = raised(speaks("a", "spo2_pct", CAUSE_S), NUMBERS)
    assert alert.rule == "signal_lost"
    assert alert.at_s - (CAUSE_S - 1.0) <= DUE_S


def test_a_slow_sensor_is_missed_after_three_of_its_own_rhythms() -> None:
    (alert,) = raised(speaks("cgm", "glucose_mgdl", 3000.0, 300.0), NUMBERS, 4500.0)
    assert alert.rule == "sensor_silent"
    assert 2701.0 + 900.0 < alert.at_s <= 2701.0 + 900.0 + DUE_S


@pytest.mark.parametrize(
    "packets",
    [
        speaks("scale", "weight_kg", CAUSE_S, stream="spot"),
        speaks("strap", "battery_pct", CAUSE_S),
        [*speaks("a", "skin_degc", CAUSE_S), tell(ASSIGN, Assignment("a", "p2"), CAUSE_S + 1.0)],
        [
            tell(LINK, LinkTold("a", LinkState.CONNECTED), 0.5),
            *speaks("a", "skin_degc", CAUSE_S),
            tell(LINK, LinkTold("a", LinkState.REMOVED), CAUSE_S + 1.0),
        ],
        speaks("a", "skin_degc", 4.0),
    ],
    ids=["spot checks", "battery", "another patient's", "removed", "too little to know"],
)
def test_what_nobody_waits_for_is_not_missed(packets: list[Packet]) -> None:
    assert [a.rule for a in raised(packets, NUMBERS)] == []


def test_an_outage_does_not_become_the_rhythm() -> None:
    packets = [
        packet for packet in speaks("a", "skin_degc", 200.0) if not 30.0 < packet.arrived_s < 100.0
    ]
    alerts = raised(packets, NUMBERS, 240.0)
    assert [alert.rule for alert in alerts] == ["sensor_silent"] * 2
    assert alerts[1].at_s - 199.0 <= DUE_S
