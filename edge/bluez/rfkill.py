"""Whether the radio is switched off by the system (rfkill): then BlueZ cannot switch it on.

Source: Linux ``Documentation/ABI/stable/sysfs-class-rfkill``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

FOLDER: Final = Path("/sys/class/rfkill")


class Block(msgspec.Struct, frozen=True):
    """One Bluetooth radio that is switched off; `hard`: by a switch that no program moves."""

    name: str
    hard: bool


def blocked(folder: Path = FOLDER) -> tuple[Block, ...]:
    """Return the Bluetooth radios that are switched off; none where there is no rfkill."""
    found = []
    for radio in sorted(folder.glob("rfkill*")):
        if _text(radio / "type") != "bluetooth":
            continue
        hard = _text(radio / "hard") == "1"
        if hard or _text(radio / "soft") == "1":
            found.append(Block(_text(radio / "name"), hard))
    return tuple(found)


def cure(blocks: tuple[Block, ...]) -> str:
    """Return what switches them on."""
    if any(block.hard for block in blocks):
        return "move the hardware switch of the radio"
    return "sudo rfkill unblock bluetooth"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
