"""``homeward demo``: a simulated patient, live, with no hardware and no network."""

from __future__ import annotations

import itertools
import re
import signal
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import typer
from rich.console import RenderableType

from edge.assemble import assemble, facts_of, open_scorer, settings_of
from edge.cli._keys import Keys
from edge.cli._playing import Heard, Playing, Told, Unheard
from edge.cli._screen import TRACE_S, draw, heard, say
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, parse_span, print_json
from edge.config import Config
from edge.events import Facts
from edge.news2 import in_brief
from edge.pipeline import Pipeline
from edge.readers import simulated
from edge.records import AlarmEvent, Alert, encode_record
from edge.rehearsal import Rehearsal

RUN_ID = "demo"
SECONDS_A_LINE = 10.0
"""Without a terminal the numbers are printed this often."""
Speaker: TypeAlias = Heard | Unheard


def command(  # noqa: PLR0913  # each is an option of the command
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
    sound: Annotated[
        bool, typer.Option("--sound/--no-sound", help="Let the alarms be heard.")
    ] = False,
    receiver: Annotated[
        bool,
        typer.Option(
            "--receiver", help="With a sender and a receiver on this machine, and a cut between."
        ),
    ] = False,
    json: AsJson = False,
) -> int | None:
    """Watch a simulated patient: numbers, a trace, alarms that rise and end.

    The bytes are those of real devices and go through the very pipeline that watches a real
    patient; what the people of a scenario do, and a box that loses its power, is played too.
    Records are kept in a store of their own, which is thrown away at the end unless --data-dir
    names a folder. No hardware and no network. Not a medical device.

    In a terminal the key a acknowledges the alarm that speaks, and p pauses the sound or ends the
    pause. It is silent unless --sound is given: nobody expects a siren of a demo.

    With --receiver it is the monitor itself, the sender and a receiver, three processes on this
    machine: the receiver is killed in the midst, what should leave waits, and drains when it is
    back; at the end what was made is compared with what came. 90 s, in real time.
    """
    if receiver:
        from edge.cli import _demo_receiver

        return _demo_receiver.show(scenario, length_s, as_json=json)
    chosen = load_config(config, data_dir)
    settings = simulated.Settings(scenario=scenario, duration_s=length_s)
    rehearsal = _rehearsal(chosen, settings)
    speaker: Speaker = Heard(chosen) if sound else Unheard()
    with tempfile.TemporaryDirectory(prefix="homeward-demo-") as scratch:
        folder = data_dir or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        playing = Playing(rehearsal, scenario, folder / "demo.db", speed, speaker.show)
        try:
            show = _show_json if json else _show_screen if sys.stdout.isatty() else _show_lines
            show(playing, speaker)
            if picture is not None:
                _take_picture(playing, picture)
        finally:
            unheard = speaker.reason
            speaker.close()
            playing.close()
    if sound and unheard:
        typer.echo(f"homeward: the alarms could not be heard: {unheard}", err=True)
    if json:
        print_json(playing.told)
    else:
        typer.echo(_farewell(playing.told))
    return None


def _rehearsal(config: Config, settings: simulated.Settings) -> Rehearsal:
    scorer = open_scorer(config.model.bundle) if config.model.enabled else None

    def begin(run_id: str, start_s: float) -> Pipeline:
        return assemble(settings_of(config), run_id, scorer=scorer, start_s=start_s)

    return Rehearsal(settings, begin, RUN_ID, _facts(config, settings))


def _facts(config: Config, settings: simulated.Settings) -> Facts:
    """Return what is known of the patient: the scenario's age, where no year of birth is set."""
    facts = facts_of(config, datetime.now().astimezone().year)[0]
    if facts.at_least_years is not None:
        return facts
    years = simulated.scenario_of(settings).patient.age
    return msgspec.structs.replace(facts, at_least_years=years)


def _show_json(playing: Playing, _speaker: Speaker) -> None:
    for outcome in playing.moments():
        for record in outcome.records:
            sys.stdout.buffer.write(encode_record(record) + b"\n")
        sys.stdout.flush()


