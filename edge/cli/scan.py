"""``homeward scan``: what Bluetooth sensors are in the air, and whether we can read them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from edge.cli import DONE
from edge.cli._sensors import need_bluetooth
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, parse_span, print_json
from edge.cli._tables import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.pairing import Seen


def command(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    span_s: Annotated[
        float, typer.Option("--for", parser=parse_span, metavar="SPAN", help="How long to listen.")
    ] = "10s",  # type: ignore[assignment]  # typer parses the default too
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
    """
    need_bluetooth()
    from edge.cli._air import counted, listen, seen_table, wanted
    from edge.devices import load

    settings = load_config(config, data_dir)
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
