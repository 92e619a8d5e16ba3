"""Recordings -> a table of windows, computed by the very code the monitor runs.

A recording is replayed through `edge.pipeline` as if its sensor were attached; what the
pipeline gives out is kept. So there is no second implementation of any feature, and a window of
the table is a window as the monitor will meet it: causal filters, detected and not annotated
beats, gaps and warm-up included.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

import edge
from edge import features as feature_files
from edge.discover import discover
from edge.features import FeatureFamily
from edge.records import WINDOW_S, Beat, Features, Record
from train.recordings import ANOMALOUS, Recording, Why, label_windows, read_annotations

CODE: Final = (
    "records/*.py",
    "bits.py",
    "frame.py",
    "bedside.py",
    "sources.py",
    "pipeline/*.py",
    "playback.py",
    "dsp/*.py",
    "decoders/*.py",
    "features/*.py",
    "readers/replay.py",
    "readers/_recording.py",
    "readers/_wfdb.py",
)
"""What a feature depends on; when any of it changes, tables are computed anew."""

RecordsOf = Callable[[Recording], Iterable[Record]]
Progress = Callable[[Sequence[Recording]], Iterable[Recording]]


class Run(msgspec.Struct, frozen=True, eq=False):
    """What the monitor made of one recording.

    Attributes
    ----------
    starts_s : NDArray[np.float64]
        Shape (n,), start of each window from the start of the recording.
    values : NDArray[np.float32]
        Shape (n, d), inputs of the model in the order of `input_names`; NaN where missing.
    beat_idx : NDArray[np.int64]
        Shape (m,), samples of the beats found.
    """

    starts_s: NDArray[np.float64]
    values: NDArray[np.float32]
    beat_idx: NDArray[np.int64]


class Table(msgspec.Struct, frozen=True, eq=False):
    """Windows of many recordings with their labels, one row a window.

    Attributes
    ----------
    names : tuple[str, ...]
        Columns of `values`.
    values : NDArray[np.float32]
        Shape (n, d).
    why : NDArray[np.int16]
        Shape (n,), `train.recordings.Why`.
    record, subject : NDArray[np.str_]
        Shape (n,).
    starts_s : NDArray[np.float64]
        Shape (n,), from the start of the recording.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    why: NDArray[np.int16]
    record: NDArray[np.str_]
    subject: NDArray[np.str_]
    starts_s: NDArray[np.float64]

    @property
    def anomalous(self) -> NDArray[np.bool_]:
        """Shape (n,), what the model is to find."""
        return np.asarray((self.why & int(ANOMALOUS)) != 0)

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Shape (n,), whether the cardiologists could read the window."""
        return np.asarray((self.why & int(Why.UNREADABLE)) == 0)

    def rows(self, chosen: NDArray[np.bool_]) -> Table:
        """Return the table with the chosen rows only."""
        return Table(
            self.names,
            self.values[chosen],
            self.why[chosen],
            self.record[chosen],
            self.subject[chosen],
            self.starts_s[chosen],
        )

    def save(self, path: Path) -> None:
        """Write the table as ``.npz``."""
        fields = msgspec.structs.asdict(self) | {"names": np.array(self.names)}
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, **fields)


def input_names() -> tuple[str, ...]:
    """Return the inputs of the anomaly model: the names of all families made for it, in order."""
    return tuple(name for family in model_families() for name in family.names)


def model_families() -> tuple[FeatureFamily, ...]:
    """Return the feature families the model is fed with, in the order they are found."""
    families = discover(feature_files, "FEATURES", FeatureFamily)
    return tuple(f for f in families if f.model and f.every_s == WINDOW_S)


def records_of(recording: Recording) -> Iterator[Record]:
    """Replay a recording through the monitor and yield every record it gives out."""
    from train.replaying import replay

    yield from replay(recording)


def windows_of(recording: Recording) -> Iterator[Features]:
    """Yield the features of every window the model would score, in time order."""
    for record in records_of(recording):
        if isinstance(record, Features) and record.length_s == WINDOW_S:
            yield record


def run_of(records: Iterable[Record], names: Sequence[str]) -> Run:
    """Return the windows and beats among `records`, inputs in the order of `names`."""
    starts_s, rows, beats = [], [], []
    for record in records:
        if isinstance(record, Beat) and record.sample_idx >= 0:
            beats.append(record.sample_idx)
        elif isinstance(record, Features) and record.length_s == WINDOW_S:
            starts_s.append(record.start_s)
            rows.append([record.values.get(name, np.nan) for name in names])
    values = np.array(rows, np.float32).reshape(len(rows), len(names))
    values[~np.isfinite(values)] = np.nan
    return Run(np.array(starts_s, np.float64), values, np.array(beats, np.int64))


def collect_runs(
    recordings: Sequence[Recording],
    names: Sequence[str],
    cache: Path,
    progress: Progress = iter,
    source: RecordsOf = records_of,
) -> dict[str, Run]:
    """Return the run of each recording by name, replaying only those not in the cache.

    Parameters
    ----------
    recordings : Sequence[Recording]
        What to replay.
    names : Sequence[str]
        Inputs of the model.
    cache : Path
        Folder; a run is kept under the digest of the code that made it, one file a recording,
        so that an interrupted table goes on where it stopped.
    progress : Callable
        Wraps the recordings while they are gone through.
    source : Callable
        Gives the records of a recording.
    """
    folder = cache / code_digest(names)
    folder.mkdir(parents=True, exist_ok=True)
    runs = {}
    for recording in progress(recordings):
        path = folder / f"{recording.database}-{recording.name}.npz"
        if not path.is_file():
            _save_run(run_of(source(recording), names), path)
        runs[recording.name] = _load_run(path)
    return runs


def build_table(
    recordings: Sequence[Recording], runs: dict[str, Run], names: Sequence[str]
) -> Table:
    """Return the table of all windows with their labels."""
    why, record, subject = [], [], []
    for recording in recordings:
        run = runs[recording.name]
        why.append(label_windows(read_annotations(recording), run.starts_s, WINDOW_S))
        record.append(np.full(len(run.starts_s), recording.name))
        subject.append(np.full(len(run.starts_s), recording.subject))
    chosen = [runs[recording.name] for recording in recordings]
    return Table(
        tuple(names),
        np.concatenate([run.values for run in chosen]),
        np.concatenate(why),
        np.concatenate(record),
        np.concatenate(subject),
        np.concatenate([run.starts_s for run in chosen]),
    )


def load_table(path: Path) -> Table:
    """Read a table that `Table.save` wrote."""
    with np.load(path, allow_pickle=False) as held:
        fields = {name: held[name] for name in Table.__struct_fields__}
    fields["names"] = tuple(fields["names"].tolist())
    return Table(**fields)


def code_digest(names: Sequence[str]) -> str:
    """Return 16 hexadecimal places that change with the code or the inputs of a table."""
    root = Path(edge.__file__).parent
    digest = hashlib.sha256("\n".join(names).encode())
    for package in ("numpy", "scipy"):
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    for pattern in CODE:
        for path in sorted(root.glob(pattern)):
            digest.update(f"{path.relative_to(root)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def default_cache() -> Path:
    """Return the folder for tables of this user, ``~/.cache/homeward`` unless XDG says else."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "homeward"


def _save_run(run: Run, path: Path) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **msgspec.structs.asdict(run))
    part.replace(path)


def _load_run(path: Path) -> Run:
    with np.load(path, allow_pickle=False) as held:
        return Run(**{name: held[name] for name in Run.__struct_fields__})
