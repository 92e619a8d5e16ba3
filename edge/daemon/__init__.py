"""The monitor as a process: tick, watchdog, orderly stop.

    intake      readers kept running, the bounded packet queue
    recorder    store and packet log, in a thread of their own
    answers     what the control socket is told
    people      what people say through it
    noticeboard what the notifier is told, a process of its own
    roundtrip   a test notice it is asked for, and what came of it
    proof       what is written down of how every alert was told
    limits      what they change in how patients are watched
    local       sound and light at the box itself
    boxwatch    the box watches itself
    selftest    the daily test of the alarm path
    button      what its button says, while it can be believed
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
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec
import structlog

from edge.assemble import every_profile, every_wire
from edge.clock import BootClock, WallLog
from edge.config import Config
from edge.control import ControlError
from edge.control.board import NOTICES_SOCKET
from edge.control.server import ControlServer
from edge.daemon.answers import Answers
from edge.daemon.boxwatch import BoxWatch
from edge.daemon.boxwatch.opening import open_boxwatch
from edge.daemon.boxwatch.parts import NoticesPart
from edge.daemon.intake import Intake, Link
from edge.daemon.local import Chosen, Local
from edge.daemon.model import LiveModel
from edge.daemon.notify import notify, watchdog_period_s
from edge.daemon.recorder import Recorder
from edge.daemon.resume import Tested
from edge.daemon.selftest import Around, SelfTests
from edge.daemon.steps import Steps
from edge.events import BEGUN_LIMITS, FACTS, BegunLimits, Facts, tell
from edge.limits import Reload, begun_limits
from edge.live import Signal
from edge.packetlog import PacketLogWriter, RollingLog
from edge.pipeline import START, TICK_S, Kept, Pipeline, Start
from edge.records import AlarmEvent, Alert, AlertState, Outcome, Packet, SettingChange
from edge.store import KeptAlerts, Run

__all__ = ["Annunciator", "Beginning", "Daemon", "Link", "Places", "Show", "log_line"]

PACKETS = "packets"
"""Folder of the last packets, in the data directory."""

CLOCK_EVERY_S = 1.0
"""How often both clocks are compared, to notice a step."""

KEEP_EVERY_S = 60.0
"""While an alert stands, what the engine remembers is kept this often, changed or not: its clocks
run on. With every alert, every act on the alarms and every entry it is kept at once."""

END_S = 8.0
"""At the end readers, clients, sound and light have so long, beside the disk."""

_log = structlog.get_logger("monitor")

Show: TypeAlias = Callable[[Signal], None]
"""A way to be heard or seen: takes what should be heard and seen now, at every tick; must neither
wait nor fail."""


class Annunciator(Protocol):
    """A way to be heard or seen: takes each new state of an alert, at once."""

    def __call__(self, alert: Alert) -> None:
        """Announce it; must neither wait nor fail for long."""
        ...


class Places(msgspec.Struct, frozen=True):
    """Where one run keeps things.

    Attributes
    ----------
    database, socket : Path
        The records; the control socket.
    packet_log : Path | None
        Every packet that enters, for looking back; None: none is kept.
    data_dir : Path | None
        Where the list of paired sensors lies.
    packet_log_mb : float
        Where no `packet_log` is named, keep the last so many megabytes in `data_dir`.
    """

    database: Path
    socket: Path
    packet_log: Path | None = None
    data_dir: Path | None = None
    packet_log_mb: float = 0.0


class Beginning(msgspec.Struct, frozen=True):
    """What was found when a run began.

    Attributes
    ----------
    model_trouble : str
        Why there is no model, for the status; empty: there is one, or none is wanted.
    kept : Kept | None
        What stood when the monitor was last alive; see `edge.daemon.resume`.
    clock_was_set : bool
        The wall clock was set in this boot, before this run began.
    """

    model_trouble: str = ""
    kept: Kept | None = None
    clock_was_set: bool = False


def log_line(alert: Alert) -> None:
    """Announce an alert in the log, without a word about whom or what was measured."""
    urgent = alert.state is AlertState.RAISED and alert.priority.rank > 0
    (_log.warning if urgent else _log.info)(
        "alert",
        id=alert.id,
        rule=alert.rule,
        priority=alert.priority.value,
        state=alert.state.value,
    )


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
        self._annunciators = tuple(annunciators)
        self._shows: list[Show] = []
        self._beginning = beginning or Beginning()
        self._keep_due_s = math.inf
        self._n_entered = 0
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
        self.show_with(self._local.show)
        log, log_name = _packet_log(places)
        self._recorder = Recorder(places.database, run, clock.now_s, log, log_name)
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
        self._answers.model_trouble = self._beginning.model_trouble
        self._answers.annunciators = self._answers.proof.reports = self._local.reports
        self._control = ControlServer(places.socket, self._answers.answer)
        self.notices = self._answers.notices
        self.boxwatch.know_with(NoticesPart(self.notices.report))
        self._notices = ControlServer(places.socket.with_name(NOTICES_SOCKET), self.notices.answer)

    def show_with(self, *shows: Show) -> None:
        """Tell these of the signal at every tick, before anything is announced or written."""
        self._shows.extend(shows)

    def score_with(self, model: LiveModel) -> None:
        """Ask this model, which is the pipeline's, between two ticks; close it at the end."""
        self._steps.model = model
        self._answers.model = model

    def be_heard_with(self, *chosen: Chosen) -> None:
        """Open these when it runs, and show them the signal at every tick."""
        self._chosen.extend(chosen)

    def test_itself(self, config: Config, before: Tested) -> SelfTests:
        """Test the alarm path daily and when asked, from when it runs."""
        parts = (self._pipeline, self._intake, self._recorder, self._local, self._run_facts)
        around = Around(*parts, self._beginning.model_trouble)
        tests = self._answers.self_tests = SelfTests(config, self._clock, around, before)
        tests.notice = partial(self.notices.round_trip.prove, sends=config.selftest.notices)
        return tests

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
        await self._control.start()
        await _listen_if_possible(self._notices)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        recording = loop.create_task(self._recorder.run())
        ticking = loop.create_task(self._tick_until_stopped())
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
            await self._end(recording, ticking)

    async def _end(self, *tasks: asyncio.Task[None]) -> None:
        _notify("STOPPING=1")
        if self._answers.self_tests is not None:
            await self._answers.self_tests.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._pipeline.live().alerts or self._n_entered:
            # First of all: what follows may take its time, and the power may not last.
            self._remember()
        self.boxwatch.close()
        written = asyncio.create_task(self._recorder.close())
        await asyncio.wait(
            [
                asyncio.create_task(self._intake.stop()),
                asyncio.create_task(self._control.close()),
                asyncio.create_task(self._notices.close()),
                asyncio.create_task(asyncio.to_thread(self._local.close)),
            ],
            timeout=END_S,
        )
        if self._steps.model is not None:
            self._steps.model.close()
        self.hangs = not await written
        _log.info("stopped", n_unwritten=len(self._recorder.backlog))

    async def _tick_until_stopped(self) -> None:
        run = self._run_facts
        start = Start(run.run_id, run.version, run.model_id, self._beginning.kept)
        began_s = self._clock.now_s()
        self._intake.put(Packet("box", START, began_s, msgspec.json.encode(start)))
        for facts in self.facts:
            self._intake.put(tell(FACTS, facts, began_s))
        self._answers.proof.begin(self.in_force, self.facts, began_s)
        for limits in self.limits:
            self._intake.put(tell(BEGUN_LIMITS, limits, began_s))
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
        signal = self._show(now_s)
        for packets, outcome in steps:
            self._announce(outcome)
            self._keep(outcome, now_s)
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

    def _show(self, now_s: float) -> Signal:
        signal = self._pipeline.signal(now_s)
        for show in self._shows:
            try:
                show(signal)
            except Exception:  # noqa: BLE001  # one that fails must not silence the others
                _log.exception("cannot show", by=repr(show))
        return signal

    def _keep(self, outcome: Outcome, now_s: float) -> None:
        """Put what outlives a restart in line for the disk, with what was said."""
        changed = any(isinstance(record, Alert | AlarmEvent) for record in outcome.records)
        n_entered, self._n_entered = self._n_entered, self._pipeline.n_entered
        if changed or self._n_entered != n_entered or now_s >= self._keep_due_s:
            self._remember()
            stands = bool(self._pipeline.live().alerts)
            self._keep_due_s = now_s + KEEP_EVERY_S if stands else math.inf

    def _remember(self) -> None:
        kept = KeptAlerts(self._pipeline.alert_state(), self._clock.read())
        self._recorder.backlog.keep(kept)

    def _announce(self, outcome: Outcome) -> None:
        for record in outcome.records:
            if isinstance(record, AlarmEvent):
                _log.info("alarms", act=record.act.value, step=record.step, alert=record.alert_id)
                self._answers.note(record)
            elif isinstance(record, SettingChange):
                self._answers.note(record)
            if not isinstance(record, Alert):
                continue
            for annunciate in self._annunciators:
                try:
                    annunciate(record)
                except Exception:  # noqa: BLE001  # one that fails must not silence the others
                    _log.exception("cannot announce", by=repr(annunciate), id=record.id)
            self._answers.note(record)

    def _compare_clocks(self) -> None:
        now = self._clock.read()
        stepped_s = self._wall.stepped_s(now)
        if stepped_s:
            _log.warning("wall clock stepped", by_s=round(stepped_s, 3))
        entry = self._wall.note(now)
        if entry is not None:
            self._recorder.add_clock(entry)


async def _listen_if_possible(server: ControlServer) -> None:
    """Listen where that is possible: without notices the monitor goes on."""
    try:
        await server.start()
    except ControlError as error:
        _log.error("no notices can be asked for", error=str(error))


def _packet_log(places: Places) -> tuple[PacketLogWriter | RollingLog | None, str]:
    """Return where packets are kept, and what the status calls it."""
    if places.packet_log is not None:
        return PacketLogWriter(places.packet_log), str(places.packet_log)
    if not places.packet_log_mb or places.data_dir is None:
        return None, ""
    folder = places.data_dir / PACKETS
    return RollingLog(folder, int(places.packet_log_mb * 1e6)), str(folder)


def _notify(state: str) -> bool:
    try:
        return notify(state)
    except OSError as error:
        _log.warning("systemd does not listen", state=state, error=str(error))
        return False
