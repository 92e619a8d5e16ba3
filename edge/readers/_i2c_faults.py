"""What goes wrong on an I2C bus, in words, with what mends it.

Source of the numbers: drivers/i2c/busses/i2c-bcm2835.c (EREMOTEIO no acknowledge, ETIMEDOUT no
end, EIO the rest), drivers/i2c/i2c-dev.c (EBUSY), Documentation/i2c/fault-codes.
"""

from __future__ import annotations

import errno
from typing import Final

NO_BUS: Final = frozenset({errno.ENOENT, errno.ENODEV})
NOT_ALLOWED: Final = frozenset({errno.EACCES, errno.EPERM})
NEEDS_A_PERSON: Final = NO_BUS | NOT_ALLOWED

_WORDS: Final = {
    # The Pi's driver says EREMOTEIO, others ENXIO.
    frozenset({errno.EREMOTEIO, errno.ENXIO}): (
        "nothing answers at 0x{at:02x} on {bus}: see its wires and its supply; `i2cdetect -y {n}` "
        "should show {at:02x}"
    ),
    NO_BUS: (
        "there is no {bus}: switch I2C on with `sudo raspi-config` (Interface Options), or put "
        "dtparam=i2c_arm=on into /boot/firmware/config.txt; then start the box again"
    ),
    NOT_ALLOWED: (
        "this user may not use {bus}: let it into the group i2c with `sudo usermod -aG i2c $USER`, "
        "and log in again"
    ),
    frozenset({errno.EBUSY}): (
        "a driver of the kernel holds 0x{at:02x} on {bus} (`i2cdetect -y {n}` shows UU): take its "
        "dtoverlay out of /boot/firmware/config.txt"
    ),
    frozenset({errno.EIO, errno.EAGAIN, errno.EPROTO, errno.EBADMSG}): (
        "a transfer from 0x{at:02x} on {bus} was disturbed: shorten its wires, and see its pull-up "
        "resistors and its supply"
    ),
    frozenset({errno.ETIMEDOUT}): (
        "{bus} hangs: something holds its lines low; unplug its sensors one by one, or switch the "
        "box off and on"
    ),
}


def words(error: OSError, bus: int, address: int) -> str:
    """Return what happened, to what, and what to do.

    >>> words(OSError(errno.ETIMEDOUT, ""), 1, 0x57)[:17]
    '/dev/i2c-1 hangs:'
    """
    # Our own patience ends with a TimeoutError too, which has no number.
    number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno
    for numbers, text in _WORDS.items():
        if number in numbers:
            return text.format(at=address, bus=f"/dev/i2c-{bus}", n=bus)
    return f"0x{address:02x} on /dev/i2c-{bus}: {error.strerror or error}"
