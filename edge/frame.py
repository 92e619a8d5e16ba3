"""Our own serial frame, packed and unpacked: the same bytes for firmware, replay and simulation.

The byte layout is written down in ``hardware/PACKET.md``. On a wire a frame is
``COBS(body || CRC-16) 0x00``; a `edge.records.Packet` of stream `STREAM` holds one frame without
the final zero. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from enum import IntEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.bits import cobs_decode, cobs_encode, crc16
from edge.records import check_signal

STREAM = "uart:homeward"
VERSION = 1
LINE = "uart:homeward_line"
"""The same frames with their zeros, as a serial line brings them: cut anywhere."""
DESCRIPTION, SAMPLES, STATUS, COMMAND, ANSWER = 1, 2, 3, 4, 5
HOST_CLOCK = 0x01
"""Flag of a description: the clock is the receiver's own, nothing is to be estimated."""
CLOCK_WRAP = 1 << 32
SEQUENCE_WRAP = 1 << 16
MAX_CHANNELS = 32
MAX_RATE_MHZ = 100_000_000

_HEAD = struct.Struct("<BHI")  # type, sequence, clock in us
_HEAD_BYTES = _HEAD.size
_DESCRIPTION = struct.Struct("<BBIB")  # version, flags, rate in mHz, channels
_CHANNEL = struct.Struct("<Bdd")  # number type, gain, baseline
_STATUS = struct.Struct("<BB")  # lead-off bits, battery
_ANSWER = struct.Struct("<BHBI")  # code and sequence of the command, result, rate in mHz
_RATE = struct.Struct("<I")  # mHz

NUMBER_TYPES: dict[int, np.dtype[np.generic]] = {
    0: np.dtype("<i2"),
    2: np.dtype("<i4"),
    3: np.dtype("<f4"),
    4: np.dtype("<f8"),
}
"""How a channel's numbers are sent; the lowest integer and NaN mean *no value*. 1 is kept for
24-bit integers."""


class Code(IntEnum):
    """What a board can be told; the byte a command begins with."""

    DESCRIBE = 0
    START = 1
    STOP = 2
    RATE = 3


class Result(IntEnum):
    """What came of a command."""

    DONE = 0
    UNKNOWN = 1
    REFUSED = 2


class FrameError(ValueError):
    """The bytes are not a whole frame of ours."""


class Channel(msgspec.Struct, frozen=True):
    """One channel of a frame: ``value = (raw - baseline) / gain``.

    Attributes
    ----------
    signal, lead : str
        As in `edge.records.Samples`; ASCII, at most 31 characters each.
    number_type : int
        Key of `NUMBER_TYPES`.
    gain, baseline : float
        Raw counts for one unit, and the raw count that means zero.
    """

    signal: str
    lead: str = ""
    number_type: int = 0
    gain: float = 1.0
    baseline: float = 0.0


class Description(msgspec.Struct, frozen=True):
    """What a board says about itself; sent first and at least every ten seconds.

    Attributes
    ----------
    fs_hz : float
        Nominal rate of all channels, to a thousandth of a hertz.
    channels : tuple[Channel, ...]
        In the order in which their samples follow one another.
    device, firmware : str
        Names for people; ASCII, at most 31 characters each.
    host_clock : bool
        See `HOST_CLOCK`.
    """

    fs_hz: float
    channels: tuple[Channel, ...]
    device: str = ""
    firmware: str = ""
    host_clock: bool = False


class Status(msgspec.Struct, frozen=True):
    """Lead-off bits (channel 0 in bit 0) and battery charge in per cent, None if unknown."""

    lead_off: int
    battery_pct: int | None


class Answer(msgspec.Struct, frozen=True):
    """What a board says to a command.

    Attributes
    ----------
    code : int
        The command's, one of `Code` unless the board is newer.
    sequence : int
        The command's own, so that an answer that comes late is known.
    result : int
        One of `Result`; a newer board may have more.
    fs_hz : float
        The rate in force after it, 0.0 while the board is stopped.
    """

    code: int
    sequence: int
    result: int
    fs_hz: float


class Frame(msgspec.Struct, frozen=True, gc=False):
    """The head of a frame and its body's rest."""

    kind: int
    sequence: int
    clock_us: int
    body: bytes


def pack(kind: int, sequence: int, clock_us: int, body: bytes) -> bytes:
    """Return one frame without the final zero; counters are wrapped here."""
    head = _HEAD.pack(kind, sequence % SEQUENCE_WRAP, clock_us % CLOCK_WRAP)
    plain = head + body
    return cobs_encode(plain + crc16(plain).to_bytes(2, "little"))


def unpack(payload: bytes) -> Frame:
    """Return the frame in `payload`.

    Raises
    ------
    FrameError
        COBS, CRC or length are wrong; the text says which.
    """
    try:
        plain = cobs_decode(payload)
    except ValueError as error:
        raise FrameError(str(error)) from error
    end = len(plain) - 2
    if end < _HEAD_BYTES:
        raise FrameError(f"frame has {len(plain)} bytes, needs at least {_HEAD_BYTES + 2}")
    # On the hot path: ten frames a second of every board come through here.
    if crc16(plain[:end]) != plain[end] | plain[end + 1] << 8:
        raise FrameError("frame fails its CRC")
    kind, sequence, clock_us = _HEAD.unpack_from(plain)
    return Frame(kind, sequence, clock_us, plain[_HEAD_BYTES:end])


