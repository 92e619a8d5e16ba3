"""WFDB records (.hea with .dat or .mat), sample for sample as their file holds them.

Format: header(5) and signal(5) of the WFDB manual. A channel keeps its digital values, so that
``(raw - baseline) / gain`` is exactly the physical value; the format's code for a missing sample
becomes the number type's own. The record is read in blocks, so a day's recording needs no more
memory than an hour's. Segmented records are read as physical values.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.frame import Channel
from edge.readers import ReadError
from edge.readers._recording import (
    BlockRows,
    Group,
    Naming,
    Recording,
    name_channel,
    pack_columns,
    slicer,
    split,
    unique,
)

BLOCK_FRAMES = 1 << 20

_I2, _I4, _F8 = 0, 2, 4  # keys of edge.frame.NUMBER_TYPES
# Format -> (code of a missing sample, number type that holds every other value). No format has
# a valid value at the number type's own code.
_FORMATS: dict[str, tuple[int | None, int]] = {
    "8": (None, _I4),
    "16": (-(1 << 15), _I2),
    "24": (-(1 << 23), _I4),
    "32": (-(1 << 31), _I4),
    "61": (-(1 << 15), _I2),
    "80": (-(1 << 7), _I2),
    "160": (-(1 << 15), _I2),
    "212": (-(1 << 11), _I2),
    "310": (-(1 << 9), _I2),
    "311": (-(1 << 9), _I2),
    "508": (-(1 << 7), _I2),
    "516": (-(1 << 15), _I2),
    "524": (-(1 << 23), _I4),
}
# What the library lets through when a header or a signal file is not what it should be.
_WFDB_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    NotImplementedError,
    struct.error,
)


def record_path(path: Path) -> Path | None:
    """Return the record's path without suffix if there is a header beside, else None."""
    for stem in (path, path.with_suffix("") if path.suffix else path):
        if stem.with_name(stem.name + ".hea").is_file():
            return stem
    return None


def open_wfdb(stem: Path, chosen: Mapping[str, str]) -> Recording:
    """Return the record with the given path (without ``.hea``).

    Raises
    ------
    ReadError
        The library is missing, the header is damaged, a signal file is missing or cut.
    """
    wfdb = _library()
    try:
        header = wfdb.rdheader(str(stem))
        if not header.n_sig:
            raise ReadError(f"{stem}.hea names no signals, so there is nothing to replay")
        groups = (
            _segmented(wfdb, stem, chosen)
            if isinstance(header, wfdb.MultiRecord)
            else _groups(_Blocks(wfdb, stem, header), header, chosen)
        )
    except _WFDB_ERRORS as error:
        raise _unreadable(stem, error) from error
    if not groups:
        raise ReadError(f"every channel of {stem} is left out; choose at least one")
    return Recording(stem.name, groups)


def _library() -> ModuleType:
    try:
        import wfdb  # noqa: PLC0415  # heavy, and not on the Pi
    except ImportError as error:
        raise ReadError(
            "WFDB records are read with the library wfdb, which is not installed; "
            "pip install 'homeward[recordings]'"
        ) from error
    module: ModuleType = wfdb
    return module


def _unreadable(stem: Path, error: BaseException) -> ReadError:
    if isinstance(error, FileNotFoundError):
        return ReadError(
            f"a file of {stem} is missing: {error.filename}; copy it beside {stem.name}.hea"
        )
    return ReadError(
        f"{stem} cannot be read ({type(error).__name__}: {error}); its header or signal file is "
        f"damaged or cut, fetch the record again"
    )


