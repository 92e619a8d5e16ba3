"""Find out which device is at the end of a line: listen first, and only then say something."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from edge.readers._uart_line import MOST_BYTES, LineGoneError, OpenLine, SerialLine, Tap
from edge.wire import Wire

LOOK_S: Final = 0.1
"""How often what has been heard is looked at."""
GATHER_S: Final = 0.02


class Known(NamedTuple):
    """A device that was recognised, what it had sent by then, and its line, still open."""

    wire: Wire
    heard: bytes
    line: SerialLine


def groups(wires: Sequence[Wire]) -> list[list[Wire]]:
    """Return the devices that can be listened for at the same time, the most likely first.

    >>> from edge.wire import Wire
    >>> never = lambda line: False
    >>> ours, slow = Wire("a", "", "uart:a", never), Wire("b", "", "uart:b", never, baud=9600)
    >>> [[wire.name for wire in group] for group in groups([ours, slow, ours])]
    [['a', 'a'], ['b']]
    """
    found: dict[tuple[int, str, bool], list[Wire]] = {}
    for wire in wires:
        found.setdefault((wire.baud, wire.parity, wire.xonxoff), []).append(wire)
    return sorted(found.values(), key=lambda group: -group[0].baud)


async def find_out(
    open_line: OpenLine, port: Path, wires: Sequence[Wire], opened: ExitStack
) -> Known:
    """Return which device is at the end of a port's line.

    First it is listened with each device's settings, then those are asked that must be. The line
    of the one that is known stays open until `opened` is closed: not a byte of it is lost.

    Raises
    ------
    LineGoneError
        None of them; the text says what was heard.
    OSError
        The port cannot be opened, or broke off.
    """
    n_heard: dict[int, int] = {}
    tries: list[tuple[Sequence[Wire], tuple[bytes, ...]]] = [(g, ()) for g in groups(wires)]
    tries += [([wire], wire.start) for wire in wires if wire.start]
    for group, asked in tries:
        line = opened.enter_context(open_line(port, group[0]))
        for command in asked:
            line.write(command)
        known = await _hear(line, group, n_heard)
        if known is not None:
            return known
        opened.close()
    raise LineGoneError(_nobody(wires, n_heard))


async def _hear(line: SerialLine, wires: Sequence[Wire], n_heard: dict[int, int]) -> Known | None:
    """Listen for devices that have the same settings; None where it is none of them."""
    heard, n_bytes = bytearray(), 0
    loop = asyncio.get_running_loop()
    until_s = loop.time() + max(wire.listen_s for wire in wires)

    def hear(payload: bytes) -> None:
        nonlocal n_bytes
        heard.extend(payload)
        del heard[:-MOST_BYTES]
        n_bytes += len(payload)

    with Tap(line, hear, GATHER_S) as tap:
        while True:
            n_before = n_bytes
            await asyncio.wait((tap.failed,), timeout=LOOK_S)
            if tap.failed.done():
                tap.failed.result()
            known = recognise(bytes(heard), wires) if n_bytes > n_before else None
            if known is not None:
                return Known(known, bytes(heard), line)
            if loop.time() >= until_s:
                baud = wires[0].baud
                n_heard[baud] = max(n_heard.get(baud, 0), n_bytes)
                return None


def recognise(heard: bytes, wires: Iterable[Wire]) -> Wire | None:
    """Return whose bytes these are; None where no device is sure to have sent them."""
    return next((wire for wire in wires if wire.recognise(heard)), None)


def _nobody(wires: Sequence[Wire], n_heard: dict[int, int]) -> str:
    if not any(n_heard.values()):
        return "nothing comes: is the device switched on, and the cable at the right port?"
    told = ", ".join(f"{n} bytes at {baud} baud" for baud, n in n_heard.items() if n)
    asked = wires[0].words if len(wires) == 1 else "any device Homeward reads"
    return f"what comes is not from {asked} ({told})"
