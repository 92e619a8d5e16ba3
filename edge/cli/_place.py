"""One process of a kind at a time: a lock in the box's folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from edge.cli._shared import CommandError


def take_place(folder: Path, lock_name: str, who: str) -> int:
    """Return the open lock of a process of which there may be one.

    Parameters
    ----------
    who : str
        What runs here, for people: ``a notifier``.

    Raises
    ------
    CommandError
        Another one runs here, or the folder cannot be written in.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / lock_name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(f"cannot write in {folder} ({error}): mend the folder") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise CommandError(f"{who} is running here already ({folder}): stop it first") from None
    return lock
