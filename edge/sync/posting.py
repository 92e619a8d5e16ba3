"""One HTTPS exchange of a sink: in time, bounded, and what its failure means for what was sent.

A 4xx is not always about the message: a token that has run out, a wrong path or a busy server say
nothing of it, and what is set aside for that is lost for the record. So only what speaks of the
content itself counts as refused, and the rest is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from edge.fetch import Ask, FetchError, Reply, fetch
from edge.sync import SyncError
from edge.sync.identity import ends_s
from edge.sync.parcel import MAX_PARCEL_BYTES, Item
from edge.sync.sinks import Place, SinkError

WHOLE_S: Final = 32.0
"""24 kB over a line of 10 kbit/s take 20 s."""
BODY_S: Final = 12.0
"""Of these; an answer can be as long as the question."""
MAX_REPLY_BYTES: Final = 1024 * 1024
MAX_RECEIPTS: Final = 64
TOO_LARGE: Final = 413
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_WHY: Final = {
    401: "it does not know us: is the token right, and still good?",
    403: "it knows us, and does not let us write there",
    404: "there is nothing at this path: is the address right?",
    405: "nothing can be sent to this path: is the address right?",
    408: "it waited for us in vain",
    409: "somebody else was writing; it will be tried again",
    429: "it wants to be left alone for a while",
}


class Door(msgspec.Struct, frozen=True):
    """Where to knock, and what vouches for whom.

    Attributes
    ----------
    url, host : str
        The address, which may be a password; and what of it may be shown.
    ca_file, cert_file, key_file : Path | None
        As of `edge.fetch.Ask`.
    scrub : Callable
        Takes out of a text what nobody may see.
    """

    url: str
    host: str
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    scrub: Callable[[str], str] = str

    def certificate_s(self) -> float | None:
        """Return when the certificate we show ends, seconds since 1970; None: we show none."""
        return None if self.cert_file is None else ends_s(self.cert_file)

    @property
    def uses_tls(self) -> bool:
        """Whether certificates are judged."""
        return self.url.startswith("https:")


def door(
    url: str,
    place: Place,
    *,
    ca_file: Path | None,
    certificate: bool,
    scrub: Callable[[str], str] = str,
) -> Door:
    """Return the way to an address.

    Parameters
    ----------
    certificate : bool
        Show the certificate of the box (`homeward enrol`), and take its authority for the
        server's where no other is named.

    Raises
    ------
    SyncError
        The address is none, or a file is missing; the text holds nothing of the address.
    """
    try:
        parts = urlsplit(url)
        host, login = parts.hostname or "", parts.username or parts.password
    except ValueError:
        parts, host, login = urlsplit(""), "", None
    plain = parts.scheme == "http" and host in _LOCAL
    if (parts.scheme != "https" and not plain) or not host or not url.isascii():
        raise SyncError(
            f"[[sinks]] {place.name}: its address must begin with https://, and name a host "
            f"(http:// only for this machine)"
        )
    if login or parts.fragment or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise SyncError(
            f"[[sinks]] {place.name}: its address holds a login, a # or a space; a token belongs "
            f"into a file of its own"
        )
    own = own_files(place) if certificate else (None, None, None)
    return Door(url, host, ca_file or own[0], own[1], own[2], scrub)


def own_files(place: Place) -> tuple[Path, Path, Path]:
    """Return authority, certificate and key of the box.

    Raises
    ------
    SyncError
        One of them is not there.
    """
    ca, crt, key = (place.sync_dir / name for name in ("ca.crt", "box.crt", "box.key"))
    missing = [file.name for file in (ca, crt, key) if not file.is_file()]
    if missing:
        raise SyncError(
            f"[[sinks]] {place.name}: {' and '.join(missing)} is not there: run `homeward enrol`, "
            f"or set certificate = false"
        )
    return ca, crt, key


async def post(
    door: Door, headers: Mapping[str, str], body: bytes, most: int = MAX_REPLY_BYTES
) -> Reply:
    """Return the answer to a POST, whatever it is.

    Raises
    ------
    SinkError
        There was none in time, or the server is not who it should be.
    """
    ask = Ask(
        door.url,
        "POST",
        headers,
        body,
        door.ca_file,
        most,
        door.cert_file,
        door.key_file,
        WHOLE_S,
        BODY_S,
    )
    try:
        return await fetch(ask)
    except FetchError as error:
        raise SinkError(door.scrub(str(error)), arrived=error.arrived) from None


def failure(host: str, reply: Reply, *, refused: bool = False, told: str = "") -> SinkError:
    """Return what an answer means that is no success.

    Parameters
    ----------
    refused : bool
        It speaks of the content, and will say the same tomorrow.
    told : str
        What the server gives as its reason; cut, and shown as it is.
    """
    kind = "it is tried again"
    if refused:
        kind = told or "it will not take this"
    elif 300 <= reply.status < 400:
        kind = "it wants to send us elsewhere, and a token is not taken elsewhere"
    return SinkError(
        f"{host} answered {reply.status}: {_WHY.get(reply.status, kind)}"[:200],
        arrived=reply.status >= 500,
        retry_after_s=reply.retry_after_s(),
        refused=refused,
    )


def fitting(
    items: Sequence[Item],
    make: Callable[[Sequence[Item]], bytes],
    most: int = MAX_PARCEL_BYTES,
) -> tuple[tuple[Item, ...], bytes]:
    """Return as many of the items as fit into one body, from the first on, and the body.

    At least one: what does not fit alone is the ledger's to refuse.
    """
    size = n = 0
    for item in items:  # a first guess, always too high: the wrapping is not in it
        size += len(item.content)
        if n and size > most:
            break
        n += 1
    body = make(items[:n])
    while len(body) > most and n > 1:
        n = max(1, min(n - 1, int(n * most / len(body))))
        body = make(items[:n])
    return tuple(items[:n]), body


def plain_words(text: str) -> str:
    """Return what a stranger says as one line that can be shown.

    >>> plain_words("a" + chr(27) + "[31m" + chr(10) + "b")
    'a [31m b'
    """
    return "".join(letter if letter.isprintable() else " " for letter in text)[:160].strip()
