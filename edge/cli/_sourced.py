"""A source of the past, opened for an export or a report: a log, a recording, a scenario."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

import edge.decoders
from edge.assemble import assemble, facts_of, open_scorer, settings_of
from edge.cli._shared import CommandError
from edge.cli._unlocking import keys_of
from edge.cli._vault import VAULT, ring_of, vault_folder, vault_night
from edge.clock import WallLog
from edge.config import Config
from edge.decoders import Decoder
from edge.discover import discover
from edge.events import FACTS, Facts, tell
from edge.export.placing import Placer, Second, placed
from edge.export.span import Origin
from edge.export.strip import BEFORE_S
from edge.packetlog import LogReport
from edge.pipeline import Pipeline
from edge.pipeline.settings import TICKS_A_SECOND
from edge.readers import _scenario, simulated
from edge.readers.replay import ReplayReport, ReplaySettings, kind_of, packets
from edge.records import Packet, Record
from edge.rehearsal import Moment, Rehearsal
from edge.store import DATABASE, History, StoredAlert
from edge.vault import VaultReport
from edge.whatif.nights import Night, from_logs, from_vault, led_up

RUN_ID: Final = "export"
_TIMES: Final = ("at_s", "since_s", "arrived_s")


class Sourced:
    """What can be told second by second, and what is known of its run.

    Attributes
    ----------
    name : str
        Of the source, for file names.
    kind : str
        ``packets`` (a log), ``wfdb``, ``edf``, ``csv`` or ``simulated``.
    seconds : Iterator[Second]
        To be taken once.
    messages : list[str]
        What had to be assumed or left out.
    log : LogReport | VaultReport
        What was found damaged, while it is read.
    run_id : str
        Of the run that wrote the log; empty: unknown.
    lead_s : float
        So much at the beginning only leads up to what was asked for.
    first_s : float
        Arrival of the first packet of a log.
    """

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind
        self.seconds: Iterator[Second] = iter(())
        self.messages: list[str] = []
        self.log: LogReport | VaultReport = LogReport()
        self.run_id = ""
        self.lead_s = self.first_s = 0.0

    def origin(self, data_dir: Path, at_s: float) -> Origin:
        """Return what the store of this box knows of the wall clock of that run, at a time."""
        path = data_dir / DATABASE
        if not self.run_id or not path.exists():
            return Origin()
        with History.open(path, keys_of(data_dir)) as history:
            boots = {run.run_id: run for run in history.runs()}
            run = boots.get(self.run_id)
            if run is None:
                return Origin()
            try:
                utc, quality = WallLog(history.clock_log()).utc_of(at_s, run.boot_id)
            except LookupError:
                return Origin()
        return Origin(utc - timedelta(seconds=at_s), quality.value)


def is_scenario(source: str) -> bool:
    """Return whether a source is simulated: what people do in it needs a monitor to answer."""
    return source in _scenario.built_in_scenarios() or source.endswith(".toml")


def open_source(source: str, config: Config, *, watched: bool, run: str | None = None) -> Sourced:
    """Open a packet log, a recording or a simulated scenario, by path or name.

    Parameters
    ----------
    source : str
        ``vault:`` is the last run that the monitor has kept, ``vault:RUN`` another, ``vault:8h``
        the last eight hours; a folder is all packet logs in it.
    watched : bool
        Whether the monitor is to live through it too, for alerts, answers and beats.
    run : str | None
        With what the id of the run begins, where packet logs hold several.

    Raises
    ------
    edge.readers.ReadError, edge.packetlog.LogError
        It cannot be read.
    CommandError
        There is none, or the logs hold more than one run and none was chosen.
    """
    if source.startswith(VAULT):
        return _of_vault(source, config, run, watched=watched)
    logs = _logs_of(source)
    if logs is None:
        return _whole(source, config, watched=watched)
    report = LogReport()
    nights = list(from_logs(logs, None, report=report))
    chosen = [night for night in nights if night.run_id.startswith(run or "")]
    if len(chosen) != 1:
        held = "".join(f"\n  {n.run_id or 'unnamed'}: {_length(n)}" for n in nights)
        raise CommandError(f"{source} holds {len(nights)} runs; choose with --run:{held}")
    return _of_night(chosen[0], logs[0].stem, config, report, watched=watched)


def _of_vault(source: str, config: Config, run: str | None, *, watched: bool) -> Sourced:
    if run is not None and source != VAULT:
        raise CommandError(f"name the run as vault:{run}, or leave out --run")
    found, messages = VaultReport(), []  # type: VaultReport, list[str]
    night, is_span = vault_night(config.box.data_dir, source + (run or ""), found, messages)
    sourced = _of_night(night, "vault", config, found, watched=watched)
    sourced.messages = messages
    if is_span:
        sourced.lead_s = max(0.0, night.begin_s - sourced.first_s)
    return sourced


def open_runs(source: str, config: Config, near: StoredAlert | None) -> Iterator[Sourced]:
    """Open every run a source holds, one after the other, watched by the monitor.

    Parameters
    ----------
    near : StoredAlert | None
        What is looked for: only its run is opened, and only from ten minutes before it on.
    """
    if source == VAULT:
        yield from _runs_of_vault(config, near)
        return
    if source.startswith(VAULT):
        yield _of_vault(source, config, None, watched=True)
        return
    logs = _logs_of(source)
    if logs is None:
        yield _whole(source, config, watched=True)
        return
    report = LogReport()
    for night in _near(from_logs(logs, None, report=report), near):
        yield _of_night(night, logs[0].stem, config, report, watched=True)


def _runs_of_vault(config: Config, near: StoredAlert | None) -> Iterator[Sourced]:
    report, folder = VaultReport(), vault_folder(config.box.data_dir)
    nights = from_vault(folder, ring_of(config.box.data_dir), None, report)
    for night in _near(nights, near):
        yield _of_night(night, "vault", config, report, watched=True)


def _near(nights: Iterable[Night], near: StoredAlert | None) -> Iterator[Night]:
    for night in nights:
        if near is None:
            yield night
        elif night.run_id in {near.run_id, ""}:
            packets = led_up(night.packets, near.alert.since_s - BEFORE_S)
            yield msgspec.structs.replace(night, packets=packets)


def _logs_of(source: str) -> list[Path] | None:
    """Return the packet logs that are meant; None: it is something else."""
    if is_scenario(source):
        return None
    folder = Path(source)
    if folder.is_dir():
        logs = sorted(folder.glob("*.hwl"))
        if not logs:
            raise CommandError(
                f"there is no packet log in {folder}: name another; `vault:` is what the monitor "
                f"keeps by itself"
            )
        return logs
    return [folder] if kind_of(folder) == "packets" else None


def _of_night(
    night: Night, name: str, config: Config, report: LogReport | VaultReport, *, watched: bool
) -> Sourced:
    sourced = Sourced(night.run_id or name, "packets")
    sourced.run_id, sourced.log = night.run_id, report
    packets = iter(night.packets)
    first = next(packets, None)
    if first is not None:
        sourced.first_s = first.arrived_s
        pipeline = _pipeline(config, RUN_ID, first.arrived_s) if watched else None
        patient = settings_of(config).default_patient
        sourced.seconds = placed(_all(first, rest=packets), _decoders(), patient, pipeline)
    return sourced


def _length(night: Night) -> str:
    return f"{night.end_s - night.begin_s:.0f} s from {night.begin_s:.0f} s of the box's clock"


def _whole(source: str, config: Config, *, watched: bool) -> Sourced:
    if is_scenario(source):
        return _simulated(source, config, watched=watched)
    report = ReplayReport()
    found = packets(ReplaySettings(path=source), report)
    sourced = Sourced(report.name, report.kind)
    sourced.messages = report.messages
    first = next(found, None)
    if first is not None:
        pipeline = _pipeline(config, RUN_ID, first.arrived_s) if watched else None
        facts = _facts(config, first.arrived_s)
        stream = _all(*facts, first, rest=found)
        patient = settings_of(config).default_patient
        sourced.seconds = placed(stream, _decoders(), patient, pipeline)
    return sourced


def _simulated(source: str, config: Config, *, watched: bool) -> Sourced:
    settings = simulated.Settings(scenario=source)
    sourced = Sourced(Path(source).stem, "simulated")
    patient = settings_of(config).default_patient
    if not watched:
        sourced.seconds = placed(simulated.packets(settings), _decoders(), patient)
        return sourced

    def begin(run_id: str, start_s: float) -> Pipeline:
        return _pipeline(config, run_id, start_s)

    rehearsal = Rehearsal(settings, begin, RUN_ID, _known(config, settings))
    sourced.seconds = _rehearsed(rehearsal, Placer(_decoders(), patient))
    return sourced


def _known(config: Config, settings: simulated.Settings) -> Facts:
    facts = facts_of(config, datetime.now().astimezone().year)[0]
    if facts.at_least_years is not None:
        return facts
    years = simulated.scenario_of(settings).patient.age
    return msgspec.structs.replace(facts, at_least_years=years)


def _rehearsed(rehearsal: Rehearsal, placer: Placer) -> Iterator[Second]:
    """Yield the seconds of a scenario in its own time, also where the box was switched off."""
    taken: list[Packet] = []
    made: list[Record] = []
    for moment in rehearsal.moments():
        taken += [_later(packet, moment.life.ahead_s) for packet in moment.packets]
        made += [_told(record, moment) for record in moment.outcome.records]
        if round(moment.at_s * TICKS_A_SECOND) % TICKS_A_SECOND == 0:
            ask = rehearsal.pipeline.live
            yield Second(moment.at_s, tuple(taken), placer.place(taken), tuple(made), ask)
            taken, made = [], []


def _later(packet: Packet, by_s: float) -> Packet:
    return msgspec.structs.replace(packet, arrived_s=packet.arrived_s + by_s) if by_s else packet


def _told(record: Record, moment: Moment) -> Record:
    by_s = moment.life.ahead_s
    if not by_s:
        return record
    times = {
        name: value + by_s for name in _TIMES if (value := getattr(record, name, None)) is not None
    }
    return msgspec.structs.replace(record, **times)


def _pipeline(config: Config, run_id: str, start_s: float) -> Pipeline:
    scorer = open_scorer(config.model.bundle) if config.model.enabled else None
    return assemble(settings_of(config), run_id, scorer=scorer, start_s=math.floor(start_s))


def _facts(config: Config, at_s: float) -> list[Packet]:
    year = datetime.now().astimezone().year
    return [tell(FACTS, facts, at_s) for facts in facts_of(config, year)]


def _decoders() -> tuple[Decoder, ...]:
    return tuple(discover(edge.decoders, "DECODER", Decoder))


def _all(*first: Packet, rest: Iterable[Packet]) -> Iterator[Packet]:
    yield from first
    yield from rest
