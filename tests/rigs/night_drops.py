"""What breaks the links in a night: planned from a seed, caused, undone, and timed."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Sequence
from typing import Final

import msgspec

from edge.virtual._bluez import Bluez
from edge.virtual._onair import OnAir
from tests.rigs.night_air import Worn

BOX: Final = -1
"""In place of a sensor: what happens to the box, and so to all."""
MOST_S: Final = 120.0
RADIO_OFF_S: Final = 5.0
MOST_SILENT_S: Final = 60.0
MOST_AGAIN_S: Final = 2.0
"""A second drop so soon after the link is up meets it while it is set up, or records fetched."""

HANG_UP, INTERFERENCE, TWICE = "hung up", "interference", "hung up, and again"
AWAY, OFF, SILENT = "out of range", "switched off", "silent"
RESTART, KILLED, RADIO = "bluetoothd restarted", "bluetoothd killed", "radio off and on"
OF_SENSORS: Final = (
    (HANG_UP, 3),
    (INTERFERENCE, 2),
    (TWICE, 3),
    (AWAY, 4),
    (OFF, 3),
    (SILENT, 2),
)
OF_THE_BOX: Final = (RESTART, RADIO, KILLED)
SHARE_OF_THE_BOX: Final = 0.05


class Drop(msgspec.Struct, frozen=True):
    """One planned drop; `target`: which sensor, or `BOX`; `span_s`: how long it lasts."""

    at_s: float
    kind: str
    target: int
    span_s: float


def plan(worn: Sequence[Worn], n: int, length_s: float, seed: int, only: str = "") -> list[Drop]:
    """Return n drops, spread over the night, every sensor in its turn; `only`: all of a kind."""
    dice = random.Random(seed)  # noqa: S311  # chance in a simulation, not a secret
    slot_s = length_s / n
    n_box = max(round(SHARE_OF_THE_BOX * n), int(n > len(worn)))
    if only:
        n_box = n if only in OF_THE_BOX else 0
    could = [at for at, one in enumerate(worn) if not only or only in _kinds(one)]
    targets = [could[idx % len(could)] for idx in range(n - n_box)] + [BOX] * n_box
    dice.shuffle(targets)
    drops, n_of_box = [], 0
    for idx, target in enumerate(targets):
        at_s = (idx + dice.uniform(0.1, 0.4)) * slot_s
        if only:
            kind = only
        elif target == BOX:
            kind = OF_THE_BOX[n_of_box % len(OF_THE_BOX)]
            n_of_box += 1
        else:
            kind = _kind(worn[target], dice)
        most_s = min(MOST_SILENT_S if kind == SILENT else MOST_S, 0.35 * slot_s)
        span_s = math.exp(dice.uniform(0.0, math.log(most_s)))
        if kind == TWICE:
            span_s = dice.uniform(0.0, MOST_AGAIN_S)
        drops.append(Drop(at_s, kind, target, span_s))
    return drops


def _kinds(one: Worn) -> dict[str, int]:
    """Return what can happen to a sensor, and how often it does."""
    return {
        kind: weight
        for kind, weight in OF_SENSORS
        if (kind != SILENT or one.kind.watched) and (kind != OFF or one.kind.switches)
    }


def _kind(one: Worn, dice: random.Random) -> str:
    can = _kinds(one)
    return dice.choices(list(can), list(can.values()))[0]


async def cause(drop: Drop, bluez: Bluez, worn: Sequence[Worn]) -> float:
    """Let it happen and undo it; return when the cause was gone."""
    loop = asyncio.get_running_loop()
    if drop.target == BOX:
        await _trouble_box(drop.kind, bluez)
        return loop.time()
    sensor = worn[drop.target].on_air
    if drop.kind == HANG_UP:
        sensor.hang_up()
    elif drop.kind == INTERFERENCE:
        sensor.drop()
    elif drop.kind == TWICE:
        await _twice(sensor, drop.span_s)
    else:
        begin, undo = {
            AWAY: (sensor.fade, sensor.back),
            OFF: (sensor.power_off, sensor.power_on),
            SILENT: (sensor.silence, sensor.speak),
        }[drop.kind]
        begin()
        await asyncio.sleep(drop.span_s)
        undo()
    return loop.time()


async def _twice(sensor: OnAir, span_s: float) -> None:
    sensor.hang_up()
    await asyncio.sleep(0)
    # One that does not come back is seen, and said, by who looks on.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MOST_S):
            while not sensor.connected:  # noqa: ASYNC110  # a radio of bumble's has no event
                await asyncio.sleep(0.02)
    await asyncio.sleep(span_s)
    sensor.hang_up()


async def _trouble_box(kind: str, bluez: Bluez) -> None:
    if kind == RADIO:
        adapter = bluez.adapters["hci0"]
        await adapter.set("Powered", False)
        await asyncio.sleep(RADIO_OFF_S)
        await adapter.set("Powered", True)
    else:
        await bluez.restart(crashed=kind == KILLED)
