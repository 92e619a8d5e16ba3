"""A running box whose settings and answers are full of names prints none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.alerts import Answer
from edge.control import Acknowledge, ChangeLimits, ControlError, Enter, Tell
from edge.records import LimitAct, Role
from tests.edge.cli.box import Box, killed, status_of, stopped, wait_for
from tests.edge.cli.test_running_box import LOW_SPO2

PATIENT, CARER, WHY = "Zenobia.Quux", "Ottilie Wunderlich", "gefallen am Teich"
SOURCE, WAY, BOX = "Zenobias Guertel", "Ottilies Telefon", "Schlafzimmer Quux"
MARKERS = (PATIENT, CARER, WHY, SOURCE, WAY, BOX, "zenobia", "ottilie", "quux", "teich")
NAMED = f"""
[box]
name = "{BOX}"

[[patients]]
id = "{PATIENT}"

[[sources]]
reader = "simulated"
name = "{SOURCE}"
scenario = "{{scenario}}"

[[sources]]
reader = "replay"
name = "Quux am Abend"
path = "/nowhere/quux.hwlog"
"""


@pytest.fixture
def named(tmp_path: Path) -> Box:
    box = Box(tmp_path)
    scenario = tmp_path / "low.toml"
    scenario.write_text(LOW_SPO2)
    named = NAMED.replace("{scenario}", str(scenario))
    box.config.write_text(named + box.config.read_text())
    return box


def test_no_name_and_no_typed_word_is_in_the_log_of_a_running_box(named: Box) -> None:
    monitor = named.start()
    try:
        wait_for(lambda: status_of(named), 40.0, "the monitor")
        alert = wait_for(lambda: alerts_of(named), 60.0, "an alert")[0]
        named.ask(Acknowledge(alert["id"], CARER))
        named.ask(Enter("consciousness", "A", CARER, "carer"))
        named.ask(Tell(Answer("pause_audio", by=CARER)))
        settings = {"low_spo2": {"limit_pct": 89.0}}
        named.ask(ChangeLimits(LimitAct.SET, CARER, Role.CLINICIAN, WHY, PATIENT, settings))
        with pytest.raises(ControlError):
            named.ask(Acknowledge(WHY, CARER))
        told = stopped(monitor, 40.0)
    finally:
        killed(monitor)
    assert "event=alert" in told
    assert "limits changed" in told
    assert "[source 2]" in told
    found = [marker for marker in MARKERS if marker.casefold() in told.casefold()]
    assert not found, told
    assert not any(f"{value}" in told for value in (" %", "spo2_pct", "hr_bpm")), told


def alerts_of(box: Box) -> Any:
    report = status_of(box)
    return report["live"]["alerts"] if report else None
