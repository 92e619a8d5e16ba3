"""The TMP117 thermometer: one conversion a second, the newest read every `interval_s`.

Only the configuration is written, never the EEPROM: after a loss of power it comes back as its
EEPROM has it, which as sold is the same.

Source: TMP117 data sheet SNOSD82D, 7.6: 0F = device ID 0117 (bits 11:0 are the device, the others
its revision), 01 = configuration, 0220 = continuous conversion, one a second, mean of eight.
"""

from __future__ import annotations

from typing import Final

from edge.readers import NowS
from edge.readers._i2c_chip import ChipError, Registers, Taken, WrongChipError

ADDRESS: Final = 0x48
DEVICE_ID: Final = 0x117
SILENT_S: Final = 5.0
SILENT_POLLS: Final = 3

_RESULT, _CONFIGURATION, _DEVICE = 0x00, 0x01, 0x0F
_ONE_A_SECOND: Final = bytes([0x02, 0x20])
_DATA_READY: Final = 0x20  # of the high byte


class Tmp117:
    """One chip.

    Parameters
    ----------
    interval_s : float
        How often it is read.
    place : str
        Where on the body it is: told to the decoder in every packet.
    """

    name = "TMP117 thermometer"
    stream = "i2c:tmp117"

    def __init__(self, interval_s: float, place: str) -> None:
        self.poll_s = interval_s
        self._place = place.encode()
        self._silent_s = max(SILENT_S, SILENT_POLLS * interval_s)
        self._ready_s = 0.0

    def begin(self, registers: Registers, now_s: NowS) -> None:
        """See that it is one, and let it convert."""
        device = int.from_bytes(registers.read(_DEVICE, 2), "big")
        if device & 0x0FFF != DEVICE_ID:
            raise WrongChipError(f"it says device {device:#06x}; a TMP117 says {DEVICE_ID:#06x}")
        registers.write(_CONFIGURATION, _ONE_A_SECOND)
        self._ready_s = now_s()

    def poll(self, registers: Registers, now_s: NowS) -> Taken | None:
        """Return configuration and temperature; see `edge.readers._i2c_chip.Chip`."""
        # In this order: reading the temperature takes the flag away.
        configuration = registers.read(_CONFIGURATION, 2)
        result = registers.read(_RESULT, 2)
        at_s = now_s()
        if configuration[0] & _DATA_READY:
            self._ready_s = at_s
        elif at_s - self._ready_s > self._silent_s:
            raise ChipError("it measures no more: its power may have failed for a moment")
        return Taken(configuration + result + self._place, at_s)

    def end(self, registers: Registers) -> None:
        """Leave it as it is: it takes 4 uA."""
