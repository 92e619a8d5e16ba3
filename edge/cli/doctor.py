"""``homeward doctor``: check the box end to end and say how to mend what is wrong."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.text import Text

from edge.cli import DONE, FAILED, FOUND
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, print_json
from edge.cli._tables import console
from edge.config import Config, ConfigError
from edge.doctor import Health, examine
from edge.store import DATABASE

_STYLE = {Health.OK: "green", Health.WARN: "yellow", Health.FAIL: "bold red"}


def command(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    alarm_path: Annotated[
        bool,
        typer.Option(
            "--alarm-path",
            help="Have the running monitor test the way of an alarm, from sensor to sound.",
        ),
    ] = False,
    listen: Annotated[
        bool,
        typer.Option("--listen", help="With --alarm-path: ask what you hear, as loud as an alarm."),
    ] = False,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who listens. Default: your login name.")
    ] = None,
    json: AsJson = False,
) -> int:
    """Check Python, clock, configuration, disk, store, model, extras and the running monitor.

    Each line says what was found; where something is wrong, also why it matters and what mends
    it. Ends with exit code 0 when all is well, 3 with warnings only, 1 when something fails.

    With --alarm-path the running monitor tests everything between a sensor and an ear, as it does
    by itself every day ([selftest]): 0 when the alarm path is proven, 1 when something failed.
    """
    if alarm_path or listen:
        from edge.cli._alarm_path import prove_alarm_path

        return prove_alarm_path(load_config(config, data_dir), listen=listen, by=by, json=json)
    settings: Config | ConfigError
    try:
        settings = load_config(config, data_dir)
    except ConfigError as error:
        settings = error
    counts: Counter[Health] = Counter()
    out = console()
    for finding in examine(settings, DATABASE):
        counts[finding.health] += 1
        if json:
            print_json(finding)
            continue
        line = Text.assemble(
            (f"{finding.health.value:<5}", _STYLE[finding.health]), f"{finding.name}: "
        )
        out.print(line.append(finding.found))
        if finding.why:
            out.print(Text(f"     why:  {finding.why}", style="dim"))
        if finding.cure:
            out.print(Text(f"     mend: {finding.cure}"))
    if json:
        print_json(
            {"record": "doctor", **{f"n_{health.value}": counts[health] for health in Health}}
        )
    if counts[Health.FAIL]:
        return FAILED
    return FOUND if counts[Health.WARN] else DONE
