"""A running monitor with the loudspeaker on: an alarm is heard; a lost sound card is told."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from edge.annunciators import UNHEARD_S
from tests.edge.annunciators.sound_card import SoundCard
from tests.edge.cli.box import QUICK_ALARM, status_of, wait_for
from tests.edge.cli.test_running_box import ALARM_S, SCENARIO, START_S, STOP_S, low_box

PROVEN_S = 10.0
WITHOUT_SOUND = "\n[annunciators.sound]\nenabled = false\n"

pytestmark = pytest.mark.skipif(
    shutil.which("aplay") is None, reason="aplay is missing: apt-get install alsa-utils"
)


def test_an_alarm_is_heard_and_a_card_that_is_pulled_out_is_told(tmp_path: Path) -> None:
    box, card = low_box(tmp_path), SoundCard(tmp_path)
    assert WITHOUT_SOUND in QUICK_ALARM
    box.config.write_text(QUICK_ALARM.replace(WITHOUT_SOUND, ""))
    monitor = box.start("--simulate", str(box.folder / SCENARIO), ALSA_CONFIG_PATH=str(card.config))
    try:
        wait_for(lambda: np.any(card.samples()), START_S + ALARM_S, "the sound of the alarm")
        wait_for(lambda: status_of(box)["annunciators"][0]["works"], PROVEN_S, "the proven card")
        (report,) = status_of(box)["annunciators"]
        assert report["name"] == "sound"
        assert report["n_given"] >= 1
        card.unplug()
        wait_for(lambda: not status_of(box)["annunciators"][0]["works"], UNHEARD_S, "the lost card")
        assert "alarms do not come out through sound" in box.call("status").stdout
    finally:
        monitor.send_signal(signal.SIGTERM)
        _, errors = monitor.communicate(timeout=STOP_S)
    assert monitor.returncode == 0, errors
    assert "Traceback" not in errors
