"""One destination and all that is known of it: what its parts share, and how it is told."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import structlog

from edge.config.sync import Sync
from edge.control.syncing import SinkState
from edge.egress.allowed import ALLOWED, Content
from edge.egress.outbox import Handed, Queue, SyncBoard
from edge.sync.budget import Budget
from edge.sync.follower import Desk
from edge.sync.gates import Gates
from edge.sync.network import Routes
from edge.sync.opening import Destination
from edge.sync.parcel import Resource
from edge.sync.policy import Ways
from edge.sync.sinks import SinkError
from edge.sync.underway import MAX_WINDOW, UnderWay
from edge.sync.witness import Witness

MEGABYTE: Final = 1_000_000
SILENT: Final = (
    "messages go out and no receipt comes back: is `homeward receive` running there, and is its "
    "key the one this box knows?"
)

_log = structlog.get_logger("sync")


class Common(msgspec.Struct):
    """What all destinations share.

    Attributes
    ----------
    chance : Callable
        Draws from 0 to 1.
    content : Callable
        An entry as FHIR resources.
    tell : Callable
        Told of each event, as plain values, for ``--json``.
    up_s : float
        How long ago the machine was started, when the sender was.
    at_once : bool
        A person waits: nothing is held back for more, and nobody else's turn is waited for.
    """

    settings: Sync
    desk: Desk
    witness: Witness
    budget: Budget
    now_s: Callable[[], float]
    chance: Callable[[], float]
    content: Callable[[Handed], tuple[Resource, ...]]
    tell: Callable[[Mapping[str, Any]], None] = lambda _: None
    up_s: float = math.inf
    at_once: bool = False


class Post:
    """One destination.

    Parameters
    ----------
    to : Destination
        Which.
    common : Common
        What it shares with the others.

    Attributes
    ----------
    board, queue : SyncBoard | None, Queue | None
        The monitor, and what waits here; None: not known.
    gates, under_way, turn : Gates, UnderWay, asyncio.Lock
        What keeps it from being tried; what was sent; one message at a time.
    trouble, quiet : str
        Why it does not work; why nothing is tried although something waits.
    pause_s, limit, careful : float, int, set[str]
        Until when nothing is tried for a reason on this side; how many entries are asked for at a
        time; entries that go one by one, because they were refused together.
    n_sent, n_settled, n_rejected, progress_s : int, float
        Entries since the start, and when the last of them came on.
    """

    def __init__(self, to: Destination, common: Common) -> None:
        self.to, self.common = to, common
        self.board: SyncBoard | None = None
        self.queue: Queue | None = None
        self.routes: Routes | None = None
        self.gates, self.under_way = Gates(common.now_s()), UnderWay(MAX_WINDOW)
        self.turn, self.wake = asyncio.Lock(), asyncio.Event()
        self.trouble = self.quiet = ""
        self.pause_s, self.limit = 0.0, 1
        self.careful: set[str] = set()
        self.n_sent = self.n_settled = self.n_rejected = self.n_refused = 0
        self.progress_s = self._since_s = common.now_s()
        self._sent_s: float | None = None
        self._received_s: float | None = None

    def state(self) -> SinkState:
        """Return how it is, as the monitor is told."""
        opened = self.to.opened
        return SinkState(
            self.to.name,
            self.to.sink,
            not self.trouble,
            self._since_s,
            self.trouble[:300],
            self._sent_s,
            self._received_s,
            opened.certificate_s() if opened is not None else None,
            self.quiet[:200],
            self.common.budget.n_bytes.get(self.to.name, 0),
            self.under_way.n_forged + getattr(opened, "n_forged", 0),
        )

    def takes(self, kind: Content) -> bool:
        """Return whether people let a kind leave, as far as is known here."""
        consent = ALLOWED[kind].consent
        withheld = () if self.board is None else self.board.withheld
        return consent is None or consent.value not in withheld

    def ways(self, host: str, takes: frozenset[Content] = frozenset()) -> Ways:
        """Return what bounds what leaves now."""
        settings = self.common.settings
        return Ways(
            settings.batch_s,
            self.common.budget.spent(settings.budget_mb_per_day * MEGABYTE),
            self.routes is not None and self.routes.metered(host, settings.metered),
            self.common.at_once,
            takes,
        )

    def went_out(self) -> None:
        """Take that the transport took something."""
        self._sent_s = self.progress_s = self.common.now_s()
        self.gates.backoff.worked()
        if self.trouble != SILENT:
            self.works()

    def came_back(self, n: int) -> None:
        """Take that a receipt settled so many."""
        self._received_s = self.progress_s = self.common.now_s()
        self.n_settled += n
        self.n_refused = 0
        self.works()
        self.wake.set()

    def failed(self, error: SinkError) -> None:
        """Take that something did not go out: all begins again later, with one to find out."""
        why = self.to.scrub(str(error))[:300]
        now_s, common = self.common.now_s(), self.common
        self.under_way.begin_again()
        self.careful.clear()
        self.limit = 1
        wait_s = self.gates.backoff.failed(now_s, common.chance(), error.retry_after_s)
        self.works_not(why)
        self.tell("failed", why=why, again_s=round(wait_s, 1))
        _log.warning("not sent", sink=self.to.name, reason=why, again_s=round(wait_s, 1))

    async def set_aside(self, uuid: str, why: str) -> None:
        """Have one entry set aside; raises as `edge.sync.follower.Desk` does."""
        why = self.to.scrub(why) or "refused, without a reason"
        await self.common.desk.reject(self.to.name, uuid, why)
        self.careful.discard(uuid)
        self.under_way.done((uuid,))
        self.n_rejected += 1
        self.progress_s = self.common.now_s()
        self.tell("rejected", uuid=uuid, why=why)

    def works(self) -> None:
        """Take that nothing is wrong with it."""
        if self.trouble:
            self.trouble, self._since_s = "", self.common.now_s()

    def works_not(self, why: str) -> None:
        """Take that something is."""
        if not self.trouble:
            self._since_s = self.common.now_s()
        self.trouble = why

    def tell(self, record: str, **what: object) -> None:
        """Tell of an event."""
        self.common.tell({"record": record, "sink": self.to.name, **what})
