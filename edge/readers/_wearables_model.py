"""The simulated Bluetooth devices: finger clip (0x2A5F) and chest strap (0x2A37), once a second."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from edge.bits import pack_sfloat
from edge.readers import _scenario as told
from edge.readers._body_model import Body
from edge.readers._links_model import Boot, Sent

CLIP_STREAM = "00002a5f-0000-1000-8000-00805f9b34fb"
STRAP_STREAM = "00002a37-0000-1000-8000-00805f9b34fb"
SEARCH_S = 4.0
"""A clip put back on a finger looks for the pulse this long."""
NO_BEAT_S = 5.0
"""A strap without a beat for so long sends a rate of 0."""

_MEASURED_DEVICE_AMPLITUDE = 0x04 | 0x08 | 0x10
_ONGOING, _QUALIFIED, _UNAVAILABLE = 1 << 5, 1 << 8, 1 << 13
_INADEQUATE, _NO_PULSE, _SEARCHING, _NOT_ON_USER = 1 << 3, 1 << 7, 1 << 9, 1 << 11


def run_clip(body: Body, boots: tuple[Boot, ...], scenario: told.Scenario) -> Sent:
    """Yield the finger clip's continuous measurements."""
    return _frozen("clip", scenario, _each_second(boots, lambda _, at_s: _measure(body, at_s)))


def run_strap(body: Body, boots: tuple[Boot, ...], scenario: told.Scenario) -> Sent:
    """Yield the chest strap's heart rate measurements, each with the intervals since the last."""
    return _frozen("strap", scenario, _each_second(boots, lambda *span: _listen(body, *span)))


def _each_second(boots: tuple[Boot, ...], say: Callable[[float, float], bytes]) -> Sent:
    for boot in boots:
        last_s, tick = boot.on_s, 1
        while (at_s := float(boot.true_s(np.array([float(tick)]))[0])) < boot.off_s:
            yield at_s, say(last_s, at_s)
            last_s, tick = at_s, tick + 1


def _frozen(device: str, scenario: told.Scenario, sent: Sent) -> Iterator[tuple[float, bytes]]:
    events = [
        event
        for event in scenario.events
        if isinstance(event, told.FrozenValue) and event.device == device
    ]
    last = b""
    for at_s, payload in sent:
        if not last or not any(event.covers(at_s) for event in events):
            last = payload
        yield at_s, last


def _measure(body: Body, at_s: float) -> bytes:
    """Return one continuous measurement: see `edge.decoders.pulse_oximeter`."""
    at = np.array([at_s])
    pulse_bpm = body.pulse_bpm(at_s)
    off = bool(body.vitals.during(told.ClipOff, at)[0])
    searching = bool(body.vitals.during(told.ClipOff, at - SEARCH_S)[0])
    measured, device = _ONGOING | _UNAVAILABLE, 0
    if off:
        device = _NOT_ON_USER | _INADEQUATE
    elif searching:
        device = _SEARCHING
    elif math.isnan(pulse_bpm):
        device = _INADEQUATE | _NO_PULSE
    else:
        measured = _ONGOING | _QUALIFIED
    values = (math.nan, math.nan, math.nan)
    if not device:
        spo2_pct, pai_pct = body.vitals.spo2_pct(at)[0], body.vitals.pai_pct(at)[0]
        values = (float(spo2_pct), pulse_bpm, float(pai_pct))
    return b"".join(
        (
            bytes([_MEASURED_DEVICE_AMPLITUDE]),
            pack_sfloat(values[0]),
            pack_sfloat(values[1]),
            measured.to_bytes(2, "little"),
            device.to_bytes(3, "little"),
            pack_sfloat(values[2], -1),
        )
    )


def _listen(body: Body, last_s: float, at_s: float) -> bytes:
    """Return one heart rate measurement: see `edge.decoders.heart_rate`."""
    if body.vitals.during(told.ElectrodeOff, np.array([at_s]), "strap")[0]:
        return bytes([0x04, 0])
    beats = body.beats_between(at_s - NO_BEAT_S, at_s)
    rate_bpm = 0
    if beats:
        mean_s = sum(min(beat.rr_s, NO_BEAT_S) for beat in beats) / len(beats)
        rate_bpm = min(255, round(60.0 / mean_s))
    intervals = [beat.rr_s for beat in beats if beat.at_s >= last_s]
    raw = b"".join(min(round(rr_s * 1024), 0xFFFF).to_bytes(2, "little") for rr_s in intervals)
    return bytes([0x16 if raw else 0x06, rate_bpm]) + raw
