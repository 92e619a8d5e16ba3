"""BlueZ over D-Bus: adapters, devices, bonds, and the agent that answers when one pairs."""

from __future__ import annotations

from edge.bluez.agent import WINDOW_S, Agent, Method, Person, Refusal
from edge.bluez.bonds import FULL_KEY_BYTES, Bond, read_bond
from edge.bluez.bus import Bluez
from edge.bluez.objects import (
    LOST,
    NO_BUS,
    TIMED_OUT,
    Adapter,
    BluezDevice,
    BluezError,
    Found,
)

__all__ = [
    "FULL_KEY_BYTES",
    "LOST",
    "NO_BUS",
    "TIMED_OUT",
    "WINDOW_S",
    "Adapter",
    "Agent",
    "Bluez",
    "BluezDevice",
    "BluezError",
    "Bond",
    "Found",
    "Method",
    "Person",
    "Refusal",
    "read_bond",
]
