"""A webhook: the envelope of `edge.sync.wire` as the body of a POST, signed with a shared secret.

The file named by `url_file` holds the address (``{box}`` in it stands for the box's pseudonym, as
in ``https://clinic.example/v1/{box}`` of `homeward receive`) and, on a second line, a secret of 32
letters or more. With it every message carries

    X-Homeward-Signature: t=UNIX_TIME,sha256=HEX

where HEX is HMAC-SHA256 of ``t + "." + body`` under the secret: whoever receives it compares in
constant time, and refuses a `t` that is minutes away from its own clock.

What counts as a receipt: the answer's body, signed with the receiver's key (`edge.sync.wire`; the
key comes with `homeward enrol`). A service of somebody else's signs nothing; only with
``trust_status = true`` is its 2xx taken for one, and then whatever stands in front of it (a proxy
that answers before it stores) is trusted too.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from edge.clock import BootClock
from edge.egress.allowed import Content
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.egress.outbox import MAX_HANDED
from edge.fetch import Reply
from edge.secret import Secret
from edge.sync import SyncError, wire
from edge.sync.identity import public_key
from edge.sync.parcel import Item, Parcel, Receipt
from edge.sync.posting import (
    MAX_RECEIPTS,
    TOO_LARGE,
    Door,
    door,
    failure,
    post,
)
from edge.sync.sinks import Place, Sink, SinkError

SIGNATURE: Final = "X-Homeward-Signature"
LEAST_SECRET: Final = 32
_BOX: Final = "{box}"
_UNFIT: Final = frozenset({TOO_LARGE, 422})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A webhook."""

    url_file: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=1000,
            description="File with the address and, on a second line, a secret to sign with.",
        ),
    ] = "webhook"
    trust_status: Annotated[
        bool,
        Meta(description="Take a 2xx for a receipt: for a service that signs none."),
    ] = False
    certificate: Annotated[
        bool, Meta(description="Show the server the certificate of the box (`homeward enrol`).")
    ] = False
    ca_file: Annotated[
        Path | None, Meta(description="Certificate of the authority that vouches for the server.")
    ] = None
    receipt_key_file: Annotated[
        Path | None,
        Meta(description="Public key that signs receipts; default: the one of `homeward enrol`."),
    ] = None


class Webhook:
    """One address.

    Raises
    ------
    SyncError, SecretError
        It cannot be used as configured.
    """

    def __init__(self, settings: Settings, place: Place) -> None:
        self._settings, self._place = settings, place
        secret = place.secret(settings.url_file)
        if secret.token and len(secret.token) < LEAST_SECRET:
            raise SyncError(
                f"[[sinks]] {place.name}: the secret in the second line of {settings.url_file} is "
                f"short enough to be guessed: write {LEAST_SECRET} letters by chance or more"
            )
        self._door = self._found(secret)
        self._secret = secret
        self._key = self._read_key()
        if self._key is None and not settings.trust_status:
            raise SyncError(
                f"[[sinks]] {place.name}: nothing tells a receipt from a forgery: install the "
                f"receiver's public key (`homeward enrol`), or set trust_status = true where the "
                f"service signs none"
            )
        self.host, self.uses_tls = self._door.host, self._door.uses_tls
        self.window = MAX_HANDED
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue(MAX_RECEIPTS)

    def pack(self, kind: Content, items: Sequence[Item]) -> Parcel:
        """Return an envelope with as many as fit."""
        del kind
        try:
            body, n = wire.pack(self._place.box(), items, None)
        except wire.WireError as error:
            raise SinkError(str(error), refused=True) from error
        return Parcel(items[0].kind, tuple(items[:n]), body)

    async def send(self, parcel: Parcel) -> None:
        """Post it; a receipt is in the answer, or the status is one."""
        if self.receipts.full():
            raise SinkError("receipts are not taken: nothing more is sent until they are")
        reply = await self._post(parcel.body)
        self.receipts.put_nowait(self._receipt(parcel, reply))

    def state_message(self, what: HeartbeatOut | Sequence[NumbersOut]) -> Parcel | None:
        """Return a heartbeat; of numbers None."""
        if not isinstance(what, HeartbeatOut):
            return None
        return Parcel(Content.HEARTBEAT, (), wire.pack_heartbeat(what, what.at_utc))

    async def send_state(self, parcel: Parcel) -> None:
        """Post it."""
        await self._post(parcel.body)

    def certificate_s(self) -> float | None:
        """Return when the certificate of the box ends."""
        return self._door.certificate_s()

    async def close(self) -> None:
        """Nothing is kept open."""

    def _found(self, secret: Secret) -> Door:
        own = self._settings
        return door(
            secret.url,
            self._place,
            ca_file=own.ca_file,
            certificate=own.certificate,
            scrub=secret.scrub,
        )

    def _read_key(self) -> Ed25519PublicKey | None:
        named = self._settings.receipt_key_file
        file = named if named is not None else self._place.sync_dir / "receiver.pub"
        return None if named is None and not file.exists() else public_key(file)

    async def _post(self, body: bytes) -> Reply:
        box = self._place.box()
        if not wire.is_box(box):
            raise SinkError("the monitor has not said yet what the box is called")
        headers = {"Content-Type": "application/json"}
        if self._secret.token:
            headers[SIGNATURE] = signature(self._secret.token, body, int(BootClock().read().wall_s))
        where = msgspec.structs.replace(self._door, url=self._door.url.replace(_BOX, box))
        reply = await post(where, headers, body, wire.MAX_WIRE_BYTES + 1)
        if not reply.ok:
            raise failure(self.host, reply, refused=reply.status in _UNFIT)
        return reply

    def _receipt(self, parcel: Parcel, reply: Reply) -> Receipt:
        """Return what is receipted: of what was in this message and nothing else."""
        if self._key is None:
            return Receipt(dict.fromkeys((item.uuid for item in parcel.items), ""))
        try:
            return wire.checked(reply.body, self._key, self._place.box())
        except wire.WireError as error:
            forged = wire.RECEIPT_SCHEMA.encode() in reply.body
            if self._settings.trust_status and not forged:
                return Receipt(dict.fromkeys((item.uuid for item in parcel.items), ""))
            raise SinkError(
                f"{self.host} answered {reply.status} with {error}: nothing counts as stored",
                arrived=True,
            ) from error


def signature(secret: str, body: bytes, at_s: int) -> str:
    """Return the header that says who a message is from.

    Parameters
    ----------
    at_s : int
        Wall clock, seconds since 1970.

    >>> signature("s", b"{}", 7)[:16]
    't=7,sha256=b12ca'
    """
    told = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},sha256={told}"


SINK = Sink("webhook", Settings, Webhook, frozenset({"alerts", "summaries", "heartbeats"}))
