"""What the sender meets, small: a monitor that holds an outbox, and a far end with faults."""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import NAMESPACE_URL, uuid5

import msgspec

from edge.clock import TimeQuality
from edge.config.sync import Sink as SinkSettings
from edge.config.sync import Sync
from edge.control import WITHHELD, Became, ControlError, Leaves, Request
from edge.control.asking import AwayError
from edge.control.syncing import (
    SyncBeat,
    SyncFetch,
    SyncNumbers,
    SyncReject,
    SyncSettle,
    SyncState,
    SyncWait,
)
from edge.egress.alert import AlertOut
from edge.egress.allowed import ALLOWED, Content
from edge.egress.messages import EraseOut, HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.egress.outbox import Hand, Handed, Queue, SyncBoard
from edge.egress.summary import SummaryOut
from edge.records import AlertState, Kind, Priority
from edge.sync.budget import Budget
from edge.sync.follower import Desk
from edge.sync.network import Route, Routes
from edge.sync.opening import Destination
from edge.sync.parcel import Item, Parcel, Receipt, Resource
from edge.sync.post import Common
from edge.sync.sender import Sender
from edge.sync.sinks import Place, Sink, SinkError
from edge.sync.underway import digest_of
from edge.sync.witness import Witness

SINK = "clinic"
_T = TypeVar("_T")
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class _Selector(selectors.DefaultSelector):
    """Does not wait: time passes instead."""

    passes: Callable[[float], None] = staticmethod(lambda _: None)

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("nothing will ever happen again")
        if not found and timeout:
            self.passes(timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes as soon as there is nothing to do: hours in no time, the same each time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = _Selector()
        selector.passes = self._pass  # type: ignore[method-assign]
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s

    def _pass(self, seconds: float) -> None:
        self.now_s += seconds


def run_virtual(scenario: Coroutine[Any, Any, _T]) -> _T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario)


def entry_uuid(seq: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"entry-{seq}"))


def an_alert(seq: int, *, urgent: bool = False) -> Handed:
    out = AlertOut(
        entry_uuid(seq),
        "box-1",
        "p-1",
        f"alert-{seq}",
        1,
        "low_spo2",
        "low SpO2",
        Kind.PHYSIOLOGICAL,
        Priority.HIGH if urgent else Priority.MEDIUM,
        AlertState.ACTIVE,
        WHEN,
        WHEN,
        TimeQuality.SYNCED,
        "SpO2 is low",
    )
    return Handed(out.uuid, seq, alert=out)


def a_summary(seq: int) -> Handed:
    out = SummaryOut(entry_uuid(seq), "box-1", "p-1", WHEN, TimeQuality.SYNCED, 60.0, 80, 0, 0)
    return Handed(out.uuid, seq, summary=out)


def an_erasure(seq: int) -> Handed:
    return Handed(entry_uuid(seq), seq, erase=EraseOut(entry_uuid(seq), (entry_uuid(1),), WHEN))


def kind_of(handed: Handed) -> str:
    if handed.alert is not None:
        return "alert"
    return "summary" if handed.summary is not None else "erase"


