"""The Bluetooth radio: is there one, and is it on. Only where a Bluetooth sensor is used."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from edge.devices import load
from edge.doctor.bluetooth import Seen, check_bluez, look
from edge.records import SelfTestRow, Verdict
from edge.selftest import Bench, Part, row, row_of

if TYPE_CHECKING:
    from edge.bluez.rfkill import Block

NAME: Final = "adapter"
_WHY: Final = "no Bluetooth sensor can be read"
_CURE: Final = "homeward doctor"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Ask BlueZ for its radios."""
    used = any(source.reader == "ble" for source in bench.config.sources)
    if not used and not load(bench.config.box.data_dir):
        yield row(NAME, Verdict.NOT_THERE, "no Bluetooth sensor is used")
        return
    if importlib.util.find_spec("dbus_fast") is None:
        cure = "pip install 'homeward[pi]'"
        yield row(NAME, Verdict.FAILED, "dbus-fast is not installed", _WHY, cure)
        return
    from edge.bluez.rfkill import blocked  # noqa: PLC0415  # dbus-fast may be missing

    yield judge(asyncio.run(look()), blocked())


def judge(seen: Seen, blocks: Sequence[Block]) -> SelfTestRow:
    """Return what BlueZ's answer means: what is missing first, or the radio that is on."""
    *_, last = check_bluez(seen, blocks, needed=True)
    return row_of(NAME, last)


PART = Part(NAME, check, _WHY, _CURE)
