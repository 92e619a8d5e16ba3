"""Rim in: bytes -> Packet. One file a link; each ends with ``READER``.

A reader knows how to get bytes, never what they mean. It stamps every packet with its arrival
on the boot clock and hands it over at once; it never waits for the monitor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from edge.gatt import Profile
from edge.records import Packet
from edge.wire import Wire

Deliver: TypeAlias = Callable[[Packet], None]
NowS: TypeAlias = Callable[[], float]


class ReadError(RuntimeError):
    """A source cannot be read; the text says what happened, to what, and what to do."""


class Rim(msgspec.Struct, frozen=True):
    """What a reader is handed.

    Attributes
    ----------
    deliver : Callable
        Takes a packet, at once. A packet of `edge.events` says what became of a link.
    now_s : Callable
        The boot clock.
    data_dir : Path | None
        Where the box keeps things, such as the devices that were paired.
    profiles : tuple[Profile, ...]
        Every Bluetooth profile a decoder understands.
    wires : tuple[Wire, ...]
        Every serial device a decoder understands.
    """

    deliver: Deliver
    now_s: NowS
    data_dir: Path | None = None
    profiles: tuple[Profile, ...] = ()
    wires: tuple[Wire, ...] = ()


class Reader(msgspec.Struct, frozen=True):
    """How the daemon runs one kind of link.

    Attributes
    ----------
    name : str
        The file's name; ``reader = "name"`` in a ``[[sources]]`` table chooses it.
    settings : type[msgspec.Struct]
        Frozen struct of the options its ``[[sources]]`` table may hold, with defaults.
    run : Callable
        ``await run(settings, rim)`` delivers packets until cancelled or until the source has no
        more. Raises `ReadError` when the source cannot be read at all.
    """

    name: str
    settings: type[msgspec.Struct]
    run: Callable[[Any, Rim], Awaitable[None]]
