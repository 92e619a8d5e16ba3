"""DATA_DIR/sync: the key, the certificate and what belongs to them, one set in force at a time.

What belongs together lies together in ``certs/N``, and ``current`` leads to the set in force: one
rename puts another in its place, so that no power cut leaves a key beside a certificate of
another. ``box.key``, ``box.crt`` and the others in the folder itself only lead there.

    certs/1/  box.key  box.csr  box.crt  ca.crt  receiver.pub  enrol.json
    current -> certs/1
    next -> certs/2         a request that waits for its certificate; none: nothing is under way
    previous -> certs/1     what was in force before, until the new one has worked
    box.key -> current/box.key ...
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from edge.enrol import EnrolError

FOLDER: Final = "sync"
"""In DATA_DIR."""
KEY: Final = "box.key"
REQUEST: Final = "box.csr"
CHAIN: Final = "box.crt"
CA: Final = "ca.crt"
RECEIVER: Final = "receiver.pub"
NOTE: Final = "enrol.json"
FILES: Final = (KEY, REQUEST, CHAIN, CA, RECEIVER, NOTE)
CURRENT: Final = "current"
NEXT: Final = "next"
PREVIOUS: Final = "previous"
WARN_S: Final = 30 * 86400.0
"""So long before a certificate ends it is told."""
MAX_BYTES: Final = 256 * 1024
"""Of any file here."""
_DAY_S: Final = 86400.0


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of one set, so that nobody has to parse a certificate to know when it ends.

    Attributes
    ----------
    box : str
        The name the certificate was asked for.
    fingerprint : str
        Of the public key.
    made_s, installed_s : float
        Wall time, seconds since 1970; 0: not yet.
    begins_s, ends_s, ca_ends_s : float
        Of the certificate, and of the authority; 0: there is none yet.
    serial, issuer : str
        Of the certificate.
    """

    box: str
    fingerprint: str
    made_s: float
    installed_s: float = 0.0
    begins_s: float = 0.0
    ends_s: float = 0.0
    ca_ends_s: float = 0.0
    serial: str = ""
    issuer: str = ""


def sync_folder(data_dir: Path) -> Path:
    """Return where the sender's files of a box lie."""
    return data_dir / FOLDER


def note_of(folder: Path, which: str = CURRENT) -> Note | None:
    """Return what is known of a set; None: there is no such set.

    Raises
    ------
    EnrolError
        It is there and cannot be read.
    """
    path = folder / which / NOTE
    try:
        return msgspec.json.decode(read_bounded(path), type=Note)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise EnrolError(
            f"{path} cannot be read ({error}): mend it, or begin again with `homeward enrol --new`"
        ) from error


def trouble_of(folder: Path, now_utc_s: float) -> str:
    """Return what is wrong with a box's certificate, or will be within 30 days; empty: nothing.

    Parameters
    ----------
    folder : Path
        DATA_DIR/sync.
    now_utc_s : float
        Wall time, seconds since 1970, by a clock that is known to be right.
    """
    try:
        now = note_of(folder)
    except EnrolError as error:
        return str(error)
    if now is None:
        return ""  # never enrolled, or the clinic has not answered yet: a sink says if it matters
    return _unfit(folder) or _ending(now, waiting(folder), now_utc_s)


def _ending(now: Note, coming: Path | None, now_utc_s: float) -> str:
    how = (
        "the request for a new one waits for the clinic: `homeward enrol`"
        if coming is not None
        else "run `homeward enrol --renew`"
    )
    if now.begins_s > now_utc_s:
        return "the certificate of this box is not valid yet: is the clock right?"
    for what, ends_s in (("certificate", now.ends_s), ("clinic's CA", now.ca_ends_s)):
        left_s = ends_s - now_utc_s
        whose = f"the {what} of this box" if what == "certificate" else f"the {what}"
        if left_s <= 0.0:
            return f"{whose} ended {_days(-left_s)} ago, and nothing reaches the clinic: {how}"
        if left_s <= WARN_S:
            return f"{whose} ends in {_days(left_s)}: {how}"
    return ""


def _days(span_s: float) -> str:
    days = int(span_s // _DAY_S)
    return "less than a day" if days < 1 else f"{days} day{'s' if days > 1 else ''}"


def _unfit(folder: Path) -> str:
    """Return what is wrong with the files themselves."""
    for name in (KEY, CHAIN, CA):
        try:
            mode = (folder / name).stat().st_mode & 0o777
        except OSError as error:
            return f"{folder / name} cannot be read ({error.strerror}): `homeward enrol --new`"
        if name == KEY and mode & 0o077:
            path = folder / name
            return f"{path} is open to other users (mode {mode:03o}): run `chmod 600 {path}`"
    return ""


def read_bounded(path: Path) -> bytes:
    """Return what a small file holds.

    Raises
    ------
    OSError
        It cannot be read.
    EnrolError
        It is no file, or far larger than any of these is.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise EnrolError(f"{path} is larger than any certificate: is it the right file?")
    return content


def write_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put a whole file in place, on the medium, or none; never open to others, not for a moment."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(file, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
    sync_dir(path.parent)


def sync_dir(folder: Path) -> None:
    """See that names in a folder are on the medium."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def new_set(folder: Path) -> Path:
    """Return a new empty set, of this user alone; links in the folder lead to the one in force."""
    certs = folder / "certs"
    certs.mkdir(mode=0o700, parents=True, exist_ok=True)
    for place in (folder, certs):
        place.chmod(0o700)
    for name in FILES:
        path = folder / name
        if path.is_symlink():
            continue
        if path.exists():
            raise EnrolError(
                f"{path} was put there by hand: move it away first, then `homeward enrol` keeps "
                f"key and certificate itself"
            )
        path.symlink_to(f"{CURRENT}/{name}")
    numbers = [int(one.name) for one in certs.iterdir() if one.name.isdecimal()]
    made = certs / str(max(numbers, default=0) + 1)
    made.mkdir(mode=0o700)
    return made


def point(folder: Path, which: str, to: Path | None) -> None:
    """Let a name lead to a set, at once and for good; None: it leads nowhere any more."""
    link = folder / which
    if to is None:
        link.unlink(missing_ok=True)
    else:
        beside = folder / f".{which}.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(to.relative_to(folder))
        beside.replace(link)
    sync_dir(folder)


def set_at(folder: Path, which: str) -> Path | None:
    """Return the set a name leads to; None: to none."""
    link = folder / which
    return folder / link.readlink() if link.is_symlink() else None


def waiting(folder: Path) -> Path | None:
    """Return the set whose request waits for the clinic; None: none does."""
    coming = set_at(folder, NEXT)
    # The same as the one in force: cut off just before it was said that nothing waits any more.
    return None if coming == set_at(folder, CURRENT) else coming


def sweep(folder: Path) -> None:
    """Remove sets nothing leads to: their keys are of no use any more."""
    used = {set_at(folder, which) for which in (CURRENT, NEXT, PREVIOUS)}
    for one in (folder / "certs").iterdir():
        if one not in used:
            shutil.rmtree(one)
