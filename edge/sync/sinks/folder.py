"""A folder: a stick or a share that somebody has mounted, for where there is never a network.

Every message becomes one file of JSON lines in ``PATH/homeward-BOX/``, written beside, synced,
renamed and synced again; then it is read back from the medium and compared, and that is the
receipt. Names begin with the entries' numbers, so the folder sorts as the record goes.

    box.json                              who writes here: box, medium, public key
    000000000042-alert-0123456789ab.jsonl one message

Each line but the last is an envelope (`edge.sync.wire`) with one entry; the last one is
``{"ed25519": BASE64}``, the signature of all bytes before it by the key of `box.json`, made here
at the first message and kept in the box's sync folder. Where the box is enrolled, `box.json` holds
its certificate and, signed with the certificate's key, the words that this public key is its own.

The medium is known again by a number in `box.json`. Where it is not mounted the folder is an empty
one on the box's own card, and nothing is written there. A request to delete is carried out here:
lines are taken out, and what is left is signed anew.

A share that has gone can hang whoever touches it, and no signal ends that. All of it is done in a
thread that is left behind after `SEND_S`; no second one is begun beside it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge.egress.allowed import Content
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.egress.outbox import MAX_HANDED
from edge.sync import SyncError, wire
from edge.sync.medium import Medium, MediumError
from edge.sync.parcel import Item, Parcel, Receipt
from edge.sync.posting import MAX_RECEIPTS, fitting
from edge.sync.signed_lines import SignatureError, Signer
from edge.sync.sinks import SEND_S, Place, Sink, SinkError

_PATIENCE_S: Final = SEND_S - 5.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder on a stick or a share."""

    path: Annotated[
        Path | None, Meta(description="Where the stick or the share is mounted; it must exist.")
    ] = None
    same_disk: Annotated[
        bool,
        Meta(
            description="It is no medium of its own but a folder of this machine; fills its disk."
        ),
    ] = False
    keep_free_mb: Annotated[
        float, Meta(ge=0.0, le=1e6, description="Stops when less than this would be left free.")
    ] = 16.0


class Folder:
    """One folder.

    Raises
    ------
    SyncError
        No path is given, or the key cannot be used.
    """

    def __init__(self, settings: Settings, place: Place) -> None:
        if settings.path is None:
            raise SyncError(
                f"[[sinks]] {place.name}: path is missing: write where the stick or the share is "
                f'mounted, path = "/mnt/stick"'
            )
        self._place = place
        try:
            self._signer = Signer(place.sync_dir)
        except SignatureError as error:
            raise SyncError(f"[[sinks]] {place.name}: {error}") from error
        self._medium = Medium(
            settings.path,
            place.sync_dir / f"folder-{place.name}.json",
            place.data_dir,
            self._signer,
            keep_free_bytes=int(settings.keep_free_mb * 1e6),
            same_disk=settings.same_disk,
        )
        self._idle = threading.Event()
        self._idle.set()
        self.host = "localhost"  # this machine: no network is needed, and none is waited for
        self.uses_tls = False
        self.window = MAX_HANDED
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue(MAX_RECEIPTS)

    def pack(self, kind: Content, items: Sequence[Item]) -> Parcel:
        """Return a file; a request to delete goes alone, for it is carried out."""
        if kind is Content.ERASE:
            items = items[:1]
        fit, body = fitting(items, self._lines)
        return Parcel(kind, fit, body)

    def _lines(self, items: Sequence[Item]) -> bytes:
        box = self._place.box()
        try:
            return self._signer.signed([wire.pack(box, [item], None)[0] for item in items])
        except wire.WireError as error:
            raise SinkError(str(error), refused=True) from error

    async def send(self, parcel: Parcel) -> None:
        """Write it, and read it back."""
        if self.receipts.full():
            raise SinkError("receipts are not taken: nothing more is written until they are")
        box = self._place.box()
        if not wire.is_box(box):
            raise SinkError("the monitor has not said yet what the box is called")
        first = parcel.items[0]
        name = f"{first.handed.seq:012d}-{parcel.kind.value}"
        gone = first.handed.erase.uuids if first.handed.erase is not None else ()

        def work() -> None:
            self._medium.write(box, name, parcel.body)
            if gone:
                self._medium.erase(box, gone)

        await self._in_time(work)
        self.receipts.put_nowait(Receipt(dict.fromkeys((i.uuid for i in parcel.items), "")))

    async def _in_time(self, work: Callable[[], None]) -> None:
        if not self._idle.is_set():
            raise SinkError(f"{self._medium.path} still hangs: is the share there?", arrived=True)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def run() -> None:
            problem: Exception | None = None
            try:
                work()
            except Exception as error:  # noqa: BLE001  # told to whoever waits
                problem = error
            self._idle.set()
            _tell(loop, done, problem)

        self._idle.clear()
        threading.Thread(target=run, name="folder", daemon=True).start()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await done
        except TimeoutError as error:
            raise SinkError(
                f"{self._medium.path} hangs: is the share there?", arrived=True
            ) from error
        except MediumError as error:
            raise SinkError(str(error), arrived=error.arrived) from error
        except SignatureError as error:
            raise SinkError(str(error)) from error

    def state_message(self, what: HeartbeatOut | Sequence[NumbersOut]) -> Parcel | None:
        """Return None: a folder that says how the box was is of no use to anybody."""
        del what
        return None

    async def send_state(self, parcel: Parcel) -> None:
        """Say so."""
        del parcel
        raise SinkError("a folder is not told how the box is", refused=True)

    def certificate_s(self) -> float | None:
        """Return None: nothing is judged by it here."""
        return None

    async def close(self) -> None:
        """Nothing is kept open."""


def _tell(
    loop: asyncio.AbstractEventLoop, done: asyncio.Future[None], problem: Exception | None
) -> None:
    def tell() -> None:
        if done.done():
            return
        if problem is None:
            done.set_result(None)
        else:
            done.set_exception(problem)

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:  # the sender has ended meanwhile
        return


SINK = Sink("folder", Settings, Folder, frozenset({"alerts", "summaries"}))
