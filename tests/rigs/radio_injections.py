"""What happens to the scan, the radio, bluetoothd and the bus; see `fault_injections`."""

from __future__ import annotations

import asyncio

from dbus_fast import BusType
from dbus_fast.aio import MessageBus

from edge.virtual._dbus_tree import DBusError
from tests.rigs.fault_injections import Inject
from tests.rigs.fault_scene import ONE, OTHER, Scene


def discovery_fails(*said: tuple[str, str], most: int = 3) -> Inject:
    """Let the scan fail to start one to `most` times."""

    async def inject(scene: Scene) -> float:
        for _ in range(scene.dice.randint(1, most)):
            name, text = scene.dice.choice(said)
            scene.faults.fail_discovery(text, name=name)
        scene.one.drop()
        return scene.loop_s()

    return inject


async def discovery_stuck(scene: Scene) -> float:
    scene.faults.stuck_discovery = True
    scene.one.drop()
    return scene.loop_s()


async def start_unanswered(scene: Scene) -> float:
    """Let the scan start and nobody say so: who starts it again starts it twice."""
    scene.meddler.swallow["StartDiscovery"] = 1
    scene.one.drop()
    return scene.loop_s()


async def someone_scans(scene: Scene) -> float:
    """Let another program scan, and leave without a word while ours scans."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    scene.one.power_off()
    await scene.adapter.call("StartDiscovery", bus.unique_name or "", [])
    await scene.for_a_while(0.5, 3)
    bus.disconnect()
    await bus.wait_for_disconnect()
    scene.one.power_on()
    return scene.loop_s()


async def deaf(scene: Scene) -> float:
    """Let a scan that runs hear nothing more."""
    scene.one.power_off()
    await scene.until_lost()
    await scene.for_a_while(1, 6)
    scene.faults.deaf = True
    await scene.for_a_while(0, 40)
    scene.one.power_on()
    return scene.loop_s()


async def deaf_for_good(scene: Scene) -> float:
    """Let the radio hear nothing until it is switched off and on; other links go on."""
    scene.faults.deaf_until_cycle = True
    scene.one.drop()
    return scene.loop_s()


async def deaf_alone(scene: Scene) -> float:
    """The same, and no other sensor streams: the first is back after a while."""
    scene.other.power_off()
    scene.one.power_off()
    await scene.until_lost()
    scene.faults.deaf_until_cycle = True
    await scene.for_a_while(0, 100)
    scene.one.power_on()
    scene.other.power_on()
    return scene.loop_s()


async def powered_off(scene: Scene) -> float:
    await scene.adapter.set("Powered", False)
    return scene.loop_s()


async def powered_off_firmly(scene: Scene) -> float:
    scene.faults.power_fails = scene.dice.randint(1, 2)
    await scene.adapter.set("Powered", False)
    return scene.loop_s()


def vanished(least_s: float, most_s: float, *, on: bool) -> Inject:
    """Let the adapter go and come back, switched on or off."""

    async def inject(scene: Scene) -> float:
        await scene.adapter.unplug()
        await scene.for_a_while(least_s, most_s)
        scene.adapter.plug()
        if not on:
            await scene.adapter.set("Powered", False)
        return scene.loop_s()

    return inject


def dead(name: str, text: str, cured_by: str) -> Inject:
    """Let the controller be dead until it is mended by a certain step."""

    async def inject(scene: Scene) -> float:
        scene.meddler.die(DBusError(name, text), cured_by)
        scene.one.drop()
        scene.other.drop()
        if cured_by == "helper":
            scene.helping = asyncio.ensure_future(_help(scene))
        return scene.loop_s()

    return inject


async def _help(scene: Scene) -> None:
    """Play the unit that mends what needs rights: USB reset, rfkill, the UART driver."""
    request = scene.folder / "radio-reset" / "request"
    request.unlink(missing_ok=True)
    while not request.exists():  # noqa: ASYNC110  # a file has no event
        await asyncio.sleep(0.2)
    await asyncio.sleep(3)
    await scene.adapter.unplug()
    await asyncio.sleep(2)
    scene.meddler.dead, scene.meddler.cured_by = None, ""
    scene.adapter.plug()


# bluetoothd and the bus


def restarted(*, crashed: bool) -> Inject:
    """Let bluetoothd end, or be killed, and come back."""

    async def inject(scene: Scene) -> float:
        await scene.bluez.restart(scene.dice.uniform(0.5, 15), crashed=crashed)
        return scene.loop_s()

    return inject


async def frozen(scene: Scene) -> float:
    """Stop bluetoothd, as a debugger or a full disk does, and let it go on."""
    scene.meddler.freeze()
    scene.one.drop()
    await scene.for_a_while(5, 45)
    scene.meddler.thaw()
    return scene.loop_s()


async def bus_died(scene: Scene) -> float:
    scene.bus.die()
    if scene.dice.random() < 0.5:
        (scene.bus._folder / "bus").unlink(missing_ok=True)
    await scene.for_a_while(0.5, 15)
    scene.bus.rise()
    return scene.loop_s()


async def killed_mid_connect(scene: Scene) -> float:
    """Start the program again after it was killed: BlueZ holds its links and its attempt."""
    await scene.end()
    scene.faults.stuck_devices.add(ONE)
    if left := scene.adapter.remotes.get(f"{scene.adapter.path}/dev_{OTHER.replace(':', '_')}"):
        await left.connect()
    scene.begin()
    return scene.loop_s()