def pack_description(description: Description) -> bytes:
    """Return the body of a description frame.

    Raises
    ------
    ValueError
        A name is too long or not ASCII, there are too many channels, or a signal has no unit.
    """
    flags = HOST_CLOCK if description.host_clock else 0
    if not 1 <= len(description.channels) <= MAX_CHANNELS:
        raise ValueError(f"a frame has 1 to {MAX_CHANNELS} channels")
    rate_mhz = round(description.fs_hz * 1000)
    parts = [_DESCRIPTION.pack(VERSION, flags, rate_mhz, len(description.channels))]
    parts += [_text(description.device), _text(description.firmware)]
    for channel in description.channels:
        if channel.number_type not in NUMBER_TYPES:
            raise ValueError(f"channel {channel.signal}: unknown number type")
        parts.append(_CHANNEL.pack(channel.number_type, channel.gain, channel.baseline))
        parts += [_text(check_signal(channel.signal)), _text(channel.lead)]
    return b"".join(parts)


def unpack_description(body: bytes) -> Description:
    """Return the description in the body of a frame; bytes after it are for later versions.

    Raises
    ------
    FrameError
        The body is cut, of an unknown version, or describes something impossible.
    """
    try:
        version, flags, rate_mhz, n_channels = _DESCRIPTION.unpack_from(body)
        if version != VERSION:
            raise FrameError(f"description is of version {version}, this reads {VERSION}")
        at = _DESCRIPTION.size
        device, at = _read_text(body, at)
        firmware, at = _read_text(body, at)
        channels = []
        for _ in range(n_channels):
            number_type, gain, baseline = _CHANNEL.unpack_from(body, at)
            signal, at = _read_text(body, at + _CHANNEL.size)
            lead, at = _read_text(body, at)
            channels.append(Channel(signal, lead, number_type, gain, baseline))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise FrameError(f"description frame is cut or damaged: {error}") from error
    _check_description(rate_mhz, channels)
    return Description(rate_mhz / 1000, tuple(channels), device, firmware, bool(flags & HOST_CLOCK))


def pack_status(status: Status) -> bytes:
    """Return the body of a status frame."""
    battery = 0xFF if status.battery_pct is None else status.battery_pct
    return _STATUS.pack(status.lead_off, battery)


def unpack_status(body: bytes) -> Status:
    """Return the status in the body of a frame; raises `FrameError` when it is cut."""
    if len(body) < _STATUS.size:
        raise FrameError(f"status frame has {len(body)} bytes, needs {_STATUS.size}")
    lead_off, battery = _STATUS.unpack_from(body)
    return Status(lead_off, None if battery > 100 else battery)


def command(code: Code, sequence: int = 0, fs_hz: float | None = None) -> bytes:
    """Return what is written to a board, zeros at both ends included.

    Parameters
    ----------
    code : Code
        What it is told.
    sequence : int
        Number that comes back in its answer.
    fs_hz : float | None
        The new rate, with `Code.RATE` only.

    Raises
    ------
    ValueError
        `Code.RATE` without a rate that can be sent, or a rate with another command.
    """
    if (fs_hz is None) == (code is Code.RATE):
        raise ValueError("a rate belongs to the command RATE, and only to it")
    body = bytes([code])
    if fs_hz is not None:
        rate_mhz = round(fs_hz * 1000)
        if not 0 < rate_mhz <= MAX_RATE_MHZ:
            raise ValueError(f"{fs_hz} Hz is no rate a board can have")
        body += _RATE.pack(rate_mhz)
    # The zero before it ends whatever the line made up while nobody was listening.
    return b"\0" + pack(COMMAND, sequence, 0, body) + b"\0"


def unpack_answer(body: bytes) -> Answer:
    """Return the answer in the body of a frame; raises `FrameError` when it is cut."""
    if len(body) < _ANSWER.size:
        raise FrameError(f"answer frame has {len(body)} bytes, needs {_ANSWER.size}")
    code, sequence, result, rate_mhz = _ANSWER.unpack_from(body)
    return Answer(code, sequence, result, rate_mhz / 1000)


def row_type(channels: tuple[Channel, ...]) -> np.dtype[np.generic]:
    """Return the type of one row of a samples frame: one number for each channel."""
    kinds = {channel.number_type for channel in channels}
    if len(kinds) == 1:
        return np.dtype((NUMBER_TYPES[kinds.pop()], (len(channels),)))
    return np.dtype([(str(i), NUMBER_TYPES[c.number_type]) for i, c in enumerate(channels)])


def pack_rows(rows: NDArray[np.generic]) -> bytes:
    """Return the body of a samples frame from an array of `row_type`."""
    return rows.tobytes()


def _check_description(rate_mhz: int, channels: list[Channel]) -> None:
    if not 1 <= len(channels) <= MAX_CHANNELS:
        raise FrameError(f"description names {len(channels)} channels, 1 to {MAX_CHANNELS} can be")
    if not 0 < rate_mhz <= MAX_RATE_MHZ:
        raise FrameError(f"description gives a rate of {rate_mhz / 1000} Hz")
    if len({(c.signal, c.lead) for c in channels}) != len(channels):
        raise FrameError("description names the same signal and lead twice")
    for channel in channels:
        if channel.number_type not in NUMBER_TYPES:
            raise FrameError(f"description has the unknown number type {channel.number_type}")
        scale = (channel.gain, channel.baseline)
        if not (np.isfinite(scale).all() and 1e-12 < abs(channel.gain) < 1e12):
            raise FrameError(f"description gives {channel.signal} an impossible scale {scale}")
        try:
            check_signal(channel.signal)
        except ValueError as error:
            raise FrameError(str(error)) from error


def _text(text: str) -> bytes:
    raw = text.encode("ascii")
    if len(raw) > 31:
        raise ValueError(f"{text!r} is longer than 31 characters")
    return bytes([len(raw)]) + raw


def _read_text(body: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + body[at]
    if body[at] > 31 or end > len(body):
        raise IndexError("text runs past the end")
    return body[at + 1 : end].decode("ascii"), end
