#!/usr/bin/env python3
"""A wiring drawing from a table of parts, pins and wires, with its list of wires and its notes."""

from __future__ import annotations

from typing import Any, Final

import symbols
from parts import LABEL, Part, parts_of, wires_of
from routing import Routes
from sheet import BOARD, INK, PAPER, QUIET, Sheet, number, wrapped

MARGIN: Final = 30.0
MIN_WIDTH: Final = 900.0
NO_BREAK: Final = "\u00a0"


class Drawing:
    """One wiring drawing.

    Parameters
    ----------
    table : dict[str, Any]
        ``title``, ``subtitle``, ``warning``, ``about``, ``notes``; ``part`` = [id, board or title
        and pins, column, top]; ``wire`` = [name, pins as ``part.pin``, colour, dash].
    boards : dict[str, Any]
        Boards that tables name.
    """

    def __init__(self, table: dict[str, Any], boards: dict[str, Any]) -> None:
        self.table = table
        self.parts = parts_of(table, boards)
        self.wires = wires_of(table)
        self.routes = Routes(self.parts, self.wires)

    def sheet(self) -> Sheet:
        """Return the drawing."""
        width = max(self.routes.width + 2 * MARGIN, MIN_WIDTH)
        sheet = Sheet(self.table["title"], self.about(), width)
        y = sheet.heading(MARGIN, self.table["subtitle"])
        y += sheet.warning((MARGIN, y), self.table["warning"], width - 2 * MARGIN) + 26
        self.routes.move_right((width - self.routes.width) / 2)
        self.routes.place_rows(y)
        for i in range(len(self.wires)):
            self._draw_wire(sheet, i)
        for part in self.parts.values():
            _draw_part(sheet, part)
        for i in range(len(self.wires)):
            self._name_wire(sheet, i)
        sheet.height = self._below(sheet, self.routes.bottom + 14, width) + MARGIN
        return sheet

    def about(self) -> str:
        """Return the drawing in words."""
        lines = [
            f"Wire {i}, {wire.name}: " + " to ".join(self.spoken(*end) for end in wire.pins) + "."
            for i, wire in enumerate(self.wires, start=1)
        ]
        return " ".join([self.table["about"], *lines]).replace(NO_BREAK, " ")

    def spoken(self, part: str, pin: str) -> str:
        """Return a pin as people say it."""
        board = self.parts[part]
        words = board.spoken.format(name=pin, label=board.pins[pin].label)
        return NO_BREAK.join(f"{board.short} {words}".split())

    def _draw_wire(self, sheet: Sheet, i: int) -> None:
        wire = self.wires[i]
        d = self.routes.way(i)
        # A white edge makes a bridge of every crossing.
        sheet.path(d, stroke=PAPER, line=8)
        sheet.path(d, stroke=wire.colour, line=3, dash=wire.dash, wire=f"{i + 1} {wire.name}")
        for at in self.routes.dots(i):
            sheet.dot(at, 5, wire.colour)

    def _name_wire(self, sheet: Sheet, i: int) -> None:
        wire = self.wires[i]
        for at, (part, pin) in enumerate(wire.pins):
            x, y = self.parts[part].place_of(pin)
            outwards = 1 if self.parts[part].pins[pin].side == "right" else -1
            sheet.numbered((x + outwards * 18, y), str(i + 1))
            if at == 0:
                anchor = "start" if outwards > 0 else "end"
                place = (x + outwards * 32, y - 5)
                sheet.text(place, wire.name, size=LABEL, bold=True, anchor=anchor)

    def _below(self, sheet: Sheet, y: float, width: float) -> float:
        """Write the list of wires and the notes; return how far down they reach."""
        half = (width - 3 * MARGIN) / 2
        listed = self._list(sheet, (MARGIN, y), half)
        right = 2 * MARGIN + half
        sheet.text((right, y + 14), "Take care", size=15, bold=True)
        return max(listed, sheet.items((right, y + 26), self.table["notes"], half))

    def _list(self, sheet: Sheet, at: tuple[float, float], width: float) -> float:
        x, y = at
        sheet.text((x, y + 14), "Wires", size=15, bold=True)
        y += 34
        for i, wire in enumerate(self.wires):
            sheet.numbered((x + 10, y + 5), str(i + 1))
            line = f"M{number(x + 28)} {number(y + 5)} h56"
            sheet.path(line, stroke=wire.colour, line=3, dash=wire.dash)
            sheet.text((x + 94, y + 9), wire.name, bold=True)
            route = f" —{NO_BREAK}".join(self.spoken(*end) for end in wire.pins)
            for words in wrapped(route, width - 94, LABEL):
                y += 17
                sheet.text((x + 94, y + 9), words, size=LABEL)
            y += 24
        words = "A dot joins wires; a crossing without one does not."
        sheet.text((x, y + 8), words, size=LABEL, colour=QUIET)
        return y + 14


def _draw_part(sheet: Sheet, part: Part) -> None:
    sheet.rect((part.x, part.y), (part.width, part.height), fill=BOARD, line=2, corner=6)
    middle = part.x + part.width / 2
    for row, line in enumerate(part.title_lines):
        at = (middle, part.y + 21 + row * 17)
        sheet.text(at, line, size=13, bold=row == 0, anchor="middle")
    for name, pin in part.pins.items():
        x, y = part.place_of(name)
        inwards = -1 if pin.side == "right" else 1
        ink = INK if pin.used else QUIET
        sheet.rect((x + inwards * 6 - 4, y - 4), (8, 8), fill=INK if pin.used else PAPER, line=1.2)
        anchor = "end" if inwards < 0 else "start"
        place = (x + inwards * 15, y + 4)
        if pin.label.strip():
            sheet.text(place, pin.label, size=LABEL, bold=pin.used, anchor=anchor, colour=ink)
    if part.symbol:
        heights = [part.place_of(name)[1] for name in part.pins]
        left, right = part.labels("left"), part.labels("right")
        between = part.x + (part.width + left - right) / 2
        symbols.draw(sheet, part.symbol, (between, (min(heights) + max(heights)) / 2))
