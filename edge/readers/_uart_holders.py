"""Which programs have a serial port open or locked, and what is in the way of opening it.

Three places tell, none of them everything: the open files of each process (of other users only to
root), the kernel's locks (a port that pyserial has opened alone is in there, whoever has it), and
the lock files of terminal programs.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

LOCK_FOLDERS: Final = ("run/lock", "var/lock")
OURS: Final = "homeward"
_MENDS: Final = {
    "ModemManager": "sudo systemctl disable --now ModemManager  (it tries every new port for a "
    "modem; systemd/60-homeward-serial.rules tells it not to)",
    "brltty": "sudo apt remove brltty  (it takes the port for a display for Braille)",
    "agetty": "sudo raspi-config: Interface Options, Serial Port: no login shell, hardware enabled",
    "gpsd": "sudo systemctl disable --now gpsd.socket gpsd  (it takes the port for a GPS)",
}
"""Program -> what ends its hold on a port."""


class Holder(msgspec.Struct, frozen=True, order=True):
    """A program that has a port: its process, its name."""

    pid: int
    name: str

    @property
    def is_ours(self) -> bool:
        """Whether it is a command of Homeward."""
        return self.name == OURS

    @property
    def mend(self) -> str:
        """What ends its hold."""
        return _MENDS.get(self.name, f"end {self.name} (process {self.pid})")


def holders(root: Path, ttys: Iterable[Path]) -> dict[Path, tuple[Holder, ...]]:
    """Return who has each of these ports, as far as this user may see it.

    Parameters
    ----------
    root : Path
        Where ``dev``, ``proc`` and ``run`` are.
    ttys : Iterable[Path]
        Below `root`.
    """
    wanted = list(ttys)
    by_file = _open_files(root / "proc") if wanted else {}
    by_lock = _locks(root / "proc/locks")
    found: dict[Path, tuple[Holder, ...]] = {}
    for tty in wanted:
        pids = set(by_file.get(str(tty.resolve()), ())) | set(_lock_files(root, tty.name))
        seen = tty.stat()
        pids |= set(by_lock.get(_lock_key(seen.st_dev, seen.st_ino), ()))
        there = (Holder(pid, _name(root / "proc" / str(pid))) for pid in pids)
        found[tty] = tuple(sorted(holder for holder in there if holder.name))
    return found


def _open_files(proc: Path) -> dict[str, list[int]]:
    """Return the processes that have each device open, those of other users left out."""
    found: dict[str, list[int]] = defaultdict(list)
    for process in _folders(proc):
        if not process.name.isdigit():
            continue
        for opened in _folders(process / "fd"):
            try:
                target = str(opened.readlink())
            except OSError:  # closed meanwhile
                continue
            if target.startswith("/") and int(process.name) not in found[target]:
                found[target].append(int(process.name))
    return found


def _folders(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:  # not ours to see, or gone
        return


def _locks(path: Path) -> dict[str, list[int]]:
    """Return who holds each lock of ``/proc/locks``, by device and inode."""
    found: dict[str, list[int]] = defaultdict(list)
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return found
    for line in lines:
        # 1: FLOCK  ADVISORY  WRITE 412 00:06:123 0 EOF; one that waits has -> in second place.
        fields = line.split()
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[4].isdigit():
            found[fields[5]].append(int(fields[4]))
    return found


def _lock_key(device: int, inode: int) -> str:
    return f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"


def _lock_files(root: Path, tty: str) -> Iterator[int]:
    for folder in LOCK_FOLDERS:
        try:
            said = (root / folder / f"LCK..{tty}").read_text("utf-8", "replace").split()
        except OSError:
            continue
        if said and said[0].isdigit():
            yield int(said[0])


def _name(process: Path) -> str:
    """Return the name of a program; empty where it has ended."""
    try:
        name = (process / "comm").read_text("utf-8", "replace").strip()
        words = (process / "cmdline").read_text("utf-8", "replace").split("\0")
    except OSError:
        return ""
    # Started as a script or as a module, the interpreter's name would say nothing.
    is_ours = any(Path(word).name == OURS for word in words[:3]) or words[1:3] == ["-m", "edge"]
    return OURS if is_ours else name
