"""The C core of ``hardware/common/src`` compiled for this machine and asked line by line."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "hardware" / "common" / "src"
CORE = (SOURCES / "hw_packet.c", SOURCES / "hw_board.c")
HERE = Path(__file__).parent
SAYS = tuple(HERE / name for name in ("core_says.c", "core_life.c", "core_text.c"))
STRICT = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
    f"-I{SOURCES}",
)
SANITISED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def needs(program: str, package: str) -> str:
    """Return the path of a compiler or simulator; skip the test where it is absent."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"no {program}: install the package {package}")
    return path


def compiled(out: Path, sources: Iterable[Path], *flags: str) -> Path:
    """Compile a program with gcc and the strict flags, and return it."""
    gcc = needs("gcc", "gcc")
    command = [gcc, *STRICT, *map(str, sources), *flags, "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "cannot find -lasan" in done.stderr or "cannot find -lubsan" in done.stderr:
        pytest.skip("gcc has no sanitisers: install the package libgcc-12-dev")
    assert done.returncode == 0, done.stderr
    return out


class Core:
    """``core_says``, running; ask it a line, or many."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self._running = subprocess.Popen(
            [program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def says(self, question: str) -> str:
        """Return the answer to one line; fail with what a sanitiser said."""
        asked, answered = self._running.stdin, self._running.stdout
        assert asked
        assert answered
        with contextlib.suppress(BrokenPipeError):  # what it died of is read below
            asked.write(f"{question}\n")
        line = answered.readline()
        if not line:
            assert self._running.stderr
            pytest.fail(f"the C core ended at {question!r}: {self._running.stderr.read()}")
        return line.rstrip("\n")

    def says_all(self, questions: Iterable[str]) -> list[str]:
        """Return the answers of a process of its own: a board's whole life."""
        done = subprocess.run(
            [self.program],
            input="\n".join(questions) + "\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.communicate(timeout=30)
