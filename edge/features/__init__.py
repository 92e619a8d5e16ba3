"""Window -> Features. One file a family of numbers; each ends with ``FEATURES``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from edge.records import Window

Compute: TypeAlias = Callable[[Window], Mapping[str, float]]


class FeatureFamily(msgspec.Struct, frozen=True):
    """A function from a window to numbers, and the names it promises.

    Attributes
    ----------
    name : str
        The file's name.
    every_s : float
        `SECOND_S` or `WINDOW_S`: how often it is computed, and how long its windows are.
    needs : tuple[str, ...]
        Signals of which the window must hold at least one value; otherwise every name is NaN and
        `compute` is not called.
    names : tuple[str, ...]
        Exactly the keys `compute` returns.
    model : bool
        Whether the names are inputs of the anomaly model.
    words : Mapping[str, str]
        For each name, what it is in words a carer can read: ``"shortest RR interval, ms"``.
    compute : Compute
        Pure function.
    """

    name: str
    every_s: float
    needs: tuple[str, ...]
    names: tuple[str, ...]
    words: Mapping[str, str]
    compute: Compute
    model: bool = False
