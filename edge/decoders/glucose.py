"""Blood glucose meters: Bluetooth SIG Glucose Service 1.0.1, characteristics 0x2A18 and 0x2A34.

Measurement (0x2A18), little endian, C = 16-bit medical float:

    FF NN NN [T x 7] [OO OO] [CCCC LL] [SS SS]

- F: flags; bit 0 = O, bit 1 = C and L are there, bit 2 = C is in mol/L, else in kg/L,
  bit 3 = S is there, bit 4 = a context with the same number follows
- N: sequence number, counts the meter's records
- T: base time, a date and time; the meter's time of the result is T + O
- O: signed minutes; 0x7FFF and 0x8000 mean that the sum does not fit: the time is not known
- C: concentration
- L: low four bits: what was measured (1-6 capillary, venous and arterial whole blood and plasma,
  7 and 8 undetermined, 9 interstitial fluid, 10 control solution); high four bits: where it was
  taken (1 finger, 2 alternate site, 3 ear lobe, 4 control solution, 15 not available)
- S: status; see the table below

Context (0x2A34), checked and not used, M = 16-bit medical float:

    FF NN NN [XX] [AA MMMM] [EE] [HH] [DD DD II] [BB MMMM] [MMMM]

- F: bit 7 = X, bit 0 = A with carbohydrates in kg, bit 1 = E, bit 2 = H, bit 3 = D and I,
  bit 4 = B with medication (bit 5: in litres, else in kg), bit 6 = HbA1c in per cent
- N: sequence number of the measurement; X: more flags, all reserved; A: which meal's
  carbohydrates; E: before or after a meal; H: tester and health; D, I: exercise in s and per
  cent; B: which medication

A meter sends its records, newest last, when it is asked for them (record access control point);
one that measures while it is connected may send the result at once.

    status bit                                    the result
    0  battery low                                stays
    1  sensor malfunction                         NaN
    2  sample too small                           NaN
    3  strip inserted wrongly                     NaN
    4  wrong kind of strip                        NaN
    5  higher than the meter can measure (HI)     NaN, and `glucose_high_flag`
    6  lower than the meter can measure (LO)      NaN, and `glucose_low_flag`
    7  too hot for a valid result                 NaN
    8  too cold for a valid result                NaN
    9  strip pulled too soon                      NaN
    10 general fault of the meter                 NaN
    11 fault of its clock                         stays, without a time

Plus and minus infinity say the same as bits 5 and 6: some meters send those. A result that is too
low to be measured is no missing one, so that it has a flag of its own.

A control solution is not the patient: no samples. Nor are there any where the record holds no
concentration. Whole blood and plasma differ by about 11 % (doi:10.1515/CCLM.2006.275);
meters say which of the two they report, and nothing is converted.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edge.bits import date_time_s, sfloat, uint16
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.gatt import STORED, Profile, Records, uuid
from edge.records import Packet, Samples, Stamp

MEASUREMENT: Final = uuid(0x2A18)
CONTEXT: Final = uuid(0x2A34)
SERVICE: Final = uuid(0x1808)

HAS_OFFSET: Final = 0x01
HAS_RESULT: Final = 0x02
IS_MOLAR: Final = 0x04
HAS_STATUS: Final = 0x08
NO_RESULT: Final = 0x07FE
"""Status bits 1 to 10."""
TOO_HIGH: Final = 1 << 5
TOO_LOW: Final = 1 << 6
CLOCK_FAULT: Final = 1 << 11
CONTROL_TYPE: Final = 10
CONTROL_LOCATION: Final = 4
NO_OFFSET: Final = (0x7FFF, 0x8000)

GLUCOSE_G_MOL: Final = 180.156
"""C6H12O6 from the IUPAC standard atomic weights (abridged, 2021): 6 x 12.011 + 12 x 1.008 +
6 x 15.999; doi:10.1515/pac-2019-0603."""
MGDL_OF_KG_L: Final = 1e5
MGDL_OF_MOL_L: Final = GLUCOSE_G_MOL * 100.0
HIGHEST_MGDL: Final = 1000.0
"""Beyond what any meter measures (600 at home, 900 on a ward: from memory); more is damage."""

_SHORTEST = 10
_CONTEXT_SHORTEST = 3
# The optional fields of a context, in order: flag, bytes.
_CONTEXT_FIELDS = ((0x80, 1), (0x01, 3), (0x02, 1), (0x04, 1), (0x08, 3), (0x10, 3), (0x40, 2))


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return the result of one measurement.

    Returns
    -------
    tuple[Samples, ...]
        ``glucose_mgdl`` (1,), a measurement of its own, NaN where the meter does not stand by it;
        its stamp is the meter's date and time, None where that is not known; ``glucose_low_flag``
        or ``glucose_high_flag`` (1,) where it is beyond what the meter can measure. Empty for a
        control solution, a record without a concentration and a context.

    Raises
    ------
    DecodeError
        The payload is too short for a record, or ends inside a field its flags promise.
    """
    payload = packet.payload
    if packet.stream == CONTEXT:
        return _check_context(payload)
    if len(payload) < _SHORTEST:
        raise NotMineError(f"glucose record has {len(payload)} bytes, needs at least {_SHORTEST}")
    flags = payload[0]
    at_result = _SHORTEST + 2 * bool(flags & HAS_OFFSET)
    at_status = at_result + 3 * bool(flags & HAS_RESULT)
    end = at_status + 2 * bool(flags & HAS_STATUS)
    if len(payload) < end:
        raise BrokenError(f"glucose record of {len(payload)} bytes, its flags need {end}")
    if not flags & HAS_RESULT or _is_control(payload[at_result + 2]):
        return ()
    status = uint16(payload, at_status) if flags & HAS_STATUS else 0
    factor = MGDL_OF_MOL_L if flags & IS_MOLAR else MGDL_OF_KG_L
    result_mgdl = sfloat(payload, at_result) * factor
    found = []
    if status & TOO_LOW or result_mgdl == -math.inf:
        found.append(("glucose_low_flag", 1.0))
    elif status & TOO_HIGH or result_mgdl == math.inf:
        found.append(("glucose_high_flag", 1.0))
    if status & NO_RESULT or not 0.0 < result_mgdl <= HIGHEST_MGDL:
        result_mgdl = math.nan
    stamp = None if status & CLOCK_FAULT else _stamp(payload, flags)
    return tuple(
        Samples(
            signal,
            packet.arrived_s,
            0.0,
            np.array([value], np.float32),
            stamp=stamp,
            spot=True,
            backfilled=packet.stream.startswith(STORED),
        )
        for signal, value in [("glucose_mgdl", result_mgdl), *found]
    )


