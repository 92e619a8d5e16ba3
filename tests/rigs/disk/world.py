"""The real monitor, `homeward run`, in a process that has imported everything before.

Nothing of it is replaced but time: the boot clock is the event loop's, which passes as fast as the
work allows (`tests.rigs.steady_loop`). Beside it stands a witness: every record before it is handed
to the recorder, every alert that the annunciators were told, and every time the recorder said that
all is stored. It writes to files of its own, which outlive a kill.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

import edge.cli.run as run_command
import edge.daemon
from edge.clock import BootClock, WallEntry
from edge.config import Config
from edge.control import BeginSelfTest, ChangeLimits
from edge.daemon import Daemon
from edge.daemon.announcing import log_line
from edge.live import Signal
from edge.packetlog import LogError
from edge.records import Alert, LimitAct, Outcome, Packet, Role, encode_record
from edge.vault import Bounds, KeysError, VaultError, open_writer
from tests.rigs.disk.plan import Plan, Pulse, pulse_of
from tests.rigs.powercut.shim import Shim
from tests.rigs.steady_loop import SteadyLoop

WALL_S = 1_800_000_000.0
BOOT = "boot-of-the-rig"
KINDS = ("alert", "summary", "alarm_event", "link_change")
"""Records that are compared one by one with what is stored."""
SMALL = Bounds(block_s=2.0, segment_s=6.0, segment_bytes=16_384, block_bytes=4_096, reserve_bytes=0)
"""So that a life of half a minute ends several segments."""
HANGING_S = 1.0
"""A write that has not come back after so long is written down."""
_WAITS = (
    ("edge.store.store", "READ_AGAIN_S"),
    ("edge.store.keeping", "READ_AGAIN_S"),
    ("edge.daemon.vaulting", "TURN_S"),
)
VAULT_IN_DAEMON = "vault" in Config.__struct_fields__
"""Else the rig hands the recorder a vault where it would have a packet log."""


class Clock(BootClock):
    """The loop's time as that of the box."""

    def __init__(self, loop: SteadyLoop) -> None:
        self.boot_id = BOOT
        self._loop = loop

    def now_s(self) -> float:
        return self._loop.time()

    def read(self) -> WallEntry:
        now_s = self.now_s()
        return WallEntry(BOOT, now_s, WALL_S + now_s, synchronised=True)


