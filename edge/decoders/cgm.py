"""Continuous glucose sensors: Bluetooth SIG CGM Service 1.0.2, characteristics 0x2AA7 to 0x2AAB.

Measurement (0x2AA7): one or more records, little endian, C, R and Q = 16-bit medical floats:

    ZZ FF CCCC MM MM [S1] [S2] [S3] [RRRR] [QQQQ] [KK KK]

- Z: bytes of this record, itself among them; F: flags; bit 0 = R, bit 1 = Q, bit 5 = S3,
  bit 6 = S2, bit 7 = S1 is there
- C: glucose in mg/dL; M: minutes since the session began
- S1 to S3: sensor status, only the bytes that are not all zero; see the table below
- R: trend in mg/dL per minute; Q: quality in per cent
- K: E2E-CRC over all before it: CRC-16/MCRF4XX (polynomial 0x1021, start 0xFFFF, least
  significant bit first), which of "123456789" is 0x6F91 and of the example in section 3.11 of the
  service, 3E 01 02 03 04 05 06 07 08 09, is 0x2F01 (sent as 01 2F)

Read when the link is made, all with K where the device has E2E-CRC:

    0x2AA8 feature        XX XX XX LL KK KK    X: bit 12 = E2E-CRC; L: low four bits = what is
                                               measured; K is there in any case
    0x2AA9 status         MM MM S1 S2 S3 [KK KK]         M is now; S is not used
    0x2AAA session start  [T x 7] GG DD [KK KK]  T: date and time; G, D: time zone and daylight
                                               saving in quarters of an hour (not used)
    0x2AAB run time       HH HH [KK KK]        hours (checked and not used)

A CRC is demanded where the feature promises one. Two bytes more than the flags need are one in
any case, so that nothing depends on the feature having been read.

    status bit (S1 = 0..7, S2 = 8..15, S3 = 16..23)                the value
    0  session stopped                                             NaN
    1  battery low                                                 stays
    2  wrong kind of sensor                                        NaN
    3  sensor malfunction                                          NaN
    4  alert of the device's own                                   stays
    5  general fault of the device                                 NaN
    8  its clock needs to be set                                   stays, without a time
    9  calibration not allowed, 10 recommended, 14 under way       stays
    11 calibration required                                        NaN
    12 too hot, 13 too cold for a valid result                     NaN
    16 below, 17 above the patient's limit                         stays
    18 hypo, 19 hyper limit passed                                 stays
    20 falling, 21 rising too fast                                 stays
    22 below, 23 above what the sensor can measure (LO, HI)        NaN, and a flag of its own

The trend goes with its value. A control solution (type 10 of the feature) is not the patient: no
samples. Values have whole minutes, so their times are up to a minute early: that is stated.

While kept records are being fetched, live ones come between them on the same characteristic. What
is of now by the status read before is told as such, whatever the stream says: it may alarm.

Known trouble: the flags' order of S1 to S3 above is that of the SIG's own description; some stacks
(nRF5 SDK, RivieraWaves) send S3 first. With one byte of the three this makes no difference.
"""

from __future__ import annotations

import binascii
import math
from typing import Final, NamedTuple

import numpy as np

from edge.bits import date_time_s, sfloat, uint16, uint24
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.gatt import STORED, Profile, Records, SessionClock, uuid
from edge.records import Packet, Samples, Stamp

SERVICE: Final = uuid(0x181F)
MEASUREMENT: Final = uuid(0x2AA7)
FEATURE: Final = uuid(0x2AA8)
STATUS: Final = uuid(0x2AA9)
SESSION_START: Final = uuid(0x2AAA)
RUN_TIME: Final = uuid(0x2AAB)

HAS_TREND: Final = 0x01
HAS_QUALITY: Final = 0x02
# Flag of each status byte, and the bit its own first one is; in their order in the record.
_STATUS_BYTES: Final = ((0x80, 0), (0x40, 8), (0x20, 16))
NO_VALUE: Final = sum(1 << bit for bit in (0, 2, 3, 5, 11, 12, 13, 22, 23))
TOO_LOW: Final = 1 << 22
TOO_HIGH: Final = 1 << 23
CLOCK_NOT_SET: Final = 1 << 8
HAS_CRC: Final = 1 << 12
CONTROL_TYPE: Final = 10

