"""``homeward export``: a span of what was sensed as EDF+, WFDB, CSV, FHIR or a packet log."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edge.cli import DONE
from edge.cli._annotations import write_annotations
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    homeward_version,
    load_config,
    print_json,
)
from edge.cli._sourced import Sourced, is_scenario, open_source
from edge.cli._spans import PRIVATE, Range, parse_range, parse_utc
from edge.cli._vault import VAULT
from edge.export.edfplus import write_edf
from edge.export.fhir import write_fhir
from edge.export.gather import Gathered, gather
from edge.export.records import plain, write_records
from edge.export.span import OnProgress, Origin, Span
from edge.export.spool import Channel, Spool
from edge.export.table import write_tables
from edge.packetlog import LogError, PacketLogWriter
from edge.records import Packet


class ExportedChannel(msgspec.Struct, tag="channel", tag_field="record"):
    """One channel of an export.

    ``uncertainty_s`` bounds the error of every time, ``usual_s`` that of 95 of 100; None: timed by
    arrival.
    """

    signal: str
    lead: str
    source: str
    fs_hz: float
    samples: int
    gaps: int
    clock_ppm: float
    uncertainty_s: float | None
    usual_s: float | None


class Exported(msgspec.Struct, tag="export", tag_field="record"):
    """What an export was: the last line of ``--json``."""

    source: str
    patient: str
    from_s: float
    length_s: float
    start_utc: datetime | None
    clock_quality: str
    notes: int
    files: list[str]


def command(  # noqa: PLR0913  # each is an option of the command
    source: Annotated[
        str,
        typer.Argument(
            help="vault:[RUN|SPAN], what the monitor has kept; or a packet log, recording, or "
            "simulated scenario."
        ),
    ] = VAULT,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    span: Annotated[
        Range | None,
        typer.Option(
            "--span",
            metavar="FROM..TO",
            parser=parse_range,
            help="Counted from the source's beginning: 1h..90m, ..8h, 8h..",
        ),
    ] = None,
    edf: Annotated[Path | None, typer.Option(metavar="FILE", help="Write EDF+.")] = None,
    wfdb: Annotated[Path | None, typer.Option(metavar="DIR", help="Write WFDB records.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="DIR", help="Write CSV tables.")] = None,
    fhir: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a FHIR Bundle.")] = None,
    log: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a packet log.")] = None,
    patient: Annotated[
        str | None, typer.Option(metavar="ID", help="Whose; needed where there are several.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="ID", help="Which run, where a log holds several.")
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(
            metavar="UTC", parser=parse_utc, help="When the source began, if nobody recorded it."
        ),
    ] = None,
    beats: Annotated[bool, typer.Option("--beats", help="Annotate every beat.")] = False,
    alerts: Annotated[
        bool,
        typer.Option("--alerts/--no-alerts", help="Run the monitor over it, for annotations."),
    ] = True,
    json: AsJson = False,
) -> int:
    """Write a span of the past into files that other programs read.

    The files hold raw signals and are for the person at this machine: only the owner may read
    them, and nothing sends them anywhere. Times carry a bound on their error; gaps stay gaps.
    """
    wanted = {"--edf": edf, "--wfdb": wfdb, "--csv": csv, "--fhir": fhir, "--log": log}
    targets = _targets(wanted)
    if beats and not alerts:
        raise CommandError("--beats needs the monitor: leave out --no-alerts")
    if patient is not None and log is not None:
        raise CommandError("a packet log holds everybody's packets: leave out --log or --patient")
    chosen = load_config(config, data_dir)
    os.umask(PRIVATE)
    # A log alone needs no annotations, but a scenario's people answer alarms.
    watched = alerts and (set(targets) != {"--log"} or is_scenario(source))
    opened = open_source(source, chosen, watched=watched, run=run)
    whole = span or Range()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_all_or_nothing(targets))
        show = _progress(stack, json=json)
        spool = stack.enter_context(Spool(next(iter(targets.values())).absolute().parent))
        on_packet: Callable[[Packet], None] = lambda _: None  # noqa: E731
        if log is not None:
            on_packet = stack.enter_context(PacketLogWriter(log)).append
        found = gather(
            opened.seconds,
            spool,
            whole.from_s + opened.lead_s,
            whole.to_s + opened.lead_s,
            patient,
            on_packet=on_packet,
            on_second=show("reading", None if math.isinf(whole.to_s) else whole.to_s),
        )
        channels = tuple(spool.channels())
        found.notebook.add_gaps(channels, found.from_s, found.to_s)
        told = Span(
            plain(opened.name),
            found.patient,
            found.from_s,
            found.to_s,
            channels,
            found.notebook,
            beats,
            _origin(opened, found, start, chosen.box.data_dir),
            homeward_version(),
        )
        messages = [*opened.messages, *opened.log.messages]
        files = _write(targets, told, found, show, messages)
        about = [_about(channel) for channel in channels]
    _say(told, about, files, messages, json=json)
    return DONE


def _targets(wanted: dict[str, Path | None]) -> dict[str, Path]:
    targets = {name: path for name, path in wanted.items() if path is not None}
    if not targets:
        raise CommandError("nothing to write: name at least one of " + ", ".join(wanted))
    for name, path in targets.items():
        if path.is_dir() and name in ("--wfdb", "--csv") and not any(path.iterdir()):
            continue
        if path.exists() or path.is_symlink():
            raise CommandError(f"{path} is there already; name a new one for {name}")
        if not path.absolute().parent.is_dir():
            raise CommandError(f"there is no folder {path.absolute().parent}; make it first")
    return targets


def _write(
    targets: dict[str, Path],
    span: Span,
    found: Gathered,
    show: Callable[[str, float | None], OnProgress],
    messages: list[str],
) -> list[Path]:
    files: list[Path] = []
    for name, path in targets.items():
        shown = show(name.removeprefix("--"), 1.0)
        if name == "--edf":
            messages += write_edf(path, span, shown)
        elif name == "--wfdb":
            files += _write_wfdb(path, span, shown, messages)
        elif name == "--csv":
            files += write_tables(path, span, shown)
        elif name == "--fhir":
            write_fhir(path, span, found.readings, shown)
        if path.is_file():
            files.append(path)
    return files


def _write_wfdb(folder: Path, span: Span, shown: OnProgress, messages: list[str]) -> list[Path]:
    written = write_records(folder, span, shown)
    first = written[0]
    notes = [
        (note.at_s - span.from_s, note.text) for note in span.notes.notes(span.from_s, span.to_s)
    ]
    marks = [
        round((at_s - span.from_s) * first.fs_hz)
        for at_s in span.notes.beats_s
        if span.beats and span.from_s <= at_s < span.to_s
    ]
    files = [file for one in written for file in one.files]
    if notes or marks:
        try:
            files += write_annotations(folder, first.name, first.fs_hz, marks, notes)
        except CommandError as error:
            if not isinstance(error.__cause__, ImportError):
                raise
            messages.append(f"the signals are written, their annotations are not: {error}")
    return files


@contextlib.contextmanager
def _all_or_nothing(targets: dict[str, Path]) -> Iterator[None]:
    """Remove what was begun when not all of it could be written, or somebody breaks it off."""
    try:
        yield
    except BaseException as error:
        for path in targets.values():
            _remove(path)
        if isinstance(error, OSError | LogError):
            raise CommandError(
                f"the export could not be written or read ({error}), and nothing of it was kept: "
                f"free some space, or name another place"
            ) from error
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _origin(opened: Sourced, found: Gathered, start: datetime | None, data_dir: Path) -> Origin:
    if start is not None:
        return Origin(start - timedelta(seconds=found.start_s), "given")
    return opened.origin(data_dir, found.from_s)


def _about(channel: Channel) -> ExportedChannel:
    timed = not math.isnan(channel.uncertainty_s)
    return ExportedChannel(
        channel.signal,
        channel.lead,
        channel.source,
        channel.fs_hz,
        channel.n,
        channel.n_holes,
        round(channel.ppm, 2),
        round(channel.uncertainty_s, 6) if timed else None,
        round(channel.usual_s, 6) if timed else None,
    )


def _say(
    span: Span,
    channels: list[ExportedChannel],
    files: list[Path],
    messages: list[str],
    *,
    json: bool,
) -> None:
    for message in messages:
        typer.echo(f"homeward: {message}", err=True)
    if span.notes.n_left_out:
        typer.echo(f"homeward: {span.notes.n_left_out} annotations are left out", err=True)
    n_notes = len(span.notes.notes(span.from_s, span.to_s))
    start = span.origin.at(span.from_s)
    quality = span.origin.quality
    names = [str(file) for file in files]
    told = Exported(
        span.name, span.patient, span.from_s, span.length_s, start, quality, n_notes, names
    )
    if json:
        for channel in channels:
            print_json(channel)
        print_json(told)
        return
    for channel in channels:
        typer.echo(_line(channel))
    when = "wall time unknown" if start is None else f"from {start:%Y-%m-%d %H:%M:%S} UTC"
    typer.echo(
        f"{span.length_s:.0f} s of {span.patient}, {when} (clock {quality}), {n_notes} notes"
    )
    typer.echo("\n".join(names))
    typer.echo("These files hold raw signals of a person, and are not encrypted.", err=True)


def _line(channel: ExportedChannel) -> str:
    name = f"{channel.signal} {channel.lead}".strip()
    rate = f"{channel.fs_hz:g} Hz, clock {channel.clock_ppm:+.1f} ppm" if channel.fs_hz else ""
    error = "timed by arrival"
    if channel.uncertainty_s is not None and channel.usual_s is not None:
        usual, worst = 1000 * channel.usual_s, 1000 * channel.uncertainty_s
        error = f"times within {usual:.1f} ms (the worst {worst:.0f} ms)"
    parts = [f"{channel.samples} samples", rate, f"{channel.gaps} gaps", error]
    return f"{name:16} {channel.source:20} " + ", ".join(filter(None, parts))


def _progress(
    stack: contextlib.ExitStack, *, json: bool
) -> Callable[[str, float | None], OnProgress]:
    """Return what makes a bar on the terminal for each step; nothing where nobody sees it."""
    if not sys.stderr.isatty() or (json and sys.stdout.isatty()):
        return lambda _name, _total: lambda _now: None
    from rich.console import Console
    from rich.progress import Progress

    bar = stack.enter_context(Progress(console=Console(stderr=True), transient=True))

    def begin(name: str, total: float | None) -> OnProgress:
        task = bar.add_task(name, total=total)
        return lambda now: bar.update(task, completed=now)

    return begin
