"""``homeward consent``: what may leave the box, and switching it."""

from __future__ import annotations

import sys
import uuid
from enum import StrEnum
from typing import Annotated, Any

import typer

from edge.cli import DONE, FOUND
from edge.cli._people import warn_unstored
from edge.cli._record import Times
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    homeward_version,
    load_config,
    print_json,
)
from edge.cli._tables import console, table
from edge.clock import BootClock
from edge.config import Config
from edge.config.consent import ConsentFileError, read_switches, write_switches
from edge.control import ChangeConsent, Status
from edge.control.client import ControlClient, NotRunningError
from edge.egress.consent import COVERS, GRAVE, WITHOUT, Switch, switches_of
from edge.store import DATABASE, History, LedgerEntry, LedgerKind, Run, Store


class Action(StrEnum):
    """What to do."""

    SHOW = "show"
    SET = "set"


class OnOff(StrEnum):
    """How a switch is to stand."""

    ON = "on"
    OFF = "off"


def command(  # noqa: PLR0913  # each is an option of the command
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.SHOW,
    kind: Annotated[
        Switch | None, typer.Argument(help="set: what may leave, or not.", show_default=False)
    ] = None,
    value: Annotated[OnOff | None, typer.Argument(help="set: on or off.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who you are.")] = None,
    why: Annotated[
        str | None, typer.Option("--why", metavar="TEXT", help="For what reason.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    json: AsJson = False,
) -> int:
    """Show what may leave this box, or switch a kind of content on or off.

    It counts at once, over restarts too, and stands above [consent] of the settings; who switched
    it and why is recorded. What waits unsent of a kind that is switched off is not sent any more,
    not even when it is switched on again. What has left stays in `homeward ledger`. Ends with exit
    code 3 when it counts but could not be recorded.
    """
    settings = load_config(config, data_dir)
    if action is Action.SHOW:
        return _show(settings, json=json)
    if kind is None or value is None:
        names = ", ".join(switch.value for switch in Switch)
        raise typer.BadParameter(f"write: homeward consent set KIND on|off; kinds: {names}")
    if not by or not by.strip() or not why or not why.strip():
        raise typer.BadParameter('who switches it and why: --by NAME --why "..."')
    request = ChangeConsent(kind, value is OnOff.ON, by.strip(), why.strip())
    if not request.on:
        typer.echo(f"without {kind.value}: {WITHOUT[kind]}.", err=True)
        if kind in GRAVE and not yes:
            if not sys.stdin.isatty():
                raise CommandError("nobody can be asked here whether this is meant: add --yes")
            if not typer.confirm("Switch it off all the same?", err=True):
                typer.echo("nothing is changed", err=True)
                return DONE
    return _told(_change(settings, request), request, json=json)


def _change(settings: Config, request: ChangeConsent) -> dict[str, Any]:
    try:
        with ControlClient(settings.box.socket) as client:
            return {**client.ask(request), "live": True}
    except NotRunningError:
        return {**_change_here(settings, request), "live": False}


def _change_here(settings: Config, request: ChangeConsent) -> dict[str, Any]:
    """Switch without a monitor: recorded first, so that nothing is switched unseen."""
    home, clock = settings.box.data_dir, BootClock()
    version = f"{homeward_version()} (consent)"
    run = Run(str(uuid.uuid4()), clock.boot_id, clock.now_s(), version, "")
    try:
        kept = dict(read_switches(home))
    except ConsentFileError:  # lost: what stands from now on is what is in force without it
        lost = switches_of(settings.consent, None)
        kept = {switch.value: on for switch, on in lost.items()}
    was = switches_of(settings.consent, kept)[request.switch]
    kept[request.switch.value] = request.on
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = switches_of(settings.consent, kept)
    with Store.begin(home / DATABASE, run) as store:
        store.backlog.add_clock(clock.read())
        store.backlog.withheld = frozenset(s.value for s, on in now.items() if not on)
        stage, ref = ("on" if request.on else "off"), f"consent:{request.switch.value}"
        body = {"why": request.why, "was": was}
        now_s = clock.now_s()
        entry = LedgerEntry(LedgerKind.CONSENT, ref, stage, request.by, now_s, body)
        store.backlog.vouch(entry, now_s)
        try:
            write_switches(home, kept)
        except ConsentFileError as error:
            raise CommandError(str(error)) from error
        store.flush(now_s)
    return {"switch": request.switch.value, "on": request.on, "was": was, "stored": True}


def _told(answer: dict[str, Any], request: ChangeConsent, *, json: bool) -> int:
    if json:
        print_json({"record": "consent", **answer})
    else:
        when = "from now on" if answer["live"] else "no monitor runs: from its next start on"
        stands = "may leave" if request.on else "does not leave"
        typer.echo(f"{request.switch.value} {stands}, {when}: {COVERS[request.switch]}")
    warn_unstored(stored=bool(answer["stored"]))
    return DONE if answer["stored"] else FOUND


def _show(settings: Config, *, json: bool) -> int:
    switches, n_withheld, trouble = _standing(settings)
    last: dict[str, str] = {}
    database = settings.box.data_dir / DATABASE
    if database.exists():
        with History.open(database) as history:
            times = Times(history, BootClock().read())
            for row in history.consents():
                when, why = times.when(row.at_s, row.boot_id), row.body.get("why", "")
                last[row.ref.partition(":")[2]] = f"{row.by} on {when}: {why}"
            for name, n in history.withheld().items():
                n_withheld[name] = n_withheld.get(name, 0) + n
    rows = []
    for switch in Switch:
        said = last.get(switch.value, "the settings")
        on, n = bool(switches[switch.value]), n_withheld.get(switch.value, 0)
        rows.append((switch.value, on, said, n))
        if json:
            fact = {"switch": switch.value, "on": on, "said_by": said, "n_withheld": n}
            print_json({"record": "consent_switch", **fact})
    if json:
        print_json({"record": "consent", "trouble": trouble, "switches": switches})
    else:
        cells = [
            (name, "may leave" if on else "DOES NOT LEAVE", COVERS[Switch(name)], said, str(n))
            for name, on, said, n in rows
        ]
        heads = ("kind", "", "what it is", "said by", "kept back")
        console().print(table("What may leave the box, where there is a destination", heads, cells))
        if trouble:
            typer.echo(f"! {trouble}")
    return FOUND if trouble else DONE


def _standing(settings: Config) -> tuple[dict[str, bool], dict[str, int], str]:
    """Return the switches, what was kept back since the monitor's start, and trouble with them."""
    try:
        with ControlClient(settings.box.socket) as client:
            consent = client.ask(Status())["consent"]
        return consent["switches"], dict(consent["n_withheld"]), consent["trouble"]
    except NotRunningError:
        pass
    trouble, kept = "", None
    try:
        kept = read_switches(settings.box.data_dir)
    except ConsentFileError as error:
        trouble = str(error)
    switches = switches_of(settings.consent, kept)
    return {switch.value: on for switch, on in switches.items()}, {}, trouble
