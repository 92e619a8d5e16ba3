"""Limits that are changed: by the running monitor where there is one, else here."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

import edge.alarms
from edge.alarms import Rule
from edge.alerts import AlertEngine, AlertSettings, Answer
from edge.cli._shared import (
    CommandError,
    find_config,
    homeward_version,
    load_config,
    plugin_defaults,
)
from edge.cli._unlocking import keys_of
from edge.cli._words import kept_with_words
from edge.clock import BootClock
from edge.config import Config, ConfigError
from edge.config.changes import in_force
from edge.config.kept import FILE, Kept, write_kept
from edge.config.words import words_of
from edge.control import ChangeLimits, ControlError, Ping
from edge.control.client import ControlClient
from edge.discover import discover
from edge.limits import Decision, Reload, decide
from edge.pipeline import RuleSettings
from edge.pipeline.alarms import Alarms
from edge.pipeline.kept import Remembered, pack, unpack
from edge.pipeline.limits import alert_rule, scale_record, take_limits
from edge.pipeline.rules import PatientRules
from edge.pseudonyms import Pseudonym, new_id
from edge.records import AlarmEvent, Alert, LimitAct, Outcome, SettingChange
from edge.store import DATABASE, KeptAlerts, Run, Store, StoreError


class KeptOrSetAside:
    """Gives what people changed; where that cannot be read it is put aside, and told.

    A monitor that starts with the limits of its settings file is better than none.
    """

    def __init__(self) -> None:
        self.trouble = ""

    def __call__(self, folder: Path) -> Kept:
        """Return what is kept in a data directory."""
        try:
            return kept_with_words(folder)
        except ConfigError as error:
            self.put_aside(folder, error)
            return {}

    def put_aside(self, folder: Path, error: ConfigError) -> None:
        """Put the file aside, and remember why."""
        self.trouble = str(error)
        with contextlib.suppress(OSError):
            (folder / FILE).replace(folder / f"{FILE}.damaged")


def load_to_run(config: Path | None, data_dir: Path | None) -> tuple[Config, str]:
    """Return the configuration a monitor starts with, and why what people changed does not count.

    What was changed may not suit the rules or the settings file any more, after an update or an
    edit: that too must not leave the patient without a monitor, at every start anew.

    Raises
    ------
    ConfigError
        The settings file itself is wrong.
    """
    kept = KeptOrSetAside()
    try:
        settings = load_config(config, data_dir, kept=kept)
    except ConfigError as error:
        settings = load_config(config, data_dir, kept=lambda _folder: {})
        kept.put_aside(settings.box.data_dir, error)
    return settings, kept.trouble


def reload_as_started(config: Path | None, data_dir: Path | None) -> Reload:
    """Return what gives the configuration with other limits, of the settings file as it is now.

    A settings file that is edited later is in force only after the next start; until then no
    limit is changed, for nobody could say what would come of it.
    """
    plugins = plugin_defaults()
    path = find_config(config)
    before = None if path is None else path.read_bytes()

    def reload(kept: Kept) -> Config:
        now = None if path is None else path.read_bytes()
        if now != before:
            raise ConfigError(
                f"{path} was edited since the monitor was started: restart it, then set the limit"
            )
        return load_config(config, data_dir, plugins, lambda _folder: kept)

    return reload


def now_text() -> str:
    """Return this moment (UTC) as it is written down."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def monitor_runs(config: Config) -> bool:
    """Return whether a monitor runs with this data directory.

    Raises
    ------
    ControlError
        One may, and cannot be asked.
    """
    try:
        with ControlClient(config.box.socket) as client:
            client.ask(Ping())
    except ControlError as error:
        if isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
            return False
        raise
    return True


