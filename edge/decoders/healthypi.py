"""ProtoCentral HealthyPi v4, 5 and Move: standard UUIDs with their own bytes, and their own ones.

No two firmwares send the same, and none says which it is: the length of a payload tells the form.
Little endian; streams begin with ``healthypi:``, so that standard decoders never see them.

    0x2A37 heart rate, 2 or 5 bytes     FF HH [HH 00 00]
        F: flags as in 0x2A37; 04 = no contact (v4). The 06 of Zephyr firmware is a constant and
        says nothing of the contact. H: bpm, 0 = none
    0x2A5E saturation, 2 or 5 bytes     00 OO [OO 00 00]
        O: per cent, 0 = none, FC19 = -999 = none. It comes all the time, and is no spot check
    0x2A6E temperature, 2 bytes         TT TT      signed, hundredths of a degree Celsius
                        5 bytes         FF MM MM MM EE     (Move: the layout of 0x2A1C)
    0x1424 ECG, 18 bytes                9 signed 16-bit counts      125 Hz (v4)
           4, 16 or 32 bytes            signed 32-bit counts        128 Hz (5, Move)
           38 bytes                     10 of them, the last cut    128 Hz (5, Arduino)
    babe4a4c respiration, 16 bytes      4 signed 32-bit counts       64 Hz (5, Zephyr)
                          32 bytes      8 of them                   128 Hz (5, HealthyBridge)
                          40 bytes      8 of them, each with a tag  128 Hz (5, Arduino); FF = none
    cd5ca86f breaths, 2 bytes           RR RR      per minute, 0 = none
                      11 bytes          (5, Arduino) holds the constant 21: gives nothing
    01bfa86f breaths, 13 bytes          last byte, per minute (v4); the others are said to be heart
                                        rate variability, computed from rates: not read

- Counts stay counts (``ecg_au``, ``resp_au``): gain and shift differ from firmware to firmware
  (MAX30001 driver: ``>> 14`` in one version, ``>> 6`` in another), so there are no millivolts.
- There are neither sequence numbers nor a clock: a lost notification shows only in the arrivals.
- v4 sends its heart rate only when it changes, and no ECG while an electrode is off.
- The Move uses babe4a4c for skin conductance and cd5ca86f for a waveform: it has a profile of its
  own that does not ask for them. Its 0x2A37 and 0x2A5E are standard and left to those decoders.

A device is known by its name and by the service cd5c7491, which all of them have, both together.

Sources (firmware, read 2026): protocentral_healthypi_v4 Healthypiv4_Arduino.ino and
Protocentral_ADS1292r.cpp (125 Hz); protocentral_healthypi_5_firmware healthypi_esp32c3.ino;
protocentral_healthypi5_zephyr ble_module.c, data_module.c, overlay-bt.conf;
healthybridge-esp32 ble_gatt.c; healthypi-move-fw ble_module.c, prj.conf. The 64 Hz of Zephyr's
respiration is inferred: 4 counts come with every 8 of the ECG.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from edge.bits import medfloat, uint16
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.gatt import Profile, Quirk, uuid
from edge.records import FloatArray, Packet, Samples

PREFIX: Final = "healthypi:"
OWN_SERVICE: Final = "cd5c7491-4448-7db8-ae4c-d1da8cba36d0"
HEART_RATE: Final = uuid(0x2A37)
SATURATION: Final = uuid(0x2A5E)
TEMPERATURE: Final = uuid(0x2A6E)
ECG: Final = uuid(0x1424)
RESPIRATION: Final = "babe4a4c-7789-11ed-a1eb-0242ac120002"
BREATHS: Final = "cd5ca86f-4448-7db8-ae4c-d1da8cba36d0"
BREATHS_V4: Final = "01bfa86f-970f-8d96-d44d-9023c47faddc"

NO_CONTACT: Final = 0x04
CONTACT_BITS: Final = 0x06
FAHRENHEIT: Final = 0x01
NO_SAMPLE: Final = 0xFF

HIGHEST_BPM: Final = 300
HIGHEST_PCT: Final = 100
HIGHEST_BRPM: Final = 100
HIGHEST_DEGC: Final = 60.0
"""A probe that is not there reads 0; nothing that lives is hotter than this."""


class _Found(NamedTuple):
    """What one payload holds: one value at its arrival (``fs_hz`` 0), or a run of them."""

    fs_hz: float
    values: FloatArray


def _heart_rate(payload: bytes) -> _Found:
    if len(payload) not in {2, 5}:
        raise _unknown("heart rate", payload)
    if payload[0] & ~CONTACT_BITS:
        raise NotMineError(f"heart rate with flags {payload[0]:#04x}, which no HealthyPi sends")
    lost = payload[0] & CONTACT_BITS == NO_CONTACT
    rate = payload[1] if len(payload) == 2 else uint16(payload, 1)
    return _one(rate, 0 if lost else HIGHEST_BPM)


def _saturation(payload: bytes) -> _Found:
    if len(payload) not in {2, 5}:
        raise _unknown("saturation", payload)
    if payload[0]:
        raise NotMineError(f"saturation with flags {payload[0]:#04x}, which no HealthyPi sends")
    return _one(payload[1] if len(payload) == 2 else uint16(payload, 1), HIGHEST_PCT)


def _temperature(payload: bytes) -> _Found:
    if len(payload) == 2:
        return _one(int.from_bytes(payload, "little", signed=True) / 100, HIGHEST_DEGC)
    if len(payload) != 5:
        raise _unknown("temperature", payload)
    value = medfloat(payload, 1)
    return _one((value - 32) / 1.8 if payload[0] & FAHRENHEIT else value, HIGHEST_DEGC)


def _ecg(payload: bytes) -> _Found:
    if len(payload) == 18:
        return _Found(125.0, _counts(payload, "<i2"))
    if len(payload) in {4, 16, 32}:
        return _Found(128.0, _counts(payload, "<i4"))
    if len(payload) == 38:
        # Its tenth count has lost its high bytes; its place in time must stay.
        return _Found(128.0, np.append(_counts(payload[:36], "<i4"), np.float32(np.nan)))
    raise _unknown("ECG", payload)


def _respiration(payload: bytes) -> _Found:
    if len(payload) == 16:
        return _Found(64.0, _counts(payload, "<i4"))
    if len(payload) == 32:
        return _Found(128.0, _counts(payload, "<i4"))
    if len(payload) != 40:
        raise _unknown("respiration", payload)
    rows = np.frombuffer(payload, [("count", "<i4"), ("tag", "u1")])
    values = rows["count"].astype(np.float32)
    values[rows["tag"] == NO_SAMPLE] = np.nan
    return _Found(128.0, values)


def _breaths(payload: bytes) -> _Found | None:
    if len(payload) == 11:
        return None
    if len(payload) != 2:
        raise _unknown("breathing rate", payload)
    return _one(uint16(payload, 0), HIGHEST_BRPM)


def _breaths_v4(payload: bytes) -> _Found:
    if len(payload) != 13:
        raise _unknown("breathing rate", payload)
    return _one(payload[12], HIGHEST_BRPM)


_READ: Final[dict[str, tuple[str, Callable[[bytes], _Found | None]]]] = {
    PREFIX + HEART_RATE: ("hr_bpm", _heart_rate),
    PREFIX + SATURATION: ("spo2_pct", _saturation),
    PREFIX + TEMPERATURE: ("temp_degc", _temperature),
    PREFIX + ECG: ("ecg_au", _ecg),
    PREFIX + RESPIRATION: ("resp_au", _respiration),
    PREFIX + BREATHS: ("resp_brpm", _breaths),
    PREFIX + BREATHS_V4: ("resp_brpm", _breaths_v4),
}


def decode(packet: Packet) -> tuple[Samples, ...]:
    """Return what one notification holds.

    Returns
    -------
    tuple[Samples, ...]
        By the stream: ``hr_bpm``, ``spo2_pct``, ``temp_degc`` or ``resp_brpm`` (1,), NaN where
        the device has none; ``ecg_au`` or ``resp_au`` (n,).

    Raises
    ------
    NotMineError
        Flags that no HealthyPi sends, or another stream.
    BrokenError
        A length that no known firmware sends.
    """
    if packet.stream not in _READ:
        raise NotMineError(f"stream {packet.stream} is none of a HealthyPi's")
    signal, read = _READ[packet.stream]
    found = read(packet.payload)
    if found is None:
        return ()
    return (Samples(signal, packet.arrived_s, found.fs_hz, found.values),)


def _counts(payload: bytes, kind: str) -> FloatArray:
    return np.frombuffer(payload, kind).astype(np.float32)


def _one(value: float, highest: float) -> _Found:
    # The comparison is false for NaN too.
    return _Found(0.0, np.array([value if 0 < value <= highest else math.nan], np.float32))


def _unknown(what: str, payload: bytes) -> BrokenError:
    return BrokenError(f"{what} of {len(payload)} bytes, a length no known HealthyPi sends")


def _profile(
    name: str, words: str, begins: str, listen: tuple[str, ...], silent_s: float
) -> Profile:
    return Profile(
        name=name,
        words=words,
        service=OWN_SERVICE,
        listen=listen,
        deadline_s=silent_s,
        mtu=43,  # the longest payload has 40 bytes
        quirk=Quirk(name=begins, service=OWN_SERVICE),
        prefix=PREFIX,
    )


def _open() -> Decode:
    return decode


_VITALS = (HEART_RATE, SATURATION, TEMPERATURE, ECG)
_HEALTHYPI_5 = (*_VITALS, RESPIRATION, BREATHS)

DECODER = Decoder(
    name="healthypi",
    streams=tuple(_READ),
    signals=("hr_bpm", "spo2_pct", "temp_degc", "ecg_au", "resp_au", "resp_brpm"),
    open=_open,
    profiles=(
        # v4 tells its temperature every ten seconds, and the rest only with electrodes on.
        _profile("healthypi_v4", "HealthyPi v4", "Healthypi v4", (*_VITALS, BREATHS_V4), 15.0),
        # One name in three spellings: HealthyBridge, Zephyr, Arduino.
        _profile("healthypi_5", "HealthyPi 5", "HealthyPi 5", _HEALTHYPI_5, 5.0),
        _profile("healthypi_5_zephyr", "HealthyPi 5", "healthypi 5", _HEALTHYPI_5, 5.0),
        _profile("healthypi_5_arduino", "HealthyPi 5", "Healthypi 5", _HEALTHYPI_5, 5.0),
        # A watch measures an ECG when it is told to; its silence says nothing.
        _profile("healthypi_move", "HealthyPi Move", "healthypi move", (ECG, TEMPERATURE), 0.0),
    ),
)
