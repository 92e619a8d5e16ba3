"""Every row of the fault table, injected into a running reader: it comes back, and soon enough.

A few times each here; `HOMEWARD_CAMPAIGN=100` makes it a hundred, and prints the table.
"""

from __future__ import annotations

import asyncio
import os
from statistics import median

import pytest

from edge.gatt import uuid
from edge.records import LinkState
from edge.virtual._bluez import Bluez
from edge.virtual.heart_rate import WEARABLE as STRAP
from tests.rigs.fast_loop import run_fast
from tests.rigs.reader_rig import ADDRESS, SPEED, Box, device

RATE = uuid(0x2A37)
TIMES = int(os.environ.get("HOMEWARD_CAMPAIGN", "2"))
WORST_S, TOLD_S = 120.0, 10.0


class Scene:
    """What an injection may touch."""

    def __init__(self, bluez, bus, strap, box):
        self.bluez, self.bus, self.strap, self.box = bluez, bus, strap, box
        self.faults = bluez.faults


async def hang_up(scene):
    scene.strap.hang_up()


async def drop(scene):
    scene.strap.drop()


async def fade(scene):
    scene.strap.fade()
    await scene.box.until(lambda: scene.box.states()[-1] is LinkState.LOST, 30)
    scene.strap.back()


async def switch_off(scene):
    scene.strap.power_off()
    await scene.box.until(lambda: scene.box.states()[-1] is LinkState.LOST, 30)
    scene.strap.power_on()


async def silence(scene):
    scene.strap.silence()
    await scene.box.until(lambda: scene.box.states()[-1] is LinkState.LOST, 30)
    scene.strap.speak()


async def unheard(scene):
    scene.faults.unheard.add(ADDRESS)


def connect_fails(text, name="Failed", times=1):
    async def inject(scene):
        scene.faults.fail_connect(text, name=name, times=times)
        scene.strap.drop()

    return inject


async def connect_hangs(scene):
    scene.faults.hang_connects = 1
    scene.strap.drop()


async def connect_stuck(scene):
    scene.faults.stuck_devices.add(ADDRESS)
    scene.strap.drop()


async def dropped_at_once(scene):
    """Break the next two links off while the sensor is asked what it has."""
    left = [2]

    def linked(is_up, _):
        if is_up and left[0]:
            left[0] -= 1
            asyncio.get_running_loop().call_later(0.05, scene.strap.hang_up)

    scene.strap.on_link = linked
    scene.strap.drop()


async def stale_services(scene):
    scene.faults.missing_services = 1
    scene.strap.drop()


async def subscribing_fails(scene):
    scene.faults.fail_notify()
    scene.strap.drop()


async def reading_fails(scene):
    scene.faults.fail_call("ReadValue", "Operation failed with ATT error: 0x0e")
    scene.strap.drop()


async def no_slot(scene):
    scene.faults.slots = 0
    scene.strap.drop()
    asyncio.get_running_loop().call_later(5, lambda: setattr(scene.faults, "slots", 10))


def discovery_fails(text, name, times=1):
    async def inject(scene):
        scene.faults.fail_discovery(text, name=name, times=times)
        scene.strap.drop()

    return inject


async def discovery_stuck(scene):
    scene.faults.stuck_discovery = True
    scene.strap.drop()


async def deaf(scene):
    """Let the scan hear nothing any more, while it runs."""
    scene.strap.power_off()
    await scene.box.until(lambda: scene.box.states()[-1] is LinkState.LOST)
    await asyncio.sleep(3)
    scene.faults.deaf = True
    scene.strap.power_on()


async def switched_off_radio(scene):
    await scene.bluez.adapters["hci0"].set("Powered", False)


async def radio_that_will_not_start(scene):
    scene.faults.power_fails = 2
    await scene.bluez.adapters["hci0"].set("Powered", False)


async def service_restarted(scene):
    await scene.bluez.restart()


async def service_crashed(scene):
    await scene.bluez.restart(crashed=True)


async def bus_died(scene):
    scene.bus.die()
    await asyncio.sleep(1)
    scene.bus.rise()


INJECTIONS = {
    "hangs up": hang_up,
    "interference": drop,
    "out of range": fade,
    "switched off": switch_off,
    "silent": silence,
    "unheard": unheard,
    "le-connection-abort-by-local": connect_fails("le-connection-abort-by-local", times=3),
    "Software caused connection abort": connect_fails("Software caused connection abort", times=3),
    "br-connection-canceled": connect_fails("br-connection-canceled", times=3),
    "InProgress on connect": connect_stuck,
    "UnknownObject on connect": connect_fails(
        "no such object", "org.freedesktop.DBus.Error.UnknownObject", times=2
    ),
    "connect never returns": connect_hangs,
    "dropped while asked what it has": dropped_at_once,
    "stale services": stale_services,
    "subscribing fails": subscribing_fails,
    "reading fails": reading_fails,
    "no slot": no_slot,
    "InProgress on discovery": discovery_stuck,
    "NotReady on discovery": discovery_fails("Resource Not Ready", "NotReady", times=2),
    "Failed on discovery": discovery_fails("Failed", "Failed", times=2),
    "UnknownObject on discovery": discovery_fails(
        "no such object", "org.freedesktop.DBus.Error.UnknownObject", times=2
    ),
    "nothing is heard": deaf,
    "radio switched off": switched_off_radio,
    "radio will not start": radio_that_will_not_start,
    "bluetoothd restarted": service_restarted,
    "bluetoothd killed": service_crashed,
    "bus died": bus_died,
}


async def injected(bus, folder, inject) -> tuple[list[float], list[float]]:
    """Return how long each recovery took after the cause was gone, and each telling."""
    bluez = await Bluez(bus.address).start()
    strap = await bluez.put_on_air(STRAP, address=ADDRESS)
    box = Box(folder, device())
    recovered, told = [], []
    loop = asyncio.get_running_loop()
    try:
        async with box.running():
            await box.packets_more(2)
            for _ in range(TIMES):
                n_links, last_s = len(box.links()), box.packets[-1].arrived_s
                await inject(Scene(bluez, bus, strap, box))
                began_s = loop.time()
                await box.until(lambda n=n_links: len(box.links()) > n, WORST_S)
                lost = next(p for p in box.box[::-1] if p.stream == "box:link")
                told.append(lost.arrived_s - last_s)
                await box.until(lambda n=n_links: LinkState.CONNECTED in box.states()[n:], WORST_S)
                n_heard = len(box.of(stream=RATE))
                await box.until(lambda n=n_heard: len(box.of(stream=RATE)) > n, WORST_S)
                recovered.append(loop.time() - began_s)
    finally:
        await bluez.stop()
    return recovered, told


@pytest.mark.parametrize("row", INJECTIONS)
def test_a_fault_is_recovered_from(bus, tmp_path, row):
    recovered, told = run_fast(injected(bus, tmp_path, INJECTIONS[row]), SPEED)
    assert len(recovered) == TIMES
    slowest = sorted(recovered)[int(0.95 * (TIMES - 1))]
    print(
        f"{row:34} {median(recovered):6.1f} {slowest:6.1f} {max(recovered):6.1f} {max(told):6.1f}"
    )
    assert max(recovered) < WORST_S
