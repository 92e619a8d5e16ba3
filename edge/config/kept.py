"""What people changed with `homeward limits`: a file in the data directory, over the settings file.

It is written whole and put in its place in one step, with a digest over it, so that a power cut
leaves the old one or the new one. Every value carries as what, when and by a random reference who
set it and why: those words are of people, and stand with the records (`edge.config.words`). The
patient stands there as a salted digest of the id in the settings file.

What counts for a patient, the last one first: what is kept here, a preset that was chosen here, and
what the settings file says. A preset chosen here, and a new patient, put aside what the file says
of that patient alone (`KeptPatient.void`): it was of somebody else, or of before. A key of the file
counts again as soon as it says something else there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from edge.config.settings import ConfigError, Document, Patient
from edge.config.void import is_void, told_apart

FILE: Final = "limits.json"
_PREFIX: Final = ".limits-"
_VERSIONS: Final = (1, 2)
"""1: with who and why in clear, as an older Homeward wrote it."""


class Who(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who did it, as what, when (UTC, as 2026-03-01T08:00:00Z) and why.

    Attributes
    ----------
    ref : str
        Under which `by` and `why` stand with the records; in the file they are empty.
    """

    by: str
    role: str
    at: str
    why: str
    ref: str = ""

    @property
    def words(self) -> str:
        """As people read it."""
        return f"{self.by} ({self.role}) on {self.at[:10]}: {self.why}"


class KeptValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One setting of one rule."""

    value: bool | float
    who: Who


class KeptPreset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A preset that was chosen; empty: the rules' own defaults."""

    name: str
    who: Who


class KeptScale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """NEWS2's scale of the oxygen saturation, decided on the day of `who`."""

    scale: int
    who: Who


class KeptPatient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of one patient.

    Attributes
    ----------
    alarms : Mapping
        Rule -> setting -> value.
    void : Mapping[str, Any]
        Key of the patient's table in the settings file -> the value that does not count.
    new_patient : Who | None
        Who said that somebody else lies here, last.
    """

    alarms: Mapping[str, Mapping[str, KeptValue]] = {}
    preset: KeptPreset | None = None
    scale: KeptScale | None = None
    void: Mapping[str, Any] = {}
    new_patient: Who | None = None


Kept: TypeAlias = Mapping[str, KeptPatient]
"""By patient."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    patients: dict[str, KeptPatient]
    sha256: str = ""


def read_kept(folder: Path) -> Kept:
    """Return what is kept in a data directory, by digest of the patient: see `named`.

    Raises
    ------
    ConfigError
        It cannot be read, or is not what was written.
    """
    path = folder / FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): check its rights") from error
    mend = (
        f"look at it and set the limits again with `homeward limits`; move it away ({path}.old) to "
        f"go on with those of the settings file"
    )
    try:
        stored = msgspec.json.decode(text, type=_File)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} is damaged ({error}); {mend}") from error
    if stored.version not in _VERSIONS:
        raise ConfigError(
            f"{path} was written by a newer Homeward (version {stored.version}): install it again"
        )
    if stored.sha256 != _digest(stored.patients):
        raise ConfigError(f"{path} is not as it was written; {mend}")
    return stored.patients


def named(kept: Kept, patients: Iterable[str]) -> Kept:
    """Return what is kept by patient, as far as they are in the settings file."""
    ids = tuple(patients)

    def name_of(key: str) -> str:
        return next((one for one in ids if is_void(key, one)), key)

    return {name_of(key): one for key, one in kept.items()}


def holds_words(folder: Path) -> bool:
    """Return whether the file says who decided something, as an older Homeward wrote it.

    Raises
    ------
    ConfigError
        It cannot be read, or is not what was written.
    """
    found: list[Who] = []

    def see(who: Who) -> Who:
        found.append(who)
        return who

    each_who(read_kept(folder), see)
    return any(who.by or who.why for who in found)