def _show_lines(playing: Playing, _speaker: Speaker) -> None:
    for outcome in playing.moments():
        now_s = playing.at_s
        for record in outcome.records:
            if isinstance(record, Alert):
                typer.echo(f"{now_s:7.0f} s  {say(record)}")
            elif isinstance(record, AlarmEvent):
                by = f" ({record.by})" if record.by else ""
                typer.echo(f"{now_s:7.0f} s  {record.act.value}: {record.reason}{by}")
        if now_s % SECONDS_A_LINE == 0.0:
            typer.echo(f"{now_s:7.0f} s  {_numbers_line(playing)}")


def _show_screen(playing: Playing, speaker: Speaker) -> None:
    from rich.console import Console
    from rich.live import Live as Screen

    console = Console()
    frames = itertools.count()
    # A terminal redraws four times a second, however fast the simulation runs.
    every = max(1, round(playing.speed))
    with Keys() as keys, Screen(console=console, auto_refresh=False, transient=True) as screen:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for _ in playing.moments():
            if next(frames) % every == 0:
                playing.press(keys.pressed())
                screen.update(_screen(playing, console.width, speaker.reason), refresh=True)


def _take_picture(playing: Playing, picture: Path) -> None:
    from io import StringIO

    from rich.console import Console

    console = Console(record=True, width=100, file=StringIO(), force_terminal=True)
    console.print(_screen(playing, console.width, ""))
    drawn = console.export_svg(title="homeward demo")
    # A picture that fetches fonts would tell somebody that it is being looked at.
    drawn = re.sub(r"@font-face\s*{.*?}", "", drawn, flags=re.DOTALL)
    picture.write_text(drawn.replace("Fira Code", "DejaVu Sans Mono"), encoding="utf-8")
    typer.echo(f"homeward: the picture is in {picture}", err=True)


def _screen(playing: Playing, width: int, unheard: str) -> RenderableType:
    live = playing.pipeline.live()
    trace = None
    if live.patients:
        trace = playing.pipeline.trace(live.patients[0].patient, "ecg_mv", TRACE_S)
    values = None if trace is None else trace.values
    foot = [unheard] * bool(unheard) + _foot(playing)
    return draw(live, values, _title(playing), foot, width, playing.told_of)


def _title(playing: Playing) -> str:
    now, end = (_minutes(s) for s in (playing.at_s, playing.told.duration_s))
    clock = f"{playing.rehearsal.clock(playing.at_s)} · " if playing.rehearsal.begins else ""
    return f"Homeward demo · simulated patient · {playing.told.scenario} · {clock}{now} of {end}"


def _foot(playing: Playing) -> list[str]:
    told = playing.told
    return [
        (
            f"{told.beats} beats · {told.windows} windows · {told.summaries} summaries · "
            f"{told.alerts_raised} alerts raised, {told.alerts_ended} ended"
        ),
        f"{playing.store.outbox_count()} records wait for a network; nothing has left this box",
        "Not a medical device. Keys: a acknowledges, p pauses the sound; Ctrl-C ends the demo.",
    ]


def _numbers_line(playing: Playing) -> str:
    live = playing.pipeline.live()
    vitals = live.patients[0].vitals if live.patients else {}
    parts = []
    for label, name, unit in (
        ("HR", "hr_bpm", " bpm"),
        ("SpO2", "spo2_pct", " %"),
        ("resp", "resp_brpm", " /min"),
    ):
        value = vitals.get(name, float("nan"))
        parts.append(f"{label} {'--' if value != value else round(value)}{unit}")  # noqa: PLR0124
    parts.append(f"NEWS2 {in_brief(vitals)}")
    told = playing.told
    line = f"{', '.join(parts)}, {told.beats} beats, {told.summaries} summaries"
    said = heard(live)
    return f"{line}; {said}" if said else line


def _farewell(told: Told) -> str:
    return (
        f"Watched {_minutes(told.duration_s)} of a simulated patient: {told.beats} beats, "
        f"{told.windows} windows scored, {told.alerts_raised} alerts raised and "
        f"{told.alerts_ended} ended, {told.summaries} summaries. "
        f"{told.outbox} records would leave the box when a network is there."
    )


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
