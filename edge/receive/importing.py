"""What a box has written onto a stick (`edge.sync.sinks.folder`), into the store.

Every file is checked as a whole before anything of it is stored: the key beside it has to be the
box's, and its signature has to fit. What is stored already is no harm: an entry is kept once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.receive import ReceiveError
from edge.receive.arrivals import Facts, arrived
from edge.receive.store import Store, StoreError
from edge.sync import wire
from edge.sync.medium import ENDING, MARKER
from edge.sync.signed_lines import MAX_FILE_BYTES, Marker, SignatureError, key_of, verified


def boxes_in(folder: Path) -> tuple[Path, ...]:
    """Return the folders of boxes on a stick, or in a copy of one.

    Raises
    ------
    ReceiveError
        There is none.
    """
    found = tuple(sorted(path.parent for path in (*folder.glob(f"*/{MARKER}"), folder / MARKER)))
    there = tuple(path for path in found if (path / MARKER).is_file())
    if not there:
        raise ReceiveError(f"{folder} holds nothing of a box: name where the stick is mounted")
    return there


def import_box(
    folder: Path,
    store: Store,
    at_s: float,
    *,
    ca: bytes | None = None,
    pinned: str = "",
    facts: Facts | None = None,
) -> Iterator[Mapping[str, Any]]:
    """Store what a box has written; yield a record a file.

    Parameters
    ----------
    at_s : float
        Now, seconds since 1970.
    ca, pinned : bytes | None, str
        What says whose key it is: see `edge.sync.signed_lines.key_of`.

    Raises
    ------
    ReceiveError
        Nothing says whose key it is, or the store cannot be used.
    """
    marker, key = _trusted(folder, ca, pinned)
    for path in sorted(folder.glob(f"*{ENDING}")):
        said: dict[str, Any] = {"file": path.name, "box": marker.box}
        try:
            batch = [arrived(one, at_s, facts) for one in _opened(path, marker.box, key)]
            kept = store.keep(batch)
        except (OSError, SignatureError, wire.WireError) as error:
            yield {"record": "not_imported", **said, "why": str(error)}
            continue
        except StoreError as error:
            raise ReceiveError(str(error)) from error
        yield {
            "record": "imported",
            **said,
            "n_new": sum(len(one.new) for one in kept),
            "n_copies": sum(one.n_copies for one in kept),
            "n_refused": sum(len(one.refused) for one in batch),
        }


def _trusted(folder: Path, ca: bytes | None, pinned: str) -> tuple[Marker, Ed25519PublicKey]:
    path = folder / MARKER
    try:
        marker = msgspec.json.decode(_read(path), type=Marker)
    except (OSError, msgspec.MsgspecError, UnicodeError, SignatureError) as error:
        raise ReceiveError(f"{path} cannot be read ({type(error).__name__})") from error
    try:
        return marker, key_of(marker, ca, pinned)
    except SignatureError as error:
        raise ReceiveError(f"{path}: {error}. Its key is {marker.public_key}") from error


def _opened(path: Path, box: str, key: Ed25519PublicKey) -> list[wire.Envelope]:
    return [wire.opened(line, box) for line in verified(_read(path), key)]


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        body = file.read(MAX_FILE_BYTES + 1)
    if len(body) > MAX_FILE_BYTES:
        raise SignatureError("it is larger than any file of ours")
    return body
