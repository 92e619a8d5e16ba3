"""I2C sensors wired to the box itself, the Raspberry Pi's pins 3 and 5: smbus2.

    i2c               smbus2, behind `Registers`; settings
    _i2c_keeper       open, set up, poll, and again, for one chip
    _i2c_thread       waits for the bus in place of the event loop
    _i2c_faults       errors of the bus in words
    _i2c_chip         what a chip is; then one file a kind:
    _i2c_max30102, _i2c_mlx90614, _i2c_tmp117

A packet holds what came out of the chip's registers, its stream names the chip (``i2c:max30102``),
its source the place on the bus (``i2c-1-57``); `edge.decoders` makes samples of it. One
``[[sources]]`` table reads one chip; several may be on one bus.

Source: Linux, Documentation/i2c/dev-interface; errors: drivers/i2c/busses/i2c-bcm2835.c.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from edge.readers import Reader, ReadError, Rim
from edge.readers import _i2c_max30102 as max30102
from edge.readers import _i2c_mlx90614 as mlx90614
from edge.readers import _i2c_tmp117 as tmp117
from edge.readers._i2c_chip import Chip, Registers
from edge.readers._i2c_keeper import Keeper

if TYPE_CHECKING:
    from smbus2 import SMBus

SMBUS_BYTES: Final = 32
"""The longest read through the kernel's SMBus call; longer ones go as plain I2C messages."""

ADDRESSES: Final = {
    "max30102": max30102.ADDRESS,
    "mlx90614": mlx90614.ADDRESS,
    "tmp117": tmp117.ADDRESS,
}
_NO_SMBUS: Final = (
    "the Python package for I2C is missing ({}): install it with `pip install 'homeward[pi]'`"
)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One I2C sensor at the box's own pins."""

    chip: Annotated[
        Literal["max30102", "mlx90614", "tmp117"], msgspec.Meta(description="Which chip it is.")
    ]
    bus: Annotated[
        int, msgspec.Meta(ge=0, le=255, description="Number of the bus: 1 is /dev/i2c-1.")
    ] = 1
    address: (
        Annotated[
            int,
            msgspec.Meta(
                ge=0x08,
                le=0x77,
                description="Its address; by default the one the chip is sold with.",
            ),
        ]
        | None
    ) = None
    rate_hz: Annotated[
        Literal[50, 100, 200, 400],
        msgspec.Meta(description="Samples a second of a MAX30102."),
    ] = 100
    led_ma: Annotated[
        float,
        msgspec.Meta(
            ge=0.2,
            le=51.0,
            description="Current of both LEDs of a MAX30102, in mA: more for thick or dark skin, "
            "less where the signal is cut off at the top.",
        ),
    ] = 7.0
    interval_s: Annotated[
        float,
        msgspec.Meta(ge=1.0, le=30.0, description="How often a thermometer is read."),
    ] = 10.0
    place: Annotated[
        str,
        msgspec.Meta(
            max_length=32,
            description="Where on the body it is. A TMP117's value counts as the temperature of "
            "the body only at one of armpit, axilla, mouth, rectum.",
        ),
    ] = ""


class _Registers:
    """One chip's registers; see `edge.readers._i2c_chip.Registers`."""

    def __init__(self, bus: SMBus, address: int) -> None:
        self._bus, self.address = bus, address

    def read(self, register: int, n_bytes: int) -> bytes:
        if n_bytes <= SMBUS_BYTES:
            # The only kind of read that fails where a driver of the kernel holds the address.
            return bytes(self._bus.read_i2c_block_data(self.address, register, n_bytes))
        from smbus2 import i2c_msg  # noqa: PLC0415  # not on every box

        asked = i2c_msg.write(self.address, [register])
        answer = i2c_msg.read(self.address, n_bytes)
        self._bus.i2c_rdwr(asked, answer)
        return bytes(answer)

    def write(self, register: int, payload: bytes) -> None:
        self._bus.write_i2c_block_data(self.address, register, list(payload))


@contextlib.contextmanager
def _open(bus: int, address: int) -> Iterator[Registers]:
    """Open a bus for one chip; close it whatever happens."""
    from smbus2 import SMBus  # noqa: PLC0415  # not on every box

    opened = SMBus()
    try:
        opened.open(bus)
        yield _Registers(opened, address)
    finally:
        opened.close()


def _chip(settings: Settings) -> Chip:
    if settings.chip == "max30102":
        return max30102.Max30102(settings.rate_hz, settings.led_ma)
    if settings.chip == "mlx90614":
        return mlx90614.Mlx90614(settings.interval_s)
    return tmp117.Tmp117(settings.interval_s, settings.place)


async def run(settings: Settings, rim: Rim) -> None:
    """Read one I2C sensor until cancelled.

    Raises
    ------
    ReadError
        smbus2 is missing; or, before it has ever worked: there is no such bus, this user may not
        use it, or another chip answers.
    """
    try:
        import smbus2  # noqa: F401, PLC0415  # not on every box: said early, and in words
    except ImportError as error:
        raise ReadError(_NO_SMBUS.format(error)) from error
    bus = settings.bus
    address = ADDRESSES[settings.chip] if settings.address is None else settings.address
    keeper = Keeper(
        _chip(settings), bus, address, rim, lambda: _open(bus, address), place=settings.place
    )
    await keeper.keep()


READER = Reader(name="i2c", settings=Settings, run=run)
