"""The short tier of ``python -m tests.fuzz``: a few thousand inputs a decoder."""

import importlib.util
import os
import subprocess
import sys

import pytest

N_RUNS = 1_000_000 if os.environ.get("HOMEWARD_LONG") else 3_000


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: pip install atheris (it has wheels for Linux on x86-64)",
)
def test_no_decoder_falls_over_what_a_fuzzer_thinks_up():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--runs", str(N_RUNS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "held" in ended.stdout