class Monitor:
    """An outbox for one sink, and the ledger: what the sender's socket answers."""

    def __init__(self, entries: Sequence[Handed] = ()) -> None:
        self.entries = {one.uuid: one for one in entries}
        self.settled: dict[str, float] = {}
        self.rejected: dict[str, str] = {}
        self.left: list[Any] = []
        self.became: Counter[str] = Counter()
        self.state: SyncState | None = None
        self.withheld: tuple[str, ...] = ()
        self.quality: TimeQuality | None = TimeQuality.SYNCED
        self.change = 1
        self.away = False
        self.no = ""
        self.n_fetched = 0
        self.known: Callable[[str], bool] = lambda _: True
        """Whether the far end holds an entry: asked when it is settled."""
        self.n_baseless = 0
        self._changed = asyncio.Event()

    def add(self, *entries: Handed) -> None:
        self.entries |= {one.uuid: one for one in entries}
        self.moved()

    def moved(self) -> None:
        self.change += 1
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> list[Handed]:
        done = {*self.settled, *self.rejected}
        found = [one for uuid, one in self.entries.items() if uuid not in done]
        return sorted(found, key=lambda one: one.seq)

    def board(self) -> SyncBoard:
        kinds = Counter(kind_of(one) for one in self.waiting)
        queue = Queue(
            SINK,
            sum(_urgent(one) for one in self.waiting),
            kinds["alert"],
            kinds["summary"],
            kinds["erase"],
            1.0 if kinds["alert"] else None,
            len(self.rejected),
        )
        return SyncBoard(
            self.change, "run", "boot", "box-1", 1.0, self.quality, self.withheld, (queue,)
        )

    async def answer(self, request: Request) -> Any:
        match request:
            case SyncWait():
                return await self._wait(request)
            case SyncFetch():
                return self._fetch(request)
            case SyncSettle():
                self.n_baseless += sum(not self.known(uuid) for uuid in request.uuids)
                assert self.entries.keys() >= {*request.uuids}
                self.settled |= dict.fromkeys(request.uuids, 0.0)
                self.moved()
            case SyncReject():
                self.rejected[request.uuid] = request.why
                self.moved()
            case Leaves():
                self._leaves(request)
            case Became():
                self.became[request.stage] += 1
            case SyncState():
                self.state = request
            case _:
                return _how_it_is(request)
        return {}

    def _leaves(self, request: Leaves) -> None:
        consent = ALLOWED[request.what.kind].consent
        if consent is not None and consent.value in self.withheld:
            raise ControlError(f"{WITHHELD}consent to {consent.value} is off")
        if self.no:
            raise ControlError(self.no)
        self.left.append(request.what)

    async def _wait(self, request: SyncWait) -> SyncBoard:
        if request.after == self.change:
            try:
                async with asyncio.timeout(request.wait_s):
                    await self._changed.wait()
            except TimeoutError:
                pass
        return self.board()

    def _fetch(self, request: SyncFetch) -> Hand:
        self.n_fetched += 1
        found = [one for one in self.waiting if kind_of(one) == request.kind]
        found = [one for one in found if one.uuid not in request.but]
        early = [one for one in found if _urgent(one)][::-1][:10]
        early = [
            msgspec.structs.replace(one, early=True)
            for one in early
            if any(other.seq < one.seq and not _urgent(other) for other in found)
        ]
        names = {one.uuid for one in early}
        rest = [one for one in found if one.uuid not in names and one.seq > request.after]
        return Hand(tuple([*early, *rest][: request.limit]))


def _how_it_is(request: Request) -> Any:
    quality = TimeQuality.SYNCED
    match request:
        case SyncBeat():
            return HeartbeatOut("u", "box-1", "1", "m", WHEN, quality, 1.0, True, 1, 0, 0, 50.0)
        case SyncNumbers():
            return (NumbersOut("box-1", "p-1", WHEN, quality, True, None, 0),)
        case _:
            raise ControlError("not for you")


def _urgent(one: Handed) -> bool:
    return one.alert is not None and one.alert.priority is Priority.HIGH


class Wire:
    """A line to the monitor without a socket: JSON both ways all the same."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    async def ask(self, request: Request, wait_s: float = 0.0) -> Any:
        del wait_s
        if self._monitor.away:
            raise AwayError("nobody is there")
        told = msgspec.json.decode(msgspec.json.encode(request), type=type(request))
        answer = await self._monitor.answer(told)
        return msgspec.json.decode(msgspec.json.encode(answer))

    def close(self) -> None:
        """Hang up."""


def desk_of(monitor: Monitor) -> Desk:
    desk = Desk(Path("nowhere"))
    wire: Any = Wire(monitor)
    desk.leaving = desk.telling = desk._boards = desk._marks = wire
    return desk


class FarEnd:
    """A sink and its receiver in one; each message meets the next fault.

    Faults, one a message: ``ok``; ``lost``: it did not arrive, and that is known; ``unclear``: it
    arrived, and that is not known; ``vanished``: it did not arrive, and that is not known;
    ``hang``; ``late``, ``never``, ``twice``, ``partly``: of the receipt; ``forged``; ``unknown``.
    """

    host = "clinic.example"
    uses_tls = False

    def __init__(self, faults: Sequence[str] = (), window: int = 40, n_fit: int = 7) -> None:
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue(100)
        self.window, self._n_fit = window, n_fit
        self._faults: Iterator[str] = iter(faults)
        self.held: dict[str, str] = {}
        self.first: list[tuple[str, int, bool]] = []
        self.messages: list[list[int]] = []
        self.tries_s: list[float] = []
        self.states: list[Content] = []
        self.never: set[str] = set()
        """What it refuses for good."""
        self.down = False
        self.closed = False

    def pack(self, kind: Content, items: Sequence[Item]) -> Parcel:
        taken = tuple(items[: self._n_fit])
        body = msgspec.json.encode([item.uuid for item in taken])
        return Parcel(kind, taken, body)

    async def send(self, parcel: Parcel) -> None:
        self.tries_s.append(asyncio.get_running_loop().time())
        if self.down:
            raise SinkError("nobody answers")
        bad = [item.uuid for item in parcel.items if item.uuid in self.never]
        if bad:
            raise SinkError("422", refused=True)
        fault = next(self._faults, "ok")
        if fault == "hang":
            await asyncio.sleep(1000.0)
        if fault == "lost":
            raise SinkError("the connection was lost")
        if fault == "vanished":
            return
        self._store(parcel)
        if fault == "unclear":
            raise SinkError("no answer came", arrived=True)
        asyncio.get_running_loop().create_task(self._receipt(parcel, fault))

    def _store(self, parcel: Parcel) -> None:
        self.messages.append([item.handed.seq for item in parcel.items])
        for item in parcel.items:
            if item.uuid not in self.held:
                self.held[item.uuid] = digest_of(item)
                self.first.append((kind_of(item.handed), item.handed.seq, item.handed.early))

    async def _receipt(self, parcel: Parcel, fault: str) -> None:
        stored = {item.uuid: self.held[item.uuid] for item in parcel.items}
        if fault == "late":
            await asyncio.sleep(70.0)
        if fault == "never":
            return
        if fault == "partly":
            stored = dict([*stored.items()][::2])
        if fault == "forged":
            stored = dict.fromkeys(stored, "0" * 64)
        if fault == "unknown":
            stored = {entry_uuid(10_000): "0" * 64}
        for _ in range(2 if fault == "twice" else 1):
            await self.receipts.put(Receipt(stored))

    def state_message(self, what: Any) -> Parcel | None:
        kind = Content.HEARTBEAT if isinstance(what, HeartbeatOut) else Content.NUMBERS
        return Parcel(kind, (), msgspec.json.encode(what))

    async def send_state(self, parcel: Parcel) -> None:
        if self.down:
            raise SinkError("nobody answers")
        self.states.append(parcel.kind)

    def certificate_s(self) -> float | None:
        return None

    async def close(self) -> None:
        self.closed = True


class Trusting(FarEnd):
    """The control: what its transport took counts as stored, as with a broker's acknowledgement."""

    async def send(self, parcel: Parcel) -> None:
        await super().send(parcel)
        await self.receipts.put(Receipt({item.uuid: "" for item in parcel.items}))


