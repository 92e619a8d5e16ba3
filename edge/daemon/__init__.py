"""The monitor as a process: tick, watchdog, orderly stop.

    beginning   where a run keeps things, what was found, the first packets of its log
    intake      readers kept running, the bounded packet queue
    listening   the sockets, as soon as the disk has them
    recorder    store and packet log, in a thread of their own
    vaulting    the vault, in a thread of its own
    vaultstate  how it goes
    keyring     the keys of both, as soon as they can be had
    storing     what that thread does with the store
    vaultdesk   what people ask of it: the passphrase, to stand aside
    mending     a store that was damaged, recovered piece by piece
    answers     what the control socket is told
    people      what people say through it
    noticeboard what the notifier is told, a process of its own
    outgoing    what may leave, and what did: the gate, consent, forgetting
    syncdesk    what the sender is handed, a process of its own
    roundtrip   a test notice it is asked for, and what came of it
    proof       what is written down of how every alert was told
    limits      what they change in how patients are watched
    announcing  the local alarms, told at every tick
    local       sound and light at the box itself
    boxwatch    the box watches itself
    selftest    the daily test of the alarm path
    button      what its button says, while it can be believed
    remembering what outlives a restart, put in line for the disk
    resume      what stood when the monitor was last alive
    steps       the ticks that are due, one by one
    model       the model, in a thread of its own
    notify      systemd

Every 250 ms, on the boot clock's grid, all packets that arrived go through the pipeline; what
comes out goes to the local alarms first and to the disk second. A broken assumption ends the
process with exit code 1: systemd starts it again, which is safer than going on with it.
"""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from edge.assemble import every_profile, every_wire
from edge.clock import BootClock, WallLog
from edge.config import Config
from edge.control.board import NOTICES_SOCKET
from edge.control.server import ControlServer
from edge.control.syncing import SYNC_SOCKET
from edge.daemon.announcing import Announcing, Annunciator, Show, log_line
from edge.daemon.answers import Answers
from edge.daemon.beginning import Beginning, Places, first_packets, open_packet_log, vault_of
from edge.daemon.boxwatch import BoxWatch
from edge.daemon.boxwatch.opening import open_boxwatch
from edge.daemon.boxwatch.parts import NoticesPart
from edge.daemon.intake import Intake, Link
from edge.daemon.keyring import Keyring
from edge.daemon.listening import listen
from edge.daemon.local import Chosen, Local
from edge.daemon.model import LiveModel
from edge.daemon.recorder import Recorder
from edge.daemon.remembering import Remembering
from edge.daemon.resume import Tested
from edge.daemon.selftest import Around, SelfTests
from edge.daemon.steps import Steps
from edge.daemon.syncdesk import SyncDesk
from edge.daemon.syncstate import SyncPart
from edge.daemon.vaultdesk import VaultDesk
from edge.events import BegunLimits, Facts
from edge.limits import Reload, begun_limits
from edge.pipeline import TICK_S, Pipeline
from edge.pseudonyms import Pseudonyms
from edge.records import Outcome
from edge.store import Run
from edge.store.retention import Retention
from edge.systemd import notify, watchdog_period_s

__all__ = ["Annunciator", "Beginning", "Daemon", "Link", "Places", "Show", "log_line"]

CLOCK_EVERY_S = 1.0
"""How often both clocks are compared, to notice a step."""

END_S = 8.0
"""At the end readers, clients, sound and light have so long, beside the disk."""

_log = structlog.get_logger("monitor")


