"""What happens to one sensor's link, to connecting to it, and to what only a person can mend.

An injection lets one fault happen to a running box and returns the moment from which recovery
counts: when the fault is over, or, where it stays until the reader does something about it, when it
began; where only a person can help, when that person has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec

from edge.gatt import uuid
from edge.records import LinkState
from edge.virtual import Characteristic, Service
from edge.virtual._dbus_tree import DBusError, bluez_error
from edge.virtual.viatom import WEARABLE as VIATOM
from tests.rigs.fault_scene import NO_HEART, ONE, STRAP, Scene

Inject: TypeAlias = Callable[[Scene], Awaitable[float]]

RATE: Final = uuid(0x2A37)
UNLIKELY: Final = ("Failed", "Operation failed with ATT error: 0x0e")


# The link


async def hang_up(scene: Scene) -> float:
    scene.one.hang_up()
    return scene.loop_s()


async def interference(scene: Scene) -> float:
    scene.one.drop()
    return scene.loop_s()


async def out_of_range(scene: Scene) -> float:
    scene.one.fade()
    await scene.for_a_while(1, 25)
    scene.one.back()
    return scene.loop_s()


async def switched_off(scene: Scene) -> float:
    scene.one.power_off()
    await scene.for_a_while(1, 25)
    scene.one.power_on()
    return scene.loop_s()


async def silent(scene: Scene) -> float:
    scene.one.silence()
    await scene.for_a_while(3, 25)
    scene.one.speak()
    return scene.loop_s()


async def unheard(scene: Scene) -> float:
    scene.faults.unheard.add(ONE)
    return scene.loop_s()


async def refused_links(scene: Scene) -> float:
    scene.one.refuse(scene.dice.randint(1, 3))
    scene.one.hang_up()
    return scene.loop_s()


async def dropped_while_asked(scene: Scene) -> float:
    """Break one to three links off while the sensor is asked what it has."""
    left = [scene.dice.randint(1, 3)]

    def linked(is_up: bool, _: int) -> None:
        if is_up and left[0]:
            left[0] -= 1
            asyncio.get_running_loop().call_later(0.05, scene.one.hang_up)

    scene.one.on_link = linked
    scene.one.drop()
    return scene.loop_s()


# Connecting


def connect_fails(*said: tuple[str, str], most: int = 5) -> Inject:
    """Let `Connect` fail one to `most` times with any of some names and texts."""

    async def inject(scene: Scene) -> float:
        for _ in range(scene.dice.randint(1, most)):
            name, text = scene.dice.choice(said)
            scene.faults.fail_connect(text, name=name)
        scene.one.drop()
        return scene.loop_s()

    return inject


async def noise(scene: Scene) -> float:
    """Let no link be made for a minute, and then suddenly again."""
    scene.faults.fail_connect(times=10_000)
    scene.one.drop()
    await scene.for_a_while(10, 50)
    scene.faults._connect.clear()
    return scene.loop_s()


async def connect_stuck(scene: Scene) -> float:
    scene.faults.stuck_devices.add(ONE)
    scene.one.drop()
    return scene.loop_s()


async def connect_hangs(scene: Scene) -> float:
    scene.faults.hang_connects = 1
    scene.one.drop()
    return scene.loop_s()


async def no_slot(scene: Scene) -> float:
    scene.faults.slots = 1
    scene.one.drop()
    await scene.for_a_while(3, 20)
    scene.faults.slots = 10
    return scene.loop_s()


async def forgotten(scene: Scene) -> float:
    """Let another program remove the sensor from BlueZ."""
    await scene.adapter.call("RemoveDevice", "", [scene.path])
    return scene.loop_s()


# An open link


async def stale_services(scene: Scene) -> float:
    scene.faults.missing_services = scene.dice.randint(1, 3)
    scene.one.drop()
    return scene.loop_s()


async def other_handles(scene: Scene) -> float:
    """Give the sensor other handles, as a firmware update does."""
    filler = tuple(
        Characteristic(f"0000fff{n}-0000-1000-8000-00805f9b34fb", ("read",))
        for n in range(1, scene.dice.randint(2, 9))
    )
    more = Service("0000fff0-0000-1000-8000-00805f9b34fb", filler)
    scene.one.drop()
    scene.one.change_table((more, *STRAP.services))
    return scene.loop_s()


async def no_heart(scene: Scene) -> float:
    """Take the heart rate service out of its table for a while."""
    scene.one.drop()
    scene.one.change_table(NO_HEART)
    await scene.for_a_while(2, 20)
    scene.one.drop()
    scene.one.change_table(STRAP.services)
    return scene.loop_s()


def call_fails(member: str, *said: tuple[str, str], most: int = 3) -> Inject:
    """Let a method of the heart rate fail one to `most` times at the next links."""

    async def inject(scene: Scene) -> float:
        for _ in range(scene.dice.randint(1, most)):
            scene.meddler.fails.append((member, RATE, _error(*scene.dice.choice(said))))
        scene.one.drop()
        return scene.loop_s()

    return inject


def call_hangs(member: str) -> Inject:
    """Let a method never answer, once."""

    async def inject(scene: Scene) -> float:
        scene.meddler.hang[member] = 1
        scene.one.drop()
        return scene.loop_s()

    return inject


async def will_not_start(scene: Scene) -> float:
    """Take from a sensor that has to be commanded what it is commanded by, for a while."""
    (service,) = VIATOM.services
    _, notify = service.characteristics
    scene.one.drop()
    scene.one.change_table((msgspec.structs.replace(service, characteristics=(notify,)),))
    await scene.for_a_while(2, 15)
    scene.one.drop()
    scene.one.change_table(VIATOM.services)
    return scene.loop_s()


async def reading_fails(scene: Scene) -> float:
    """Let what is only read not be readable: the link can do without."""
    times = scene.dice.randint(1, 4)
    scene.faults.fail_call("ReadValue", UNLIKELY[1], name=UNLIKELY[0], times=times)
    scene.one.drop()
    return scene.loop_s()


# Only a person


async def person_looks(scene: Scene, *states: LinkState) -> float:
    """Let a person see what is told, some time later, and confirm the sensor."""
    await scene.until(lambda: scene.states[ONE][-1] in states)
    await scene.for_a_while(0.5, 5)
    return scene.person_changes()


def asks_for_a_key(member: str, *said: tuple[str, str]) -> Inject:
    """Let a sensor that is used without a bond refuse, as one that wants to be paired."""

    async def inject(scene: Scene) -> float:
        name, text = scene.dice.choice(said)
        if member == "Connect":
            scene.faults.fail_connect(text, name=name)
        else:
            scene.meddler.fails.append((member, RATE, _error(name, text)))
        scene.one.drop()
        return await person_looks(scene, LinkState.REFUSED)

    return inject


async def consent_withdrawn(scene: Scene) -> float:
    scene.person_changes(consent=False)
    await scene.until(lambda: scene.states[ONE][-1] is LinkState.REFUSED)
    await scene.for_a_while(0.5, 5)
    return scene.person_changes()


async def sensor_lost_keys(scene: Scene) -> float:
    scene.one.forget_bond()
    scene.one.drop()
    return await paired_anew(scene)


async def box_lost_keys(scene: Scene) -> float:
    await scene.adapter.call("RemoveDevice", "", [scene.path])
    return await paired_anew(scene)


async def paired_anew(scene: Scene) -> float:
    await scene.until(lambda: scene.states[ONE][-1] is LinkState.KEY_LOST)
    if scene.path in scene.adapter.remotes:
        await scene.adapter.call("RemoveDevice", "", [scene.path])
    scene.one.forget_bond()
    await scene.bond()
    return scene.person_changes(bonded=True)


def _error(name: str, text: str) -> DBusError:
    return DBusError(name, text) if "." in name else bluez_error(name, text)
