"""``homeward replay``: the monitor over a recording, record for record as it would have been."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edge.assemble import assemble, facts_of, open_scorer, settings_of
from edge.cli import DONE, FOUND
from edge.cli._annotations import write_annotations
from edge.cli._screen import say
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    load_config,
    parse_span,
    print_json,
)
from edge.cli._vault import VAULT, LedUp, vault_span
from edge.config import Config
from edge.events import FACTS, tell
from edge.packetlog import PacketLogWriter
from edge.pipeline import Pipeline
from edge.playback import OnRecord, OnTime, replay_packets
from edge.readers.replay import ALL, ReplayReport, ReplaySettings, packets
from edge.records import Alert, AlertState, Beat, Features, Gap, Packet, Record, encode_record

RUN_ID = "replay"
END = "box:end"
"""Stream of the one packet that says where a recording ended; the pipeline passes it over."""


class Replayed(msgspec.Struct, tag="replay", tag_field="record"):
    """What a replay was: the last line of ``--json``.

    Attributes
    ----------
    duration_s : float
        Length of the span that was replayed.
    alerts : int
        Alerts raised.
    broken : int
        Packets dropped because they broke their format, and blocks lost from a packet log.
    start_cpu_s, cpu_s, wall_s : float
        Processor time until the first packet was there; processor time and time by the clock
        from then on, reading, decoding, monitoring and printing together.
    speed_x : float
        How many times faster than the recording that is, by the clock.
    records_sha256 : str
        Over all lines of records: two replays that agree in it agree in everything.
    """

    recording: str
    duration_s: float = 0.0
    beats: int = 0
    windows: int = 0
    alerts: int = 0
    gaps: int = 0
    broken: int = 0
    start_cpu_s: float = 0.0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    speed_x: float = 0.0
    records_sha256: str = ""


def _parse_chunk(text: str) -> int:
    if text == "all":
        return ALL
    if text.isascii() and text.isdigit():
        return int(text)
    raise typer.BadParameter(f"{text!r} is neither a number of samples nor all")


def command(  # noqa: PLR0913  # each is an option of the command
    recording: Annotated[
        str, typer.Argument(help="WFDB record, EDF or EDF+, CSV, packet log or vault:[RUN|SPAN].")
    ],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    chunk: Annotated[
        str, typer.Option(metavar="N|all", help="Samples in a packet; 0: one second's worth.")
    ] = "0",
    speed: Annotated[
        float, typer.Option(metavar="N", min=0.0, help="1: real time; 0: as fast as it goes.")
    ] = 0.0,
    from_s: Annotated[
        float | None, typer.Option("--from", metavar="SPAN", parser=parse_span, help="Begin at.")
    ] = None,
    to_s: Annotated[
        float | None, typer.Option("--to", metavar="SPAN", parser=parse_span, help="End at.")
    ] = None,
    fs_hz: Annotated[
        float | None, typer.Option("--fs", metavar="HZ", help="Rate of a CSV without times.")
    ] = None,
    signals: Annotated[
        list[str] | None,
        typer.Option(
            "--signal",
            metavar="CHANNEL=SIGNAL[:LEAD]",
            help="What a channel is, e.g. 'V=ecg_mv:V5'; '-' leaves it out, 'time_s' is the time.",
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write beats (.hwd) and episodes (.hwe) for WFDB."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the packets in a new packet log.")
    ] = None,
    json: AsJson = False,
    summary: Annotated[bool, typer.Option("--summary", help="Print the summary only.")] = False,
) -> int:
    """Run the monitor over a recording and print what it would have recorded.

    The recording is turned into packets and takes the same way as a live sensor. The same
    recording, settings and model give the same records, however it is cut into packets.

    vault: is the last run of the monitor, record for record; vault:RUN another one; vault:8h the
    last eight hours, led up to by the ten minutes before, whose records are left out.

    Ends with exit code 3 when there were alerts.
    """
    settings = _settings(
        path=recording,
        chunk=_parse_chunk(chunk),
        speed=speed,
        from_s=from_s or 0.0,
        to_s=to_s,
        fs_hz=fs_hz,
        signals=_chosen(signals or []),
    )
    chosen = load_config(config, data_dir)
    if log is not None and log.exists():
        raise CommandError(f"{log} is there already; name a new file for the packet log")
    report = ReplayReport()
    stream, begin_s, vault_end_s = _stream(chosen, settings, report)
    if annotations is not None and report.fs_hz is None:
        raise CommandError("--annotations needs a recording; a packet log has no one sampling rate")
    first = next(stream, None)
    if first is None:
        raise CommandError(f"{recording} holds no packets in this span; choose another")
    told = Replayed(report.name)
    tally = _Tally(told, _printer(json=json, summary=summary))
    pipeline = open_pipeline(chosen, RUN_ID, first.arrived_s)
    end_s = vault_end_s or _end_of(report, settings)
    # Imports and the model are a fixed cost of the start; what is told is that of the recording.
    told.start_cpu_s = round(time.process_time(), 3)
    began_cpu_s, began_s = time.process_time(), time.perf_counter()
    with contextlib.ExitStack() as stack:
        source: Iterable[Packet] = _chain(first, stream)
        if report.fs_hz is not None:  # a packet log brings its own
            source = itertools.chain(_facts(chosen, first.arrived_s), source)
        if log is not None:
            source = _logged(source, stack.enter_context(PacketLogWriter(log)), end_s)
        led_up = LedUp(tally, begin_s, _progress(stack, first.arrived_s, end_s, json=json))
        last_s = replay_packets(
            source,
            pipeline,
            led_up,
            end_s=end_s,
            settle=vault_end_s is None,
            speed=speed,
            on_time=led_up.timed,
        )
    told.duration_s = last_s - (first.arrived_s if begin_s is None else begin_s)
    told.cpu_s = round(time.process_time() - began_cpu_s, 3)
    told.wall_s = round(time.perf_counter() - began_s, 3)
    told.speed_x = round(told.duration_s / max(told.wall_s, 1e-3), 1)
    told.broken = report.log.n_bad_blocks + sum(s.n_broken for s in pipeline.live().sources)
    told.records_sha256 = tally.digest.hexdigest()
    for message in (*report.messages, *report.log.messages):
        typer.echo(f"homeward: {message}", err=True)
    if annotations is not None and report.fs_hz is not None:
        beats = sorted({round(at_s * report.fs_hz) for at_s in tally.beats_s})
        files = write_annotations(annotations, report.name, report.fs_hz, beats, tally.episodes)
        typer.echo(f"homeward: annotations are in {' and '.join(map(str, files))}", err=True)
    if json or summary:
        print_json(told)
    else:
        typer.echo(_farewell(told))
    return FOUND if told.alerts else DONE


def _stream(
    config: Config, settings: ReplaySettings, report: ReplayReport
) -> tuple[Iterator[Packet], float | None, float | None]:
    """Return the packets, from when on their records count, and until when the monitor watched.

    None: from the first; unknown, as of all but the vault.
    """
    if not settings.path.startswith(VAULT):
        return packets(settings, report), None, None
    past = vault_span(config.box.data_dir, settings.path, settings, report)
    return past.packets, past.begin_s, past.end_s


def _end_of(report: ReplayReport, settings: ReplaySettings) -> float | None:
    return None if report.duration_s is None else settings.from_s + report.duration_s


def open_pipeline(config: Config, run_id: str, start_s: float) -> Pipeline:
    """Return the monitor as it is configured, its first tick at or after `start_s`."""
    scorer = open_scorer(config.model.bundle) if config.model.enabled else None
    return assemble(settings_of(config), run_id, scorer=scorer, start_s=math.floor(start_s))


class _Tally:
    """Counts the records and passes them on."""

    def __init__(self, told: Replayed, show: OnRecord) -> None:
        self._told = told
        self._show = show
        self.digest = hashlib.sha256()
        self.beats_s: list[float] = []
        self.episodes: list[tuple[float, str]] = []

    def __call__(self, record: Record) -> None:
        self.digest.update(encode_record(record) + b"\n")
        if isinstance(record, Beat):
            self._told.beats += 1
            if record.sample_idx >= 0:
                self.beats_s.append(record.at_s)
        elif isinstance(record, Features):
            self._told.windows += 1
        elif isinstance(record, Gap):
            self._told.gaps += 1
        elif isinstance(record, Alert):
            self._count_alert(record)
        self._show(record)

    def _count_alert(self, alert: Alert) -> None:
        if alert.state is AlertState.RAISED:
            self._told.alerts += 1
            self.episodes.append((alert.since_s, f"({alert.rule} {alert.priority}"))
        elif alert.state is AlertState.ENDED:
            self.episodes.append((alert.at_s, f"{alert.rule})"))


def _settings(**options: object) -> ReplaySettings:
    try:
        return msgspec.convert(options, ReplaySettings)
    except ValueError as error:
        raise CommandError(f"this cannot be replayed: {error}") from error


def _chosen(pairs: list[str]) -> dict[str, str]:
    chosen = {}
    for pair in pairs:
        channel, equals, signal = pair.rpartition("=")
        if not equals or not channel:
            raise CommandError(f"--signal {pair!r} is not CHANNEL=SIGNAL, e.g. 'V=ecg_mv:V5'")
        chosen[channel] = signal
    return chosen


def _facts(config: Config, at_s: float) -> list[Packet]:
    """Return what is known of the patients, as a log would begin with it."""
    year = datetime.now().astimezone().year
    known = (facts for facts in facts_of(config, year) if facts.at_least_years is not None)
    return [tell(FACTS, facts, at_s) for facts in known]


def _chain(first: Packet, rest: Iterator[Packet]) -> Iterator[Packet]:
    yield first
    yield from rest


def _logged(
    source: Iterable[Packet], writer: PacketLogWriter, end_s: float | None
) -> Iterator[Packet]:
    for packet in source:
        writer.append(packet)
        yield packet
    if end_s is not None:
        # The last packet's samples reach beyond its arrival; the log must end where they do.
        writer.append(Packet("box", END, end_s, b""))


def _printer(*, json: bool, summary: bool) -> OnRecord:
    def print_line(record: Record) -> None:
        sys.stdout.write(encode_record(record).decode() + "\n")

    def print_alert(record: Record) -> None:
        if isinstance(record, Alert):
            typer.echo(f"{record.at_s:9.1f} s  {say(record)}")

    if summary:
        return lambda _record: None
    return print_line if json else print_alert


def _progress(
    stack: contextlib.ExitStack, start_s: float, end_s: float | None, *, json: bool
) -> OnTime | None:
    """Return what moves a bar on the terminal, None where there is no one to see it."""
    both_on_screen = sys.stdout.isatty() and json
    if not sys.stderr.isatty() or end_s is None or both_on_screen:
        return None
    from rich.console import Console
    from rich.progress import Progress

    bar = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
    task = bar.add_task("replay", total=end_s - start_s)
    return lambda now_s: bar.update(task, completed=now_s - start_s)


def _farewell(told: Replayed) -> str:
    return (
        f"{told.recording.rstrip(':')}: {told.duration_s:.0f} s, {told.beats} beats, "
        f"{told.windows} windows, {told.alerts} alerts, {told.gaps} gaps, "
        f"{told.broken} broken packets; "
        f"{told.cpu_s:.2f} s of processor time, {told.speed_x:.0f} times real time"
    )
