"""The keys of the records as commands have them: a person is asked once, and only where it must."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.keys import KeyRing
    from edge.store import Keys


def keys_of(data_dir: Path, *, make: bool = False) -> Keys:
    """Return what gives the device keys of a box; a passphrase is asked for when they are needed.

    Parameters
    ----------
    make : bool
        Make the first key where there is none and nothing was kept.
    """
    return lambda: _ring(data_dir, make=make)


@cache
def _ring(data_dir: Path, *, make: bool) -> KeyRing:
    from edge.cli._vault import passphrase
    from edge.keys import open_keys

    return open_keys(data_dir, passphrase=passphrase(), make=make)
