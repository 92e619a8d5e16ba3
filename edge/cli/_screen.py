"""Draws the bedside in a terminal: numbers, a trace, alerts, what is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge.live import Live
from edge.news2 import in_brief
from edge.records import Alert, AlertState, FloatArray, Priority

TRACE_S: Final = 6.0
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_NUMBERS: Final = (
    ("HR", "hr_bpm", "bpm", "{:.0f}", "green"),
    ("SpO2", "spo2_pct", "%", "{:.0f}", "cyan"),
    ("pulse", "pulse_bpm", "bpm", "{:.0f}", "cyan"),
    ("resp", "resp_brpm", "/min", "{:.0f}", "blue"),
    ("temp", "temp_degc", "°C", "{:.1f}", "yellow"),
)
_COLOURS: Final = {
    Priority.HIGH: "bold white on red",
    Priority.MEDIUM: "black on yellow",
    Priority.LOW: "black on cyan",
    Priority.INFORMATION: "white",
}
_MARKS: Final = {
    Priority.HIGH: "!!!",
    Priority.MEDIUM: "!! ",
    Priority.LOW: "!  ",
    Priority.INFORMATION: "i  ",
}
"""The priority is told by marks as well as by colour."""


def draw(  # what is on a screen
    live: Live,
    trace: FloatArray | None,
    title: str,
    foot: Sequence[str],
    width: int,
    told_of: Mapping[str, str],
) -> RenderableType:
    """Return the screen of one patient.

    Parameters
    ----------
    live : Live
        The pipeline's moment.
    trace : FloatArray | None
        Last `TRACE_S` seconds of ECG in mV, NaN where missing; None: there is none.
    title : str
        First line.
    foot : Sequence[str]
        Last lines.
    width : int
        Columns of the terminal.
    told_of : Mapping[str, str]
        Alert -> who was told of it.
    """
    vitals: Mapping[str, float] = live.patients[0].vitals if live.patients else {}
    inner = max(20, width - 4)
    lines = plot(trace, inner, 6) if trace is not None else ["no ECG yet", *[""] * 5]
    return Group(
        Text(title, style="bold"),
        Panel(_numbers(vitals), title="now", title_align="left"),
        Panel(Text("\n".join(lines), style="green"), title=_ecg(vitals), title_align="left"),
        Panel(_alarms(live, told_of), title="alarms", title_align="left"),
        *[Text(line, style="dim") for line in foot],
    )


def plot(values: FloatArray, width: int, height: int) -> list[str]:
    """Return a curve in braille dots, `height` lines of `width` characters.

    Missing samples stay blank; the vertical range is that of the values shown.
    """
    n_columns, n_rows = 2 * width, 4 * height
    rows = np.zeros((height, width), np.int32)
    known = values[np.isfinite(values)]
    if len(known):
        low, high = float(known.min()), float(known.max())
        span = max(high - low, 0.2)
        edges = np.linspace(0, len(values), n_columns + 1).astype(int)
        last: tuple[int, int] | None = None
        for x in range(n_columns):
            piece = values[edges[x] : max(edges[x + 1], edges[x] + 1)]
            piece = piece[np.isfinite(piece)]
            if not len(piece):
                last = None
                continue
            top = round((high - float(piece.max())) / span * (n_rows - 1))
            bottom = round((high - float(piece.min())) / span * (n_rows - 1))
            if last is not None:
                # Join on to the neighbour, so that a steep edge is a line and not two dots.
                top, bottom = min(top, last[1]), max(bottom, last[0])
            last = (top, bottom)
            for y in range(top, bottom + 1):
                rows[y // 4, x // 2] |= _DOTS[y % 4][x % 2]
    return ["".join(chr(0x2800 + dots) for dots in row) for row in rows.tolist()]


def say(alert: Alert) -> str:
    """Return one state of an alert as a line for people."""
    who = f" by {alert.answered_by}" if alert.state is AlertState.ACKNOWLEDGED else ""
    mark = _MARKS[alert.priority].strip()
    return f"{alert.state.value}{who} {mark} {alert.priority.value} {alert.rule}: {alert.reason}"


def heard(live: Live) -> str:
    """Return what is heard of the alarms, what is silenced and who has the watch, for people."""
    signal = live.signal
    said = []
    if signal.audible and signal.priority is not None:
        said.append(f"SOUNDS: {signal.priority.value} priority, {signal.category.value}")
    for mute in live.mutes:
        what = mute.act.value.replace("_", " ")
        left = "" if mute.until_s is None else f", {max(0.0, mute.until_s - live.now_s):.0f} s left"
        said.append(f"{what} up to {mute.upto.value} priority by {mute.by}{left}")
    said += [f"{watch.holder} has the watch" for watch in live.watches]
    return " · ".join(said)


def _ecg(vitals: Mapping[str, float]) -> str:
    quality = vitals.get("ecg_quality", math.nan)
    return "ECG, mV" if math.isnan(quality) else f"ECG, mV · quality {quality:.2f}"


def _alarms(live: Live, told_of: Mapping[str, str]) -> RenderableType:
    alerts, said = _alerts(live.alerts, live.now_s, told_of), heard(live)
    return Group(alerts, Text(said, style="bold")) if said else alerts


def _numbers(vitals: Mapping[str, float]) -> Table:
    table = Table.grid(expand=True)
    cells = []
    for label, name, unit, shown, colour in _NUMBERS:
        table.add_column(justify="center")
        value = vitals.get(name, math.nan)
        # A number that is not known is never the last one that was.
        text = "--" if math.isnan(value) else shown.format(value)
        cells.append(Text.assemble((text, f"bold {colour}"), f" {unit}\n", (label, "dim")))
    table.add_column(justify="center")
    cells.append(Text.assemble((in_brief(vitals), "bold magenta"), "\n", ("NEWS2", "dim")))
    table.add_row(*cells)
    return table


def _alerts(alerts: Sequence[Alert], now_s: float, told_of: Mapping[str, str]) -> RenderableType:
    if not alerts:
        return Text("none", style="green")
    table = Table.grid(padding=(0, 1))
    for alert in alerts[:5]:
        style = _COLOURS[alert.priority]
        if alert.state is AlertState.ACKNOWLEDGED:
            style = "dim"
        table.add_row(
            Text(f" {_MARKS[alert.priority]} {alert.priority.value} ", style=style),
            Text(alert.state.value),
            Text(f"{max(0.0, now_s - alert.since_s):.0f} s", style="dim"),
            Text(alert.reason, overflow="ellipsis"),
            Text(_answer_to(alert, told_of), style="bold"),
        )
    return table


def _answer_to(alert: Alert, told_of: Mapping[str, str]) -> str:
    """Return who has answered it, or else whom it was carried to."""
    if alert.answered_by:
        return f"{alert.meaning} by {alert.answered_by}".replace("_", " ")
    return f"told: {told_of[alert.id]}" if alert.id in told_of else ""
