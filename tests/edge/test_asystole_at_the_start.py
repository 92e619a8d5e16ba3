"""A lead that begins: no asystole while it is learned, and the asystole of a heart that stops then.

The beat detector takes 4.5 s to get to know a lead, at the start and after a gap, and the rule's
limit is 4 s: the age of the last beat counts from where a first beat could have been told
(`edge.features.vitals`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.assemble import assemble
from edge.pipeline import PipelineSettings
from edge.readers import simulated
from edge.records import Alert, Beat

GAP_S = (20.0, 32.0)
"""Longer than what the detector remembers its thresholds over."""


@pytest.mark.parametrize("gap", [True, False])
@pytest.mark.parametrize("hr_bpm", [20, 32, 60, 200])
def test_a_heart_that_beats_is_no_asystole_whenever_its_lead_begins(
    hr_bpm: int, gap: bool, tmp_path: Path
) -> None:
    scenario = tmp_path / "steady.toml"
    scenario.write_text(f'title = "A"\nduration_s = 60\n[patient]\nhr_bpm = {hr_bpm}\n')
    for seed in range(3):
        told = simulated.Settings(scenario=str(scenario), seed=seed, devices=("board",))
        first_s, last_s = GAP_S if gap else (0.0, 0.0)
        packets = [p for p in simulated.packets(told) if not first_s < p.arrived_s < last_s]
        records = assemble(PipelineSettings(), "test").advance(packets, 64.0).records

        assert sum(isinstance(r, Beat) for r in records) > hr_bpm / 3
        assert not [r for r in records if isinstance(r, Alert) and r.rule == "asystole"]


@pytest.mark.parametrize("stop_s", [0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0])
def test_a_heart_that_stops_while_its_lead_is_learned_is_asystole(
    stop_s: float, tmp_path: Path
) -> None:
    scenario = tmp_path / "stops.toml"
    event = f'[[events]]\nkind = "asystole"\nat_s = {stop_s}\nfor_s = 40\n'
    scenario.write_text(f'title = "A"\nduration_s = 30\n{event}')
    for seed in range(4):
        told = simulated.Settings(scenario=str(scenario), seed=seed, devices=("board",))
        packets = list(simulated.packets(told))
        records = assemble(PipelineSettings(), "test").advance(packets, 30.0).records

        (alert,) = [r for r in records if isinstance(r, Alert) and r.rule == "asystole"]
        assert alert.at_s <= max(10.0, stop_s + 5.0)
