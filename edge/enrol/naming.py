"""Names of boxes and of those who receive, topics, and fingerprints that people can compare."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from edge.enrol import EnrolError

BOX: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""As ``[sync] box``: it stands in a topic, a certificate and a broker's access list."""
RECEIVER: Final = re.compile(r"receiver(-[a-z0-9-]{1,32})?")
"""Those who may read what all boxes write: no box may be called so."""
TOPICS: Final = "homeward/v1"
_RESERVED: Final = frozenset({"broker", "homeward", "admin", "root", "anonymous"})


def check_box(name: str) -> str:
    """Return the name of a box.

    Raises
    ------
    EnrolError
        No box may be called that.

    >>> check_box("box-7f3a")
    'box-7f3a'
    """
    if not BOX.fullmatch(name):
        raise EnrolError(
            f"{name[:80]!r} is no name for a box: up to 63 small letters, digits and dashes, as in "
            f"[sync] box"
        )
    if RECEIVER.fullmatch(name) or name in _RESERVED:
        raise EnrolError(f"{name!r} is no name for a box: brokers give it other rights")
    return name


def up_topic(box: str) -> str:
    """Return where a box writes; what it writes is the last part."""
    return f"{TOPICS}/{box}/up"


def receipt_topic(box: str) -> str:
    """Return where a box is answered."""
    return f"{TOPICS}/{box}/receipt"


def fingerprint(public_key_der: bytes) -> str:
    """Return 128 bits of a public key's SHA-256 as people read them to each other.

    >>> fingerprint(b"")
    'e3b0 c442 98fc 1c14 9afb f4c8 996f b924'
    """
    text = hashlib.sha256(public_key_der).hexdigest()[:32]
    return " ".join(text[at : at + 4] for at in range(0, 32, 4))


def same_fingerprint(one: str, other: str) -> bool:
    """Return whether two are the same, however they were typed."""

    def bare(text: str) -> str:
        return re.sub(r"[^0-9a-f]", "", text.lower())

    return len(bare(one)) == 32 and bare(one) == bare(other)
