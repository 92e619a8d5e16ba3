"""What every kind of recording is turned into, and how its channels get their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.frame import MAX_CHANNELS, Channel, row_type
from edge.readers import ReadError
from edge.records import UNITS, check_signal

Rows: TypeAlias = Callable[[int, int], NDArray[np.generic]]

_LONGEST = 31  # letters in a frame's name
_LONGEST_HOLD = 3600
_UNIT_WORDS = {"%": "pct", "°c": "degc", "c": "degc", "mg/dl": "mgdl", "beats/min": "bpm"}
_MILLIVOLTS = {"nv": 1e-6, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "mv": 1.0, "v": 1e3}
# The first that matches decides. "{}" stands for what the parentheses caught.
_NAMES: tuple[tuple[str, str, str], ...] = (
    (r"pleth|ppg", "pleth_au", ""),
    (r"^o?[sx]p?[ao]?o2|^spo2|^sao2|^o2\s*sat", "spo2_pct", ""),
    (r"resp|^rip\b|thor|abdo|chest\s*imp", "resp_au", ""),
    (r"^p?abp|^art\b|arterial|^ibp", "abp_mmhg", ""),
    (r"^acc\w*[\s_-]*([xyz])$", "accel_g", "{}"),
    (r"^(?:ecg|ekg)[\s_-]*(?:lead)?[\s_-]*(.*)$", "ecg_mv", "{}"),
    (r"^(?:ml?c?l?)?(i{1,3}|av[rlf]|v[1-9]?)$", "ecg_mv", "="),
    (r"^(eeg|eog|emg|co2|flow|gsr|eda)", "{}", "="),
)


class Group(msgspec.Struct, frozen=True):
    """The channels of a recording that share one rate.

    Attributes
    ----------
    fs_hz : float
        Their rate.
    n_samples : int
        Rows in the recording.
    channels : tuple[Channel, ...]
        At most as many as a frame may describe.
    rows : Callable
        ``rows(start, stop)`` gives that span as an array of `edge.frame.row_type`.
    """

    fs_hz: float
    n_samples: int
    channels: tuple[Channel, ...]
    rows: Rows


class Recording(msgspec.Struct, frozen=True):
    """A recording, opened; `messages` say in words what had to be assumed or left out."""

    name: str
    groups: tuple[Group, ...]
    messages: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length of the longest group."""
        return max(group.n_samples / group.fs_hz for group in self.groups)


class Naming(msgspec.Struct, frozen=True):
    """What a channel is called in the monitor: ``value = factor * physical value``."""

    signal: str
    lead: str = ""
    factor: float = 1.0


def name_channel(name: str, unit: str, chosen: Mapping[str, str]) -> Naming | None:
    """Return how a recording's channel is named here, None where the user leaves it out.

    Parameters
    ----------
    name, unit : str
        As the recording says.
    chosen : Mapping[str, str]
        The user's choice by the recording's name: ``signal`` or ``signal:lead``; empty or ``-``
        leaves the channel out.

    Raises
    ------
    ReadError
        A chosen signal does not end in a unit.

    Examples
    --------
    >>> name_channel("MLII", "mV", {})
    Naming(signal='ecg_mv', lead='MLII', factor=1.0)
    >>> name_channel("PLETH", "NU", {}).signal, name_channel("CVP", "mmHg", {}).signal
    ('pleth_au', 'cvp_mmhg')
    >>> name_channel("V", "uV", {"V": "ecg_mv:V5"})
    Naming(signal='ecg_mv', lead='V5', factor=0.001)
    """
    name = name.strip()
    if name in chosen:
        return _chosen(name, unit, chosen[name])
    for pattern, signal, lead in _NAMES:
        if found := re.search(pattern, name, re.IGNORECASE):
            caught = found[1] if found.re.groups else ""
            stem = f"{caught.lower()}_{_unit_word(unit)}" if signal == "{}" else signal
            return _naming(stem, name if lead == "=" else lead.format(caught), unit)
    # Most bedside recordings name an ECG lead in ways of their own; its unit gives it away.
    if unit.strip().lower() == "mv":
        return _naming("ecg_mv", name, unit)
    return _naming(_own_name(name, _unit_word(unit)), "", unit)


def is_assumed_millivolts(naming: Naming, unit: str) -> bool:
    """Say whether the channel is an ECG only by its name: its unit is not known."""
    return naming.signal == "ecg_mv" and unit.strip().lower() not in _MILLIVOLTS


def unique(namings: list[Naming]) -> list[Naming]:
    """Return the namings with leads numbered where signal and lead would be there twice."""
    seen: set[tuple[str, str]] = set()
    out = []
    for naming in namings:
        lead, n = naming.lead, 1
        while (naming.signal, lead) in seen:
            n += 1
            lead = f"{naming.lead[: _LONGEST - 4]}#{n}"
        seen.add((naming.signal, lead))
        out.append(msgspec.structs.replace(naming, lead=lead))
    return out


