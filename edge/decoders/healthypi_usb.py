"""ProtoCentral HealthyPi v4 at a cable: 115200 8N1, one frame a sample, 125 a second.

Little endian, 27 bytes:

    0A FA  14 00  02  EE EE  RR RR  II x4  DD x4  TT TT  BB SS HH  50 78  LL  00 0B

- 14 00: 20 bytes follow the 02; 00 0B ends the frame
- E: ECG, R: respiration, signed 16-bit counts; both 0 while an electrode is off
- I: pleth, infrared, D: red; signed 22-bit counts in 32 bits
- T: temperature, hundredths of a degree Celsius; read every ten seconds, 0 before
- B: breaths a minute, S: oxygen saturation in per cent, H: heart rate in bpm; 0 = none
- 50 78: **80 and 120 stand in the firmware as numbers**. They look like a blood pressure; nothing
  has ever been measured, and they are never given. They are looked at, because they alone tell
  this board from others with the same frame: HealthyPi v3 sends 50 00, HealthyPi 5 (2022) 00 00
- L: LOFF_STAT of the ADS1292R: 1 IN1P, 2 IN1N, 4 IN2P, 8 IN2N, 10 RLD off

What the firmware does with its signals, as far as it matters here:

- ECG: gain 12 (CH2SET = 60; the comment beside it says 6), reference 2.42 V, the high 16 of 24
  bits, a fourth of them, a low pass of gain 1: one count is 24.6 uV. It is 80 samples late (161
  coefficients): 0.64 s behind the pleth. The same in all its published versions.
- Respiration: the *low* 16 of 24 bits: it jumps where they wrap. Counts stay counts.
- Pleth: as the photodiode has it: it falls when blood comes. Counts stay counts.
- Saturation: made of every 20th sample, every 16 s, and not calibrated; 0 without a finger.
- Breaths: of 16 s, taken for 128 Hz: 2.4 per cent too many, and any value without breathing.
- Lead off: the comparators are switched off (LOFF_SENS = 0), so that L is always 0 and says
  nothing of the electrodes: ``lead_off_flag`` is given once a bit has been set. Until then an
  electrode that fell off looks like any other bad ECG.

There is no clock and no number: samples are counted, and a frame that the board leaves out is lost
in silence; the rate is that of the ADS1292R, 125 Hz. There is no check sum either. What stands for
it: the nine bytes that are always the same, and what the others can hold (pleth of 22 bits,
saturation to 100, no bits above the five). A frame that breaks one of these is none, and becomes a
hole of one sample. What changes slowly is told once five frames have said the same, and again every
second, so that no damaged frame speaks. A changed bit of a waveform cannot be seen: on USB there
are none (its blocks carry a CRC-16), on the 40-pin header there may be.

After a reset, which opening the port may be, it says nothing for ten seconds. It sends only in the
mode *Pi*, not in *BLE* or *web server*.

Not this format, though from the same maker: HealthyPi 5 (22 bytes with other fields; since 1.0.0
types 3 and 4). Known errors of other parsers: bit 2 of L shown as *SpO2 probe off* (the maker's
own v4 GUI; so it was in v3); frames taken without a look at their last bytes (healthypi_v4_gui).

Sources, read: Protocentral/protocentral_healthypi_v4 Healthypiv4_Arduino.ino, firmware/src/* and
gui/gui.pde; Protocentral/protocentral_healthypi4_arduino HealthyPiv4_Pi_only.ino and
Healthypiv4_default_BLE_and_Pi.ino; Protocentral/protocentral-healthypi-v3
healthypi3_streaming.ino; Protocentral/protocentral_healthypi_5_firmware
1_healthypi_rp2040_serial_ble_stream.ino; oscarys/healthypi_v4_gui core/parser.py. The bits of
CH2SET and LOFF_STAT by public ADS1292R drivers. Bytes of a real board have not been seen.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.decoders import Decoder
from edge.decoders._line import Repeated, one, open_line_with_holes
from edge.records import Samples
from edge.wire import Wire, frames_in_a_row

STREAM: Final = "uart:healthypi_v4"
FS_HZ: Final = 125.0
HEAD: Final = bytes.fromhex("0AFA140002")
CONSTANT: Final = bytes([80, 120])
TAIL: Final = bytes.fromhex("000B")
FRAME_BYTES: Final = 27
SLOW_AT: Final = slice(17, 22)
OFF_AT: Final = 24
ECG_STEP_MV: Final = 2 * 2.42e3 / (12 * 2**24) * 256 * 4
"""Of one count: 24.6 uV."""

OFF_BITS: Final = 0x1F
HIGHEST_PCT: Final = 100
HIGHEST_BPM: Final = 250
"""The firmware cuts there."""
HIGHEST_BRPM: Final = 100
HIGHEST_DEGC: Final = 60.0
PLETH_END: Final = 1 << 21

TELL_EVERY: Final = 125
"""Frames between two tellings of what changes slowly: a second."""
STEADY_FRAMES: Final = 5
"""So many must say the same before it is told."""
SURE_FRAMES: Final = 3
MISSING: Final = 0xFF
"""In place of the lead-off bits: there was no frame."""
MOST_MISSING: Final = 10 * TELL_EVERY
"""More samples are not counted: when the next ones come tells better."""

_CHECKED: Final = struct.Struct("<5s4xii3xBx2sB2s")
_COUNTS: Final = struct.Struct("<HBBB")
_ROW: Final = np.dtype(
    {
        "names": ["ecg", "resp", "ir", "red", "off"],
        "formats": ["<i2", "<i2", "<i4", "<i4", "u1"],
        "offsets": [5, 7, 9, 13, OFF_AT],
        "itemsize": FRAME_BYTES,
    }
)
_GAP: Final = bytes([MISSING]) * FRAME_BYTES
_SLOW: Final = (
    # Signal, value of one count, highest; 0 is none.
    ("temp_degc", 0.01, HIGHEST_DEGC),
    ("resp_brpm", 1.0, HIGHEST_BRPM),
    ("spo2_pct", 1.0, HIGHEST_PCT),
    ("hr_bpm", 1.0, HIGHEST_BPM),
)


def frame_at(line: bytes, at: int) -> int:
    """Return the length of the frame at a place of a line; see `edge.wire.FrameAt`."""
    if line[at] != HEAD[0]:
        return -1
    piece = line[at : at + FRAME_BYTES]
    if len(piece) < FRAME_BYTES:
        return 0 if piece.startswith(HEAD[: len(piece)]) else -1
    head, infrared, red, spo2, constant, off, tail = _CHECKED.unpack(piece)
    whole = (
        (head, constant, tail) == (HEAD, CONSTANT, TAIL)
        and -PLETH_END <= infrared < PLETH_END
        and -PLETH_END <= red < PLETH_END
        and spo2 <= HIGHEST_PCT
        and off <= OFF_BITS
    )
    return FRAME_BYTES if whole else -1


def recognise(line: bytes) -> bool:
    """Return whether bytes are surely this board's."""
    return frames_in_a_row(line, frame_at) >= SURE_FRAMES


