"""Mending a radio, step by step; every step is tried before the next, and each is logged.

    cycle    switch it off and on
    reset    drop every link and what is remembered of sensors that are not bonded, then cycle
    helper   ask for what takes rights we do not have (rfkill, USB reset, the UART driver): a file
             is touched, and a unit that watches it acts
    reboot   only where the settings allow it, never within an hour of the last start, and never
             for silence alone: a house in which nothing advertises is silent too

After the last step the radio is left alone for a while. A bond is never removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from edge.bluez.objects import BluezError

if TYPE_CHECKING:
    from edge.bluez.bus import Bluez

OFF_S: Final = 1.0
"""How long a radio stays off in a cycle."""
POWER_S: Final = 15.0
"""How long it may take to come back."""
HELPER_S: Final = 20.0
"""How long the helper is given."""
REST_S: Final = 600.0
MOST_REST_S: Final = 3600.0
REBOOT_AFTER_S: Final = 3600.0
"""Boot clock before which no reboot is asked for: so there are never two within an hour."""

_log = structlog.get_logger("ble")


class Means(msgspec.Struct, frozen=True):
    """What a ladder may use.

    Attributes
    ----------
    request : Path
        File whose touching calls the helper.
    may_reboot : bool
        Whether the box may be started anew.
    boot_s : Callable
        The boot clock.
    ours : Callable
        Addresses of the sensors people have paired.
    tell : Callable
        Says to people what is being done.
    """

    request: Path
    may_reboot: bool
    boot_s: Callable[[], float]
    ours: Callable[[], frozenset[str]]
    tell: Callable[[str], None]


def request_file(folder: Path) -> Path:
    """Return the file whose touching calls the helper: in our run-time folder, if we have one."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(runtime or folder) / "radio-reset" / "request"


class Ladder:
    """Mends one radio; an empty name stands for a radio that is not there at all."""

    def __init__(self, adapter: str, bluez: Bluez, means: Means) -> None:
        self._adapter, self._bluez, self._means = adapter, bluez, means
        self._level = 0
        self._rests_until_s = 0.0
        self._rest_s = REST_S
        self._climbing = asyncio.Lock()
        self.steady = asyncio.Event()
        """Set while nothing is done to the radio."""
        self.steady.set()

    @property
    def level(self) -> int:
        """Steps taken since the radio was last heard to work."""
        return self._level

    def came_back(self) -> None:
        """Begin at the bottom again: the radio works."""
        self._level = 0
        self._rest_s = REST_S

    async def climb(self, why: str, *, is_broken: bool) -> str:
        """Take the next step; return its name, empty where the ladder rests.

        Parameters
        ----------
        why : str
            What is wrong, for people.
        is_broken : bool
            It is certain that something is: the radio refuses, or is gone.
        """
        loop = asyncio.get_running_loop()
        async with self._climbing:
            if loop.time() < self._rests_until_s:
                return ""
            steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
                ("cycle", self._cycle),
                ("reset", self._reset),
                ("helper", self._call_helper),
            )
            if is_broken and self._may_reboot():
                steps = (*steps, ("reboot", self._reboot))
            if self._level >= len(steps):
                self._rests_until_s = loop.time() + self._rest_s
                _log.warning("radio left alone", radio=self._adapter, rest_s=self._rest_s)
                self._rest_s = min(2 * self._rest_s, MOST_REST_S)
                self._level = 0
                return ""
            name, step = steps[self._level]
            self._level += 1
            _log.warning("mending the radio", radio=self._adapter, step=name, why=why)
            self._means.tell(f"the box's radio is being mended ({name}): {why}")
            self.steady.clear()
            try:
                await step()
            except BluezError as error:
                _log.warning("step failed", radio=self._adapter, step=name, error=str(error))
            finally:
                self.steady.set()
            return name

    async def refresh(self, why: str) -> None:
        """Switch the radio off and on, without taking a step for it."""
        async with self._climbing:
            _log.warning("refreshing the radio", radio=self._adapter, why=why)
            self.steady.clear()
            try:
                await self._cycle()
            except BluezError as error:
                _log.warning("step failed", radio=self._adapter, step="refresh", error=str(error))
            finally:
                self.steady.set()

    async def _cycle(self) -> None:
        if not self._adapter:
            return
        try:
            await self._bluez.set_powered(self._adapter, False)  # noqa: FBT003
            await asyncio.sleep(OFF_S)
        finally:
            await self._switch_on()

    async def _reset(self) -> None:
        if not self._adapter:
            return
        ours = self._means.ours()
        for device in await self._bluez.devices(self._adapter):
            with contextlib.suppress(BluezError):
                if device.connected:
                    await self._bluez.disconnect(device.path)
                if device.address in ours and not device.bonded:
                    await self._bluez.remove(device.path)
        await self._cycle()

    async def _call_helper(self) -> None:
        try:
            self._means.request.parent.mkdir(parents=True, exist_ok=True)
            self._means.request.touch()
        except OSError as error:
            _log.warning("helper not called", file=str(self._means.request), error=str(error))
            return
        await asyncio.sleep(HELPER_S)
        if self._adapter:
            await self._switch_on()

    def _may_reboot(self) -> bool:
        return self._means.may_reboot and self._means.boot_s() >= REBOOT_AFTER_S

    async def _reboot(self) -> None:
        """Ask logind; its answer, and the power cut that follows, end this process."""
        await self._bluez.call(
            "/org/freedesktop/login1",
            "org.freedesktop.login1.Manager",
            "Reboot",
            "b",
            [False],
            to="org.freedesktop.login1",
        )

    async def _switch_on(self) -> None:
        """Switch it on, again and again: firmware that has just been off may refuse at first."""
        try:
            async with asyncio.timeout(POWER_S):
                while not await self._is_on_now():  # noqa: ASYNC110  # BlueZ is asked
                    await asyncio.sleep(1.0)
        except TimeoutError:
            _log.warning("radio stays off", radio=self._adapter)

    async def _is_on_now(self) -> bool:
        with contextlib.suppress(BluezError):
            await self._bluez.set_powered(self._adapter, True)  # noqa: FBT003
        return await self._is_powered()

    async def _is_powered(self) -> bool:
        adapters = await self._bluez.adapters()
        return any(one.name == self._adapter and one.powered for one in adapters)