class Daemon:
    """One run of the monitor.

    Parameters
    ----------
    pipeline : Pipeline
        What turns packets into records.
    links : Sequence[Link]
        The sources.
    run : Run
        This start, as the store will know it.
    clock : BootClock
        The clocks of this box.
    places : Places
        Where to keep records, and where to listen.
    annunciators : Sequence[Annunciator]
        The local alarms, called before anything is written.
    beginning : Beginning
        What was found when this run began.

    Raises
    ------
    edge.packetlog.LogError
        The packet log cannot be written.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        links: Sequence[Link],
        run: Run,
        clock: BootClock,
        places: Places,
        annunciators: Sequence[Annunciator] = (log_line,),
        beginning: Beginning | None = None,
    ) -> None:
        self._pipeline, self._clock = pipeline, clock
        self._steps = Steps(pipeline)
        self.facts: Sequence[Facts] = ()
        """What is known of the patients when it begins; the log begins with it."""
        self.in_force: Mapping[str, Any] = {}
        """The settings the alarms go by, for the ledger."""
        self.hangs = False
        """After the end: the disk still holds a thread, which nobody should wait for."""
        self.limits: Sequence[BegunLimits] = ()
        """How they are watched when it begins; the log begins with that too."""
        self._beginning = beginning or Beginning()
        self._run_facts = run
        self._wall = WallLog()
        self._clock_due_s = -math.inf
        self._watchdog_s = watchdog_period_s()
        self._watchdog_due_s = -math.inf
        self._stop = asyncio.Event()
        self._intake = Intake(
            list(links), clock.now_s, places.data_dir, every_profile(), every_wire()
        )
        self._chosen: list[Chosen] = []
        self._local = Local(clock, self._intake.put)
        log, log_name = open_packet_log(places)
        keyring = places.keyring or Keyring(places.data_dir or places.database.parent)
        vault = vault_of(places, keyring, clock)
        self._recorder = Recorder(
            places.database,
            run,
            clock.now_s,
            log,
            log_name,
            vault,
            keys=keyring.ring,
            settings=places.store,
        )
        self._remembering = Remembering(pipeline, clock, self._recorder)
        self.boxwatch: BoxWatch = open_boxwatch(
            clock,
            self._intake.put,
            self._recorder,
            self._local,
            places.data_dir,
            clock_was_set=self._beginning.clock_was_set,
        )
        self._answers = Answers(
            pipeline, self._intake, self._recorder, run, clock.now_s, self._wall
        )
        if keyring is not None:
            self._answers.vault = VaultDesk(keyring, vault, self._recorder.vouch, clock.now_s)
        self._announcing = Announcing(annunciators, self._answers.note)
        self.show_with(self._local.show)
        self._answers.model_trouble = self._beginning.model_trouble
        self._answers.annunciators = self._answers.proof.reports = self._local.reports
        self._control = ControlServer(places.socket, self._answers.answer)
        self.notices = self._answers.notices
        self.boxwatch.know_with(NoticesPart(self.notices.report))
        self.outgoing = self._answers.outgoing
        self._notices = ControlServer(places.socket.with_name(NOTICES_SOCKET), self.notices.answer)
        self._sync: ControlServer | None = None

    def show_with(self, *shows: Show) -> None:
        """Tell these of the signal at every tick, before anything is announced or written."""
        self._announcing.shows.extend(shows)

    def score_with(self, model: LiveModel) -> None:
        """Ask this model, which is the pipeline's, between two ticks; close it at the end."""
        self._steps.model = model
        self._answers.model = model

    def be_heard_with(self, *chosen: Chosen) -> None:
        """Open these when it runs, and show them the signal at every tick."""
        self._chosen.extend(chosen)

    def sync_with(self, config: Config) -> None:
        """Hand a sender what may leave for these destinations; where there are none, nothing."""
        self.outgoing.gate.pseudonym = self.pseudonyms.of
        if not config.sinks:
            return
        told = (self._pipeline, self._recorder, self._run_facts, self._clock.now_s, self._wall)
        others = (self.outgoing, self.pseudonyms, self.notices)
        desk = self._answers.sync = SyncDesk(config, *told, *others)
        self.boxwatch.know_with(SyncPart(desk.oldest_s))
        self._sync = ControlServer(self._control.path.with_name(SYNC_SOCKET), desk.answer)

    def test_itself(self, config: Config, before: Tested) -> SelfTests:
        """Test the alarm path daily and when asked, from when it runs."""
        parts = (self._pipeline, self._intake, self._recorder, self._local, self._run_facts)
        around = Around(*parts, self._beginning.model_trouble)
        tests = self._answers.self_tests = SelfTests(config, self._clock, around, before)
        tests.notice = partial(self.notices.round_trip.prove, sends=config.selftest.notices)
        return tests

    @property
    def pseudonyms(self) -> Pseudonyms:
        """What patients are called in all that leaves the box."""
        return self._answers.pseudonyms

    def keep_for(self, days: Mapping[str, float]) -> None:
        """Forget records after so many days; see `edge.store.retention`."""
        self._recorder.keep_for(Retention(days, self._clock.now_s()))

    def let_limits_change(self, config: Config, reload: Reload, trouble: str = "") -> None:
        """Let people change the limits of `config` while it runs; `trouble`: some were lost."""
        self.limits = begun_limits(config)
        self._answers.let_limits_change(config, reload, trouble)

    async def run(self) -> int:
        """Monitor until SIGTERM or SIGINT; return the exit code.

        Raises
        ------
        edge.control.ControlError
            A monitor is running here already, or the socket cannot be made.
        """
        loop = asyncio.get_running_loop()
        listening = loop.create_task(await listen(self._control, alone=True))
        noticing = loop.create_task(await listen(self._notices, alone=False))
        syncing = [loop.create_task(one) for one in await self._begin_sync()]
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._begin()
        recording = loop.create_task(self._recorder.run())
        ticking = loop.create_task(self._tick_until_stopped())
        settling = loop.create_task(self._answers.settle())
        try:
            self._local.open(self._chosen)
            self._intake.start()
            if self._answers.self_tests is not None:
                self._answers.self_tests.start()
            await asyncio.wait({recording, ticking}, return_when=asyncio.FIRST_COMPLETED)
            broken = [t for t in (recording, ticking) if t.done() and t.exception() is not None]
            for task in broken:
                _log.error("the monitor is broken and stops", exc_info=task.exception())
            return 1 if broken else 0
        finally:
            await self._end(recording, ticking, settling, listening, noticing, *syncing)

    async def _begin_sync(self) -> list[Coroutine[Any, Any, None]]:
        """Listen to the sender; return what is to be done for it beside all else."""
        if self._sync is None or self._answers.sync is None:
            return []
        return [await listen(self._sync, alone=False), self._answers.sync.run()]

    async def _end(self, *tasks: asyncio.Task[None]) -> None:
        _notify("STOPPING=1")
        if self._answers.self_tests is not None:
            await self._answers.self_tests.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # First of all: what follows may take its time, and the power may not last.
        self._remembering.keep_last()
        self.outgoing.gate.close()
        self.boxwatch.close()
        written = asyncio.create_task(self._recorder.close(self._pipeline.now_s))
        await asyncio.wait(
            [
                asyncio.create_task(self._intake.stop()),
                asyncio.create_task(self._control.close()),
                asyncio.create_task(self._notices.close()),
                *([asyncio.create_task(self._sync.close())] if self._sync is not None else ()),
                asyncio.create_task(asyncio.to_thread(self._local.close)),
            ],
            timeout=END_S,
        )
        if self._steps.model is not None:
            self._steps.model.close()
        self.hangs = not await written
        _log.info("stopped", n_unwritten=len(self._recorder.backlog))

    def _begin(self) -> None:
        """Put first what the log of a run begins with: what anybody says before is not of it."""
        run, kept, began_s = self._run_facts, self._beginning.kept, self._clock.now_s()
        for packet in first_packets(run, kept, self.facts, self.limits, began_s):
            self._intake.put(packet)
        self._answers.proof.begin(self.in_force, self.facts, began_s)

    async def _tick_until_stopped(self) -> None:
        ready = False
        while await self._next_tick():
            self._tick()
            if not ready:
                ready = _notify("READY=1") or True
                _log.info("monitoring", n_sources=len(self._intake.links))

    async def _next_tick(self) -> bool:
        """Wait for the next point of the grid; false when it is time to stop."""
        now_s = self._clock.now_s()
        wait_s = (math.floor(now_s / TICK_S) + 1) * TICK_S - now_s
        try:
            await asyncio.wait_for(self._stop.wait(), wait_s)
        except TimeoutError:
            return True
        return False

    def _tick(self) -> None:
        now_s = self._clock.now_s()
        steps = list(self._steps.due(self._intake.take(), now_s))
        signal = self._pipeline.signal(now_s)
        self._announcing.show(signal)
        for packets, outcome in steps:
            self._announce(outcome)
            self._remembering.keep(outcome, now_s)
            self._recorder.add(packets, outcome, now_s)
            self._answers.proof.look(signal, outcome.records)
        self.boxwatch.turn(now_s)
        if now_s >= self._clock_due_s:
            self._clock_due_s = now_s + CLOCK_EVERY_S
            self._compare_clocks()
        # Last, so that only a tick that came to its end keeps systemd content.
        if self._watchdog_s is not None and now_s >= self._watchdog_due_s:
            self._watchdog_due_s = now_s + self._watchdog_s
            _notify("WATCHDOG=1")

    def _announce(self, outcome: Outcome) -> None:
        self._announcing.announce(outcome)

    def _compare_clocks(self) -> None:
        now = self._clock.read()
        stepped_s = self._wall.stepped_s(now)
        if stepped_s:
            _log.warning("wall clock stepped", by_s=round(stepped_s, 3))
        entry = self._wall.note(now)
        if entry is not None:
            self._recorder.add_clock(entry)
            if self._answers.sync is not None:
                self._answers.sync.look()


def _notify(state: str) -> bool:
    try:
        return notify(state)
    except OSError as error:
        _log.warning("systemd does not listen", state=state, error=str(error))
        return False
