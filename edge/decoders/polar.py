"""Polar straps and armbands (H10, Verity Sense, OH1, 360): Polar Measurement Data (PMD).

Data frame (characteristic fb005c82), little endian:

    KK TT TT TT TT TT TT TT TT FF [content]

- K: what is measured, in the low six bits
- T: ns since 2000-01-01 of the last sample, by the device's own clock; 0 = it has no time. The
  clock starts at 2019-01-01 whenever the device was without power (an H10: off its strap for a
  minute)
- F: bit 7 = compressed, bits 0-6 = layout of the content, see the table and `_polar_frames`

    K   F      content                                                    gives
    0   00     ECG in uV, 24 bit                                          ecg_mv
    0   01-03  ECG of devices that are not sold, and of watches           nothing
    1   00 80  PPG, 24 bit: three diodes, ambient light                   pleth_au
    1   87     PPG, 24 bit: 16 diodes, status                             pleth_au
    1   88     PPG, 24 bit: 24 diodes, status                             pleth_au
    1   8A     PPG, 24 bit: 8 green, 6 red, 6 infrared, status            pleth_au
    1   8D     PPG, 24 bit: 2 diodes, status                              pleth_au
    1   04 05 06 09 0E  how the PPG is driven                             nothing
    2   00 01 02  x, y, z in mg, 8, 16, 24 bit                            accel_g
    2   81     x, y, z in mg, 16 bit                                      accel_g
    2   80     x, y, z in 8/32768 g, 16 bit                               accel_g
    3   00     intervals between pulses, records of six bytes, see below  rr_ms, hr_bpm,
                                                                          contact_flag
    5 6 7 10 11 12 14 15  gyroscope, magnetometer, skin temperature,      nothing
                          place, pressure, temperature, stored things

Nothing comes of ECG layouts 1 to 3: the SDK reads the first two without a sign although they are
called signed, and tells no unit of the third; an ECG by guess would be worse than none. What is
not in the table is *not mine*.

Record of an interval: ``HH PPPP EEEE FF``: H rate in bpm (a Verity Sense sends 0 always), P
interval in ms, E expected error in ms, F bit 0 = spoilt by movement ("blocker"), bit 1 = skin
contact, bit 2 = contact can be told. An interval is NaN where it is spoilt, where there is no
contact or where the error is above `MOST_ERROR_MS`: values above 30 ms may be movement or a loose
strap (Polar SDK, PolarPpiData). Intervals come late, some five seconds of them at a time, and the
first after 25 s; they bear no time, so they are placed by their arrival. Without contact an OH1 or
a Verity Sense may still say that it has it (``documentation/PPIData.md``).

Sources: polar-ble-sdk (EcgData, PpgData, AccData, PpiData, PmdDataFrame, PmdSetting,
PmdMeasurementType in Kotlin and Swift, with their tests; ``documentation/``), bleakheart (core.py).

Asked for is ECG, movement at its lowest rate and pulse intervals. The PPG itself is not, unless
the device's entry says ``ppg``: it is an armband's heaviest stream, every packet costs battery, and
the intervals say what we make of it. Movement is a packet or two a second, tells artefacts, and
keeps an optical sensor audible in the 25 s before its first interval. Each device knows only some
of the rates; it refuses the commands that are not for it, or says that it runs already.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.bits import uint16
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.decoders._polar_clock import FrameClock
from edge.decoders._polar_frames import unpack_deltas, unpack_raw
from edge.gatt import Answer, Feature, Profile, Write
from edge.records import Packet, Samples

SERVICE: Final = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
CONTROL: Final = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
DATA: Final = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"

ECG, PPG, ACC, PPI = 0, 1, 2, 3
OF_NO_USE: Final = frozenset({5, 6, 7, 10, 11, 12, 14, 15})
KIND_MASK: Final = 0x3F
COMPRESSED: Final = 0x80
HEAD_BYTES: Final = 10
RECORD_BYTES: Final = 6

MOST_ERROR_MS: Final = 30
BLOCKED, IN_CONTACT, CONTACT_KNOWN = 0x01, 0x02, 0x04

ECG_HZ: Final = (130.0,)
ACC_HZ: Final = (12.0, 13.0, 25.0, 26.0, 50.0, 52.0, 100.0, 104.0, 200.0, 208.0, 400.0, 416.0)
PPG_HZ: Final = (22.0, 28.0, 44.0, 50.0, 55.0, 100.0, 135.0, 176.0)


class _Layout(NamedTuple):
    """What a frame of rows holds; `fs_hz` is the rate at which those who send it usually do."""

    signal: str
    leads: tuple[str, ...]
    n_bytes: int
    divisor: float
    fs_hz: float
    n_channels: int

    @property
    def listed_hz(self) -> tuple[float, ...]:
        return {"ecg_mv": ECG_HZ, "accel_g": ACC_HZ}.get(self.signal, PPG_HZ)


def _axes(n_bytes: int, fs_hz: float, per_g: float = 1000.0) -> _Layout:
    return _Layout("accel_g", ("x", "y", "z"), n_bytes, per_g, fs_hz, 3)


def _diodes(leads: tuple[str, ...], fs_hz: float, n_status: int = 1) -> _Layout:
    return _Layout("pleth_au", leads, 3, 1.0, fs_hz, len(leads) + n_status)


def _numbered(n: int, name: str = "") -> tuple[str, ...]:
    return tuple(f"{name}{i}" for i in range(n))


_DIODES_AND_AMBIENT: Final = (*_numbered(3), "ambient")
_LAYOUTS: Final = {
    (ECG, 0x00): _Layout("ecg_mv", ("",), 3, 1000.0, 130.0, 1),
    (PPG, 0x00): _diodes(_DIODES_AND_AMBIENT, 135.0, 0),
    (PPG, 0x80): _diodes(_DIODES_AND_AMBIENT, 55.0, 0),
    (PPG, 0x87): _diodes(_numbered(16), 55.0),
    (PPG, 0x88): _diodes(_numbered(24), 55.0),
    (PPG, 0x8A): _diodes(
        (*_numbered(8, "green"), *_numbered(6, "red"), *_numbered(6, "infrared")), 55.0
    ),
    (PPG, 0x8D): _diodes(_numbered(2), 22.0),
    (ACC, 0x00): _axes(1, 25.0),
    (ACC, 0x01): _axes(2, 25.0),
    (ACC, 0x02): _axes(3, 25.0),
    # The unit is the full range over 32768; the start command asks for 8 g. A device may tell
    # another one in its answer, but those who compress so do not.
    (ACC, 0x80): _axes(2, 52.0, 32768 / 8),
    (ACC, 0x81): _axes(2, 52.0),
}
_WITHOUT_VALUES: Final = frozenset(
    {(ECG, 1), (ECG, 2), (ECG, 3), (PPG, 4), (PPG, 5), (PPG, 6), (PPG, 9), (PPG, 14)}
)


class _Device:
    """What is known of one device: when the frames of each measurement came."""

    def __init__(self) -> None:
        self._clocks: dict[int, tuple[_Layout, FrameClock]] = {}

    def decode(self, packet: Packet) -> tuple[Samples, ...]:
        """Return the samples of one frame.

        Returns
        -------
        tuple[Samples, ...]
            ECG, movement and PPG: one run a lead, stamped by the device's clock at the first
            sample. Intervals: ``rr_ms`` (n,), and ``hr_bpm`` (1,) and ``contact_flag`` (1,) of
            the newest where the device tells them. Empty for frames that have come before and for
            those that hold nothing we use.

        Raises
        ------
        DecodeError
            The layout is none we know, or the content ends inside a row, block or record.
        """
        payload = packet.payload
        if len(payload) < HEAD_BYTES:
            raise NotMineError(f"Polar frame has {len(payload)} bytes, needs at least {HEAD_BYTES}")
        kind, form = payload[0] & KIND_MASK, payload[9]
        layout = _LAYOUTS.get((kind, form))
        if layout is not None:
            return self._rows(packet, kind, form, layout)
        if (kind, form) == (PPI, 0):
            return _intervals(packet)
        if kind in OF_NO_USE or (kind, form) in _WITHOUT_VALUES:
            return ()
        raise NotMineError(f"Polar frame of unknown kind {kind}, layout 0x{form:02x}")

    def _rows(self, packet: Packet, kind: int, form: int, layout: _Layout) -> tuple[Samples, ...]:
        content = packet.payload[HEAD_BYTES:]
        unpack: Callable[[bytes, int, int], NDArray[Any]]
        unpack = unpack_deltas if form & COMPRESSED else unpack_raw
        rows = unpack(content, layout.n_channels, layout.n_bytes)
        clock = self._clock(kind, layout)
        stamp = clock.stamp(int.from_bytes(packet.payload[1:9], "little"), len(rows))
        if stamp is None:
            return ()
        values = rows.astype(np.float32)
        if layout.divisor != 1.0:
            values /= layout.divisor
        at_s, fs_hz = packet.arrived_s, clock.fs_hz
        return tuple(
            Samples(layout.signal, at_s, fs_hz, values[:, i], lead, 0.0, stamp)
            for i, lead in enumerate(layout.leads)
        )

    def _clock(self, kind: int, layout: _Layout) -> FrameClock:
        kept, clock = self._clocks.get(kind, (None, None))
        if clock is None or kept is not layout:
            clock = FrameClock(layout.fs_hz, layout.listed_hz, fixed=kind == ECG)
            self._clocks[kind] = (layout, clock)
        return clock


def _intervals(packet: Packet) -> tuple[Samples, ...]:
    payload = packet.payload
    n_bytes = len(payload) - HEAD_BYTES
    if not n_bytes or n_bytes % RECORD_BYTES:
        raise BrokenError(f"Polar frame: {n_bytes} bytes are no whole intervals")
    values_ms = []
    for at in range(HEAD_BYTES, len(payload), RECORD_BYTES):
        good = _stands(payload[at + 5]) and uint16(payload, at + 3) <= MOST_ERROR_MS
        values_ms.append((uint16(payload, at + 1) if good else 0) or math.nan)
    found = [_ones("rr_ms", packet, values_ms)]
    rate_bpm, flags = payload[at], payload[at + 5]
    if rate_bpm:
        found.append(_ones("hr_bpm", packet, [rate_bpm if _stands(flags) else math.nan]))
    if flags & CONTACT_KNOWN:
        found.append(_ones("contact_flag", packet, [1.0 if flags & IN_CONTACT else 0.0]))
    return tuple(found)


def _stands(flags: int) -> bool:
    """Return whether the device stands by a record: it neither moved nor came off."""
    return not flags & BLOCKED and flags & (CONTACT_KNOWN | IN_CONTACT) != CONTACT_KNOWN


def _ones(signal: str, packet: Packet, values: list[float]) -> Samples:
    return Samples(signal, packet.arrived_s, 0.0, np.array(values, np.float32))


_DONE: Final = (0, 6)
"""Statuses: done, and already so."""


def _start(kind: int, option: str, settings: str = "") -> Write:
    return _command(0x02, kind, option, bytes.fromhex(settings))


def _command(op: int, kind: int, option: str, settings: bytes = b"") -> Write:
    return Write(
        to=CONTROL,
        payload=bytes([op, kind]) + settings,
        answer=Answer(CONTROL, bytes([0xF0, op, kind]), 3, _DONE),
        needs=Feature(CONTROL, 1, kind),
        option=option,
        optional=True,
    )


PROFILE: Final = Profile(
    name="polar",
    words="Polar strap or armband",
    service=SERVICE,
    listen=(DATA,),
    replies=(CONTROL,),
    # Settings: 00 rate, 01 bits, 02 range in g, 04 channels; then how many values, then 16 bits
    # (channels: 8) each.
    start=(
        _start(ECG, "ecg", "0001 8200 0101 0E00"),  # 130 Hz, 14 bits
        _start(ACC, "acc", "0001 1900 0101 1000 0201 0200"),  # H10: 25 Hz, 16 bits, 2 g
        _start(ACC, "acc", "0001 3400 0101 1000 0201 0800 0401 03"),  # Verity Sense: 52 Hz, 8 g
        _start(ACC, "acc", "0001 3200 0101 1000 0201 0800 0401 03"),  # OH1, 360: 50 Hz, 8 g
        _start(PPI, "ppi"),
        _start(PPG, "ppg", "0001 3700 0101 1600 0401 04"),  # Verity Sense: 55 Hz, 22 bits, 4
        _start(PPG, "ppg", "0001 8700 0101 1600 0401 04"),  # before firmware 2.1.0: says 135 Hz
        _start(PPG, "ppg", "0001 8200 0101 1600 0401 04"),  # OH1: says 130 Hz
    ),
    # A device that is left measuring runs its battery down for nobody.
    stop=tuple(
        _command(0x03, kind, option)
        for kind, option in ((ECG, "ecg"), (ACC, "acc"), (PPI, "ppi"), (PPG, "ppg"))
    ),
    deadline_s=5.0,
    # An H10 sends 73 samples of three bytes and the head, in one notification.
    mtu=232,
    options=("ecg", "acc", "ppi"),
)


def _open() -> Decode:
    return _Device().decode


DECODER = Decoder(
    name="polar",
    streams=PROFILE.streams,
    signals=("ecg_mv", "accel_g", "pleth_au", "rr_ms", "hr_bpm", "contact_flag"),
    open=_open,
    profiles=(PROFILE,),
)
