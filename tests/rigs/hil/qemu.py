"""An emulated Cortex-M3 board: QEMU's mps2-an385 with its serial lines in our hands.

UART0 is a pseudo terminal, which the real reader opens; UART1 and UART2 are sockets, at whose
other ends a test puts what the firmware talks to (`tests.rigs.hil.converter`,
`tests.rigs.hil.spi_chip`). QEMU is told what to do over its own control protocol (QMP) on its
standard streams, so that nothing has to be waited for or guessed.

Its time is the host's: a virtual second is a real one, also while the emulated processor is kept
waiting. With `icount=IDEAL` the processor is an ideal one instead: an instruction takes 32 ns of
its time whatever the host does, and sleep takes none of ours. A second takes as long as its work.

Needs the packages qemu-system-arm and gcc-arm-none-eabi.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

FIRMWARE = Path(__file__).parents[3] / "hardware" / "firmware"
QEMU = "qemu-system-arm"
COMPILER = "arm-none-eabi-gcc"
ANSWER_S = 20.0
"""QEMU has always answered by then, also on a busy machine."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
IDEAL = "shift=5,sleep=off"
"""For `icount`: 2**5 ns an instruction, about what a Cortex-M3 at 25 MHz does."""
TIRELESS = "shift=0,sleep=off"
"""The same, 32 times as fast: while it waits for somebody, next to no time passes."""


def need_tools(*, libc: bool = False) -> None:
    """Skip the test where QEMU or the compiler is missing, and say which package has it."""
    for command, package in ((QEMU, "qemu-system-arm"), (COMPILER, "gcc-arm-none-eabi")):
        if shutil.which(command) is None:
            pytest.skip(f"no {command}: install the package {package}")
    found = [COMPILER, "-print-file-name=libc.a"]  # its path, or the bare name
    if libc and "/" not in subprocess.run(found, capture_output=True, text=True, check=True).stdout:
        pytest.skip("no C library for ARM: install the package libnewlib-arm-none-eabi")


