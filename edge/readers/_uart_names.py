"""Names of serial ports: the one that stays when a device comes back as another tty."""

from __future__ import annotations

import errno
import hashlib
import os
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Final

STABLE_FOLDERS: Final = ("homeward", "serial/by-id", "serial/by-path")
"""Below ``/dev``, the best first: our rules' names, udev's by serial number, and by the socket.

Ours come first because many chips bear the same number: two such boards have one name in
``by-id``, which goes over to the other one when the first is pulled out.
"""
MAX_NAME: Final = 50
"""What is longer is cut, and told apart by its digest: names by the socket differ at their end."""


def stable(port: Path, dev: Path) -> Path:
    """Return udev's lasting name of a port; the port itself where it has none, or is one.

    Parameters
    ----------
    port : Path
        As configured.
    dev : Path
        ``/dev``.
    """
    try:
        if not port.exists() or port.is_symlink():
            return port
        # Not `Path.resolve`: it fails where links go in a circle.
        target = os.path.realpath(port)
        return next((link for link in _links(dev) if os.path.realpath(link) == target), port)
    except OSError:  # udev takes a folder away with its last link, between two looks at it
        return port


def _links(dev: Path) -> Iterator[Path]:
    for folder in STABLE_FOLDERS:
        if (dev / folder).is_dir():
            yield from sorted((dev / folder).iterdir())


def source_of(port: Path) -> str:
    """Return the name packets of a port have: the last part of its path, never longer than 64.

    >>> source_of(Path("/dev/serial/by-id/usb-Arduino_Uno_5573-if00"))
    'uart-usb-Arduino_Uno_5573-if00'
    """
    # A pseudo terminal's own name is only a number.
    name = port.name if not port.name.isdigit() else f"{port.parent.name}{port.name}"
    if len(name) > MAX_NAME:
        name = f"{name[:MAX_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"uart-{name}"


def identity(port: Path) -> tuple[int, int, int] | None:
    """Return what changes when another device, or the same one anew, is behind a port's name."""
    try:
        seen = port.stat()
    except OSError:
        return None
    return seen.st_rdev, seen.st_ino, seen.st_ctime_ns


def why_absent(port: Path) -> str:
    """Return why nothing can be seen at a port's name, for people."""
    try:
        port.stat()
    except OSError as error:
        return words(error, port)
    return words(FileNotFoundError(errno.ENOENT, ""), port)  # it came at this very moment


def words(error: BaseException, port: Path) -> str:
    """Return what happened to a port, and what to do, for people."""
    number = _number(error)
    if number in {errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO}:
        return f"{port} is not there: is the device plugged in?"
    if number in {errno.EACCES, errno.EPERM}:
        return f"{port} may not be opened by this user: `homeward scan --serial` says what to do"
    if number in {errno.EBUSY, errno.EAGAIN}:
        return f"{port} is in use by another program (`fuser -v {port}` says which): end that one"
    if number in {errno.ENOTTY, errno.EISDIR, errno.EINVAL, errno.ELOOP}:
        return f"{port} is no serial port: `homeward scan --serial` lists them"
    return f"{port}: {error}"


def _number(error: BaseException | None) -> int | None:
    """Return the system's number of an error; pyserial keeps it only in what it was raised from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        if isinstance(error, termios.error):
            return int(error.args[0])
        error = error.__context__
    return None
