"""The small files under power cuts: limits, sensors, what was told, keys: the old or the new."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from unittest import mock

from edge import devices
from edge.config.kept import KeptPatient, named, read_kept, write_kept
from edge.devices import Device
from edge.keys import DeviceKey
from edge.keys.keyfile import opened, plain, read_key_file, write_key_file
from edge.notices import memory
from tests.rigs.powercut.cutting import Mark

Write = Callable[[Path, int], None]
Read = Callable[[Path], int | None]


def _limits(folder: Path, number: int) -> None:
    write_kept(folder, {"p1": KeptPatient(void={"number": number, "more": "x" * (number % 2000)})})


def _limits_read(folder: Path) -> int | None:
    kept = named(read_kept(folder), ["p1"])
    return int(kept["p1"].void["number"]) if kept else None


def _sensors(folder: Path, number: int) -> None:
    devices.save(folder, [Device(address="C0:DE:00:00:00:01", name=f"strap {number}")])


def _sensors_read(folder: Path) -> int | None:
    found = devices.load(folder)
    return int(found[0].name.split()[1]) if found else None


def _notices(folder: Path, number: int) -> None:
    memory._replace(folder / "notices.json", b"%d" % number + b" " * (number % 3000))


def _notices_read(folder: Path) -> int | None:
    path = folder / "notices.json"
    return int(path.read_text()) if path.exists() else None


def _key(folder: Path, number: int) -> None:
    write_key_file(folder / "homeward.key", plain(DeviceKey(number.to_bytes(32, "little"))))


def _key_read(folder: Path) -> int | None:
    path = folder / "homeward.key"
    told = read_key_file(path)
    return None if told is None else int.from_bytes(opened(told, path, None).secret, "little")


FILES: Final[Mapping[str, tuple[Write, Read]]] = {
    "limits": (_limits, _limits_read),
    "sensors": (_sensors, _sensors_read),
    "notices": (_notices, _notices_read),
    "key": (_key, _key_read),
}


class FilesWork:
    """Writes each of the small files again and again."""

    name = "small files"

    def prepare(self, folder: Path, chance: random.Random) -> list[str]:
        """Begin with nothing, or with files that were written."""
        marks: list[str] = []
        if chance.random() < 0.5:
            self.act(folder, marks.append, chance)
        return marks

    def act(self, folder: Path, mark: Mark, chance: random.Random) -> None:
        """Write."""
        for _ in range(chance.randint(2, 12)):
            name = chance.choice(list(FILES))
            number = chance.randrange(1, 10**9)
            mark(f"try {name} {number}")
            FILES[name][0](folder, number)
            mark(f"ack {name} {number}")

    def check(self, folder: Path, marks: list[str], chance: random.Random) -> list[str]:
        """Read each with the real code, and write it once more."""
        wrong = []
        for name, (write, read) in FILES.items():
            allowed: set[int | None] = {None}
            for word, whose, number in (mark.split(" ") for mark in marks):
                if whose == name:
                    allowed = {int(number)} if word == "ack" else {*allowed, int(number)}
            found = read(folder)
            if found not in allowed:
                wrong.append(f"{name}: neither the old nor the new, but {found}")
            number = chance.randrange(1, 10**9)
            write(folder, number)
            if read(folder) != number:
                wrong.append(f"{name}: cannot be written any more")
        return wrong


class FilesNotSynced(FilesWork):
    """Control: renamed into place before the medium has what is in them."""

    name = "control: small files not synced"

    def act(self, folder: Path, mark: Mark, chance: random.Random) -> None:
        """Write, and do not wait."""
        with mock.patch("os.fsync"):
            super().act(folder, mark, chance)
