"""A test notice to everybody, and what it proves: that is said, and no more than that."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec
import structlog

from edge.control import ControlError, NoticesProof, WayProof
from edge.control.board import PROVE_S, Board
from edge.notices import content
from edge.notices.channels import SEND_S, SendError
from edge.notices.content import Item
from edge.notices.follower import AwayError, Monitor
from edge.notices.ways import Open
from edge.notices.witness import Witness

Make: TypeAlias = Callable[[str, str, str], Item]
"""``make(destination, box, number)`` returns a test notice."""

_log = structlog.get_logger("notify")


class Proof(msgspec.Struct, frozen=True):
    """What a test notice to one destination showed.

    Attributes
    ----------
    name, channel : str
        Which.
    sent, received : bool
        The service took it; it was asked again and holds it.
    text : str
        The same for people, with what cannot be known.
    """

    name: str
    channel: str
    sent: bool
    received: bool
    text: str


async def prove(
    ways: Sequence[Open],
    box: str,
    witness: Witness,
    make: Make = content.test,
    within_s: float = SEND_S,
) -> tuple[Proof, ...]:
    """Send one test notice to every destination, all at once; never raises.

    Parameters
    ----------
    ways : Sequence[Open]
        The destinations.
    box : str
        What people call this box.
    witness : Witness
        Is told of each before it is sent.
    make : Make
        The notice.
    within_s : float
        A way that takes longer has failed.
    """
    number = secrets.token_hex(8)
    tries = (_prove(one, make(one.way.name, box, number), witness, within_s) for one in ways)
    return tuple(await asyncio.gather(*tries))


async def _prove(one: Open, item: Item, witness: Witness, within_s: float) -> Proof:
    name, channel = one.way.name, one.way.channel
    if one.opened is None:
        return Proof(name, channel, sent=False, received=False, text=one.trouble)
    scrub = str if one.secret is None else one.secret.scrub
    try:
        witness.attend(one.opened, name)
        async with asyncio.timeout(within_s):
            letter = one.opened.letter(item.out())
            sent = await witness.send(one.opened, letter, name, scrub=scrub)
    except (SendError, TimeoutError) as error:
        text = scrub(str(error)) or "no answer in time"
        return Proof(name, channel, sent=False, received=False, text=text)
    except Exception as error:  # noqa: BLE001  # one way's fault is not the others'
        text = scrub(f"its channel failed ({error!r})")
        return Proof(name, channel, sent=False, received=False, text=text)
    text = "the service took it"
    if sent.held:
        text = f"the server holds it (message {sent.receipt})"
    text += "; look whether it rings where it should"
    return Proof(name, channel, sent=True, received=sent.held, text=text)


class Prover:
    """Sends a test notice by every way whenever the monitor asks for one.

    Parameters
    ----------
    ways : Sequence[Open]
        The destinations.
    box : str
        What people call this box.
    monitor : Monitor
        Who is told what came of it.
    witness : Witness
        Is told of each notice before it is sent.
    """

    def __init__(self, ways: Sequence[Open], box: str, monitor: Monitor, witness: Witness) -> None:
        self._ways, self._box, self._monitor = tuple(ways), box, monitor
        self._witness = witness
        self._asked = ("", 0)
        self._wake = asyncio.Event()

    def look(self, board: Board) -> None:
        """See whether a proof is asked for that was not given yet."""
        asked = (board.run_id, board.proof)
        if board.proof and asked != self._asked:
            self._asked = asked
            self._wake.set()

    async def run(self) -> None:
        """Serve until cancelled; beside the notices, which wait for no test."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            _, n = self._asked
            proofs = await prove(self._ways, self._box, self._witness, content.self_test, PROVE_S)
            told = NoticesProof(
                n, tuple(WayProof(p.name, p.sent, p.received, p.text[:300]) for p in proofs)
            )
            n_sent = sum(proof.sent for proof in proofs)
            _log.info("self-test", n_sent=n_sent, n_failed=len(proofs) - n_sent)
            try:
                await self._monitor.ask(told)
            except (AwayError, ControlError) as error:
                _log.warning("the monitor does not take the proof", error=str(error))
