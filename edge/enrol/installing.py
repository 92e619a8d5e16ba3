"""Request, renewal, installation, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge.enrol import EnrolError
from edge.enrol.chain import read_chain, rehearse, troubles
from edge.enrol.folder import (
    CA,
    CHAIN,
    CURRENT,
    KEY,
    NEXT,
    NOTE,
    PREVIOUS,
    RECEIVER,
    REQUEST,
    Note,
    new_set,
    note_of,
    point,
    read_bounded,
    set_at,
    sweep,
    sync_dir,
    waiting,
    write_file,
)
from edge.enrol.naming import check_box
from edge.enrol.request import fingerprint_of, key_pem, new_key, public_der, request_pem


def begin(folder: Path, box: str, now_utc_s: float) -> Note:
    """Make a key and a request, beside whatever is in force; an earlier request is given up.

    Returns
    -------
    Note
        Of what waits for the clinic now.

    Raises
    ------
    EnrolError
        The name is none a box may have.
    """
    check_box(box)
    made = new_set(folder)
    key = new_key()
    note = Note(box, fingerprint_of(key), now_utc_s)
    write_file(made / KEY, key_pem(key))
    write_file(made / REQUEST, request_pem(key, box))
    write_file(made / NOTE, msgspec.json.format(msgspec.json.encode(note)))
    sync_dir(made.parent)
    point(folder, NEXT, made)
    sweep(folder)
    return note


def request_of(folder: Path) -> bytes | None:
    """Return the request that waits for the clinic; None: none does."""
    made = waiting(folder)
    return None if made is None else read_bounded(made / REQUEST)


def install(
    folder: Path, content: bytes, ca: bytes | None, receiver: bytes | None, now_utc_s: float
) -> Note:
    """Put a clinic's chain in force, when it stands up to every check; what was before is kept.

    Parameters
    ----------
    content, ca, receiver : bytes
        As for `edge.enrol.chain.read_chain`.

    Raises
    ------
    EnrolError
        It does not; the text names all that is wrong with it. Nothing has changed then.
    """
    note, made = note_of(folder, NEXT), waiting(folder)
    if note is None or made is None:
        raise EnrolError("no request waits for a certificate: `homeward enrol` makes one")
    key_text = read_bounded(made / KEY)
    key = serialization.load_pem_private_key(key_text, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise EnrolError(f"{made / KEY} is not the key that was made here: `homeward enrol --new`")
    chain = read_chain(content, ca, receiver, public_der(key))
    found = troubles(chain.leaf, note.box)
    refused = rehearse(chain.pem, key_text, chain.ca_pem, datetime.fromtimestamp(now_utc_s, UTC))
    if refused:
        found.append(refused)
    if found:
        raise EnrolError(
            "this certificate does not do, and nothing was changed: " + "; ".join(found)
        )
    kept = receiver_of(folder)
    note = msgspec.structs.replace(
        note,
        installed_s=now_utc_s,
        begins_s=chain.leaf.not_valid_before_utc.timestamp(),
        ends_s=chain.leaf.not_valid_after_utc.timestamp(),
        ca_ends_s=chain.ca_ends.timestamp(),
        serial=f"{chain.leaf.serial_number:x}",
        issuer=chain.leaf.issuer.rfc4514_string()[:200],
    )
    write_file(made / CHAIN, chain.pem)
    write_file(made / CA, chain.ca_pem)
    if chain.receiver_pem or kept:
        write_file(made / RECEIVER, chain.receiver_pem or kept)
    write_file(made / NOTE, msgspec.json.format(msgspec.json.encode(note)))
    _put_in_force(folder, made)
    return note


def _put_in_force(folder: Path, made: Path) -> None:
    """Let all names lead to another set.

    What was in force is remembered first: cut off anywhere, the box has one whole set, and either
    the old one with a request beside it or the new one.
    """
    before = set_at(folder, CURRENT)
    if before is not None and before != made and set_at(folder, PREVIOUS) is None:
        # An earlier one that never worked is not worth going back to; the one before it is.
        point(folder, PREVIOUS, before)
    point(folder, CURRENT, made)
    point(folder, NEXT, None)
    sweep(folder)


def receiver_of(folder: Path) -> bytes:
    """Return the key receipts are signed by; empty: none was handed over."""
    path = folder / RECEIVER
    return read_bounded(path) if path.exists() else b""


def prove(folder: Path) -> bool:
    """Say that the set in force has worked: the one before it goes; return whether there was one.

    Cheap where there is none: the sender may say so after every connection.
    """
    if set_at(folder, PREVIOUS) is None:
        return False
    point(folder, PREVIOUS, None)
    sweep(folder)
    return True


def go_back(folder: Path) -> Note:
    """Put the set before the one in force back, key and all.

    Raises
    ------
    EnrolError
        There is none.
    """
    before = set_at(folder, PREVIOUS)
    note = note_of(folder, PREVIOUS)
    if before is None or note is None:
        raise EnrolError("there is no earlier certificate to go back to")
    point(folder, CURRENT, before)
    point(folder, PREVIOUS, None)
    sweep(folder)
    return note
