"""Power supply, heat and memory of the box, from files of the kernel; no file: not known.

- ``class/hwmon/hwmon*/name`` == ``rpi_volt``: ``in0_lcrit_alarm`` is 1 when the voltage was too low
  within the last two seconds (drivers/hwmon/raspberrypi-hwmon.c).
- ``devices/platform/soc*/*firmware/get_throttled``: the firmware's own bits in hexadecimal, bit 0:
  too little voltage now (Raspberry Pi documentation, ``vcgencmd get_throttled``).
- ``class/thermal/thermal_zone*/temp``: thousandths of a degree; of the zones whose ``type`` names
  the processor the hottest, of all zones where none does.
- ``meminfo``: MemAvailable of MemTotal. A unit with ``ProcSubset=pid`` does not see it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from edge.events import BoxHealth

UNDER_VOLTAGE_NOW: Final = 1 << 0
PROCESSOR: Final = ("cpu", "soc", "x86_pkg", "package")
"""A thermal zone whose type holds one of these is the processor's."""


class Hardware(msgspec.Struct, frozen=True):
    """Looks at the hardware; to be called in a thread, for a driver may hang.

    Attributes
    ----------
    sys, proc : Path
        Where the kernel's files are.
    """

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")

    def __call__(self) -> BoxHealth:
        """Look once."""
        found = {
            "undervoltage_flag": under_voltage(self.sys),
            "cpu_degc": heat_degc(self.sys),
            "memory_free_pct": memory_free_pct(self.proc),
        }
        return BoxHealth({name: value for name, value in found.items() if value is not None})


def under_voltage(sys: Path) -> float | None:
    """Return 1.0 while there is too little voltage, 0.0 while there is enough; None: not known."""
    told = [
        _number(name.with_name("in0_lcrit_alarm"))
        for name in sorted(sys.glob("class/hwmon/hwmon*/name"))
        if _text(name) == "rpi_volt"
    ]
    for path in sorted(sys.glob("devices/platform/soc*/*firmware/get_throttled")):
        bits = _number(path, 16)
        told.append(None if bits is None else bits & UNDER_VOLTAGE_NOW)
    known = [flag for flag in told if flag is not None]
    return float(any(known)) if known else None


def heat_degc(sys: Path) -> float | None:
    """Return the temperature of the processor; None: not known."""
    zones = [
        (_text(temp.with_name("type")).lower(), milli)
        for temp in sorted(sys.glob("class/thermal/thermal_zone*/temp"))
        if (milli := _number(temp)) is not None
    ]
    ours = [milli for kind, milli in zones if any(word in kind for word in PROCESSOR)]
    hottest = max(ours or [milli for _, milli in zones], default=None)
    return None if hottest is None else hottest / 1000.0


def memory_free_pct(proc: Path) -> float | None:
    """Return the share of the memory that can be had; None: not known."""
    sizes = dict(_sizes(_text(proc / "meminfo").splitlines()))
    total = sizes.get("MemTotal", 0)
    available = sizes.get("MemAvailable")
    return 100.0 * available / total if total > 0 and available is not None else None


def _sizes(lines: Iterable[str]) -> Iterable[tuple[str, int]]:
    for line in lines:
        name, _, rest = line.partition(":")
        number = rest.split()[:1]
        if number and number[0].isdecimal():
            yield name, int(number[0])


def _number(path: Path, base: int = 10) -> int | None:
    with suppress(ValueError):
        return int(_text(path), base)
    return None


def _text(path: Path) -> str:
    """Return what a file says, empty where it cannot be read: then it is not known."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