class _Blocks:
    """Reads a record's digital values block by block; keeps the last one for its neighbours."""

    def __init__(self, wfdb: ModuleType, stem: Path, header: Any) -> None:  # noqa: ANN401
        self._wfdb = wfdb
        self._stem = stem
        self._smooth = max(header.samps_per_frame) == 1
        self._block_idx = -1
        self._block: list[NDArray[np.int64]] = []
        self.n_frames: int = header.sig_len or 0
        if not self.n_frames:
            self.n_frames = wfdb.rdrecord(str(stem), physical=False).sig_len

    def read(self, block_idx: int) -> list[NDArray[np.int64]]:
        """Return one block, channel by channel, each at its own rate."""
        if block_idx != self._block_idx:
            start = block_idx * BLOCK_FRAMES
            try:
                record = self._wfdb.rdrecord(
                    str(self._stem),
                    sampfrom=start,
                    sampto=min(start + BLOCK_FRAMES, self.n_frames),
                    physical=False,
                    smooth_frames=self._smooth,
                )
            except _WFDB_ERRORS as error:
                raise _unreadable(self._stem, error) from error
            self._block = list(record.d_signal.T) if self._smooth else record.e_d_signal
            self._block_idx = block_idx
        return self._block


class _Load:
    """Packs one block of one group for frames."""

    def __init__(
        self,
        blocks: _Blocks,
        header: Any,  # noqa: ANN401
        members: list[int],
        channels: tuple[Channel, ...],
    ) -> None:
        self._blocks = blocks
        self._members = members
        self._codes = [_FORMATS[header.fmt[i]][0] for i in members]
        self._channels = channels
        self.size = BLOCK_FRAMES * header.samps_per_frame[members[0]]

    def __call__(self, start: int, _stop: int) -> NDArray[np.generic]:
        block = self._blocks.read(start // self.size)
        columns = [block[i] for i in self._members]
        rows, views = pack_columns(columns, self._channels)
        for view, column, code in zip(views, columns, self._codes, strict=True):
            if code is not None:
                view[column == code] = np.iinfo(view.dtype).min
        return rows


def _groups(blocks: _Blocks, header: Any, chosen: Mapping[str, str]) -> tuple[Group, ...]:  # noqa: ANN401
    namings = _namings(header, chosen)
    groups = []
    for per_frame in dict.fromkeys(header.samps_per_frame):
        members = [i for i in namings if header.samps_per_frame[i] == per_frame]
        for part in split(members):
            channels = tuple(_channel(header, i, namings[i]) for i in part)
            load = _Load(blocks, header, part, channels)
            n_samples = blocks.n_frames * per_frame
            rows = BlockRows(load.size, n_samples, load)
            groups.append(Group(header.fs * per_frame, n_samples, channels, rows))
    return tuple(groups)


def _namings(header: Any, chosen: Mapping[str, str]) -> dict[int, Naming]:  # noqa: ANN401
    units = header.units
    found = [
        (i, naming)
        for i, name in enumerate(header.sig_name)
        if (naming := name_channel(name or f"signal {i}", units[i] or "mV", chosen))
    ]
    return dict(zip((i for i, _ in found), unique([n for _, n in found]), strict=True))


def _channel(header: Any, i: int, naming: Naming) -> Channel:  # noqa: ANN401
    fmt = header.fmt[i]
    if fmt not in _FORMATS:
        raise ReadError(
            f"signal {header.sig_name[i]} is in WFDB format {fmt}, which is not known here; "
            f"convert it with xform to format 16"
        )
    gain, baseline = header.adc_gain[i] / naming.factor, header.baseline[i]
    return Channel(naming.signal, naming.lead, _FORMATS[fmt][1], gain, baseline)


def _segmented(wfdb: ModuleType, stem: Path, chosen: Mapping[str, str]) -> tuple[Group, ...]:
    record = wfdb.rdrecord(str(stem))
    namings = _namings(record, chosen)
    groups = []
    for part in split(list(namings)):
        channels = tuple(
            Channel(namings[i].signal, namings[i].lead, _F8, 1 / namings[i].factor) for i in part
        )
        values = np.ascontiguousarray(record.p_signal[:, part], "<f8")
        groups.append(Group(record.fs, len(values), channels, slicer(values)))
    return tuple(groups)
