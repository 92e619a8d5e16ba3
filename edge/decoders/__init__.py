"""Packet -> Samples. One file a device or standard profile; each ends with ``DECODER``.

A decoder reads only the bytes before it. What it must remember of one device (a description
frame, the last counter) lives in the function that `Decoder.open` returns, one for each source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from edge.gatt import Profile
from edge.records import Packet, Samples
from edge.wire import Wire

Decode: TypeAlias = Callable[[Packet], tuple[Samples, ...]]


class DecodeError(ValueError):
    """The packet gives no samples; it is counted and dropped, and the monitor goes on."""


class NotMineError(DecodeError):
    """The bytes are not in this decoder's format at all."""


class BrokenError(DecodeError):
    """The bytes are in this decoder's format, and damaged or cut."""


class Batch(msgspec.Struct, frozen=True):
    """What came of several packets.

    Attributes
    ----------
    found : list of (Samples, float)
        Samples and the arrival they are to be placed by.
    errors : list of DecodeError
        One for each packet that gave none.
    n_damaged : int
        Damaged pieces beside good ones, in packets of a byte stream that gave samples all the
        same; they are counted with the broken packets.
    """

    found: list[tuple[Samples, float]]
    errors: list[DecodeError]
    n_damaged: int = 0


DecodeBatch: TypeAlias = Callable[[Sequence[Packet]], Batch]


class Decoder(msgspec.Struct, frozen=True):
    """What the monitor must know of one device.

    Attributes
    ----------
    name : str
        The file's name; also names its folder under ``tests/captures``.
    streams : tuple[str, ...]
        The streams it understands; see `edge.records.Packet.stream`. Two decoders may know the
        same one: the next is asked where the first says *not mine*.
    signals : tuple[str, ...]
        The signals it can give; one ending in ``*`` stands for whatever the device describes.
    open : Callable[[], Decode]
        Makes the function that turns the packets of one source, of all its streams, into samples.
        That function raises
        only `DecodeError`, whatever the bytes, and returns ``()`` for a packet that is fine but
        holds no samples.
    open_batch : Callable[[], DecodeBatch] | None
        For devices that send many small packets: makes a function that reads all packets of one
        source and one second, and joins the samples that follow one another. Values and errors
        are those of `open`, packet by packet; the contract suite holds the two together.
    profiles : tuple[Profile, ...]
        What a Bluetooth device must be asked for before it sends these streams.
    wires : tuple[Wire, ...]
        How a serial device is opened, known and started, so that it sends these streams.
    """

    name: str
    streams: tuple[str, ...]
    signals: tuple[str, ...]
    open: Callable[[], Decode]
    open_batch: Callable[[], DecodeBatch] | None = None
    profiles: tuple[Profile, ...] = ()
    wires: tuple[Wire, ...] = ()


def one_by_one(decode: Decode) -> DecodeBatch:
    """Return the batch form of a decoder that reads packet by packet."""

    def decode_batch(packets: Sequence[Packet]) -> Batch:
        batch = Batch([], [])
        for packet in packets:
            try:
                batch.found.extend((samples, packet.arrived_s) for samples in decode(packet))
            except DecodeError as error:
                batch.errors.append(error)
        return batch

    return decode_batch
