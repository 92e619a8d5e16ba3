"""One destination, served until the end: sends what waits, learns what became of it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final, Literal, TypeAlias

import structlog

from edge.config import Notice
from edge.control import WITHHELD, Delivered, Way
from edge.egress import EgressError
from edge.egress.consent import Switch
from edge.egress.messages import NoticeOut, TestOut
from edge.notices import content
from edge.notices.channels import SEND_S, Opened, SendError
from edge.notices.content import ALERTING, Item
from edge.notices.memory import Memory, MemoryFile, Token
from edge.notices.waiting import Waiting
from edge.notices.witness import WithheldError, Witness

Stage: TypeAlias = Literal["queued", "sent", "received", "failed"]

PROBE_S: Final = 300.0
"""A way that can be asked is asked this often, so that it is known to work before it must."""
REPLY_S: Final = 20.0
"""ntfy.sh bears a question every 5 s from one house, over all its topics."""
REPLY_SLOW_S: Final = 120.0
REPLY_SOON_S: Final = 600.0
"""For so long after a notice an answer is looked for every `REPLY_S`; later less often."""
PROBE_SOONEST_S: Final = 10.0
"""After a failure a way is asked again after so long, then twice as long each time."""
REPLY_LONG_S: Final = 12 * 3600.0

_log = structlog.get_logger("notify")


class Sender:
    """Serves one destination.

    Parameters
    ----------
    way : Notice
        As configured.
    opened : Opened | None
        Its channel; None: it cannot be used, for the reason `trouble` gives.
    buttons : dict[str, bool]
        What a notice may carry, and whether pressing it acknowledges.
    memory : Memory
        What waited before; kept up to date.
    file : MemoryFile
        Where the memory is kept.
    now_s, chance : Callable
        Boot clock; uniform in 0..1.
    witness : Witness
        Is told of everything that is sent, and sends it.
    scrub : Callable
        Takes the address out of a text.
    """

    def __init__(  # noqa: PLR0913  # each is another's
        self,
        way: Notice,
        opened: Opened | None,
        buttons: dict[str, bool],
        memory: Memory,
        file: MemoryFile,
        now_s: Callable[[], float],
        witness: Witness,
        *,
        chance: Callable[[], float],
        scrub: Callable[[str], str] = str,
        trouble: str = "",
    ) -> None:
        self._way, self._opened, self._buttons = way, opened, buttons
        self._memory, self._file, self._now_s = memory, file, now_s
        self._chance, self._scrub, self._witness = chance, scrub, witness
        self._waiting = Waiting(
            way.n_burst, way.refill_s, now_s(), memory.waiting.get(way.name, [])
        )
        if opened is not None:
            witness.attend(opened, way.name)
        self._wake = asyncio.Event()
        self._works, self._reason, self._since_s = opened is not None, trouble, now_s()
        self._sent_s: float | None = None
        self._ask_s = now_s() if opened is not None else float("inf")
        self._n_unasked = 0
        self.answered: Callable[[str], None] = lambda _: None
        """Called with the id of an alert that was acknowledged from a phone."""

    def put(self, item: Item) -> None:
        """Take a notice; it waits until it was sent, over a restart too."""
        given_up = self._waiting.put(item, self._now_s())
        self._report(item, "queued")
        if given_up is not None:
            self._report(given_up, "failed", "given up: too much was waiting")
        self._note_waiting()
        self._wake.set()

    def withhold(self, switches: Collection[str]) -> None:
        """Let go of what waits and may not leave (any more): what waits is not sent either."""
        if Switch.NOTICES in switches:
            for item in self._waiting.drop({item.id for item in self._waiting.items}):
                self._report(item, "failed", f"{WITHHELD}consent to notices is off")
        elif Switch.NOTICE_DETAILS in switches:
            for item in self._waiting.items:
                item.text, item.plain = item.plain or item.text, ""
        self._note_waiting()

    def state(self) -> Way:
        """Return how this way is."""
        return Way(
            self._way.name,
            self._works,
            self._since_s,
            self._reason[:300],
            len(self._waiting.items),
            self._sent_s,
        )

    async def run(self) -> None:
        """Serve it until cancelled."""
        if self._opened is None:
            await asyncio.Event().wait()
            return
        async with asyncio.TaskGroup() as both:
            both.create_task(self._send_what_waits(self._opened))
            both.create_task(self._listen_for_ever(self._opened))

    async def _send_what_waits(self, opened: Opened) -> None:
        while True:
            now_s = self._now_s()
            self._wake.clear()
            items = self._waiting.take(now_s)
            if items:
                await self._send_all(items, opened)
                continue
            wait_s = min(max(self._waiting.due_s(now_s) - now_s, 0.05), PROBE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):  # wait_for may swallow the end
                    await self._wake.wait()

    async def _listen_for_ever(self, opened: Opened) -> None:
        """Ask beside the sending: an alarm does not wait for a question."""
        while self._ask_s < float("inf"):
            if self._now_s() >= self._ask_s:
                await self._listen(opened)
            await asyncio.sleep(min(max(self._ask_s - self._now_s(), 0.05), 1.0))

    async def _send_all(self, items: Sequence[Item], opened: Opened) -> None:
        item = items[0]
        if len(items) > 1:
            item = content.summary(self._way.name, items)
            self._waiting.combine(items, item)
        before = item.begun
        try:
            async with asyncio.timeout(SEND_S):
                held = await self._send(item, opened)
        except WithheldError as error:
            self._waiting.drop({item.id})
            self._report(item, "failed", str(error))
            self._note_waiting()
        except SendError as error:
            self._failed(item, error, before=before)
        except Exception as error:  # noqa: BLE001  # one way's fault is not the others'
            _log.warning("a channel failed", way=self._way.name, error=self._scrub(repr(error)))
            unclear = SendError(f"{type(error).__name__} in its channel", arrived=True)
            self._failed(item, unclear, before=before)
        else:
            self._sent(item, held=held)

    async def _send(self, item: Item, opened: Opened) -> bool:
        """Send it, unless it has arrived before; return whether the service holds it."""
        if item.begun and await opened.holds(_out(item)):
            return True
        if item.about in ALERTING | {"summary"} and item.alerts and not item.tokens:
            item.tokens = {button: secrets.token_urlsafe(16) for button in self._buttons}
        for button, word in item.tokens.items():
            told = Token(self._way.name, item.alerts, self._buttons.get(button, False))
            self._memory.tokens[word] = told
        letter = opened.letter(_out(item))
        item.begun = True
        self._note_waiting()
        await self._file.settled()
        who = self._way.name
        sent = await self._witness.send(opened, letter, who, item.alerts, self._scrub)
        return sent.held

    def _sent(self, item: Item, *, held: bool) -> None:
        now_s = self._now_s()
        self._waiting.sent((item,), now_s)
        self._sent_s = now_s
        self._ask_s = min(self._ask_s, now_s + REPLY_S) if item.tokens else self._ask_s
        self._report(item, "sent")
        if held:
            self._report(item, "received", "held by the server")
        self._does_work()
        self._note_waiting()
        _log.info("told", way=self._way.name, about=item.about, received=held)

    def _failed(self, item: Item, error: SendError, *, before: bool) -> None:
        """Try again later; what may have arrived, now or `before`, is looked for first."""
        item.begun = before or error.arrived
        reason = self._scrub(str(error))[:200]
        wait_s = self._waiting.failed(self._now_s(), self._chance, error.retry_after_s)
        if self._works or self._reason != reason:
            self._report(item, "failed", reason)
        self._works_not(reason)
        self._note_waiting()
        _log.warning("not told", way=self._way.name, reason=reason, again_s=round(wait_s, 1))

    async def _listen(self, opened: Opened) -> None:
        """Ask whether somebody has answered; that it can be asked shows that the way works."""
        try:
            async with asyncio.timeout(SEND_S):
                words = await opened.replies()
        except WithheldError:
            self._ask_s = self._now_s() + PROBE_S
            return
        except (SendError, TimeoutError) as error:
            self._n_unasked += 1
            wait_s = PROBE_SOONEST_S * 2.0 ** min(self._n_unasked - 1, 8)
            self._ask_s = self._now_s() + min(PROBE_S, wait_s)
            self._works_not(self._scrub(str(error) or "no answer in time")[:200])
            return
        except Exception as error:  # noqa: BLE001  # one way's fault is not the others'
            _log.warning("a channel failed", way=self._way.name, error=self._scrub(repr(error)))
            self._ask_s = self._now_s() + PROBE_S
            return
        self._n_unasked = 0
        self._ask_s = self._now_s() + self._listen_again_s()
        if words is None:
            self._ask_s = float("inf")
        else:
            if not self._waiting.items:
                self._does_work()
            for word in words:
                self._take_word(word)

    def _listen_again_s(self) -> float:
        waits = any(token.way == self._way.name for token in self._memory.tokens.values())
        if not waits or self._sent_s is None:
            return PROBE_S
        age_s = self._now_s() - self._sent_s
        if age_s < REPLY_SOON_S:
            return REPLY_S
        return REPLY_SLOW_S if age_s < REPLY_LONG_S else PROBE_S

    def _take_word(self, word: str) -> None:
        """Take what a phone sent back; a word nobody was given means nothing."""
        token = self._memory.tokens.get(word)
        if token is None or token.way != self._way.name:
            return
        del self._memory.tokens[word]
        what = "acknowledged on the phone" if token.acknowledge else "seen on the phone"
        for alert_id in token.alerts:
            self._tell(alert_id, "received", what)
            if token.acknowledge:
                self.answered(alert_id)
        self._file.write(self._memory)

    def _does_work(self) -> None:
        if not self._works:
            self._works, self._reason, self._since_s = True, "", self._now_s()

    def _works_not(self, reason: str) -> None:
        if self._works:
            self._works, self._since_s = False, self._now_s()
        self._reason = reason

    def _note_waiting(self) -> None:
        self._memory.waiting[self._way.name] = self._waiting.items
        self._file.write(self._memory)

    def _report(self, item: Item, stage: Stage, detail: str = "") -> None:
        for alert_id in item.alerts:
            told = detail or (item.about if stage == "queued" else "")
            self._tell(alert_id, stage, told)

    def _tell(self, alert_id: str, stage: Stage, detail: str) -> None:
        by = f"{self._way.channel}:{self._way.name}"
        self._memory.reports.append(Delivered(alert_id, stage, by, self._now_s(), detail))


def _out(item: Item) -> NoticeOut | TestOut:
    """Return what may leave of a notice; where nothing may, that is told like any failure."""
    try:
        return item.out()
    except EgressError as error:
        raise SendError(str(error)) from error
