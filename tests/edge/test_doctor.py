"""The doctor finds what is wrong and names what mends it."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from edge.config import ConfigError, PluginDefaults, load
from edge.doctor import (
    Health,
    check_clock,
    check_extras,
    check_folder,
    check_model,
    check_monitor,
    check_python,
    check_space,
    check_store,
    examine,
)
from edge.store import DATABASE, Store
from tests.edge.store.test_store import RUN

Usage = namedtuple("Usage", ("total", "used", "free"))  # noqa: PYI024  # as shutil has it


def test_an_old_python_fails() -> None:
    assert check_python((3, 10, 1)).health is Health.FAIL
    assert check_python((3, 11, 0)).health is Health.OK


def test_a_clock_that_is_not_set_is_a_warning_with_its_cure() -> None:
    assert check_clock(synchronised=True).health is Health.OK
    finding = check_clock(synchronised=False)
    assert finding.health is Health.WARN
    assert "timedatectl" in finding.cure


def test_a_folder_open_to_others_fails_until_the_cure_is_run(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert "will be made" in check_folder(folder).found
    folder.mkdir(mode=0o755)
    finding = check_folder(folder)
    assert finding.health is Health.FAIL
    assert finding.cure == f"chmod 700 {folder}"
    folder.chmod(0o700)
    assert check_folder(folder).health is Health.OK


@pytest.mark.parametrize(
    ("free", "health"), [(50, Health.OK), (10, Health.OK), (9, Health.WARN), (4, Health.FAIL)]
)
def test_a_disk_that_fills_up_is_told_in_two_steps(
    free: int, health: Health, tmp_path: Path
) -> None:
    finding = check_space(tmp_path / "not" / "yet", lambda _: Usage(100, 100 - free, free))
    assert finding.health is health


def test_the_store_is_sound_or_damaged_or_was(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    assert check_store(path).found == "nothing recorded yet"
    path.write_bytes(b"not a database" * 100)
    assert check_store(path).health is Health.FAIL
    Store.begin(path, RUN).close()
    finding = check_store(path)
    assert finding.health is Health.WARN
    assert "homeward.db.damaged-1" in finding.found
    path.with_name("homeward.db.damaged-1").unlink()
    assert check_store(path).health is Health.OK


def test_a_model_folder_that_is_empty_is_a_warning(tmp_path: Path) -> None:
    config = load(None, PluginDefaults(), overrides={"model.bundle": str(tmp_path)})
    finding = check_model(config)
    assert finding.health is Health.WARN
    assert "limit alarms work" in finding.why
    off = load(None, PluginDefaults(), overrides={"model.enabled": "false"})
    assert check_model(off).health is Health.OK


def test_nobody_running_is_a_warning(tmp_path: Path) -> None:
    (finding,) = check_monitor(tmp_path / "control.sock")
    assert finding.health is Health.WARN
    assert "homeward run" in finding.cure


def test_extras_nothing_needs_are_no_fault() -> None:
    findings = list(check_extras(load(None, PluginDefaults())))
    assert len(findings) == 4
    assert all(finding.health is Health.OK for finding in findings)


def test_a_configuration_that_cannot_be_used_ends_the_examination() -> None:
    findings = list(examine(ConfigError("box.toml:3: limit_pct is 200"), DATABASE))
    assert findings[-1].health is Health.FAIL
    assert "box.toml:3" in findings[-1].found
