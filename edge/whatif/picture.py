"""A what-if as a picture: for each rule the vital sign with both limits, and two lanes of alarms.

Plain SVG 1.1, written by hand: no fonts, scripts or pictures are fetched. Colours are those of
Okabe and Ito, which colour-blind people can tell apart, and nothing is told by colour alone: the
lanes carry their names, an alarm that is missed is crossed out, one that is new has a plus.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

import msgspec

from edge.whatif.axis import Axis

BLUE, ORANGE, VERMILION, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#666666"
WIDTH, LEFT, RIGHT = 1000, 100, 36
CURVE, LANE, GAP = 110, 16, 26
PANEL = CURVE + 2 * LANE + GAP + 34
HEAD, FOOT = 78, 44
LEAST_PX = 2.5
"""An alarm is drawn at least so wide: over a week a minute would vanish."""


class Bar(msgspec.Struct, frozen=True):
    """One alarm in a lane; `mark`: ``kept``, ``missed``, ``new``; `text`: what a pointer shows."""

    night: int
    from_s: float
    to_s: float
    mark: str
    text: str


class Panel(msgspec.Struct, frozen=True):
    """One rule.

    Attributes
    ----------
    points : Sequence[tuple[float, float, float]]
        Along the axis, from 0 to 1: place, lowest and highest value there; NaN where missing.
    limits : tuple[tuple[str, float], ...]
        How each limit is called, and the limit: first the one of before.
    """

    title: str
    unit: str
    points: Sequence[tuple[float, float, float]]
    limits: tuple[tuple[str, float], ...]
    before: Sequence[Bar]
    after: Sequence[Bar]


def draw(title: str, lines: Sequence[str], panels: Sequence[Panel], axis: Axis) -> str:
    """Return the picture as the text of an SVG file."""
    height = HEAD + 18 * len(lines) + PANEL * len(panels) + FOOT
    top = HEAD - 20 + 18 * len(lines)
    body = [
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(LEFT, 34, title, size=20, weight="bold"),
        *(_text(LEFT, 58 + 18 * i, line, size=14) for i, line in enumerate(lines)),
    ]
    for number, panel in enumerate(panels):
        body += _panel(panel, top + PANEL * number, axis)
    body += _ticks(axis, top + PANEL * len(panels))
    inner = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="DejaVu Sans, Verdana, sans-serif" '
        f'role="img">\n<title>{escape(title)}</title>\n{inner}\n</svg>\n'
    )


def _panel(panel: Panel, top: float, axis: Axis) -> Iterator[str]:
    yield _text(LEFT, top + 14, panel.title, size=14, weight="bold")
    curve_top = top + 22
    known = [v for _, low, high in panel.points for v in (low, high) if not math.isnan(v)]
    known += [limit for _, limit in panel.limits]
    if known:
        low, high = min(known), max(known)
        margin = 0.08 * (high - low) or 1.0
        yield from _curve(panel, curve_top, low - margin, high + margin)
    lane_top = curve_top + CURVE + 8
    for name, bars, y in (
        ("in force", panel.before, lane_top),
        ("what if", panel.after, lane_top + LANE + 6),
    ):
        yield _text(LEFT - 8, y + 12, name, size=12, anchor="end")
        yield (
            f'<rect x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="{LANE}" '
            f'fill="#f2f2f2"/>'
        )
        for bar in bars:
            yield from _bar(bar, y, axis, first=name == "in force")


def _curve(panel: Panel, top: float, low: float, high: float) -> Iterator[str]:
    def y(value: float) -> float:
        return top + CURVE * (high - value) / (high - low)

    yield (
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{CURVE}" '
        f'fill="none" stroke="#cccccc"/>'
    )
    for value in (low + 0.08 * (high - low), high - 0.08 * (high - low)):
        yield _text(LEFT - 8, y(value) + 4, f"{value:.0f} {panel.unit}", size=12, anchor="end")
    for run in _runs(panel.points):
        upper = [f"{_x(place):.1f},{y(most):.1f}" for place, _, most in run]
        lower = [f"{_x(place):.1f},{y(least):.1f}" for place, least, _ in reversed(run)]
        yield (
            f'<polygon points="{" ".join(upper + lower)}" fill="{GREY}" stroke="{GREY}" '
            f'stroke-width="1" stroke-linejoin="round"/>'
        )
    styles = ((BLUE, ""), (VERMILION, ' stroke-dasharray="7 4"'))
    for number, ((name, limit), (colour, dash)) in enumerate(
        zip(panel.limits, styles, strict=False)
    ):
        at = y(limit)
        yield (
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" '
            f'stroke="{colour}" stroke-width="1.6"{dash}/>'
        )
        place = LEFT + 6 if number == 0 else WIDTH - RIGHT - 6
        anchor = "start" if number == 0 else "end"
        words = f"{name} {limit:g} {panel.unit}"
        yield _text(place, at - 4, words, size=12, anchor=anchor, colour=colour)


def _runs(
    points: Sequence[tuple[float, float, float]],
) -> Iterator[list[tuple[float, float, float]]]:
    run: list[tuple[float, float, float]] = []
    for point in points:
        if math.isnan(point[1]):
            if run:
                yield run
            run = []
        else:
            run.append(point)
    if run:
        yield run


def _bar(bar: Bar, y: float, axis: Axis, *, first: bool) -> Iterator[str]:
    left = _x(axis.place(bar.night, bar.from_s))
    width = max(LEAST_PX, _x(axis.place(bar.night, bar.to_s)) - left)
    colour = BLUE if first else VERMILION
    if bar.mark == "new":
        colour = ORANGE
    yield (
        f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{LANE}" fill="{colour}" '
        f"{_MISSED if bar.mark == 'missed' else ''}><title>{escape(bar.text)}</title></rect>"
    )
    middle = left + width / 2
    if bar.mark == "missed":
        yield _text(middle, y + 13, "✕", size=13, anchor="middle", weight="bold")
    elif bar.mark == "new":
        yield _text(middle, y + 13, "+", size=15, anchor="middle", weight="bold")


_MISSED = f'fill-opacity="0.25" stroke="{BLUE}" stroke-width="1.5" stroke-dasharray="3 2"'


def _ticks(axis: Axis, top: float) -> Iterator[str]:
    for place, label in axis.ticks():
        x = _x(place)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + 6}" stroke="#444444"/>'
        yield _text(x, top + 20, label, size=12, anchor="middle")
    yield _text(
        LEFT,
        top + 38,
        "✕ no alarm any more · + new alarm · solid line: limit in force · dashed line: what if",
        size=12,
    )


def _x(place: float) -> float:
    return LEFT + place * (WIDTH - LEFT - RIGHT)


def _text(  # what a text has
    x: float,
    y: float,
    words: str,
    *,
    size: int,
    anchor: str = "start",
    weight: str = "normal",
    colour: str = "#222222",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'font-weight="{weight}" fill="{colour}">{escape(words)}</text>'
    )
