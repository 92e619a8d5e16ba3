"""A drawing of hardware/ as somebody sees it who has nothing but the SVG.

Texts are measured with the true widths of the font, not by the code that drew them.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

HARDWARE = Path(__file__).parents[2] / "hardware"
FOLDER = HARDWARE / "drawings"
DRAWINGS = sorted(path.stem for path in FOLDER.glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
ASCENT, DESCENT = 0.77, 0.22  # of the letters used, in parts of their size
HALF_WIRE = 1.5


def table_of(name):
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


WIRED = [name for name in DRAWINGS if "wire" in table_of(name)]


@dataclass(frozen=True)
class Box:
    """A rectangle on the sheet."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other, slack=0.3):
        return (
            self.left < other.right - slack
            and other.left < self.right - slack
            and self.top < other.bottom - slack
            and other.top < self.bottom - slack
        )

    def holds(self, other, slack=0.3):
        return (
            self.left <= other.left + slack
            and other.right <= self.right + slack
            and self.top <= other.top + slack
            and other.bottom <= self.bottom + slack
        )

    def has(self, x, y):
        return self.left <= x <= self.right and self.top <= y <= self.bottom


@cache
def fonts():
    """Return the two DejaVu fonts that matplotlib brings with it."""
    matplotlib = pytest.importorskip("matplotlib", reason="no matplotlib: its fonts are measured")
    ttf = pytest.importorskip("fontTools.ttLib", reason="no fontTools: it measures fonts")
    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    return {
        bold: ttf.TTFont(folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf")
        for bold in (False, True)
    }


def true_width(text, size, bold):
    font = fonts()[bold]
    glyphs, advances = font.getBestCmap(), font["hmtx"]
    units = sum(advances[glyphs[ord(letter)]][0] for letter in text)
    return units / font["head"].unitsPerEm * size


@dataclass(frozen=True)
class Text:
    """One line of text and where it is in the file."""

    words: str
    box: Box
    colour: str
    order: int


class Seen:
    """A drawing as somebody sees it who has nothing but the file."""

    def __init__(self, name):
        self.root = ET.parse(FOLDER / f"{name}.svg").getroot()  # noqa: S314  # our own
        marks = list(self.root)
        self.page = Box(0, 0, float(self.root.get("width")), float(self.root.get("height")))
        of = {
            kind: [(i, m) for i, m in enumerate(marks) if m.tag == SVG + kind]
            for kind in ("rect", "circle", "text", "path")
        }
        self.rects = [(i, box_of(mark), mark.get("fill")) for i, mark in of["rect"]]
        self.circles = [(i, disc_of(mark), mark.get("fill")) for i, mark in of["circle"]]
        self.texts = [text_of(i, mark) for i, mark in of["text"]]
        self.wires = {
            m.get("data-wire"): (i, segments(m.get("d")))
            for i, m in of["path"]
            if m.get("class") == "wire"
        }

    def boards(self):
        """Return the boxes that stand for things, not for pins or for the whole sheet."""
        boxes = [box for _, box, _ in self.rects]
        return [box for box in boxes if box != self.page and box.bottom - box.top > 25]


def box_of(mark):
    x, y = float(mark.get("x", 0)), float(mark.get("y", 0))
    return Box(x, y, x + float(mark.get("width")), y + float(mark.get("height")))


def disc_of(mark):
    x, y, r = (float(mark.get(key)) for key in ("cx", "cy", "r"))
    return Box(x - r, y - r, x + r, y + r)


def text_of(order, mark):
    size, bold = float(mark.get("font-size")), mark.get("font-weight") == "bold"
    wide = true_width(mark.text, size, bold)
    x, y = float(mark.get("x")), float(mark.get("y"))
    left = x - wide * {"start": 0, "middle": 0.5, "end": 1}[mark.get("text-anchor", "start")]
    box = Box(left, y - ASCENT * size, left + wide, y + DESCENT * size)
    return Text(mark.text, box, mark.get("fill"), order)


def segments(d):
    """Return the straight pieces of a path of M, H and V as boxes as wide as the wire."""
    pieces, x, y = [], 0.0, 0.0
    for letter, numbers in re.findall(r"([MHV])([-\d. ]+)", d):
        values = [float(n) for n in numbers.split()]
        was = (x, y)
        x = x if letter == "V" else values[0]
        y = y if letter == "H" else values[-1]
        if letter != "M" and (x, y) != was:
            pieces.append(piece(was, (x, y)))
    return pieces


def piece(a, b):
    xs, ys = sorted((a[0], b[0])), sorted((a[1], b[1]))
    grow_x = 0 if xs[0] != xs[1] else HALF_WIRE
    grow_y = 0 if ys[0] != ys[1] else HALF_WIRE
    return Box(xs[0] - grow_x, ys[0] - grow_y, xs[1] + grow_x, ys[1] + grow_y)


@cache
def seen(name):
    return Seen(name)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a, b):
    """Return the contrast of two colours: WCAG 2.2, 1.4.3."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
