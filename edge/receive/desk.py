"""Messages of boxes -> one transaction -> receipts, in a thread of its own.

What has come while the last transaction was written goes into the next: one box alone waits for
nobody, ten thousand share one write. The receipt is signed when the write is over.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.receive.arrivals import Arrived, Facts, arrived
from edge.receive.store import Kept, Store, StoreError
from edge.sync import wire

MAX_WAITING: Final = 1_000
MAX_BATCH: Final = 200
RETRY_S: Final = 1.0

_log = structlog.get_logger("receive")


class Task:
    """One message on its way through.

    Parameters
    ----------
    box, kind : str
        Who it is from, and what it should be (empty: whatever it says).
    done : Callable
        Called in the desk's thread with the signed receipt, once all is stored; with empty bytes
        where there is nothing to answer (a heartbeat, or what is no message at all).
    failed : Callable
        Called where it cannot be stored, and never will be.
    """

    def __init__(
        self,
        box: str,
        kind: str,
        body: bytes,
        done: Callable[[bytes], None],
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self.box, self.kind, self.body = box, kind, body
        self.done, self.failed = done, failed


class Desk:
    """Stores what comes and answers it.

    Parameters
    ----------
    store : Store
        Used by the desk's thread alone from now on.
    key : Ed25519PrivateKey
        Signs the receipts.
    wall_s : Callable
        Seconds since 1970.
    told : Callable
        Is shown every message that was stored, and what became of it.
    troubled : Callable
        Is told why the store does not work, and (empty) that it does again.
    """

    def __init__(
        self,
        store: Store,
        key: Ed25519PrivateKey,
        wall_s: Callable[[], float],
        *,
        facts: Facts | None = None,
        told: Callable[[Arrived, Kept], None] = lambda _, __: None,
        troubled: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store, self._key, self._wall_s = store, key, wall_s
        self._facts, self._told, self._troubled = facts, told, troubled
        self._tasks: queue.Queue[Task | None] = queue.Queue(MAX_WAITING)
        self._ended = threading.Event()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, task: Task, wait_s: float = 0.0) -> bool:
        """Take a message; return False where too much waits already."""
        try:
            self._tasks.put(task, block=wait_s > 0.0, timeout=wait_s or None)
        except queue.Full:
            return False
        return True

    def end(self) -> None:
        """Finish what is being stored, and end; what waits was never answered, and comes again."""
        self._ended.set()
        if self._tasks.empty():
            self.put_nothing()
        self._thread.join(30.0)

    def put_nothing(self) -> None:
        """Wake the thread up."""
        if not self._tasks.full():
            self._tasks.put_nowait(None)

    def _run(self) -> None:
        while not self._ended.is_set():
            first = self._tasks.get()
            tasks = [] if first is None else [first]
            while len(tasks) < MAX_BATCH:
                try:
                    more = self._tasks.get_nowait()
                except queue.Empty:
                    break
                if more is not None:
                    tasks.append(more)
            if tasks and not self._ended.is_set():
                self._deal_with(tasks)

    def _deal_with(self, tasks: Sequence[Task]) -> None:
        now_s = self._wall_s()
        good: list[tuple[Task, Arrived]] = []
        for task in tasks:
            try:
                envelope = wire.opened(task.body, task.box, task.kind)
            except wire.WireError as error:
                _log.warning("not taken", box=task.box, why=str(error))
                task.done(b"")  # it comes no better another time
                continue
            good.append((task, arrived(envelope, now_s, self._facts)))
        if good:
            self._keep(good)

    def _keep(self, good: Sequence[tuple[Task, Arrived]]) -> None:
        while not self._ended.is_set():
            try:
                kept = self._store.keep([what for _, what in good])
            except StoreError as error:
                if not error.again:
                    self._keep_alone(good, error)
                    return
                self._say(str(error))
                self._ended.wait(RETRY_S)
                continue
            self._say("")
            for (task, what), one in zip(good, kept, strict=True):
                self._told(what, one)
                task.done(self._receipt(what, one))
            return

    def _keep_alone(self, good: Sequence[tuple[Task, Arrived]], error: StoreError) -> None:
        """Find the message that the store does not take: the others are not to suffer for it."""
        if len(good) > 1:
            for one in good:
                self._keep([one])
            return
        task, _ = good[0]
        _log.error("the store does not take a message", box=task.box, why=str(error))
        task.failed()

    def _receipt(self, what: Arrived, kept: Kept) -> bytes:
        if not kept.receipt.stored and not kept.receipt.refused:
            return b""
        now = datetime.fromtimestamp(self._wall_s(), UTC)
        return wire.sign(what.box, kept.receipt, now, self._key)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._troubled(trouble)
