"""Contec CMS50D+ up to firmware 4.5, CMS50E and others with five bytes: a clip at a USB cable.

19,200 baud, odd parity, 60 frames a second by itself (CMS50E: with "USB" on in its menu):

    SS PP FF RR OO

- S: the only byte with bit 7; bit 6 beep, 5 saturation falls, 4 searched too long (some say:
  finger out), 3 to 0 strength of the signal (not used)
- P: pleth, 7 bits
- F: bit 6 pulse rate bit 7, 5 searching for the pulse, 4 probe error (finger out), 3 to 0 bar
- R: pulse rate bits 6 to 0 in bpm; O: saturation in per cent

Both are 0 where there is none, or all ones (255 and 127) as in the newer protocol. Known errors of
other programs: they read R alone, wrong from 128 bpm on (an alarm for a fast heart never comes);
they switch XON/XOFF on (CMS50Dplus), and the driver swallows every pleth of 17 and 19, and the
frame with it.

There is no checksum. What is done about it:

- a frame has one byte with bit 7 and four without, and nothing but another frame follows it: a lost
  or doubled byte makes no other frame;
- rate, saturation and flags are believed once six frames (0.1 s) have said the same: a flipped bit
  never becomes a value. It can become one sample of the pleth;
- the parity bit of each byte finds all single flipped bits, where the reader has the driver drop
  such bytes (INPCK and IGNPAR); nothing here needs it.

Where frames are missing, the bytes passed over tell how many samples: they become NaN. While the
clip searches, or has no finger, there is no value, whatever the bytes say.

Not read: what it has stored (F5 F5; F0 or F1, 80 | rate, saturation). It has no clock, so nobody
knows when that was, and it sends nothing live meanwhile. F6 F6 F6 ends such a transfer that
another program has begun, and a CMS50E begins to send at any byte: it is said at the start.

Sources: atbrask/CMS50Dplus (frames, 8O1, F5 and F6); apneaboard.com Contec CMS50X Data Format (rate
bit 7, F6 back to live); the maker's table of five bytes as translated at picbasic.co.uk, thread
11311; tranzoa.net p=371 (CMS50E: any byte starts it). None of them is a capture of live data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from edge.decoders import Decoder
from edge.decoders._line import Repeated, one, open_line_with_holes
from edge.records import Samples
from edge.wire import Wire

STREAM: Final = "uart:cms50"
FS_HZ: Final = 60.0
A_SECOND: Final = 60
FRAME_BYTES: Final = 5
STEADY: Final = 6
"""Frames that must say the same before it is believed."""
MOST_MISSING: Final = 10 * A_SECOND
"""More samples are not counted: when the next ones come tells better."""

SEARCHED_TOO_LONG: Final = 0x10
PROBE_ERROR: Final = 0x10
SEARCHING: Final = 0x20
PULSE_BIT_7: Final = 0x40

NO_PULSE: Final = 0xFF
HIGHEST_PCT: Final = 100

TO_LIVE: Final = b"\xf6\xf6\xf6"

N_SURE: Final = 30
N_VALUES: Final = 4
"""In half a second rate and saturation do not change more often."""


def frame_at(line: bytes, at: int) -> int:
    """Return the length of the frame that begins here; see `edge.wire.FrameAt`."""
    if line[at] < 0x80:
        return -1
    rest = line[at + 1 : at + FRAME_BYTES]
    if not rest.isascii():
        return -1
    if len(rest) < FRAME_BYTES - 1:
        return 0
    # To wait for the next one would make every sample late.
    after = at + FRAME_BYTES
    return -1 if after < len(line) and line[after] < 0x80 else FRAME_BYTES


class _Clip:
    """One clip: what it keeps saying, and its pleth."""

    def __init__(self) -> None:
        self._repeated = Repeated(STEADY, A_SECOND)

    def read(self, frames: Sequence[bytes | int], arrived_s: float) -> tuple[Samples, ...]:
        """Return what the frames hold.

        Returns
        -------
        tuple[Samples, ...]
            ``pleth_au`` (n,), NaN where frames are missing; where they are told: ``pulse_bpm`` (1,)
            and ``spo2_pct`` (1,), NaN where the clip has none, and ``contact_flag`` (1,).
        """
        pleth: list[float] = []
        found: list[Samples] = []
        is_due = self._repeated.is_due
        for frame in frames:
            if isinstance(frame, int):
                n_missing = round(frame / FRAME_BYTES)
                pleth += [math.nan] * (n_missing if n_missing <= MOST_MISSING else 0)
                continue
            first, sample, flags, low, spo2 = frame
            pleth.append(sample)
            if is_due((first & SEARCHED_TOO_LONG, flags & 0x70, low, spo2)):
                found += _values(first, flags, low, spo2, arrived_s)
        waveform = Samples("pleth_au", arrived_s, FS_HZ, np.array(pleth, np.float32))
        return (waveform, *found)


def _values(first: int, flags: int, low: int, spo2: int, arrived_s: float) -> tuple[Samples, ...]:
    contact = not (first & SEARCHED_TOO_LONG or flags & PROBE_ERROR)
    trusted = contact and not flags & SEARCHING
    pulse = (flags & PULSE_BIT_7) << 1 | low
    return (
        one("pulse_bpm", pulse if trusted and 0 < pulse < NO_PULSE else math.nan, arrived_s),
        one("spo2_pct", spo2 if trusted and 0 < spo2 <= HIGHEST_PCT else math.nan, arrived_s),
        one("contact_flag", float(contact), arrived_s),
    )


_ROW: Final = re.compile(
    rb"(?:[\x80-\xff][\x00-\x7f]{3}[\x00-\x64\x7f]){%d}(?=[\x80-\xff])" % N_SURE
)


def recognise(line: bytes) -> bool:
    """Return whether half a second of frames is there, of values that can be true together."""
    found = _ROW.search(line)
    if found is None:
        return False
    row = found[0]
    return len(set(zip(row[3::FRAME_BYTES], row[4::FRAME_BYTES], strict=True))) <= N_VALUES


_OPEN, _OPEN_BATCH = open_line_with_holes(frame_at, lambda: _Clip().read, FRAME_BYTES)

DECODER = Decoder(
    name="cms50",
    streams=(STREAM,),
    signals=("pleth_au", "pulse_bpm", "spo2_pct", "contact_flag"),
    open=_OPEN,
    open_batch=_OPEN_BATCH,
    wires=(
        Wire(
            name="cms50",
            words="Contec CMS50D+ or CMS50E oximeter (five bytes)",
            stream=STREAM,
            recognise=recognise,
            baud=19_200,
            parity="O",
            start=(TO_LIVE,),
            gather_s=0.2,
        ),
    ),
)
