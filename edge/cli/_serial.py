"""The serial ports of the box, and what is at their ends: for ``homeward scan --serial``."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.table import Table
from rich.text import Text

from edge.assemble import every_wire
from edge.cli import DONE, FOUND
from edge.cli._shared import print_json
from edge.cli._tables import console, table
from edge.config import Config
from edge.config.toml_text import toml_value
from edge.readers import ReadError, uart
from edge.readers._uart_ports import (
    Obstacle,
    SerialPort,
    list_ports,
    obstacle,
    taken_away,
)
from edge.readers._uart_probe import groups
from edge.wire import Wire

READER: Final = "uart"
_STYLE: Final = {"free": "green", "ours": "cyan", "console": "dim", "obstacle": "bold yellow"}


class Found(msgspec.Struct, frozen=True, tag="serial_port", tag_field="record"):
    """One port, and what is known of it.

    Attributes
    ----------
    state : str
        ``free``; ``ours``: the monitor reads it; ``console``; ``obstacle``: see `why`.
    why, cure : str
        What is in the way of opening it, and what mends that.
    device, words : str
        The device at its end: as in the configuration, and in words; empty where it is not known.
    heard : str
        Why it is not known.
    configured : str
        Name of the source in the configuration that is this port.
    toml : str
        The lines of the configuration that read it.
    """

    port: str
    tty: str
    what: str
    usb_id: str
    serial: str
    state: str
    why: str
    cure: str
    device: str
    words: str
    heard: str
    configured: str
    toml: str


class _Heard(msgspec.Struct, frozen=True):
    wire: Wire | None = None
    why: str = ""


def scan_serial(
    config: Config, span_s: float | None, *, listens: bool, json: bool, root: Path = Path("/")
) -> int:
    """List the ports, and say which device is at the end of each that is free.

    Parameters
    ----------
    span_s : float | None
        How long to listen with the settings of each device; None: as long as it takes to know it.
    listens : bool
        Open the free ports; without it nothing is opened, and no device is known.
    root : Path
        Where ``dev``, ``sys`` and ``proc`` are.

    Returns
    -------
    int
        `DONE`, or `FOUND` where a port cannot be opened.
    """
    ports = list_ports(root)
    blocks = [obstacle(port) for port in ports]
    free = [
        port
        for port, block in zip(ports, blocks, strict=True)
        if block is None and not port.holders
    ]
    heard: dict[Path, _Heard] = {}
    if listens and free:
        wires = _wires(span_s)
        if not json:
            _say_how_long(free, wires)
        heard = asyncio.run(_listen(free, wires))
    sources = {
        Path(source.settings.port).resolve(): source.name
        for source in config.sources
        if isinstance(source.settings, uart.Settings)
    }
    found = [
        _found(port, block, heard.get(port.port), sources.get(port.tty.resolve(), ""))
        for port, block in zip(ports, blocks, strict=True)
    ]
    bare = taken_away(root)
    if json:
        _print_facts(found, bare)
    else:
        _print_table(found, bare)
    return FOUND if bare or any(one.state == "obstacle" for one in found) else DONE


def _wires(span_s: float | None) -> tuple[Wire, ...]:
    wires = every_wire()
    if span_s is None:
        return wires
    return tuple(msgspec.structs.replace(wire, listen_s=span_s) for wire in wires)


def _say_how_long(free: Sequence[SerialPort], wires: Sequence[Wire]) -> None:
    listened_s = sum(max(wire.listen_s for wire in group) for group in groups(wires))
    asked_s = sum(wire.listen_s for wire in wires if wire.start)
    count = f"{len(free)} port{'' if len(free) == 1 else 's'}"
    text = f"listening at {count}, for up to {math.ceil(listened_s + asked_s)} s ..."
    console().print(Text(text, style="dim"))


async def _listen(free: Sequence[SerialPort], wires: tuple[Wire, ...]) -> dict[Path, _Heard]:
    """Return what is at the end of each port; all are listened to at the same time."""
    found = await asyncio.gather(*(_identify(port.port, wires) for port in free))
    return dict(zip((port.port for port in free), found, strict=True))


async def _identify(port: Path, wires: tuple[Wire, ...]) -> _Heard:
    try:
        return _Heard(await uart.identify(port, wires))
    except ReadError as error:
        return _Heard(why=str(error).removeprefix(f"{port}: "))


def _found(
    port: SerialPort, block: Obstacle | None, heard: _Heard | None, configured: str
) -> Found:
    wire = heard.wire if heard else None
    return Found(
        port=str(port.port),
        tty=str(port.tty),
        what=port.words,
        usb_id=port.usb_id,
        serial=port.serial,
        state=_state(port, block),
        why=block.found if block else "",
        cure=block.cure if block else "",
        device=wire.name if wire else "",
        words=wire.words if wire else "",
        heard=heard.why if heard else "",
        configured=configured,
        toml=_toml(port.port, wire),
    )


def _state(port: SerialPort, block: Obstacle | None) -> str:
    if block is None:
        return "ours" if port.holders else "free"
    return "console" if port.console else "obstacle"


def _toml(port: Path, wire: Wire | None) -> str:
    """Return the lines of the configuration that read a port.

    >>> from pathlib import Path
    >>> print(_toml(Path("/dev/serial/by-id/usb-1"), None))
    [[sources]]
    reader = "uart"
    port = "/dev/serial/by-id/usb-1"
    """
    settings = {"reader": READER, "port": str(port)} | ({"device": wire.name} if wire else {})
    lines = [f"{name} = {toml_value(value)}" for name, value in settings.items()]
    return "\n".join(["[[sources]]", *lines])


def _print_facts(found: Sequence[Found], bare: Sequence[Obstacle]) -> None:
    for one in found:
        print_json(one)
    print_json(
        {
            "record": "serial_scan",
            "n_ports": len(found),
            "n_free": sum(one.state == "free" for one in found),
            "n_known": sum(bool(one.device) for one in found),
            "n_obstacles": sum(one.state == "obstacle" for one in found),
            "without_port": [one.found for one in bare],
        }
    )


def _print_table(found: Sequence[Found], bare: Sequence[Obstacle]) -> None:
    out = console()
    out.print(_table(found))
    for one in found:
        if one.state == "obstacle":
            out.print(Text(f"{one.tty}: {one.why}. Mend: {one.cure}"))
    for other in bare:
        out.print(Text(f"{other.found}. Mend: {other.cure}"))
    new = [one for one in found if one.device and not one.configured]
    if new:
        out.print(Text("\nTo read them, add to the configuration:", style="dim"))
    for one in new:
        out.print(Text(f"\n# {one.words}\n{one.toml}"))
    if not found:
        out.print(Text("Plug the device in, and look with `dmesg -w` what the box says to it."))
    elif not new and any(one.state == "free" for one in found):
        text = "A device is known by what it sends: switch it on, put it on, and look at its menu."
        out.print(Text(text, style="dim"))


def _table(found: Sequence[Found]) -> Table:
    rows: list[tuple[str | Text, ...]] = []
    for one in found:
        state = {"ours": "read by the monitor", "console": "console of the kernel"}
        told = state.get(one.state, one.why or one.state)
        device = one.words or (f"- ({one.heard})" if one.heard else "-")
        rows.append(
            (one.port, one.what, Text(told, _STYLE[one.state]), device, one.configured, one.tty)
        )
    count = f"{len(found)} serial port{'' if len(found) == 1 else 's'}"
    heads = ("port", "what is plugged in", "state", "device at its end", "configured as", "tty")
    return table(count, heads, rows)
