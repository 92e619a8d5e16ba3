"""The gate: what may leave now, and what did. Every sender asks here before it sends.

A process with a network tells each message before it sends it (`edge.control.Leaves`), and sends
it only where that is taken. What is taken stands in the ledger, word for word; what people do not
let leave (`edge.egress.consent`) is refused and counted. Nothing here waits for the disk: it is
taken in memory, and written with the next transaction.

Messages that say nothing but that they came (pings, questions) are written as one row for each ten
minutes and destination, with how many they were: a row a minute would wear the card for nothing.
The numbers of now, for a display in the home, are written so too, the first of them word for word.
What of all these is not written yet is lost with the power.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec
import structlog

from edge.clock import TimeQuality, WallLog
from edge.control import WITHHELD, Became, ControlError
from edge.daemon.recorder import Recorder
from edge.egress.allowed import ALLOWED, Content
from edge.egress.board import reason_out
from edge.egress.consent import Switch, Switches, off
from edge.egress.departure import Departure, Left
from edge.records import Alert
from edge.store import LedgerEntry, LedgerKind, Run, StoreError
from edge.store.backlog import MAX_EGRESS

TOGETHER_S: Final = 600.0
"""Messages that say nothing, or soon nothing any more, are one row for so long."""
PASSING: Final = frozenset({Content.NUMBERS})
"""Kinds of which the next message takes the place of the last."""
N_TOLD: Final = 2_000
"""Messages that are remembered, so that what became of them can be told."""
MAX_STAGES: Final = 8
"""Of one message: a sender that has gone wild must not fill the disk."""
SPARE: Final = 500
"""Places for alarms, where the disk does not take the ledger."""
EARLY_S: Final = 1.0
"""A sender may be so far ahead of our clock: the two processes read it at different moments."""

_log = structlog.get_logger("gate")


class _Several(msgspec.Struct):
    """Messages to one destination that say nothing."""

    first: Departure
    times: int = 0
    until_s: float = 0.0
    n_sent: int = 0
    n_failed: int = 0


class _Told(msgspec.Struct):
    """A message that was told; `several`: the row it is counted in."""

    what: Departure
    several: _Several | None = None
    n_stages: int = 0


class Gate:
    """Says what may leave, and has it written down.

    Parameters
    ----------
    recorder : Recorder
        Takes what is to be kept.
    run : Run
        This start of the monitor.
    now_s : Callable
        The boot clock.
    wall : WallLog
        What wall time it was.

    Attributes
    ----------
    switches : Switches
        What people let leave.
    n_withheld : Counter[Switch]
        What was kept back since the start, by switch.
    n_refused : int
        Messages that were refused for another reason: no sender of ours makes such.
    alerts : Callable
        Returns the alerts of which something may be told now.
    pseudonym : Callable
        Gives the id under which a patient is known to receivers of records.
    noticed_as : Callable
        The same of people who get notices: they know who it is.
    handed : Callable
        Gives what a sender was handed of the outbox that makes up a message.
    """

    def __init__(
        self, recorder: Recorder, run: Run, now_s: Callable[[], float], wall: WallLog
    ) -> None:
        self._recorder, self._run, self._now_s, self._wall = recorder, run, now_s, wall
        self.switches: Switches = dict.fromkeys(Switch, True)
        self.n_withheld: Counter[Switch] = Counter()
        self.n_refused = 0
        self.alerts: Callable[[], Iterable[Alert]] = tuple
        self.pseudonym: Callable[[str], str] = str
        self.noticed_as: Callable[[str], str] = str
        self.handed: Callable[[Departure], Mapping[str, bytes]] = lambda _: {}
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._open: dict[tuple[str, ...], _Several] = {}

    def allows(self, switch: Switch | None) -> bool:
        """Return whether people let this leave."""
        return switch is None or self.switches.get(switch, False)

    @property
    def withheld(self) -> tuple[str, ...]:
        """The switches that are off."""
        return off(self.switches)

    def withhold(self, switch: Switch, alert_id: str = "") -> None:
        """Count something that is kept back; `alert_id`: of which alert, in its story."""
        self.n_withheld[switch] += 1
        if alert_id:
            body = {"detail": f"{WITHHELD}consent to {switch.value} is off"}
            kind, at_s = LedgerKind.DELIVERY, self._now_s()
            self._vouch(LedgerEntry(kind, alert_id, "failed", "consent", at_s, body))

    def leaves(self, what: Departure) -> dict[str, Any]:
        """Take that a message is about to leave; the same again is taken as said.

        Raises
        ------
        ControlError
            It may not leave; the text says why.
        """
        if what.uuid in self._told:
            return {}
        try:
            what = self._placed(what) if what.late else self._checked(what)
        except ControlError as error:
            _log.warning("kept back", kind=what.kind.value, by=what.process, why=str(error))
            raise
        told = self._told[what.uuid] = _Told(what)
        if len(self._told) > N_TOLD:
            self._told.popitem(last=False)
        self._close_old(what.at_s)
        if what.empty or what.kind in PASSING:
            told.several = self._count(what)
        else:
            self._write(Left(what, *self._wall_of(what.at_s), handed=self.handed(what)))
        return {}

    async def became(self, said: Became) -> dict[str, Any]:
        """Take what became of a message.

        Raises
        ------
        ControlError
            No such message was told, or there were too many reports on it.
        """
        told = self._told.get(said.uuid)
        if told is None:
            try:
                known = await self._recorder.knows(said.uuid)
            except StoreError as error:
                raise ControlError(str(error)) from error
            if not known:
                raise ControlError(f"no message {said.uuid} has left")
            told = self._told[said.uuid] = _Told(_FORGOTTEN)
        told.n_stages += 1
        if told.n_stages > MAX_STAGES or not 0.0 <= said.at_s <= self._now_s() + EARLY_S:
            raise ControlError(f"what is said of {said.uuid} cannot be: too often, or too early")
        if told.several is not None:
            told.several.n_sent += said.stage == "sent"
            told.several.n_failed += said.stage == "failed"
            return {}
        body = {"detail": said.detail} if said.detail else {}
        by = told.what.destination
        self._vouch(LedgerEntry(LedgerKind.EGRESS, said.uuid, said.stage, by, said.at_s, body))
        return {}

    def close(self) -> None:
        """Write what is still counted together; nothing leaves after this."""
        for several in self._open.values():
            self._end(several)
        self._open.clear()

    def _placed(self, what: Departure) -> Departure:
        """Return what has left untold: it is written down, whatever may leave now.

        Of another boot only that it was before now is known.
        """
        _log.warning("sent before it could be told", kind=what.kind.value, by=what.process)
        now_s = self._now_s()
        same = what.boot_id == self._run.boot_id and what.at_s <= now_s
        return msgspec.structs.replace(what, at_s=what.at_s if same else now_s)

    def _checked(self, what: Departure) -> Departure:
        """Return a message that may leave."""
        allowed = ALLOWED[what.kind]
        trouble = ""
        if allowed.inside or what.version != allowed.version:
            trouble = f"version {what.version} of {what.kind.value} is not on the list"
        elif what.at_s > self._now_s() + EARLY_S:
            trouble = "it cannot have left yet: tell the moment itself, by CLOCK_BOOTTIME"
        elif not what.urgent and self._recorder.backlog.n_leaving >= MAX_EGRESS - SPARE:
            trouble = "the disk does not take what left; only alarms leave until it does"
        if trouble:
            self.n_refused += 1
            raise ControlError(f"not sent: {trouble}")
        if not self.allows(allowed.consent):
            self._refuse(allowed.consent or Switch.NOTICES)
        if what.kind is Content.NOTICE and not self.allows(Switch.NOTICE_DETAILS):
            body = what.body.decode(errors="replace")
            # A sender may still hold what it was told before somebody switched it off.
            if any(
                one.reason and reason_out(one, self.noticed_as) in body for one in self.alerts()
            ):
                self._refuse(Switch.NOTICE_DETAILS)
        return what

    def _refuse(self, switch: Switch) -> None:
        self.withhold(switch)
        raise ControlError(f"{WITHHELD}consent to {switch.value} is off")

    def _count(self, what: Departure) -> _Several:
        key = (what.process, what.destination, what.host, what.kind.value, what.about)
        several = self._open.get((*key, str(what.late)))
        if several is None:
            several = self._open[(*key, str(what.late))] = _Several(what)
        several.times += 1
        several.until_s = max(several.until_s, what.at_s)
        return several

    def _close_old(self, now_s: float) -> None:
        for key, several in list(self._open.items()):
            if not several.first.at_s <= now_s < several.first.at_s + TOGETHER_S:
                del self._open[key]
                self._end(several)

    def _end(self, several: _Several) -> None:
        first, until_s = several.first, several.until_s
        last_s = until_s if several.times > 1 else None
        self._write(Left(first, *self._wall_of(first.at_s), several.times, last_s))
        for stage, n in (("sent", several.n_sent), ("failed", several.n_failed)):
            if n:
                kind, by = LedgerKind.EGRESS, first.destination
                self._vouch(LedgerEntry(kind, first.uuid, stage, by, until_s, {"n": n}))

    def _write(self, left: Left) -> None:
        self._recorder.leave(left)

    def _vouch(self, entry: LedgerEntry) -> None:
        try:
            self._recorder.vouch(entry)
        except ValueError as error:
            raise ControlError(f"this cannot be stored: {error}") from error

    def _wall_of(self, at_s: float) -> tuple[float | None, TimeQuality | None]:
        with suppress(LookupError):
            utc, quality = self._wall.utc_of(at_s, self._run.boot_id)
            return utc.timestamp(), quality
        return None, None


_FORGOTTEN: Final = Departure("-", 0.0, "-", "-", "", Content.ERASE, 1)
"""Stands for a message of an earlier run."""
