"""Golden replays: simulated patients whose alerts and summaries are written down.

What is expected lies in ``tests/golden/<scenario>.jsonl``, one record a line. After a change
that is meant to change it, look at the difference and write it anew:

    HOMEWARD_GOLDEN=write .venv/bin/python -m pytest tests/edge/test_golden.py
"""

import json
import os
from pathlib import Path

import pytest

from edge.assemble import assemble, open_scorer
from edge.pipeline import PipelineSettings
from edge.readers import simulated
from edge.records import Alert, Gap, Summary, encode_record

GOLDEN = Path(__file__).parents[1] / "golden"
SPANS = {"demo": 194.0, "arrhythmia": 786.0, "faults": 906.0}


def told(scenario, end_s):
    settings = simulated.Settings(scenario=scenario)
    pipeline = assemble(PipelineSettings(), f"golden-{scenario}", scorer=open_scorer())
    records = pipeline.advance(list(simulated.packets(settings)), end_s).records
    kept = [r for r in records if isinstance(r, (Alert, Gap, Summary))]
    return [rounded(json.loads(encode_record(r))) for r in kept]


def rounded(value):
    """Round to what every processor and every numpy agrees on."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return value


@pytest.mark.parametrize("scenario", SPANS)
def test_a_simulated_patient_gives_the_records_written_down(scenario):
    path = GOLDEN / f"{scenario}.jsonl"
    found = told(scenario, SPANS[scenario])
    if os.environ.get("HOMEWARD_GOLDEN") == "write":
        path.write_text("".join(json.dumps(record) + "\n" for record in found))
    expected = [json.loads(line) for line in path.read_text().splitlines()]

    assert found == expected


def test_every_golden_file_is_replayed():
    others = {"night-alarms"}  # tests/edge/test_night.py
    assert {path.stem for path in GOLDEN.iterdir()} == set(SPANS) | others
