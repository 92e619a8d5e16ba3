"""A running monitor whose records are locked: it watches, alarms and says so, and loses nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge.keys import keyfile as keyfile_module
from edge.keys import open_keys
from edge.keys.keyfile import plain, under_passphrase, write_key_file
from edge.keys.ring import NAME
from edge.store import DATABASE, History, StoreKeyError, open_history
from tests.edge.cli.box import Box, status_of, stopped, wait_for
from tests.edge.cli.test_running_box import ALARM_S, SCENARIO, START_S, STOP_S, low_box, standing
from tests.edge.store.opened import RUN, open_store

PASSPHRASE = "correct horse battery"  # noqa: S105


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """Return a box that has records of before, and whose key is under a passphrase now."""
    monkeypatch.setattr(keyfile_module, "SCRYPT_N", 1 << 10)
    box = low_box(tmp_path)
    box.data_dir.mkdir(mode=0o700)
    open_store(box.data_dir / DATABASE, RUN).close()
    key = open_keys(box.data_dir).newest
    shutil.copy(box.data_dir / NAME, tmp_path / "plain.key")
    write_key_file(box.data_dir / NAME, under_passphrase(key, PASSPHRASE))
    assert plain(key).key not in (box.data_dir / NAME).read_text()
    return box


def rules_of(box: Box) -> set[str]:
    return {alert["rule"] for alert in standing(box) or []}


def test_a_monitor_without_its_key_alarms_and_records_all_of_it_when_it_has_it(box: Box) -> None:
    database = box.data_dir / DATABASE
    before = database.read_bytes()
    monitor = box.start("--simulate", str(box.folder / SCENARIO))
    try:
        wanted = {"very_low_spo2", "cannot_record"}
        wait_for(lambda: wanted <= rules_of(box), START_S + ALARM_S, "both alarms")
        (told,) = (a for a in standing(box) if a["rule"] == "cannot_record")
        assert "the records have been locked" in told["reason"]
        assert "make room on the card" not in told["reason"]
        store = status_of(box)["store"]
        assert store["locked"] is True
        assert "protected by a passphrase" in store["trouble"]
        assert store["n_waiting"] >= 2
        assert database.read_bytes() == before
        assert not list(box.data_dir.glob("*damaged*"))
        for words in (("alerts",), ("alerts", "verify"), ("limits", "log")):
            shown = box.call(*words)
            assert shown.returncode == 1
            assert "HOMEWARD_PASSPHRASE_FILE" in shown.stderr.replace("\n", " ")
        found = [line for line in box.call("doctor").stdout.splitlines() if "store" in line]
        assert found
        shutil.copy(box.folder / "plain.key", box.data_dir / NAME)  # as a stick that is plugged in
        wait_for(lambda: not status_of(box)["store"]["trouble"], START_S, "the open store")
        wait_for(lambda: "cannot_record" not in rules_of(box), ALARM_S, "its end")
    finally:
        errors = stopped(monitor, STOP_S)
    assert monitor.returncode == 0, errors
    assert "Traceback" not in errors
    with History.open(database) as history:
        raised = {kept.alert.rule for kept in history.alerts()}
        assert wanted <= raised
        assert len(history.runs()) == 2


def test_a_command_takes_the_passphrase_from_a_file(box: Box) -> None:
    with pytest.raises(StoreKeyError, match="nobody to ask"):
        open_history(box.data_dir)
    (box.folder / "passphrase").write_text(PASSPHRASE + "\n")
    box.environment["HOMEWARD_PASSPHRASE_FILE"] = str(box.folder / "passphrase")
    shown = box.call("alerts", "verify")
    assert shown.returncode == 0, shown.stderr
    assert "whole" in shown.stdout
