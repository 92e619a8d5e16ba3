"""Annotated recordings: which there are, whose they are, and which windows are anomalous.

MIT-BIH Arrhythmia Database (Moody & Mark 2001, doi:10.1109/51.932724; ODC-By 1.0) for training
and testing; PhysioNet/CinC Challenge 2015 (Clifford et al. 2015, doi:10.1109/CIC.2015.7408639)
as an outside check, never for training.

Beat classes follow ANSI/AAMI EC57 (table of recommended groups): escape beats ``e`` and ``j``
belong to N, supraventricular premature beats to S. Of record 202 the person is the same as of
record 201; any two records of one person have one `Recording.subject`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import IntFlag
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

Mark = TypeVar("Mark", str, bool)

PACED: Final = frozenset({"102", "104", "107", "217"})
"""EC57 leaves paced people out; the model has not seen them either."""
SAME_SUBJECT: Final = {
    "202": "201",
    # The noise stress records are 118 and 119 again, with noise.
    **{f"{n}e{db}": n for n in ("118", "119") for db in ("24", "18", "12", "06", "00", "_6")},
}
LICENCE: Final = "ODC-By 1.0"

CLASS_OF: Final = {
    **dict.fromkeys("NLRejB", "N"),
    **dict.fromkeys("AaJS", "S"),
    **dict.fromkeys("VEr", "V"),
    "F": "F",
    **dict.fromkeys("/fQ?", "Q"),
}
"""Annotation symbol -> EC57 beat class, for everything that is a beat."""
CALM_RHYTHMS: Final = frozenset({"(N", "(SBR"})
FLUTTER_RHYTHMS: Final = frozenset({"(AFIB", "(AFL"})
RHYTHM_LEAST_S: Final = 1.0
"""A window is anomalous when more than this of it is another rhythm than a calm one."""
UNREADABLE_MOST: Final = 0.5
"""A window is left out when more than this share of it is marked unreadable."""


class DataError(RuntimeError):
    """Recordings are missing or cannot be read; the text says which and what to do."""


class Why(IntFlag):
    """What makes a window anomalous, or unusable; 0 is a normal window."""

    V = 1
    S = 2
    F = 4
    AF = 8
    RHYTHM = 16
    FLUTTER_WAVES = 32
    UNREADABLE = 64


ANOMALOUS: Final = Why.V | Why.S | Why.F | Why.AF | Why.RHYTHM | Why.FLUTTER_WAVES


class Recording(msgspec.Struct, frozen=True):
    """One recording on the disk.

    Attributes
    ----------
    path : str
        Of the WFDB header, without its ending.
    subject : str
        The person; folds and confidence intervals are made over these.
    """

    name: str
    subject: str
    database: str
    path: str


class Annotations(msgspec.Struct, frozen=True, eq=False):
    """What cardiologists wrote beside a recording.

    Attributes
    ----------
    fs_hz : float
        Of the recording.
    n_samples : int
        Its length.
    beat_idx : NDArray[np.int64]
        Shape (n,), sample of every beat.
    beat_class : NDArray[np.str_]
        Shape (n,), EC57 class of each: N, S, V, F or Q.
    rhythms : tuple[tuple[str, int, int], ...]
        (name as annotated, first sample, sample after the last).
    unreadable, flutter : tuple[tuple[int, int], ...]
        Spans in which the first lead cannot be read; spans of ventricular flutter waves.
    """

    fs_hz: float
    n_samples: int
    beat_idx: NDArray[np.int64]
    beat_class: NDArray[np.str_]
    rhythms: tuple[tuple[str, int, int], ...]
    unreadable: tuple[tuple[int, int], ...]
    flutter: tuple[tuple[int, int], ...]


class RecordedAlarm(msgspec.Struct, frozen=True):
    """A recording that ends in the alarm of an intensive-care monitor.

    Attributes
    ----------
    kind : str
        ``Asystole``, ``Bradycardia``, ``Tachycardia``, ``Ventricular_Flutter_Fib`` or
        ``Ventricular_Tachycardia``.
    true : bool
        Whether the experts agreed with the monitor.
    at_s : float
        When it sounded, from the start of the recording.
    """

    recording: Recording
    kind: str
    true: bool
    at_s: float = 300.0


def data_root(given: Path | None = None) -> Path:
    """Return the folder of recordings: `given`, else ``HOMEWARD_DATA``, else ``../shared/data``.

    Raises
    ------
    DataError
        There is no such folder.
    """
    root = given or Path(os.environ.get("HOMEWARD_DATA", "../shared/data"))
    if not root.is_dir():
        raise DataError(f"no recordings at {root}; give --data DIR or set HOMEWARD_DATA")
    return root


def find_recordings(root: Path, *, paced: bool = False) -> tuple[Recording, ...]:
    """Return the annotated records under ``root/mitdb``, sorted; paced people only when asked for.

    Where `root` has no such folder, it is taken to be the folder of the records itself.

    Raises
    ------
    DataError
        There are none.
    """
    folder = root / "mitdb" if (root / "mitdb").is_dir() else root
    names = sorted(p.stem for p in folder.glob("*.hea") if p.with_suffix(".atr").exists())
    found = tuple(
        Recording(name, SAME_SUBJECT.get(name, name), "mitdb", str(folder / name))
        for name in names
        if paced or name not in PACED
    )
    if not found:
        raise DataError(
            f"no .hea file with its .atr in {folder}; name a folder of annotated MIT-BIH records"
        )
    return found


def find_alarms(root: Path) -> tuple[RecordedAlarm, ...]:
    """Return the Challenge 2015 recordings under ``root/cinc2015``, sorted; empty when absent."""
    listing = root / "cinc2015" / "ALARMS"
    if not listing.is_file():
        return ()
    found = []
    for line in sorted(listing.read_text(encoding="ascii").split()):
        name, kind, true = line.split(",")
        path = str(listing.parent / "records" / name)
        recording = Recording(name, name[:-1], "cinc2015", path)
        found.append(RecordedAlarm(recording, kind, true == "1"))
    return tuple(found)


def read_annotations(recording: Recording) -> Annotations:
    """Read the reference annotations (``.atr``) of a recording.

    Raises
    ------
    DataError
        The header or the annotations cannot be read.
    """
    import wfdb

    try:
        header = wfdb.rdheader(recording.path)
        marks = wfdb.rdann(recording.path, "atr")
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the annotations of {recording.path}: {error}") from error
    n = int(header.sig_len)
    is_beat = [symbol in CLASS_OF for symbol in marks.symbol]
    return Annotations(
        fs_hz=float(header.fs),
        n_samples=n,
        beat_idx=np.asarray(marks.sample, np.int64)[is_beat],
        beat_class=np.array([CLASS_OF[s] for s in marks.symbol if s in CLASS_OF], np.str_),
        rhythms=_rhythms(marks, n),
        unreadable=_unreadable(marks, n),
        flutter=_flutter(marks, n),
    )


def label_windows(
    annotations: Annotations, starts_s: NDArray[np.float64], length_s: float
) -> NDArray[np.int16]:
    """Return for each window why it is anomalous (`Why`), 0 where it is normal.

    Parameters
    ----------
    annotations : Annotations
        Of the recording.
    starts_s : NDArray[np.float64]
        Shape (n,), start of each window from the start of the recording.
    length_s : float
        Length of every window.

    Returns
    -------
    NDArray[np.int16]
        Shape (n,). A window with any V, S or F beat, with more than `RHYTHM_LEAST_S` of a rhythm
        that is not calm, or touched by flutter waves is anomalous; `Why.UNREADABLE` is added
        where more than `UNREADABLE_MOST` of it cannot be read.
    """
    fs = annotations.fs_hz
    first = np.round(starts_s * fs).astype(np.int64)
    last = first + round(length_s * fs)
    why = np.zeros(len(first), np.int16)
    for letter, flag in (("V", Why.V), ("S", Why.S), ("F", Why.F)):
        beats = annotations.beat_idx[annotations.beat_class == letter]
        n_inside = np.searchsorted(beats, last) - np.searchsorted(beats, first)
        why[n_inside > 0] |= flag
    af = [(a, b) for name, a, b in annotations.rhythms if name in FLUTTER_RHYTHMS]
    other = [(a, b) for name, a, b in annotations.rhythms if name not in CALM_RHYTHMS]
    least = RHYTHM_LEAST_S * fs
    why[_covered(first, last, af) > least] |= Why.AF
    why[_covered(first, last, other) > least] |= Why.RHYTHM
    why[_covered(first, last, annotations.flutter) > 0] |= Why.FLUTTER_WAVES
    unreadable = _covered(first, last, annotations.unreadable)
    why[unreadable > UNREADABLE_MOST * (last - first)] |= Why.UNREADABLE
    return why


def _covered(
    first: NDArray[np.int64], last: NDArray[np.int64], spans: Sequence[tuple[int, int]]
) -> NDArray[np.int64]:
    """Return how many samples of each window lie in any of `spans` (which do not overlap)."""
    total = np.zeros(len(first), np.int64)
    for start, end in spans:
        total += np.maximum(0, np.minimum(last, end) - np.maximum(first, start))
    return total


def _until_next(changes: Sequence[tuple[Mark, int]], n: int) -> list[tuple[Mark, int, int]]:
    """Return (what, from, to): each change holds until the next one, the last one to the end."""
    ends = [at for _, at in changes[1:]] + [n] * bool(changes)
    return [(what, at, end) for (what, at), end in zip(changes, ends, strict=True)]


def _rhythms(marks: Any, n: int) -> tuple[tuple[str, int, int], ...]:  # noqa: ANN401  # wfdb
    changes = [
        (note.rstrip("\x00"), int(at))
        for at, symbol, note in zip(marks.sample, marks.symbol, marks.aux_note, strict=True)
        if symbol == "+" and note.startswith("(")
    ]
    return tuple(_until_next(changes, n))


def _unreadable(marks: Any, n: int) -> tuple[tuple[int, int], ...]:  # noqa: ANN401  # wfdb
    # WFDB: subtype -1 = no lead can be read, bit 4 = the first one cannot.
    changes = [
        (int(kind) == -1 or bool(int(kind) & 0x10), int(at))
        for at, symbol, kind in zip(marks.sample, marks.symbol, marks.subtype, strict=True)
        if symbol == "~"
    ]
    return tuple((at, end) for bad, at, end in _until_next(changes, n) if bad)


def _flutter(marks: Any, n: int) -> tuple[tuple[int, int], ...]:  # noqa: ANN401  # wfdb
    changes = [
        (symbol == "[", int(at))
        for at, symbol in zip(marks.sample, marks.symbol, strict=True)
        if symbol in "[]"
    ]
    return tuple((at, end) for waves, at, end in _until_next(changes, n) if waves)
