"""What the store gives back: records with their place, their run and the boot of their times."""

from __future__ import annotations

from typing import Any

import msgspec

from edge.clock import TimeQuality, WallEntry
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


class Keep(msgspec.Struct, frozen=True):
    """How long the content of what left is kept.

    Attributes
    ----------
    days : float
        By the clock on the wall.
    n_bytes : int
        In all; the oldest goes first.
    """

    days: float = 90.0
    n_bytes: int = 16_000_000


class Sent(msgspec.Struct, frozen=True, tag="egress", tag_field="record"):
    """A message that left, as it was stored; fields as of `edge.egress.departure`.

    Attributes
    ----------
    n : int
        Its number in the ledger.
    run_id, boot_id : str
        The run that wrote it down, and the boot its times belong to.
    erased : bool
        What it said is not kept any more.
    headers, body : dict[str, str], bytes | None
        What it said; empty and None where that is erased.
    """

    n: int
    run_id: str
    boot_id: str
    uuid: str
    at_s: float
    until_s: float | None
    wall_s: float | None
    quality: TimeQuality | None
    process: str
    destination: str
    host: str
    kind: str
    version: int
    about: str
    known_as: str
    times: int
    size: int
    sha256: str
    head_sha256: str
    refs: tuple[str, ...]
    late: bool
    erased: bool
    headers: dict[str, str] = {}
    body: bytes | None = None


class EraseRequest(msgspec.Struct, frozen=True, tag="erase_request", tag_field="record"):
    """What a receiver is to be asked to delete.

    Attributes
    ----------
    uuid : str
        Of the request.
    destination : str
        Who is to be asked.
    uuids : tuple[str, ...]
        Ids under which it knows the messages.
    asked_s, boot_id, by : float, str, str
        When and by whom it was asked for.
    settled_s : float | None
        When the receiver said that it is done; None: it has not, or was not asked yet.
    rejected : str
        Why it never will; empty: it may.
    """

    uuid: str
    destination: str
    uuids: tuple[str, ...]
    asked_s: float
    boot_id: str
    by: str
    settled_s: float | None = None
    rejected: str = ""


class Erased(msgspec.Struct, frozen=True):
    """Messages whose content was erased; of those, the ones receivers are to be asked for."""

    n: int
    n_to_ask: int


class Waiting(msgspec.Struct, frozen=True):
    """One entry of the outbox: the id the receiver tells repeats by, and what is to be sent."""

    uuid: str
    content: StoredAlert | StoredSummary
