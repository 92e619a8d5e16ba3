"""``homeward demo``: a simulated patient, live, with no hardware and no network."""

from __future__ import annotations

import itertools
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import RenderableType

from edge.assemble import assemble, facts_of, open_scorer, settings_of
from edge.cli._screen import TRACE_S, draw, say
from edge.cli._shared import (
    AsJson,
    ConfigFile,
    DataDir,
    homeward_version,
    load_config,
    parse_span,
    print_json,
)
from edge.config import Config
from edge.events import FACTS, tell
from edge.pipeline import TICK_S, Pipeline
from edge.readers import simulated
from edge.records import Alert, AlertState, Outcome, Packet, Record, encode_record
from edge.store import Run, Store

RUN_ID = "demo"
SECONDS_A_LINE = 10.0
"""Without a terminal the numbers are printed this often."""


class Told(msgspec.Struct, tag="demo", tag_field="record"):
    """What a demo was: the last line of ``--json``."""

    scenario: str
    duration_s: float
    beats: int = 0
    windows: int = 0
    summaries: int = 0
    alerts_raised: int = 0
    alerts_ended: int = 0
    outbox: int = 0


def command(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    scenario: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE", help="demo, quiet, night, arrhythmia, faults, or a TOML file."
        ),
    ] = "demo",
    length_s: Annotated[
        float | None,
        typer.Option("--for", metavar="SPAN", parser=parse_span, help="Stop after, e.g. 60s."),
    ] = None,
    speed: Annotated[
        float, typer.Option(metavar="N", min=0.1, max=1000.0, help="N times real time.")
    ] = 1.0,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the last screen as an SVG picture.")
    ] = None,
    *,
    json: AsJson = False,
) -> int | None:
    """Watch a simulated patient: numbers, a trace, alarms that rise and end.

    The bytes are those of real devices and go through the very pipeline that watches a real
    patient; records are kept in a store of their own, which is thrown away at the end unless
    --data-dir names a folder. No hardware and no network. Not a medical device.
    """
    chosen = load_config(config, data_dir)
    settings = simulated.Settings(scenario=scenario, duration_s=length_s)
    duration_s = simulated.truth(settings).duration_s
    scorer = open_scorer(chosen.model.bundle) if chosen.model.enabled else None
    pipeline = assemble(settings_of(chosen), RUN_ID, scorer=scorer)
    with tempfile.TemporaryDirectory(prefix="homeward-demo-") as scratch:
        folder = data_dir or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        store = Store.begin(folder / "demo.db", _run(pipeline))
        try:
            told = Told(scenario, duration_s)
            show = _show_json if json else _show_screen if sys.stdout.isatty() else _show_lines
            packets = itertools.chain(_facts(chosen), simulated.packets(settings))
            playing = _Playing(pipeline, store, told, packets, speed)
            show(playing)
            if picture is not None:
                _take_picture(playing, picture)
            told.outbox = store.outbox_count()
        finally:
            store.close()
    if json:
        print_json(told)
    else:
        typer.echo(_farewell(told))
    return None


def _facts(config: Config) -> Iterator[Packet]:
    for facts in facts_of(config, datetime.now().astimezone().year):
        yield tell(FACTS, facts, 0.0)


