"""The writer of a box's vault, with its keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.clock import WallEntry
from edge.keys import Passphrase, open_keys
from edge.vault.bounds import Bounds
from edge.vault.folder import FOLDER, device_ids
from edge.vault.writer import VaultWriter


def open_writer(
    data_dir: Path,
    clock: Callable[[], WallEntry],
    bounds: Bounds | None = None,
    passphrase: Passphrase | None = None,
) -> VaultWriter:
    """Return the writer of a box's vault, with its keys; the first use makes both.

    Raises
    ------
    KeysError
        The key is gone though something is encrypted, or does not open.
    VaultError
        Another process writes.
    """
    folder = data_dir / FOLDER
    ring = open_keys(data_dir, device_ids(folder), passphrase=passphrase)
    return VaultWriter(folder, ring, clock, bounds)
