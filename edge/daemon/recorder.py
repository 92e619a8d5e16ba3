"""Write what the monitor makes, in a thread of its own: a disk that hangs holds up nobody.

The event loop puts records in the store's backlog and goes on. This file opens the store, writes
what is due, tries again when the disk would not, and says how that goes. The raw packets go to the
vault, which has a thread of its own (`edge.daemon.vaulting`): no alert waits for them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from edge.clock import WallEntry
from edge.config.store import Store as StoreSettings
from edge.daemon.storing import Storing
from edge.daemon.vaulting import Vaulting
from edge.daemon.vaultstate import VaultState
from edge.egress.departure import Left
from edge.packetlog import LogError, PacketLogWriter
from edge.records import Outcome, Packet
from edge.store import (
    Forgetting,
    Forgotten,
    Keys,
    LedgerEntry,
    Run,
    Store,
    StoredAlert,
    StoreError,
    Wanted,
)
from edge.store.erasing import WITH_RECORDS
from edge.store.rationing import RoomReport
from edge.store.retention import Retention
from edge.store.salvage import SalvageReport

RETRY_S = 2.0
"""How long after a failed write the next is tried."""

CLOSE_S = 10.0
"""How long the end waits for the disk; a store that somebody else has locked gives up sooner."""

MAX_UNLOGGED = 50_000
"""Packets that may wait for the packet log; when the disk hangs longer, the log ends."""

_T = TypeVar("_T")

_log = structlog.get_logger("recorder")


class StoreReport(msgspec.Struct, frozen=True):
    """How recording goes, as the status shows it.

    Attributes
    ----------
    path : str
        The file.
    trouble : str
        Why nothing can be written now; empty: all is well.
    n_waiting, n_dropped : int
        Records not yet written; records given up because there were too many.
    n_failures : int
        Writes that failed since the start.
    written_s : float | None
        Boot clock, last successful write.
    n_outbox : int | None
        Alerts and summaries without a receipt, at the last write.
    moved_aside : str
        Where a damaged file was moved in this run; empty: none was.
    packet_log : str
        Packet log that was asked for, or why it ended; empty: none was.
    writing_since_s : float | None
        Boot clock at which the write began that has not come back; None: there is none.
    locked : bool
        The trouble is that the key of the records cannot be had.
    room : RoomReport
        How much room there is, and what was given up for want of it.
    salvage : SalvageReport | None
        What was recovered of a damaged file in this run; None: there was none.
    """

    path: str
    trouble: str
    n_waiting: int
    n_dropped: int
    n_failures: int
    written_s: float | None
    n_outbox: int | None
    moved_aside: str
    packet_log: str
    writing_since_s: float | None = None
    locked: bool = False
    room: RoomReport = RoomReport()
    salvage: SalvageReport | None = None


class Recorder:
    """Owner of the store and of the packet log.

    Parameters
    ----------
    path : Path
        The database.
    run : Run
        This start of the monitor.
    now_s : Callable
        The boot clock.
    log : PacketLogWriter | None
        Where to write all packets that entered, beside the vault and unencrypted.
    vault : Vaulting | None
        Where they are kept; None: nowhere.
    keys : Keys | None
        Opens the device keys, as soon as they can be had; None: those beside the database.
    settings : StoreSettings | None
        ``[store]``; None: as it is without settings.
    """

    def __init__(  # noqa: PLR0913  # each is another's to give
        self,
        path: Path,
        run: Run,
        now_s: Callable[[], float],
        log: PacketLogWriter | None = None,
        log_name: str = "",
        vault: Vaulting | None = None,
        *,
        keys: Keys | None = None,
        settings: StoreSettings | None = None,
    ) -> None:
        self.path = path
        self.vault = vault
        self._storing = Storing(path, run, now_s, settings or StoreSettings(), keys)
        self.backlog = self._storing.backlog
        self._now_s = now_s
        self._packet_log, self._log_state = log, log_name
        self._log_overrun = False
        self._unlogged: deque[Packet] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._wake = asyncio.Event()
        self._askers: list[asyncio.Future[bool]] = []
        self._trouble = "the store is not open yet"
        self._writing_since_s: float | None = None
        self.tidy = self._storing.tidy
        self.written: list[Callable[[], None]] = []
        """Called when the store may not be as it was."""

    def add(self, packets: Sequence[Packet], outcome: Outcome, now_s: float) -> None:
        """Take what entered and what was made of it; returns at once."""
        if self._packet_log is not None and not self._log_overrun:
            self._unlogged.extend(packets)
            self._log_overrun = len(self._unlogged) > MAX_UNLOGGED
        if self.vault is not None:
            self.vault.add(packets, outcome)
        self.backlog.add(outcome, now_s)
        if self._unlogged or self.backlog.due(now_s):
            self._wake.set()

    def add_clock(self, entry: WallEntry) -> None:
        """Take a moment at which both clocks were read."""
        self.backlog.add_clock(entry)

    def vouch(self, entry: LedgerEntry) -> None:
        """Take what stands in the ledger alone; returns at once."""
        self.backlog.vouch(entry, self._now_s())
        self._wake.set()

    def leave(self, left: Left) -> None:
        """Take what leaves the box; returns at once."""
        self.backlog.leave(left, self._now_s())
        self._wake.set()

    def keep_for(self, retention: Retention) -> None:
        """Forget what was kept long enough."""
        self._storing.retention = retention

    async def using(self, act: Callable[[Store], _T]) -> _T:
        """Return what `act` gives, done with the store in the recorder's thread.

        Raises
        ------
        StoreError
            The store is not open, or `act` failed.
        """

        def done() -> _T:
            if self._storing.store is None:
                raise StoreError(f"the store cannot be read: {self._trouble}")
            return act(self._storing.store)

        return await asyncio.get_running_loop().run_in_executor(self._thread, done)

    async def knows(self, alert_id: str) -> bool:
        """Return whether an alert of this id was ever stored.

        Raises
        ------
        StoreError
            That cannot be read.
        """
        return await self.using(lambda store: bool(store.ledger_of(alert_id, 1)))

    def tell(self) -> None:
        """Tell who wants to know that the store is not as it was."""
        for call in self.written:
            call()

    async def stored(self) -> bool:
        """Wait for the next write, and return whether all that was added by now is stored."""
        asker = asyncio.get_running_loop().create_future()
        self._askers.append(asker)
        self._wake.set()
        return bool(await asker)

    async def alerts(self, limit: int) -> list[StoredAlert]:
        """Return the latest stored states of alerts.

        Raises
        ------
        StoreError
            They cannot be read.
        """
        return await self.using(lambda store: store.alerts(limit))

    async def forget(
        self,
        wanted: Wanted,
        by: str,
        standing: Collection[str],
        wall_s: float | None,
        *,
        dry_run: bool,
    ) -> Forgotten:
        """Forget records, a few at a time; what the monitor makes meanwhile is written between.

        Raises
        ------
        StoreError
            Not all of it was forgotten; ask again.
        """
        sent: list[int] = []

        def begin(store: Store) -> Forgetting:
            now_s = self._now_s()
            store.flush(now_s)
            sent.extend(store.sent_of(wanted))
            return store.forgetting(wanted, by, now_s, wall_s=wall_s, standing=standing)

        request = await self.using(begin)
        loop = asyncio.get_running_loop()
        if dry_run:
            return request.planned()
        while await loop.run_in_executor(self._thread, request.step):
            pass
        await self.using(lambda store: store.erase_sent(sent, by, WITH_RECORDS, self._now_s()))
        self.tell()
        return await loop.run_in_executor(self._thread, request.finish)

    def prove(self) -> float:
        """Commit a test transaction and read it back; return the seconds it took.

        Waits for the disk: to be called in a thread that may hang with it.

        Raises
        ------
        StoreError
            The store does not take it.
        """

        def commit() -> float:
            if self._storing.store is None:
                raise StoreError(f"the store cannot be written: {self._trouble}")
            began_s = self._now_s()
            self._storing.store.prove()
            return self._now_s() - began_s

        return self._thread.submit(commit).result()

    def report(self) -> StoreReport:
        """Return how recording goes."""
        storing = self._storing
        return StoreReport(
            str(self.path),
            self._trouble,
            len(self.backlog),
            self.backlog.n_dropped,
            storing.n_failures,
            storing.written_s,
            storing.n_outbox,
            storing.moved_aside,
            self._log_state,
            self._writing_since_s,
            storing.locked,
            storing.room(),
            storing.salvage(),
        )

    def vault_report(self) -> VaultState | None:
        """Return how the vault goes; None: there is none."""
        return None if self.vault is None else self.vault.report()

    async def run(self) -> None:
        """Write what is due until cancelled."""
        if self.vault is not None:
            self.vault.start()
        self._wake.set()  # open the store at once
        while True:
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes as something is
            # put in line, and the end of the monitor would wait for this loop for ever.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._storing.idle_s()):
                    await self._wake.wait()
            self._wake.clear()
            if not await self._round(everything=bool(self._askers)):
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def close(self, last_s: float | None = None) -> bool:
        """Write all that waits, and close the files; `run` must have ended.

        Parameters
        ----------
        last_s : float | None
            The last tick of the monitor.

        Returns
        -------
        bool
            False: the disk has hung for `CLOSE_S`, and still holds a thread.
        """
        if self.vault is not None and last_s is not None:
            self.vault.end(last_s)
        vault = asyncio.create_task(self._close_vault())
        stored = await self._close_store()
        return await vault and stored

    async def _close_vault(self) -> bool:
        if self.vault is None:
            return True
        closed = await asyncio.to_thread(self.vault.close, CLOSE_S)
        if not closed:
            _log.error("the disk hangs: the vault is not ended", waited_s=CLOSE_S)
        return closed

    async def _close_store(self) -> bool:
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._round(everything=True, last=True)
                await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        except TimeoutError:
            _log.error("the disk hangs: not all is written", waited_s=CLOSE_S)
            self._thread.submit(self._close)  # as soon as the disk is back, if ever
            self._thread.shutdown(wait=False)
            return False
        self._thread.shutdown()
        return True

    async def _round(self, *, everything: bool, last: bool = False) -> bool:
        askers, self._askers = self._askers, []
        loop = asyncio.get_running_loop()
        self._writing_since_s = self._now_s()
        trouble = await loop.run_in_executor(self._thread, self._write, everything, last)
        self._writing_since_s = None
        if trouble != self._trouble:
            if trouble:
                _log.error("cannot record", error=trouble)
            else:
                _log.info("recording", path=str(self.path))
        self._trouble = trouble
        for asker in askers:
            if not asker.done():
                asker.set_result(not trouble)
        self.tell()
        return not trouble

    def _write(self, everything: bool, last: bool) -> str:  # noqa: FBT001  # by the executor
        """Write, in the recorder's thread, and return why that failed."""
        self._write_log()
        return self._storing.write_last() if last else self._storing.write(everything=everything)

    def _write_log(self) -> None:
        if self._packet_log is None:
            return
        if self._log_overrun:
            self._end_log(f"the disk did not take {MAX_UNLOGGED} packets in time")
            return
        try:
            while self._unlogged:
                self._packet_log.append(self._unlogged.popleft())
        except LogError as error:
            self._end_log(str(error))

    def _end_log(self, reason: str) -> None:
        """Give up the packet log: it is for looking back, and must not fill the memory."""
        _log.error("packet log ended", reason=reason)
        self._packet_log = None
        self._log_state = f"ended: {reason}"
        self._unlogged.clear()

    def _close(self) -> None:
        self._storing.close()
        packet_log, self._packet_log = self._packet_log, None
        if packet_log is not None:
            try:
                packet_log.close()
            except LogError as error:
                self._end_log(str(error))
