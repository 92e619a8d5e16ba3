"""Every packet into the vault, in a thread of its own: a disk that hangs holds up nobody.

The event loop hands over what entered at each tick and goes on. Packets wait
(`edge.daemon.waiting`) while the vault cannot be written: no key yet, a full disk, a card that
refuses. What was given up meanwhile is a hole in the vault. It is tried again until it works.
Nothing here ends the run: a monitor without a vault alarms as well as one with it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from edge.clock import WallEntry
from edge.daemon.keyring import Keyring
from edge.daemon.vaultstate import Measured, VaultState, measured
from edge.daemon.waiting import Gap, Item, Mark, Waiting
from edge.events import BOX
from edge.keys import KeyRing, KeysError
from edge.packetlog import LogError
from edge.records import Alert, AlertState, Outcome, Packet, Priority, Record
from edge.vault import END, FOLDER, Bounds, RefusedError, Standing, VaultWriter
from edge.vault.folder import device_ids

TURN_S: Final = 1.0
RETRY_S: Final = 2.0
MAX_RETRY_S: Final = 8.0
"""How long after a failure the next attempt is made: twice as long each time, up to this."""
KEY_RETRY_S: Final = 3.0
"""A stick that is plugged in is found so soon."""
LOOK_S: Final = 60.0
"""How often it is measured how much there is."""
KEY_LOOK_S: Final = 5.0
"""How often it is looked whether the key in use is still there for the next start."""
MAX_MARKED: Final = 1000
KEY, WRITE = "key", "write"
DROPPED: Final = "dropped"
_RAISED: Final = (AlertState.RAISED, AlertState.ACTIVE)

_log = structlog.get_logger("vault")


class Vaulting:
    """Owner of the vault's writer while a monitor runs.

    Parameters
    ----------
    data_dir : Path
        The vault lies in it.
    keyring : Keyring
        Opens its keys.
    clock : Callable
        Both clocks, as `edge.clock.BootClock.read` gives them.
    bounds : Bounds
        How much is kept.
    """

    def __init__(
        self, data_dir: Path, keyring: Keyring, clock: Callable[[], WallEntry], bounds: Bounds
    ) -> None:
        self.folder = data_dir / FOLDER
        self.keyring = keyring
        # What lies in the folder's place and is none has nothing encrypted in it.
        keyring.needed_by(lambda: device_ids(self.folder) if self.folder.is_dir() else ())
        keyring.when_unlocked(self.nudge)
        self._clock, self._bounds = clock, bounds
        self._waiting = Waiting()
        self._standing = Standing()
        self._writer: VaultWriter | None = None
        self._ring: KeyRing | None = None
        self._wake, self._away = threading.Event(), threading.Event()
        self._closing = False
        self._aside_until_s: float | None = None
        self._retry_s, self._wait_s = 0.0, RETRY_S
        self._marked: OrderedDict[tuple[str, Priority], None] = OrderedDict()
        self._n_failures = 0
        self._trouble = self._kind = self._key_trouble = ""
        self._failing_s: float | None = None
        self._key_failing_s: float | None = None
        self._worked_s: float | None = None
        self._busy_s: float | None = None
        self._looked_s = self._key_looked_s = -LOOK_S
        self._measured = Measured()
        # A daemon: a disk that hangs must not keep the process from its end.
        self._thread = threading.Thread(target=self._serve, name="vault", daemon=True)

    # --- in any thread -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write; a second call does nothing."""
        if self._thread.ident is None:
            self._thread.start()

    def add(self, packets: Sequence[Packet], outcome: Outcome) -> None:
        """Take what entered and what was made of it; returns at once."""
        marks = [mark for record in outcome.records if (mark := self._mark_of(record)) is not None]
        self._waiting.add([*packets, *marks])
        if marks:
            self._wake.set()

    def end(self, at_s: float) -> None:
        """Note to which tick this run was watched: a replay stops there too."""
        self._waiting.add([Packet(BOX, END, at_s, b"{}")])

    def nudge(self) -> None:
        """Try again now: a key can be had, or a disk was mended."""
        self._retry_s = 0.0
        self._wake.set()

    def stand_aside(self, for_s: float, wait_s: float) -> bool:
        """Close the vault for another program, at most so long; packets wait meanwhile.

        Blocks; false: it could not be closed within `wait_s`, and goes on.
        """
        self._away.clear()
        self._aside_until_s = self._clock().boot_s + for_s
        self._wake.set()
        if self._away.wait(wait_s):
            return True
        self._aside_until_s = None
        return False

    def stay_aside(self, for_s: float) -> bool:
        """Stay so a while longer; false: it has gone on already."""
        if self._aside_until_s is None:
            return False
        self._aside_until_s = self._clock().boot_s + for_s
        return True

    def come_back(self) -> None:
        """Go on after `stand_aside`, with the keys there are now."""
        self._aside_until_s = None
        self.nudge()

    def close(self, limit_s: float) -> bool:
        """Write what waits, and end the vault in order; false: the disk hangs."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is None:
            return True
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def report(self) -> VaultState:
        """Return how the vault goes."""
        ring, writer = self._ring, self._writer
        n_waiting = len(self._waiting)
        if writer is not None:
            n_waiting += writer.n_taken - writer.n_written
        trouble, kind, failing_s = self._trouble, self._kind, self._failing_s
        if failing_s is None and self._key_failing_s is not None:
            trouble, kind, failing_s = self._key_trouble, KEY, self._key_failing_s
        return VaultState(
            folder=str(self.folder),
            trouble=trouble,
            kind=kind,
            failing_s=failing_s,
            n_waiting=n_waiting,
            n_dropped=self._waiting.n_dropped,
            n_failures=self._n_failures,
            synced_s=None if writer is None else writer.synced_s,
            busy_s=self._busy_s,
            aside=self._aside_until_s is not None,
            protection=None if ring is None else ring.protection.value,
            sentence="" if ring is None else ring.sentence,
            measured=self._measured,
        )

    def _mark_of(self, record: Record) -> Mark | None:
        """Return what an alert asks for, once for each priority it has."""
        if not isinstance(record, Alert) or record.state not in _RAISED:
            return None
        name = record.id, record.priority
        if name in self._marked:
            return None
        self._marked[name] = None
        if len(self._marked) > MAX_MARKED:
            self._marked.popitem(last=False)
        why = f"{record.priority} {record.rule} {record.id}"
        return Mark(record.at_s, why, record.priority is Priority.HIGH)

    # --- in the thread -----------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._closing:
            self._turn()
            self._wake.wait(TURN_S)
            self._wake.clear()
        self._retry_s, self._aside_until_s = 0.0, None
        self._turn()
        self._let_go()
        if n := len(self._waiting):
            _log.error("the vault ends without these packets", n_packets=n)

    def _turn(self) -> None:
        """Write what waits, where that is possible; never raises."""
        now_s = self._clock().boot_s
        self._busy_s = now_s
        try:
            if not self._is_aside(now_s) and now_s >= self._retry_s:
                self._write(now_s)
                self._works()
        except KeysError as error:
            self._fails(KEY, str(error), now_s)
        except (LogError, OSError) as error:
            self._fails(WRITE, str(error), now_s)
        except Exception as error:  # noqa: BLE001  # of ours: it must not cost the run
            _log.exception("the vault is broken")
            self._fails(WRITE, f"it failed ({error!r}); see the log", now_s)
            self._let_go()
        finally:
            self._busy_s = None

    def _is_aside(self, now_s: float) -> bool:
        until_s = self._aside_until_s
        if until_s is None:
            return False
        if now_s >= until_s:
            _log.warning("whoever asked for the vault has not given it back")
            self._aside_until_s = None
            return False
        if not self._away.is_set():
            if self._writer is not None:
                self._feed(self._writer)
            self._let_go()
            self._ring = None  # when we come back, another key may be in force
            self._away.set()
        return True

    def _write(self, now_s: float) -> None:
        if self._writer is not None and self._failing_s is not None and not self.folder.is_dir():
            self._let_go()  # somebody took it away: begin another
        writer = self._opened()
        if self._failing_s is not None:
            writer.flush(durable=True)  # what failed is what has to work again
        self._feed(writer)
        writer.tend(now_s)
        for message in writer.messages:
            _log.warning("the vault is not whole", found=message)
        writer.messages.clear()
        self._look(writer, now_s)

    def _opened(self) -> VaultWriter:
        if self._writer is None:
            self._ring = self.keyring.ring()
            self._writer = VaultWriter(
                self.folder, self._ring, self._clock, self._bounds, self._standing
            )
            self._looked_s = -LOOK_S
        return self._writer

    def _feed(self, writer: VaultWriter) -> None:
        while (item := self._waiting.next()) is not None:
            n_taken = writer.n_taken
            try:
                self._put(writer, item)
            except Exception:
                # What the writer has taken waits in it, though the disk refuses.
                if writer.n_taken == n_taken:
                    self._waiting.put_back(item)
                raise

    def _put(self, writer: VaultWriter, item: Item | Gap) -> None:
        match item:
            case Gap():
                self._standing.note_all(item.told)
                item.told = []
                writer.leave_out(item.from_s, item.to_s, DROPPED)
                _log.error("packets are missing in the vault", n_packets=item.n)
            case Mark(urgent=True):
                writer.hurry(item.at_s, item.why)
            case Mark():
                writer.pin(item.at_s, item.why)
                writer.flush()
            case _:
                try:
                    writer.append(item)
                except RefusedError as error:
                    _log.error("a packet is not kept", error=str(error))
                    self._waiting.give_up(item)

    def _let_go(self) -> None:
        """Close the writer; what it could not write is given up, and said to be."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except (LogError, OSError) as error:
            n_lost = writer.n_taken - writer.n_written
            _log.error("the vault could not be closed", error=str(error), n_packets=n_lost)
            if n_lost:
                now_s = self._clock().boot_s
                self._waiting.lost(n_lost, self._worked_s or now_s, now_s)

    def _look(self, writer: VaultWriter, now_s: float) -> None:
        if now_s - self._key_looked_s >= KEY_LOOK_S and self._ring is not None:
            self._key_looked_s = now_s
            self._key_trouble = self.keyring.lost(self._ring)
            if not self._key_trouble:
                self._key_failing_s = None
            elif self._key_failing_s is None:
                self._key_failing_s = now_s
                _log.error("the key of the vault is gone", error=self._key_trouble)
        if now_s - self._looked_s >= LOOK_S and writer.n_written:
            self._looked_s = now_s
            self._measured = measured(self.folder, self._bounds)

    def _works(self) -> None:
        if self._failing_s is not None or self._worked_s is None:
            _log.info("raw packets are kept", folder=str(self.folder))
        self._trouble, self._kind, self._failing_s = "", "", None
        self._wait_s, self._worked_s = RETRY_S, self._clock().boot_s

    def _fails(self, kind: str, why: str, now_s: float) -> None:
        if self._trouble != why:
            _log.error("raw packets are not kept", error=why)
        self._trouble, self._kind = why, kind
        self._n_failures += 1
        if self._failing_s is None:
            self._failing_s = now_s
        self._retry_s = now_s + min(self._wait_s, KEY_RETRY_S if kind == KEY else MAX_RETRY_S)
        self._wait_s = min(2.0 * self._wait_s, MAX_RETRY_S)