def _is_control(type_and_location: int) -> bool:
    kind, location = type_and_location & 0x0F, type_and_location >> 4
    return kind == CONTROL_TYPE or location == CONTROL_LOCATION


def _stamp(payload: bytes, flags: int) -> Stamp | None:
    taken_s = date_time_s(payload, 3)
    if taken_s is None or not flags & HAS_OFFSET:
        return None if taken_s is None else Stamp(taken_s, 1.0)
    offset = uint16(payload, _SHORTEST)
    if offset in NO_OFFSET:
        return None
    minutes = offset - 0x10000 if offset > 0x8000 else offset
    return Stamp(taken_s + 60 * minutes, 1.0)


def _check_context(payload: bytes) -> tuple[Samples, ...]:
    if len(payload) < _CONTEXT_SHORTEST:
        raise NotMineError(
            f"glucose context has {len(payload)} bytes, needs at least {_CONTEXT_SHORTEST}"
        )
    end = _CONTEXT_SHORTEST + sum(n for flag, n in _CONTEXT_FIELDS if payload[0] & flag)
    if len(payload) < end:
        raise BrokenError(f"glucose context of {len(payload)} bytes, its flags need {end}")
    return ()


def _open() -> Decode:
    return decode


DECODER = Decoder(
    name="glucose",
    streams=(MEASUREMENT, STORED + MEASUREMENT, CONTEXT),
    signals=("glucose_mgdl", "glucose_low_flag", "glucose_high_flag"),
    open=_open,
    profiles=(
        Profile(
            name="glucose",
            words="blood glucose meter",
            service=SERVICE,
            listen=(MEASUREMENT, CONTEXT),
            records=Records(on=MEASUREMENT, sequence_at=1),
        ),
    ),
)
