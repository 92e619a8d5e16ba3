"""10,000 marked samples and marked names through a real monitor: who finds any of them at rest?

`CLEAR_TODAY` says what is expected in clear, and it must be found: what is in the list and is not
in clear any more fails too, and is then taken out of it. In the end the list is empty.
"""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

import pytest

from edge.alerts import Answer
from edge.control import Acknowledge, ChangeLimits, Enter, Status, Tell
from edge.records import LimitAct, Role
from tests.edge.canaries.searching import N_SAMPLES, samples, search
from tests.edge.cli.box import Box, killed, status_of, stopped, wait_for
from tests.edge.cli.test_running_box import LOW_SPO2

FS_HZ = 1_000
NAMES = {
    "patient": "Zenobia.Quux",
    "carer": "Ottilie Wunderlich",
    "second": "Jonathan Absalom",
    "why": "gefallen am Teich",
    "source": "Zenobias Guertel",
    "box": "Schlafzimmer Quux",
}
RECORDS = ("homeward.db", "homeward.db-wal")

CLEAR_TODAY: dict[str, set[str]] = {}

CONFIG = """
[box]
name = "{box}"

[[patients]]
id = "{patient}"

[[sources]]
reader = "simulated"
name = "{source}"
scenario = "{scenario}"

[[sources]]
reader = "replay"
name = "recording"
path = "{recording}"
"""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Box, str, Path]:
    """Return a box after a monitor has lived in it, its standard error, and its plain log."""
    folder = tmp_path_factory.mktemp("canaries")
    box = Box(folder)
    recording, scenario, log = folder / "r.csv", folder / "low.toml", folder / "plain" / "log.hwl"
    log.parent.mkdir()
    scenario.write_text(LOW_SPO2)
    lines = (f"{n / FS_HZ:.3f},{value!r}" for n, value in enumerate(samples().tolist()))
    recording.write_text("Time [s],ecg_mv\n" + "\n".join(lines) + "\n")
    text = CONFIG.format(**NAMES, scenario=scenario, recording=recording)
    box.config.write_text(text + box.config.read_text())
    monitor = box.start("--log", str(log))
    try:
        alert = wait_for(lambda: alerts_of(box), 60.0, "an alert")[0]
        box.ask(Enter("temp_degc", "37.1", NAMES["second"], "carer"))
        box.ask(Tell(Answer("pause_audio", by=NAMES["carer"])))
        settings = {"low_spo2": {"limit_pct": 87.0}}
        told = (NAMES["carer"], Role.CLINICIAN, NAMES["why"], NAMES["patient"], settings)
        box.ask(ChangeLimits(LimitAct.SET, *told))
        box.ask(Acknowledge(alert["id"], NAMES["carer"]))
        wait_for(lambda: all_played(box), 60.0, "the end of the recording")
        errors = stopped(monitor, 40.0)
    finally:
        killed(monitor)
    return box, errors, log


def alerts_of(box: Box) -> object:
    report = status_of(box)
    return report["live"]["alerts"] if report else None


def all_played(box: Box) -> bool:
    links = box.ask(Status())["links"]
    return any(link["name"] == "recording" and link["state"] == "ended" for link in links)


def test_the_control_that_writes_plain_is_caught(lived: tuple[Box, str, Path]) -> None:
    found = search(lived[2].parent, NAMES)
    assert found["log.hwl"] >= {"samples", "patient", "carer", "why"}
    assert lived[2].read_bytes().count(samples().tobytes()[3:8]) > N_SAMPLES * 0.8


def test_what_is_in_clear_is_what_is_expected_and_nothing_else(
    lived: tuple[Box, str, Path],
) -> None:
    box, _, _ = lived
    found = search(box.data_dir, NAMES)
    clear: dict[str, set[str]] = {}
    for name, markers in found.items():
        pattern = next((p for p in CLEAR_TODAY if fnmatch(name, p)), name)
        clear.setdefault(pattern, set()).update(markers)
    assert clear == expected(), found
    assert not any("samples" in markers for markers in found.values())


def expected() -> dict[str, set[str]]:
    """Return what is to be found; `HOMEWARD_CANARIES=none` is how it has to be in the end."""
    return {} if os.environ.get("HOMEWARD_CANARIES") == "none" else CLEAR_TODAY


def test_nothing_is_in_the_log_on_standard_error(lived: tuple[Box, str, Path]) -> None:
    _, errors, _ = lived
    assert "event=alert" in errors
    assert "0.338" not in errors
    said = errors.casefold()
    for name in NAMES.values():
        for part in (name, *name.replace(".", " ").split()):
            if len(part) > 3:
                assert part.casefold() not in said, errors
