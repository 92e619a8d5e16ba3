"""Three days without a network, then a bad one: all of it arrives, once, in order (N1).

    python -m tests.rigs.sync.drain [--entries 10000] [--cuts 500] [--seed 1] [--believe]

The store of an outage of 72 hours (`outage`), the real monitor, sender and receiver (``--rig``: an
independent one instead), a mosquitto as Debian ships it, and before it a link that is cut with a
reset again and again, at equal steps of what has arrived, so that every cut falls into the
draining. Now and then broker, sender, monitor or receiver are killed (-9) as well, each alone, or
the receiver and 1.5 s later the broker. The bar: exactly once by id, nothing settled that is not
stored, numbers as given, in 10 minutes.

``--believe``: the sender takes the broker's word (`believing`): this must lose.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from tests.rigs.net.broker import Broker
from tests.rigs.net.proxy import Proxy
from tests.rigs.sync.clinic import Clinic
from tests.rigs.sync.history import Verdict, check
from tests.rigs.sync.outage import fill, outbox
from tests.rigs.sync.processes import BOX, CONFIG, PATCHED, Process, Receiver, new_key

MOST_S: Final = 600.0
STUCK_S: Final = 90.0
BYTES_PER_S: Final = 200_000.0
"""Of the link: the draining lasts, so that every cut falls into it."""
LOOK_S: Final = 0.01
AWAY_S: Final = 1.5
"""So long the broker takes things over for a receiver that is away, before it is killed."""
KILLS: Final = ("sender", "broker", "core", "receiver", "both")


class Done(msgspec.Struct, frozen=True):
    """What came of it."""

    verdict: Verdict
    n_cuts: int
    n_kills: dict[str, int]
    n_connections: int
    drained_s: float
    sender_mb: float
    n_copies: int
    words: str

    @property
    def line(self) -> str:
        kills = ", ".join(f"{n} {who}" for who, n in sorted(self.n_kills.items()))
        return (
            f"{self.n_cuts} cuts, kill -9: {kills}; {self.n_connections} connections, drained in "
            f"{self.drained_s:.0f} s, sender {self.sender_mb:.0f} MB, {self.n_copies} copies: "
            f"{self.verdict.line}"
        )


class World:
    """All of them."""

    def __init__(
        self, folder: Path, link: Proxy, broker: Broker, *, believe: bool = False, ours: bool = True
    ) -> None:
        self.data_dir, self.link, self.broker = folder / "data", link, broker
        key = new_key(self.data_dir)
        config = folder / "box.toml"
        config.write_text(CONFIG.replace("PORT", str(link.port)))
        common = ["--config", str(config), "--data-dir", str(self.data_dir)]
        self.core = Process(["run", *common, "--simulate", "quiet"], folder / "core.log")
        self.sender = Process(
            ["sync", *common], folder / "sender.log", PATCHED if believe else "edge"
        )
        self.receiver = (Clinic if ours else Receiver)(folder, broker.port, key)
        self.n_kills: Counter[str] = Counter()
        # One that believes settles what never comes: there is nothing to wait for.
        self.believes = believe
        self.stuck_s = 10.0 if believe else STUCK_S

    def start(self) -> None:
        self.receiver.start()
        self.core.start()
        self.sender.start()

    def look(self) -> None:
        """Raise AssertionError where one has ended that nobody killed."""
        ours = [self.receiver.process] if isinstance(self.receiver, Clinic) else []
        for one in (self.core, self.sender, *ours):
            assert one.lives, f"it has ended:\n{one.last_words()}"

    def kill(self, who: str) -> None:
        """Kill one of them, and start it again."""
        self.n_kills[who] += 1
        if who in {"receiver", "both"}:
            self.receiver.stop()
        if who in {"broker", "both"}:
            time.sleep(AWAY_S if who == "both" else 0.0)
            self.broker.kill()
            self.broker.start()
        if who in {"receiver", "both"}:
            self.receiver.start()
        if who == "sender":
            self.sender.again()
        elif who == "core":
            self.core.again()

    def stop(self) -> None:
        for one in (self.sender, self.core):
            one.stop()
        self.receiver.stop()


def drain(  # what a campaign consists of
    folder: Path,
    n: int,
    n_cuts: int,
    seed: int = 1,
    *,
    believe: bool = False,
    ours: bool = True,
) -> Done:
    """Let an outage end badly; return what came of it. `ours`: the real receiver, not the rig's."""
    fill(folder / "data", n)
    waiting, _ = outbox(folder / "data", BOX)
    broker = Broker(folder / "broker")
    broker.start()
    with Proxy(broker.port, seed=seed) as link:
        world = World(folder, link, broker, believe=believe, ours=ours)
        begin_s = time.monotonic()
        try:
            world.start()
            _meddle(world, len(waiting), n_cuts, random.Random(seed))  # noqa: S311
            _wait_drained(world, {one.uuid for one in waiting}, begin_s)
            drained_s = time.monotonic() - begin_s
            _wait_quiet(world)
        finally:
            world.stop()
            broker.stop()
        made, settled = outbox(folder / "data", BOX)
        # What the living monitor made since may still wait; what it settled counts.
        due = [one for one in made if one.seq <= len(waiting) or one.uuid in settled]
        known = {one.uuid for one in due}
        later = {one.uuid for one in made} - known
        stored = [one for one in world.receiver.stored if one.uuid not in later]
        verdict = check(due, stored, settled, world.receiver.came, ordered=False)
        words = world.sender.last_words()
        return Done(
            verdict,
            link.n_cuts,
            dict(world.n_kills),
            len(link.passed),
            drained_s,
            world.sender.most_kb / 1024,
            world.receiver.n_again,
            words,
        )


