"""Check the box end to end, and say how to mend what is found.

Each check looks for itself and breaks nothing: files are only read, the monitor is only asked.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.bundle import BundleError, load
from edge.clock import synchronised
from edge.config import Config, ConfigError
from edge.config.names import names_among
from edge.control import ControlError, Status
from edge.control.client import ControlClient, NotRunningError
from edge.doctor.bluetooth import check_bluetooth
from edge.doctor.enrolment import check_enrolment
from edge.doctor.findings import Finding, Health
from edge.doctor.serial_ports import check_serial_ports
from edge.doctor.sync import check_sync
from edge.doctor.vault import check_kept, check_vault
from edge.records import ScorerError
from edge.store.asides import asides
from edge.store.cipher import is_plain
from edge.store.database import StoreError, StoreKeyError, connect, quick_check
from edge.store.migrations import check_not_newer
from edge.store.salvage import words_of

__all__ = [
    "Finding",
    "Health",
    "check_clock",
    "check_extras",
    "check_folder",
    "check_model",
    "check_monitor",
    "check_python",
    "check_space",
    "check_store",
    "examine",
]

PYTHON = (3, 11)
WARN_FREE, FAIL_FREE = 0.10, 0.05
"""Shares of the disk that must be free: below the first a warning, below the second no room for
summaries (alerts are written to the last byte)."""


def examine(config: Config | ConfigError, database: str) -> Iterator[Finding]:
    """Return the findings, one by one as they are made.

    Parameters
    ----------
    config : Config | ConfigError
        The configuration, or what is wrong with it.
    database : str
        Name of the store's file in the data directory.
    """
    yield check_python(sys.version_info[:3])
    yield check_clock(synchronised=synchronised())
    if isinstance(config, ConfigError):
        yield Finding(
            "configuration",
            Health.FAIL,
            "; ".join(config.problems),
            "the monitor does not start with it",
            "mend these lines, then run `homeward config`",
        )
        return
    n_changed = len(config.origins)
    yield Finding("configuration", Health.OK, f"valid; {n_changed} settings are not the default")
    yield from check_names(config)
    yield check_folder(config.box.data_dir)
    yield check_space(config.box.data_dir, shutil.disk_usage)
    yield check_store(config.box.data_dir / database)
    yield from check_vault(config)
    yield from check_enrolment(
        config.box.data_dir, synchronised=synchronised(), now_utc_s=datetime.now(UTC).timestamp()
    )
    yield check_model(config)
    yield from check_extras(config)
    yield from check_bluetooth(config)
    yield from check_serial_ports(config)
    yield from check_monitor(config.box.socket)


def check_python(version: tuple[int, ...]) -> Finding:
    """Return whether this Python is new enough."""
    text = ".".join(map(str, version))
    if version < PYTHON:
        return Finding(
            "Python",
            Health.FAIL,
            text,
            "Homeward is written for 3.11 and later",
            "apt install python3.11, and install Homeward with it",
        )
    return Finding("Python", Health.OK, text)


def check_clock(*, synchronised: bool) -> Finding:
    """Return whether wall times can be trusted."""
    if synchronised:
        return Finding("clock", Health.OK, "synchronised")
    return Finding(
        "clock",
        Health.WARN,
        "not synchronised",
        "alarms work, but their times of day may be wrong",
        "timedatectl set-ntp true  (and connect the box once)",
    )


def check_names(config: Config) -> Iterator[Finding]:
    """Return ids of patients that look like names."""
    why = "what is recorded should not say who it is of; outside, a random id stands in its place"
    for found in names_among(config):
        cure = "give another id in the settings; `homeward forget --patient` erases the old records"
        yield Finding("patient ids", Health.WARN, found, why, cure)


def check_folder(folder: Path) -> Finding:
    """Return whether the data directory can be used, by this user and nobody else."""
    name = "data directory"
    if not folder.exists():
        parent = next(p for p in folder.parents if p.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return Finding(name, Health.OK, f"{folder} will be made at the first start")
        why = f"nothing can be recorded: {parent} belongs to somebody else"
        cure = f"sudo install -d -m 700 -o $USER {folder}"
        return Finding(name, Health.FAIL, f"{folder} is missing", why, cure)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        cure = f"sudo chown -R $USER {folder}, or run as the user of the monitor"
        return Finding(name, Health.FAIL, f"{folder} is not ours", "nothing can be recorded", cure)
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        why = "other users could read health data, and the monitor does not start with it"
        found = f"{folder} is open to others ({mode:03o})"
        return Finding(name, Health.FAIL, found, why, f"chmod 700 {folder}")
    return Finding(name, Health.OK, str(folder))


def check_space(folder: Path, disk_usage: Callable[[Path], Any]) -> Finding:
    """Return whether there is room for what the monitor writes."""
    there = next(p for p in (folder, *folder.parents) if p.exists())
    usage = disk_usage(there)
    share = usage.free / usage.total
    found = f"{usage.free / 1e9:.1f} GB free ({share:.0%})"
    if share >= WARN_FREE:
        return Finding("disk space", Health.OK, found)
    health = Health.WARN if share >= FAIL_FREE else Health.FAIL
    why = "when the disk is full, alarms are recorded and nothing else"
    return Finding("disk space", health, found, why, f"free space on the disk of {there}")


def check_store(path: Path) -> Finding:
    """Return whether the store is sound and keeps what it acknowledges."""
    name = "store"
    if not path.exists():
        return Finding(name, Health.OK, "nothing recorded yet")
    try:
        database = connect(path, read_only=True)
        try:
            quick_check(database, path)
            check_not_newer(database, path)
            encrypted = database.execute("PRAGMA cipher_status").fetchone() == ("1",)
            recovered = words_of(database, path)
        finally:
            database.close()
    except StoreKeyError as error:
        # A monitor that was given the passphrase may well record; `check_monitor` asks it.
        why = "whether the records are sound was not seen"
        return Finding(name, Health.WARN, str(error), why, "homeward status  (does it record?)")
    except StoreError as error:
        why = "records of the past cannot be read; the monitor begins a new file if it must"
        return Finding(name, Health.FAIL, str(error), why, "homeward run  (moves it aside)")
    aside = [one.name for one in asides(path)]
    if aside:
        why = "the card has lost or changed what was written to it: it may be failing"
        cure = f"copy {path.parent} to another disk, replace the card, then delete {aside[0]}"
        if any(is_plain(path.with_name(name)) for name in aside):
            why += "; and what an older Homeward put aside is not encrypted"
        told = "; ".join(filter(None, (f"damaged before: {', '.join(aside)}", recovered)))
        return Finding(name, Health.WARN, f"sound; {told}", why, cure)
    if not encrypted:
        why = "whoever takes the card reads all that was recorded"
        cure = "homeward run  (encrypts it when it starts)"
        return Finding(name, Health.WARN, "sound; not encrypted yet", why, cure)
    return Finding(name, Health.OK, "sound, encrypted; write-ahead log, synchronous FULL")


def check_model(config: Config) -> Finding:
    """Return whether the model is whole and gives its maker's answers on this box."""
    if not config.model.enabled:
        return Finding("model", Health.OK, "switched off in the configuration")
    # onnxruntime takes 30 MB and a moment, and may be missing on the box that is examined.
    from edge.scorer import Scorer  # noqa: PLC0415

    try:
        scorer = Scorer(load(config.model.bundle))
    except (BundleError, ScorerError) as error:
        why = "limit alarms work; nothing watches for what no single limit shows"
        cure = "pip install --force-reinstall homeward, or set model.bundle to a whole folder"
        return Finding("model", Health.WARN, str(error), why, cure)
    return Finding("model", Health.OK, f"{scorer.model_id}, self-test passed")


