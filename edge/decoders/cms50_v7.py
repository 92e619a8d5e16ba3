"""Contec CMS50D+ from firmware 4.6, CMS50E, CMS50F and others with nine bytes: protocol V7.0.

115,200 baud, 8N1. A frame is a type without bit 7, then bytes that all have it: first their high
bits (bit 0 is that of the first one), then up to seven of them. Live data, type 1, 60 a second:

    01 HH SS PP BB RR OO II II

- H: 80 | the high bits of the seven bytes that follow
- S: bit 7 probe error (finger out), 6 beep, 5 saturation low, 4 searched too long, 3 to 0 strength
- P: bit 7 searching for the pulse; 6 to 0 pleth
- B: bar, and a bit that says whether I counts (not used: it is set where I is FFFF)
- R: pulse rate in bpm, 255 = none; O: saturation in per cent, 127 = none; 0 is none too
- I: perfusion index in hundredths of a per cent, low byte first; FFFF = none, 0 too. Clips
  without one always send FFFF: they get no ``pai_pct`` at all

It sends when it is told to (7D 81 A1 and six times 80, read as a command with A1 and six zeros) and
stops after half a minute unless it is told to go on (AF, here every five seconds).

Known errors of other programs, all at 128 bpm, where bit 3 of H is set: CMS50FW, cms50ew and
Contec_cms50dplus read R without H (128 is 0 bpm); contec_data takes a frame for valid only where H
is E0, and so falls silent.

There is no checksum. What is done about it: a type has one length, all its bytes but the first have
bit 7, and nothing but another frame follows it. Rate, saturation, index and flags are believed once
six frames (0.1 s) have said the same. Where frames are missing, the bytes passed over tell how many
samples: they become NaN.

- 0D, the clip hangs up (switched off, a user changed, ...): its values end at once (NaN), and after
  five silent seconds the reader asks again.
- 0B, a command is refused (it records, ...), has no value, nor has a single XON or XOFF. Other
  types are answers to what is never asked: they count as damage.
- No flow control: nine bytes in five seconds overrun no clip, and two programs run without. With
  it the driver would take the types 11 and 13 for XON and XOFF.

Not read: what it has stored (0F and 09: a saturation and a rate a second). When a recording began
has to be asked for (A5; answers 07 and 12), a CMS50D+ does not know it, and live data stop while
one is sent: that is a program's work, with a person before it.

Sources: Contec's "Communication protocol of pulse oximeter V7.0" as quoted by bmartin427/CMS50
(types, lengths, A1 to B6) and timegrid/CMS50Dplus7 (live data); captures of whole conversations in
headrotor/contec_data and MarkMLl/Contec_cms50dplus (half a minute without AF); OSCAR's
cms50f37_loader (a stored row of a CMS50I: 97 %, 68 bpm, index 590, which is 5.90 % as bmartin427
scales it).
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

STREAM: Final = "uart:cms50_v7"
FS_HZ: Final = 60.0
A_SECOND: Final = 60
STEADY: Final = 6
"""Frames that must say the same before it is believed."""
MOST_MISSING: Final = 10 * A_SECOND
"""More samples are not counted: when the next ones come tells better."""

LIVE: Final = 0x01
LIVE_BYTES: Final = 9
HANGS_UP: Final = 0x0D
REFUSED: Final = 0x0B
BYTES: Final = {LIVE: LIVE_BYTES, HANGS_UP: 3, REFUSED: 4}
"""Type -> length of its frame. No flipped bit makes one of them another."""
FLOW: Final = frozenset((0x11, 0x13))
"""XON and XOFF, where nothing with bit 7 follows."""
_BEGIN: Final = FLOW | BYTES.keys()

START: Final = bytes.fromhex("7D81A1808080808080")
GO_ON: Final = bytes.fromhex("7D81AF808080808080")
GO_ON_S: Final = 5.0

NO_PULSE: Final = 0xFF
HIGHEST_PCT: Final = 100
NO_INDEX: Final = 0xFFFF
INDEX_STEP_PCT: Final = 0.01

N_SURE: Final = 12


def frame_at(line: bytes, at: int) -> int:
    """Return the length of the frame that begins here; see `edge.wire.FrameAt`."""
    kind = line[at]
    n_bytes = BYTES.get(kind)
    if n_bytes is None:
        if kind not in FLOW:
            return -1
        return 0 if at + 1 == len(line) else 1 if line[at + 1] < 0x80 else -1
    rest = line[at + 1 : at + n_bytes]
    if rest and min(rest) < 0x80:
        return -1
    if len(rest) < n_bytes - 1:
        return 0
    # To wait for the next one would make every sample late.
    after = at + n_bytes
    return -1 if after < len(line) and line[after] not in _BEGIN else n_bytes


class _Clip:
    """One clip: what it keeps saying, and its pleth."""

    def __init__(self) -> None:
        self._repeated = Repeated(STEADY, A_SECOND)
        self._has_index = False

    def read(self, frames: Sequence[bytes | int], arrived_s: float) -> tuple[Samples, ...]:
        """Return what the frames hold.

        Returns
        -------
        tuple[Samples, ...]
            ``pleth_au`` (n,), NaN where frames are missing; where they are told: ``pulse_bpm``,
            ``spo2_pct`` and ``pai_pct`` (1,), NaN where the clip has none, and ``contact_flag``
            (1,).
        """
        pleth: list[float] = []
        found: list[Samples] = []
        for frame in frames:
            if isinstance(frame, int):
                n_missing = round(frame / LIVE_BYTES)
                pleth += [math.nan] * (n_missing if n_missing <= MOST_MISSING else 0)
            elif frame[0] == LIVE:
                pleth.append(frame[3] & 0x7F)
                # All but the beep, the strength, the pleth and the bar.
                if self._repeated.is_due((frame[1] & 0x7B, frame[2] & 0x10, frame[5:])):
                    found += self._values(frame, arrived_s)
            elif frame[0] == HANGS_UP:
                self._repeated = Repeated(STEADY, A_SECOND)
                found += self._numbers(math.nan, math.nan, NO_INDEX, arrived_s)
        if pleth:
            values = np.array(pleth, np.float32)
            found.insert(0, Samples("pleth_au", arrived_s, FS_HZ, values))
        return tuple(found)

    def _values(self, frame: bytes, arrived_s: float) -> list[Samples]:
        high = frame[1]
        contact = not high & 0x01
        searching = high & 0x02 or frame[2] & 0x10
        pulse = frame[5] & 0x7F | (high & 0x08) << 4
        spo2 = frame[6] & 0x7F | (high & 0x10) << 3
        index = frame[7] & 0x7F | (high & 0x20) << 2 | (frame[8] & 0x7F | (high & 0x40) << 1) << 8
        if not contact or searching:
            pulse = spo2 = index = 0
        found = self._numbers(
            pulse if 0 < pulse < NO_PULSE else math.nan,
            spo2 if 0 < spo2 <= HIGHEST_PCT else math.nan,
            index,
            arrived_s,
        )
        return [*found, one("contact_flag", float(contact), arrived_s)]

    def _numbers(self, pulse: float, spo2: float, index: int, arrived_s: float) -> list[Samples]:
        found = [one("pulse_bpm", pulse, arrived_s), one("spo2_pct", spo2, arrived_s)]
        has_one = 0 < index * INDEX_STEP_PCT <= HIGHEST_PCT
        self._has_index = self._has_index or has_one
        if self._has_index:
            value = index * INDEX_STEP_PCT if has_one else math.nan
            found.append(one("pai_pct", value, arrived_s))
        return found


_ROW: Final = re.compile(rb"(?:\x01[\x80-\xff]{8}){%d}(?=[\x00-\x7f])" % N_SURE)


def recognise(line: bytes) -> bool:
    """Return whether a row of live frames is there."""
    return _ROW.search(line) is not None


_OPEN, _OPEN_BATCH = open_line_with_holes(frame_at, lambda: _Clip().read, LIVE_BYTES)

DECODER = Decoder(
    name="cms50_v7",
    streams=(STREAM,),
    signals=("pleth_au", "pulse_bpm", "spo2_pct", "pai_pct", "contact_flag"),
    open=_OPEN,
    open_batch=_OPEN_BATCH,
    wires=(
        Wire(
            name="cms50_v7",
            words="Contec CMS50D+, E or F oximeter (nine bytes)",
            stream=STREAM,
            recognise=recognise,
            start=(START,),
            poll=GO_ON,
            poll_s=GO_ON_S,
            gather_s=0.2,
        ),
    ),
)
