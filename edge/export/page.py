"""One alert on one A4 page: what was sensed around it, why it alarmed, and who answered.

Plain SVG 1.1, nothing is fetched: as a file of its own, or in an HTML page that prints at its true
size (``@page`` A4 without margins), from where any browser makes a PDF.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Final

from edge.export.paper import (
    FAINT,
    HALF_MV,
    INK,
    LEFT,
    MM_MV,
    PATTERNS,
    ROW_S,
    WIDTH,
    Wave,
    alive,
    ecg_row,
    gaps,
    lines,
    middle_of,
    pulse,
    text,
    wave_of,
)
from edge.export.strip import AFTER_S, BEFORE_S, Strip, Vital
from edge.export.wording import shortened, wrapped
from edge.records import Priority

ROWS_TOP: Final = 71.0
ROW_PITCH: Final = 32.0
N_ROWS: Final = 4
SLOW_MM_S: Final = WIDTH / (BEFORE_S + AFTER_S)
LINE: Final = 4.1

_COLOUR: Final = {
    Priority.HIGH: "#b71c1c",
    Priority.MEDIUM: "#b26a00",
    Priority.LOW: "#01579b",
    Priority.INFORMATION: "#455a64",
}
_VITALS: Final = (
    ("hr_bpm", "heart rate", "bpm", 0),
    ("spo2_pct", "SpO2", "%", 0),
    ("pulse_bpm", "pulse", "bpm", 0),
    ("resp_brpm", "respiration", "/min", 0),
    ("temp_degc", "temperature", "°C", 1),
)
_N_TILES: Final = 5
_SLOW_WAVES: Final = (("pleth_au", "pleth"), ("resp_au", "breath"), ("abp_mmhg", "pressure"))


def draw_page(strip: Strip) -> str:
    """Return the page as the text of an SVG file, 210 x 297 mm."""
    wave = wave_of(strip.runs, "ecg_mv", strip.from_s, strip.to_s)
    below = ROWS_TOP + N_ROWS * ROW_PITCH
    body = [
        '<rect width="210" height="297" fill="#ffffff"/>',
        *_head(strip),
        *_tiles(strip.vitals),
        *_rows(strip, wave),
        *_slow(strip, below + 5.5),
        *_story(strip, below + 31.0),
        *_foot(strip, wave),
    ]
    title = f"Alarm strip: {strip.alert.rule}, {strip.alert.patient or 'box'}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="210mm" height="297mm" '
        'viewBox="0 0 210 297" font-family="DejaVu Sans, Verdana, Helvetica, sans-serif" '
        f'role="img">\n<title>{escape(title)}</title>\n<defs>{PATTERNS}</defs>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def draw_html(strip: Strip) -> str:
    """Return the page as HTML that prints on A4 at its true size."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Alarm strip {escape(strip.alert.id)}</title>\n"
        "<style>@page{size:210mm 297mm;margin:0}html,body{margin:0;background:#ddd}"
        "svg{display:block;margin:0 auto;background:#fff}"
        "@media print{html,body{background:#fff}}</style></head>\n"
        f"<body>{draw_page(strip)}</body></html>\n"
    )


def _head(strip: Strip) -> Iterator[str]:
    alert = strip.alert
    colour = _COLOUR[alert.priority]
    yield f'<rect x="0" y="0" width="210" height="3.2" fill="{colour}"/>'
    yield text(LEFT, 13.2, "Alarm strip", 6.4, weight="bold")
    yield text(LEFT, 18.6, f"Homeward · {alert.patient or 'the box itself'}", 3.3, colour=FAINT)
    right = LEFT + WIDTH
    tag = f"{alert.priority.value} priority".upper()
    yield f'<rect x="{right - 44}" y="7.6" width="44" height="7.2" rx="1.4" fill="{colour}"/>'
    yield text(right - 22, 12.4, tag, 3.4, anchor="middle", weight="bold", colour="#ffffff")
    yield text(right, 18.6, _when(strip), 3.3, anchor="end")
    kind = alert.kind.value
    yield text(LEFT + 4, 26.0, f"{alert.rule.replace('_', ' ')} · {kind}", 3.3, colour=FAINT)
    size, letters = (5.0, 62) if len(alert.reason) <= 62 else (3.5, 90)
    y = 26.6
    for line in shortened(alert.reason, letters, 3):
        y += size * 1.22
        yield text(LEFT + 4, y, line, size, weight="bold")
    numbers = " · ".join(f"{name} {value:.4g}" for name, value in alert.evidence.items())
    if numbers:
        y += 4.6
        yield text(LEFT + 4, y, wrapped(numbers, 110)[0], 2.6, colour=FAINT)
    yield f'<rect x="{LEFT}" y="22.4" width="1.3" height="{y - 21.4:.2f}" fill="{colour}"/>'


