"""What serial devices send, made up: bytes with their times, and what a reader must have of them.

Each file of ``tests/rigs/senders/`` ends with ``SENDERS``, one `Sender` for each wire it knows::

    for sent in by_wire()["cms50"].run(seed):  # endless, and the same again for the same seed
        wait_until(began_s + sent.due_s)
        os.write(pty, sent.line)

A device that says nothing until it is told (`Sender.started_by`) begins its first run when the
last of those bytes has come; where `Sender.kept_by` is not written for `Sender.keeps_s`, it stops.

A reader that was there from the first byte has all samples of each waveform, one after the other,
and of what comes value by value the same changes in the same order: how often a decoder repeats
what has not changed is its own affair. `disagreement` compares the two.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np

from edge.records import Samples

Says: TypeAlias = Mapping[str, tuple[float, ...]]
"""Signal (``pleth_au/ir`` where it has a lead) -> the values that can be read from here on; NaN
where the device has none."""


class Sent(msgspec.Struct, frozen=True):
    """Some bytes, as a device puts them on its line.

    Attributes
    ----------
    due_s : float
        When the last of them has left, from the moment it began to send.
    line : bytes
        The bytes; a reader gets them cut and joined in other places.
    says : Says
        What is known once they have come: values that end in them. Nothing is said of the order
        of different signals.
    """

    due_s: float
    line: bytes
    says: Says = {}


class Sender(msgspec.Struct, frozen=True):
    """A device at the end of a line.

    Attributes
    ----------
    wire : str
        Name of the `edge.wire.Wire` it is known by.
    run : Callable[[int], Iterator[Sent]]
        Seed -> what it sends. Endless; `first` takes a part of it.
    started_by, kept_by : bytes
        What it waits for before it sends, and again and again while it does; empty: for nothing.
    keeps_s : float
        How long it goes on without `kept_by`.
    """

    wire: str
    run: Callable[[int], Iterator[Sent]]
    started_by: bytes = b""
    kept_by: bytes = b""
    keeps_s: float = 0.0


def by_wire() -> dict[str, Sender]:
    """Return every sender there is, by the name of its wire."""
    folder = Path(__file__).parent / "senders"
    names = sorted(module.name for module in pkgutil.iter_modules([str(folder)]))
    found: list[Sender] = []
    for name in names:
        found += importlib.import_module(f"tests.rigs.senders.{name}").SENDERS
    return {sender.wire: sender for sender in found}


def first(sender: Sender, seed: int, length_s: float) -> list[Sent]:
    """Return what a device sends in its first `length_s` seconds."""
    return list(takewhile(lambda sent: sent.due_s < length_s, sender.run(seed)))


def disagreement(found: Iterable[Samples], sent: Iterable[Sent], lacks: int = 0) -> str:
    """Return what a decoder gave that was not sent, or did not give; empty where it is all right.

    Parameters
    ----------
    lacks : int
        So many samples, and values, may be missing at the end: a frame may only be whole once the
        next one has begun.
    """
    given: dict[str, list[float]] = {}
    waveforms: set[str] = set()
    for samples in found:
        name = f"{samples.signal}/{samples.lead}" if samples.lead else samples.signal
        given.setdefault(name, []).extend(samples.values.tolist())
        if samples.fs_hz:
            waveforms.add(name)
    told: dict[str, list[float]] = {}
    for one in sent:
        for signal, values in one.says.items():
            told.setdefault(signal, []).extend(values)
    if given.keys() != told.keys():
        return f"signals {sorted(given)} were given, {sorted(told)} were sent"
    wrong = (
        _compared(given[signal], told[signal], lacks)
        if signal in waveforms
        else _compared(changes(given[signal]), changes(told[signal]), lacks)
        for signal in told
    )
    return "; ".join(f"{name}: {words}" for name, words in zip(told, wrong, strict=True) if words)


def _compared(have: list[float], wanted: list[float], lacks: int) -> str:
    if not len(wanted) - lacks <= len(have) <= len(wanted):
        return f"{len(have)} values of {len(wanted)}"
    wrong = np.flatnonzero(~np.isclose(have, wanted[: len(have)], rtol=1e-6, equal_nan=True))
    if not len(wrong):
        return ""
    at = int(wrong[0])
    return f"value {at} is {have[at]}, {wanted[at]} was sent"


def changes(values: Iterable[float]) -> list[float]:
    """Return the values without those that repeat the one before.

    >>> changes([1.0, 1.0, float("nan"), float("nan"), 1.0])
    [1.0, nan, 1.0]
    """
    kept: list[float] = []
    for value in values:
        if not kept or not (value == kept[-1] or (np.isnan(value) and np.isnan(kept[-1]))):
            kept.append(value)
    return kept
