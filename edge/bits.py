"""Byte-level reading and writing that decoders, readers and firmware tests share.

Sources: CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF, no reflection); COBS, Cheshire and
Baker, doi:10.1109/90.769765; medical floats, ISO/IEEE 11073-20601 annex F.
"""

from __future__ import annotations

import binascii
import math

_SFLOAT_SPECIAL = {
    0x07FF: math.nan,  # NaN
    0x0800: math.nan,  # NRes: not at this resolution
    0x0801: math.nan,  # reserved
    0x07FE: math.inf,
    0x0802: -math.inf,
}
_FLOAT_SPECIAL = {
    0x007FFFFF: math.nan,  # NaN
    0x00800000: math.nan,  # NRes
    0x00800001: math.nan,  # reserved
    0x007FFFFE: math.inf,
    0x00800002: -math.inf,
}


def uint16(payload: bytes, at: int) -> int:
    """Return the little-endian unsigned 16-bit number at `at`; IndexError past the end."""
    return payload[at] | payload[at + 1] << 8


def uint24(payload: bytes, at: int) -> int:
    """Return the little-endian unsigned 24-bit number at `at`; IndexError past the end."""
    return payload[at] | payload[at + 1] << 8 | payload[at + 2] << 16


def uint32(payload: bytes, at: int) -> int:
    """Return the little-endian unsigned 32-bit number at `at`; IndexError past the end."""
    return uint16(payload, at) | uint16(payload, at + 2) << 16


def sfloat(payload: bytes, at: int) -> float:
    """Return the 16-bit medical float at `at`.

    Returns
    -------
    float
        ``mantissa * 10 ** exponent`` with a signed 12-bit mantissa and a signed 4-bit exponent;
        NaN for NaN, NRes and the reserved value; plus or minus infinity for those.

    Raises
    ------
    IndexError
        The payload ends inside the value.

    Examples
    --------
    >>> sfloat(bytes([0x62, 0x00]), 0), sfloat(bytes([0x14, 0xF0]), 0)
    (98.0, 2.0)
    """
    raw = uint16(payload, at)
    # Special values are told by their mantissa, before any sign is extended.
    if (special := _SFLOAT_SPECIAL.get(raw & 0x0FFF)) is not None:
        return special
    return _scale(_signed(raw & 0x0FFF, 12), _signed(raw >> 12, 4))


def medfloat(payload: bytes, at: int) -> float:
    """Return the 32-bit medical float at `at`: 24-bit mantissa, 8-bit exponent, both signed.

    Raises
    ------
    IndexError
        The payload ends inside the value.
    """
    raw = uint32(payload, at)
    if (special := _FLOAT_SPECIAL.get(raw & 0x00FFFFFF)) is not None:
        return special
    return _scale(_signed(raw & 0x00FFFFFF, 24), _signed(raw >> 24, 8))


def pack_sfloat(value: float, exponent: int = 0) -> bytes:
    """Return `value` as a 16-bit medical float with the given exponent (its precision).

    Raises
    ------
    ValueError
        The value does not fit 12 signed bits at this exponent.
    """
    if math.isnan(value):
        return (0x07FF).to_bytes(2, "little")
    if math.isinf(value):
        return (0x07FE if value > 0 else 0x0802).to_bytes(2, "little")
    mantissa = round(value / 10.0**exponent)
    if not -0x07FD <= mantissa <= 0x07FD or not -8 <= exponent <= 7:
        raise ValueError(f"{value} does not fit a 16-bit medical float with exponent {exponent}")
    return (mantissa & 0x0FFF | (exponent & 0x0F) << 12).to_bytes(2, "little")


def pack_medfloat(value: float, exponent: int = 0) -> bytes:
    """Return `value` as a 32-bit medical float with the given exponent (its precision).

    Raises
    ------
    ValueError
        The value does not fit 24 signed bits at this exponent.
    """
    if math.isnan(value):
        return (0x007FFFFF).to_bytes(4, "little")
    if math.isinf(value):
        return (0x007FFFFE if value > 0 else 0x00800002).to_bytes(4, "little")
    mantissa = round(value / 10.0**exponent)
    if abs(mantissa) > 0x7FFFFD or not -128 <= exponent <= 127:
        raise ValueError(f"{value} does not fit a 32-bit medical float with exponent {exponent}")
    return (mantissa & 0x00FFFFFF | (exponent & 0xFF) << 24).to_bytes(4, "little")


_DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def date_time_s(payload: bytes, at: int) -> int | None:
    """Return the seven-byte Date Time (0x2A08) at `at` as seconds since 2000-01-01 00:00.

    Returns
    -------
    int | None
        None where the device does not know its date (a field of 0), or the date is none.

    Raises
    ------
    IndexError
        The payload ends inside the value.

    Examples
    --------
    >>> date_time_s(bytes([0xD0, 0x07, 1, 2, 0, 0, 1]), 0)
    86401
    """
    year, month, day = uint16(payload, at), payload[at + 2], payload[at + 3]
    hour, minute, second = payload[at + 4], payload[at + 5], payload[at + 6]
    if not 1582 <= year <= 9999 or not 1 <= month <= 12:
        return None
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    n_days = 31 if month in {1, 3, 5, 7, 8, 10, 12} else 30 if month != 2 else 28 + leap
    if not 1 <= day <= n_days or hour > 23 or minute > 59 or second > 59:
        return None
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400 - 730_119
    days += _DAYS_BEFORE[month - 1] + (leap and month > 2) + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def crc16(payload: bytes) -> int:
    """Return the CRC-16/CCITT-FALSE of the payload.

    Examples
    --------
    >>> hex(crc16(b"123456789"))
    '0x29b1'
    """
    return binascii.crc_hqx(payload, 0xFFFF)


def crc8(payload: bytes) -> int:
    """Return the CRC-8 of the payload: polynomial 0x07, start 0, no reflection (CRC-8/SMBUS).

    Examples
    --------
    >>> hex(crc8(b"123456789"))
    '0xf4'
    """
    crc = 0
    for byte in payload:
        crc = _CRC8[crc ^ byte]
    return crc


def _crc8_of(byte: int) -> int:
    for _ in range(8):
        byte = (byte << 1 ^ 0x07) & 0xFF if byte & 0x80 else byte << 1
    return byte


_CRC8 = bytes(_crc8_of(byte) for byte in range(256))


def cobs_encode(payload: bytes) -> bytes:
    """Return the payload without zero bytes (consistent overhead byte stuffing), no delimiter."""
    out = bytearray()
    for run in payload.split(b"\x00"):
        whole, rest = divmod(len(run), 254)
        for i in range(whole):
            out.append(0xFF)
            out += run[i * 254 : (i + 1) * 254]
        out.append(rest + 1)
        out += run[whole * 254 :]
    return bytes(out)


def cobs_decode(stuffed: bytes) -> bytes:
    """Return what `cobs_encode` was given.

    Raises
    ------
    ValueError
        The bytes hold a zero, or end inside a block.
    """
    if b"\x00" in stuffed:
        raise ValueError("a COBS frame holds a zero byte")
    end = len(stuffed)
    out = bytearray(stuffed)
    at = 0
    # Writing zeros over the code bytes is five times faster than joining runs in Python.
    while at < end:
        out[at] = 0
        at += stuffed[at]
    if at != end:
        raise ValueError("a COBS frame ends inside a block")
    if end > 0xFF:
        return _without_joints(stuffed, out)
    del out[:1]
    return bytes(out)


def _without_joints(stuffed: bytes, out: bytearray) -> bytes:
    """Return the runs of `out`, which has zeros for the code bytes of `stuffed`, joined."""
    at, end = 0, len(stuffed)
    joints = []
    while at < end:
        code = stuffed[at]
        at += code
        if code == 0xFF:
            joints.append(at)
    # A full block of 254 bytes is followed by no zero: its successor's code byte is dropped.
    view = memoryview(out)
    starts = [1, *(joint + 1 for joint in joints)]
    stops = [*joints, end]
    return b"".join(view[a:b] for a, b in zip(starts, stops, strict=True))


def _signed(raw: int, n_bits: int) -> int:
    return raw - (1 << n_bits) if raw >> n_bits - 1 else raw


def _scale(mantissa: int, exponent: int) -> float:
    # Dividing by an exact power keeps 36.6 the nearest double; multiplying by 0.1 does not.
    return mantissa / 10.0**-exponent if exponent < 0 else mantissa * 10.0**exponent