def build(target: str, out: Path, attach: Sequence[Path] = ()) -> Path:
    """Build one target of ``cortexm/build.sh`` into `out` and return its ELF file.

    `attach` are C files of virtual chips that an Arduino sketch is to find on its pins and buses.
    """
    command = [str(FIRMWARE / "cortexm" / "build.sh"), "--out", str(out), target]
    for source in attach:
        command += ["--attach", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise QemuError(f"{target} cannot be built: {done.stderr}")
    return out / f"{target}.elf"


class QemuError(RuntimeError):
    """QEMU ended, or does not answer; the text says what it said last."""


class Qemu:
    """A board that is emulated while the context lasts.

    Parameters
    ----------
    elf : Path
        What it runs.
    icount : str
        QEMU's option of that name; empty: the processor runs as fast as the host lets it.
    paused : bool
        It begins to run with `go`, so that a listener can be there before the first byte.
    memory : Mapping[int, bytes]
        What is in its memory from the start, by address.

    Attributes
    ----------
    port : str
        Path of the pseudo terminal of UART0.
    lines : list[socket.socket]
        Our ends of UART1 and UART2.
    """

    def __init__(
        self,
        elf: Path,
        *,
        icount: str = "",
        paused: bool = False,
        memory: Mapping[int, bytes] | None = None,
    ) -> None:
        self._elf, self._icount, self._paused = elf, icount, paused
        self._memory = memory or {}
        self.port = ""
        self.lines: list[socket.socket] = []
        self._stack = contextlib.ExitStack()
        self._unread = b""

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

    def go(self) -> None:
        """Let the processor run."""
        self._ask("cont")

    def pause(self) -> None:
        """Hold the processor and its time."""
        self._ask("stop")

    def reset(self, held_s: float = 0.3) -> None:
        """Press the board's reset button, as long as a finger does."""
        self.pause()
        self._ask("system_reset")
        time.sleep(held_s)
        self.go()

    def cpu_s(self) -> float:
        """Return the processor time QEMU has used so far, in seconds."""
        fields = Path(f"/proc/{self._qemu.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND

    def set_register(self, number: int, value: int) -> None:
        """Change a register of the processor, as a cosmic ray would: 13 is SP, 15 is PC."""
        with self._held() as link:
            registers = bytearray.fromhex(_tell_gdb(link, "g"))
            registers[4 * number : 4 * number + 4] = value.to_bytes(4, "little")
            _tell_gdb(link, f"G{registers.hex()}")

    def set_memory(self, address: int, content: bytes) -> None:
        """Change what is in the memory."""
        with self._held() as link:
            _tell_gdb(link, f"M{address:x},{len(content):x}:{content.hex()}")

    @contextlib.contextmanager
    def _held(self) -> Iterator[socket.socket]:
        """Hold the processor for a debugger."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "gdb"
            self._monitor(f"gdbserver unix:{path},server=on,wait=off")
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(ANSWER_S)
                link.connect(str(path))
                _tell_gdb(link, "?")
                yield link
                _tell_gdb(link, "D")
            self._monitor("gdbserver none")

    def _start(self) -> None:
        theirs: list[socket.socket] = []
        command = [QEMU, "-M", "mps2-an385", "-nodefaults", "-display", "none", "-S"]
        command += ["-kernel", str(self._elf), "-qmp", "stdio"]
        command += ["-chardev", "pty,id=line0", "-serial", "chardev:line0"]
        for number in (1, 2):
            ours, its = socket.socketpair()
            self._stack.enter_context(ours)
            self._stack.enter_context(its)
            self.lines.append(ours)
            theirs.append(its)
            command += ["-chardev", f"socket,id=line{number},fd={its.fileno()}"]
            command += ["-serial", f"chardev:line{number}"]
        if self._icount:
            command += ["-icount", self._icount]
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        for address, content in self._memory.items():
            path = folder / f"{address:x}"
            path.write_bytes(content)
            command += ["-device", f"loader,file={path},addr={address:#x},force-raw=on"]
        self._said = folder / "stderr"
        self._qemu = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stack.enter_context(self._said.open("wb")),
            pass_fds=[its.fileno() for its in theirs],
            bufsize=0,
        )
        self._stack.callback(self._end)
        for its in theirs:
            its.close()
        self._read()  # the greeting
        self._ask("qmp_capabilities")
        chardevs = {c["label"]: c["filename"] for c in self._ask("query-chardev")}
        self.port = chardevs["line0"].removeprefix("pty:")
        if not self._paused:
            self.go()

    def _end(self) -> None:
        self._qemu.terminate()
        try:
            self._qemu.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self._qemu.kill()
            self._qemu.wait()
        for pipe in (self._qemu.stdin, self._qemu.stdout):
            if pipe is not None:
                pipe.close()

    def _monitor(self, line: str) -> None:
        said = self._ask("human-monitor-command", {"command-line": line})
        if "rror" in said:
            raise QemuError(f"{line}: {said}")

    def _ask(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        asked = {"execute": command, "arguments": arguments or {}}
        assert self._qemu.stdin is not None
        self._qemu.stdin.write(json.dumps(asked).encode() + b"\n")
        while True:
            answer = self._read()
            if "error" in answer:
                raise QemuError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def _read(self) -> dict[str, Any]:
        """Return the next message of QEMU; what is no message it says to people."""
        until_s = time.monotonic() + ANSWER_S
        assert self._qemu.stdout is not None
        while True:
            line, newline, rest = self._unread.partition(b"\n")
            if newline:
                self._unread = rest
                if line.startswith(b"{"):
                    return json.loads(line)
                continue
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([self._qemu.stdout], [], [], left_s)[0]:
                raise QemuError(f"QEMU is silent; {self._last_words()}")
            more = self._qemu.stdout.read(65536)
            if not more:
                raise QemuError(f"QEMU has ended; {self._last_words()}")
            self._unread += more

    def _last_words(self) -> str:
        return f"it said {self._said.read_text(errors='replace').strip()[-500:]!r}"


def _tell_gdb(link: socket.socket, command: str) -> str:
    """Say something in gdb's remote protocol and return the answer."""
    link.sendall(f"${command}#{sum(command.encode()) % 256:02x}".encode())
    heard = b""
    while not (b"+$" in heard and heard[-3:-2] == b"#"):
        more = link.recv(4096)
        if not more:
            raise QemuError(f"gdb link ended after {command!r}")
        heard += more
    link.sendall(b"+")
    answer = heard.rpartition(b"$")[2][:-3].decode()
    if not answer or answer.startswith("E"):
        raise QemuError(f"gdb command {command!r} was refused: {heard!r}")
    return answer
