"""Outcome -> SQLite: what the monitor found, kept through kill -9, power cuts and full disks.

A record counts once its transaction is on the medium. Alerts and summaries enter the outbox in
the very transaction that records them, so nothing can be recorded and never sent, or sent and
never recorded.
"""

from __future__ import annotations

from pathlib import Path

from edge.store.backlog import Backlog, Batch
from edge.store.chain import LedgerEntry, LedgerKind
from edge.store.cipher import Keys
from edge.store.database import (
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreKeyError,
    StorePlainError,
)
from edge.store.delivering import Settled
from edge.store.forgetting import Forgetting, Forgotten
from edge.store.history import History
from edge.store.lines import Due, Line, Sinks, Waits
from edge.store.store import Store
from edge.store.stored import (
    Erased,
    EraseRequest,
    Keep,
    KeptAlerts,
    LedgerRow,
    Run,
    Sent,
    StoredAlarmEvent,
    StoredAlert,
    StoredLink,
    StoredReading,
    StoredSelfTest,
    StoredSettingChange,
    StoredSummary,
    Waiting,
)
from edge.store.wanted import Wanted

__all__ = [
    "DATABASE",
    "Backlog",
    "Batch",
    "Due",
    "EraseRequest",
    "Erased",
    "Forgetting",
    "Forgotten",
    "History",
    "Keep",
    "KeptAlerts",
    "Keys",
    "LedgerEntry",
    "LedgerKind",
    "LedgerRow",
    "Line",
    "Run",
    "Sent",
    "Settled",
    "Sinks",
    "Store",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "StoreKeyError",
    "StorePlainError",
    "StoredAlarmEvent",
    "StoredAlert",
    "StoredLink",
    "StoredReading",
    "StoredSelfTest",
    "StoredSettingChange",
    "StoredSummary",
    "Waiting",
    "Waits",
    "Wanted",
    "open_history",
]


DATABASE = "homeward.db"
"""The store's file in the data directory."""


def open_history(data_dir: Path, keys: Keys | None = None) -> History:
    """Return what a box has recorded, to be read; see `History.open`."""
    return History.open(data_dir / DATABASE, keys)
