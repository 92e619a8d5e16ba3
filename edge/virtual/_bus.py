"""A private D-Bus daemon: a message bus of one's own, where a pretended BlueZ may be ``org.bluez``.

Nothing of the machine's own buses is touched. bleak and dbus-fast find the bus through the
variable DBUS_SYSTEM_BUS_ADDRESS.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

SYSTEM_BUS: Final = "DBUS_SYSTEM_BUS_ADDRESS"
"""Variable in which every D-Bus client looks for the system bus."""
PROGRAM: Final = "dbus-daemon"
STOP_S: Final = 5.0

_CONFIGURATION: Final = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"""


class BusError(RuntimeError):
    """The private bus cannot be had; the text says what happened and what to do."""


class PrivateBus:
    """A message bus that can also die and come back at the same address.

    Use it with ``with``, or call `rise` and `close`.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="homeward-bus-"))
        socket = self._folder / "bus"
        self._configuration = self._folder / "bus.conf"
        self._configuration.write_text(_CONFIGURATION.format(socket=socket), encoding="utf-8")
        self._daemon: subprocess.Popen[str] | None = None
        self.address = f"unix:path={socket}"

    def __enter__(self) -> Self:
        try:
            self.rise()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def rise(self) -> None:
        """Start the daemon, at the address it always has; return when it listens.

        Raises
        ------
        BusError
            The program is missing or will not start.
        """
        program = shutil.which(PROGRAM)
        if program is None:
            raise BusError(f"{PROGRAM} is not installed: sudo apt install dbus")
        (self._folder / "bus").unlink(missing_ok=True)
        self._daemon = subprocess.Popen(  # noqa: S603  # our own configuration, no shell
            [program, "--config-file", str(self._configuration), "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        # It prints its address once it listens, or nothing when it cannot.
        if self._daemon.stdout is None or not self._daemon.stdout.readline():
            code = self._daemon.wait()
            raise BusError(
                f"{PROGRAM} ended at once (exit code {code}): run "
                f"`{PROGRAM} --config-file {self._configuration} --nofork` to see why"
            )

    def die(self) -> None:
        """Kill the daemon, as a crash or an upgrade does: every client loses its connection."""
        if self._daemon is None:
            return
        self._daemon.kill()
        self._daemon.wait(STOP_S)
        if self._daemon.stdout is not None:
            self._daemon.stdout.close()
        self._daemon = None

    def close(self) -> None:
        """End the daemon and take its folder away."""
        self.die()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def private_bus(*, as_system_bus: bool = False) -> Iterator[str]:
    """Run a private bus; give its address.

    Parameters
    ----------
    as_system_bus : bool
        Let this process (and those it starts) take it for the system bus, by setting
        DBUS_SYSTEM_BUS_ADDRESS until the end.

    Raises
    ------
    BusError
        The daemon cannot be started.
    """
    before = os.environ.get(SYSTEM_BUS)
    with PrivateBus() as bus:
        if as_system_bus:
            os.environ[SYSTEM_BUS] = bus.address
        try:
            yield bus.address
        finally:
            if as_system_bus and before is None:
                os.environ.pop(SYSTEM_BUS, None)
            elif as_system_bus and before is not None:
                os.environ[SYSTEM_BUS] = before