_EXTRAS = (
    ("Bluetooth", ("bleak",), "ble", "homeward[pi]"),
    ("serial ports", ("serial",), "uart", "homeward[pi]"),
    ("I2C sensors", ("smbus2",), "i2c", "homeward[pi]"),
    ("recordings (WFDB, EDF)", ("wfdb", "edfio"), "replay", "homeward[recordings]"),
)
"""What it is for, its modules, the reader that needs it, what to install."""


def check_extras(config: Config) -> Iterator[Finding]:
    """Return whether the optional parts are there, and whether a source needs them."""
    readers = {source.reader for source in config.sources}
    for name, modules, reader, extra in _EXTRAS:
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if not missing:
            yield Finding(name, Health.OK, f"{', '.join(modules)} installed")
        elif reader in readers:
            why = "a configured source cannot be read without it"
            cure = f"pip install '{extra}'"
            yield Finding(name, Health.FAIL, f"{', '.join(missing)} missing", why, cure)
        else:
            found = f"{', '.join(missing)} not installed; no configured source needs it"
            yield Finding(name, Health.OK, f"{found} (pip install '{extra}')")


def check_monitor(socket: Path) -> Iterator[Finding]:
    """Return whether a monitor runs, and what it says of itself."""
    name = "monitor"
    try:
        with ControlClient(socket) as client:
            report = client.ask(Status())
    except NotRunningError:
        why, cure = "nobody is watched", "homeward run  (or: systemctl start homeward)"
        yield Finding(name, Health.WARN, "not running", why, cure)
        return
    except ControlError as error:
        cure = "systemctl restart homeward"
        yield Finding(name, Health.FAIL, str(error), "nobody may be watched", cure)
        return
    monitor = report["monitor"]
    yield Finding(name, Health.OK, f"running, process {monitor['pid']}, answers")
    trouble = report["store"]["trouble"]
    if trouble:
        why = "alarms sound, but nothing is recorded"
        yield Finding("recording", Health.FAIL, trouble, why, "see the rows on disk and store")
    yield from check_kept(report)
    yield from check_sync(report)
    for link in report["links"]:
        if link["state"] == "waiting":
            found = f"{link['last_error']} (failed {link['n_failures']} times)"
            why = "its sensor is not watched"
            cure = "mend the source; it is tried again by itself"
            yield Finding(f"source {link['name']}", Health.FAIL, found, why, cure)
    path = report["alarm_path"]
    if path is not None:
        health = Health.OK if path["proven"] else Health.WARN
        why = "" if path["proven"] else "whether an alarm would be heard is not known"
        cure = "" if path["proven"] else "homeward doctor --alarm-path"
        yield Finding("alarm path", health, path["words"], why, cure)
    if report["n_overflow"]:
        found = f"{report['n_overflow']} packets dropped"
        why = "the box was too slow for its sensors"
        yield Finding("load", Health.WARN, found, why, "see `top`; stop what else runs on the box")
