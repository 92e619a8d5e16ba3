"""A cable with a plug: a pseudo terminal behind a name that stays, as udev keeps one.

What is written at the device's end comes out of the port that a reader has opened. Pulled out, the
port fails as a USB serial port does; plugged in again, it is another tty behind the same name.
"""

from __future__ import annotations

import contextlib
import os
import tty
from pathlib import Path


class Cable:
    """One cable.

    Parameters
    ----------
    name : Path
        The port's lasting name; made a symbolic link while the cable is plugged in.
    """

    def __init__(self, name: Path) -> None:
        self.name = name
        self._master: int | None = None

    @property
    def is_in(self) -> bool:
        return self._master is not None

    @property
    def fd(self) -> int:
        """The device's end."""
        assert self._master is not None
        return self._master

    def plug(self) -> None:
        """Plug it in: another tty every time."""
        self._master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        link = self.name.with_suffix(".new")
        link.symlink_to(os.ttyname(slave))
        os.close(slave)
        link.rename(self.name)

    def unplug(self) -> None:
        """Pull it out."""
        if self._master is not None:
            self.name.unlink()
            os.close(self._master)
            self._master = None

    def write(self, payload: bytes) -> None:
        """Send from the device; what nobody takes is lost, as on a wire."""
        if self._master is not None:
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, payload)

    def read(self) -> bytes:
        """Return what was written to the device."""
        if self._master is None:
            return b""
        try:
            return os.read(self._master, 4096)
        except (BlockingIOError, OSError):  # nothing, or nobody has opened the port
            return b""
