"""Plays a scenario through the real decoders, for comparing with the truth that was played."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np

from edge import decoders
from edge.decoders import Decoder
from edge.discover import discover
from edge.readers._scenario import DeviceName
from edge.readers.simulated import Settings, Truth, packets, truth
from edge.records import Packet, Samples

DECODERS = {
    stream: decoder
    for decoder in discover(decoders, "DECODER", Decoder)
    for stream in decoder.streams
}
ALL_DEVICES: tuple[DeviceName, ...] = (
    "board", "clip", "motion", "thermometer", "strap", "pleth",
)  # fmt: skip


class Seen(msgspec.Struct):
    """What came out of the decoders: runs by (source, signal, lead), and the truth."""

    packets: list[Packet]
    runs: dict[tuple[str, str, str], list[Samples]]
    truth: Truth

    def values(self, source: str, signal: str, lead: str = "") -> np.ndarray:
        runs = self.runs[f"sim:{source}", signal, lead]
        return np.concatenate([samples.values for samples in runs]).astype(np.float64)

    def arrivals_s(self, source: str, signal: str, lead: str = "") -> np.ndarray:
        """Arrival of the packet of every value."""
        runs = self.runs[f"sim:{source}", signal, lead]
        return np.concatenate([np.full(len(run.values), run.start_s) for run in runs])

    def wave(self, source: str, signal: str, lead: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Return the true times and the values of a board's samples, as long as none is lost."""
        values = self.values(source, signal, lead)
        return self.truth.sample_times_s(f"sim:{source}", 0, values.size), values

    def of(self, source: str) -> list[Packet]:
        return [packet for packet in self.packets if packet.source == f"sim:{source}"]


def play(
    folder: Path,
    *events: str,
    devices: tuple[str, ...] = ("board",),
    duration_s: float = 60.0,
    seed: int = 4,
    patient: str = "",
    links: str = "",
) -> Seen:
    """Play the events (lines of TOML each) and decode every packet."""
    path = folder / "scenario.toml"
    text = (
        f'title = "test"\nduration_s = {duration_s}\nseed = {seed}\n[patient]\n{patient}\n{links}\n'
    )
    path.write_text(text + "".join(f"[[events]]\n{event}\n" for event in events))
    return see(Settings(str(path), devices=devices))


def see(settings: Settings) -> Seen:
    found = list(packets(settings))
    runs: dict[tuple[str, str, str], list[Samples]] = defaultdict(list)
    opened = {}
    for packet in found:
        if packet.source not in opened:
            opened[packet.source] = DECODERS[packet.stream].open()
        for samples in opened[packet.source](packet):
            runs[packet.source, samples.signal, samples.lead].append(samples)
    return Seen(found, runs, truth(settings))


def r_peaks_s(times_s: np.ndarray, ecg_mv: np.ndarray) -> np.ndarray:
    """Return R peaks by a plain rule: the highest sample of every steep, tall excursion."""
    slow = np.convolve(np.pad(ecg_mv, 75, "edge"), np.full(151, 1 / 151), "valid")
    above = np.flatnonzero(ecg_mv - slow > 0.45)
    if not above.size:
        return np.empty(0)
    groups = np.split(above, np.flatnonzero(np.diff(above) > 50) + 1)
    return np.array([times_s[group[np.argmax(ecg_mv[group])]] for group in groups])
