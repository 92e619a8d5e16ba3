#!/usr/bin/env python3
"""Where parts stand and wires run.

Parts stand in columns. Between two columns is a channel: wires leave their pins sideways, run up or
down in a track of the channel that is theirs alone, and go on sideways to the other pin. A wire
between different channels takes a row below all parts. Names stand beside the pin where a wire
begins, where no track is, so that no line ever runs through a text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations
from typing import Final

from parts import LABEL, PITCH, Part, Side, Wire
from sheet import number, text_width

TRACK: Final = 15.0
BUBBLE: Final = 34.0  # room for the number of a wire
BELOW: Final = 22.0  # from the lowest part to the first row
OVERLAP: Final = 1000  # as bad as so many crossings


@dataclass
class Channel:
    """The room between two columns, and the order of its tracks."""

    left_zone: float = 0.0
    right_zone: float = 0.0
    tracks: list[int] = field(default_factory=list)  # wires, from left to right
    x: float = 0.0

    @property
    def width(self) -> float:
        """Of both zones and all tracks."""
        return self.left_zone + TRACK * (len(self.tracks) + 1) + self.right_zone

    def track_x(self, wire: int) -> float:
        """Return where a wire runs up and down."""
        return self.x + self.left_zone + TRACK * (1 + self.tracks.index(wire))


class Routes:
    """Places of all parts and ways of all wires of one drawing.

    Parameters
    ----------
    parts : dict[str, Part]
        Their `x` and `y` are set.
    wires : list[Wire]
        Known by their index.
    """

    def __init__(self, parts: dict[str, Part], wires: list[Wire]) -> None:
        self.parts, self.wires = parts, wires
        n_columns = 1 + max(part.column for part in parts.values())
        self.channels = [Channel() for _ in range(n_columns + 1)]
        # Wires that take a row below all parts.
        self.buses = [
            i for i, wire in enumerate(wires) if len({self.channel(*end) for end in wire.pins}) > 1
        ]
        self.place_rows(0.0)
        for c, channel in enumerate(self.channels):
            channel.tracks = self._best_order(c)
        self._place_columns()

    def channel(self, part: str, pin: str) -> int:
        """Return the channel beside a pin."""
        return self.parts[part].column + (self.parts[part].pins[pin].side == "right")

    def place_rows(self, top: float) -> None:
        """Put the parts below `top`."""
        for part in self.parts.values():
            part.y = top + part.top_row * PITCH
        self.lowest_part = max(part.y + part.height for part in self.parts.values())

    def move_right(self, by: float) -> None:
        """Shift everything sideways."""
        for channel in self.channels:
            channel.x += by
        for part in self.parts.values():
            part.x += by

    @property
    def bottom(self) -> float:
        """How far down parts and rows reach."""
        return self.lowest_part + BELOW + TRACK * len(self.buses)

    def _bus_y(self, wire: int) -> float:
        return self.lowest_part + BELOW + TRACK * self.buses.index(wire)

    def _comes_from(self, part: str, pin: str) -> Side:
        """Return the side of its channel on which a pin is."""
        return "left" if self.parts[part].pins[pin].side == "right" else "right"

    def _ends(self, channel: int) -> list[tuple[int, Side, float]]:
        """Return the ends of wires in a channel: wire, the side they come from, height."""
        return [
            (i, self._comes_from(*end), self.parts[end[0]].place_of(end[1])[1])
            for i, wire in enumerate(self.wires)
            for end in wire.pins
            if self.channel(*end) == channel
        ]

    def _span(self, wire: int, channel: int) -> tuple[float, float]:
        heights = [y for i, _, y in self._ends(channel) if i == wire]
        if wire in self.buses:
            heights.append(self._bus_y(wire))
        return min(heights), max(heights)

    def _best_order(self, channel: int) -> list[int]:
        """Return the tracks of a channel in the order with the fewest crossings.

        Each pair of wires adds its own number, whatever lies between: so the best order of any set
        of wires is the best of a smaller set with one more to its right (Held and Karp 1962,
        doi:10.1137/0110015).
        """
        ends = self._ends(channel)
        spans = {i: self._span(i, channel) for i, _, _ in ends}
        tracks = [i for i in spans if spans[i][0] != spans[i][1]]

        def passes(wire: int, side: Side, other: int) -> int:
            low, high = spans[other]
            heights = [y for i, from_side, y in ends if i == wire and from_side == side]
            return sum(OVERLAP * (y in spans[other]) + (low < y < high) for y in heights)

        cost = {
            (a, b): passes(b, "left", a) + passes(a, "right", b) for a, b in permutations(tracks, 2)
        }
        best: dict[frozenset[int], tuple[int, list[int]]] = {frozenset(): (0, [])}
        for _ in tracks:
            longer: dict[frozenset[int], tuple[int, list[int]]] = {}
            for some, (so_far, order) in best.items():
                for last in (wire for wire in tracks if wire not in some):
                    total = so_far + sum(cost[before, last] for before in order)
                    if (total, [*order, last]) < longer.get(some | {last}, (total + 1, [])):
                        longer[some | {last}] = (total, [*order, last])
            best = longer
        return best[frozenset(tracks)][1]

    def _zone(self, channel: int, side: Side) -> float:
        ends = [wire for wire, from_side, _ in self._ends(channel) if from_side == side]
        named = [
            text_width(wire.name, LABEL, bold=True) + 6
            for wire in self.wires
            if self.channel(*wire.pins[0]) == channel and self._comes_from(*wire.pins[0]) == side
        ]
        return BUBBLE + max(named, default=0.0) if ends else 0.0

    def _place_columns(self) -> None:
        x = 0.0
        for c, channel in enumerate(self.channels):
            channel.left_zone = self._zone(c, "left")
            channel.right_zone = self._zone(c, "right")
            channel.x = x
            if self._ends(c):
                x += channel.width
            column = [part for part in self.parts.values() if part.column == c]
            width = max((part.width for part in column), default=0.0)
            for part in column:
                part.x = x + (width - part.width) * self._lean(c)
            x += width
        self.width = x

    def _lean(self, column: int) -> float:
        """Return where narrow parts of a column stand: 0 at its left edge, 1 at its right."""
        # The outermost columns keep their inner edges in line.
        if column == 0 and not self._ends(0):
            return 1.0
        return 0.0 if column == len(self.channels) - 2 else 0.5

    def way(self, i: int) -> str:
        """Return a wire's path."""
        return self._one_line(i) if len(self.wires[i].pins) == 2 else " ".join(self._pieces(i))

    def _one_line(self, i: int) -> str:
        """Return the way from a wire's first pin to its second, without a break in its dashes."""
        first, last = (self.parts[part].place_of(pin) for part, pin in self.wires[i].pins)
        ways = [self.channel(*end) for end in self.wires[i].pins]
        d = f"M{number(first[0])} {number(first[1])}"
        if i in self.channels[ways[0]].tracks:
            d += f" H{number(self.channels[ways[0]].track_x(i))}"
        if ways[0] != ways[1]:
            d += f" V{number(self._bus_y(i))} H{number(self.channels[ways[1]].track_x(i))}"
        return f"{d} V{number(last[1])} H{number(last[0])}"

    def _pieces(self, i: int) -> list[str]:
        """Return trunk, stubs and row of a wire with many ends, channel by channel."""
        pieces: list[str] = []
        for c, x in self._trunks(i):
            low, high = self._span(i, c)
            pieces.append(f"M{number(x)} {number(low)} V{number(high)}")
            for part, pin in self.wires[i].pins:
                if self.channel(part, pin) == c:
                    at = self.parts[part].place_of(pin)
                    pieces.append(f"M{number(at[0])} {number(at[1])} H{number(x)}")
        if i in self.buses:
            xs = [x for _, x in self._trunks(i)]
            row = number(self._bus_y(i))
            pieces.append(f"M{number(min(xs))} {row} H{number(max(xs))}")
        return pieces

    def _trunks(self, i: int) -> list[tuple[int, float]]:
        """Return the channels in which a wire runs up and down, and where."""
        ways = sorted({self.channel(*end) for end in self.wires[i].pins})
        return [(c, self.channels[c].track_x(i)) for c in ways if i in self.channels[c].tracks]

    def dots(self, i: int) -> list[tuple[float, float]]:
        """Return where three or more pieces of a wire meet."""
        dots: list[tuple[float, float]] = []
        for c, x in self._trunks(i):
            low, high = self._span(i, c)
            heights = [y for j, _, y in self._ends(c) if j == i]
            dots += [
                (x, y)
                for y in sorted(set(heights))
                if heights.count(y) + (low < y) + (y < high) > 2
            ]
        xs = [x for _, x in self._trunks(i)]
        if i in self.buses:
            dots += [(x, self._bus_y(i)) for x in xs if min(xs) < x < max(xs)]
        return dots
