"""What goes over the wire to a receiver, and what comes back: the same code at both ends.

Up goes an envelope: entries of one kind, or a heartbeat. Back comes a receipt: which entries are
stored, each with the SHA-256 of what is stored under its id, signed with the receiver's key.
Neither end trusts the other's bytes: all is bounded, and whatever does not keep to this file is a
`WireError` and nothing else.

Canonical JSON here is what ``msgspec.json.encode(value, order="sorted")`` writes: keys sorted, no
spaces, UTF-8.

============================== ==============================================================
topic                          who writes what
============================== ==============================================================
``homeward/v1/BOX/up/KIND``    the box: envelopes of that kind
``homeward/v1/BOX/receipt``    the receiver: receipts
============================== ==============================================================
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from edge.egress.bounds import MAX_SENTENCE, Utc
from edge.egress.messages import MAX_ERASED, HeartbeatOut
from edge.sync.parcel import MAX_PARCEL_BYTES, Item, Receipt, Resource

SCHEMA: Final = "homeward-sync/1"
RECEIPT_SCHEMA: Final = "homeward-receipt/1"
ROOT: Final = "homeward/v1"
UP_OF_ALL: Final = f"{ROOT}/+/up/#"
"""What a receiver subscribes to."""
MAX_WIRE_BYTES: Final = 64 * 1024
"""Longer ones are not even read."""
MAX_ENTRIES: Final = 64
"""In one message: one receipt answers it, and one departure names all of them."""
MAX_VOUCHED: Final = 128
"""Ids in one receipt: with the longest reasons still less than `MAX_WIRE_BYTES`."""
MAX_RESOURCES: Final = 64

Kind: TypeAlias = Literal["alert", "summary", "erase", "heartbeat"]

_BOX: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_Box: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")]
_Uuid: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}\Z")]
_Digest: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Why: TypeAlias = Annotated[str, Meta(max_length=MAX_SENTENCE)]


class WireError(Exception):
    """Bytes from the wire that cannot be used; the text says why, and holds nothing of them."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One entry of the outbox, on the wire.

    Attributes
    ----------
    resources : tuple[Resource, ...]
        What it says; none for a request to delete.
    uuids : tuple[str, ...]
        What is to be deleted; none for all others.
    """

    uuid: _Uuid
    seq: Annotated[int, Meta(ge=1, le=1 << 53)]
    early: bool = False
    resources: Annotated[tuple[dict[str, Any], ...], Meta(max_length=MAX_RESOURCES)] = ()
    uuids: Annotated[tuple[_Uuid, ...], Meta(max_length=MAX_ERASED)] = ()

    @property
    def content(self) -> bytes:
        """What a receipt vouches for, as canonical JSON."""
        return content_of(self.resources, self.uuids)

    @property
    def digest(self) -> str:
        """SHA-256 of `content`, in hex."""
        return hashlib.sha256(self.content).hexdigest()


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One message of a box; `entries`, or for ``heartbeat`` how it is."""

    schema: Literal["homeward-sync/1"]
    box: _Box
    kind: Kind
    sent_utc: Utc | None = None
    entries: Annotated[tuple[Entry, ...], Meta(max_length=MAX_ENTRIES)] = ()
    heartbeat: HeartbeatOut | None = None


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A receipt on the wire."""

    schema: Literal["homeward-receipt/1"]
    box: _Box
    at_utc: Annotated[str, Meta(max_length=40)]
    stored: Annotated[dict[_Uuid, _Digest], Meta(max_length=MAX_VOUCHED)]
    refused: Annotated[dict[_Uuid, _Why], Meta(max_length=MAX_VOUCHED)]
    signature: Annotated[str, Meta(max_length=100)] = ""


_envelopes: Final = msgspec.json.Decoder(Envelope)
_receipts: Final = msgspec.json.Decoder(_Signed)


def is_box(name: str) -> bool:
    """Return whether this can be the name of a box: also part of a topic, an address, a file."""
    return _BOX.fullmatch(name) is not None


def up_topic(box: str, kind: str) -> str:
    """Return where a box publishes."""
    return f"{ROOT}/{box}/up/{kind}"


def receipt_topic(box: str) -> str:
    """Return where a box is answered."""
    return f"{ROOT}/{box}/receipt"


def from_topic(topic: str) -> tuple[str, str]:
    """Return box and kind of a topic that a box publishes to.

    Raises
    ------
    WireError
        It is none.

    >>> from_topic("homeward/v1/pi-7/up/alert")
    ('pi-7', 'alert')
    """
    parts = topic.split("/")
    if len(parts) != 5 or parts[:2] != ROOT.split("/") or parts[3] != "up" or not is_box(parts[2]):
        raise WireError("a topic that no box writes to")
    return parts[2], parts[4]


def content_of(resources: Sequence[Resource], uuids: Sequence[str]) -> bytes:
    """Return what a receipt vouches for: the resources, or of a request to delete its ids.

    Raises
    ------
    WireError
        There is something in it that JSON cannot say.
    """
    try:
        return msgspec.json.encode(uuids or resources, order="sorted")
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise WireError(f"content that JSON cannot say ({type(error).__name__})") from error


def pack(box: str, items: Sequence[Item], sent_utc: datetime | None) -> tuple[bytes, int]:
    """Return an envelope with as many items as fit, from the first on, and how many these are.

    Raises
    ------
    WireError
        The first alone does not fit, or there is none: a fault of ours.
    """
    if not items:
        raise WireError("there is nothing to pack")
    kind = items[0].kind
    entries = [msgspec.json.encode(_entry(item), order="sorted") for item in items[:MAX_ENTRIES]]
    empty = {"schema": SCHEMA, "box": box, "kind": kind.value, "sent_utc": sent_utc}
    head = msgspec.json.encode(empty)[:-1] + b',"entries":['
    n, size = 0, len(head) + 2
    for item, entry in zip(items, entries, strict=False):
        more = len(entry) + (1 if n else 0)
        if item.kind is not kind or size + more > MAX_PARCEL_BYTES:
            break
        n, size = n + 1, size + more
    if n == 0:
        raise WireError(
            f"an entry of {len(entries[0])} bytes does not fit into a message of {MAX_PARCEL_BYTES}"
        )
    return head + b",".join(entries[:n]) + b"]}", n


def pack_heartbeat(heartbeat: HeartbeatOut, sent_utc: datetime | None) -> bytes:
    """Return the envelope of a heartbeat."""
    what = Envelope(SCHEMA, heartbeat.box, "heartbeat", sent_utc, heartbeat=heartbeat)
    return msgspec.json.encode(what)


def _entry(item: Item) -> Entry:
    uuids = item.handed.erase.uuids if item.handed.erase is not None else ()
    return Entry(item.uuid, item.handed.seq, item.handed.early, item.resources, uuids)


def opened(body: bytes, box: str, kind: str = "") -> Envelope:
    """Return what a box has sent.

    Parameters
    ----------
    box : str
        Who it is from, as the broker or the connection vouches for.
    kind : str
        Of the topic; empty: there was none.

    Raises
    ------
    WireError
        It is no envelope, or it is not from this box.
    """
    if len(body) > MAX_WIRE_BYTES:
        raise WireError(f"a message of {len(body)} bytes; the most is {MAX_WIRE_BYTES}")
    try:
        what = _envelopes.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise WireError(f"no message of {SCHEMA} ({type(error).__name__})") from error
    if what.box != box:
        raise WireError("a message in the name of another box")
    if kind and what.kind != kind:
        raise WireError(f"a message of another kind than its topic's, {kind[:20]!r}")
    if what.kind == "heartbeat":
        if what.heartbeat is None or what.entries or what.heartbeat.box != box:
            raise WireError("a heartbeat that says nothing of this box")
    elif what.heartbeat is not None or not what.entries:
        raise WireError("a message without entries")
    return what


def fault_of(kind: str, entry: Entry) -> str:
    """Return why an entry can never be stored; empty: it can."""
    try:
        entry.content  # noqa: B018  # a number larger than JSON's may be in it
    except WireError as error:
        return str(error)
    if kind == "erase":
        fits = bool(entry.uuids) and not entry.resources
    else:
        fits = bool(entry.resources) and not entry.uuids
    return "" if fits else f"it says nothing that is of kind {kind}"


def sign(box: str, receipt: Receipt, at_utc: datetime, key: Ed25519PrivateKey) -> bytes:
    """Return a receipt as it goes over the wire.

    Raises
    ------
    WireError
        It vouches for more than `MAX_VOUCHED`: a fault of ours.
    """
    if len(receipt.stored) > MAX_VOUCHED or len(receipt.refused) > MAX_VOUCHED:
        raise WireError(f"a receipt for more than {MAX_VOUCHED} entries")
    why = {uuid: text[:MAX_SENTENCE] for uuid, text in receipt.refused.items()}
    at = at_utc.isoformat(timespec="milliseconds")
    unsigned = _Signed(RECEIPT_SCHEMA, box, at, dict(receipt.stored), why)
    signature = base64.b64encode(key.sign(_canonical(unsigned))).decode()
    return msgspec.json.encode(msgspec.structs.replace(unsigned, signature=signature))


def checked(body: bytes, key: Ed25519PublicKey, box: str) -> Receipt:
    """Return a receipt that the receiver has signed for this box.

    Raises
    ------
    WireError
        It is none, for another box, or not signed by this key.
    """
    if len(body) > MAX_WIRE_BYTES:
        raise WireError(f"a receipt of {len(body)} bytes; the most is {MAX_WIRE_BYTES}")
    try:
        signed = _receipts.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise WireError(f"no receipt ({type(error).__name__})") from error
    if signed.box != box:
        raise WireError("a receipt for another box")
    try:
        signature = base64.b64decode(signed.signature, validate=True)
        key.verify(signature, _canonical(msgspec.structs.replace(signed, signature="")))
    except (InvalidSignature, binascii.Error, UnicodeError, ValueError) as error:
        raise WireError("a receipt that the receiver's key has not signed") from error
    return Receipt(signed.stored, signed.refused)


def vouched(receipt: Receipt, sent: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """Return of what was sent the ids a receipt settles, and those whose content differs.

    Parameters
    ----------
    sent : Mapping[str, str]
        Uuid -> digest of all that is under way; what else a receipt names counts for nothing.
    """
    known = {uuid: held for uuid, held in receipt.stored.items() if uuid in sent}
    settled = {uuid for uuid, held in known.items() if held == sent[uuid] or not held}
    return settled, known.keys() - settled


def _canonical(signed: _Signed) -> bytes:
    plain = msgspec.to_builtins(signed)
    del plain["signature"]
    return msgspec.json.encode(plain, order="sorted")
