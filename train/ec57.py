"""Beat by beat against the reference: the comparison of ANSI/AAMI EC57 for QRS detection.

Each reference beat may be matched by one detected beat at most 150 ms away; what is left over are
missed beats and false ones. The first five minutes are a learning period, and what lies in
ventricular flutter or fibrillation is not counted.

Source: ANSI/AAMI EC57:2012, 4.3 (the matching window) and PhysioNet's ``bxb``, whose counts this
comparator gave on MIT-BIH 100, 105, 203, 207 and 208 (it was checked with sleepecg's beats).

When not to trust it: 150 ms hides how well the beats are placed; look at the spread of the
differences before using the intervals for variability.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

BEAT_SYMBOLS = frozenset("NLRBAaJSVrFejnE/fQ?")
"""WFDB annotation symbols that stand for a beat of any kind, paced and unknown ones included."""

Span = tuple[int, int]
"""First and last sample of a stretch that is left out, both included."""


class BeatCounts(msgspec.Struct, frozen=True):
    """How many beats were found, missed and made up; counts of several records can be added.

    Examples
    --------
    >>> counts = BeatCounts(tp=98, fn=2, fp=0) + BeatCounts(tp=98, fn=2, fp=4)
    >>> counts.se, counts.ppv, round(counts.f1, 4)
    (0.98, 0.98, 0.98)
    """

    tp: int
    fn: int
    fp: int

    def __add__(self, other: BeatCounts) -> BeatCounts:
        return BeatCounts(self.tp + other.tp, self.fn + other.fn, self.fp + other.fp)

    @property
    def se(self) -> float:
        """Sensitivity, 0..1; NaN without reference beats."""
        return _share(self.tp, self.fn)

    @property
    def ppv(self) -> float:
        """Positive predictive value, 0..1; NaN without detected beats."""
        return _share(self.tp, self.fp)

    @property
    def f1(self) -> float:
        """Harmonic mean of both, 0..1; NaN without any beats."""
        return _share(2 * self.tp, self.fn + self.fp)


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else float("nan")


def compare(
    reference_idx: Iterable[int],
    test_idx: Iterable[int],
    fs_hz: float,
    *,
    tolerance_s: float = 0.150,
    start_s: float = 300.0,
    excluded_s: Sequence[tuple[float, float]] = (),
) -> BeatCounts:
    """Match detected beats with reference beats one to one and count.

    Parameters
    ----------
    reference_idx, test_idx : iterable of int
        Sample indices, in any order.
    fs_hz : float
        Sampling rate of both.
    tolerance_s : float
        The farthest a match may lie, itself included.
    start_s : float
        What comes before is not counted; a detected beat just before it may still match the
        first reference beat after it.
    excluded_s : sequence of (float, float)
        Begin and end of stretches where neither is counted, s, both included.

    Returns
    -------
    BeatCounts

    Raises
    ------
    ValueError
        `fs_hz` or `tolerance_s` is not positive.
    """
    if fs_hz <= 0 or tolerance_s <= 0:
        raise ValueError(
            f"sampling rate and tolerance must be positive, not {fs_hz} Hz, {tolerance_s} s"
        )
    tolerance, start = round(tolerance_s * fs_hz), int(start_s * fs_hz)
    spans = [(begin * fs_hz, end * fs_hz) for begin, end in excluded_s]

    def counted(idx: int, first: int) -> bool:
        return idx >= first and not any(begin <= idx <= end for begin, end in spans)

    reference = sorted(int(i) for i in reference_idx if counted(i, start))
    test = sorted(int(i) for i in test_idx if counted(i, start - tolerance))
    pairs = _match(reference, test, tolerance)
    matched = {t for _, t in pairs}
    false = sum(1 for k, idx in enumerate(test) if k not in matched and idx >= start)
    return BeatCounts(tp=len(pairs), fn=len(reference) - len(pairs), fp=false)


def _match(reference: list[int], test: list[int], tolerance: int) -> list[tuple[int, int]]:
    """Return pairs of positions; of two detections in reach of a beat the nearer one is taken."""
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(reference) and j < len(test):
        late = test[j] - reference[i]
        if late < -tolerance:
            j += 1
        elif late > tolerance:
            i += 1
        elif j + 1 < len(test) and abs(test[j + 1] - reference[i]) < abs(late):
            j += 1
        else:
            pairs.append((i, j))
            i += 1
            j += 1
    return pairs


def reference_beats(
    annotation_samples: Sequence[int], symbols: Sequence[str]
) -> tuple[list[int], list[Span]]:
    """Take the beats and the ventricular flutter out of a WFDB annotation.

    Parameters
    ----------
    annotation_samples, symbols : sequences of the same length
        ``sample`` and ``symbol`` of ``wfdb.rdann(..., "atr")``.

    Returns
    -------
    beats : list of int
        Sample indices of all beats, also those within flutter.
    vf_spans : list of (int, int)
        Samples at which flutter or fibrillation begins (``[``) and ends (``]``); one that never
        ends goes on to the last annotation.

    Raises
    ------
    ValueError
        The lengths differ.
    """
    beats: list[int] = []
    spans: list[Span] = []
    begin: int | None = None
    for sample, symbol in zip(annotation_samples, symbols, strict=True):
        if symbol in BEAT_SYMBOLS:
            beats.append(int(sample))
        elif symbol == "[":
            begin = int(sample)
        elif symbol == "]" and begin is not None:
            spans.append((begin, int(sample)))
            begin = None
    if begin is not None:
        spans.append((begin, int(annotation_samples[-1])))
    return beats, spans
