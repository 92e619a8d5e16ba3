"""An emulated Cortex-M ECG board to play with: ``python -m tests.rigs.hil.cortexm``.

Prints the port it is at and runs until Ctrl-C, with 72 beats a minute at its electrodes; in another
terminal: ``homeward run --uart PORT``.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path

from tests.rigs.hil.converter import Converter
from tests.rigs.hil.ecg_wave import wave_counts
from tests.rigs.hil.qemu import Qemu, build

TABLES = {fs_hz: wave_counts(fs_hz).tolist() for fs_hz in (125.0, 250.0, 500.0)}
"""One period of what is at the electrodes, at every rate the board has."""


def convert(tick: int, fs_hz: float) -> tuple[int, int]:
    """Convert the ECG everybody knows."""
    table = TABLES[fs_hz]
    first, second = table[tick % len(table)]
    return first, second


def main() -> None:
    """Run the board until Ctrl-C."""
    with tempfile.TemporaryDirectory() as folder:
        elf = build("cortexm-ecg", Path(folder))
        with Qemu(elf) as board, Converter(board.lines[0], convert):
            print(board.port, flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()


if __name__ == "__main__":
    main()
