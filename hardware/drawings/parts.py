#!/usr/bin/env python3
"""Parts and wires as the tables say them: what there is, not yet where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import symbols
from sheet import DASHES, WIRES, text_width

Side: TypeAlias = Literal["left", "right"]
PITCH: Final = 26.0  # from pin to pin
HEAD: Final = 12.0  # above the title of a part
LABEL: Final = 12.0  # size of the names of pins and wires
E12: Final = (10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82, 100)


@dataclass(frozen=True)
class Pin:
    """One pin: its printed name, and where it is."""

    label: str
    side: Side
    row: int
    used: bool = False


@dataclass
class Part:
    """A board or component: a box with pins on its left and right side."""

    title: str
    short: str
    column: int
    top_row: float
    pins: dict[str, Pin]
    spoken: str = "{label}"  # how its pins are called in lists
    symbol: str = ""
    room: float = 0.0  # between the names of the pins of both sides
    x: float = 0.0
    y: float = 0.0

    @property
    def n_rows(self) -> int:
        """Rows of pins, empty ones included."""
        return 1 + max(pin.row for pin in self.pins.values())

    def labels(self, side: Side) -> float:
        """Return the width of the longest printed name on one side."""
        pins = [pin for pin in self.pins.values() if pin.side == side]
        return max((text_width(pin.label, LABEL, bold=True) for pin in pins), default=0.0)

    @property
    def width(self) -> float:
        """Of the box."""
        inner = self.labels("left") + self.labels("right") + 44 + self.room
        title = max(text_width(line, 13, bold=True) for line in self.title_lines) + 24
        return max(inner, title, 110.0)

    @property
    def title_lines(self) -> list[str]:
        """The title, one line or several."""
        return self.title.split("\n")

    @property
    def head(self) -> float:
        """How far below its top the first pin is."""
        return HEAD + 17 * len(self.title_lines) + PITCH / 2 + (10 if self.symbol else 0)

    @property
    def height(self) -> float:
        """Of the box."""
        return self.head + (self.n_rows - 1) * PITCH + PITCH / 2 + 4

    def place_of(self, name: str) -> tuple[float, float]:
        """Return where a wire meets a pin."""
        pin = self.pins[name]
        x = self.x if pin.side == "left" else self.x + self.width
        return x, self.y + self.head + pin.row * PITCH


@dataclass(frozen=True)
class Wire:
    """All that is joined to one another: two pins or more."""

    name: str
    pins: tuple[tuple[str, str], ...]  # part, pin; the name stands beside the first
    colour: str
    dash: str


def next_resistor(part: dict[str, Any]) -> int:
    """Return the E12 value for a current: not above it with ``round = "up"``, else not below it.

    >>> next_resistor({"supply_v": 3.3, "drop_v": 2.0, "current_ma": 5, "round": "up"})
    270
    """
    ohm = (part["supply_v"] - part["drop_v"]) / part["current_ma"] * 1000
    ladder = [value * 10**power for power in range(5) for value in E12]
    if part["round"] == "up":
        return min(value for value in ladder if value >= ohm)
    return max(value for value in ladder if value <= ohm)


def wires_of(table: dict[str, Any]) -> list[Wire]:
    """Return the wires of a drawing's table."""
    wires = []
    for row in table["wire"]:
        ends = tuple((part, pin) for part, _, pin in (p.partition(".") for p in row["pins"]))
        wires.append(Wire(row["name"], ends, WIRES[row["colour"]], DASHES[row["dash"]]))
    return wires


def parts_of(table: dict[str, Any], boards: dict[str, Any]) -> dict[str, Part]:
    """Return the parts of a drawing's table, by their ids; `boards` is what several share."""
    used = {end for wire in wires_of(table) for end in wire.pins}
    parts: dict[str, Part] = {}
    for row in table["part"]:
        board = {**boards.get(row.get("board", ""), {}), **row}
        title = board["title"]
        if "resistor" in board:
            title = title.format(ohm=next_resistor(board["resistor"]))
        symbol = board.get("symbol", "")
        parts[row["id"]] = Part(
            title=title,
            short=board.get("short", title.split("\n", maxsplit=1)[0]),
            column=row["column"],
            top_row=row.get("top", 0),
            pins=_pins(board, {pin for part, pin in used if part == row["id"]}),
            spoken=board.get("spoken", "{label}"),
            symbol=symbol,
            room=symbols.ROOM if symbol else float(board.get("room", 0)),
        )
    return parts


def _pins(board: dict[str, Any], used: set[str]) -> dict[str, Pin]:
    pins: dict[str, Pin] = {}
    sides: tuple[Side, Side] = ("left", "right")
    for side in sides:
        for row, entry in enumerate(board.get(side, [])):
            if entry:
                name, _, label = entry.partition("|")
                pins[name] = Pin(label or name, side, row, name in used)
    return pins
