"""``homeward config``."""

from __future__ import annotations

import json
import tomllib

import pytest

from edge.__main__ import main


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch, tmp_path):
    monkeypatch.delenv("HOMEWARD_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOMEWARD_DATA_DIR", str(tmp_path / "kept"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "box.toml"
    path.write_text("[alarms.low_spo2]\nlimit_pct = 85\n", encoding="utf-8")
    return path


def test_it_prints_each_setting_and_where_it_was_set(capsys, file):
    assert main(["config", "--config", str(file)]) == 0
    rows = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines() if line]
    printed = {row[0]: row[1:] for row in rows}
    assert printed["alarms.low_spo2.limit_pct"] == ["85.0", f"{file}:2"]
    assert printed["alerts.reraise_s"] == ["120.0", "default (edge/config/settings.py)"]


def test_its_json_lines_end_with_a_summary(capsys, file, tmp_path):
    assert main(["config", "--config", str(file), "--data-dir", str(tmp_path), "--json"]) == 0
    *rows, summary = map(json.loads, capsys.readouterr().out.splitlines())
    changed = {row["key"]: row["source"] for row in rows if row["source"][:7] != "default"}
    assert changed == {"alarms.low_spo2.limit_pct": f"{file}:2", "box.data_dir": "command line"}
    assert summary == {
        "record": "config",
        "file": str(file),
        "n_settings": len(rows),
        "n_changed": 2,
    }


def test_its_toml_is_a_file_to_start_from(capsys, file, tmp_path):
    assert main(["config", "--config", str(file), "--toml"]) == 0
    text = capsys.readouterr().out
    assert tomllib.loads(text)["alarms"]["low_spo2"] == {"limit_pct": 85.0}
    again = tmp_path / "again.toml"
    again.write_text(text, encoding="utf-8")
    assert main(["config", "--config", str(again), "--toml"]) == 0
    assert capsys.readouterr().out == text


def test_its_schema_is_json(capsys):
    assert main(["config", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert "low_spo2" in schema["properties"]["alarms"]["properties"]


def test_a_faulty_file_is_told_line_by_line_without_a_traceback(capsys, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("[box]\nnam = 'x'\n[alarms.low_spo2]\nlimit = 88\n", encoding="utf-8")
    assert main(["config", "--config", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    first, second = printed.err.splitlines()
    assert first == f"homeward: {path}:2: box.nam: there is no such setting; write name"
    assert second.startswith(f"{path}:4: alarms.low_spo2.limit")


def test_a_file_is_looked_for_in_the_usual_places(capsys, tmp_path, monkeypatch, file):
    user = tmp_path / "config/homeward/homeward.toml"
    user.parent.mkdir(parents=True)
    user.write_text("[box]\nname = 'user'\n", encoding="utf-8")
    assert main(["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["value"] == "user"
    monkeypatch.setenv("HOMEWARD_CONFIG", str(file))
    assert main(["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["file"] == str(file)


def test_two_kinds_of_output_at_once_are_refused(capsys):
    assert main(["config", "--schema", "--toml"]) == 2
    assert "choose one" in capsys.readouterr().err
