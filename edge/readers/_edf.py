"""EDF and EDF+ files, sample for sample as they hold them.

Format: Kemp et al., doi:10.1016/0013-4694(92)90009-7 (EDF) and doi:10.1016/S1388-2457(03)00123-8
(EDF+). Channels keep their 16-bit digital values with the gain and baseline of the header;
annotation channels are passed over. An EDF+ file with interruptions (EDF+D) is refused unless it
turns out to have none: its samples would all come at the wrong time.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
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
    Rows,
    is_assumed_millivolts,
    name_channel,
    pack_columns,
    split,
    unique,
)

BLOCK_S = 1800
_I2, _I4 = 0, 2  # keys of edge.frame.NUMBER_TYPES
_LOWEST = -(1 << 15)
_EDF_ERRORS = (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError)


def open_edf(path: Path, chosen: Mapping[str, str]) -> Recording:
    """Return an EDF or EDF+ file.

    Raises
    ------
    ReadError
        The library is missing, the file is damaged, has no signals or has interruptions.
    """
    messages: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            edf = _read(path)
            groups = _groups(edf, chosen, messages)
    except _EDF_ERRORS as error:
        raise ReadError(
            f"{path} cannot be read as EDF ({type(error).__name__}: {error}); it is damaged or "
            f"another format, export it again"
        ) from error
    messages += [f"{path.name}: {warning.message}" for warning in said]
    if not groups:
        raise ReadError(f"{path} has no signals that can be replayed; {'; '.join(messages)}")
    return Recording(path.stem, groups, tuple(messages))


def _read(path: Path) -> Any:  # noqa: ANN401
    try:
        from edfio import read_edf  # noqa: PLC0415  # not on the Pi
    except ImportError as error:
        raise ReadError(
            "EDF files are read with the library edfio, which is not installed; "
            "pip install 'homeward[recordings]'"
        ) from error
    edf = read_edf(path, lazy_load_data=True)
    if edf.reserved.startswith("EDF+D") and not edf.is_continuous:
        raise ReadError(
            f"{path} is an EDF+ file with interruptions (EDF+D), which cannot be replayed; "
            f"split it into continuous files first"
        )
    return edf


def _groups(edf: Any, chosen: Mapping[str, str], messages: list[str]) -> tuple[Group, ...]:  # noqa: ANN401
    found = []
    for signal in edf.signals:
        unit = signal.physical_dimension
        naming = name_channel(signal.label or "channel", unit, chosen)
        if naming is None:
            continue
        if (why := _unusable(signal)) is not None:
            messages.append(f"channel {signal.label} is left out: {why}")
            continue
        if is_assumed_millivolts(naming, unit):
            messages.append(f"the unit of {signal.label} is {unit!r}, millivolts are assumed")
        found.append((signal, naming))
    namings = unique([naming for _, naming in found])
    groups = []
    for fs_hz in dict.fromkeys(signal.sampling_frequency for signal, _ in found):
        members = [i for i, (signal, _) in enumerate(found) if signal.sampling_frequency == fs_hz]
        for part in split(members):
            signals = [found[i][0] for i in part]
            groups.append(_group(edf, signals, [namings[i] for i in part]))
    return tuple(groups)


def _unusable(signal: Any) -> str | None:  # noqa: ANN401
    if signal.samples_per_data_record < 1 or not signal.sampling_frequency > 0:
        return "it has no samples"
    if signal.physical_max == signal.physical_min or signal.digital_max == signal.digital_min:
        return "its header gives no scale (minimum and maximum are equal)"
    return None


def _group(edf: Any, signals: list[Any], namings: list[Naming]) -> Group:  # noqa: ANN401
    fs_hz = float(signals[0].sampling_frequency)
    n_samples = edf.num_data_records * signals[0].samples_per_data_record
    size = max(1, round(BLOCK_S * fs_hz))
    channels = tuple(
        _channel(signal, naming, size, n_samples)
        for signal, naming in zip(signals, namings, strict=True)
    )
    return Group(
        fs_hz, n_samples, channels, BlockRows(size, n_samples, _loader(signals, fs_hz, channels))
    )


def _loader(signals: list[Any], fs_hz: float, channels: tuple[Channel, ...]) -> Rows:
    def load(start: int, stop: int) -> NDArray[np.generic]:
        columns = [signal.get_digital_slice(start / fs_hz, stop / fs_hz) for signal in signals]
        return pack_columns(columns, channels)[0]

    return load


def _channel(signal: Any, naming: Naming, size: int, n_samples: int) -> Channel:  # noqa: ANN401
    span = signal.physical_max - signal.physical_min
    gain = (signal.digital_max - signal.digital_min) / span
    baseline = signal.digital_max - signal.physical_max * gain
    # EDF has no code for a missing value, but the frame's lowest number is one.
    fs_hz = float(signal.sampling_frequency)
    lowest = any(
        (signal.get_digital_slice(at / fs_hz, min(at + size, n_samples) / fs_hz) == _LOWEST).any()
        for at in range(0, n_samples, size)
    )
    return Channel(
        naming.signal, naming.lead, _I4 if lowest else _I2, gain / naming.factor, baseline
    )
