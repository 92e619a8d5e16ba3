"""FHIR R4 over HTTPS: one transaction Bundle a message, to a hospital's or a clinic's server.

``POST [base]`` with a Bundle of type ``transaction`` (https://hl7.org/fhir/R4/http.html#transaction)
is done as a whole or not at all. Every resource is created under ``ifNoneExist`` with its
identifier, so a message that is sent twice makes nothing twice: the server answers 201 the first
time and 200 with the resource it holds ever after, and both mean that it is stored. That answer is
the receipt, entry by entry; a server that answers fewer entries than it was sent has said nothing
of any.

412 says that the server holds several under one identifier. Nothing sent from here can mend that:
the entry is set aside, and shown to whoever looks after the server. Other refusals count only where
an OperationOutcome says that a FHIR server has read the message: a proxy's 400 is tried again.

A request to delete is a transaction of conditional DELETEs; what is not there any more is deleted.

Who we are is said by a bearer token (the first line of `token_file`, read anew for each message, so
that another process may renew it), by the certificate of the box, or both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from edge.egress.allowed import Content
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.egress.outbox import MAX_HANDED
from edge.fetch import Reply
from edge.secret import SecretError
from edge.sync import SyncError
from edge.sync.fhir import ContentError, bundle, erase_bundle
from edge.sync.fhir.bundles import MAX_ERASED_AT_ONCE
from edge.sync.parcel import Item, Parcel, Receipt
from edge.sync.posting import (
    MAX_RECEIPTS,
    TOO_LARGE,
    Door,
    door,
    failure,
    fitting,
    plain_words,
    post,
)
from edge.sync.sinks import Place, Sink, SinkError

_HEADERS: Final = {
    "Content-Type": "application/fhir+json",
    "Accept": "application/fhir+json",
    "Prefer": "return=minimal",
}
_UNFIT: Final = frozenset({400, 412, 422})
"""What a FHIR server answers to content it will never take."""
_SEVERAL: Final = (
    "the server holds several under this identifier (412): they are to be mended there"
)
_GONE: Final = frozenset({404, 410})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A FHIR R4 server."""

    url: Annotated[
        str,
        Meta(max_length=2000, description="Base address of the server: https://host/fhir."),
    ] = ""
    token_file: Annotated[
        str,
        Meta(max_length=1000, description="File whose first line is a bearer token; empty: none."),
    ] = ""
    certificate: Annotated[
        bool, Meta(description="Show the server the certificate of the box (`homeward enrol`).")
    ] = False
    ca_file: Annotated[
        Path | None, Meta(description="Certificate of the authority that vouches for the server.")
    ] = None


class _Response(msgspec.Struct, frozen=True):
    status: str = ""
    outcome: Any = None


class _Entry(msgspec.Struct, frozen=True):
    response: _Response = _Response()


class _Answer(msgspec.Struct, frozen=True, rename={"resource_type": "resourceType"}):
    """What is used of what a server answers; the rest is passed over."""

    resource_type: str = ""
    type: str = ""
    entry: tuple[_Entry, ...] = ()
    issue: tuple[Any, ...] = ()


