"""Tell the journal which names must not be printed: those of the settings, and of the sensors."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.config import Config
from edge.devices import DevicesError, load
from edge.journal import NAMES, Names

OWN: Final = ("", "the day", "box", "patient-1", "homeward", "bluetooth", "command line", "deadman")
"""Names of the program's own."""


def know_names(config: Config, names: Names = NAMES) -> None:
    """Hide all that people named in these settings; each is shown as where it stands in them."""
    readers = {source.reader for source in config.sources}
    channels = {way.channel for way in config.notices}
    names.allow({*OWN, "simulated", "replay", *readers, *channels, *config.annunciators})
    names.allow({sink.sink for sink in config.sinks})
    names.hide(config.box.name, "[the box]")
    for n, patient in enumerate(config.patients, 1):
        names.hide(patient.id, f"[patient {n}]")
        names.hide(patient.spo2_scale_by, f"[who decided on patient {n}]")
        names.hide(patient.spo2_scale_why, f"[why for patient {n}]")
    for n, source in enumerate(config.sources, 1):
        names.hide(source.name, f"[source {n}]")
        recording = getattr(source.settings, "path", None)
        if recording:  # people name recordings after whom they recorded
            names.hide(Path(recording).name, f"[recording of source {n}]")
            names.hide(Path(recording).stem, f"[recording of source {n}]")
    for n, way in enumerate(config.notices, 1):
        names.hide(way.name, f"[notices {n}]")
    for n, sink in enumerate(config.sinks, 1):
        names.hide(sink.name, f"[sink {n}]")
    with suppress(DevicesError, OSError):  # told where they are read to be used
        for n, device in enumerate(load(config.box.data_dir), 1):
            names.hide(device.name, f"[sensor {n}]")
            names.hide(device.patient, f"[patient of sensor {n}]")
