"""Put together what the running monitor watches itself with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.clock import BootClock
from edge.daemon.boxwatch import BoxWatch
from edge.daemon.boxwatch.disk import Disk
from edge.daemon.boxwatch.hardware import Hardware
from edge.daemon.boxwatch.looks import Look
from edge.daemon.boxwatch.parts import ClockPart, RecorderPart, SoundPart
from edge.daemon.boxwatch.vault import VaultPart
from edge.daemon.local import Local
from edge.daemon.recorder import Recorder
from edge.records import Packet


def open_boxwatch(
    clock: BootClock,
    put: Callable[[Packet], None],
    recorder: Recorder,
    local: Local,
    folder: Path | None,
    *,
    clock_was_set: bool = False,
) -> BoxWatch:
    """Return what watches the box.

    Parameters
    ----------
    folder : Path | None
        The data directory; None: its disk is not looked at.
    """
    parts = (
        ClockPart(clock.read, was_set=clock_was_set),
        RecorderPart(recorder.report),
        VaultPart(recorder.vault_report),
        SoundPart(local.reports),
    )
    looks = [Look("hardware", Hardware())]
    if folder is not None:
        looks.append(Look("disk", Disk(folder, recorder.path, clock.now_s)))
    return BoxWatch(put, parts, looks)
