"""The disk shim: compiled, put before a program, and spoken to from inside it.

Outside: ``environment(build(folder), under=..., log=..., fail=...)`` is the environment of a
process that is to run under it. Inside such a process (or a fork of it) ``Shim()`` turns recording
and failing on and off::

    shim = Shim()
    shim.begin(data_dir, log)     # every change of files below data_dir is written to log
    store.add(...)
    shim.mark("ack alert-1")      # stands in the log in its place
    shim.end()
    operations = read_log(log)    # tests.rigs.powercut.oplog

    shim.begin(data_dir)          # no log: calls are only counted, and fail
    shim.fail("sync:3:EIO")       # the third sync from now fails; see shim_faults.c
    shim.counts()                 # {"write": 17, "sync": 3, ...} since `fail`
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
_WARN = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
CALLS = ("write", "sync", "open", "rename", "truncate", "unlink", "mkdir", "read", "link")
"""The kinds of calls that can be counted and made to fail, in the order of the C side."""


class NoShimError(Exception):
    """The shim cannot be had here; the text says why."""


def build(folder: Path) -> Path:
    """Compile the shim into a folder and return the library.

    Raises
    ------
    NoShimError
        There is no Linux, or no compiler.
    """
    if sys.platform != "linux":
        raise NoShimError("the disk shim is made for Linux")
    if shutil.which("gcc") is None:
        raise NoShimError("no C compiler: install the package gcc")
    library = folder / "powercut.so"
    command = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", *_WARN, "-shared", "-fPIC"]
    sources = sorted(map(str, HERE.glob("*.c")))
    done = subprocess.run(
        [*command, "-o", str(library), *sources, "-ldl", "-lpthread"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the disk shim does not compile:\n{done.stderr}")
    return library


def environment(
    library: Path, *, under: Path | None = None, log: Path | None = None, fail: str = ""
) -> dict[str, str]:
    """Return the environment of a process under the shim; all else can be set from inside."""
    given = os.environ | {"LD_PRELOAD": str(library)}
    told = {"UNDER": under, "LOG": log, "FAIL": fail}
    return given | {f"HOMEWARD_POWERCUT_{k}": str(v) for k, v in told.items() if v}


class Shim:
    """The shim this process runs under.

    Raises
    ------
    NoShimError
        It runs without.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._library, "powercut_begin"):
            raise NoShimError("this process was started without the disk shim: see `environment`")
        self._library.powercut_struck.restype = ctypes.c_ulonglong

    def begin(self, under: Path, log: Path | None = None) -> None:
        """Watch a folder from now on, what is open of it included; a log there is gone on with."""
        if self._library.powercut_begin(os.fsencode(under), os.fsencode(log or "")) != 0:
            raise OSError(ctypes.get_errno(), f"the shim cannot watch {under} with log {log}")

    def end(self) -> None:
        """Watch nothing any more."""
        self._library.powercut_end()

    def mark(self, text: str) -> None:
        """Put a line of text into the log, after all that was done so far."""
        raw = text.encode()
        self._library.powercut_mark(raw, ctypes.c_size_t(len(raw)))

    def fail(self, spec: str = "") -> None:
        """Set which calls fail from now on (``sync:3:EIO``; empty: none), and count anew."""
        if self._library.powercut_fail(spec.encode()) != 0:
            raise ValueError(f"the shim does not understand {spec!r}: see shim_faults.c")

    def counts(self) -> dict[str, int]:
        """Return how many calls of each kind there were since `fail`, those that failed too."""
        found = (ctypes.c_ulonglong * len(CALLS))()
        self._library.powercut_counts(found)
        return dict(zip(CALLS, found, strict=True))

    @property
    def struck(self) -> int:
        """How many calls were made to fail, come short or hang since `fail`."""
        return int(self._library.powercut_struck())
