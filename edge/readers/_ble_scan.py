"""Hearing sensors advertise: one scan per radio, on only while somebody is waited for.

A scan takes air time from open links, so it rests when every sensor is connected. It goes on while
one is being connected, because the kernel itself interrupts it for that (Linux
``hci_le_create_conn_sync``); only after radio noise it rests (see `Action.QUIET`).

A radio can die in silence: then a scan runs and nothing is ever heard. Every `TICK_S` that is
looked at; after `FIRST_S` and `RESTART_S` the scan is begun anew, which costs nothing, and after
`LADDER_S` the radio is mended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog

from edge.readers._ble_air import Air, Sighting
from edge.readers._ble_backoff import Backoff
from edge.readers._ble_faults import Action, Stage, judge
from edge.readers._ble_ladder import Ladder

TICK_S: Final = 10.0
FIRST_S: Final = 20.0
RESTART_S: Final = 90.0
LADDER_S: Final = 95.0
"""Silence after which the radio is mended, so that a sensor that is there is back within 120 s."""
RUNG_S: Final = 30.0
"""What each step of the ladder has to help before the next is taken."""
REFRESH_S: Final = 3600.0
"""A radio that hears nobody while its links work is cycled no more often: that costs them 5 s."""
PAUSE_S: Final = 60.0
"""A pause of the scan that is no longer ends no silence: a sensor was tried, and in vain."""
START_S: Final = 10.0
STOP_S: Final = 5.0
GATHER_S: Final = 0.5
"""With several radios, so long is waited for the one that hears a sensor best."""

_log = structlog.get_logger("ble")


class Ears:
    """Who is waited for, on all radios."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[asyncio.Event, list[Sighting], frozenset[str]]] = {}
        self.changed = asyncio.Event()
        """Set whenever somebody begins or ceases to be waited for."""
        self.n_radios = 1
        self.has_room: Callable[[str], bool] = lambda _: True
        """Whether a radio can hold another link; what a full one hears is no use."""

    def __len__(self) -> int:
        return len(self._waiting)

    def heard(self, sighting: Sighting) -> None:
        """Take an advertisement."""
        waiting = self._waiting.get(sighting.address)
        if waiting is not None:
            event, heard, radios = waiting
            if (not radios or sighting.adapter in radios) and self.has_room(sighting.adapter):
                heard.append(sighting)
                event.set()

    async def wait_for(self, address: str, radios: frozenset[str] = frozenset()) -> Sighting:
        """Return the next sighting of a sensor, by some radios or by any."""
        event, heard = asyncio.Event(), list[Sighting]()
        self._waiting[address] = event, heard, radios
        self.changed.set()
        try:
            await event.wait()
            if self.n_radios > 1:
                await asyncio.sleep(GATHER_S)
            return max(heard, key=lambda one: one.rssi_dbm)
        finally:
            del self._waiting[address]
            self.changed.set()


