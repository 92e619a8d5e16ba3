"""The bond with every paired sensor: does it stand. Only the holder of its keys is that sensor."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Final

from edge.devices import Device, load
from edge.doctor.bluetooth import Seen, check_sensors, look
from edge.records import SelfTestRow, Verdict
from edge.selftest import Bench, Part, row, row_of

NAME: Final = "bond"
_WHY: Final = "a sensor without its bond is not read, or can be imitated"
_CURE: Final = "homeward devices"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Ask BlueZ for the bond of every sensor that was paired."""
    known = load(bench.config.box.data_dir)
    if not known:
        yield row(NAME, Verdict.NOT_THERE, "no sensor is paired")
    elif importlib.util.find_spec("dbus_fast") is None:
        yield row(NAME, Verdict.UNKNOWN, "BlueZ cannot be asked without dbus-fast", _WHY, _CURE)
    else:
        yield from judge(known, asyncio.run(look()))


def judge(known: Sequence[Device], seen: Seen) -> Iterator[SelfTestRow]:
    """Say of each sensor whether its bond stands."""
    if seen.trouble:
        found = f"BlueZ cannot be asked ({seen.trouble})"
        yield row(NAME, Verdict.UNKNOWN, found, _WHY, "see the row on the adapter")
        return
    for device, finding in zip(known, check_sensors(known, seen), strict=True):
        if device.consent and not device.bonded:
            # Somebody has agreed to it, knowing what it means: told each time, and no fault.
            found = f"{finding.found}; a person has agreed to it"
            yield row(NAME, Verdict.UNKNOWN, found, finding.why, finding.cure, device.name)
        else:
            yield row_of(NAME, finding, device.name)


PART = Part(NAME, check, _WHY, _CURE)
