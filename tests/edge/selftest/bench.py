"""A bench for the parts of the self-test: a box with a configuration and nothing attached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.cli._shared import plugin_defaults
from edge.config import Config, load
from edge.live import Live, PatientLive, SensorLive, SourceLive
from edge.records import LinkState, Security, SelfTestRow
from edge.selftest import Bench, Part

PLUGINS = plugin_defaults()
NOTHING = Live(1000.0, (), (), (), 0, ())


def config(folder: Path, text: str = "", **overrides: str) -> Config:
    path = folder / "box.toml"
    path.write_text(text)
    return load(path, PLUGINS, overrides={"box.data_dir": str(folder), **overrides})


def bench(folder: Path, text: str = "", **what: Any) -> Bench:
    told = {
        "config": config(folder, text),
        "live": NOTHING,
        "clock_is_set": lambda: True,
        "opened": {},
        "unopened": {},
        "prove_store": lambda: 0.002,
    }
    return Bench(**{**told, **what})


def rows(part: Part, on: Bench) -> list[SelfTestRow]:
    return [row for subject in part.subjects(on) for row in part.check(on, subject)]


def source(name: str, age_s: float, n_packets: int = 10_000, stream: str = "uart") -> SourceLive:
    return SourceLive(name, stream, "patient-1", n_packets, 0, 0, 0, age_s, 0.0, "")


def sensor(name: str, battery_pct: float) -> SensorLive:
    state, security = LinkState.CONNECTED, Security.SECURE
    return SensorLive(name, name, "", "patient-1", state, security, "", battery_pct, 5.0)


def patient(**vitals: float) -> PatientLive:
    return PatientLive("patient-1", vitals, {}, 0.0, 0, 0)