class Witness:
    """Writes down what happens, each line at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.n_made: Counter[str] = Counter()

    def tell(self, what: str, *facts: Any) -> None:
        os.write(self._file, msgspec.json.encode((what, *facts)) + b"\n")

    def made(self, packets: Sequence[Packet], outcome: Outcome) -> None:
        for packet in packets:
            self.tell("packet", digest(packet), packet.arrived_s)
        for record in outcome.records:
            kind = str(record.__struct_config__.tag)
            if kind in KINDS:
                self.n_made[kind] += 1
                self.tell("made", kind, encode_record(record).decode())

    def heard(self, alert: Alert) -> None:
        self.tell("heard", alert.rule, alert.state.value, alert.at_s)


def digest(packet: Packet) -> str:
    """Return what tells a packet from others."""
    said = msgspec.msgpack.encode((packet.source, packet.stream, packet.arrived_s, packet.payload))
    return blake2b(said, digest_size=8).hexdigest()


class Watched(Daemon):
    """The daemon with a witness beside it."""

    plan: Plan
    witness: Witness
    pulse: Pulse

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, annunciators=(log_line, self.witness.heard), **more)
        recorder = self._recorder
        add, write = recorder.add, recorder._write
        lock = threading.Lock()

        def told(packets: Sequence[Packet], outcome: Outcome, now_s: float) -> None:
            self.witness.made(packets, outcome)
            if self.plan.early and outcome.records:
                self._acknowledge(dict(self.witness.n_made), now_s)
            add(packets, outcome, now_s)

        def mark(by: int) -> None:
            with lock:
                self.pulse.n_writing += by
                self.pulse.tell()

        def written(*how: bool) -> str:
            mark(1)
            try:
                return write(*how)
            finally:
                mark(-1)

        recorder.add, recorder._write = told, written  # type: ignore[method-assign]
        self.show_with(self._seen)
        self._writing_s: float | None = None
        self._sounds = ""

    def _seen(self, signal_now: Signal) -> None:
        now_s = self._clock.now_s()
        self.pulse.late_s = now_s - self.pulse.now_s
        self.pulse.now_s, self.pulse.n_ticks = now_s, self.pulse.n_ticks + 1
        self.pulse.tell()
        if not self.plan.speed:
            self._look_at_time(now_s)
        sounds = str(signal_now.priority) if signal_now.audible else ""
        if sounds != self._sounds:
            self._sounds = sounds
            self.witness.tell("sounds", now_s, sounds)

    def _look_at_time(self, now_s: float) -> None:
        self.witness.tell("tick", now_s)
        since_s = self._recorder.report().writing_since_s
        if since_s is not None and now_s - since_s > HANGING_S and since_s != self._writing_s:
            self._writing_s = since_s
            self.witness.tell("writing", since_s)

    async def run(self) -> int:
        self.witness.tell("run", self._run_facts.run_id, self._run_facts.started_s)
        tasks = [asyncio.create_task(self._ask()), asyncio.create_task(self._act())]
        if self.plan.for_s is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self.plan.for_s, os.kill, os.getpid(), signal.SIGTERM)
        try:
            return await super().run()
        finally:
            for task in tasks:
                task.cancel()

    async def _end(self, *tasks: asyncio.Task[None]) -> None:
        # The end has a time limit, and the machine may be busy.
        loop = asyncio.get_running_loop()
        if isinstance(loop, SteadyLoop):
            loop.speed = 1.0
        await super()._end(*tasks)

    async def _ask(self) -> None:
        """Ask again and again whether all is stored, and say what that was."""
        chance = random.Random(self.plan.begin_s)  # noqa: S311
        while True:
            n_made = dict(self.witness.n_made)
            since_s = self._clock.now_s()
            if await self._recorder.stored():
                self._acknowledge(n_made, since_s)
            await asyncio.sleep(chance.uniform(0.1, 2.0 * self.plan.ask_every_s))

    def _acknowledge(self, n_made: dict[str, int], since_s: float) -> None:
        writer = getattr(getattr(self._recorder, "vault", None), "_writer", None)
        if writer is not None:
            n_made["packet"] = writer.n_written
        self.witness.tell("stored", n_made, since_s, self._clock.now_s())
        self.pulse.n_stored = n_made.get("alert", 0)
        self.pulse.tell()

    async def _act(self) -> None:
        """Do what people do."""
        for number, (after_s, act) in enumerate(self.plan.acts):
            await asyncio.sleep(self._run_facts.started_s + after_s - self._clock.now_s())
            if act not in _REQUESTS:
                Shim().fail(act)
                continue
            try:
                await self._answers.answer(_REQUESTS[act](number))
                self.witness.tell("did", act)
            except Exception as error:  # noqa: BLE001  # refused is an answer too; the daemon tells it so
                self.witness.tell("refused", act, repr(error))


_REQUESTS = {
    "limits": lambda n: ChangeLimits(
        act=LimitAct.SET,
        by="nurse",
        role=Role.CARER,
        why="rig",
        settings={"low_spo2": {"limit_pct": 88.0 + n % 3}},
    ),
    "selftest": lambda _: BeginSelfTest(by="nurse"),
}


def _hurry_threads(speed: float) -> None:
    """Let what waits by the machine's clock wait as much shorter as time passes faster."""
    for name, word in _WAITS:
        module = sys.modules.get(name)
        wait_s = getattr(module, word, None)
        if isinstance(wait_s, tuple):
            setattr(module, word, tuple(one / speed for one in wait_s))
        elif wait_s is not None:
            setattr(module, word, wait_s / speed)


def _bounds() -> Bounds:
    return msgspec.structs.replace(SMALL, max_bytes=Watched.plan.vault_bytes or 1 << 20)


def _vault_as_log(places: Any) -> tuple[Any, str]:
    try:
        writer = open_writer(places.data_dir, _vault_clock, _bounds())
    except (LogError, VaultError, KeysError, OSError) as error:
        return None, f"ended: {error}"
    return writer, str(places.data_dir / "vault")


def _vault_clock() -> WallEntry:
    return run_command.BootClock().read()


def live(plan: Plan) -> int:
    """Run the monitor; return its exit code."""
    faulthandler.enable()
    os.environ.pop("NOTIFY_SOCKET", None)
    loop: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop()
    clock = BootClock()
    if plan.speed:
        loop = steady = SteadyLoop(plan.speed)
        steady._base_s = plan.begin_s
        clock = Clock(steady)
    Watched.plan, Watched.witness = plan, Witness(plan.witness)

    def run_in_its_time(main: Any) -> int:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return int(runner.run(main))

    run_command.Daemon = Watched  # type: ignore[misc]
    run_command.BootClock = lambda: clock  # type: ignore[misc,assignment]
    run_command.asyncio = SimpleNamespace(run=run_in_its_time)  # type: ignore[assignment]
    _hurry_threads(plan.speed or 1.0)
    if VAULT_IN_DAEMON:
        run_command.bounds_of = lambda _told: _bounds()
    elif plan.vault_bytes:
        edge.daemon.open_packet_log = _vault_as_log
    shim = None if plan.fails is None else Shim()
    if shim is not None:
        shim.begin(plan.data_dir)
        shim.fail(plan.fails)
    with pulse_of(plan.pulse) as Watched.pulse:
        try:
            return run_command.command(plan.config, plan.data_dir, simulate=str(plan.scenario))
        finally:
            if shim is not None:
                Watched.witness.tell("disk", shim.counts(), shim.struck)