class _Board:
    """What must be remembered of one board: what it said last, and whether it can tell lead off."""

    def __init__(self) -> None:
        self._repeated = Repeated(STEADY_FRAMES, TELL_EVERY)
        self._tells_off = False

    def read(self, pieces: Sequence[bytes | int], arrived_s: float) -> tuple[Samples, ...]:
        """Return the samples of some frames and holes, and what changes slowly where it is due."""
        frames = [piece if isinstance(piece, bytes) else _missing(piece) for piece in pieces]
        rows = np.frombuffer(b"".join(frames), _ROW)
        sent, on = rows["off"] != MISSING, rows["off"] == 0
        found = [
            _run("ecg_mv", "", rows["ecg"] * ECG_STEP_MV, on, arrived_s),
            _run("resp_au", "", rows["resp"], on, arrived_s),
            _run("pleth_au", "ir", rows["ir"], sent, arrived_s),
            _run("pleth_au", "red", rows["red"], sent, arrived_s),
        ]
        for piece in pieces:
            if not isinstance(piece, bytes):
                continue
            slow, is_off = piece[SLOW_AT], piece[OFF_AT] != 0
            if self._repeated.is_due((slow, is_off)):
                found += self._tell(slow, arrived_s, is_off=is_off)
        return tuple(found)

    def _tell(self, slow: bytes, arrived_s: float, *, is_off: bool) -> list[Samples]:
        found = []
        for (signal, unit, highest), count in zip(_SLOW, _COUNTS.unpack(slow), strict=True):
            value = count * unit
            found.append(one(signal, value if 0 < value <= highest else math.nan, arrived_s))
        self._tells_off = self._tells_off or is_off
        if self._tells_off:
            found.append(one("lead_off_flag", float(is_off), arrived_s))
        return found


def _missing(n_bytes: int) -> bytes:
    """Return as many frames without values as these bytes were."""
    return _GAP * min(max(1, round(n_bytes / FRAME_BYTES)), MOST_MISSING)


def _run(
    signal: str,
    lead: str,
    values: NDArray[np.generic],
    known: NDArray[np.bool_],
    arrived_s: float,
) -> Samples:
    counts = np.where(known, values, np.nan).astype(np.float32)
    return Samples(signal, arrived_s, FS_HZ, counts, lead=lead)


_OPEN, _OPEN_BATCH = open_line_with_holes(frame_at, lambda: _Board().read, FRAME_BYTES)

DECODER = Decoder(
    name="healthypi_usb",
    streams=(STREAM,),
    signals=(
        "ecg_mv",
        "resp_au",
        "pleth_au",
        "temp_degc",
        "resp_brpm",
        "spo2_pct",
        "hr_bpm",
        "lead_off_flag",
    ),
    open=_OPEN,
    open_batch=_OPEN_BATCH,
    wires=(
        Wire(
            name="healthypi_v4",
            words="HealthyPi v4",
            stream=STREAM,
            recognise=recognise,
            silent_s=12.0,  # it boots for ten seconds
            gather_s=0.05,  # no clock that a late arrival could spoil: six frames at once
        ),
    ),
)
