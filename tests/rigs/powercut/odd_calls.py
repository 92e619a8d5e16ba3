"""Changes files in every way a Python program may, for the test of the shim.

    python -m tests.rigs.powercut.odd_calls FOLDER LOG

Prints what each kind of call counted.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from edge.config.kept import KeptPatient, write_kept
from edge.devices import Device, save
from edge.records import Outcome
from edge.store import Store
from tests.edge.store.test_store import RUN, alert, summary
from tests.edge.vault.kit import SMALL, start, wave, write
from tests.rigs.powercut.shim import Shim


def by_every_call(folder: Path) -> None:
    """Write, cut, rename and remove by every call that Python has for it."""
    one = os.open(folder / "one", os.O_CREAT | os.O_RDWR, 0o600)
    os.write(one, b"abc" * 300)
    os.pwrite(one, b"in the middle", 100)
    os.writev(one, [b"gathered", b"", b"writes"])
    os.pwritev(one, [b"gathered", b"in place"], 500)
    os.ftruncate(one, 700)
    copy = os.dup(one)
    os.write(copy, b"through a copy")
    os.close(one)
    os.posix_fallocate(copy, 0, 4000)
    os.fsync(copy)
    os.dup2(copy, 200)
    os.write(200, b"through a number that was chosen")
    os.close(copy)
    os.close(200)
    with (folder / "two").open("a") as two:
        two.write("appended\n")
    with (folder / "two").open("a") as two:
        two.write("appended again\n")
        two.flush()
        os.fdatasync(two.fileno())
    with (folder / "two").open("r+b") as two:
        two.truncate(4)
    os.truncate(folder / "two", 40)
    shutil.copyfile(folder / "two", folder / "three")
    os.link(folder / "three", folder / "four")
    (folder / "four").write_bytes(b"both names have it")
    (folder / "three").rename(folder / "five")
    by_numbers_of_folders(folder)
    (folder / "sub" / ".." / ".." / folder.name / "six").touch()
    (folder / "six").unlink()
    shutil.copytree(folder / "sub", folder / "sub2")
    shutil.rmtree(folder / "sub")
    handle, name = tempfile.mkstemp(dir=folder)
    os.write(handle, b"temporary")
    os.close(handle)
    Path(name).replace(folder / "five")


def by_numbers_of_folders(folder: Path) -> None:
    """Name files beside open folders."""
    (folder / "sub").mkdir()
    place = os.open(folder / "sub", os.O_RDONLY | os.O_DIRECTORY)
    beside = os.open("beside", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=place)
    os.write(beside, b"by the number of its folder")
    os.close(beside)
    os.rename("beside", "moved", src_dir_fd=place, dst_dir_fd=place)
    os.mkdir("deep", dir_fd=place)
    os.fsync(place)
    os.close(place)


def main(folder: Path, log: Path) -> None:
    """Do all that under the shim, in a folder with a file ``before``."""
    open_before = (folder / "before").open("ab")
    shim = Shim()
    shim.begin(folder, log)
    shim.fail("")
    open_before.write(b", and open before")
    open_before.close()
    by_every_call(folder)
    with Store.begin(folder / "homeward.db", RUN) as store:
        for number in range(5):
            store.add(Outcome((alert(number), summary(60.0 * number))), 20.0)
            shim.mark(f"ack {number}")
        write(folder, [start(), *wave(200)], bounds=SMALL)
        write_kept(folder, {"p1": KeptPatient()})
        save(folder, [Device(address="C0:DE:00:00:00:01", name="Strap")])
    shim.end()
    print(json.dumps(shim.counts()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
