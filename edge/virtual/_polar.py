"""What Polar sensors share: the control point of Polar Measurement Data, streams and battery.

Layouts and sources are in `edge.decoders.polar`. What a device does that nobody wrote down is
assumed here and nowhere else: `FORGOTTEN_S`, and that parameters are looked at in the order rate,
resolution, range, channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from edge.virtual import Characteristic, Port, Service
from edge.virtual._polar_signals import Clock

SERVICE: Final = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
CONTROL: Final = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
DATA: Final = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"

FORGOTTEN_S: Final = 45.0
"""Streams that nobody listens to are stopped after this time."""
LOOK_S: Final = 0.1
"""A device looks this often for what it was told; it is less than the shortest frame."""
MOST_PPM: Final = 50.0
LARGEST_MTU: Final = 247

GET, START, STOP = 0x01, 0x02, 0x03
DONE, BAD_COMMAND, BAD_KIND, BAD_LENGTH, BAD_PARAMETER, ALREADY = 0, 1, 2, 4, 5, 6
BAD_RESOLUTION, BAD_RATE, BAD_RANGE, BAD_MTU, BAD_CHANNELS = 7, 8, 9, 10, 11
_ANSWER: Final = 0xF0
_FEATURES: Final = 0x0F

RATE, RESOLUTION, RANGE, CHANNELS = 0, 1, 2, 4
_REFUSED: Final = {
    RATE: BAD_RATE,
    RESOLUTION: BAD_RESOLUTION,
    RANGE: BAD_RANGE,
    CHANNELS: BAD_CHANNELS,
}
_WIDTH: Final = {RATE: 2, RESOLUTION: 2, RANGE: 2, CHANNELS: 1}

PMD: Final = Service(
    SERVICE,
    (
        Characteristic(CONTROL, ("read", "write", "indicate")),
        Characteristic(DATA, ("notify",)),
    ),
)


class Stream(Protocol):
    """What a started measurement sends."""

    def next_s(self) -> float:
        """Return when the next frame is complete."""
        ...

    def frame(self) -> bytes:
        """Return that frame."""
        ...


class Offer(msgspec.Struct, frozen=True):
    """One measurement a device can make.

    Attributes
    ----------
    settings : Mapping[int, tuple[int, ...]]
        Setting -> the values it may have.
    least_mtu : int
        With a smaller one the start is refused.
    open : Callable[[float, Mapping[int, int]], Stream]
        Starts it at a time with these settings.
    """

    settings: Mapping[int, tuple[int, ...]]
    least_mtu: int
    open: Callable[[float, Mapping[int, int]], Stream]


class Sensor:
    """One Polar sensor: a peripheral without what it measures.

    Attributes
    ----------
    clock : Clock
        Its own.
    mtu : int
        Of the link.
    ran_s : dict[int, float]
        Measurement -> seconds its battery has paid for, stopped streams only.
    running : dict[int, Stream]
        What runs now.
    told_to_stop : bool
        Whether the last stream that ended was ended by a command.
    """

    def __init__(self, offers: Mapping[int, Offer], clock: Clock) -> None:
        self.clock, self.offers = clock, offers
        self.mtu = LARGEST_MTU
        self.ran_s: dict[int, float] = {}
        self.running: dict[int, Stream] = {}
        self.told_to_stop = False
        self._started_s: dict[int, float] = {}
        self._heard_s = 0.0

    def power_cycle(self, now_s: float) -> None:
        """Lose power for a moment: streams are gone, and the clock begins anew."""
        for kind in list(self.running):
            self._end(kind, now_s, told=False)
        self.clock.power_up(now_s)

    async def send_until(self, port: Port, until_s: float) -> None:
        """Send every frame when it is complete, until then."""
        while (now_s := port.now_s()) < until_s:
            due = [(stream.next_s(), kind) for kind, stream in self.running.items()]
            due_s, kind = min(due, default=(math.inf, 0))
            if due_s <= now_s:
                await self._send(port, self.running[kind])
            else:
                # Meanwhile another stream may be started.
                await port.sleep(min(due_s, until_s, now_s + LOOK_S) - now_s)

    async def _send(self, port: Port, stream: Stream) -> None:
        if await port.send(DATA, stream.frame()):
            self._heard_s = port.now_s()
        elif port.now_s() - self._heard_s > FORGOTTEN_S:
            for kind in list(self.running):
                self._end(kind, port.now_s(), told=False)

    async def written(self, port: Port, uuid: str, payload: bytes) -> None:
        """Take a command at the control point and answer it."""
        if uuid != CONTROL or not payload:
            return
        op, kind = payload[0], payload[1] if len(payload) > 1 else 0
        status, parameters = self._obey(op, kind, payload, port.now_s())
        body = bytes([0]) + parameters if status == DONE else b""
        await port.send(CONTROL, bytes([_ANSWER, op, kind, status]) + body)

    def value(self, uuid: str, now_s: float) -> bytes | None:  # noqa: ARG002
        """Return what the device can measure, where the control point is read."""
        if uuid != CONTROL:
            return None
        mask = sum(1 << kind for kind in self.offers)
        return bytes([_FEATURES]) + mask.to_bytes(2, "little") + bytes(14)

    def _obey(self, op: int, kind: int, payload: bytes, now_s: float) -> tuple[int, bytes]:
        offer = self.offers.get(kind)
        if op not in {GET, START, STOP}:
            return BAD_COMMAND, b""
        if len(payload) < 2 or offer is None:
            return BAD_LENGTH if len(payload) < 2 else BAD_KIND, b""
        if op == GET:
            return DONE, _listed(offer)
        if op == START:
            return self._start(kind, offer, payload[2:], now_s), b""
        if kind not in self.running:
            return ALREADY, b""
        self._end(kind, now_s, told=True)
        return DONE, b""

    def _start(self, kind: int, offer: Offer, asked: bytes, now_s: float) -> int:
        if kind in self.running:
            return ALREADY
        chosen = _parse(asked)
        if chosen is None:
            return BAD_LENGTH
        if chosen.keys() != offer.settings.keys():
            return BAD_PARAMETER
        for setting, allowed in offer.settings.items():
            if chosen[setting] not in allowed:
                return _REFUSED[setting]
        if self.mtu < offer.least_mtu:
            return BAD_MTU
        self.running[kind] = offer.open(now_s, chosen)
        self._started_s[kind] = self._heard_s = now_s
        return DONE

    def _end(self, kind: int, now_s: float, *, told: bool) -> None:
        del self.running[kind]
        self.ran_s[kind] = self.ran_s.get(kind, 0.0) + now_s - self._started_s.pop(kind)
        self.told_to_stop = told


def _listed(offer: Offer) -> bytes:
    out = b""
    for setting, allowed in offer.settings.items():
        out += bytes([setting, len(allowed)])
        out += b"".join(value.to_bytes(_WIDTH[setting], "little") for value in allowed)
    return out


def _parse(asked: bytes) -> dict[int, int] | None:
    """Return setting -> value; None where the bytes are none, or a setting has several."""
    chosen, at = {}, 0
    while at < len(asked):
        width = _WIDTH.get(asked[at])
        if width is None or at + 2 + width > len(asked) or asked[at + 1] != 1:
            return None
        chosen[asked[at]] = int.from_bytes(asked[at + 2 : at + 2 + width], "little")
        at += 2 + width
    return chosen