class Scanner:
    """The scan of one radio.

    Parameters
    ----------
    adapter : str
        Name of the radio.
    air : Air
        The Bluetooth library.
    ears : Ears
        Who is waited for.
    ladder : Ladder
        Mends the radio.
    is_alive : Callable
        Whether open links show that the radio works, though nobody advertises.
    """

    def __init__(
        self, adapter: str, air: Air, ears: Ears, ladder: Ladder, is_alive: Callable[[], bool]
    ) -> None:
        self._adapter, self._air, self._ears = adapter, air, ears
        self._ladder, self._is_alive = ladder, is_alive
        self._n_resting = 0
        self._changed = asyncio.Event()
        self._still = asyncio.Event()
        self._still.set()
        self._backoff = Backoff()
        self._refresh_due_s = 0.0
        self._refreshed_s = -RUNG_S
        self.heard_s = asyncio.get_running_loop().time()
        """When anything was last heard, or began to be listened for."""
        self._paused_s = float("-inf")
        """When nobody was waited for any more."""

    async def run(self) -> None:
        """Scan when somebody is waited for; ends only when the way to BlueZ is lost."""
        while True:
            await self._until_wanted()
            try:
                await self._scan()
            except Exception as error:
                fault = judge(error, Stage.SCAN)
                _log.warning("scan failed", radio=self._adapter, fault=fault.row, error=repr(error))
                if fault.action is Action.REBUILD:
                    raise
                wait_s = self._backoff.wait_s(fault)
                # The first failure may be chance: the scan is stopped and started once more.
                if fault.action is Action.RADIO and self._backoff.n_failures > 1:
                    await self._ladder.climb(fault.words, is_broken=True)
                await asyncio.sleep(wait_s)

    def answered(self) -> None:
        """Note that a sensor has answered: nobody need advertise for the radio to be well."""
        self.heard_s = asyncio.get_running_loop().time()

    @contextlib.asynccontextmanager
    async def resting(self) -> AsyncIterator[None]:
        """Keep the scan off."""
        self._n_resting += 1
        self._changed.set()
        try:
            await self._still.wait()
            yield
        finally:
            self._n_resting -= 1
            self._changed.set()

    def _is_wanted(self) -> bool:
        return len(self._ears) > 0 and self._n_resting == 0

    async def _until_wanted(self) -> None:
        while not self._is_wanted():
            await self._stirred(None)

    async def _stirred(self, timeout_s: float | None) -> None:
        """Wait until somebody begins or ceases to be waited for, or the scan is to rest."""
        self._changed.clear()
        self._ears.changed.clear()
        waits = [asyncio.ensure_future(one.wait()) for one in (self._changed, self._ears.changed)]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _scan(self) -> None:
        loop = asyncio.get_running_loop()
        self._still.clear()
        try:
            await self._start()
            began_s = loop.time()
            # A deaf radio makes no link either: while one is tried in vain the silence goes on.
            if began_s - self._paused_s > PAUSE_S:
                self.heard_s = began_s
            self._paused_s = float("-inf")
            while self._is_wanted():
                await self._stirred(TICK_S)
                silent_s = loop.time() - self.heard_s
                if silent_s >= LADDER_S and self._is_alive():
                    began_s = await self._refresh(began_s)
                elif silent_s >= LADDER_S:
                    await self._stop()
                    step = await self._ladder.climb("nothing is heard", is_broken=False)
                    if not step:
                        # Nobody is there, or nothing helped: it costs nobody a link to go on.
                        await self._ladder.refresh("nothing is heard")
                    await self._start()
                    # The next rung, if this one does not help, comes after `RUNG_S`.
                    began_s = loop.time()
                    self.heard_s = began_s - (LADDER_S - (RUNG_S if step else RESTART_S))
                elif silent_s >= FIRST_S and loop.time() - began_s >= self._patience_s(silent_s):
                    _log.info("scan begun anew", radio=self._adapter, silent_s=round(silent_s))
                    await self._stop()
                    await self._start()
                    began_s = loop.time()
            self._paused_s = loop.time()
        finally:
            await self._stop()
            self._still.set()

    async def _refresh(self, began_s: float) -> float:
        """Cycle a radio whose links work and that hears nobody, once in a while.

        Where nobody else advertises, a sensor that is away is silence too: so no more than this.
        Returns when the scan began.
        """
        loop = asyncio.get_running_loop()
        if loop.time() < self._refresh_due_s:
            return began_s
        self._refresh_due_s = loop.time() + REFRESH_S
        await self._stop()
        await self._ladder.refresh("nothing is heard")
        await self._start()
        self._refreshed_s = loop.time()
        return self._refreshed_s

    @staticmethod
    def _patience_s(silent_s: float) -> float:
        """Return how old a scan may be that hears nothing: young at first, then ever the same."""
        return FIRST_S if silent_s < RESTART_S - FIRST_S else RESTART_S - FIRST_S

    async def _start(self) -> None:
        # Starting twice can lock a controller up (ncmd = 0).
        await self._stop()
        async with asyncio.timeout(START_S):
            await self._air.start_scan(self._adapter, self._heard)

    async def _stop(self) -> None:
        try:
            async with asyncio.timeout(STOP_S):
                await self._air.stop_scan(self._adapter)
        except Exception as error:  # noqa: BLE001  # a scan that is not on cannot be stopped
            _log.debug("scan not stopped", radio=self._adapter, error=repr(error))

    def _heard(self, sighting: Sighting) -> None:
        self.heard_s = sighting.at_s
        if sighting.at_s - self._refreshed_s < RUNG_S:
            self._refresh_due_s = 0.0  # it helped, and may be needed again
        self._backoff.clear()
        self._ladder.came_back()
        self._ears.heard(sighting)
