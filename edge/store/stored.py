"""What the store gives back: records with their place, their run and the boot of their times."""

from __future__ import annotations

from typing import Any

import msgspec

from edge.clock import WallEntry
from edge.records import (
    AlarmEvent,
    Alert,
    LinkChange,
    Reading,
    SelfTest,
    SettingChange,
    Summary,
)


class Run(msgspec.Struct, frozen=True):
    """One start of the monitor: what later tells which code and settings made a record.

    Attributes
    ----------
    run_id : str
        Unique for ever.
    boot_id : str
        The kernel's boot id: boot-clock times of runs with the same one can be compared.
    started_s : float
        Boot clock.
    version, config_digest, model_id : str
        Homeward's version, digest of the whole configuration, the model; empty: none.
    """

    run_id: str
    boot_id: str
    started_s: float
    version: str
    config_digest: str
    model_id: str = ""


class StoredAlert(msgspec.Struct, frozen=True, tag="alert", tag_field="record"):
    """One state of one alert, as it was stored.

    Attributes
    ----------
    n : int
        Place in the order of all alert records of this box.
    sequence : int
        Place in the story of this alert, from 1.
    run_id, boot_id : str
        The run that made it, and the boot its times belong to.
    """

    n: int
    sequence: int
    run_id: str
    boot_id: str
    alert: Alert


class StoredAlarmEvent(msgspec.Struct, frozen=True, tag="alarm_event", tag_field="record"):
    """What was done to the alarms, as it was stored; fields as in `StoredAlert`."""

    n: int
    run_id: str
    boot_id: str
    event: AlarmEvent


class StoredSettingChange(msgspec.Struct, frozen=True, tag="setting_change", tag_field="record"):
    """A setting a person changed, as it was stored; fields as in `StoredAlert`."""

    n: int
    run_id: str
    boot_id: str
    change: SettingChange


class KeptAlerts(msgspec.Struct, frozen=True):
    """What the alert engine remembered, and both clocks at that moment."""

    state: bytes
    at: WallEntry


class LedgerRow(msgspec.Struct, frozen=True, tag="ledger", tag_field="record"):
    """One row of the ledger; see `edge.store.chain.LedgerEntry` and `StoredAlert`."""

    n: int
    run_id: str
    boot_id: str
    kind: str
    ref: str
    stage: str
    by: str
    at_s: float
    body: dict[str, Any]


class StoredSelfTest(msgspec.Struct, frozen=True, tag="self_test", tag_field="record"):
    """A self-test, as it was stored; fields as in `StoredAlert`."""

    n: int
    run_id: str
    boot_id: str
    test: SelfTest


class StoredSummary(msgspec.Struct, frozen=True, tag="summary", tag_field="record"):
    """A summary, as it was stored; fields as in `StoredAlert`."""

    n: int
    run_id: str
    boot_id: str
    summary: Summary


class StoredReading(msgspec.Struct, frozen=True, tag="reading", tag_field="record"):
    """A measurement of its own, as it was stored; fields as in `StoredAlert`."""

    n: int
    run_id: str
    boot_id: str
    reading: Reading


class StoredLink(msgspec.Struct, frozen=True, tag="link", tag_field="record"):
    """A change of a sensor's link, as it was stored; fields as in `StoredAlert`."""

    n: int
    run_id: str
    boot_id: str
    link: LinkChange


class Waiting(msgspec.Struct, frozen=True):
    """One entry of the outbox: the id the receiver tells repeats by, and what is to be sent."""

    uuid: str
    content: StoredAlert | StoredSummary