def change(config: Config, request: ChangeLimits, reload: Reload) -> dict[str, Any]:
    """Change limits and return what came of it: ``changes``, ``stored``, ``live``.

    Raises
    ------
    ControlError
        The running monitor refuses.
    CommandError
        It cannot be written down.
    """
    if monitor_runs(config):
        with ControlClient(config.box.socket) as client:
            answer: dict[str, Any] = client.ask(request)
        return {**answer, "live": True}
    decision = decide(config, request, now_text(), reload)
    changes = _write(config, decision)
    return {"changes": msgspec.to_builtins(changes), "stored": True, "live": False}


def _write(config: Config, decision: Decision) -> list[SettingChange]:
    """Write down and record what no monitor can be told of.

    Raises
    ------
    CommandError
        The data directory cannot be written.
    edge.store.StoreError
        It cannot be recorded; nothing is changed.
    """
    folder, clock = config.box.data_dir, BootClock()
    run = Run(str(uuid.uuid4()), clock.boot_id, clock.now_s(), f"{homeward_version()} (limits)", "")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = Store.begin(folder / DATABASE, run, keys=keys_of(folder, make=True))
    except OSError as error:
        raise CommandError(f"cannot write in {folder} ({error.strerror}): check it") from error
    try:
        records = list(_records(config, decision, clock.now_s(), run.run_id))
        if decision.told.act is LimitAct.NEW_PATIENT:
            records += _clear_bed(store, decision, clock)
            _call_anew(store, decision.told.patient, clock.now_s())
        for words in words_of(decision.kept):
            store.backlog.name(words, clock.now_s())
        write_kept(folder, decision.kept)
        store.backlog.add_clock(clock.read())
        store.add(Outcome(tuple(records)), clock.now_s())
        store.flush(clock.now_s())
    except OSError as error:
        raise CommandError(
            f"cannot write {folder / FILE} ({error.strerror}): nothing is changed"
        ) from error
    finally:
        store.close()
    return [record for record in records if isinstance(record, SettingChange)]


def _records(
    config: Config, decision: Decision, now_s: float, run_id: str
) -> Iterator[Alert | AlarmEvent | SettingChange]:
    """Give what the pipeline would have recorded."""
    told = decision.told
    before = {
        name: RuleSettings(one.settings, one.priority, one.enabled)
        for name, one in in_force(config, told.patient).items()
    }
    rules = discover(edge.alarms, "RULE", Rule)
    watch = PatientRules([(rule, before[rule.name]) for rule in rules])
    known = {rule.name: alert_rule(rule, before[rule.name]) for rule in rules}
    if told.act is not LimitAct.SCALE:
        yield from take_limits(told, watch, Alarms(known, AlertSettings(), run_id), now_s)
    if decision.facts is not None:
        scale = next(one.spo2_scale for one in config.patients if one.id == told.patient)
        yield from scale_record(decision.facts, scale, now_s)


def _call_anew(store: Store, patient: str, now_s: float) -> None:
    """Give who lies there now another name outside, where the one before had one."""
    if any(one.patient == patient for one in store.pseudonyms()):
        store.backlog.name(Pseudonym(patient, new_id()), now_s)


def _clear_bed(store: Store, decision: Decision, clock: BootClock) -> list[Alert | AlarmEvent]:
    """End what stood when the monitor stopped: it was of the one who lay here before."""
    kept = store.kept_alerts()
    if kept is None:
        return []
    engine = AlertEngine(store.run.run_id, {})
    try:
        remembered = unpack(kept.state)
        engine.restore(remembered.alerts)
    except ValueError as error:
        raise StoreError(str(error)) from error
    told = decision.told
    now_s = clock.now_s() if kept.at.boot_id == clock.boot_id else kept.at.boot_s
    answer = Answer("resume", by=told.by, role=told.role, patient=told.patient)
    ended = engine.begin_patient(answer, now_s)
    entered = {name: held for name, held in remembered.held.items() if name != told.patient}
    store.backlog.keep(KeptAlerts(pack(Remembered(engine.state(), entered)), kept.at))
    return ended
