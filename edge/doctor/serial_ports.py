"""Check the way to the serial devices: their ports, who may open them, who has them, what speaks.

Only ports of configured sources are looked at. A running monitor has its ports open, and is asked;
where there is none, a free port is opened and listened to, as `homeward run` would.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from edge.config import Config
from edge.control import ControlError, Status
from edge.control.client import ControlClient
from edge.doctor.findings import Finding, Health
from edge.readers import ReadError, uart
from edge.readers._uart_ports import SerialPort, list_ports, obstacle, taken_away
from edge.wire import Wire

WHY = "its sensor is not watched"


class _Wanted(NamedTuple):
    """A configured serial device."""

    row: str
    settings: uart.Settings

    @property
    def port(self) -> Path:
        return Path(self.settings.port)


def check_serial_ports(config: Config, root: Path = Path("/")) -> Iterator[Finding]:
    """Return whether the ports of the configured serial devices can be read, and what is there.

    Parameters
    ----------
    root : Path
        Where ``dev``, ``sys`` and ``proc`` are.
    """
    wanted = [
        _Wanted(f"serial port of {source.name}", source.settings)
        for source in config.sources
        if isinstance(source.settings, uart.Settings)
    ]
    if not wanted:
        return
    ports = {port.tty.resolve(): port for port in list_ports(root)}
    free: list[_Wanted] = []
    for one in wanted:
        finding = _check_port(one, ports)
        if finding is None:
            free.append(one)
        else:
            yield finding
    for adapter in taken_away(root):
        yield Finding("serial adapter", Health.WARN, adapter.found, WHY, adapter.cure)
    yield from _check_free(free, config.box.socket)


def _check_port(one: _Wanted, ports: Mapping[Path, SerialPort]) -> Finding | None:
    """Return what is to be said of a port without opening it; None: it is free."""
    if not one.port.exists():
        cure = "plug the device in; `homeward scan --serial` lists the ports there are"
        return Finding(one.row, Health.FAIL, f"{one.port} is not there", WHY, cure)
    port = ports.get(one.port.resolve())
    if port is None:
        cure = "`homeward scan --serial` lists the ports there are"
        return Finding(one.row, Health.FAIL, f"{one.port} is no serial port", WHY, cure)
    block = obstacle(port)
    if block is not None:
        return Finding(one.row, Health.FAIL, f"{one.port}: {block.found}", WHY, block.cure)
    if port.port != port.tty == one.port:
        why = "the next device that is plugged in may get this name"
        cure = f'in its [[sources]]: port = "{port.port}"'
        return Finding(one.row, Health.WARN, f"{one.port} is a name of today", why, cure)
    if port.holders:
        return Finding(one.row, Health.OK, f"{one.port}: read by the monitor")
    return None


def _check_free(free: Sequence[_Wanted], socket: Path) -> Iterator[Finding]:
    """Return whether a device speaks at each of these ports."""
    if not free or importlib.util.find_spec("serial") is None:
        return  # the row on what is installed says so
    if _monitor_runs(socket):
        # It opens and closes them itself, and says of each that fails why.
        for one in free:
            yield Finding(one.row, Health.OK, f"{one.port}: free, and left to the running monitor")
        return
    # All decoders are imported with it.
    from edge.assemble import every_wire  # noqa: PLC0415

    heard = asyncio.run(_listen(free, every_wire()))
    for one, known in zip(free, heard, strict=True):
        if isinstance(known, Wire):
            yield Finding(one.row, Health.OK, f"{one.port}: {known.words} sends")
        else:
            cure = "switch the device on, look at its cable and menu; `homeward scan --serial`"
            yield Finding(one.row, Health.FAIL, known, WHY, cure)


def _monitor_runs(socket: Path) -> bool:
    try:
        with ControlClient(socket) as client:
            client.ask(Status())
    except ControlError:
        return False
    return True


async def _listen(free: Sequence[_Wanted], wires: tuple[Wire, ...]) -> list[Wire | str]:
    """Return which device sends at each port, or why none is known; all at the same time."""
    return await asyncio.gather(*(_identify(one.settings, wires) for one in free))


async def _identify(settings: uart.Settings, wires: tuple[Wire, ...]) -> Wire | str:
    named = tuple(wire for wire in wires if settings.device in {"", wire.name})
    if not named:
        return f"no serial device is called {settings.device!r}"
    try:
        return await uart.identify(Path(settings.port), named)
    except ReadError as error:
        return str(error)
