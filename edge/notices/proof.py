"""A test notice to everybody, and what it proves: that is said, and no more than that."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

import msgspec

from edge.notices import content
from edge.notices.channels import SEND_S, SendError
from edge.notices.notifier import Open


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


async def prove(ways: Sequence[Open], box: str) -> tuple[Proof, ...]:
    """Send one test notice to every destination, all at once; never raises."""
    number = secrets.token_hex(8)
    return tuple(await asyncio.gather(*(_prove(one, box, number) for one in ways)))


async def _prove(one: Open, box: str, number: str) -> Proof:
    name, channel = one.way.name, one.way.channel
    if one.opened is None:
        return Proof(name, channel, sent=False, received=False, text=one.trouble)
    scrub = str if one.secret is None else one.secret.scrub
    try:
        async with asyncio.timeout(SEND_S):
            sent = await one.opened.send(content.test(name, box, number))
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
