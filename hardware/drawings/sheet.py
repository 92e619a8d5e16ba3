#!/usr/bin/env python3
"""A sheet of paper to draw on: colours, widths of texts, and the marks that make up an SVG.

Every drawing is made of these marks and nothing else, so one file decides what can be seen by
somebody who cannot tell red from green, and what comes out of a black and white printer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape, quoteattr

INK: Final = "#000000"
PAPER: Final = "#FFFFFF"
BOARD: Final = "#F2F2F2"
QUIET: Final = "#595959"
# Okabe and Ito, "Color Universal Design", 2008: told apart with every kind of colour vision. Only
# those that stand out from white paper by 3:1 are wires; what is written is always black or grey.
WIRES: Final = {
    "black": INK,
    "blue": "#0072B2",
    "green": "#009E73",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
}
OTHERS: Final = {"orange": "#E69F00", "sky blue": "#56B4E9", "yellow": "#F0E442"}
DASHES: Final = {
    "solid": "",
    "dashed": "9 5",
    "dotted": "2.5 4",
    "dash-dot": "12 4 2.5 4",
    "long": "20 6",
    "two dots": "12 4 2.5 4 2.5 4",
}
FONT: Final = "DejaVu Sans, Verdana, Arial, sans-serif"

# Widths of DejaVu Sans in hundredths of its size: the widest of the fonts named above. What is not
# listed is taken to be as wide as it is high.
_WIDTHS: Final = {
    27: "'",
    30: "ijlIJ",
    34: " \u00a0,.·/:;\\|",
    39: "f-()[]t",
    46: '!²r"',
    53: "*_`°\u2013sz?",
    59: "cLFkvxy•",
    63: "PTYaoeESbdghnpqu",
    66: "$0123456789{}µK",
    73: "AVBRXZCU",
    79: "HNΩDG&OQ",
    87: "w#+<=>^~±→←\u00d7≥≤M",
}
_WIDTH_OF: Final = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
_BOLDER: Final = 1.17


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return at least the width of a line of text, in pixels."""
    hundredths = sum(_WIDTH_OF.get(letter, 100) for letter in text)
    return hundredths / 100 * size * (_BOLDER if bold else 1.0)


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> list[str]:
    """Return the lines of a text that is not to be wider than `width` pixels."""
    lines: list[str] = []
    # A space that does not break stays within its word.
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def number(value: float) -> str:
    """Return a coordinate as it is written: no more than one decimal, so files stay the same."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass
class Sheet:
    """What has been drawn so far; later marks lie over earlier ones.

    Attributes
    ----------
    title, about : str
        For those who hear the drawing read out, and above and below it for all others.
    width, height : float
        In pixels; set before `svg` is called.
    """

    title: str
    about: str
    width: float = 0.0
    height: float = 0.0
    marks: list[str] = field(default_factory=list)

    def rect(
        self,
        at: tuple[float, float],
        size: tuple[float, float],
        *,
        fill: str = PAPER,
        stroke: str = INK,
        line: float = 1.5,
        corner: float = 0.0,
    ) -> None:
        """Draw a box; `line` 0 leaves its outline away."""
        outline = f' stroke="{stroke}" stroke-width="{number(line)}"' if line else ""
        rounding = f' rx="{number(corner)}"' if corner else ""
        self.marks.append(
            f'<rect x="{number(at[0])}" y="{number(at[1])}" width="{number(size[0])}" '
            f'height="{number(size[1])}"{rounding} fill="{fill}"{outline}/>'
        )

    def circle(self, at: tuple[float, float], radius: float, *, fill: str = PAPER) -> None:
        """Draw a circle with a thin outline."""
        self.marks.append(
            f'<circle cx="{number(at[0])}" cy="{number(at[1])}" r="{number(radius)}" '
            f'fill="{fill}" stroke="{INK}" stroke-width="1.2"/>'
        )

    def dot(self, at: tuple[float, float], radius: float, colour: str) -> None:
        """Draw a full circle: wires that are joined, an item of a list."""
        self.marks.append(
            f'<circle cx="{number(at[0])}" cy="{number(at[1])}" r="{number(radius)}" '
            f'fill="{colour}"/>'
        )

    def path(
        self,
        d: str,
        *,
        stroke: str = INK,
        line: float = 1.5,
        fill: str = "none",
        dash: str = "",
        wire: str = "",
    ) -> None:
        """Draw any line; `wire` names it as a wire, for tests and for the curious."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        named = f' class="wire" data-wire={quoteattr(wire)}' if wire else ""
        self.marks.append(
            f'<path d="{d}" fill="{fill}" stroke="{stroke}" stroke-width="{number(line)}" '
            f'stroke-linejoin="round"{dashes}{named}/>'
        )

    def text(
        self,
        at: tuple[float, float],
        words: str,
        *,
        size: float = 13.0,
        bold: bool = False,
        anchor: str = "start",
        colour: str = INK,
    ) -> None:
        """Write one line; `at` is its foot, at its start, middle or end."""
        weight = ' font-weight="bold"' if bold else ""
        place = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.marks.append(
            f'<text x="{number(at[0])}" y="{number(at[1])}" font-size="{number(size)}"'
            f'{weight}{place} fill="{colour}">{escape(words)}</text>'
        )

    def numbered(self, at: tuple[float, float], words: str) -> None:
        """Write a number in a circle around a point."""
        self.circle(at, 9.5)
        self.text((at[0], at[1] + 4), words, size=11, bold=True, anchor="middle")

    def paragraph(
        self,
        at: tuple[float, float],
        words: str,
        width: float,
        *,
        size: float = 13.0,
        bold: bool = False,
    ) -> float:
        """Write as many lines as are needed; return the height they take."""
        lines = wrapped(words, width, size, bold=bold)
        for row, line in enumerate(lines):
            self.text((at[0], at[1] + size + row * size * 1.4), line, size=size, bold=bold)
        return len(lines) * size * 1.4

    def items(self, at: tuple[float, float], items: list[str], width: float) -> float:
        """Write a list; return how far down it reaches."""
        x, y = at
        for item in items:
            self.dot((x + 5, y + 9), 3, INK)
            y += self.paragraph((x + 18, y), item, width - 18) + 6
        return y

    def heading(self, left: float, subtitle: str) -> float:
        """Write title and subtitle; return how far down they reach."""
        self.text((left, 40), self.title, size=22, bold=True)
        lines = wrapped(subtitle, self.width - 2 * left, 13)
        for row, line in enumerate(lines):
            self.text((left, 62 + row * 18), line, size=13, colour=QUIET)
        return 62.0 + len(lines) * 18

    def warning(self, at: tuple[float, float], words: str, width: float) -> float:
        """Draw the framed line nobody should overlook; return its height."""
        lines = wrapped(words, width - 64, 13, bold=True)
        high = max(len(lines) * 18.2 + 18, 46)
        self.rect(at, (width, high), stroke=WIRES["vermillion"], line=3, corner=4)
        x, middle = at[0] + 30, at[1] + high / 2
        corners = f"M{number(x - 15)} {number(middle + 12)} h30 l-15 -26 z"
        self.path(corners, fill=OTHERS["yellow"], line=2)
        self.text((x, middle + 8), "!", size=17, bold=True, anchor="middle")
        top = middle - len(lines) * 9.1 - 1
        self.paragraph((at[0] + 56, top), words, width - 64, bold=True)
        return high

    def svg(self) -> str:
        """Return the whole file."""
        size = f"{number(self.width)} {number(self.height)}"
        head = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            "<!-- Made by hardware/drawings/draw.py: change its tables, not this file. -->",
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
                f'width="{number(self.width)}" height="{number(self.height)}" role="img" '
                f'aria-labelledby="title desc" font-family="{FONT}">'
            ),
            f'<title id="title">{escape(self.title)}</title>',
            f'<desc id="desc">{escape(self.about)}</desc>',
            f'<rect width="{number(self.width)}" height="{number(self.height)}" fill="{PAPER}"/>',
        ]
        return "\n".join([*head, *self.marks, "</svg>", ""])
