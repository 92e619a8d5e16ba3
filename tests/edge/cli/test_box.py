"""The box of these tests: a command that hangs ends its test, and says where it hung."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.edge.cli.box import ended, killed

HANGS = "import signal, time\n{more}\nprint('so far', flush=True)\ntime.sleep(600)"


def hanging(more: str = "") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HANGS.format(more=more)],
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_what_hangs_is_ended_and_its_stack_is_told() -> None:
    process = hanging()
    with pytest.raises(AssertionError, match=r'hung for 0 s:(.|\n)*File "<string>", line 4'):
        ended(process, 0.5)
    assert process.returncode is not None


def test_a_grandchild_that_holds_the_pipe_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.edge.cli.box.GONE_S", 0.5)
    process = hanging("import subprocess; subprocess.Popen(['sleep', '5'])")
    began_s = time.monotonic()
    with pytest.raises(AssertionError, match="hung for"):
        killed(process)
    assert time.monotonic() - began_s < 4.0
    assert process.poll() is not None
