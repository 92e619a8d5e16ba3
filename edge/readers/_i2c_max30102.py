"""The MAX30102 pulse sensor: set up for both LEDs, its FIFO emptied before it can overflow.

The layout of a packet is `edge.decoders.max30102`'s. The FIFO holds 32 samples and is read
`POLLS_A_FILL` times while it would fill: at 100 Hz every 64 ms, six or seven samples at a time. A
poll may come 256 ms late before anything is lost. What is lost all the same the chip counts, and
the counter in the packet goes on by as much, so that the loss is a gap of the right length. (A
sample that is lost between reading the counter and the first byte of the FIFO is not counted: one
at most, where there was an overflow at all.) Beyond 31 the chip counts no further: counting begins
anew then, and the gap is told from arrivals.

A transfer that fails may have taken half a sample out of the FIFO (the read pointer moves at a
sample's first byte), so after any error the chip is set up anew and counting begins anew too.

Source: MAX30102 data sheet 19-7740 rev 1, 10/18: register map; "FIFO"; tables 3 to 8 and 11.
From memory only: how long a reset takes (it is waited for the bit to clear); part ID 0x15 stands in
the register map, 0x11 of the MAX30100 is from that chip's drivers.
"""

from __future__ import annotations

import struct
import time
from typing import Final

from edge.readers import NowS
from edge.readers._i2c_chip import ChipError, Registers, Taken, WrongChipError

ADDRESS: Final = 0x57
PART_ID: Final = 0x15
RATES_HZ: Final = (50, 100, 200, 400)
"""With pulses of 411 us, which alone give 18 bits; their index is the register's code."""
LED_STEP_MA: Final = 0.2
DEPTH: Final = 32
POLLS_A_FILL: Final = 5
LOST_MOST: Final = 0x1F
SAMPLE_BYTES: Final = 6
COUNTER_WRAP: Final = 1 << 32

_FIFO_WRITE, _FIFO_DATA, _FIFO_CONFIG, _MODE, _SPO2_CONFIG, _LEDS, _PART = (
    0x04,
    0x07,
    0x08,
    0x09,
    0x0A,
    0x0C,
    0xFF,
)
_SHUT_DOWN, _RESET, _SPO2 = 0x80, 0x40, 0x03
_KEEP_OLD: Final = 0x00  # no averaging; a full FIFO keeps what it has, so that losses lie after it
_RANGE_4096_NA, _WIDTH_411_US = 1 << 5, 0x03
_POINTER: Final = 0x1F
_RESET_TRIES, _RESET_TRY_S = 20, 0.005
_HEAD: Final = struct.Struct("<IBBBBB")


class Max30102:
    """One chip.

    Parameters
    ----------
    rate_hz : int
        Samples a second, one of `RATES_HZ`.
    led_ma : float
        Current of both LEDs.
    """

    name = "MAX30102 pulse sensor"
    stream = "i2c:max30102"

    def __init__(self, rate_hz: int, led_ma: float) -> None:
        self.poll_s = DEPTH / rate_hz / POLLS_A_FILL
        self._fill_s = DEPTH / rate_hz
        self._current = round(led_ma / LED_STEP_MA)
        code = RATES_HZ.index(rate_hz)
        self._config = bytes([_KEEP_OLD, _SPO2, _RANGE_4096_NA | code << 2 | _WIDTH_411_US])
        self._counter = 0
        self._last_s = 0.0

    def begin(self, registers: Registers, now_s: NowS) -> None:
        """Reset it, set it up, and see that it has kept its settings."""
        part = registers.read(_PART, 1)[0]
        if part != PART_ID:
            other = ", which is a MAX30100" if part == 0x11 else ""
            raise WrongChipError(f"it says part {part:#04x}{other}; a MAX30102 says {PART_ID:#04x}")
        self._reset(registers)
        registers.write(_FIFO_CONFIG, self._config[:1])
        registers.write(_SPO2_CONFIG, self._config[2:])
        registers.write(_LEDS, bytes([self._current, self._current]))
        registers.write(_MODE, self._config[1:2])
        kept = registers.read(_FIFO_CONFIG, len(self._config))
        if kept != self._config:
            raise ChipError(
                f"it was told {self._config.hex(' ')} and kept {kept.hex(' ')}: is its supply "
                f"steady, and are there two chips at this address?"
            )
        registers.write(_FIFO_WRITE, bytes(3))  # empty it
        self._counter = 0
        self._last_s = now_s()

    def poll(self, registers: Registers, now_s: NowS) -> Taken | None:
        """Return what is in the FIFO; see `edge.readers._i2c_chip.Chip`."""
        write, lost, read = (byte & _POINTER for byte in registers.read(_FIFO_WRITE, 3))
        at_s = now_s()
        # Equal pointers are an empty FIFO, or a full one: only of that something can be lost.
        n = DEPTH if lost else (write - read) % DEPTH
        if not n:
            # Exactly full, with nothing lost yet, looks the same; that is set right in the same
            # way, and comes only when a poll is late by four others.
            if at_s - self._last_s >= self._fill_s:
                raise ChipError("it samples no more: its power may have failed for a moment")
            return None
        head = _HEAD.pack(self._counter, lost, n, *self._config)
        payload = head + registers.read(_FIFO_DATA, n * SAMPLE_BYTES)
        self._last_s = at_s
        known = lost < LOST_MOST
        self._counter = (self._counter + n + lost) % COUNTER_WRAP if known else 0
        return Taken(payload, at_s)

    def end(self, registers: Registers) -> None:
        """Put out the light."""
        registers.write(_MODE, bytes([_SHUT_DOWN]))

    def _reset(self, registers: Registers) -> None:
        registers.write(_MODE, bytes([_RESET]))
        for _ in range(_RESET_TRIES):
            time.sleep(_RESET_TRY_S)
            if not registers.read(_MODE, 1)[0] & _RESET:
                return
        raise ChipError(f"it did not come out of its reset in {_RESET_TRIES * _RESET_TRY_S} s")