def _when(strip: Strip) -> str:
    at = strip.origin.at(strip.alert.at_s)
    if at is None:
        return f"{strip.alert.at_s:.1f} s of the box's clock · wall time unknown"
    return f"{at:%Y-%m-%d %H:%M:%S} UTC · clock {strip.origin.quality}"


def _tiles(vitals: Sequence[Vital]) -> Iterator[str]:
    known = {vital.signal: vital for vital in vitals}
    shown = [row for row in _VITALS if row[0] in known][:_N_TILES]
    if not shown:
        yield text(LEFT, 55, "No vital sign was current at the alarm.", 3.4, colour=FAINT)
        return
    said = "what the monitor showed in the second of the alarm"
    yield text(LEFT + WIDTH, 46.3, said, 2.5, anchor="end", colour=FAINT)
    width = (WIDTH - 3.0 * (_N_TILES - 1)) / _N_TILES
    for i, (signal, name, unit, digits) in enumerate(shown):
        vital = known[signal]
        x = LEFT + i * (width + 3.0)
        yield (
            f'<rect x="{x:.2f}" y="47.5" width="{width:.2f}" height="17.5" rx="1.6" '
            f'fill="#f5f6f7"/>'
        )
        yield text(x + 2.4, 51.9, name, 2.9, colour=FAINT)
        number = f"{vital.value:.{digits}f}"
        yield (
            f'<text x="{x + 2.4:.2f}" y="61.2" fill="{INK}"><tspan font-size="7.6" '
            f'font-weight="bold">{number}</tspan><tspan dx="1.2" font-size="2.9" '
            f'fill="{FAINT}">{unit}</tspan></text>'
        )


def _rows(strip: Strip, wave: Wave | None) -> Iterator[str]:
    name = "ECG" if wave is None else f"ECG {wave.lead}".strip()
    yield text(LEFT, ROWS_TOP - 1.4, name, 3.3, weight="bold")
    scale = "25 mm/s · 10 mm/mV · as sensed, not filtered · ▼ beats as seen, RR in ms"
    yield text(LEFT + WIDTH, ROWS_TOP - 1.4, scale, 2.5, anchor="end", colour=FAINT)
    height = 2 * HALF_MV * MM_MV
    middle = 0.0 if wave is None else middle_of(wave.values)
    for i in range(N_ROWS):
        top, from_s = ROWS_TOP + i * ROW_PITCH, strip.from_s + i * ROW_S
        yield from ecg_row(wave, from_s, top, strip.alert.at_s, middle, strip.beats)
        if i == 0:
            yield pulse(top)
        for at_s, words, dash in _marks(strip):
            if from_s <= at_s < from_s + ROW_S:
                x = LEFT + (at_s - from_s) * (WIDTH / ROW_S)
                yield _mark(x, top, height, words, dash, _COLOUR[strip.alert.priority])


def _marks(strip: Strip) -> Iterator[tuple[float, str, str]]:
    alert = strip.alert
    yield alert.at_s, "ALARM", ""
    if alert.at_s - alert.since_s > 0.5:
        yield alert.since_s, "since", 'stroke-dasharray="1.2 0.8"'
    for told in strip.story:
        if told.stage in {"answered", "ended"} and told.after_s and told.after_s > 0.5:
            yield alert.at_s + told.after_s, told.stage, 'stroke-dasharray="1.2 0.8"'


def _mark(x: float, top: float, height: float, words: str, dash: str, colour: str) -> str:
    width = 2.6 + 1.95 * len(words)
    x_box = min(x, LEFT + WIDTH - width)
    return (
        f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{top:.2f}" y2="{top + height:.2f}" '
        f'stroke="{colour}" stroke-width="0.45" {dash}/>'
        f'<rect x="{x_box:.2f}" y="{top + 3.3:.2f}" width="{width:.2f}" height="3.7" '
        f'fill="{colour}"/>'
    ) + text(x_box + 1.3, top + 6.0, words, 2.5, weight="bold", colour="#ffffff")


