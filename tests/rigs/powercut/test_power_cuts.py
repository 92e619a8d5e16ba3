"""10,000 power cuts lose nothing that was acknowledged, and every broken thing is caught.

``HOMEWARD_LONG=1`` makes a million of them (three hours). A failure prints the seed that makes it
again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rigs.powercut.shim import NoShimError, build, environment

ROOT = Path(__file__).parents[3]
N_CUTS = 1_000_000 if os.environ.get("HOMEWARD_LONG") else 10_000


def test_power_cuts_lose_nothing_and_controls_are_caught(tmp_path: Path) -> None:
    try:
        library = build(tmp_path)
    except NoShimError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.rigs.powercut", "--cuts", str(N_CUTS)],
        cwd=ROOT,
        env=environment(library),
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("control: ") == 8
