"""What is in the air, on a terminal: the table of a scan, drawn while it runs."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

import edge.decoders
from edge.bluez import Bluez, BluezError
from edge.cli._tables import table
from edge.devices import Device
from edge.discover import discover
from edge.gatt import Profile
from edge.pairing import Readable, Scan, Seen, explained, ready_adapter

REDRAW_S: Final = 0.25
_STRENGTH_DBM: Final = (-80.0, -70.0, -60.0)
"""Between these a link is poor, fair, good, very good; rules of thumb for Bluetooth LE."""
_BARS: Final = "▂▄▆█"
_BAR_STYLE: Final = ("red", "yellow", "green", "green")
_READABLE_STYLE: Final = {Readable.YES: "green", Readable.MAYBE: "yellow", Readable.NO: "dim"}


def all_profiles() -> tuple[Profile, ...]:
    """Return every Bluetooth profile that some decoder understands."""
    decoders = discover(edge.decoders, "DECODER", edge.decoders.Decoder)
    return tuple(profile for decoder in decoders for profile in decoder.profiles)


async def listen(
    span_s: float,
    adapter: str,
    known: Sequence[Device],
    live: Console | None,
    *,
    everything: bool,
) -> tuple[Seen, ...]:
    """Return what is in the air; draw it meanwhile, if there is a console."""
    try:
        async with Bluez.connect() as bluez:
            radio = await ready_adapter(bluez, adapter)
            async with Scan(bluez, radio, all_profiles(), known) as running:
                await watch(running, span_s, live, everything=everything)
                return running.seen()
    except BluezError as error:
        raise explained(error, "cannot use Bluetooth") from error


async def watch(running: Scan, span_s: float, live: Console | None, *, everything: bool) -> None:
    """Let a scan run; draw what it has heard meanwhile, if there is a console."""
    if live is None:
        await asyncio.sleep(span_s)
        return
    with Live(console=live, auto_refresh=False, transient=True) as screen:
        n_looks = max(1, round(span_s / REDRAW_S))
        for n_look in range(n_looks):
            seen = running.seen()
            left_s = (n_looks - n_look) * REDRAW_S
            title = f"{counted(seen)}, listening for another {math.ceil(left_s)} s"
            screen.update(seen_table(wanted(seen, everything=everything), title), refresh=True)
            await asyncio.sleep(REDRAW_S)


def wanted(seen: Sequence[Seen], *, everything: bool) -> tuple[Seen, ...]:
    """Return what a person looks for: what can be read or is his already."""
    return tuple(
        one for one in seen if everything or one.registered or one.readable is not Readable.NO
    )


def counted(seen: Sequence[Seen]) -> str:
    """Return how much is there, in words."""
    return f"{len(seen)} Bluetooth LE device{'' if len(seen) == 1 else 's'} in the air"


def bars(rssi_dbm: float | None) -> Text:
    """Return a signal strength as bars and number."""
    if rssi_dbm is None:
        return Text("linked", style="dim")
    n_bars = 1 + sum(rssi_dbm >= limit for limit in _STRENGTH_DBM)
    strong, weak = _BARS[:n_bars], _BARS[n_bars:]
    return Text.assemble((strong, _BAR_STYLE[n_bars - 1]), (weak, "dim"), f" {rssi_dbm:.0f} dBm")


def seen_table(seen: Iterable[Seen], title: str, *, numbered: bool = False) -> Table:
    """Return the table of what is in the air."""
    rows: list[tuple[str | Text, ...]] = []
    for number, one in enumerate(seen, 1):
        row = (
            bars(one.rssi_dbm),
            one.name or "-",
            one.words or "-",
            Text.assemble((one.readable.value, _READABLE_STYLE[one.readable]), f": {one.why}"),
            one.registered or ("bonded, no sensor of this box" if one.bonded else ""),
            one.address if one.identity else f"{one.address} (changes)",
        )
        rows.append((str(number), *row) if numbered else row)
    heads = ("signal", "name", "what it is", "readable", "paired as", "address")
    return table(title, ("no", *heads) if numbered else heads, rows)
