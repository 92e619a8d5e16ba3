"""CPU per hour of one ECG lead at live cadence, stage by stage."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import edge.alarms
import edge.decoders
import edge.features
from edge import frame
from edge.alarms import Rule
from edge.assemble import open_scorer
from edge.decoders import Decoder
from edge.discover import discover
from edge.features import FeatureFamily
from edge.pipeline import TICK_S, Pipeline, PipelineSettings
from edge.readers import replay, simulated
from edge.records import SECOND_S, Packet, encode_record
from edge.store import Run, Store

TITLE = (
    "CPU per hour of one ECG lead: 10 packets a second, 4 ticks a second, one thread. Each row "
    "adds its stage to the rows above it."
)
PACKETS_A_SECOND = 10
REFERENCE_US = 20.5
"""The same call on the machine whose figures the project was planned with."""
DATA = Path(os.environ.get("HOMEWARD_DATA", "../shared/data"))


def measure(length_s: float, repeats: int) -> list[dict[str, object]]:
    """Return the rows of the table; 250 Hz is simulated, 360 Hz is record 208 where it is."""
    columns: dict[str, dict[str, float]] = {}
    for label, (fs_hz, ecg_mv) in {"250 Hz": _simulated(length_s), **_recorded(length_s)}.items():
        columns[label] = _measure(fs_hz, ecg_mv, repeats)
    rows: list[dict[str, object]] = []
    names = list(next(iter(columns.values())))
    before = dict.fromkeys(columns, 0.0)
    for name in names:
        row: dict[str, object] = {"stage": name}
        for label, found in columns.items():
            row[f"{label}, ms/h"] = round(found[name] - before[label])
            row[f"{label}, sum"] = round(found[name])
            before[label] = found[name]
        rows.append(row)
    rows.append(_flat_out(repeats))
    call_us = _calibrate(repeats)
    told = f"{call_us:.1f} us"
    rows.append({"stage": "this machine: scipy.signal.sosfilt, 250 samples", "250 Hz, sum": told})
    # Only arithmetic on the rows above; it lets two machines be compared.
    scaled: dict[str, object] = {"stage": f"all stages, were that call {REFERENCE_US} us"}
    for label, sum_ms in before.items():
        scaled[f"{label}, sum"] = round(sum_ms * REFERENCE_US / call_us)
    rows.append(scaled)
    return rows


def packets_of(fs_hz: float, ecg_mv: np.ndarray, signal: str = "ecg_mv") -> list[Packet]:
    """Return the packets of a board that sends one lead ten times a second."""
    described = frame.Description(fs_hz, (frame.Channel(signal, "II", 0, 1000.0, 0.0),), "bench")
    counts = np.clip(np.round(ecg_mv * 1000), -32767, 32767).astype("<i2")
    n = round(fs_hz / PACKETS_A_SECOND)
    found = [
        Packet("bench", frame.STREAM, 0.0, frame.pack(1, 0, 0, frame.pack_description(described)))
    ]
    for sequence, start in enumerate(range(0, len(counts) - n + 1, n), 1):
        body = frame.pack_rows(counts[start : start + n])
        payload = frame.pack(frame.SAMPLES, sequence, round(start * 1e6 / fs_hz), body)
        # A millisecond or so of jitter: what the timeline has to work on in life.
        arrived_s = (start + n) / fs_hz + 0.004 + 0.003 * math.sin(sequence)
        found.append(Packet("bench", frame.STREAM, arrived_s, payload))
    return found


def _measure(fs_hz: float, ecg_mv: np.ndarray, repeats: int) -> dict[str, float]:
    ecg, other = packets_of(fs_hz, ecg_mv), packets_of(fs_hz, ecg_mv, "resp_au")
    families = discover(edge.features, "FEATURES", FeatureFamily)
    vitals = [f for f in families if f.every_s == SECOND_S]
    rules = discover(edge.alarms, "RULE", Rule)
    scorer = open_scorer()
    length_s = len(ecg_mv) / fs_hz
    stages: dict[str, Callable[[], float]] = {
        "ticks": lambda: _run([], length_s, [], [], None),
        "packets to ring": lambda: _run(other, length_s, [], [], None),
        "beats and quality": lambda: _run(ecg, length_s, [], [], None),
        "vital signs": lambda: _run(ecg, length_s, vitals, [], None),
        "rules and alerts": lambda: _run(ecg, length_s, vitals, rules, None),
        "windows and features": lambda: _run(ecg, length_s, families, rules, None),
        "model": lambda: _run(ecg, length_s, families, rules, scorer),
        "records stored": lambda: _run(ecg, length_s, families, rules, scorer, stored=True),
    }
    found: dict[str, list[float]] = {name: [] for name in stages}
    for _, (name, stage) in itertools.product(range(repeats), stages.items()):
        found[name].append(stage() / length_s * 3600.0 * 1000.0)
    return {name: statistics.median(values) for name, values in found.items()}


def _run(packets, length_s, families, rules, scorer, *, stored: bool = False) -> float:
    """Return the CPU seconds of one run through the pipeline."""
    decoders = discover(edge.decoders, "DECODER", Decoder)
    pipeline = Pipeline(PipelineSettings(), decoders, families, rules, scorer, "bench")
    with tempfile.TemporaryDirectory() as folder:
        store = None
        if stored:
            store = Store.begin(
                Path(folder) / "bench.db", Run("bench", "bench", 0.0, version="", config_digest="")
            )
        at, began_s = 0, time.process_time()
        for tick in range(1, round(length_s / TICK_S) + 1):
            now_s, first = tick * TICK_S, at
            while at < len(packets) and packets[at].arrived_s <= now_s:
                at += 1
            outcome = pipeline.advance(packets[first:at], now_s)
            if store is not None:
                store.add(outcome, now_s)
        if store is not None:
            store.flush(length_s)
        spent_s = time.process_time() - began_s
        if store is not None:
            store.close()
    return spent_s


def _simulated(length_s: float) -> tuple[float, np.ndarray]:
    """Return a simulated lead, decoded from the packets of the simulated board."""
    settings = simulated.Settings(scenario="quiet", duration_s=length_s, devices=("board",))
    decode = next(
        d for d in discover(edge.decoders, "DECODER", Decoder) if frame.STREAM in d.streams
    ).open()
    runs = [
        samples.values
        for packet in simulated.packets(settings)
        for samples in decode(packet)
        if samples.signal == "ecg_mv"
    ]
    return 250.0, np.concatenate(runs)


def _recorded(length_s: float) -> dict[str, tuple[float, np.ndarray]]:
    path = DATA / "mitdb" / "208"
    if not path.with_suffix(".hea").exists():
        return {}
    decode = next(
        d for d in discover(edge.decoders, "DECODER", Decoder) if frame.STREAM in d.streams
    ).open()
    settings = replay.ReplaySettings(path=str(path), to_s=min(length_s, 1805.0))
    runs = [
        samples.values
        for packet in replay.packets(settings)
        for samples in decode(packet)
        if samples.signal == "ecg_mv" and samples.lead == "MLII"
    ]
    return {"360 Hz": (360.0, np.concatenate(runs))}


def _calibrate(repeats: int) -> float:
    """Return what scipy's public ``sosfilt`` costs here in us, to compare machines by."""
    from scipy import signal  # noqa: PLC0415  # the monitor itself does not import it

    sos = signal.butter(2, [6, 18], "bandpass", fs=250, output="sos")
    block, state = np.random.default_rng(1).normal(size=250), np.zeros((2, 2))
    found = []
    for _ in range(repeats):
        began_s = time.process_time()
        for _ in range(2000):
            _, state = signal.sosfilt(sos, block, zi=state)
        found.append((time.process_time() - began_s) / 2000 * 1e6)
    return statistics.median(found)


def _flat_out(repeats: int) -> dict[str, object]:
    """Return how much faster than life a recording of two leads is replayed."""
    path = DATA / "mitdb" / "208"
    row: dict[str, object] = {"stage": "replay of 208 flat out, both leads"}
    if not path.with_suffix(".hea").exists():
        return {**row, "360 Hz, sum": "no recordings here"}
    families = discover(edge.features, "FEATURES", FeatureFamily)
    rules = discover(edge.alarms, "RULE", Rule)
    decoders = discover(edge.decoders, "DECODER", Decoder)
    scorer = open_scorer()
    speeds = []
    for _ in range(repeats):
        packets = list(replay.packets(replay.ReplaySettings(path=str(path))))
        pipeline = Pipeline(PipelineSettings(), decoders, families, rules, scorer, "bench")
        began_s = time.process_time()
        for record in pipeline.advance(packets, 1809.0).records:
            encode_record(record)
        speeds.append(1805.6 / (time.process_time() - began_s))
    return {**row, "360 Hz, sum": f"{statistics.median(speeds):.0f} x real time"}
