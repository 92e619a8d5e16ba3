"""``python -m train`` as a person runs it."""

import json
import os
import subprocess
import sys

import pytest


def run(*words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "train", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ,
        timeout=120,
        check=False,
    )


def test_help_names_the_commands_and_imports_nothing_heavy():
    code = "import sys, train.__main__; print([m for m in ('sklearn', 'onnx', 'scipy', 'wfdb') "
    done = subprocess.run(
        [sys.executable, "-c", code + "if m in sys.modules])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    told = run("--help").stdout
    assert all(word in told for word in ("table", "fit", "evaluate", "export"))


def test_a_missing_folder_is_one_sentence_and_exit_code_1(tmp_path):
    done = run("fit", "--out", tmp_path / "m", "--data", tmp_path / "nowhere")
    assert done.returncode == 1
    assert "HOMEWARD_DATA" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m").exists()


def test_wrong_use_is_exit_code_2():
    assert run("fit").returncode == 2


def test_the_shipped_model_passes_the_release_check():
    done = run("export", "edge/models/ecg_window", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["golden_off_by"] < 1e-4


@pytest.mark.parametrize("name", ["model.onnx", "model.json"])
def test_an_incomplete_model_folder_is_one_sentence_and_exit_code_1(tmp_path, name):
    (tmp_path / name).write_bytes(b"{}")
    done = run("export", tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
