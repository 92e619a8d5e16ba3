"""Packet -> Samples. One file a device or standard profile; each ends with ``DECODER``.

A decoder reads only the bytes before it. What it must remember of one device (a description
frame, the last counter) lives in the function that `Decoder.open` returns, one for each source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from edge.records import Packet, Samples

Decode: TypeAlias = Callable[[Packet], tuple[Samples, ...]]


class DecodeError(ValueError):
    """The packet gives no samples; it is counted and dropped, and the monitor goes on."""


class NotMineError(DecodeError):
    """The bytes are not in this decoder's format at all."""


class BrokenError(DecodeError):
    """The bytes are in this decoder's format, and damaged or cut."""


class Decoder(msgspec.Struct, frozen=True):
    """What the monitor must know of one device.

    Attributes
    ----------
    name : str
        The file's name; also names its folder under ``tests/captures``.
    streams : tuple[str, ...]
        The streams it understands; see `edge.records.Packet.stream`.
    signals : tuple[str, ...]
        The signals it can give; one ending in ``*`` stands for whatever the device describes.
    open : Callable[[], Decode]
        Makes the function that turns packets of one source into samples. That function raises
        only `DecodeError`, whatever the bytes, and returns ``()`` for a packet that is fine but
        holds no samples.
    """

    name: str
    streams: tuple[str, ...]
    signals: tuple[str, ...]
    open: Callable[[], Decode]
