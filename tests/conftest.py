"""What every test may rely on."""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

# Started in the background of a script, this process ignores Ctrl-C, and so would every program
# a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test is ever heard: ALSA finds no sound card, here and in every program a test starts. Tests of
# the sound name a card of their own.
os.environ["ALSA_CONFIG_PATH"] = os.devnull

_UMASK: Final = os.umask(0o022)
os.umask(_UMASK)

ONE_PYTHON: Final[Mapping[str, str]] = {
    "edge/alerts/test_explored.py": "pure logic, explored to the end",
    "edge/alerts/test_silence.py": "pure logic, explored to the end",
    "edge/annunciators/test_sound.py": "a card's and a player's trouble; test_heard_box stays",
    "edge/cli/test_demo_receiver.py": "three processes and a cut; test_synced_box stays",
    "edge/cli/test_handing_box.py": "a box and two senders, killed; test_syncdesk stays",
    "edge/cli/test_hanging_terminal.py": "a terminal's trouble",
    "edge/cli/test_limits_command.py": "replays of what was changed",
    "edge/cli/test_serial_box.py": "a board's trouble at its cable",
    "edge/cli/test_story_box.py": "what test_notified_box and test_running_box show apart",
    "edge/cli/test_watched_box.py": "a failing machine under the box",
    "edge/cli/test_whatif_command.py": "replays, again and again",
    "edge/test_night.py": "a whole night, replayed in many pieces; test_golden stays",
    "edge/test_past.py": "replays of long recordings, byte for byte",
    "fleet": "figures of brokers",
    "fuzz": "bytes thought up for the decoders",
    "hardware": "C code, and the lines it talks over",
    "edge/canaries": "a search through every file of a box",
    "edge/cli/test_vault_box.py": "the vault under the box, its keys' trouble; test_vaulting stays",
    "edge/cli/test_damaged_box.py": "a damaged store under the box; test_salvage stays",
    "rigs/fhir": "a FHIR server of npm",
    "rigs/damage": "thousands of damages",
    "rigs/hil": "firmware in its emulator",
    "rigs/i2c": "chips behind a C library",
    "rigs/net": "brokers, links and servers of the rigs",
    "rigs/powercut": "thousands of power cuts",
    "rigs/serial": "boards' trouble at their cables",
    "rigs/sync": "campaigns of cuts and kills",
    "rigs/test_alarm_latency.py": "figures of time",
    "rigs/test_ble_reader_faults.py": "a campaign of faults",
    "rigs/test_ble_reader_trust.py": "pairings that are waited for, long",
    "rigs/test_failing.py": "every call to the disk fails once",
    "rigs/test_fault_campaign.py": "a campaign of faults",
    "rigs/test_full.py": "a disk that is full, again and again",
    "rigs/test_hanging.py": "a disk that hangs",
    "rigs/test_kills.py": "a hundred kills",
    "rigs/test_night.py": "a night of faults",
    "rigs/test_pairing_command.py": "people at a terminal, one after the other",
}
"""Long tests of what is the same on every Python, and why: `tests/run` runs them on one."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark what needs to be tested on one Python only."""
    here = Path(__file__).parent
    alone = {here / name for name in ONE_PYTHON}
    for item in items:
        if not alone.isdisjoint((item.path, *item.path.parents)):
            item.add_marker(pytest.mark.one_python)


def pytest_runtest_call() -> None:
    """Have a command that keeps its files to itself not do so for the tests after it."""
    os.umask(_UMASK)
