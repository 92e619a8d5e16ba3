"""What is under way: entries of the outbox, packed into one message, and what came back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from edge.egress.allowed import Content
from edge.egress.outbox import Handed

Resource: TypeAlias = dict[str, Any]
"""A FHIR R4 resource as plain values."""

MAX_PARCEL_BYTES: Final = 24 * 1024
"""Of one message: with its headers it has to fit into `edge.egress.departure`."""


class Item(msgspec.Struct, frozen=True):
    """One entry on its way.

    Attributes
    ----------
    handed : Handed
        As the monitor gave it out.
    kind : Content
        ALERT, SUMMARY or ERASE.
    resources : tuple[Resource, ...]
        What it says, as FHIR (`edge.sync.fhir`); none for ERASE.
    """

    handed: Handed
    kind: Content
    resources: tuple[Resource, ...] = ()

    @property
    def uuid(self) -> str:
        """Id of the entry."""
        return self.handed.uuid

    @property
    def content(self) -> bytes:
        """The resources (of ERASE the ids) as canonical JSON: what a receipt vouches for."""
        erase = self.handed.erase
        said = self.resources if erase is None else erase.uuids
        return msgspec.json.encode(said, order="sorted")

    @property
    def digest(self) -> str:
        """SHA-256 of `content`, in hex."""
        return hashlib.sha256(self.content).hexdigest()


class Parcel(msgspec.Struct, frozen=True):
    """One message, to the byte; all its items are of one kind.

    Attributes
    ----------
    headers, body : Mapping[str, str], bytes
        What leaves: of the headers those that carry content.
    shown : Mapping[str, str]
        These headers as the ledger may show them: without passwords.
    """

    kind: Content
    items: tuple[Item, ...]
    body: bytes
    headers: Mapping[str, str] = {}
    shown: Mapping[str, str] = {}


class Receipt(msgspec.Struct, frozen=True):
    """What the other end has said, once it is known to be the other end that said it.

    Attributes
    ----------
    stored : Mapping[str, str]
        Uuid -> digest of what it holds under it; empty: it vouches for the id alone (FHIR, folder).
    refused : Mapping[str, str]
        Uuid -> why it will never take it.
    """

    stored: Mapping[str, str] = {}
    refused: Mapping[str, str] = {}
