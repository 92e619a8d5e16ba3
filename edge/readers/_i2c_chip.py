"""What the reader of I2C sensors asks of a chip, and what it gives the chip to work with."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from edge.readers import NowS


class ChipError(RuntimeError):
    """The chip answers, and does not do what it should; it is set up anew."""


class WrongChipError(ChipError):
    """What answers at the address is another chip."""


class Taken(NamedTuple):
    """What one poll brought.

    Attributes
    ----------
    payload : bytes
        As the chip's decoder reads it.
    at_s : float
        When it was there to be read, on the boot clock.
    """

    payload: bytes
    at_s: float


class Registers(Protocol):
    """The registers of one chip. Every call waits for the bus, for milliseconds.

    Each raises OSError where the chip does not answer or the bus is disturbed.
    """

    address: int

    def read(self, register: int, n_bytes: int) -> bytes:
        """Return bytes from a register on, read in one transfer."""
        ...

    def write(self, register: int, payload: bytes) -> None:
        """Write bytes from a register on, in one transfer."""
        ...


class Chip(Protocol):
    """One kind of chip, and what is remembered of the one that is read.

    Attributes
    ----------
    name : str
        What people call it.
    stream : str
        Names its packets; begins with ``i2c:``.
    poll_s : float
        How often it is polled.
    """

    name: str
    stream: str
    poll_s: float

    def begin(self, registers: Registers, now_s: NowS) -> None:
        """Make sure that it is this chip, and set it up; may wait for up to half a second.

        Raises
        ------
        WrongChipError
            It is another one.
        ChipError, OSError
            It cannot be set up.
        """
        ...

    def poll(self, registers: Registers, now_s: NowS) -> Taken | None:
        """Return what has come since the last poll; None where nothing has.

        Raises
        ------
        ChipError
            It has fallen silent.
        OSError
            It does not answer.
        """
        ...

    def end(self, registers: Registers) -> None:
        """Leave it so that it needs nobody; raises OSError where it does not answer."""
        ...
