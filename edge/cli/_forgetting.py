"""``homeward vault forget --all``: with the device key, and without losing the records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from edge.cli._vault import passphrase
from edge.keys import DeviceKey, KeyFile, KeyRing, KeysError, Protection, find_keys, open_keys
from edge.keys.keyfile import plain, under_passphrase
from edge.vault import Forgotten, forget_all
from edge.vault.forgetting import OnDone

Protect = Callable[[DeviceKey], KeyFile]


def forget_everything(
    home: Path, folder: Path, before: tuple[KeyRing | None, Protect], on_done: OnDone | None
) -> Forgotten:
    """Destroy the vault; the new device key is protected as the one before.

    Parameters
    ----------
    before : tuple
        What `keys_before` gave.

    Raises
    ------
    edge.vault.VaultError
        A monitor runs, or the disk refuses.
    """
    ring, protect = before
    told = forget_all(home, folder, on_done, ring=ring, protect=protect)
    if any(one.protection is Protection.CREDENTIAL for one in find_keys(home)):
        typer.echo("homeward: the key is a credential of systemd: make a new one", err=True)
    return told


def keys_before(home: Path) -> tuple[KeyRing | None, Protect]:
    """Return what opens the records' key, where that can be had, and how a new one is protected.

    May ask a person for the passphrase.
    """
    asked = passphrase()
    try:
        ring = open_keys(home, passphrase=asked, make=False)
    except KeysError:
        return None, plain  # the vault is destroyed all the same
    if ring.protection is Protection.PASSPHRASE and asked is not None:
        return ring, lambda key: under_passphrase(key, asked())
    # A stick is written and a credential made by a person: `rotate-key` tells how.
    return (ring if ring.protection is Protection.FILE else None), plain
