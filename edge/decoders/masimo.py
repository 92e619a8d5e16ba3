"""Masimo Rad-5, 7, 8, 57, 87 and Radical-7: their output *ASCII 1*, 9600 8N1, a line a second.

    03/17/26 12:00:01 SN=0000082221 SPO2=098% BPM=063 PI=03.16% SPCO=--.-% SPMET=--.-% DESAT=--
        PIDELTA=+-- ALARM=0000 EXC=000800

(one line, with CR LF). Date and time, then fields of the form NAME=VALUE, some with a % after
them; others in every model and version, so that they are read by name and unknown ones passed over:

- SPO2: oxygen saturation in per cent, BPM: pulse rate, PI: perfusion index in per cent. Dashes, and
  0, mean that it has none
- EXC: what is wrong, hexadecimal, 3 digits (Rad-5), 6, or 7 (Radical-7 with colour screen)
- SPO2, BPM, ALARM and EXC are in every line. SN (a serial number), SPCO, SPMET, SPHB, DESAT,
  PIDELTA, PVI, RESVD and others (and EXC1, of which nothing is published) are not used, nor is
  ALARM: limits are this box's own

    EXC  1 no sensor             10 interference        100 incompatible   1000 no cable
         2 defective sensor      20 sensor off          200 -              2000 cable expired
         4 low perfusion         40 ambient light       400 low signal IQ  4000 incompatible cable
         8 pulse search          80 unrecognised        800 Masimo SET     8000 unrecognised cable
     10000 defective cable    20000 calibrating       40000 sensor expired
     80000 emitter too hot or cold   100000 sensor current   200000, 400000 SpCO, SpMet unsure

- With no sensor, sensor off or no cable there is no contact. Then, and with what makes a
  measurement impossible (defective, unrecognised, incompatible, calibrating, emitter, current,
  pulse search), the values are NaN, **whatever stands in the line**: the last ones stay there for
  a while. Published lines have ``SPO2=098% BPM=101`` with EXC=000824, and 98 % with EXC=000820:
  parsers that look at SPO2 only show a saturation of a finger that is not there.
- *Low perfusion*, *low signal IQ*, *interference* and *ambient light* stay values where the device
  gives any: a patient who is shutting down has them.

**Date and time** are the device's own: set by hand, without a zone or summer time, to the second,
minutes off after months. They are part of the line's grammar, and nothing is stamped with them:
a value is of the moment it came.

There is no check sum. What stands for it is a strict grammar: 7-bit printable characters, one
blank between fields, a date and a time there can be, as many digits as each value has, no name
twice, no saturation above 100 %, PI above 20 % or pulse above 300. A line that breaks one of these
is broken as a whole. A digit that became another digit cannot be seen; alarms need several seconds
in a row.

The device must be set to *ASCII 1* (Rad-8: menu level 3, ``SEr`` to ``AS1``; it comes with
*ASCII 2*, which this does not read). Its plug has RS-232 levels (9 V): an adapter for 3.3 V dies.

Sources: MD PnP poxrad_discrete.h (lines of a Radical-5 and a -7, names of all bits); MD PnP
devices/masimo (fields of the Radical-7); yahnatan/pulseox, nmenon/masimo-datacapture,
remkolems/masimo-datacapture (lines of Rad-8 and Radical-7, ALARM, the clock's drift);
Rad-8 operator's manual 4-24, Rad-57 4-14 (bits to 800, ranges), Rad-87 7-4 (line settings).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from edge.decoders import Decoder
from edge.decoders._line import open_line
from edge.records import Samples
from edge.wire import Wire, frames_in_a_row

STREAM: Final = "uart:masimo"

NO_CONTACT: Final = 0x1 | 0x20 | 0x1000
NO_MEASUREMENT: Final = (
    NO_CONTACT | 0x2 | 0x8 | 0x80 | 0x100 | 0x4000 | 0x8000 | 0x10000 | 0x20000 | 0x80000 | 0x100000
)

HIGHEST_PCT: Final = 100
HIGHEST_BPM: Final = 300
HIGHEST_PI_PCT: Final = 20.0
LONGEST: Final = 400
"""Twice the longest line that has been seen; nothing says how long they can be."""

_WHEN: Final = b"00/00/00 00:00:00"
_FIRST: Final = b"0123\r\n\0"
_BETWEEN: Final = re.compile(rb"[\r\n\0]{0,16}")
"""Before and after a line; a Radical-7 begins some with zeros."""
_LINE: Final = re.compile(
    rb"(?:[0-2]\d|3[01])/(?:[0-2]\d|3[01])/\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
    rb"((?: [A-Z][A-Z0-9]{1,9}=[0-9A-Za-z.+/-]{1,16}%?)+) *"
)
_VALUES: Final = {
    b"SPO2": re.compile(rb"(0\d\d|100|---)%"),
    b"BPM": re.compile(rb"([0-2]\d\d|300|---)%?"),
    b"PI": re.compile(rb"([01]\d\.\d\d|20\.00|--\.--)%?"),
    b"ALARM": re.compile(rb"([0-9A-Fa-f]{2,8})"),
    b"EXC": re.compile(rb"([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6,8})"),
}
_ALWAYS: Final = frozenset({b"SPO2", b"BPM", b"ALARM", b"EXC"})
_GIVEN: Final = (("spo2_pct", b"SPO2"), ("pulse_bpm", b"BPM"), ("pai_pct", b"PI"))


def frame_at(line: bytes, at: int) -> int:
    """Return the length of the line of text at a place of the bytes; see `edge.wire.FrameAt`."""
    if line[at] not in _FIRST:
        return -1
    begin = _after(line, at)
    if not _can_begin(line[begin : begin + len(_WHEN)]):
        return -1
    ends = (line.find(end, begin, begin + LONGEST) for end in (b"\r", b"\n"))
    end = min((end for end in ends if end >= 0), default=-1)
    if end < 0:
        return 0
    return -1 if _fields(line[begin:end]) is None else _after(line, end) - at


def recognise(line: bytes) -> bool:
    """Return whether bytes are surely such a device's: one whole line is long enough to know."""
    return frames_in_a_row(line, frame_at) >= 1