class FhirRest:
    """One server.

    Raises
    ------
    SyncError, SecretError
        It cannot be used as configured.
    """

    def __init__(self, settings: Settings, place: Place) -> None:
        if not settings.url:
            raise SyncError(
                f"[[sinks]] {place.name}: url is missing: write the base address of the server, "
                f'url = "https://host/fhir"'
            )
        self._settings, self._place = settings, place
        self._door: Door = door(
            settings.url, place, ca_file=settings.ca_file, certificate=settings.certificate
        )
        self._token()
        self.host = self._door.host
        self.uses_tls = self._door.uses_tls
        self.window = MAX_HANDED
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue(MAX_RECEIPTS)

    def pack(self, kind: Content, items: Sequence[Item]) -> Parcel:
        """Return a transaction; a request to delete goes alone."""
        try:
            if kind is Content.ERASE:
                return Parcel(kind, (items[0],), _erasing(items[0]))
            fit, body = fitting(items, lambda some: _text(bundle(some)))
        except ContentError as error:
            raise SinkError(str(error), refused=True) from error
        return Parcel(kind, fit, body)

    async def send(self, parcel: Parcel) -> None:
        """Post it; the answer is the receipt."""
        if self.receipts.full():
            raise SinkError("receipts are not taken: nothing more is sent until they are")
        token = self._token()
        headers = dict(_HEADERS) | ({"Authorization": f"Bearer {token}"} if token else {})
        reply = await post(self._door, headers, parcel.body)
        if not reply.ok:
            raise self._failure(reply)
        self.receipts.put_nowait(self._receipt(parcel, reply))

    def state_message(self, what: HeartbeatOut | Sequence[NumbersOut]) -> Parcel | None:
        """Return None: a record is told of patients, not of how the box is."""
        del what
        return None

    async def send_state(self, parcel: Parcel) -> None:
        """Say so."""
        del parcel
        raise SinkError("a FHIR server is not told how the box is", refused=True)

    def certificate_s(self) -> float | None:
        """Return when the certificate of the box ends."""
        return self._door.certificate_s()

    async def close(self) -> None:
        """Nothing is kept open."""

    def _token(self) -> str:
        if not self._settings.token_file:
            return ""
        secret = self._place.secret(self._settings.token_file)
        if not secret.url.isascii() or not secret.url.isprintable() or " " in secret.url:
            raise SecretError(f"{self._settings.token_file} holds no token in its first line")
        return secret.url

    def _failure(self, reply: Reply) -> SinkError:
        answer = _read(reply.body)
        reads_fhir = answer is not None and answer.resource_type == "OperationOutcome"
        refused = reply.status == TOO_LARGE or (reply.status in _UNFIT and reads_fhir)
        told = _SEVERAL if reply.status == 412 else _words(answer.issue if answer else ())
        return failure(self.host, reply, refused=refused, told=told)

    def _receipt(self, parcel: Parcel, reply: Reply) -> Receipt:
        answer = _read(reply.body)
        if answer is None or answer.resource_type != "Bundle":
            raise SinkError(
                f"{self.host} answered {reply.status}, but no Bundle, or not all of it came",
                arrived=True,
            )
        owners = _owners(parcel)
        if len(answer.entry) != len(owners):
            raise SinkError(
                f"{self.host} answered {len(answer.entry)} of {len(owners)} entries: nothing "
                f"counts as stored",
                arrived=True,
            )
        return _judged(owners, answer.entry, erase=parcel.kind is Content.ERASE)


def _text(document: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(document, order="sorted")


def _erasing(item: Item) -> bytes:
    erase = item.handed.erase
    if erase is None or len(erase.uuids) > MAX_ERASED_AT_ONCE:
        raise SinkError(
            f"a request to delete names more than {MAX_ERASED_AT_ONCE} entries, or none",
            refused=True,
        )
    return _text(erase_bundle(erase))


def _owners(parcel: Parcel) -> list[str]:
    """Return whose each entry of the message is: they stand in the order of the items."""
    if parcel.kind is Content.ERASE:
        sent = msgspec.json.decode(parcel.body)
        return [parcel.items[0].uuid] * len(sent["entry"])
    return [item.uuid for item in parcel.items for _ in item.resources]


def _judged(owners: Sequence[str], entries: Sequence[_Entry], *, erase: bool) -> Receipt:
    """Return what is stored: that of which every resource is; and what is refused."""
    refused: dict[str, str] = {}
    missing: set[str] = set()
    for owner, entry in zip(owners, entries, strict=True):
        status = _status(entry.response.status)
        if status in {200, 201} or (erase and (status == 204 or status in _GONE)):
            continue
        missing.add(owner)
        if status == 412:
            refused[owner] = _SEVERAL
        elif status in _UNFIT:
            why = _words(_issues(entry.response.outcome))
            refused[owner] = f"the server refused it ({status}): {why}"[:200]
    stored = dict.fromkeys((owner for owner in owners if owner not in missing), "")
    return Receipt(stored, refused)


def _status(text: str) -> int:
    """Return the number that a status begins with; 0: there is none.

    >>> _status("201 Created"), _status("2"), _status("20100")
    (201, 0, 0)
    """
    first = text.partition(" ")[0]
    return int(first) if len(first) == 3 and first.isascii() and first.isdecimal() else 0


def _read(body: bytes) -> _Answer | None:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _issues(outcome: object) -> tuple[Any, ...]:
    issues = outcome.get("issue") if isinstance(outcome, dict) else None
    return tuple(issues) if isinstance(issues, list) else ()


def _words(issues: Sequence[Any]) -> str:
    """Return what an OperationOutcome says first, as far as it says anything."""
    for issue in issues:
        if not isinstance(issue, dict):
            continue
        details = issue.get("details")
        told = details.get("text") if isinstance(details, dict) else None
        for text in (told, issue.get("diagnostics")):
            if isinstance(text, str) and text.strip():
                return plain_words(text)
    return "it does not say why"


SINK = Sink("fhir_rest", Settings, FhirRest, frozenset({"alerts", "summaries"}))
