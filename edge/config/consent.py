"""``[consent]`` and ``[ledger]``: what may leave the box, and how long is kept what it said.

What people switch while the monitor runs (`homeward consent set`) lies in a small file in the data
directory and stands above the settings: switches and nothing else. Who switched them, when and why
is in the chain (`edge.store.chain`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

FILE: Final = "consent.json"
_PREFIX: Final = ".consent-"
MAX_BYTES: Final = 64 * 1024


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """``[consent]``: kinds of content that may leave, where there is a destination for them."""

    alerts: Annotated[
        bool, Meta(description="Alerts with reason and vital signs, to a receiver's record.")
    ] = True
    summaries: Annotated[
        bool, Meta(description="What each period looked like, to a receiver's record.")
    ] = True
    notices: Annotated[
        bool,
        Meta(
            description="Notices of alarms to people ([[notices]]). Off, nobody outside the room "
            "is told of any alarm."
        ),
    ] = True
    notice_details: Annotated[
        bool, Meta(description="Measured values in notices that ask for them (details = true).")
    ] = True
    pings: Annotated[
        bool,
        Meta(description="Empty pings to the watcher that calls when this box fails ([deadman])."),
    ] = True
    self_tests: Annotated[bool, Meta(description="Test notices.")] = True
    heartbeats: Annotated[
        bool, Meta(description="How the box is, to whoever looks after many boxes.")
    ] = False
    numbers: Annotated[
        bool, Meta(description="The numbers of now, to a display in the home (Home Assistant).")
    ] = False


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """``[ledger]``: how long what messages said is kept; that they left is kept on."""

    content_days: Annotated[
        float, Meta(ge=1.0, le=3650.0, description="Keep the words of messages for so long.")
    ] = 90.0
    content_mb: Annotated[
        float, Meta(ge=0.1, le=1000.0, description="And at most so much of them, oldest first.")
    ] = 16.0


Kept: TypeAlias = Mapping[str, bool]
"""Name of a switch -> what people set it to."""


class ConsentFileError(Exception):
    """What people let leave cannot be read or written; the text says why and what to do."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    switches: dict[str, bool]
    sha256: str = ""


def read_switches(folder: Path) -> Kept:
    """Return what people switched; empty: nothing yet.

    Raises
    ------
    ConsentFileError
        It cannot be read, or is not what was written.
    """
    path = folder / FILE
    try:
        with path.open("rb") as file:
            stored = msgspec.json.decode(file.read(MAX_BYTES), type=_File)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConsentFileError(
            f"{path} cannot be read ({error.strerror}): check its rights"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConsentFileError(f"{path} is damaged; {_MEND}") from error
    if stored.version != 1 or stored.sha256 != _digest(stored.switches):
        raise ConsentFileError(f"{path} is not as it was written; {_MEND}")
    return stored.switches


def write_switches(folder: Path, switches: Kept) -> None:
    """Put what people switched in the place of what was, in one step.

    Raises
    ------
    ConsentFileError
        The disk will not have it; the old file stands.
    """
    kept = dict(sorted(switches.items()))
    text = msgspec.json.format(msgspec.json.encode(_File(1, kept, _digest(kept))), indent=1)
    path = folder / FILE
    try:
        _replace(path, text + b"\n")
    except OSError as error:
        raise ConsentFileError(f"{path} cannot be written ({error.strerror}): mend it") from error


def _replace(path: Path, text: bytes) -> None:
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob(f"{_PREFIX}*"):  # of a program that was killed while it wrote
        left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=_PREFIX)
    try:
        with os.fdopen(handle, "wb") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        if os.geteuid() == 0:  # `sudo homeward consent` must not lock the monitor out
            owner = folder.stat()
            os.chown(name, owner.st_uid, owner.st_gid)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


_MEND: Final = (
    "until it is mended only what [consent] lets leave of notices without measured values, tests "
    "and pings does: set the switches again with `homeward consent set`"
)


def _digest(switches: Kept) -> str:
    plain = dict(sorted(switches.items()))
    return hashlib.sha256(msgspec.json.encode(plain)).hexdigest()
