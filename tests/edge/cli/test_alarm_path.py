"""`homeward doctor --alarm-path` asks a real monitor, with a sound card that really takes sound."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge.control import Acknowledge
from edge.store import DATABASE, History
from tests.edge.annunciators.sound_analysis import pulses_of
from tests.edge.annunciators.sound_card import SoundCard
from tests.edge.cli.box import MACHINE, Box, status_of, stopped, wait_for

START_S = 30.0
STOP_S = 10.0

pytestmark = pytest.mark.skipif(
    shutil.which("aplay") is None, reason="aplay is missing: apt install alsa-utils"
)


class Watched(msgspec.Struct, frozen=True):
    box: Box
    monitor: subprocess.Popen[str]
    card: SoundCard


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("box")
    card = SoundCard(folder)
    box = Box(folder)
    box.config.write_text(MACHINE)
    box.environment["ALSA_CONFIG_PATH"] = str(card.config)
    monitor = box.start("--simulate", "quiet")
    try:
        wait_for(lambda: sounds(box), START_S, "the sound")
        yield Watched(box, monitor, card)
    finally:
        errors = stopped(monitor, STOP_S)
        card.unplug()
    assert monitor.returncode == 0, errors
    assert "Traceback" not in errors
    assert "this is a test of the alarm path" in errors


def sounds(box: Box) -> bool:
    status = status_of(box)
    return bool(status) and all(one["works"] for one in status["annunciators"])


def be_quiet(box: Box) -> None:
    """Answer what stands (a box whose clock nobody sets has an alarm of its own)."""
    for alert in status_of(box)["live"]["alerts"]:
        if not alert["answered_by"]:
            box.ask(Acknowledge(alert["id"], "test"))
    wait_for(lambda: not status_of(box)["live"]["signal"]["audible"], 5.0, "silence")
    time.sleep(1.0)  # what was on its way to the card


def lines_of(ended: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in ended.stdout.splitlines()]


CLOCKLESS = {"clock"}
"""What fails on a machine whose clock nobody sets."""


def test_every_part_is_shown_the_tone_is_soft_and_all_of_it_is_stored(watched: Watched) -> None:
    box, card = watched.box, watched.card
    be_quiet(box)
    n = card.n_taken
    ended = box.call("doctor", "--alarm-path", "--by", "Ann", "--json")
    time.sleep(0.5)
    *rows, last = lines_of(ended)
    verdicts = {(row["part"], row["subject"]): row["verdict"] for row in rows}
    assert verdicts["annunciator", "sound"] == "passed"
    assert verdicts["engine", "patient-1"] == "passed"
    assert {verdicts[part, ""] for part in ("model", "store")} == {"passed"}
    assert {verdicts[part, ""] for part in ("adapter", "notices", "button")} == {"not there"}
    assert verdicts["contact", "sim:board"] == "passed"
    failed = {part for (part, _), verdict in verdicts.items() if verdict == "failed"}
    assert failed <= CLOCKLESS | {"disk"}, rows
    assert (last["record"], last["proven"]) == ("alarm_path", not failed)
    assert last["stored"] is True
    assert ended.returncode == (1 if failed else 0)
    pulses = [pulse for pulse in pulses_of(card.samples(n) / 32767) if pulse.note]
    notes = [pulse.note for pulse in pulses]
    # In this order; a busy machine may break a pulse in two.
    left = iter(notes)
    assert all(note in left for note in ("C4", "E4", "G4", "C5")), notes
    tone = pulses[: notes.index("C5") + 1]
    assert max(pulse.peak_dbfs for pulse in tone) < -19.0  # the volume of the night
    with History.open(box.data_dir / DATABASE) as history:
        stored = [one.test for one in history.self_tests()]
    assert stored[-1].asked_by == "Ann"
    assert len(stored[-1].rows) == len(rows)


def test_status_and_doctor_say_what_was_proven(watched: Watched) -> None:
    status = watched.box.call("status")
    doctor = watched.box.call("doctor")
    said = re.search(r"^alarm path .*$", status.stdout, re.MULTILINE)
    assert said is not None
    assert f"alarm path: {said[0]}" in doctor.stdout
    *_, last = lines_of(watched.box.call("status", "--json"))
    assert last["alarm_path"]["words"] == said[0]
    assert last["alarm_path"]["last"]["asked_by"] == "Ann"
    assert last["alarm_path"]["proven"] is ("NOT" not in said[0])


def test_rows_for_people_have_a_reason_and_what_mends_them(watched: Watched) -> None:
    shown = watched.box.call("doctor", "--alarm-path").stdout
    assert shown.startswith("This is a test of the alarm path: a tone may sound.")
    assert "passed    patient-1 engine: a made-up emergency was found and sounded by" in shown
    assert re.search(r"not there +notices: no \[\[notices\]\] are configured", shown)
    assert re.search(r"^alarm path .* \(\d+\.\d s: \d+ passed", shown, re.MULTILINE)
    if "FAILED" in shown:
        assert "why:" in shown
        assert "mend:" in shown


@pytest.mark.parametrize(("typed", "verdict"), [("y\n", "passed"), ("n\n", "failed")])
def test_a_person_is_asked_what_they_hear_and_the_answer_is_kept(
    typed: str, verdict: str, watched: Watched
) -> None:
    box = watched.box
    ended = subprocess.run(
        box.arguments("doctor", "--alarm-path", "--listen", "--by", "Ann", "--json"),
        cwd=Path(__file__).parents[3],
        env={**os.environ, **box.environment},
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Did you hear or see the test (sound)? [y/n]" in ended.stderr
    (heard,) = [row for row in lines_of(ended) if row.get("part") == "annunciator"]
    assert (heard["verdict"], heard["by"]) == (verdict, "Ann")

    def kept() -> list[str]:  # the answer comes before it is stored
        with History.open(box.data_dir / DATABASE) as history:
            test = history.self_tests()[-1].test
        return [row.by for row in test.rows if row.part == "annunciator" and row.by]

    assert wait_for(kept, 10.0, "the stored answer") == ["Ann"]


def test_without_a_monitor_it_says_how_to_start_one(tmp_path: Path) -> None:
    ended = Box(tmp_path).call("doctor", "--alarm-path")
    assert ended.returncode == 1
    assert "start it with `homeward run`" in ended.stderr


def test_a_card_that_hangs_fails_the_sound_and_the_rest_goes_on(tmp_path: Path) -> None:
    card = SoundCard(tmp_path)
    box = Box(tmp_path)
    box.config.write_text(MACHINE)
    box.environment["ALSA_CONFIG_PATH"] = str(card.config)
    monitor = box.start("--simulate", "quiet")
    try:
        wait_for(lambda: sounds(box), START_S, "the sound")
        card.stalled.set()
        begin_s = time.monotonic()
        ended = box.call("doctor", "--alarm-path", "--json")
        assert time.monotonic() - begin_s < 40.0
        *rows, last = lines_of(ended)
        verdicts = {row["part"]: row for row in rows}
        assert verdicts["annunciator"]["verdict"] == "failed", rows
        assert "sound" in verdicts["annunciator"]["found"]
        assert verdicts["store"]["verdict"] == "passed"
        assert (ended.returncode, last["proven"]) == (1, False)
        assert "sound annunciator" in last["words"]
        wait_for(lambda: "self_test_failed" in standing(box), 5.0, "the alarm of the box")
    finally:
        errors = stopped(monitor, STOP_S)
        card.unplug()
    assert monitor.returncode == 0, errors


def standing(box: Box) -> set[str]:
    """Return the rules whose alerts stand."""
    status = status_of(box)
    return {alert["rule"] for alert in status["live"]["alerts"]} if status else set()
