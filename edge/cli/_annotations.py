"""Detected beats and episodes as WFDB annotations, beside a recording or anywhere else."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from edge.cli._shared import CommandError

BEATS: Final = "hwd"
"""Extension of the file of beats: nothing but beats, as beat comparators expect."""
EPISODES: Final = "hwe"
"""Extension of the file of episodes."""
_LONGEST_NOTE: Final = 250  # a WFDB annotation's text has at most 255 bytes


def write_annotations(
    directory: Path,
    record_name: str,
    fs_hz: float,
    beat_idx: Sequence[int],
    episodes: Sequence[tuple[float, str]],
) -> list[Path]:
    r"""Write beats as ``N`` in one file, episodes as ``"`` comments in another; return the files.

    Parameters
    ----------
    directory : Path
        Where ``<record_name>.hwd`` and ``.hwe`` go; is made if absent. Older files are replaced.
    record_name : str
        Letters that WFDB does not allow in a name become ``_``.
    fs_hz : float
        Rate that the sample numbers count in.
    beat_idx : Sequence[int]
        Sample of each R peak, from the beginning of the recording.
    episodes : Sequence[tuple[float, str]]
        Time in seconds from the beginning of the recording, and what to write there.

    Raises
    ------
    CommandError
        There is nothing to write, or the library or the folder is not there.
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "_", record_name)
    told = sorted((max(0, round(at_s * fs_hz)), _plain(text)) for at_s, text in episodes)
    files = {
        BEATS: [(int(idx), "N", "") for idx in beat_idx],
        EPISODES: [(idx, '"', text) for idx, text in told],
    }
    if not any(files.values()):
        raise CommandError(f"{record_name} has no beats and no episodes, so nothing was annotated")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for extension, notes in files.items():
            (directory / f"{name}.{extension}").unlink(missing_ok=True)
            if notes:
                _write(directory, name, extension, fs_hz, notes)
    except OSError as error:
        raise CommandError(
            f"cannot write annotations to {directory}: {error.strerror}; name another folder"
        ) from error
    return [directory / f"{name}.{extension}" for extension, notes in files.items() if notes]


def _write(
    directory: Path, name: str, extension: str, fs_hz: float, notes: list[tuple[int, str, str]]
) -> None:
    try:
        import wfdb
    except ImportError as error:
        raise CommandError(
            "annotations are written with the library wfdb, which is not installed; "
            "pip install 'homeward[recordings]'"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own use of pandas is out of date
        wfdb.wrann(
            name,
            extension,
            np.array([idx for idx, _, _ in notes], np.int64),
            symbol=[symbol for _, symbol, _ in notes],
            aux_note=[text for _, _, text in notes],
            fs=fs_hz,
            write_dir=str(directory),
        )


def _plain(text: str) -> str:
    return text.encode("ascii", "replace").decode()[:_LONGEST_NOTE]
