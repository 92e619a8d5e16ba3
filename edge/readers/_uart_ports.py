"""The serial ports of the box, as the kernel knows them: names, what is plugged in, who may open.

Nothing is opened: opening a port moves its control lines, which resets many boards. Read are
``/sys/class/tty`` (which ttys are ports, and the USB device above each), ``/dev`` (lasting names,
rights) and what `edge.readers._uart_holders` reads. No library is needed for it.

Not a port: terminals, which have no ``device`` in sysfs; and the ``ttyS`` of the 8250 driver with
no chip behind them, whose ``type`` is 0.

Sources: kernel Documentation/ABI (sysfs-tty: ``type``, ``console``; sysfs-bus-usb: ``idVendor``,
``product`` ...); pyserial 3.5 ``list_ports_linux`` looks at the same places.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from edge.readers._uart_holders import Holder, holders
from edge.readers._uart_names import stable

CLASS: Final = "sys/class/tty"
USB_DEVICES: Final = "sys/bus/usb/devices"
MAX_PARENTS: Final = 6
"""From a tty up to its USB device; there are three at most."""
NO_CHIP: Final = "0"
READ_WRITE: Final = 0o060
"""What the group may do with the port."""

BRIDGES: Final = {
    "0403:6001": "FTDI FT232R",
    "0403:6015": "FTDI FT231X",
    "067b:2303": "Prolific PL2303",
    "10c4:ea60": "Silicon Labs CP210x",
    "1a86:55d4": "WCH CH9102",
    "1a86:7523": "WCH CH340",
}
"""USB chips that are nothing but a serial port. Numbers from memory, as in the usb.ids list."""


class SerialPort(msgspec.Struct, frozen=True):
    """One serial port.

    Attributes
    ----------
    port : Path
        The name that stays when the device is plugged in again; the tty where it has none.
    tty : Path
        The name of today.
    maker, product, serial : str
        What the USB device says of itself; empty where it is none, or says nothing.
    usb_id : str
        Its vendor and product, ``2341:0043``; empty where the port is part of the box.
    usb : Path | None
        Its folder in sysfs.
    console : bool
        The kernel writes its messages to it.
    allowed : bool
        This user may open it.
    group : str
        The group that may, too; empty where its group may not.
    joined : bool
        This user is in that group, but was not when it logged in.
    holders : tuple[Holder, ...]
        Programs that have it open or locked, as far as this user may see them.
    """

    port: Path
    tty: Path
    maker: str = ""
    product: str = ""
    serial: str = ""
    usb_id: str = ""
    usb: Path | None = None
    console: bool = False
    allowed: bool = True
    group: str = ""
    joined: bool = False
    holders: tuple[Holder, ...] = ()

    @property
    def words(self) -> str:
        """What is plugged in, in words."""
        if not self.usb_id:
            return "serial port of the box itself"
        made = "" if self.product.startswith(self.maker) else self.maker
        said = f"{made} {self.product}".strip()
        return f"{said or BRIDGES.get(self.usb_id, 'USB device')} ({self.usb_id})"


class Obstacle(msgspec.Struct, frozen=True):
    """What is in the way of opening a port, and the command or step that mends it."""

    found: str
    cure: str


def obstacle(port: SerialPort) -> Obstacle | None:
    """Return what is in the way of opening a port; None where nothing is, or we have it."""
    others = [holder for holder in port.holders if not holder.is_ours]
    if others:
        names = ", ".join(f"{holder.name} (process {holder.pid})" for holder in others)
        return Obstacle(f"in use by {names}", "; ".join(holder.mend for holder in others))
    if port.console:
        cure = "sudo raspi-config: Interface Options, Serial Port: no login shell, hardware enabled"
        return Obstacle("the console of the kernel, whose messages would be in between", cure)
    if port.allowed:
        return None
    if not port.group:
        cure = (
            f"sudo chgrp dialout {port.tty} && sudo chmod 660 {port.tty}  (until the next boot; "
            f"systemd/60-homeward-serial.rules makes it last for devices at USB)"
        )
        return Obstacle("only root may open it", cure)
    if port.joined:
        cure = "log out and in again (a service: restart it)"
        return Obstacle(f"this login is older than your membership in group {port.group}", cure)
    cure = f"sudo usermod -aG {port.group} $USER, then log out and in again"
    return Obstacle(f"only group {port.group} may open it", cure)


def list_ports(root: Path = Path("/")) -> tuple[SerialPort, ...]:
    """Return the serial ports of the box, those at USB first.

    Parameters
    ----------
    root : Path
        Where ``dev``, ``sys`` and ``proc`` are.
    """
    consoles = _text(root / CLASS / "console/active").split()
    folders = sorted(_ports(root), key=lambda folder: folder.name)
    held = holders(root, [root / "dev" / folder.name for folder in folders])
    found = [_port(root, folder, consoles, held) for folder in folders]
    return tuple(sorted(found, key=lambda port: (not port.usb_id, str(port.port))))


def taken_away(root: Path = Path("/")) -> tuple[Obstacle, ...]:
    """Return the serial adapters that are plugged in and have no port.

    Something has taken them away from the kernel's driver: brltty does so with chips that displays
    for Braille have too.
    """
    have = {usb for folder in _ports(root) if (usb := _usb(folder)) is not None}
    try:
        devices = sorted((root / USB_DEVICES).iterdir())
    except OSError:
        return ()
    bare = [_usb_id(device) for device in devices if device.resolve() not in have]
    return tuple(
        Obstacle(
            f"a serial adapter ({BRIDGES[usb_id]}) is plugged in and has no port: brltty may have "
            f"taken it away",
            "sudo apt remove brltty, then plug it in again; `dmesg` says what became of it",
        )
        for usb_id in bare
        if usb_id in BRIDGES
    )


def _ports(root: Path) -> Iterator[Path]:
    """Yield the folders of ttys that are ports and are in ``/dev``."""
    try:
        folders = list((root / CLASS).iterdir())
    except OSError:
        return
    for folder in folders:
        is_port = (folder / "device").exists() and (root / "dev" / folder.name).exists()
        if is_port and _text(folder / "type") != NO_CHIP:
            yield folder


def _port(
    root: Path, folder: Path, consoles: list[str], held: dict[Path, tuple[Holder, ...]]
) -> SerialPort:
    tty = root / "dev" / folder.name
    usb = _usb(folder)
    group, joined = _group(tty)
    return SerialPort(
        port=stable(tty, root / "dev"),
        tty=tty,
        maker=_text(usb / "manufacturer") if usb else "",
        product=_text(usb / "product") if usb else "",
        serial=_text(usb / "serial") if usb else "",
        usb_id=_usb_id(usb) if usb else "",
        usb=usb,
        console=folder.name in consoles,
        allowed=os.access(tty, os.R_OK | os.W_OK),
        group=group,
        joined=joined,
        holders=held[tty],
    )


def _usb(folder: Path) -> Path | None:
    """Return the folder of the USB device a tty belongs to."""
    device = (folder / "device").resolve()
    for place in (device, *device.parents)[:MAX_PARENTS]:
        if (place / "idVendor").exists():
            return place
    return None


def _usb_id(usb: Path) -> str:
    vendor, product = _text(usb / "idVendor"), _text(usb / "idProduct")
    return f"{vendor}:{product}" if vendor and product else ""


def _group(tty: Path) -> tuple[str, bool]:
    """Return the group that may open a port, and whether this user is in it since its login."""
    seen = tty.stat()
    if seen.st_mode & READ_WRITE != READ_WRITE:
        return "", False
    try:
        name = grp.getgrgid(seen.st_gid).gr_name
    except KeyError:
        return str(seen.st_gid), False
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        return name, False
    known = os.getgrouplist(user.pw_name, user.pw_gid)
    return name, seen.st_gid in known and seen.st_gid not in {*os.getgroups(), os.getgid()}


def _text(path: Path) -> str:
    """Return what a file of sysfs says; empty where there is none, or the device has just gone."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