def _after(line: bytes, at: int) -> int:
    """Return where what stands between two lines ends."""
    between = _BETWEEN.match(line, at)
    return between.end() if between else at


def _can_begin(text: bytes) -> bool:
    """Return whether bytes can begin a line, as far as they go."""
    return all(
        0x30 <= have <= 0x39 if wanted == 0x30 else have == wanted
        for have, wanted in zip(text, _WHEN, strict=False)
    )


def _fields(text: bytes) -> dict[bytes, bytes] | None:
    """Return the values of a line that are read, by name; None where it is no such line."""
    line = _LINE.fullmatch(text)
    if line is None:
        return None
    parts = [part.partition(b"=") for part in line[1].split()]
    values = {name: value for name, _, value in parts}
    if len(values) < len(parts) or not values.keys() >= _ALWAYS:
        return None
    found: dict[bytes, bytes] = {}
    for name, form in _VALUES.items():
        if name in values:
            value = form.fullmatch(values[name])
            if value is None:
                return None
            found[name] = value[1]
    # Only lines without a number of the device have three digits; in others some were lost.
    return None if b"SN" in values and len(found[b"EXC"]) == 3 else found


def _read(lines: Sequence[bytes], arrived_s: float) -> tuple[Samples, ...]:
    found: list[Samples] = []
    for line in lines:
        fields = _fields(line.strip(b"\r\n\0"))
        if fields is not None:  # always, for `frame_at` has looked
            found += _samples(fields, arrived_s)
    return tuple(found)


def _samples(fields: dict[bytes, bytes], arrived_s: float) -> list[Samples]:
    exceptions = int(fields[b"EXC"], 16)
    measured = not exceptions & NO_MEASUREMENT
    values = {
        signal: _number(fields[name]) if measured else math.nan
        for signal, name in _GIVEN
        if name in fields
    }
    values["contact_flag"] = 0.0 if exceptions & NO_CONTACT else 1.0
    return [
        Samples(signal, arrived_s, 0.0, np.array([value], np.float32))
        for signal, value in values.items()
    ]


def _number(text: bytes) -> float:
    """Return a value; NaN for dashes and for 0."""
    return math.nan if b"-" in text else float(text) or math.nan


_OPEN, _OPEN_BATCH = open_line(frame_at, lambda: _read, LONGEST)

DECODER = Decoder(
    name="masimo",
    streams=(STREAM,),
    signals=("spo2_pct", "pulse_bpm", "pai_pct", "contact_flag"),
    open=_OPEN,
    open_batch=_OPEN_BATCH,
    wires=(
        Wire(
            name="masimo",
            words="Masimo Rad or Radical oximeter",
            stream=STREAM,
            recognise=recognise,
            baud=9_600,
            listen_s=2.5,  # a line a second, and we come in the middle of one
            gather_s=0.1,
        ),
    ),
)
