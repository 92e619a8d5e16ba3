"""What can go wrong in BlueZ, to be switched on by a test.

One row of `reference/field-faults.md` section 3 each. A fault that goes away by itself says how
often it happens; one that stays says what cures it, and the same cures it in the field.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from edge.virtual._dbus_tree import DBusError, bluez_error

ABORTED: Final = "le-connection-abort-by-local"
"""What BlueZ says when a link broke while it was being made."""
KEY_MISSING: Final = "le-connection-key-missing"
"""What BlueZ says since 5.79 when the device has lost its keys; older ones say `ABORTED`."""


class Faults:
    """Faults of one small BlueZ.

    Attributes
    ----------
    hang_connects : int
        As many calls of ``Connect`` and ``Pair`` never get an answer (until ``Disconnect``).
    stuck_devices : set[str]
        Addresses whose ``Connect`` says InProgress until ``RemoveDevice`` or a power cycle of
        the adapter.
    stuck_discovery : bool
        ``StartDiscovery`` says InProgress until somebody calls ``StopDiscovery``.
    deaf : bool
        Advertisements are no longer heard, though Discovering stays true, until the discovery
        is started anew or the adapter is power-cycled.
    deaf_until_cycle : bool
        The same, and starting the discovery anew does not help.
    power_fails : int
        As often switching an adapter on fails.
    missing_services : int
        As often a device's services are resolved with a hole: bleak meets a KeyError.
    unheard : set[str]
        Addresses whose notifications arrive and are swallowed, until they connect anew.
    slots : int
        Links an adapter can hold.
    key_missing : str
        What ``Connect`` says when the device has lost its keys.
    """

    def __init__(self) -> None:
        self.hang_connects = 0
        self.stuck_devices: set[str] = set()
        self.stuck_discovery = False
        self.deaf = False
        self.deaf_until_cycle = False
        self.power_fails = 0
        self.missing_services = 0
        self.unheard: set[str] = set()
        self.slots = 10
        self.key_missing = KEY_MISSING
        self._connect: deque[DBusError] = deque()
        self._notify: deque[DBusError] = deque()
        self._discovery: deque[DBusError] = deque()
        self._calls: list[tuple[str, deque[DBusError]]] = []

    def fail_connect(self, text: str = ABORTED, *, name: str = "Failed", times: int = 1) -> None:
        """Let the next calls of ``Connect`` fail."""
        self._connect.extend(_error(name, text) for _ in range(times))

    def fail_notify(
        self,
        text: str = "Operation failed with ATT error: 0x0e",
        *,
        name: str = "Failed",
        times: int = 1,
    ) -> None:
        """Let the next calls of ``StartNotify`` fail."""
        self._notify.extend(_error(name, text) for _ in range(times))

    def fail_discovery(
        self, text: str = "Resource Not Ready", *, name: str = "NotReady", times: int = 1
    ) -> None:
        """Let the next calls of ``StartDiscovery`` fail."""
        self._discovery.extend(_error(name, text) for _ in range(times))

    def fail_call(self, member: str, text: str, *, name: str = "Failed", times: int = 1) -> None:
        """Let the next calls of any one method fail, e.g. ``ReadValue``."""
        self._calls.append((member, deque(_error(name, text) for _ in range(times))))

    def adapter_started(self) -> None:
        """Cure what a power cycle of the adapter cures."""
        self.deaf = self.deaf_until_cycle = False
        self.stuck_discovery = False
        self.stuck_devices.clear()

    def clear(self) -> None:
        """Take all faults away."""
        self.__init__()  # type: ignore[misc]

    def next_connect(self) -> DBusError | None:
        """Return how the next ``Connect`` fails; None: it does not."""
        return self._connect.popleft() if self._connect else None

    def next_call(self, member: str) -> DBusError | None:
        """Return how the next call of a method fails; None: it does not."""
        if member == "StartNotify" and self._notify:
            return self._notify.popleft()
        if member == "StartDiscovery" and self._discovery:
            return self._discovery.popleft()
        for wanted, errors in self._calls:
            if wanted == member and errors:
                return errors.popleft()
        return None

    def take(self, name: str) -> bool:
        """Return whether a fault with a count happens now, and count it."""
        left = int(getattr(self, name))
        if left > 0:
            setattr(self, name, left - 1)
        return left > 0


def _error(name: str, text: str) -> DBusError:
    return DBusError(name, text) if "." in name else bluez_error(name, text)
