"""``homeward run``: the daemon."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import math
import os
import sys
import uuid
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer

import edge.annunciators
import edge.readers
from edge.annunciators import Annunciator
from edge.assemble import NoModel, assemble, facts_of, open_scorer, settings_of
from edge.bundle import BundleError
from edge.cli import FAILED
from edge.cli._limits import load_to_run, reload_as_started
from edge.cli._lines import Lines
from edge.cli._names import know_names
from edge.cli._shared import CommandError, ConfigFile, DataDir, homeward_version
from edge.clock import BootClock
from edge.config import Config, Source, as_document
from edge.config.retention import kept_days
from edge.daemon import Beginning, Daemon, Link, Places
from edge.daemon.keyring import Keyring
from edge.daemon.local import Chosen
from edge.daemon.model import LiveModel
from edge.daemon.noticeboard import Noticed
from edge.daemon.resume import Tested, clock_was_set, kept_in, pseudonyms_in, tested_in
from edge.daemon.vaultstate import bounds_of
from edge.devices import load
from edge.discover import discover
from edge.journal import open_journal
from edge.pipeline import Kept, Scores
from edge.readers import Reader, simulated
from edge.readers import replay as played
from edge.records import ScorerError
from edge.store import DATABASE, Run

BLUETOOTH = "ble"
"""The reader of all paired sensors."""
SERIAL = "uart"

_log = structlog.get_logger("run")


def command(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    simulate: Annotated[
        str | None,
        typer.Option(metavar="SCENARIO", help="Watch a simulated patient instead of [[sources]]."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="RECORDING", help="Watch a recording in real time instead."),
    ] = None,
    uart: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PORT", help="Read this serial port instead; more than once for more ports."
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write every packet that enters to this file too, unencrypted."
        ),
    ] = None,
) -> int:
    """Read the sensors, watch, store and alarm, until SIGTERM or Ctrl-C.

    What is read stands in the configuration ([[sources]]), or is named with --simulate,
    --replay or --uart. Ask the running monitor with `homeward status`, answer it with
    `homeward ack`.
    """
    os.umask(0o077)  # what the monitor writes is for its own user
    settings, limits_trouble = load_to_run(config, data_dir)
    reload = reload_as_started(config, data_dir)
    links = _links(settings, simulate, replay, uart or ())
    _prepare(settings.box.data_dir)
    lines = Lines(sys.stderr.fileno())
    open_journal(lines)
    know_names(settings)
    if all(link.reader.name == BLUETOOTH for link in links) and not load(settings.box.data_dir):
        _log.warning("no sensor is paired yet: see `homeward scan` and `homeward pair`")
    scorer, trouble = _scorer(settings)
    clock = BootClock()
    database = settings.box.data_dir / DATABASE
    keyring = Keyring(settings.box.data_dir)
    kept, was_set, tested = _found(database, clock, keyring)
    run = Run(
        run_id=str(uuid.uuid4()),
        boot_id=clock.boot_id,
        started_s=clock.now_s(),
        version=homeward_version(),
        config_digest=_digest(settings),
        model_id=getattr(scorer, "model_id", ""),
    )
    model: LiveModel | None = None
    if scorer is not None:
        model = LiveModel(scorer, partial(open_scorer, settings.model.bundle), clock.now_s)
    told = settings_of(settings)
    # A replay begins on the second in which the run did (`first_packets`), and so must this.
    pipeline = assemble(told, run.run_id, scorer=model, start_s=math.floor(run.started_s))
    places = _places(settings, log, keyring)
    gc.collect()
    gc.freeze()  # what is there now lives as long as the process: no need to look at it again

    async def monitor() -> int:
        beginning = Beginning(trouble, kept, was_set)
        daemon = Daemon(pipeline, links, run, clock, places, beginning=beginning)
        daemon.in_force = {**msgspec.structs.asdict(told), "annunciators": settings.annunciators}
        daemon.facts = facts_of(settings, datetime.now().astimezone().year)
        if model is not None:
            daemon.score_with(model)
        daemon.notices.noticed = Noticed(
            box=settings.box.name,
            wanted=bool(settings.notices),
            answers=any(getattr(one.settings, "answers", False) for one in settings.notices),
            patients=tuple(patient.id for patient in settings.patients),
        )
        daemon.outgoing.begin(settings)
        daemon.let_limits_change(settings, reload, limits_trouble)
        _fit_out(daemon, settings, tested, keyring)
        code = await daemon.run()
        if daemon.hangs:
            lines.close()
            os._exit(code or FAILED)  # Python itself would wait for the thread, for ever
        return code

    try:
        return asyncio.run(monitor())
    finally:
        lines.close()


def _found(database: Path, clock: BootClock, keyring: Keyring) -> tuple[Kept | None, bool, Tested]:
    """Return what stood, whether the clock was set in this boot, and what was tested last."""
    keys = keyring.ring
    kept = kept_in(database, clock.read(), keys)
    was_set = clock_was_set(database, clock.boot_id, keys)
    return kept, was_set, tested_in(database, clock.read(), keys)


def _places(config: Config, log: Path | None, keyring: Keyring) -> Places:
    folder = config.box.data_dir
    bounds = bounds_of(config.vault) if config.vault.enabled else None
    return Places(folder / DATABASE, config.box.socket, log, folder, bounds, config.store, keyring)


def _fit_out(daemon: Daemon, config: Config, tested: Tested, keyring: Keyring) -> None:
    """Tell the daemon how it is heard, how it tests itself, and how long it keeps records."""
    daemon.be_heard_with(*_annunciators(config))
    daemon.test_itself(config, tested)
    daemon.keep_for(kept_days(config.retention))
    daemon.pseudonyms.know(pseudonyms_in(config.box.data_dir / DATABASE, keyring.ring))
    daemon.sync_with(config)


def _annunciators(config: Config) -> list[Chosen]:
    """Return the ways to be heard and seen that are switched on and have something to switch."""
    every = discover(edge.annunciators, "ANNUNCIATOR", Annunciator)
    told = [(kind, config.annunciators[kind.name]) for kind in every]
    return [
        Chosen(kind, one.settings)
        for kind, one in told
        if one.enabled and kind.wanted(one.settings)
    ]


def _links(
    config: Config, simulate: str | None, replay: Path | None, ports: Sequence[Path]
) -> list[Link]:
    """Return what to read: what the command line names, else what is configured.

    Raises
    ------
    CommandError
        There is nothing to read.
    edge.readers.ReadError
        What the command line names cannot be read.
    """
    readers = {reader.name: reader for reader in discover(edge.readers, "READER", Reader)}
    links, patient = [], config.patients[0].id
    # What is named here is tried at once, so that a slip of the pen ends the command.
    if simulate is not None:
        wanted = simulated.Settings(scenario=simulate)
        simulated.packets(wanted)
        links.append(Link("simulated", readers["simulated"], wanted, patient))
    if replay is not None:
        recording = played.ReplaySettings(path=str(replay))
        played.packets(recording)
        links.append(Link("replay", readers["replay"], recording, patient))
    links += [_serial(port, readers[SERIAL], patient) for port in ports]
    if not links:
        links = [_configured(s, readers[s.reader]) for s in config.sources]
        if config.box.bluetooth and not any(link.reader.name == BLUETOOTH for link in links):
            # Whose each sensor is stands in the list of paired ones.
            links.append(Link("bluetooth", readers[BLUETOOTH], readers[BLUETOOTH].settings()))
    if not links:
        raise CommandError(
            "there is nothing to watch: add [[sources]] to the configuration (`homeward config "
            "--toml` shows how), pair a sensor, or try `homeward run --simulate demo`"
        )
    return links


def _serial(port: Path, reader: Reader, patient: str) -> Link:
    """Return the link of a serial port that the command line names."""
    if not port.exists():
        raise CommandError(f"there is no {port}: `homeward scan --serial` lists the serial ports")
    return Link(port.name, reader, reader.settings(port=str(port)), patient)


def _configured(source: Source, reader: Reader) -> Link:
    """Return the link of a configured source; sensors on Bluetooth each have their own patient."""
    patient = "" if reader.name == BLUETOOTH else source.patient
    return Link(source.name, reader, source.settings, patient)


def _prepare(folder: Path) -> None:
    """Make the data directory, for this user alone.

    Raises
    ------
    CommandError
        It cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"cannot make {folder} ({error.strerror}): name another folder with --data-dir, or "
            f"give this one to the user of the monitor"
        ) from error


def _scorer(config: Config) -> tuple[Scores | None, str]:
    """Return the model, or why there is none: the limit alarms go on without it."""
    if not config.model.enabled:
        return None, ""
    try:
        return open_scorer(config.model.bundle), ""
    except (BundleError, ScorerError) as error:
        _log.error("no model: limit alarms only", error=str(error))
        return NoModel(str(error)), str(error)


def _digest(config: Config) -> str:
    document = msgspec.json.encode(as_document(config), order="deterministic", enc_hook=str)
    return hashlib.sha256(document).hexdigest()
