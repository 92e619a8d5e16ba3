"""No asystole while the beat detector gets to know a lead, at the start and after a gap.

It takes 4.5 s for that, and the rule's limit is 4 s: the age of the last beat counts from where a
first beat could have been told (`edge.features.vitals`).
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
