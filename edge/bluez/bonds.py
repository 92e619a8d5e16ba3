"""What BlueZ keeps of a bond on disk: how it was made, and how long its key is.

Only root may read it. Source: BlueZ ``doc/settings-storage.txt``; the values of ``Authenticated``
are the key types of the kernel's management interface (``MGMT_LTK_*`` in Linux
``include/net/bluetooth/mgmt.h``).
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Final

import msgspec

FOLDER: Final = Path("/var/lib/bluetooth")
FULL_KEY_BYTES: Final = 16

_UNPROVED, _PROVED, _SC_UNPROVED, _SC_PROVED, _SC_DEBUG = range(5)
_GROUPS: Final = ("LongTermKey", "PeripheralLongTermKey", "SlaveLongTermKey")
"""The key this side encrypts with comes first; Secure Connections have but one."""


class Bond(msgspec.Struct, frozen=True):
    """One stored bond.

    Attributes
    ----------
    proved : bool
        A number was compared or typed when it was made.
    secure_connections : bool
        It was made with LE Secure Connections.
    debug : bool
        Its key is the published one for debugging: it protects nothing.
    key_bytes : int
        Length of its shortest key.
    """

    proved: bool
    secure_connections: bool
    debug: bool
    key_bytes: int


def read_bond(adapter: str, device: str, folder: Path = FOLDER) -> Bond | None:
    """Return what is stored of a bond; None where there is none or it may not be read.

    Parameters
    ----------
    adapter, device : str
        Addresses, in capitals.
    folder : Path
        Where BlueZ keeps its state.
    """
    path = folder / adapter / device / "info"
    stored = configparser.ConfigParser(interpolation=None, strict=False)
    stored.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their capitals
    try:
        stored.read_string(path.read_text("utf-8", "replace"))
        keys = [stored[name] for name in _GROUPS if name in stored]
        if not keys:
            return None
        kind = keys[0].getint("Authenticated", _UNPROVED)
        sizes = [key.getint("EncSize", 0) for key in keys]
    except (OSError, ValueError, configparser.Error):
        return None  # nothing is proved by what cannot be read
    return Bond(
        kind in {_PROVED, _SC_PROVED},
        kind in {_SC_UNPROVED, _SC_PROVED, _SC_DEBUG},
        kind == _SC_DEBUG,
        min(sizes),
    )