def split(members: list[int]) -> list[list[int]]:
    """Return the members in parts that a frame can describe."""
    return [members[at : at + MAX_CHANNELS] for at in range(0, len(members), MAX_CHANNELS)]


class BlockRows:
    """`Group.rows` that loads one block at a time and keeps it for the packets cut from it.

    Parameters
    ----------
    size, n_samples : int
        Samples in a block and in the recording.
    load : Callable
        ``load(start, stop)`` gives one whole block as an array of `edge.frame.row_type`.
    """

    def __init__(self, size: int, n_samples: int, load: Rows) -> None:
        self._size = size
        self._n_samples = n_samples
        self._load = load
        self._kept_idx = -1
        self._kept: NDArray[np.generic] | None = None

    def __call__(self, start: int, stop: int) -> NDArray[np.generic]:
        """Return rows `start` to `stop`."""
        pieces = []
        for block_idx in range(start // self._size, (stop - 1) // self._size + 1):
            at = block_idx * self._size
            if block_idx != self._kept_idx or self._kept is None:
                self._kept = self._load(at, min(at + self._size, self._n_samples))
                self._kept_idx = block_idx
            pieces.append(self._kept[max(start - at, 0) : stop - at])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def pack_columns(
    columns: Sequence[NDArray[np.generic]], channels: tuple[Channel, ...]
) -> tuple[NDArray[np.generic], list[Any]]:
    """Return rows for a frame, filled from one array a channel, and a writable view of each."""
    rows: Any = np.empty(len(columns[0]), row_type(channels))
    views = [rows[str(i)] if rows.dtype.names else rows[:, i] for i in range(len(channels))]
    for view, column in zip(views, columns, strict=True):
        view[:] = column
    return rows, views


def fit_rate(group: Group) -> tuple[Group, str]:
    """Return the group at a rate a frame can say (thousandths of a hertz), and what was done.

    Values slower than 1 Hz (numerics of a monitor, one a minute) are held until the next one,
    which gives a whole rate; others are played at the nearest rate.
    """
    said_hz = round(group.fs_hz * 1000) / 1000
    if said_hz and abs(said_hz / group.fs_hz - 1) < 1e-6:
        return group, ""
    names = ", ".join(c.signal for c in group.channels)
    for held in range(2, _LONGEST_HOLD + 1):
        fs_hz = group.fs_hz * held
        if group.fs_hz < 1 and abs(fs_hz - 1) < 1e-4:
            return (
                Group(1.0, group.n_samples * held, group.channels, _held(group.rows, held)),
                f"{names}: one value in {held} s, each is held until the next",
            )
    if not said_hz:
        raise ReadError(f"{names}: a rate of {group.fs_hz} Hz is too slow to replay; leave it out")
    return group, f"{names}: {group.fs_hz:.6f} Hz is played at {said_hz:.3f} Hz"


def _held(rows: Rows, held: int) -> Rows:
    def repeat(start: int, stop: int) -> NDArray[np.generic]:
        first = start // held
        wide = np.repeat(rows(first, (stop - 1) // held + 1), held, axis=0)
        return wide[start - first * held : stop - first * held]

    return repeat


def slicer(rows: NDArray[np.generic]) -> Rows:
    """Return `Group.rows` for rows that are in memory."""
    return lambda start, stop: rows[start:stop]


def ascii_name(name: str) -> str:
    """Return the name as a frame can hold it."""
    return name.encode("ascii", "replace").decode()[:_LONGEST]


def _chosen(name: str, unit: str, choice: str) -> Naming | None:
    signal, _, lead = choice.partition(":")
    if signal in {"", "-"}:
        return None
    try:
        return _naming(check_signal(signal), lead, unit)
    except ValueError as error:
        raise ReadError(f"channel {name!r} cannot be called {signal!r}: {error}") from error


def _naming(signal: str, lead: str, unit: str) -> Naming:
    factor = 1.0
    if signal.endswith("_mv"):
        factor = _MILLIVOLTS.get(unit.strip().lower(), 1.0)
    return Naming(signal[-_LONGEST:], ascii_name(lead.strip()), factor)


def _unit_word(unit: str) -> str:
    word = unit.strip().lower()
    word = "mv" if word in _MILLIVOLTS else _UNIT_WORDS.get(word, word)
    return word if word in UNITS else "au"


def _own_name(name: str, unit_word: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "channel"
    stem = stem.removesuffix(f"_{unit_word}")
    return f"{stem[: _LONGEST - 1 - len(unit_word)]}_{unit_word}"
