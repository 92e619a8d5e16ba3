"""ECG paper: rows of 7.5 s at 25 mm/s and 10 mm/mV, every sample at its own time, unfiltered.

Lengths are millimetres on an A4 page. A row is 187.5 mm wide, so four of them hold the 30 s around
an alarm and print at the true scale. Where there are no samples the paper is hatched; a line is
never drawn across.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.export.placing import Run
from edge.records import Beat

MM_S: Final = 25.0
MM_MV: Final = 10.0
ROW_S: Final = 7.5
LEFT: Final = 11.25
WIDTH: Final = MM_S * ROW_S
INK, FAINT, WARM = "#1c1c1c", "#6b6b6b", "#b3541e"
HALF_MV: Final = 1.5
"""What fits above and below the middle of a row, at 10 mm/mV."""
STUCK: Final = 50
"""A sensor that repeats one value so many times in a row stands still (0.2 s at 250 Hz)."""
_HOLE: Final = 1.5
_POINTS: Final = 20_000

PATTERNS: Final = (
    '<pattern id="fine" width="1" height="1" patternUnits="userSpaceOnUse">'
    '<path d="M1 0H0V1" fill="none" stroke="#f3cfc6" stroke-width="0.09"/></pattern>'
    '<pattern id="grid" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect width="5" height="5" fill="url(#fine)"/>'
    '<path d="M5 0H0V5" fill="none" stroke="#e2a08f" stroke-width="0.2"/></pattern>'
    '<pattern id="hatch" width="2" height="2" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="2" height="2" fill="#f4f4f4"/>'
    '<path d="M0 0V2" stroke="#c4c4c4" stroke-width="0.35"/></pattern>'
)


class Wave(msgspec.Struct, frozen=True, eq=False):
    """One channel's samples over the strip: times (n,) and values (n,), NaN: invalid."""

    signal: str
    lead: str
    source: str
    step_s: float
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]
    uncertainty_s: float


def wave_of(runs: Iterable[Run], signal: str, from_s: float, to_s: float) -> Wave | None:
    """Return the signal's samples in a span, of the channel that has most; None: there are none."""
    by_channel: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        ends_s = run.start_s + len(run.values) * run.step_s
        if run.signal == signal and run.start_s < to_s and ends_s > from_s:
            by_channel.setdefault((run.lead, run.source), []).append(run)
    found = [_joined(signal, key, held, from_s, to_s) for key, held in by_channel.items()]
    return max(found, key=lambda wave: int(np.isfinite(wave.values).sum()), default=None)


def _joined(
    signal: str, key: tuple[str, str], runs: Sequence[Run], from_s: float, to_s: float
) -> Wave:
    times_s = np.concatenate([r.start_s + r.step_s * np.arange(len(r.values)) for r in runs])
    values = np.concatenate([run.values for run in runs]).astype(np.float64)
    inside = (times_s >= from_s) & (times_s < to_s)
    bound_s = max(run.uncertainty_s for run in runs)
    return Wave(
        signal, key[0], key[1], 1.0 / runs[0].fs_hz, times_s[inside], values[inside], bound_s
    )


def ecg_row(
    wave: Wave | None,
    from_s: float,
    top: float,
    zero_s: float,
    middle: float,
    beats: Sequence[Beat] = (),
) -> Iterator[str]:
    """Yield one row of ECG paper.

    Parameters
    ----------
    wave : Wave | None
        The lead; None: the paper is hatched.
    from_s : float
        Where the row begins, by the box's clock.
    top : float
        Its upper edge.
    zero_s : float
        From when seconds are counted: the alarm.
    middle : float
        The middle of the whole strip, for a row that has none of its own.
    beats : Sequence[Beat]
        Intervals are written between them.
    """
    height = 2 * HALF_MV * MM_MV
    yield _rect(LEFT, top, WIDTH, height, fill="#fffdfc")
    yield from gaps(wave, from_s, ROW_S, MM_S, top, height)
    # The grid begins at the row's corner.
    yield (
        f'<g transform="translate({LEFT} {top:.2f})"><rect width="{WIDTH}" height="{height:g}" '
        f'fill="url(#grid)" stroke="#e2a08f" stroke-width="0.3"/></g>'
    )
    if wave is not None:
        inside = (wave.times_s >= from_s) & (wave.times_s < from_s + ROW_S)
        own = alive(wave.values[inside])
        if own.size * wave.step_s >= 1.0:
            middle = float(np.median(own))
        yield from _off_paper(wave, from_s, top, middle)
        clip = f"c{top:.0f}"
        yield (
            f'<clipPath id="{clip}"><rect x="{LEFT}" y="{top:.2f}" width="{WIDTH}" '
            f'height="{height:g}"/></clipPath>'
        )
        yield f'<g clip-path="url(#{clip})">'
        yield from lines(wave, from_s, ROW_S, MM_S, top + height / 2, MM_MV, middle)
        yield "</g>"
    yield from _seconds(from_s, top, zero_s)
    yield from _intervals(beats, from_s, top + height)


