"""Serial devices at a cable, USB or a UART of the box: pyserial, and no thread.

What a device is told and how it is known stands in the decoders (`edge.wire.Wire`); nothing here
knows one. A packet holds bytes as they came, cut anywhere; the decoder finds the frames.

    uart              pyserial, behind `SerialLine`; settings
    _uart_keeper      open, find out, read, and again, for one port
    _uart_line        an open line: bytes out as packets, without a wake-up a byte; silence
    _uart_probe       which device is at the end of a line
    _uart_names       the lasting name of a port; errors in words
    _uart_told        what people are told of the link; a loose plug is one trouble

A port is named by what stays when the device comes back as another tty: ``/dev/serial/by-id``. It
is opened alone (no second program gets half of the bytes), closed on any error, and tried again.

Sources: pyserial 3.5; reference faults pyserial #331, #506 and #36 (a device that is pulled out
reports readiness and gives nothing; it comes back as another tty unless it was closed before).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from edge.readers import Reader, ReadError, Rim
from edge.readers._uart_keeper import Keeper
from edge.readers._uart_line import LineGoneError
from edge.readers._uart_names import words
from edge.readers._uart_probe import find_out
from edge.wire import Wire

if TYPE_CHECKING:
    from serial import Serial

MOST_BYTES: Final = 4096
MOST_EMPTY: Final = 3
"""A line that is said to have bytes and has none, so often in a row, is no line any more."""
PSEUDO_MAJORS: Final = range(136, 144)
"""Device numbers of UNIX98 pseudo terminals; Linux, Documentation/admin-guide/devices.txt."""
_NO_SERIAL: Final = (
    "the Python package for serial ports is missing ({}): install it with "
    "`pip install 'homeward[pi]'`"
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One serial device."""

    port: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description="Its port; best the name that stays, /dev/serial/by-id/... (`homeward "
            "scan --serial` lists them).",
        ),
    ]
    device: Annotated[
        str,
        msgspec.Meta(description="Which device it is, e.g. nonin_df2; empty: it is found out."),
    ] = ""
    fs_hz: (
        Annotated[
            float,
            msgspec.Meta(gt=0, le=100_000, description="Sampling rate to tell a Homeward board."),
        ]
        | None
    ) = None
    place: Annotated[
        str, msgspec.Meta(max_length=32, description="Where on the body it is, e.g. chest.")
    ] = ""


class _Port:
    """An open port; see `edge.readers._uart_line.SerialLine`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._n_empty = 0

    def read(self) -> bytes:
        # pyserial's own read asks the system twice more what the loop has just said.
        try:
            payload = os.read(self.fd, MOST_BYTES)
        except BlockingIOError:
            return b""
        self._n_empty = 0 if payload else self._n_empty + 1
        if self._n_empty >= MOST_EMPTY:
            raise OSError(errno.ENODEV, "device pulled out")
        return payload

    def write(self, payload: bytes) -> None:
        # pyserial's own write turns in a circle, for ever, where the device takes nothing.
        with contextlib.suppress(BlockingIOError):
            os.write(self.fd, payload)


@contextlib.contextmanager
def _open(port: Path, wire: Wire) -> Iterator[_Port]:
    """Open a port, alone, with a device's settings; close it whatever happens.

    Raises
    ------
    OSError
        It cannot be opened; `SerialException` is one.
    """
    from serial import PARITY_NONE, Serial  # noqa: PLC0415  # not on every box

    # Without time-outs nothing here ever waits: the event loop says when bytes are there.
    serial = Serial(
        str(port),
        wire.baud,
        parity=PARITY_NONE if _is_pseudo(port) else wire.parity,
        xonxoff=wire.xonxoff,
        timeout=0,
        write_timeout=0,
        exclusive=True,
    )
    try:
        _set_up(serial, wire.parity)
        _take_alone(serial)
        yield _Port(serial.fileno())
    finally:
        with contextlib.suppress(OSError, termios.error):
            # Output that a dead device never takes would hold the close up for half a minute.
            serial.reset_output_buffer()
        _let_go(serial)
        serial.close()


def _is_pseudo(port: Path) -> bool:
    """Return whether a port is a pseudo terminal: these have no parity, and refuse it."""
    return os.major(port.stat().st_rdev) in PSEUDO_MAJORS


def _set_up(serial: Serial, parity: str) -> None:
    """Set what pyserial has no word for.

    DTR stays as it is when the port is closed: on many boards its fall is the reset button. A byte
    whose parity is wrong is dropped, which shows in the frame; pyserial lets it through.
    """
    with contextlib.suppress(termios.error):  # a pseudo terminal may have no such line
        attributes = termios.tcgetattr(serial.fileno())
        attributes[2] &= ~termios.HUPCL
        if parity != "N":
            attributes[0] |= termios.INPCK | termios.IGNPAR
        termios.tcsetattr(serial.fileno(), termios.TCSANOW, attributes)


def _take_alone(serial: Serial) -> None:
    """Keep those out who ask for no lock, such as a terminal program: each would get some bytes."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(serial.fileno(), termios.TIOCEXCL)


def _let_go(serial: Serial) -> None:
    """Let others in again: who has the port open besides us would keep it shut."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(serial.fileno(), termios.TIOCNXCL)


def _wires(device: str, wires: tuple[Wire, ...]) -> tuple[Wire, ...]:
    """Return what may be at the end of a line."""
    if not device:
        return wires
    chosen = tuple(wire for wire in wires if wire.name == device)
    if not chosen:
        known = ", ".join(sorted(wire.name for wire in wires))
        raise ReadError(f"no serial device is called {device!r}; there are {known}")
    return chosen


def _need_serial() -> None:
    try:
        import serial  # noqa: F401, PLC0415  # not on every box: said early, and in words
    except ImportError as error:
        raise ReadError(_NO_SERIAL.format(error)) from error


async def run(settings: Settings, rim: Rim) -> None:
    """Read one serial device until cancelled.

    Raises
    ------
    ReadError
        pyserial is missing, or no device has the configured name.
    """
    _need_serial()
    wires = _wires(settings.device, rim.wires)
    keeper = Keeper(
        Path(settings.port), wires, rim, _open, fs_hz=settings.fs_hz, place=settings.place
    )
    await keeper.keep()


async def identify(port: Path, wires: tuple[Wire, ...]) -> Wire:
    """Return which device is at the end of a port's line.

    Raises
    ------
    ReadError
        Nothing that is known, or the port cannot be opened; the text says why.
    """
    _need_serial()
    try:
        with contextlib.ExitStack() as opened:
            return (await find_out(_open, port, wires, opened)).wire
    except LineGoneError as error:
        raise ReadError(f"{port}: {error}") from error
    except (OSError, termios.error) as error:
        raise ReadError(words(error, port)) from error


READER = Reader(name="uart", settings=Settings, run=run)
