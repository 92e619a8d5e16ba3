"""``homeward simulate wearable``: virtual Bluetooth sensors to try everything without hardware."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import signal
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

import edge.virtual
from edge.cli._shared import AsJson, CommandError, ConfigFile, DataDir, parse_span, print_json
from edge.discover import discover, plugin_names
from edge.virtual import Wearable
from edge.virtual._bus import SYSTEM_BUS, BusError, private_bus

if TYPE_CHECKING:
    from edge.virtual._onair import OnAir

SECONDS_A_LINE = 10.0
"""How often it is told what was sent."""
DEFAULT = "heart_rate"


class Kind(msgspec.Struct, tag="kind", tag_field="record"):
    """One kind of virtual wearable: a line of ``--list --json``."""

    name: str
    words: str
    local_name: str
    displays_passkey: bool


class Happened(msgspec.Struct, tag="simulate", tag_field="record", omit_defaults=True):
    """One line of ``--json``.

    Attributes
    ----------
    what : str
        ``ready``, ``connected``, ``disconnected``, ``passkey``, ``sent`` or ``ended``.
    n_sent : int
        Notifications and indications that arrived since the last ``sent``, or in all (``ended``).
    rate_hz : float
        The same a second.
    """

    what: str
    name: str = ""
    address: str = ""
    bus: str = ""
    reason: int = 0
    passkey: str = ""
    n_sent: int = 0
    rate_hz: float = 0.0


def command(
    what: Annotated[str, typer.Argument(metavar="wearable", help="What to simulate.")],
    kinds: Annotated[
        list[str] | None, typer.Argument(metavar="[KIND ...]", help="Which; see --list.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    length_s: Annotated[
        float | None,
        typer.Option("--for", metavar="SPAN", parser=parse_span, help="Stop after, e.g. 60s."),
    ] = None,
    *,
    show_list: Annotated[bool, typer.Option("--list", help="List the kinds and end.")] = False,
    json: AsJson = False,
) -> None:
    """Put virtual wearables on a simulated radio, for `homeward scan`, `pair` and `run`.

    No hardware and no rights: the radio, the air and the sensors are simulated, on a D-Bus of
    their own that the other commands use instead of the machine's Bluetooth. They send what the
    real ones send, byte for byte, and pair as they do. Not a medical device.
    """
    del config, data_dir
    if what != "wearable":
        raise typer.BadParameter(f"{what!r} cannot be simulated; try `homeward simulate wearable`")
    if show_list:
        _list(json=json)
        return
    chosen = [_wearable(name) for name in kinds or [DEFAULT]]
    if importlib.util.find_spec("bumble") is None or importlib.util.find_spec("dbus_fast") is None:
        raise CommandError("bumble is not installed: pip install 'homeward[simulate]'")
    # Ended from outside, it takes its bus away as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with private_bus() as address:
            asyncio.run(_simulate(_Teller(json=json), address, chosen, length_s))
    except BusError as error:
        raise CommandError(str(error)) from error


def _list(*, json: bool) -> None:
    found = discover(edge.virtual, "WEARABLE", Wearable)
    if json:
        for one in found:
            print_json(Kind(one.name, one.words, one.local_name, one.displays_passkey))
        print_json({"record": "kinds", "n_kinds": len(found)})
        return
    width = max(len(one.name) for one in found)
    for one in found:
        passkey = " (shows a passkey)" if one.displays_passkey else ""
        typer.echo(f"{one.name:<{width}}  {one.words}{passkey}")


def _wearable(name: str) -> Wearable:
    known = plugin_names(edge.virtual)
    if name not in known:
        raise typer.BadParameter(f"no wearable is called {name!r}; there are: {', '.join(known)}")
    found = importlib.import_module(f"edge.virtual.{name}").WEARABLE
    if not isinstance(found, Wearable):
        raise TypeError(f"edge.virtual.{name}.WEARABLE is no Wearable")
    return found


class _Teller:
    """Says what happens, for people or for programs."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self.n_sent = 0
        self._counts: Counter[str] = Counter()

    def tell(self, happened: Happened, words: str) -> None:
        if self._json:
            print_json(happened)
        else:
            typer.echo(words)

    def ready(self, address: str, held: list[OnAir]) -> None:
        for one in held:
            self.tell(
                Happened("ready", one.name, one.address, bus=address),
                f"{one.name} ({one.address}) is on the air: {one.wearable.words}",
            )
        if not self._json:
            typer.echo(
                "\nIn another terminal:\n"
                f"  export {SYSTEM_BUS}={address}\n"
                "  homeward scan\n"
                f"  homeward pair {held[0].address}\n"
                "\nCtrl-C ends it.\n"
            )

    def watch(self, one: OnAir) -> None:
        """Tell of links, passkeys and what is sent."""

        def link(up: bool, reason: int) -> None:  # noqa: FBT001  # the radio's
            what = "connected" if up else "disconnected"
            why = "" if up else f" (reason 0x{reason:02x})"
            self.tell(
                Happened(what, one.name, one.address, reason=reason), f"{one.name}: {what}{why}"
            )

        def number(shown: int) -> None:
            text = f"{shown:06d}"
            self.tell(
                Happened("passkey", one.name, one.address, passkey=text),
                f"{one.name} shows the passkey {text[:3]} {text[3:]}",
            )

        one.on_link = link
        one.screen.on_number = number
        one.on_delivered = lambda _: self._count(one)

    def _count(self, one: OnAir) -> None:
        self.n_sent += 1
        self._counts[one.address] += 1

    def sent(self, held: list[OnAir], span_s: float) -> None:
        """Tell how much was sent since the last time."""
        for one in held:
            n_sent = self._counts.pop(one.address, 0)
            if n_sent:
                rate_hz = round(n_sent / span_s, 2)
                self.tell(
                    Happened("sent", one.name, one.address, n_sent=n_sent, rate_hz=rate_hz),
                    f"{one.name}: {n_sent} packets in {span_s:.0f} s ({rate_hz:g} a second)",
                )


async def _simulate(
    teller: _Teller, address: str, chosen: list[Wearable], length_s: float | None
) -> None:
    from edge.virtual._bluez import Bluez

    loop = asyncio.get_running_loop()
    bluez = await Bluez(address).start()
    try:
        held = [await bluez.put_on_air(one, seed) for seed, one in enumerate(chosen, 1)]
        for one in held:
            teller.watch(one)
        teller.ready(address, held)
        end_s = loop.time() + (length_s or float("inf"))
        while (left_s := end_s - loop.time()) > 0.0:
            span_s = min(SECONDS_A_LINE, left_s)
            await asyncio.sleep(span_s)
            teller.sent(held, span_s)
    finally:
        teller.tell(
            Happened("ended", n_sent=teller.n_sent), f"Sent {teller.n_sent} packets in all."
        )
        await bluez.stop()