def write_kept(folder: Path, kept: Kept) -> None:
    """Put what is kept in the place of what was, without who decided it and why.

    Those words are to be with the records before (`edge.config.words.words_of`).

    Raises
    ------
    OSError
        The disk will not have it; the old file stands.
    """
    patients = {told_apart(patient): one for patient, one in without_words(kept).items()}
    stored = _File(_VERSIONS[-1], patients, _digest(patients))
    text = msgspec.json.format(msgspec.json.encode(stored), indent=1)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.glob(f"{_PREFIX}*"):  # of a program that was killed while it wrote
        left.unlink(missing_ok=True)
    before = _open_to_overwrite(folder / FILE)
    handle, name = tempfile.mkstemp(dir=folder, prefix=_PREFIX)
    try:
        with os.fdopen(handle, "wb") as new:
            new.write(text + b"\n")
            new.flush()
            os.fsync(new.fileno())
        if os.geteuid() == 0:  # `sudo homeward limits` must not lock the monitor out
            owner = folder.stat()
            os.chown(name, owner.st_uid, owner.st_gid)
        Path(name).replace(folder / FILE)
    except OSError:
        Path(name).unlink(missing_ok=True)
        if before is not None:
            os.close(before)
        raise
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
        # Only now: before, a power cut would have left the name with the old file, overwritten.
        if before is not None:
            _overwrite(before)


def _open_to_overwrite(path: Path) -> int | None:
    """Return the open file of before, where there is one: it may hold words in clear."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return None  # there is none, or it cannot be written: nothing is lost by leaving it


def _overwrite(file: int) -> None:
    """Overwrite a file that has no name any more, as far as its disk does that in place."""
    with contextlib.suppress(OSError):  # what was to be written is written
        os.pwrite(file, bytes(os.fstat(file).st_size), 0)
        os.fsync(file)
    os.close(file)


def set_aside(document: Document, kept: Kept) -> Document:
    """Return the settings file as it counts, without what was put aside of each patient."""
    tables = document.get("patients")
    if not kept or not isinstance(tables, list):
        return document
    counting = []
    for table in tables:
        stored = kept.get(table.get("id", Patient().id)) if isinstance(table, dict) else None
        if stored is not None and stored.void:
            named = {"id": table["id"]} if "id" in table else {}
            table = {**named, **without_void(table, stored.void)}  # noqa: PLW2901
        counting.append(table)
    return {**document, "patients": counting}


def tables_by_id(document: Document) -> dict[str, Document]:
    """Return the table of each patient as it stands in the settings file."""
    tables = document.get("patients")
    if not isinstance(tables, list):
        return {}
    return {str(t.get("id", Patient().id)): t for t in tables if isinstance(t, dict)}


def as_kept(patient: Patient, kept: Kept) -> Patient:
    """Return a patient with the preset and the scale that people chose."""
    stored = kept.get(patient.id)
    if stored is None:
        return patient
    changes: dict[str, Any] = {}
    if stored.preset is not None:
        changes["preset"] = stored.preset.name or None
    if stored.scale is not None:
        who = stored.scale.who
        changes |= {
            "spo2_scale": stored.scale.scale,
            "spo2_scale_by": who.by,
            "spo2_scale_on": who.at[:10],
            "spo2_scale_why": who.why,
        }
    return msgspec.structs.replace(patient, **changes)


def without_void(table: Mapping[str, Any], void: Mapping[str, Any]) -> dict[str, Any]:
    """Return a patient's table of the settings file without what does not count."""
    return unflatten({k: v for k, v in flatten(table) if k not in void or not is_void(void[k], v)})


def flatten(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Give the keys of a table, those of tables in it dotted, without ``id``."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{above}{key}.")
        elif above or key != "id":
            yield f"{above}{key}", value


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of dotted keys."""
    table: dict[str, Any] = {}
    for dotted, value in flat.items():
        *above, last = dotted.split(".")
        inner = table
        for name in above:
            inner = inner.setdefault(name, {})
        inner[last] = value
    return table


def without_words(kept: Kept) -> Kept:
    """Return what is kept without who decided it and why, where those have a reference."""
    return each_who(kept, lambda who: replace(who, by="", why="") if who.ref else who)


def each_who(kept: Kept, change: Callable[[Who], Who]) -> Kept:
    """Return what is kept with every `Who` changed."""

    def value(one: KeptValue) -> KeptValue:
        return replace(one, who=change(one.who))

    return {
        patient: replace(
            one,
            alarms={r: {k: value(v) for k, v in t.items()} for r, t in one.alarms.items()},
            preset=one.preset and replace(one.preset, who=change(one.preset.who)),
            scale=one.scale and replace(one.scale, who=change(one.scale.who)),
            new_patient=one.new_patient and change(one.new_patient),
        )
        for patient, one in kept.items()
    }


def _digest(patients: Mapping[str, KeptPatient]) -> str:
    return hashlib.sha256(msgspec.json.encode(patients, order="deterministic")).hexdigest()