HIGHEST_MGDL: Final = 1000.0
"""Beyond what any sensor measures (400 to 600: from memory); more is damage."""
MINUTE_S: Final = 60
OF_NOW_S: Final = 120.0
"""A record that came so near the time its minutes give was measured as it came."""

_SHORTEST = 6
_LENGTHS = {STATUS: 5, SESSION_START: 9, RUN_TIME: 2}
_WORDS = {STATUS: "CGM status", SESSION_START: "CGM session start", RUN_TIME: "CGM run time"}
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Record(NamedTuple):
    value_mgdl: float
    minutes: int
    status: int
    trend_mgdlmin: float | None
    quality_pct: float | None


def e2e_crc(payload: bytes) -> int:
    """Return the CRC that protects what a continuous glucose sensor sends.

    Examples
    --------
    >>> hex(e2e_crc(b"123456789"))
    '0x6f91'
    """
    # The library has this polynomial with the most significant bit first.
    mirrored = binascii.crc_hqx(payload.translate(_REVERSED), 0xFFFF)
    return _REVERSED[mirrored >> 8] | _REVERSED[mirrored & 0xFF] << 8


class _Sensor:
    """What is remembered of one device."""

    def __init__(self) -> None:
        self._has_crc = self._is_control = False
        self._started_s: int | None = None  # by its own date and time
        self._minutes = 0  # of the last live value
        self._zero_s: float | None = None  # boot time of minute 0, by the status

    def decode(self, packet: Packet) -> tuple[Samples, ...]:
        """Return the values of one notification, or remember what was read.

        Returns
        -------
        tuple[Samples, ...]
            For each record, oldest first: ``glucose_mgdl`` (1,), NaN where the sensor does not
            stand by it; ``glucose_trend_mgdlmin`` and ``glucose_quality_pct`` (1,) where they are
            sent; ``glucose_low_flag`` or ``glucose_high_flag`` (1,) where it is beyond what the
            sensor can measure. All are recorded one by one. The stamp is session start and
            minutes, None where the start is not known.

        Raises
        ------
        DecodeError
            The payload is too short, ends inside a field its flags promise, or its CRC is wrong.
        """
        if packet.stream == FEATURE:
            self._read_feature(packet.payload)
            return ()
        if packet.stream in _LENGTHS:
            self._read_fixed(packet)
            return ()
        records = self._split(packet.payload)
        if self._is_control:
            return ()
        if not packet.stream.startswith(STORED):
            self._watch_session(records)
        return tuple(samples for record in records for samples in self._values(packet, record))

    def _read_feature(self, payload: bytes) -> None:
        if len(payload) < 4:
            raise NotMineError(f"CGM feature has {len(payload)} bytes, needs at least 4")
        has_crc = bool(uint24(payload, 0) & HAS_CRC)
        if has_crc:
            _check_crc(payload, 4, "CGM feature")
        self._has_crc = has_crc
        self._is_control = payload[3] & 0x0F == CONTROL_TYPE

    def _read_fixed(self, packet: Packet) -> None:
        stream, payload = packet.stream, packet.payload
        length, words = _LENGTHS[stream], _WORDS[stream]
        if len(payload) < length:
            raise NotMineError(f"{words} has {len(payload)} bytes, needs at least {length}")
        if self._has_crc or len(payload) > length:
            _check_crc(payload, length, words)
        if stream == SESSION_START:
            self._started_s, self._minutes = date_time_s(payload, 0), 0
        elif stream == STATUS:
            self._zero_s = packet.arrived_s - MINUTE_S * uint16(payload, 0)

    def _split(self, payload: bytes) -> list[_Record]:
        if len(payload) < _SHORTEST or payload[0] < _SHORTEST:
            raise NotMineError(f"CGM payload of {len(payload)} bytes does not begin with a record")
        at, records = 0, []
        while at < len(payload):
            end = at + payload[at]
            if end > len(payload) or payload[at] < _SHORTEST:
                raise BrokenError(f"CGM record ends at {end} in a payload of {len(payload)} bytes")
            records.append(self._read_record(payload[at:end]))
            at = end
        return records

    def _read_record(self, raw: bytes) -> _Record:
        flags, at, status = raw[1], _SHORTEST, 0
        n_status = (flags & 0xE0).bit_count()
        end = at + n_status + 2 * (flags & (HAS_TREND | HAS_QUALITY)).bit_count()
        if len(raw) < end:
            raise BrokenError(f"CGM record of {len(raw)} bytes, its flags need {end}")
        if self._has_crc or len(raw) > end:
            _check_crc(raw, end, "CGM record")
        for flag, bit in _STATUS_BYTES:
            if flags & flag:
                status |= raw[at] << bit
                at += 1
        trend = sfloat(raw, at) if flags & HAS_TREND else None
        quality = sfloat(raw, end - 2) if flags & HAS_QUALITY else None
        return _Record(sfloat(raw, 2), uint16(raw, 4), status, trend, quality)

    def _watch_session(self, records: list[_Record]) -> None:
        # Minutes that go back are those of a new session, whose start has not been read.
        if records[0].minutes < self._minutes:
            self._started_s = None
        self._minutes = records[-1].minutes

    def _is_of_now(self, minutes: int, arrived_s: float) -> bool:
        if self._zero_s is None:
            return False
        return abs(arrived_s - self._zero_s - MINUTE_S * minutes) <= OF_NOW_S

    def _values(self, packet: Packet, record: _Record) -> list[Samples]:
        trusted = not record.status & NO_VALUE and 0.0 < record.value_mgdl <= HIGHEST_MGDL
        stamp = None
        if self._started_s is not None and not record.status & CLOCK_NOT_SET:
            stamp = Stamp(self._started_s + MINUTE_S * record.minutes, 1.0)
        backfilled = packet.stream.startswith(STORED) and not self._is_of_now(
            record.minutes, packet.arrived_s
        )
        found = [("glucose_mgdl", record.value_mgdl if trusted else math.nan)]
        # Too low to be measured is no missing value: it has a flag of its own.
        if record.status & TOO_LOW or record.value_mgdl == -math.inf:
            found.append(("glucose_low_flag", 1.0))
        elif record.status & TOO_HIGH or record.value_mgdl == math.inf:
            found.append(("glucose_high_flag", 1.0))
        if record.trend_mgdlmin is not None:
            known = trusted and math.isfinite(record.trend_mgdlmin)
            found.append(("glucose_trend_mgdlmin", record.trend_mgdlmin if known else math.nan))
        if record.quality_pct is not None:
            known = 0.0 <= record.quality_pct <= 100.0
            found.append(("glucose_quality_pct", record.quality_pct if known else math.nan))
        return [
            Samples(
                signal,
                packet.arrived_s,
                0.0,
                np.array([value], np.float32),
                uncertainty_s=float(MINUTE_S) if stamp else 0.0,
                stamp=stamp,
                spot=True,
                backfilled=backfilled,
            )
            for signal, value in found
        ]