class _Playing:
    """The simulation on its way through the pipeline into the store."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store,
        told: Told,
        packets: Iterator[Packet],
        speed: float,
    ) -> None:
        self.pipeline, self.store, self.told = pipeline, store, told
        self._packets, self._speed = packets, speed

    def moments(self) -> Iterator[Outcome]:
        """Yield what every tick made, paced to the speed."""
        began_s = time.monotonic()
        waiting: list[Packet] = []
        n_ticks = int(self.told.duration_s / TICK_S)
        ahead = next(self._packets, None)
        for tick in range(1, n_ticks + 1):
            now_s = tick * TICK_S
            while ahead is not None and ahead.arrived_s <= now_s:
                waiting.append(ahead)
                ahead = next(self._packets, None)
            time.sleep(max(0.0, began_s + now_s / self._speed - time.monotonic()))
            outcome = self.pipeline.advance(waiting, now_s)
            waiting.clear()
            self._count(outcome.records)
            self.store.add(outcome, now_s)
            yield outcome
        self.store.flush(self.told.duration_s)

    def _count(self, records: tuple[Record, ...]) -> None:
        told = self.told
        kinds = Counter(type(record).__name__ for record in records)
        told.beats += kinds["Beat"]
        told.windows += kinds["Features"]
        told.summaries += kinds["Summary"]
        for record in records:
            if isinstance(record, Alert):
                told.alerts_raised += record.state is AlertState.RAISED
                told.alerts_ended += record.state is AlertState.ENDED


def _show_json(playing: _Playing) -> None:
    for outcome in playing.moments():
        for record in outcome.records:
            sys.stdout.buffer.write(encode_record(record) + b"\n")
        sys.stdout.flush()


def _show_lines(playing: _Playing) -> None:
    for outcome in playing.moments():
        now_s = playing.pipeline.now_s
        for record in outcome.records:
            if isinstance(record, Alert):
                typer.echo(f"{now_s:7.0f} s  {say(record)}")
        if now_s % SECONDS_A_LINE == 0.0:
            typer.echo(f"{now_s:7.0f} s  {_numbers_line(playing)}")


def _show_screen(playing: _Playing) -> None:
    from rich.console import Console
    from rich.live import Live as Screen

    console = Console()
    frames = itertools.count()
    # A terminal redraws four times a second, however fast the simulation runs.
    every = max(1, round(playing._speed))  # noqa: SLF001
    with Screen(console=console, auto_refresh=False, transient=True) as screen:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for _ in playing.moments():
            if next(frames) % every == 0:
                screen.update(_screen(playing, console.width), refresh=True)


def _take_picture(playing: _Playing, picture: Path) -> None:
    from io import StringIO

    from rich.console import Console

    console = Console(record=True, width=100, file=StringIO(), force_terminal=True)
    console.print(_screen(playing, console.width))
    drawn = console.export_svg(title="homeward demo")
    # A picture that fetches fonts would tell somebody that it is being looked at.
    drawn = re.sub(r"@font-face\s*{.*?}", "", drawn, flags=re.DOTALL)
    picture.write_text(drawn.replace("Fira Code", "DejaVu Sans Mono"), encoding="utf-8")
    typer.echo(f"homeward: the picture is in {picture}", err=True)


def _screen(playing: _Playing, width: int) -> RenderableType:
    live = playing.pipeline.live()
    trace = None
    if live.patients:
        trace = playing.pipeline.trace(live.patients[0].patient, "ecg_mv", TRACE_S)
    values = None if trace is None else trace.values
    return draw(live, values, _title(playing), _foot(playing), width)


def _title(playing: _Playing) -> str:
    now, end = (_minutes(s) for s in (playing.pipeline.now_s, playing.told.duration_s))
    return f"Homeward demo · simulated patient · {playing.told.scenario} · {now} of {end}"


def _foot(playing: _Playing) -> list[str]:
    told = playing.told
    return [
        (
            f"{told.beats} beats · {told.windows} windows · {told.summaries} summaries · "
            f"{told.alerts_raised} alerts raised, {told.alerts_ended} ended"
        ),
        f"{playing.store.outbox_count()} records wait for a network; nothing has left this box",
        "Not a medical device. Ctrl-C ends the demo.",
    ]


def _numbers_line(playing: _Playing) -> str:
    live = playing.pipeline.live()
    vitals = live.patients[0].vitals if live.patients else {}
    parts = []
    for label, name, unit in (("HR", "hr_bpm", "bpm"), ("SpO2", "spo2_pct", "%")):
        value = vitals.get(name, float("nan"))
        parts.append(f"{label} {'--' if value != value else round(value)} {unit}")  # noqa: PLR0124
    told = playing.told
    return f"{', '.join(parts)}, {told.beats} beats, {told.summaries} summaries"


def _farewell(told: Told) -> str:
    return (
        f"Watched {_minutes(told.duration_s)} of a simulated patient: {told.beats} beats, "
        f"{told.windows} windows scored, {told.alerts_raised} alerts raised and "
        f"{told.alerts_ended} ended, {told.summaries} summaries. "
        f"{told.outbox} records would leave the box when a network is there."
    )


def _run(pipeline: Pipeline) -> Run:
    return Run(RUN_ID, "simulated", pipeline.now_s, version=homeward_version(), config_digest="")


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
