"""The doctor on the vault: what its key is worth, whether it is whole, what lies in clear."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.config import Config, PluginDefaults, load
from edge.doctor import Finding, Health
from edge.doctor.vault import check_kept, check_vault
from edge.keys.keyfile import under_passphrase, write_key_file
from edge.keys.ring import NAME, new_key
from edge.vault.folder import segments
from tests.edge.vault.kit import SMALL, start, wave, write


def settings(home: Path, **vault: object) -> Config:
    config = load(None, PluginDefaults(), overrides={"box.data_dir": str(home)})
    return msgspec.structs.replace(config, vault=msgspec.structs.replace(config.vault, **vault))


def rows(home: Path, **vault: object) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_vault(settings(home, **vault))}


def test_a_whole_vault_says_what_its_key_does_not_protect(tmp_path: Path) -> None:
    write(tmp_path, [start(), *wave(200)])
    found = rows(tmp_path)
    assert {finding.health for finding in found.values()} == {Health.OK}
    assert "whoever takes the card" in found["vault key"].found
    assert "of 8000 MB (0%)" in found["vault room"].found
    assert "1 segments, the last 1 are whole" in found["vault"].found


def test_a_box_that_never_ran_has_nothing_wrong(tmp_path: Path) -> None:
    found = rows(tmp_path)
    assert {finding.health for finding in found.values()} == {Health.OK}
    assert "will be made" in found["vault key"].found


def test_a_key_under_a_passphrase_is_told_so(tmp_path: Path) -> None:
    write_key_file(tmp_path / NAME, under_passphrase(new_key(), "correct horse"))
    assert "must guess it" in rows(tmp_path)["vault key"].found


def test_a_key_that_others_may_read_fails_with_its_cure(tmp_path: Path) -> None:
    write(tmp_path, [start()])
    (tmp_path / NAME).chmod(0o644)
    found = rows(tmp_path)["vault key"]
    assert found.health is Health.FAIL
    assert "chmod 600" in found.found
    assert "chmod 600" in found.cure


def test_a_key_that_is_gone_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, [start()])
    (tmp_path / NAME).unlink()
    assert rows(tmp_path)["vault key"].health is Health.WARN


@pytest.mark.parametrize("what", ["block", "key"])
def test_damage_in_the_last_segments_is_found(tmp_path: Path, what: str) -> None:
    write(tmp_path, [start(), *wave(400)], bounds=SMALL)
    last = segments(tmp_path / "vault")[-1]
    if what == "key":
        last.key_path.write_bytes(bytes(len(last.key_path.read_bytes())))
    else:
        raw = bytearray(last.path.read_bytes())
        raw[len(raw) // 2] ^= 1
        last.path.write_bytes(raw)
    found = rows(tmp_path)["vault"]
    assert found.health is Health.WARN
    assert "homeward vault verify" in found.cure


def test_packets_of_an_earlier_version_in_clear_are_a_warning(tmp_path: Path) -> None:
    (tmp_path / "packets").mkdir()
    (tmp_path / "packets" / "00000001.hwl").write_bytes(b"x")
    found = rows(tmp_path, enabled=False)
    assert found["raw data in clear"].health is Health.WARN
    assert found["vault"].found == "switched off in the configuration"


def test_a_full_vault_says_that_the_oldest_goes(tmp_path: Path) -> None:
    write(tmp_path, [start(), *wave(200)])
    assert "before their time" in rows(tmp_path, max_gb=1e-5)["vault room"].found


def test_what_the_running_monitor_says_is_passed_on_with_its_cure() -> None:
    assert list(check_kept({"vault": None})) == []
    assert list(check_kept({"vault": {"trouble": "", "kind": ""}})) == []
    (found,) = check_kept({"vault": {"trouble": "its passphrase", "kind": "key"}})
    assert found.health is Health.FAIL
    assert "homeward unlock" in found.cure
