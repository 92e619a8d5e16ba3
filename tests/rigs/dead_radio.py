"""A radio that is dead for good: every step of the ladder in order, a reboot at most once an hour.

    python -m tests.rigs.dead_radio [--hours 3] [--speed 60] [--only KIND]

L3 of `reference/reliability-targets.md`. The unit that resets radios is played by a watch on the
file it watches, logind by a name on the private bus: when it is asked, the box starts anew, with a
boot clock that begins at 0. The alert has to stand all the time a sensor is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from edge.virtual._bus import SYSTEM_BUS, PrivateBus
from edge.virtual._dbus_tree import DBusError
from tests.rigs.fault_meddler import Logind
from tests.rigs.fault_scene import ONE, OTHER, Scene, play_fast

HOUR_S: Final = 3600.0
ALERT_S: Final = 10.0
BOOT_S: Final = 70.0
"""After a start the box has 60 s to find its sensors (`edge.alarms.never_heard`)."""
KINDS: Final = {
    "InProgress": DBusError("org.bluez.Error.InProgress", "Operation already in progress"),
    "NotReady": DBusError("org.bluez.Error.NotReady", "Resource Not Ready"),
    "Failed": DBusError("org.bluez.Error.Failed", "Operation failed"),
    "vanished": None,
    "silent": None,
}
"""How it shows."""
STEPS: Final = ("cycle", "reset", "helper", "reboot")


class Story(msgspec.Struct):
    """What was done about one dead radio.

    Attributes
    ----------
    steps : list[tuple[float, str]]
        Boot clock and name of each step, in order; ``start`` where the box started.
    reboots_s : list[float]
        When logind was asked, in seconds since the first start of the box.
    n_cycles, n_requests : int
        How often the radio was really switched off, and the helper's file really touched.
    unalerted_s : float
        Longest time without an alert though a sensor was missed for longer than is allowed.
    """

    kind: str
    steps: list[tuple[float, str]] = []
    reboots_s: list[float] = []
    n_cycles: int = 0
    n_requests: int = 0
    unalerted_s: float = 0.0

    def missed(self) -> list[str]:
        """Return what is not as it should be."""
        wrong = []
        for before, after in zip(self.steps, self.steps[1:], strict=False):
            if before[1] == "start" or after[1] == "start":
                in_order = after[1] in ("start", "cycle")
            else:
                next_one = STEPS[(STEPS.index(before[1]) + 1) % len(STEPS)]
                in_order = after[1] == next_one or (before[1] == "helper" and after[1] == "cycle")
            if not in_order:
                wrong.append(f"{after[1]} after {before[1]} at {after[0]:.0f} s")
        near = [b - a for a, b in zip(self.reboots_s, self.reboots_s[1:], strict=False)]
        done = {name for _, name in self.steps}
        reboots = self.kind != "silent"
        checks = (
            (min(near, default=HOUR_S) >= HOUR_S, f"reboots {min(near, default=0.0):.0f} s apart"),
            (bool(self.reboots_s) is reboots, f"{len(self.reboots_s)} reboots"),
            (done >= {"cycle", "reset", "helper"}, f"only {done}"),
            (self.kind == "vanished" or self.n_cycles > 0, "never switched off"),
            (self.n_requests > 0, "the helper was never called"),
            (self.unalerted_s <= 0.0, f"no alert for {self.unalerted_s:.0f} s"),
        )
        return wrong + [text for held, text in checks if not held]


class _Watch:
    """Notes what a box does about its radio, and whether it says so."""

    def __init__(self, scene: Scene, logind: Logind, story: Story) -> None:
        self.scene, self.logind, self.story = scene, logind, story
        self._n_did = 0
        self._request_s = 0.0
        self._unalerted_since_s: float | None = None

    async def run(self, hours: float) -> None:
        """Watch for so long; start the box anew when it asks for it."""
        began_s = self.scene.loop_s()
        self._note("start")
        while self.scene.loop_s() - began_s < hours * HOUR_S:
            await asyncio.sleep(0.5)
            self._look()
            if self.logind.asked.is_set():
                self._look()
                self.story.reboots_s.append(self.logind.asked_s[-1] - began_s)
                await self._start_anew()
        off = [one for _, one in self.scene.meddler.steps if one == "off"]
        self.story.n_cycles = len(off)

    async def _start_anew(self) -> None:
        self.logind.asked.clear()
        await self.scene.end()
        await asyncio.sleep(15)
        self.scene.boot_at_s = self.scene.loop_s()
        self._unalerted_since_s = None
        self.scene.begin()
        self._note("start")

    def _note(self, name: str) -> None:
        self.story.steps.append((self.scene.now_s(), name))

    def _look(self) -> None:
        done = [one[1:] for one in self.scene.did[self._n_did :] if one[1:] in STEPS]
        self._n_did = len(self.scene.did)
        for name in done:
            self._note(name)
        request = self.scene.folder / "radio-reset" / "request"
        touched_s = request.stat().st_mtime if request.exists() else 0.0
        if touched_s > self._request_s:
            self._request_s = touched_s
            self.story.n_requests += 1
        self._look_for_alert()

    def _look_for_alert(self) -> None:
        """Both sensors are missed all the time; a new box may wait for them first."""
        now_s = self.scene.now_s()
        standing = {one.patient for one in self.scene.pipeline.live().alerts}
        if standing >= {"p1", "p2"}:
            self._unalerted_since_s = None
            return
        self._unalerted_since_s = self._unalerted_since_s or now_s
        has_had_them = len(self.story.reboots_s) == 0
        allowed_s = ALERT_S if has_had_them else BOOT_S
        over_s = now_s - self._unalerted_since_s - allowed_s
        self.story.unalerted_s = max(self.story.unalerted_s, over_s)


async def play(kind: str, bus: PrivateBus, folder: Path, hours: float, boot_s: float) -> Story:
    """Let a radio die `boot_s` after the box's start and stay dead; return what was done."""
    story = Story(kind, [], [])
    scene = Scene(bus, folder, 1, may_reboot=True)
    scene.boot_at_s = scene.loop_s() - boot_s
    logind = Logind(bus.address)
    await logind.start()
    try:
        async with scene.running():
            await scene.until_streaming((ONE, OTHER), 60)
            await _kill(scene, kind)
            await _Watch(scene, logind, story).run(hours)
    finally:
        await logind.stop()
    return story


