#!/usr/bin/env python3
"""Makes the drawings of hardware/ from the tables beside it.

    python hardware/drawings/draw.py            writes every drawing anew
    python hardware/drawings/draw.py --check    says which ones differ, and ends with 1
    python hardware/drawings/draw.py --to DIR   writes them there instead

A table with wires (`[[wire]]`) becomes a wiring drawing; `scene` names another way of drawing. A
new table is a new drawing; boards that more than one needs are in boards.toml.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Final

import scenes
from wiring import Drawing

HERE: Final = Path(__file__).resolve().parent
BOARDS: Final = "boards.toml"


def drawings() -> dict[str, str]:
    """Return every drawing: the file's name and its text."""
    boards = tomllib.loads((HERE / BOARDS).read_text(encoding="utf-8"))
    made: dict[str, str] = {}
    for path in sorted(HERE.glob("*.toml")):
        if path.name == BOARDS:
            continue
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        if "scene" in table:
            sheet = scenes.SCENES[table["scene"]](table)
        else:
            sheet = Drawing(table, boards).sheet()
        made[f"{path.stem}.svg"] = sheet.svg()
    return made


def differing(made: dict[str, str], folder: Path) -> list[str]:
    """Return the names of drawings that a folder does not have as they would be made now."""
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")}
    return sorted(name for name in made | there if made.get(name) != there.get(name))


def main() -> int:
    """Write or check all drawings; return 1 where a check found a difference."""
    words = argparse.ArgumentParser(
        description="Makes the drawings of hardware/ from their tables."
    )
    words.add_argument("--check", action="store_true", help="write nothing; 1 where one differs")
    words.add_argument("--to", type=Path, default=HERE, help="the folder to write to or to check")
    chosen = words.parse_args()
    made = drawings()
    if not chosen.check:
        chosen.to.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            (chosen.to / name).write_text(text, encoding="utf-8")
        return 0
    wrong = differing(made, chosen.to)
    for name in wrong:
        path = chosen.to / name
        sys.stdout.write(f"{path} is not what its table says: run hardware/drawings/draw.py\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
