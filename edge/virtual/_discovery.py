"""Who wants to know what is in range: discovery sessions of D-Bus clients, with their filters."""

from __future__ import annotations

from bumble.device import Advertisement

from edge.virtual._advertising import advertised
from edge.virtual._dbus_tree import Values, bluez_error
from edge.virtual._faults import Faults


class Discovery:
    """Sessions of one adapter; each client has one at most."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._filters: dict[str, Values] = {}
        self._sessions: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def filter(self, sender: str, values: Values) -> None:
        """Keep what a client wants to hear of."""
        self._filters[sender] = values

    def start(self, sender: str) -> None:
        """Begin a client's session.

        Raises
        ------
        DBusError
            It has one, or the discovery is stuck.
        """
        if self._faults.stuck_discovery or sender in self._sessions:
            raise bluez_error("InProgress", "Operation already in progress")
        if not self._sessions:
            self._faults.deaf = False
        self._sessions.add(sender)

    def stop(self, sender: str) -> None:
        """End a client's session.

        Raises
        ------
        DBusError
            It has none.
        """
        self._faults.stuck_discovery = False
        if sender not in self._sessions:
            raise bluez_error("Failed", "No discovery started")
        self._sessions.discard(sender)

    def forget(self, sender: str) -> bool:
        """Forget a client that has left the bus; return whether it had a session."""
        self._filters.pop(sender, None)
        had = sender in self._sessions
        self._sessions.discard(sender)
        return had

    def clear(self, *, filters: bool = False) -> None:
        """End all sessions."""
        self._sessions.clear()
        if filters:
            self._filters.clear()

    def wants(self, told: Advertisement) -> bool:
        """Return whether any session's filter lets a new device through."""
        asked = [self._filters.get(one, {}).get("UUIDs", []) for one in self._sessions]
        if not all(asked):
            return True
        wanted = {one.lower() for uuids in asked for one in uuids}
        return bool(wanted & set(advertised(told).get("UUIDs", [])))
