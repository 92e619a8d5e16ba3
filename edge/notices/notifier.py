"""All of it, running: follows the monitor, works out who is due, and serves every destination."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from edge.clock import BootClock
from edge.config import Config
from edge.config.consent import ConsentFileError, Kept, read_switches
from edge.control import Acknowledge, ControlError, Delivered, NoticesState, Way
from edge.control.board import NOTICES_SOCKET, STALLED_S, Board
from edge.egress.consent import Switch, off, switches_of
from edge.notices import content
from edge.notices.deadman import NAME, Watcher
from edge.notices.follower import AwayError, Monitor
from edge.notices.memory import Memory, MemoryFile
from edge.notices.proof import Prover
from edge.notices.sender import Sender
from edge.notices.telling import Teller
from edge.notices.ways import Open
from edge.notices.witness import Witness
from edge.records import Role
from edge.secret import SecretError, read_secret

GONE_S: Final = STALLED_S
"""A monitor that has not come on for so long is gone, and people are told."""
GRACE_S: Final = 60.0
"""So much longer at the start, where the monitor may be starting too."""
REPORT_S: Final = 2.0
"""How often the monitor is told how the notices are."""
ACK_S: Final = 10.0
"""An acknowledgement is answered when it is stored."""
MAX_ACKS: Final = 64
AWAY_S: Final = 1.0
FRESH_S: Final = 1.0
"""A tick that is older than that may be one that has stood still since long ago."""
SLEPT_S: Final = 10.0
"""A second that took longer than that: this machine slept or stood still, not the monitor alone."""

_log = structlog.get_logger("notify")


def _moved(last: Board | None, board: Board) -> bool:
    """Return whether the monitor has come on since its last board."""
    if last is None or last.run_id != board.run_id:
        return board.ready and board.now_s - board.tick_s < FRESH_S
    return board.tick_s > last.tick_s


class Notifier:
    """The notifier.

    Parameters
    ----------
    config : Config
        The box's.
    ways : Sequence[Open]
        The destinations.
    clock : BootClock
        The clocks of this box.
    """

    def __init__(self, config: Config, ways: Sequence[Open], clock: BootClock) -> None:
        self._config, self._clock = config, clock
        self._file = MemoryFile(config.box.data_dir)
        kept = self._file.read()
        self._memory = kept or Memory()
        self._teller = Teller(config.notices, self._memory.told, fresh=kept is None)
        self._details = any(way.details for way in config.notices)
        socket = config.box.socket.with_name(NOTICES_SOCKET)
        self._follow, self._report, self._state, told = (Monitor(socket) for _ in range(4))
        self._witness = Witness(told, config.box.data_dir, clock.now_s, clock.boot_id)
        self._prover = Prover(ways, config.box.name, self._report, self._witness)
        self._board: Board | None = None
        self._seen_s = self._moved_s = clock.now_s()
        self._moved_s += GRACE_S
        self._senders = {one.way.name: self._sender(one) for one in ways}
        self._acks: deque[tuple[str, str]] = deque()
        self._watcher: Watcher | None = None
        self._no_watcher = ""
        self._began_s = clock.now_s()
        if config.deadman.url_file is not None:
            self._open_watcher(config.deadman.url_file)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        self._go_by(self._known_withheld())
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        work = [self._follow_monitor(), self._look_after(), self._tell_how_it_is()]
        work += [self._hand_back(), self._prover.run(), self._witness.run()]
        work += [sender.run() for sender in self._senders.values()]
        if self._watcher is not None:
            work.append(self._watcher.run())
        tasks = [loop.create_task(one) for one in work]
        _log.info("telling", n_ways=len(self._senders), deadman=self._watcher is not None)
        try:
            while not stop.is_set():
                for task in tasks:
                    if task.done():
                        task.result()  # a fault of ours ends the process: it is started again
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1.0)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._follow.close()
            self._report.close()
            self._state.close()
            self._witness.hang_up()
            self._keep()
            await self._file.settled()

    async def _follow_monitor(self) -> None:
        change = -1
        while True:
            try:
                board = await self._follow.board(change, details=self._details)
            except (AwayError, ControlError):
                change = -1
                await asyncio.sleep(AWAY_S)
                continue
            if self._board is not None and self._board.run_id != board.run_id:
                _log.info("another run of the monitor", run=board.run_id)
            change = board.change if board.ready else -1
            self._take(board)
            if not board.ready:
                await asyncio.sleep(AWAY_S)

    def _take(self, board: Board) -> None:
        now_s, last = self._clock.now_s(), self._board
        if _moved(last, board):
            self._moved_s = now_s
            self._tell_back(board)
        self._board, self._seen_s = board, now_s
        if board.ready:
            self._go_by(board.withheld)
        self._prover.look(board)
        now, minute = self._local_time()
        if self._tells:
            for name, item in self._teller.look(board, now, minute):
                self._senders[name].put(item)
        self._keep()

    @property
    def _tells(self) -> bool:
        return Switch.NOTICES not in self._witness.withheld

    def _go_by(self, withheld: Collection[str]) -> None:
        """Let go of what people do not let leave; the monitor would refuse it too."""
        if self._memory.withheld == tuple(withheld) == self._witness.withheld:
            return
        self._memory.withheld = self._witness.withheld = tuple(withheld)
        for sender in self._senders.values():
            sender.withhold(self._witness.withheld)

    def _known_withheld(self) -> tuple[str, ...]:
        """Return what is withheld as far as is known before the monitor was heard."""
        if self._memory.withheld is not None:
            return self._memory.withheld
        try:
            kept: Kept | None = read_switches(self._config.box.data_dir)
        except ConsentFileError as error:
            _log.warning("consent cannot be read", error=str(error))
            kept = None
        return off(switches_of(self._config.consent, kept))

    async def _look_after(self) -> None:
        """Notice when the monitor is gone."""
        last_s = self._clock.now_s()
        while True:
            await asyncio.sleep(1.0)
            now_s = self._clock.now_s()
            if now_s - last_s > SLEPT_S:
                self._moved_s = max(self._moved_s, now_s)
            last_s = now_s
            if now_s - self._moved_s > GONE_S and not self._memory.gone:
                self._tell_gone(now_s - self._moved_s)

    def _tell_gone(self, for_s: float) -> None:
        now, _ = self._local_time()
        since = datetime.fromtimestamp(now.timestamp() - for_s, tz=UTC).astimezone()
        self._memory.gone = f"{since:%Y-%m-%dT%H:%M:%S}"
        _log.warning("the monitor is gone", for_s=round(for_s))
        for name, sender in self._senders.items() if self._tells else ():
            sender.put(content.gone(name, self._config.box.name, since, self._memory.gone))

    def _tell_back(self, board: Board) -> None:
        if not self._memory.gone or not board.ready:
            return
        episode, self._memory.gone = self._memory.gone, ""
        now, _ = self._local_time()
        for name, sender in self._senders.items() if self._tells else ():
            sender.put(content.back(name, board.box, episode, now))

    async def _tell_how_it_is(self) -> None:
        """Tell the monitor how each way is; on a connection of its own, and so never late."""
        while True:
            try:
                await self._state.ask(self.state())
            except AwayError:
                await asyncio.sleep(AWAY_S)
                continue
            except ControlError as error:
                _log.warning("the monitor does not take it", error=str(error))
            await asyncio.sleep(REPORT_S)

    async def _hand_back(self) -> None:
        """Hand back what people answered first, then what became of the notices."""
        reports = self._memory.reports
        while True:
            try:
                if self._acks:
                    await self._acknowledge(*self._acks[0])
                    self._acks.popleft()
                elif reports:
                    await self._deliver(reports[0])
                else:
                    await asyncio.sleep(0.2)
            except AwayError:
                await asyncio.sleep(AWAY_S)

    async def _deliver(self, told: Delivered) -> None:
        try:
            await self._report.ask(told)
        except ControlError as error:  # an alert of long ago, that no monitor knows any more
            _log.info("not taken", alert=told.alert_id, stage=told.stage, why=str(error))
        reports = self._memory.reports
        if reports and reports[0] is told:
            del reports[0]

    async def _acknowledge(self, name: str, alert_id: str) -> None:
        try:
            await self._report.ask(Acknowledge(alert_id, name, Role.CARER), ACK_S)
        except ControlError as error:
            _log.warning("not acknowledged", alert=alert_id, by=name, why=str(error))

    def state(self) -> NoticesState:
        """Return how every way is, as the monitor is told it."""
        ways = tuple(sender.state() for sender in self._senders.values())
        deadman = None
        if self._watcher is not None:
            deadman = self._watcher.state()
        elif self._no_watcher:
            deadman = Way(NAME, works=False, since_s=self._began_s, reason=self._no_watcher[:300])
        return NoticesState(os.getpid(), ways, deadman)

    def _sender(self, one: Open) -> Sender:
        way = one.way
        sender = Sender(
            way,
            one.opened,
            one.buttons,
            self._memory,
            self._file,
            self._clock.now_s,
            self._witness,
            chance=random.random,
            scrub=str if one.secret is None else one.secret.scrub,
            trouble=one.trouble,
        )
        sender.answered = lambda alert_id: self._answered(way.name, alert_id)
        if one.trouble:
            _log.error("cannot be told", way=way.name, reason=one.trouble)
        return sender

    def _answered(self, name: str, alert_id: str) -> None:
        if len(self._acks) < MAX_ACKS:
            self._acks.append((name, alert_id))

    def _open_watcher(self, named: str) -> None:
        try:
            secret = read_secret(named, self._config.box.data_dir)
        except SecretError as error:
            self._no_watcher = str(error)
            _log.error("no dead-man ping", reason=self._no_watcher)
            return
        self._watcher = Watcher(
            self._config.deadman,
            secret,
            lambda: (self._board, self._seen_s),
            self._clock.now_s,
            self._witness,
        )

    def _keep(self) -> None:
        self._file.write(self._memory)

    def _local_time(self) -> tuple[datetime, float | None]:
        """Return the local time, and the minute of the day where the clock is to be trusted."""
        now = self._clock.read()
        local = datetime.fromtimestamp(now.wall_s, tz=UTC).astimezone()
        return local, 60.0 * local.hour + local.minute if now.synchronised else None
