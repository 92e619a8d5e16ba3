"""The round trip of a notice: the notifier is asked for a test notice, and what came of it is said.

The monitor opens no network connection, and under systemd it could not. So the board the notifier
follows carries a number while a proof is asked for (`edge.control.board.Board.proof`); whoever
runs as the notifier then sends one test notice by every way and hands back what each showed
(`edge.control.NoticesProof`). Waited for by the self-test's thread, and by no tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from edge.control import ControlError, NoticesProof, WayProof
from edge.control.board import PROVE_S, NoticesReport
from edge.records import Verdict

ANSWER_S: Final = PROVE_S + 5.0
"""The notifier hears of it at once, and a way that hangs has failed after `PROVE_S`."""
MAX_REASON: Final = 120
"""Letters of each way's reason in the sentence for all of them."""


class RoundTrip:
    """Asks the notifier for a proof, and waits for it; lives in the monitor's loop.

    Parameters
    ----------
    report : Callable
        What is known of the notices now.
    wake : Callable
        Wakes the notifier, where it waits for a change of the board.
    """

    def __init__(self, report: Callable[[], NoticesReport], wake: Callable[[], None]) -> None:
        self._report, self._wake = report, wake
        self.may_send: Callable[[], bool] = lambda: True
        """Whether people let test notices leave."""
        self._n = 0
        self._answer: asyncio.Future[tuple[WayProof, ...]] | None = None

    @property
    def asked(self) -> int:
        """The number of the proof that is waited for; 0: none is."""
        return self._n if self._answer is not None else 0

    async def prove(self, *, sends: bool, within_s: float = ANSWER_S) -> tuple[Verdict, str]:
        """Return whether people beyond this room can be told, and a sentence that says so.

        Parameters
        ----------
        sends : bool
            With a test notice; else only by what the notifier says of itself.

        Raises
        ------
        RuntimeError
            A proof is being waited for already.
        """
        report = self._report()
        if not report.wanted:
            why = report.withheld or "no [[notices]] are configured"
            return Verdict.NOT_THERE, f"{why}: alarms stay in this room"
        if report.trouble and not report.ways:
            return Verdict.FAILED, report.trouble
        if sends and self.may_send():
            return await self._round(within_s)
        if report.trouble:
            return Verdict.FAILED, report.trouble
        why = "consent to self_tests is off" if sends else "[selftest] notices = false"
        return (
            Verdict.UNKNOWN,
            f"the notifier knows of no fault; no test notice is sent ({why})",
        )

    def take(self, told: NoticesProof) -> None:
        """Take what the notifier proved.

        Raises
        ------
        ControlError
            Nobody waits for it (any more).
        """
        if self._answer is None or self._answer.done() or told.n != self._n:
            raise ControlError(f"proof {told.n} is not asked for (any more)")
        self._answer.set_result(told.ways)

    async def _round(self, within_s: float) -> tuple[Verdict, str]:
        if self._answer is not None:
            raise RuntimeError("a test notice is on its way already")
        self._answer = asyncio.get_running_loop().create_future()
        self._n += 1
        self._wake()
        try:
            return verdict_of(await asyncio.wait_for(self._answer, within_s))
        except TimeoutError:
            trouble = self._report().trouble or "the notifier runs and has not said what came of it"
            return Verdict.FAILED, f"no proof of a test notice within {within_s:.0f} s: {trouble}"
        finally:
            self._answer = None


def verdict_of(ways: Iterable[WayProof]) -> tuple[Verdict, str]:
    """Return what test notices by all ways prove, the ways that failed by name.

    >>> verdict_of([WayProof("anna", sent=True, received=True)])[1]
    'a test notice went out to anna (held by its server)'
    """
    failed = [f"{way.name} ({way.text[:MAX_REASON]})" for way in ways if not way.sent]
    sent = [
        f"{way.name} ({'held by its server' if way.received else 'sent, no receipt'})"
        for way in ways
        if way.sent
    ]
    told = f"a test notice went out to {', '.join(sent)}" if sent else ""
    if failed:
        also = f"; {told}" if told else ""
        return Verdict.FAILED, f"a test notice did not go out to {', '.join(failed)}{also}"
    if not sent:
        return Verdict.FAILED, "the notifier runs and has nobody to tell: see its log"
    return Verdict.PASSED, told
