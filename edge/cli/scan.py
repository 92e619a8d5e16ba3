"""``homeward scan``: what sensors are in the air or at a cable, and whether we can read them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from edge.cli import DONE
from edge.cli._sensors import need_bluetooth
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, parse_span, print_json
from edge.cli._tables import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.config import Config
    from edge.pairing import Seen

AIR_S: Final = 10.0


def command(  # noqa: PLR0913  # each is an option
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    serial: Annotated[
        bool, typer.Option("--serial", help="The serial ports instead, and what is at their ends.")
    ] = False,
    span_s: Annotated[
        float | None,
        typer.Option(
            "--for",
            parser=parse_span,
            metavar="SPAN",
            show_default=False,
            help="How long to listen: in the air 10s, at a port with the settings of each device "
            "as long as it takes to know it.",
        ),
    ] = None,
    listens: Annotated[
        bool,
        typer.Option(
            "--listen/--no-listen", show_default=False, help="Open no port, only list them."
        ),
    ] = True,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what we cannot read, and what has no name.")
    ] = False,
    adapter: Annotated[
        str, typer.Option("--adapter", metavar="HCI", help="Radio, if there are several.")
    ] = "",
    json: AsJson = False,
) -> int:
    """List the Bluetooth sensors in the air: what each is, its signal, whether we can read it.

    Sorted by signal, the strongest first. A name proves nothing, anybody can take it: what
    counts is the bond that `homeward pair` makes.

    With --serial: the serial ports, who may open them and who has them, and which device is at the
    end of each free one, with the lines of the configuration that read it. Some devices only send
    when they are asked: ports where nothing known sends by itself are written to. Ends with exit
    code 3 where a port cannot be opened.
    """
    settings = load_config(config, data_dir)
    if serial:
        if adapter or everything:
            raise typer.BadParameter("--adapter and --all do not go with --serial")
        from edge.cli._serial import scan_serial

        return scan_serial(settings, span_s, listens=listens, json=json)
    if not listens:
        raise typer.BadParameter("--no-listen goes with --serial only")
    need_bluetooth()
    return _scan_air(settings, span_s or AIR_S, adapter, everything=everything, json=json)


def _scan_air(
    settings: Config, span_s: float, adapter: str, *, everything: bool, json: bool
) -> int:
    from edge.cli._air import counted, listen, seen_table, wanted
    from edge.devices import load

    known = load(settings.box.data_dir)
    out = console()
    live = out if out.is_terminal and not json else None
    seen = asyncio.run(listen(span_s, adapter, known, live, everything=everything))
    shown = wanted(seen, everything=everything)
    if json:
        for one in shown:
            print_json(one)
        n_readable = sum(one.readable.value == "yes" for one in seen)
        print_json(
            {
                "record": "scan",
                "n_seen": len(seen),
                "n_shown": len(shown),
                "n_readable": n_readable,
                "listened_s": span_s,
            }
        )
    else:
        out.print(seen_table(shown, counted(seen)))
        out.print(Text(_foot(seen, shown), style="dim"))
    return DONE


def _foot(seen: Sequence[Seen], shown: Sequence[Seen]) -> str:
    if not seen:
        return (
            "Nothing was heard. Wake the sensor (a strap wakes on wet skin), bring it nearer, let "
            "go of it on a phone; `homeward doctor` checks the radio."
        )
    hidden = len(seen) - len(shown)
    more = f"{hidden} more that we cannot read: --all. " if hidden else ""
    return f"{more}Pair one with `homeward pair ADDRESS`."