def _check_crc(payload: bytes, end: int, words: str) -> None:
    if len(payload) != end + 2:
        raise BrokenError(f"{words} has {len(payload)} bytes, its CRC needs {end + 2}")
    sent, computed = uint16(payload, end), e2e_crc(payload[:end])
    if sent != computed:
        raise BrokenError(f"{words} has CRC {sent:04x}, computed {computed:04x}")


def _open() -> Decode:
    return _Sensor().decode


DECODER = Decoder(
    name="cgm",
    streams=(MEASUREMENT, STORED + MEASUREMENT, FEATURE, STATUS, SESSION_START, RUN_TIME),
    signals=(
        "glucose_mgdl",
        "glucose_trend_mgdlmin",
        "glucose_quality_pct",
        "glucose_low_flag",
        "glucose_high_flag",
    ),
    open=_open,
    profiles=(
        Profile(
            name="cgm",
            words="continuous glucose sensor",
            service=SERVICE,
            listen=(MEASUREMENT,),
            # The feature comes first: it says whether the others end in a CRC.
            read=(FEATURE, SESSION_START, STATUS, RUN_TIME),
            # The filter is the time offset; of these requests none carries an E2E-CRC.
            records=Records(on=MEASUREMENT, sequence_at=4, epoch=SESSION_START),
            clock=SessionClock(start=SESSION_START, minutes=STATUS),
            deadline_s=900.0,
        ),
    ),
)