def words_of(handed: Handed) -> tuple[Resource, ...]:
    return ({"id": handed.uuid, "seq": handed.seq},)


def destination(
    far: FarEnd, content: Sequence[Any] = ("alerts", "summaries"), folder: Path = Path("nowhere")
) -> Destination:
    class Options(msgspec.Struct, frozen=True):
        pass

    def opening(settings: Any, place: Place) -> Any:
        del settings, place
        return far

    takes = frozenset({"alerts", "summaries", "heartbeats", "numbers"})
    settings = SinkSettings(sink="far", name=SINK, content=tuple(content), settings=Options())
    return Destination(settings, Sink("far", Options, opening, takes), folder)


class Scene:
    """A monitor, a far end, and the sender between them, in virtual time."""

    def __init__(self, monitor: Monitor, far: FarEnd, **more: Any) -> None:
        self.monitor, self.far = monitor, far
        self.events: list[dict[str, Any]] = []
        self.now_s = asyncio.get_running_loop().time
        self.desk = desk_of(monitor)
        self.witness = Witness(self.desk.leaving, self.desk.telling, self.now_s)
        content = more.pop("content", ("alerts", "summaries"))
        self.common = Common(
            more.pop("settings", Sync(batch_s=10.0)),
            self.desk,
            self.witness,
            Budget(),
            self.now_s,
            more.pop("chance", lambda: 0.5),
            words_of,
            lambda event: self.events.append(dict(event)),
            **more,
        )
        self.sender = Sender(destination(far, content), self.common)
        self.sender.network(routes())
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        work = [self._follow(), self.sender.run(), self.witness.run()]
        self._tasks = [loop.create_task(one) for one in work]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until(self, condition: Callable[[], Any], limit_s: float = 7200.0) -> float:
        """Return how long it took."""
        began_s = self.now_s()
        while not condition():
            for task in self._tasks:
                if task.done():
                    task.result()
            if self.now_s() - began_s > limit_s:
                raise AssertionError(f"it did not happen within {limit_s} s: {self.events[-5:]}")
            await asyncio.sleep(0.25)
        return self.now_s() - began_s

    async def _follow(self) -> None:
        change = -1
        while True:
            try:
                board = await self.desk.board(change)
            except AwayError:
                self.sender.look(None)
                change = -1
                await asyncio.sleep(1.0)
                continue
            change = board.change
            self.sender.look(board)


def routes(interface: str = "eth0", gateway: bool = True) -> Routes:
    found = [Route(IPv4Network("192.168.1.0/24"), interface, 0)]
    if gateway:
        found.append(Route(IPv4Network("0.0.0.0/0"), interface, 100))
    return Routes(found)
