"""The demo with a sender and a receiver: three processes, a cut, and nothing missing."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.edge.cli.box import ROOT


def test_what_waited_while_the_receiver_was_killed_comes_once_it_is_back() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge", "demo", "--receiver", "--for", "40s", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert any("CUT" in one["text"] for one in said[:-1])
    assert any("BACK" in one["text"] for one in said[:-1])
    assert said[-1]["record"] == "demo_receiver"
    assert said[-1]["n_received"] > 0
    assert said[-1]["n_missing"] == 0
