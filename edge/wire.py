"""What a serial device must be told before it sends, and how it is known: as data.

A decoder knows its device and says so in a `Wire`; the reader that holds the line knows no device
at all. What the reader delivers is bytes as they came, cut anywhere; the decoder finds the frames.
A packet without a byte says that the line was opened anew: what comes does not follow what came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

FrameAt: TypeAlias = Callable[[bytes, int], int]
"""``frame_at(line, at)``: length in bytes of the whole, checked frame that begins at `at`; 0 where
more bytes must come to tell; -1 where no frame begins there."""


class Wire(msgspec.Struct, frozen=True):
    """A device at the end of a cable.

    Attributes
    ----------
    name : str
        Short and stable: ``nonin_df2``; ``device = "nonin_df2"`` in the configuration says that
        nothing has to be found out.
    words : str
        What people call such a device.
    stream : str
        Names its packets; begins with ``uart:``.
    recognise : Callable[[bytes], bool]
        Whether bytes of a line, from any point on, are surely this device's: several whole
        frames in a row, more of them where their check is weak.
    baud : int
        Signalling rate.
    parity : str
        ``N`` none, ``E`` even, ``O`` odd; there are always 8 data bits and 1 stop bit.
    xonxoff : bool
        Either side may hold the other back with XOFF (0x13) and XON (0x11).
    start : tuple[bytes, ...]
        Written when the line is known to be this device's, and, where nothing known sends by
        itself, to find out; empty: it needs no word.
    poll : bytes
        Written every `poll_s`, so that it goes on; empty: nothing needs to be.
    poll_s : float
        See `poll`.
    silent_s : float
        A line that is silent for longer is closed and opened anew.
    listen_s : float
        How long one has to listen to be sure that it is another device's line.
    gather_s : float
        How long bytes are let to gather before they are read: short where the device has a clock
        or counts, and where its frames are large.
    rate : Callable[[float], bytes] | None
        Makes the command for a sampling rate in Hz, where it can be told one.
    """

    name: str
    words: str
    stream: str
    recognise: Callable[[bytes], bool]
    baud: int = 115_200
    parity: Literal["N", "E", "O"] = "N"
    xonxoff: bool = False
    start: tuple[bytes, ...] = ()
    poll: bytes = b""
    poll_s: float = 0.0
    silent_s: float = 5.0
    listen_s: float = 2.0
    gather_s: float = 0.02
    rate: Callable[[float], bytes] | None = None


def frames_in_a_row(line: bytes, frame_at: FrameAt) -> int:
    """Return the greatest number of whole frames that follow one another without a hole.

    >>> pairs = lambda line, at: -1 if line[at] != 0x3E else 2 if at + 1 < len(line) else 0
    >>> frames_in_a_row(b"x>1>2x>3>", pairs)
    2
    """
    most = row = at = 0
    while at < len(line):
        n_bytes = frame_at(line, at)
        if n_bytes == 0:
            break
        row = row + 1 if n_bytes > 0 else 0
        most = max(most, row)
        at += max(n_bytes, 1)
    return most
