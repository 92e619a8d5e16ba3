"""Channels and witnesses for tests of something else: no monitor is there to be told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.notices.channels import Opened, Sent
from edge.notices.content import Item
from edge.notices.follower import Monitor
from edge.notices.witness import Witness


async def nobody() -> None:
    """Let every question out."""


def free(opened: Any) -> Any:
    opened.asking = nobody
    return opened


def sent(opened: Opened, item: Item) -> Sent:
    """Send a notice past the witness."""
    return asyncio.run(free(opened).send(opened.letter(item.out())))


def alone(folder: Path, now_s: Callable[[], float] = lambda: 1.0) -> Witness:
    """Return a witness without a monitor, of a process that may send all the same."""
    return Witness(Monitor(folder / "nobody.sock"), folder, now_s, "boot", alone=True)
