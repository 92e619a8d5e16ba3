#!/usr/bin/env python3
"""Drawings that show no wiring: where electrodes sit, and which supply may feed what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sheet import INK, OTHERS, PAPER, QUIET, WIRES, Sheet, number, text_width, wrapped

MARGIN: Final = 30.0

# A body from the front, 260 wide and 310 high.
BODY: Final = (
    "m112 72 c0 16 -4 20 -16 25 c-26 7 -50 13 -58 41 c-8 32 -12 72 -16 112 l22 4"
    " c6 -32 10 -58 18 -82 c4 28 6 54 4 78 c-2 22 -4 40 -4 60 h136 c0 -20 -2 -38 -4 -60"
    " c-2 -24 0 -50 4 -78 c8 24 12 50 18 82 l22 -4 c-4 -40 -8 -80 -16 -112"
    " c-8 -28 -32 -34 -58 -41 c-12 -5 -16 -9 -16 -25"
)
HEAD: Final = "m96 42 a34 38 0 0 1 68 0 a34 38 0 0 1 -68 0 z"
# Collarbones, breastbone, the lowest ribs.
BONES: Final = (
    "m92 116 q20 9 34 3 m42 -3 q-20 9 -34 3 m-4 6 v66 m0 4 q-8 34 -48 42 m48 -42 q8 34 48 42"
)
BODY_WIDE: Final = 260.0
GAP: Final = 36.0
BODY_HIGH: Final = 310.0


def electrodes(table: dict[str, Any]) -> Sheet:
    """Draw a body for each way of placing electrodes.

    Parameters
    ----------
    table : dict[str, Any]
        ``body`` = [title, words, lead = [from, to], ``spot`` = [plug, where, x, y, side]].
    """
    bodies = table["body"]
    panel = (BODY_WIDE + 56.0) + GAP
    sheet = Sheet(table["title"], _spoken_bodies(table), len(bodies) * panel - GAP + 2 * MARGIN)
    inner = sheet.width - 2 * MARGIN
    y = sheet.heading(MARGIN, table["subtitle"])
    y += sheet.warning((MARGIN, y), table["warning"], inner) + 30
    down = y
    for i, body in enumerate(bodies):
        down = max(down, _body(sheet, body, (MARGIN + i * panel, y), panel - GAP))
    sheet.text((MARGIN, down + 20), "Take care", size=15, bold=True)
    sheet.height = sheet.items((MARGIN, down + 32), table["notes"], inner) + MARGIN
    return sheet


def _spoken_bodies(table: dict[str, Any]) -> str:
    words = [table["about"]]
    for body in table["body"]:
        spots = "; ".join(f"{spot['plug']} {spot['where']}" for spot in body["spot"])
        words.append(f"{body['title']}: {spots}. {body['words']}")
    return " ".join(words)


def _body(sheet: Sheet, body: dict[str, Any], at: tuple[float, float], width: float) -> float:
    x, y = at
    sheet.text((x + width / 2, y + 12), body["title"], size=15, bold=True, anchor="middle")
    y += 34
    sheet.text((x, y + 12), "patient's right", size=12, colour=QUIET)
    sheet.text((x + width, y + 12), "patient's left", size=12, anchor="end", colour=QUIET)
    left = x + (width - BODY_WIDE) / 2
    origin = f"M{number(left)} {number(y)}"
    for stroke, line in ((BODY, 2.0), (HEAD, 2.0), (BONES, 1.2)):
        sheet.path(f"{origin} {stroke}", line=line, stroke=INK if line > 1.5 else QUIET)
    spots = {spot["plug"]: (left + spot["x"], y + spot["y"]) for spot in body["spot"]}
    _lead(sheet, spots, body["lead"])
    for spot in body["spot"]:
        sheet.circle(spots[spot["plug"]], 14, fill=OTHERS["yellow"])
        foot = (spots[spot["plug"]][0], spots[spot["plug"]][1] + 4.5)
        sheet.text(foot, spot["plug"], size=12, bold=True, anchor="middle")
    y += BODY_HIGH + 14
    for spot in body["spot"]:
        sheet.text((x, y + 12), spot["plug"], size=12, bold=True)
        y += sheet.paragraph((x + 30, y), spot["where"], width - 30, size=12) + 3
    return y + sheet.paragraph((x, y + 4), body["words"], width, size=12) + 16


def _lead(sheet: Sheet, spots: dict[str, tuple[float, float]], lead: list[str]) -> None:
    """Draw an arrow from the electrode that is taken away to the one it is taken from."""
    (x0, y0), (x1, y1) = (spots[plug] for plug in lead)
    far = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    ux, uy = (x1 - x0) / far, (y1 - y0) / far
    ends = [(x0 + ux * 19, y0 + uy * 19), (x1 - ux * 19, y1 - uy * 19)]
    d = f"M{number(ends[0][0])} {number(ends[0][1])} L{number(ends[1][0])} {number(ends[1][1])}"
    sheet.path(d, stroke=WIRES["blue"], line=3, dash="9 5")
    tip = ends[1]
    barbs = [(-ux * 13 + side * uy * 6, -uy * 13 - side * ux * 6) for side in (1, -1)]
    corners = " ".join(f"L{number(tip[0] + dx)} {number(tip[1] + dy)}" for dx, dy in barbs)
    sheet.path(f"M{number(tip[0])} {number(tip[1])} {corners} z", fill=WIRES["blue"], line=1)


BOX: Final = (128.0, 58.0)
LINK: Final = 82.0
SIGN: Final = 112.0
FILLS: Final = {
    "patient": OTHERS["sky blue"],
    "battery": PAPER,
    "mains": OTHERS["yellow"],
    "barrier": PAPER,
    "box": "#F2F2F2",
}


def chains(table: dict[str, Any]) -> Sheet:
    """Draw rows of boxes, each from the patient to the supply, right or wrong.

    Parameters
    ----------
    table : dict[str, Any]
        ``chain`` = [verdict, words, boxes, links]; a box is ``kind: words``, a link the words over
        the line between two boxes, ``~`` before them where nothing but air is between.
    """
    most = max(len(chain["boxes"]) for chain in table["chain"])
    width = 2 * MARGIN + SIGN + most * BOX[0] + (most - 1) * LINK
    sheet = Sheet(table["title"], _spoken_chains(table), width)
    y = sheet.heading(MARGIN, table["subtitle"])
    y += sheet.warning((MARGIN, y), table["warning"], width - 2 * MARGIN) + 20
    for chain in table["chain"]:
        y += _chain(sheet, chain, (MARGIN, y), width - 2 * MARGIN)
    y += _key(sheet, (MARGIN, y)) + 14
    sheet.text((MARGIN, y + 14), "Take care", size=15, bold=True)
    sheet.height = sheet.items((MARGIN, y + 26), table["notes"], width - 2 * MARGIN) + MARGIN
    return sheet


def _spoken_chains(table: dict[str, Any]) -> str:
    words = [table["about"]]
    for chain in table["chain"]:
        boxes = [box.split(": ", 1)[1] for box in chain["boxes"]]
        words.append(f"{chain['verdict'].upper()}: {', then '.join(boxes)}. {chain['words']}")
    return " ".join(words)


def _chain(sheet: Sheet, chain: dict[str, Any], at: tuple[float, float], width: float) -> float:
    x, y = at
    _sign(sheet, chain["verdict"], (x + 22, y + BOX[1] / 2))
    left = x + SIGN
    for i, box in enumerate(chain["boxes"]):
        kind, words = box.split(": ", 1)
        if i:
            _link(sheet, chain["links"][i - 1], (left - LINK, y + BOX[1] / 2))
        _box(sheet, kind, words, (left, y))
        left += BOX[0] + LINK
    high = sheet.paragraph((x + SIGN, y + BOX[1] + 8), chain["words"], width - SIGN, size=12.5)
    return BOX[1] + 8 + high + 20


def _sign(sheet: Sheet, verdict: str, at: tuple[float, float]) -> None:
    x, y = at
    right = verdict == "right"
    colour = WIRES["green"] if right else WIRES["vermillion"]
    d = "m-12 0 l8 10 l18 -22" if right else "m-11 -11 l22 22 m0 -22 l-22 22"
    sheet.path(f"M{number(x)} {number(y)} {d}", stroke=colour, line=6)
    sheet.text((x + 20, y + 5), verdict.upper(), size=13, bold=True)


def _link(sheet: Sheet, words: str, at: tuple[float, float]) -> None:
    x, y = at
    air = words.startswith("~")
    shown = words.removeprefix("~")
    sheet.text((x + LINK / 2, y - 9), shown, size=11, anchor="middle")
    if not air:
        sheet.path(f"M{number(x)} {number(y)} h{number(LINK)}", line=3)
        return
    middle = x + LINK / 2
    for step in (-12, 0, 12):
        sheet.path(f"M{number(middle + step - 4)} {number(y - 2)} q9 9 0 18", line=2)


def _box(sheet: Sheet, kind: str, words: str, at: tuple[float, float]) -> None:
    x, y = at
    wide, high = BOX
    sheet.rect(at, BOX, fill=FILLS[kind], line=2, corner=20 if kind == "patient" else 4)
    if kind == "battery":
        sheet.rect((x + wide, y + high / 2 - 9), (6, 18), fill=INK, line=0)
    if kind == "barrier":
        for step in (5, wide - 5):
            d = f"M{number(x + step)} {number(y - 8)} v{number(high + 16)}"
            sheet.path(d, stroke=WIRES["green"], line=4, dash="7 4")
    lines = wrapped(words, wide - 22, 12, bold=True)
    top = y + high / 2 - len(lines) * 8 + 11
    for row, line in enumerate(lines):
        sheet.text((x + wide / 2, top + row * 16), line, size=12, bold=True, anchor="middle")


def _key(sheet: Sheet, at: tuple[float, float]) -> float:
    x, y = at
    left = x + SIGN
    for kind, words in (
        ("patient", "patient"),
        ("mains", "joined to the mains"),
        ("battery", "battery"),
        ("barrier", "isolation: the way ends here"),
    ):
        sheet.rect((left, y), (30, 18), fill=FILLS[kind], corner=8 if kind == "patient" else 2)
        if kind == "battery":
            sheet.rect((left + 30, y + 5), (4, 8), fill=INK, line=0)
        if kind == "barrier":
            for step in (0, 30):
                d = f"M{number(left + step)} {number(y - 3)} v24"
                sheet.path(d, stroke=WIRES["green"], line=4, dash="7 4")
        sheet.text((left + 42, y + 14), words, size=12)
        left += 42 + text_width(words, 12) + 34
    return 30.0


SCENES: Final[dict[str, Callable[[dict[str, Any]], Sheet]]] = {
    "electrodes": electrodes,
    "chains": chains,
}