def _slow(strip: Strip, top: float) -> Iterator[str]:
    """Yield the whole strip of another wave, where there is one, on a quarter of the speed."""
    found = [
        (wave, name)
        for signal, name in _SLOW_WAVES
        if (wave := wave_of(strip.runs, signal, strip.from_s, strip.to_s)) is not None
    ]
    wave, name = found[0] if found else (None, "pleth, breath")
    height = 16.0
    yield text(LEFT, top - 1.4, name, 3.3, weight="bold")
    unit = "" if wave is None else f" · range {_range(wave):.3g} {_unit(wave)}"
    said = f"{SLOW_MM_S:g} mm/s{unit}"
    yield text(LEFT + WIDTH, top - 1.4, said, 2.5, anchor="end", colour=FAINT)
    yield (
        f'<rect x="{LEFT}" y="{top:.2f}" width="{WIDTH}" height="{height}" fill="#fbfbfb" '
        f'stroke="#cccccc" stroke-width="0.2"/>'
    )
    length_s = BEFORE_S + AFTER_S
    yield from gaps(wave, strip.from_s, length_s, SLOW_MM_S, top, height)
    if wave is not None:
        mm = 0.86 * height / (_range(wave) or 1.0)
        yield (
            f'<clipPath id="slow"><rect x="{LEFT}" y="{top:.2f}" width="{WIDTH}" '
            f'height="{height}"/></clipPath><g clip-path="url(#slow)">'
        )
        low, high = _ends(wave)
        middle, centre = (low + high) / 2, top + height / 2
        yield from lines(wave, strip.from_s, length_s, SLOW_MM_S, centre, mm, middle)
        yield "</g>"
    x = LEFT + BEFORE_S * SLOW_MM_S
    yield (
        f'<line x1="{x:.2f}" x2="{x:.2f}" y1="{top:.2f}" y2="{top + height:.2f}" '
        f'stroke="{_COLOUR[strip.alert.priority]}" stroke-width="0.45"/>'
    )


def _ends(wave: Wave) -> tuple[float, float]:
    """Return the lowest and the highest value, those at which the sensor was stuck left out."""
    known = alive(wave.values)
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)


def _range(wave: Wave) -> float:
    low, high = _ends(wave)
    return high - low


def _unit(wave: Wave) -> str:
    unit = wave.signal.rpartition("_")[2]
    return {"au": "(no unit)", "mmhg": "mmHg"}.get(unit, unit)


def _story(strip: Strip, top: float) -> Iterator[str]:
    yield text(LEFT, top, "What happened", 3.3, weight="bold")
    y, last = top + 5.0, 277.0
    shown = 0
    for told in strip.story:
        said = shortened(told.words, 84, 2) or [""]
        if y + LINE * len(said) > last:
            break
        after = "" if told.after_s is None else f"{told.after_s:+.1f} s"
        yield text(LEFT + 17, y, after, 2.9, anchor="end", colour=FAINT)
        yield text(LEFT + 20, y, told.stage, 2.9, weight="bold")
        for line in said:
            yield text(LEFT + 57, y, line, 2.9)
            y += LINE
        shown += 1
    if not any(told.stage == "answered" for told in strip.story) and y <= last:
        yield text(LEFT + 20, y, "Nobody has answered it, as far as this shows.", 2.9)
        y += LINE
    if shown < len(strip.story):
        more = f"and {len(strip.story) - shown} more: `homeward alerts show {strip.alert.id}`"
        yield text(LEFT + 20, min(y, last), more, 2.6, colour=FAINT)


def _foot(strip: Strip, wave: Wave | None) -> Iterator[str]:
    yield (
        f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="281" y2="281" stroke="{INK}" '
        f'stroke-width="0.2"/>'
    )
    yield text(
        LEFT,
        285.4,
        "Homeward is not a medical device. This strip is no diagnosis, and is not for treatment.",
        2.9,
        weight="bold",
    )
    error = ""
    if wave is not None and not math.isnan(wave.uncertainty_s):
        error = f" · ECG times within {1000 * wave.uncertainty_s:.0f} ms of the box's clock"
    made = f"alert {strip.alert.id} · from {strip.source} · Homeward {strip.version}{error}"
    for i, line in enumerate(wrapped(made, 128)[:2]):
        yield text(LEFT, 289.2 + 3.2 * i, line, 2.4, colour=FAINT)
    span = _span_words(strip)
    if span:
        yield text(LEFT + WIDTH, 285.4, span, 2.4, anchor="end", colour=FAINT)


def _span_words(strip: Strip) -> str:
    start: datetime | None = strip.origin.at(strip.from_s)
    if start is None:
        return ""
    end = start + timedelta(seconds=BEFORE_S + AFTER_S)
    return f"{start:%H:%M:%S} to {end:%H:%M:%S} UTC"