def alive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what moves: not what is invalid, and not what was stuck for `STUCK` samples.

    Off its electrodes an amplifier stands at its end; a baseline drawn from there shows nothing.
    """
    same = np.diff(values, prepend=np.nan) == 0.0
    turns = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    moving = np.isfinite(values)
    for begin, end in zip(turns[::2], turns[1::2], strict=True):
        if end - begin >= STUCK:
            moving[max(0, begin - 1) : end] = False
    return values[moving]


def middle_of(values: NDArray[np.float64]) -> float:
    """Return the median of what moves, else of all there is; 0 where there is nothing."""
    moving = alive(values)
    known = moving if moving.size else values[np.isfinite(values)]
    return float(np.median(known)) if known.size else 0.0


def _off_paper(wave: Wave, from_s: float, top: float, middle: float) -> Iterator[str]:
    """Yield where the trace runs above or below the paper for long, and at what value."""
    inside = (wave.times_s >= from_s) & (wave.times_s < from_s + ROW_S)
    times_s, values = wave.times_s[inside], wave.values[inside]
    off = np.abs(values - middle) > HALF_MV
    turns = np.flatnonzero(np.diff(np.concatenate(([False], off, [False])).astype(np.int8)))
    for begin, end in zip(turns[::2], turns[1::2], strict=True):
        x = LEFT + float(times_s[begin] - from_s) * MM_S
        width = float(times_s[end - 1] - times_s[begin] + wave.step_s) * MM_S
        if width < 5.0:
            continue
        height = 2 * HALF_MV * MM_MV
        yield _rect(x, top, width, height, fill="#e9e9e9", opacity=0.75)
        if width > 30:
            value = float(np.median(values[begin:end]))
            said = "off the paper" + f", at {value:+.3g} mV" * (width > 60)
            y = top + height / 2 + 1
            yield text(x + width / 2, y, said, 3.0, anchor="middle", colour=FAINT)


def lines(
    wave: Wave, from_s: float, length_s: float, mm_s: float, zero_y: float, mm: float, middle: float
) -> Iterator[str]:
    """Yield the wave as lines, one for each stretch without a gap; `mm`: height of one unit."""
    inside = (wave.times_s >= from_s) & (wave.times_s < from_s + length_s)
    inside &= np.isfinite(wave.values)
    times_s, values = wave.times_s[inside][:_POINTS], wave.values[inside][:_POINTS]
    for part in np.split(
        np.arange(len(values)), np.flatnonzero(np.diff(times_s) > _HOLE * wave.step_s) + 1
    ):
        x = LEFT + (times_s[part] - from_s) * mm_s
        y = zero_y - (values[part] - middle) * mm
        points = " ".join(f"{a:.2f},{b:.2f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
        if points:
            yield (
                f'<polyline points="{points}" fill="none" stroke="{INK}" stroke-width="0.27" '
                f'stroke-linejoin="round" stroke-linecap="round"/>'
            )


def gaps(
    wave: Wave | None, from_s: float, length_s: float, mm_s: float, top: float, height: float
) -> Iterator[str]:
    """Yield hatching where there is no sample."""
    edges = [from_s, from_s + length_s]
    step_s = 0.1
    if wave is not None:
        there = wave.times_s[np.isfinite(wave.values)]
        there = there[(there >= from_s) & (there < from_s + length_s)]
        edges = [from_s, *there.tolist(), from_s + length_s]
        step_s = wave.step_s
    for start_s, end_s in pairwise(edges):
        if end_s - start_s > max(_HOLE * step_s, 0.04):
            x, width = LEFT + (start_s - from_s) * mm_s, (end_s - start_s) * mm_s
            yield _rect(x, top, width, height, fill="url(#hatch)")
            if width > 30:
                y = top + height / 2 + 1
                yield text(x + width / 2, y, "no samples", 3.0, anchor="middle", colour=FAINT)


def pulse(top: float) -> str:
    """Return the calibration pulse left of a row: 1 mV for 0.2 s."""
    foot = top + HALF_MV * MM_MV + MM_MV / 2
    return (
        f'<path d="M3.2 {foot:.2f}h1.2v{-MM_MV:g}h5v{MM_MV:g}h1.2" fill="none" stroke="{INK}" '
        f'stroke-width="0.27"/>'
    ) + text(6.9, foot + 3.2, "1 mV", 2.3, anchor="middle", colour=FAINT)


def _seconds(from_s: float, top: float, zero_s: float) -> Iterator[str]:
    first = math.ceil(from_s - zero_s - 1e-6)
    for second in range(first, first + math.ceil(ROW_S) + 1):
        x = LEFT + (zero_s + second - from_s) * MM_S
        if x > LEFT + WIDTH + 1e-6:
            break
        yield (
            f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{top:.2f}" y2="{top + 1.4:.2f}" '
            f'stroke="{FAINT}" stroke-width="0.25"/>'
        )
        if x < LEFT + WIDTH - 8:
            yield text(x + 0.7, top + 2.5, f"{second:+d} s" if second else "0", 2.2, colour=FAINT)


def _intervals(beats: Sequence[Beat], from_s: float, foot: float) -> Iterator[str]:
    for beat in beats:
        at = beat.at_s - from_s
        if not 0.0 <= at < ROW_S:
            continue
        x = LEFT + at * MM_S
        yield f'<path d="M{x:.2f} {foot - 0.2:.2f}l-0.7 -1.4h1.4z" fill="{WARM}"/>'
        width = (beat.rr_ms or 0.0) / 1000.0 * MM_S
        if 7.0 < width < x - LEFT + 3.0:
            said = f"{beat.rr_ms:.0f}"
            yield text(x - width / 2, foot - 0.6, said, 2.1, anchor="middle", colour=WARM)


def _rect(
    x: float, y: float, width: float, height: float, *, fill: str, opacity: float = 1.0
) -> str:
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{fill}" '
        f'fill-opacity="{opacity:g}"/>'
    )


def text(
    x: float,
    y: float,
    words: str,
    size: float,
    *,
    anchor: str = "start",
    weight: str = "normal",
    colour: str = INK,
) -> str:
    """Return words at a place, `size` in millimetres."""
    return (
        f'<text x="{x:.2f}" y="{y:.2f}" font-size="{size:g}" text-anchor="{anchor}" '
        f'font-weight="{weight}" fill="{colour}">{escape(words)}</text>'
    )
