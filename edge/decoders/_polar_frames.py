"""Content of Polar measurement frames -> columns of numbers; part of `edge.decoders.polar`.

Raw content is rows of little-endian two's complement numbers of 1, 2 or 3 bytes, one for each
channel. Compressed content is one such row, the reference, and then blocks:

    WW NN [bits]

- W: bits of one difference, 1 to 32; N: rows in the block
- bits: N rows of one difference (two's complement) for each channel, first bit lowest, without
  padding between them; the block is filled up to whole bytes

Every row is the row before it plus its differences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.decoders import BrokenError

MOST_BITS = 32
"""The SDK sums differences in 32 bits; a wider one is damage."""

_NUMBERS: dict[int, np.dtype[Any]] = {1: np.dtype("<i1"), 2: np.dtype("<i2")}
_WEIGHTS = {
    n: np.array([1 << i for i in range(n - 1)] + [-(1 << n - 1)], np.float64)
    for n in range(1, MOST_BITS + 1)
}


def unpack_raw(content: bytes, n_channels: int, n_bytes: int) -> NDArray[Any]:
    """Return the numbers of raw content.

    Parameters
    ----------
    n_bytes : int
        Of one number: 1, 2 or 3.

    Returns
    -------
    NDArray
        Shape (n, n_channels), n >= 1, integers.

    Raises
    ------
    BrokenError
        The content is empty or ends inside a row.
    """
    n, rest = divmod(len(content), n_channels * n_bytes)
    if not n or rest:
        raise BrokenError(
            f"Polar frame: {len(content)} bytes are no whole rows of {n_channels} x {n_bytes}"
        )
    short = _NUMBERS.get(n_bytes)
    if short is not None:
        return np.frombuffer(content, short).reshape(n, n_channels)
    # Three bytes become the upper three of a 32-bit number, whose shift brings the sign along.
    wide = np.zeros((n * n_channels, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
    numbers: NDArray[np.int32] = wide.view("<i4") >> 8
    return numbers.reshape(n, n_channels)


def unpack_deltas(content: bytes, n_channels: int, n_bytes: int) -> NDArray[np.float64]:
    """Return the numbers of compressed content.

    Parameters
    ----------
    n_bytes : int
        Of one number of the reference row: 1, 2 or 3.

    Returns
    -------
    NDArray
        Shape (n, n_channels), n >= 1; whole numbers, exact.

    Raises
    ------
    BrokenError
        The content ends inside the reference or a block, or a block has an impossible width.
    """
    at, end = n_channels * n_bytes, len(content)
    if end < at:
        raise BrokenError(f"Polar frame: {end} bytes hold no reference row of {at}")
    rows: list[NDArray[Any]] = [unpack_raw(content[:at], n_channels, n_bytes)]
    while at < end:
        if at + 2 > end:
            raise BrokenError("Polar frame ends inside the head of a block")
        width, n = content[at], content[at + 1]
        n_numbers = n * n_channels
        stop = at + 2 + (n_numbers * width + 7) // 8
        if not 1 <= width <= MOST_BITS:
            raise BrokenError(f"Polar frame has a block of {width}-bit differences")
        if stop > end:
            raise BrokenError(f"Polar frame of {end} bytes ends inside a block, which needs {stop}")
        packed = np.frombuffer(content, np.uint8, stop - at - 2, at + 2)
        bits = np.unpackbits(packed, count=n_numbers * width, bitorder="little")
        rows.append((bits.reshape(n_numbers, width) @ _WEIGHTS[width]).reshape(n, n_channels))
        at = stop
    # The sums are whole numbers far below 2**53: exact, in whatever order.
    return np.concatenate(rows, dtype=np.float64).cumsum(axis=0)
