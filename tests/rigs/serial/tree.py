"""A box's ``/dev``, ``/sys`` and ``/proc``, as far as serial ports are in them."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from tests.rigs.serial.cable import Cable
from tests.rigs.serial_senders import by_wire, first

USB_FILES = {"vendor": "idVendor", "id": "idProduct"}


class Tree:
    """One box.

    Parameters
    ----------
    root : Path
        An empty folder.
    real_proc : bool
        Its ``/proc`` is that of this machine.
    """

    def __init__(self, root: Path, *, real_proc: bool = True) -> None:
        self.root = root
        for folder in ("dev", "sys/class/tty/console", "sys/bus/usb/devices", "run/lock"):
            (root / folder).mkdir(parents=True)
        (root / "sys/class/tty/console/active").write_text("tty0\n")
        if real_proc:
            (root / "proc").symlink_to("/proc")
        else:
            (root / "proc").mkdir()

    def add_usb(self, socket: str, **said: str) -> Path:
        """Plug a USB device in, without a port: ``vendor``, ``id``, ``product`` ..."""
        device = self.root / "sys/devices/usb1" / socket
        device.mkdir(parents=True)
        for name, text in said.items():
            (device / USB_FILES.get(name, name)).write_text(f"{text}\n")
        (self.root / "sys/bus/usb/devices" / socket).symlink_to(device)
        return device

    def add_port(self, tty: str, socket: str = "", **said: str) -> Path:
        """Add a port, at a USB socket or of the box itself; its node is an empty file."""
        if socket:
            interface = self.add_usb(socket, **said) / f"{socket}:1.0"
            # A modem's tty hangs at its interface, a bridge's at a port below it.
            device = interface if tty.startswith("ttyACM") else interface / tty
        else:
            device = self.root / f"sys/devices/platform/{tty}.serial"
        (device / "tty" / tty).mkdir(parents=True)
        (device / "tty" / tty / "device").symlink_to(os.path.relpath(device, device / "tty" / tty))
        for name in said.keys() & {"type"}:
            (device / "tty" / tty / name).write_text(f"{said[name]}\n")
        (self.root / "sys/class/tty" / tty).symlink_to(device / "tty" / tty)
        node = self.root / "dev" / tty
        node.touch(mode=0o660)
        return node

    def add_name(self, name: str, tty: str) -> Path:
        """Add a lasting name, as udev does."""
        link = self.root / "dev" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(self.root / "dev" / tty, link.parent))
        return link

    def add_program(self, pid: int, name: str, *words: str) -> None:
        """Let a program run; its ``/proc`` is not that of this machine."""
        folder = self.root / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "cmdline").write_text("\0".join(words or (name,)))

    @contextlib.contextmanager
    def line(self, tty: str, wire: str = "", **said: str) -> Iterator[Cable]:
        """Add a port that can be opened, with a made-up device at its end; it sends at once."""
        node = self.add_port(tty, said.pop("socket", ""), **said)
        node.unlink()
        cable, ended = Cable(node), threading.Event()
        cable.plug()
        feeder = threading.Thread(target=_feed, args=(cable, wire, ended)) if wire else None
        if feeder:
            feeder.start()
        try:
            yield cable
        finally:
            ended.set()
            if feeder:
                feeder.join()
            cable.unplug()


def _feed(cable: Cable, wire: str, ended: threading.Event) -> None:
    """Send without end, ten times as fast as the device does."""
    sent = first(by_wire()[wire], 0, 60.0)
    before_s = 0.0
    for one in cycle(sent):
        if ended.wait(max(0.0, (one.due_s - before_s) / 10)):
            return
        before_s = one.due_s
        cable.write(one.line)
