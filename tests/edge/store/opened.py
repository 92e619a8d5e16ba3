"""The encrypted store as tests open it: to write in it, and to look and meddle behind its back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlite3

from edge.keys import open_keys
from edge.store import Backlog, Run, Store
from edge.store.cipher import apply_key, find_key

RUN = Run("run-1", "boot-1", 10.0, "0.1.0", "digest", "model-1")


def open_store(path: Path, run: Run = RUN, backlog: Backlog | None = None) -> Store:
    """Return a store to write in, with the keys of its folder; the first use makes them."""
    return Store.begin(path, run, backlog, keys=lambda: open_keys(path.parent))


def behind(path: Path, **named: Any) -> Any:
    """Return a connection under the store's key that is not the store's: no setting, no check."""
    connection = sqlite3.connect(path, **named)
    key = find_key(path, lambda: open_keys(path.parent, make=False))
    assert key is not None
    apply_key(connection, key)
    return connection