async def _kill(scene: Scene, kind: str) -> None:
    error = KINDS[kind]
    if error is not None:
        scene.meddler.die(error, "")
    elif kind == "vanished":
        await scene.adapter.unplug()
    else:
        scene.faults.adapter_started = lambda: None  # type: ignore[method-assign]
        scene.adapter.device.remove_all_listeners("advertisement")
    scene.one.drop()
    scene.other.drop()


def stories(kinds: list[str], hours: float, speed: float, boot_s: float = 0.0) -> list[Story]:
    """Play kinds of dead radios, one after the other."""
    told = []
    for kind in kinds:
        with PrivateBus() as bus, tempfile.TemporaryDirectory() as folder:
            os.environ[SYSTEM_BUS] = bus.address
            told.append(play_fast(play(kind, bus, Path(folder), hours, boot_s), speed))
    return told


def show(story: Story) -> str:
    """Return a story in words."""
    steps = " ".join(f"{name}@{at_s:.0f}" for at_s, name in story.steps)
    reboots = " ".join(f"{at_s:.0f}" for at_s in story.reboots_s) or "none"
    return (
        f"{story.kind:11} reboots at {reboots}; off {story.n_cycles}, helper {story.n_requests}; "
        f"missed: {'; '.join(story.missed()) or '-'}\n    {steps}"
    )


def main() -> int:
    """Play them all; return 1 where something is not as it should be."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--hours", type=float, default=3.0)
    options.add_argument("--speed", type=float, default=60.0)
    options.add_argument("--only", default="")
    given = options.parse_args()
    told = stories([one for one in KINDS if given.only in one], given.hours, given.speed)
    for story in told:
        print(show(story))
    return int(any(story.missed() for story in told))


if __name__ == "__main__":
    sys.exit(main())
