"""Blood pressure cuffs: Bluetooth SIG Blood Pressure Service 1.1.1, characteristics 0x2A35, 0x2A36.

Measurement (0x2A35, one that is finished) and intermediate cuff pressure (0x2A36, while the cuff
is pumped up and let down), little endian, S = 16-bit medical float:

    FF SSSS DDDD MMMM [T x 7] [RRRR] [U] [AA AA]

- F: flags; bit 0 = pressures are in kPa, bit 1 = T, bit 2 = R, bit 3 = U, bit 4 = A is there;
  bits 5-7 are never set
- S, D, M: systolic, diastolic and mean arterial pressure; 0x2A36 has the cuff's pressure in S and
  NaN in D and M; NaN also where the cuff does not work the number out
- T: date and time by the cuff's own clock; a field of 0 is not known
- R: pulse rate in bpm
- U: which of the cuff's users (not used: the cuff is assigned to one patient)
- A: measurement status; bit 0 the arm moved, 1 the cuff is too loose, 2 irregular pulse, 3-4 the
  pulse is beyond the cuff's range, 5 the arm is in a wrong position

What the status does to the numbers. A loose cuff presses on less than the artery, and nothing
bounds what it then reads too high: its pressures are no values (NaN). After movement, or with the
arm in a wrong position, the cuff still stands by its number (where it does not, it sends NaN), and
a patient in shock is restless and slumps: these stay values. All three raise
``nibp_suspect_flag``, which tells people to measure again. An irregular pulse is information
about the patient: ``irregular_pulse_flag``. The pulse rate does not depend on the fit.

Bytes under 0x2A35 with bits that are never set are a maker's own format and *not mine*; one is at
github.com/pauldemarco/flutter_blue/issues/687.
"""

from __future__ import annotations

import math

import numpy as np

from edge.bits import date_time_s, sfloat, uint16
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.gatt import Profile, uuid
from edge.records import Packet, Samples, Stamp

MEASUREMENT = uuid(0x2A35)
CUFF = uuid(0x2A36)

IN_KPA = 0x01
NEVER_SET = 0xE0
_FIELDS = ((0x02, "time", 7), (0x04, "pulse", 2), (0x08, "user", 1), (0x10, "status", 2))

LOOSE = 1 << 1
IRREGULAR = 1 << 2
SUSPECT = 1 << 0 | LOOSE | 1 << 5

KPA_PER_MMHG = 0.133322387415
HIGHEST_MMHG = 350.0
"""No cuff is pumped higher (from memory: IEC 80601-2-30 stops it at 300 mmHg)."""
HIGHEST_BPM = 300.0

PROFILE = Profile(
    name="blood_pressure",
    words="blood pressure cuff",
    service=uuid(0x1810),
    listen=(MEASUREMENT, CUFF),
)


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return the blood pressure of one measurement, or the cuff's pressure during one.

    Returns
    -------
    tuple[Samples, ...]
        Spot readings of one value: ``nibp_sys_mmhg`` and ``nibp_dia_mmhg``, NaN where the cuff
        has none, an impossible one, or sat loosely; ``nibp_map_mmhg`` and ``pulse_bpm`` where the
        cuff sends them; ``nibp_suspect_flag`` and ``irregular_pulse_flag`` where it tells its
        status. Or ``cuff_mmhg`` (1,), which is no reading.

    Raises
    ------
    DecodeError
        The payload is too short, is in a format of the maker's own, or ends inside a field its
        flags promise.
    """
    payload = packet.payload
    if len(payload) < 7:
        raise NotMineError(f"blood pressure payload has {len(payload)} bytes, needs at least 7")
    if payload[0] & NEVER_SET:
        raise NotMineError(f"blood pressure flags {payload[0]:#04x} have bits that are never set")
    fields, end = _places(payload[0])
    if end > len(payload):
        raise BrokenError(f"blood pressure payload of {len(payload)} bytes, its flags need {end}")
    if packet.stream == CUFF:
        # An empty cuff has a pressure of 0, and that is a value.
        pressure = np.array([_pressure(payload, 1, lowest_mmhg=0.0)], np.float32)
        return (Samples("cuff_mmhg", packet.arrived_s, 0.0, pressure),)
    status = uint16(payload, fields["status"]) if "status" in fields else 0
    found = _pressures(payload, loose=bool(status & LOOSE))
    if "pulse" in fields:
        pulse_bpm = sfloat(payload, fields["pulse"])
        found["pulse_bpm"] = pulse_bpm if 0.0 < pulse_bpm <= HIGHEST_BPM else math.nan
    if "status" in fields:
        found["nibp_suspect_flag"] = float(bool(status & SUSPECT))
        found["irregular_pulse_flag"] = float(bool(status & IRREGULAR))
    date_s = date_time_s(payload, fields["time"]) if "time" in fields else None
    stamp = Stamp(date_s, 1.0) if date_s is not None else None
    return tuple(
        Samples(
            signal, packet.arrived_s, 0.0, np.array([value], np.float32), stamp=stamp, spot=True
        )
        for signal, value in found.items()
    )


def _pressures(payload: bytes, *, loose: bool) -> dict[str, float]:
    systolic, diastolic = _pressure(payload, 1), _pressure(payload, 3)
    # A wrong order is damage, and it is not known to which of the two.
    if loose or diastolic > systolic:
        systolic = diastolic = math.nan
    found = {"nibp_sys_mmhg": systolic, "nibp_dia_mmhg": diastolic}
    # Many cuffs never work the mean out: that is no failed measurement.
    if not math.isnan(sfloat(payload, 5)):
        found["nibp_map_mmhg"] = math.nan if loose else _pressure(payload, 5)
    return found


def _pressure(payload: bytes, at: int, lowest_mmhg: float = 1.0) -> float:
    value = sfloat(payload, at)
    mmhg = value / KPA_PER_MMHG if payload[0] & IN_KPA else value
    # The comparison is false for NaN too.
    return mmhg if lowest_mmhg <= mmhg <= HIGHEST_MMHG else math.nan


def _places(flags: int) -> tuple[dict[str, int], int]:
    """Return where each optional field begins, and where the last one ends."""
    at, places = 7, {}
    for flag, name, n_bytes in _FIELDS:
        if flags & flag:
            places[name] = at
            at += n_bytes
    return places, at


def _open() -> Decode:
    return decode


DECODER = Decoder(
    name="blood_pressure",
    streams=PROFILE.streams,
    signals=(
        "nibp_sys_mmhg",
        "nibp_dia_mmhg",
        "nibp_map_mmhg",
        "pulse_bpm",
        "nibp_suspect_flag",
        "irregular_pulse_flag",
        "cuff_mmhg",
    ),
    open=_open,
    profiles=(PROFILE,),
)
