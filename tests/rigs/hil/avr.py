"""An emulated Arduino Uno: its firmware runs on simavr, its serial line is a pseudo terminal.

The bench (`avr_bench.c` and what is beside it) is compiled once a session. It has its own true
time, which a test hands to the reader as the boot clock: the wall clock decides how fast the bench
runs and nothing else, so a slow machine makes the same packets. `chip.h` says how chips are added.

Needs the packages gcc, libsimavr-dev, gcc-avr, avr-libc and arduino-core-avr.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import mmap
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import frame
from edge.assemble import every_wire
from edge.decoders.homeward_serial import DECODER
from edge.readers import Rim
from edge.readers.uart import READER, Settings
from edge.records import Packet, Samples
from edge.wire import Wire

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[2] / "hardware" / "firmware"
HZ = 16_000_000
"""Processor clock of the board."""
FIELDS = (
    "now_ns",
    "taken_ns",
    "is_plugged",
    "n_plugged",
    "n_sent",
    "n_unheard",
    "n_resets",
    "n_stalls",
    "n_gave_up",
    "n_garbled",
)
"""`bench_page` in bench.h."""
EVENT = np.dtype([("ns", "<u8"), ("cycle", "<u8"), ("name", "S8"), ("number", "<f8")])
START_S = 20.0
"""The bench is ready by then, also on a busy machine."""
NEEDS = (("gcc", "gcc"), ("avr-gcc", "gcc-avr"))
FILES = (
    (Path("/usr/include/simavr/sim_avr.h"), "libsimavr-dev"),
    (Path("/usr/share/arduino/hardware/arduino/avr/cores/arduino/Arduino.h"), "arduino-core-avr"),
    (Path("/usr/lib/avr/include/avr/io.h"), "avr-libc"),
)
Signal = tuple[NDArray[np.floating], float]
"""Millivolts at a pin, and how many of them a second; the first is at true time 0."""


def need_tools() -> None:
    """Skip the test where a tool is missing, and say which package has it."""
    for command, package in NEEDS:
        if shutil.which(command) is None:
            pytest.skip(f"no {command}: install the package {package}")
    for path, package in FILES:
        if not path.exists():
            pytest.skip(f"no {path.name}: install the package {package}")


@functools.cache
def _session() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="homeward-avr-")


@functools.cache
def bench() -> Path:
    """Return the bench, compiled with every chip there is."""
    program = Path(_session().name) / "avr_bench"
    sources = sorted(HERE.glob("*bench*.c")) + sorted(HERE.glob("chip_*.c"))
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-rdynamic", *sources]
    subprocess.run([*command, "-o", program, "-lsimavr", "-lm"], check=True, timeout=120)
    return program


@functools.cache
def firmware(target: str, *defines: str) -> Path:
    """Return one target of ``hardware/firmware/build``, with settings such as ``RATE_HZ=500``."""
    base = Path(_session().name) / "firmware"
    out = base.with_name("-".join((base.name, *defines)))
    if out != base and base.exists():
        out.mkdir()
        for core in base.glob("core-*.a"):  # a second each, and always the same
            shutil.copy2(core, out)
    options = [part for define in defines for part in ("-D", define)]
    subprocess.run([FIRMWARE / "build", "--out", out, *options, target], check=True, timeout=120)
    return out / f"{target}.elf"


def wires_at(speed: float, *names: str) -> tuple[Wire, ...]:
    """Return devices whose reader, at so many times real time, gathers as long in true time."""
    return tuple(
        msgspec.structs.replace(wire, gather_s=wire.gather_s / max(speed, 1.0))
        for wire in every_wire()
        if not names or wire.name in names
    )


class Avr:
    """A board that is emulated while the context lasts.

    Parameters
    ----------
    elf : Path
        What it runs.
    speed : float
        So many times real time at most.
    lag_ms : float
        True time waits while the reader, which says so by `taken`, is further behind; 0: only
        where the terminal's buffer is full.
    ppm : float
        Its crystal is this much too fast.
    adc : Mapping[str, Signal]
        Voltages by pin, ``A0`` to ``A7``.
    pins : Mapping[str, int]
        Levels by pin, ``D0`` to ``D13``, from the start on.
    chips : Iterable[str]
        Virtual chips with their arguments, ``NAME:key=value,...``.
    script : Iterable[tuple[float, str]]
        Commands at true times in seconds; they are in avr_bench.c.
    for_s : float
        It ends by itself at this true time.
    await_open : bool
        Its time begins when somebody opens the port.

    Attributes
    ----------
    port : Path
        The link that points at its port while it is plugged in.
    """

    def __init__(  # noqa: PLR0913  # a bench has many knobs
        self,
        elf: Path,
        *,
        speed: float = 1.0,
        lag_ms: float = 0.0,
        ppm: float = 0.0,
        adc: Mapping[str, Signal] | None = None,
        pins: Mapping[str, int] | None = None,
        chips: Iterable[str] = (),
        script: Iterable[tuple[float, str]] = (),
        for_s: float | None = None,
        await_open: bool = True,
    ) -> None:
        self._elf = elf
        self._options = [f"--speed={speed}", f"--lag-ms={lag_ms}", f"--ppm={ppm}"]
        self._options += [f"--pin={pin}={level}" for pin, level in (pins or {}).items()]
        self._options += [f"--chip={chip}" for chip in chips]
        self._options += [] if for_s is None else [f"--for={for_s}"]
        self._options += ["--await-open"] if await_open else []
        self._adc, self._script = dict(adc or {}), list(script)
        self._stack = contextlib.ExitStack()
        self.speed = speed

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def now_s(self) -> float:
        """Return the true time, in seconds since the board was switched on."""
        return int(self._page[0]) / 1e9

    def taken(self) -> None:
        """Say that the reader has read all there was: time need not wait for it."""
        self._page[1] = self._page[0]

    def counts(self) -> dict[str, int]:
        """Return what the bench counts; see `bench_page` in bench.h."""
        return dict(zip(FIELDS, map(int, self._page), strict=True))

    def tell(self, command: str) -> None:
        """Let something happen to the board: ``pin D10 1``, ``unplug``, ``at 3.5 plug`` ..."""
        assert self._bench.stdin is not None
        self._bench.stdin.write(command.encode() + b"\n")
        self._bench.stdin.flush()

    def is_running(self) -> bool:
        """Return whether it has not ended; an end that was not wished for is an error."""
        code = self._bench.poll()
        if code:
            raise RuntimeError(f"the bench ended with {code}: {self._said()}")
        return code is None

    def until(self, at_s: float) -> None:
        """Wait until a true time."""
        while self.is_running() and self.now_s() < at_s:
            time.sleep(0.002)

    def events(self) -> NDArray[np.void]:
        """Return the log of what happened at the pins, after the end: `EVENT`."""
        self._end()
        return np.fromfile(self._folder / "events", EVENT)

    def starts(self, pin: str) -> NDArray[np.void]:
        """Return the conversions of a pin: true time of the sample, cycle of the start, mV."""
        events = self.events()
        return events[events["name"] == f"adc{pin[1:]}".encode()]

    def _start(self) -> None:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.port = self._folder / "board"
        (self._folder / "script").write_text("".join(f"{s} {what}\n" for s, what in self._script))
        command = [bench(), self._elf, *self._options, f"--link={self.port}"]
        command += [f"--{name}={self._folder / name}" for name in ("clock", "events", "script")]
        for pin, (mv, fs_hz) in self._adc.items():
            path = self._folder / pin
            mv.astype("<f4").tofile(path)
            command.append(f"--adc={pin}={path}@{fs_hz}")
        self._errors = self._stack.enter_context((self._folder / "said").open("w+b"))
        self._bench = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=self._errors, stderr=self._errors
        )
        self._stack.callback(self._end)
        self._await_ready()
        with (self._folder / "clock").open("r+b") as file:
            page = mmap.mmap(file.fileno(), 8 * len(FIELDS))
        self._page = np.frombuffer(page, "<u8")

    def _await_ready(self) -> None:
        until_s = time.monotonic() + START_S
        while "ready" not in self._said():
            if self._bench.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError(f"the bench does not start: {self._said()}")
            time.sleep(0.002)

    def _said(self) -> str:
        return (self._folder / "said").read_text(errors="replace").strip()

    def _end(self) -> None:
        if self._bench.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._bench.stdin.close()
        try:
            self._bench.wait(START_S)
        except subprocess.TimeoutExpired:
            self._bench.kill()
            self._bench.wait()
            raise


async def read(avr: Avr, wires: Sequence[Wire], **settings: object) -> list[Packet]:
    """Return what the real reader delivers of a board, from now until the bench ends."""
    packets: list[Packet] = []

    def deliver(packet: Packet) -> None:
        packets.append(packet)
        avr.taken()

    rim = Rim(deliver, avr.now_s, wires=tuple(wires))
    task = asyncio.create_task(READER.run(Settings(port=str(avr.port), **settings), rim))
    while avr.is_running() and not task.done():  # noqa: ASYNC110
        await asyncio.sleep(0.02)  # the bench is another process, and sets no event
    if task.done():
        task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return packets


def samples_of(packets: Sequence[Packet]) -> list[Samples]:
    """Return what the decoder reads; raises where it finds anything damaged or not its own."""
    assert DECODER.open_batch is not None
    batch = DECODER.open_batch()([one for one in packets if one.stream == frame.LINE])
    if batch.errors:
        raise batch.errors[0]
    assert batch.n_damaged == 0
    return [samples for samples, _ in batch.found]
