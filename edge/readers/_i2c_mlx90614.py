"""The MLX90614 infrared thermometer: two words at a time, each with its check byte.

Nothing is set: emissivity and filters lie in its EEPROM and stay as they are. It has no number of
its kind, so it is known by its check byte (PEC), which few chips have. It does not bear a bus of
more than 100 kHz.

Source: MLX90614 data sheet 3901090614, 8.4; application note 390119061402; 0.25 s from power to the
first value: drivers/iio/temperature/mlx90614.c.
"""

from __future__ import annotations

import time
from typing import Final

from edge.bits import crc8
from edge.readers import NowS
from edge.readers._i2c_chip import Registers, Taken, WrongChipError

ADDRESS: Final = 0x5A
START_S: Final = 0.3

_OBJECT, _AMBIENT = 0x07, 0x06
_WORD_BYTES: Final = 3  # low, high, PEC


class Mlx90614:
    """One chip, read every `interval_s`."""

    name = "MLX90614 infrared thermometer"
    stream = "i2c:mlx90614"

    def __init__(self, interval_s: float) -> None:
        self.poll_s = interval_s

    def begin(self, registers: Registers, now_s: NowS) -> None:  # noqa: ARG002  # Chip
        """See that it is one, and that it has had time to measure since it got power."""
        word = registers.read(_AMBIENT, _WORD_BYTES)
        if _pec(registers.address, _AMBIENT, word) != word[2]:
            raise WrongChipError(
                "its answer fails its check (PEC): it is no MLX90614, or the bus is disturbed or "
                "faster than 100 kHz"
            )
        time.sleep(START_S)

    def poll(self, registers: Registers, now_s: NowS) -> Taken | None:
        """Return object and ambient temperature; see `edge.readers._i2c_chip.Chip`."""
        payload = bytes([registers.address])
        for command in (_OBJECT, _AMBIENT):
            payload += bytes([command]) + registers.read(command, _WORD_BYTES)
        return Taken(payload, now_s())

    def end(self, registers: Registers) -> None:
        """Leave it as it is."""


def _pec(address: int, command: int, word: bytes) -> int:
    return crc8(bytes([address << 1, command, address << 1 | 1, *word[:2]]))