def _meddle(world: World, n: int, n_cuts: int, chance: random.Random) -> None:
    """Cut the link at equal steps of what has arrived; kill somebody now and then."""
    every = 25 if n_cuts > 200 else 6
    killed = 0
    while world.link.n_cuts < n_cuts:
        world.link.be(bytes_per_s=BYTES_PER_S, chop=chance.choice((0, 0, 7, 300)))
        if not _wait_for_arrivals(world, (world.link.n_cuts + 1) * n // (n_cuts + 2)):
            break  # the judge says what is missing
        world.sender.weigh()
        if world.link.n_cuts // every > killed:
            killed += 1
            world.kill("both" if world.believes else KILLS[killed % len(KILLS)])
        world.link.cut()
    world.link.be()


def _wait_for_arrivals(world: World, n: int) -> bool:
    """Wait until so much has come and the link is in use; return whether that came about."""
    end_s = time.monotonic() + world.stuck_s
    while time.monotonic() < end_s:
        world.look()
        if len(world.receiver.known) >= n and world.link.n_open:
            return True
        time.sleep(LOOK_S)
    return False


def _wait_drained(world: World, waiting: set[str], begin_s: float) -> None:
    n, since_s = 0, time.monotonic()
    while time.monotonic() - begin_s < MOST_S:
        n_came = len(world.receiver.known & waiting)
        if n_came == len(waiting):
            return
        if n_came != n:
            n, since_s = n_came, time.monotonic()
        if time.monotonic() - since_s > world.stuck_s:
            return  # the judge says what is missing
        world.sender.weigh()
        time.sleep(0.2)


def _wait_quiet(world: World) -> None:
    """Wait for the last receipts to come home."""
    n = -1
    while n != len(world.link.passed) + sum(one.up + one.down for one in world.link.passed):
        n = len(world.link.passed) + sum(one.up + one.down for one in world.link.passed)
        time.sleep(3.0)
        if not world.link.n_open:
            return


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.sync.drain", description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--believe", action="store_true")
    parser.add_argument("--rig", action="store_true", help="the rig's receiver, not ours")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = drain(
            Path(folder),
            chosen.entries,
            chosen.cuts,
            chosen.seed,
            believe=chosen.believe,
            ours=not chosen.rig,
        )
    print(done.line)
    if done.verdict.faults:
        print(done.words)
    return 1 if done.verdict.faults or done.drained_s > MOST_S else 0


if __name__ == "__main__":
    sys.exit(main())
