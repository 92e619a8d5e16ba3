"""One message on its way out, as the ledger keeps it: told before it is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge.clock import TimeQuality
from edge.egress.allowed import Content
from edge.egress.bounds import MAX_ID, MAX_NAME

MAX_BODY_BYTES: Final = 32 * 1024
"""One message; in base64 it has to fit into one request of the control socket."""
MAX_HEADER: Final = 4096
MAX_HEADERS: Final = 16
MAX_REFS: Final = 64
MAX_DETAIL: Final = 200
HIDDEN: Final = "[hidden]"
"""Stands in a header in the place of an address or a word of chance: these are passwords."""

Stage: TypeAlias = Literal["sent", "received", "failed"]
"""What became of it: the destination took it; it was asked again and holds it; it did not."""
URGENT: Final = frozenset({"alarm", "alarms", "missed", "gone", "fail"})
"""What it may be about to be sent while the monitor cannot be told: somebody has to come."""

_Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]


class Departure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message that is about to leave.

    Attributes
    ----------
    uuid : str
        Of this attempt; the same message sent again has another.
    at_s : float
        Boot clock, just before it is sent.
    process, destination, host : str
        Which process sends it, to which destination by its name, at which host. Never the
        address itself: that is a password.
    kind, version, about : Content, int, str
        Which kind of content (`edge.egress.allowed`), and what of it.
    known_as : str
        Id under which its receiver knows it; of what comes out of the outbox the entries' uuids,
        with a space between.
    refs : tuple[str, ...]
        Ids of the alerts it tells of.
    headers, body : Mapping[str, str], bytes
        What leaves, as it leaves: of the headers those that carry content, passwords `HIDDEN`.
    late, boot_id : bool, str
        It was sent while the monitor could not be told, and in which boot that was.
    """

    uuid: _Name
    at_s: Annotated[float, Meta(ge=0.0)]
    process: _Name
    destination: _Name
    host: Annotated[str, Meta(max_length=255)]
    kind: Content
    version: Annotated[int, Meta(ge=1, le=1000)]
    about: Annotated[str, Meta(max_length=MAX_NAME)] = ""
    known_as: Annotated[str, Meta(max_length=MAX_REFS * MAX_NAME)] = ""
    refs: Annotated[
        tuple[Annotated[str, Meta(max_length=MAX_ID)], ...], Meta(max_length=MAX_REFS)
    ] = ()
    headers: Annotated[
        Mapping[_Name, Annotated[str, Meta(max_length=MAX_HEADER)]], Meta(max_length=MAX_HEADERS)
    ] = {}
    body: Annotated[bytes, Meta(max_length=MAX_BODY_BYTES)] = b""
    late: bool = False
    boot_id: Annotated[str, Meta(max_length=MAX_NAME)] = ""

    @property
    def empty(self) -> bool:
        """Whether it says nothing but that it came: pings and questions."""
        return not self.body and not self.headers

    @property
    def urgent(self) -> bool:
        """Whether it is sent even where nobody can be told: somebody has to come."""
        return self.about in URGENT


class Left(msgspec.Struct, frozen=True):
    """A departure as it is stored, or several of the same that say nothing.

    Attributes
    ----------
    wall_s, quality : float | None, TimeQuality | None
        What the clock on the wall showed, and how far to trust it; None: nothing is known.
    times, until_s : int, float | None
        How many of them, and when the last was; one: None.
    handed : Mapping[str, bytes]
        Of what comes out of the outbox: entry -> what the sender was handed of it.
    """

    what: Departure
    wall_s: float | None = None
    quality: TimeQuality | None = None
    times: int = 1
    until_s: float | None = None
    handed: Mapping[str, bytes] = {}

    @property
    def sha256(self) -> str:
        """SHA-256 of the body as it left."""
        return hashlib.sha256(self.what.body).hexdigest()

    @property
    def head_sha256(self) -> str:
        """SHA-256 of the headers that carry content, as `header_text` writes them."""
        return hashlib.sha256(header_text(self.what.headers).encode()).hexdigest()


def header_text(headers: Mapping[str, str]) -> str:
    """Return headers as one text: JSON, sorted by name.

    >>> header_text({"X-B": "2", "X-A": "1"})
    '{"X-A":"1","X-B":"2"}'
    """
    return msgspec.json.encode(dict(headers), order="sorted").decode()
