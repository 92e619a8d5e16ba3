"""``homeward limits``: what is in force for whom, and changing it with the past in view."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from edge.cli import DONE, FOUND
from edge.cli._limits import change, now_text, reload_as_started
from edge.cli._limits_listed import list_changes, list_limits
from edge.cli._past import axis_of, nights_of, recalled, say_note, the_patient
from edge.cli._people import warn_unstored
from edge.cli._shared import (
    AsJson,
    CommandError,
    ConfigFile,
    DataDir,
    load_config,
    parse_span,
    plugin_defaults,
    print_json,
)
from edge.cli._vault import has_vault
from edge.cli._whatif import print_answer
from edge.config import Config, PluginDefaults
from edge.config.changes import in_force, read_changes
from edge.control import ChangeLimits
from edge.keys import KeysError
from edge.limits import Decision, LimitsError, decide
from edge.records import LimitAct, Role
from edge.whatif.study import Question, ask, unit_words

DAY_S: Final = 86400.0


class Action(StrEnum):
    """What is done with the limits."""

    LIST = "list"
    SET = "set"
    RESET = "reset"
    PRESET = "preset"
    NEW_PATIENT = "new-patient"
    SCALE1 = "scale1"
    SCALE2 = "scale2"
    LOG = "log"


_ACTS: Final = {
    Action.SET: LimitAct.SET,
    Action.RESET: LimitAct.RESET,
    Action.PRESET: LimitAct.PRESET,
    Action.NEW_PATIENT: LimitAct.NEW_PATIENT,
    Action.SCALE1: LimitAct.SCALE,
    Action.SCALE2: LimitAct.SCALE,
}


class _Asked(msgspec.Struct, frozen=True):
    """What the options of the command say beside the request itself."""

    plugins: PluginDefaults
    span_s: float
    logs: list[Path]
    recording: Path | None
    past: bool
    yes: bool
    json: bool


def command(  # noqa: PLR0913  # each is an option of the command
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.LIST,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORD]...",
            help="set: LIMIT=VALUE...; reset: LIMIT..., none for all; preset: its name; "
            "new-patient: a preset's name, or nothing.",
        ),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="ID", help="Whose limits.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who you are.")] = None,
    as_whom: Annotated[
        str | None,
        typer.Option("--as", metavar="ROLE", help="As whom: carer or clinician."),
    ] = None,
    role: Annotated[
        Role | None,
        typer.Option("--role", help="The role; --as is your name then.", case_sensitive=False),
    ] = None,
    why: Annotated[
        str | None, typer.Option("--why", metavar="TEXT", help="For what reason.")
    ] = None,
    span_s: Annotated[
        float | None,
        typer.Option(
            "--span", metavar="SPAN", parser=parse_span, help="So much past is asked; default 1d."
        ),
    ] = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option("--log", metavar="FILE", help="Ask this packet log, as `homeward whatif`."),
    ] = None,
    recording: Annotated[
        Path | None, typer.Option(metavar="RECORDING", help="Ask this recording.")
    ] = None,
    past: Annotated[
        bool, typer.Option("--past/--no-past", help="Ask the past before a limit is set.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    json: AsJson = False,
) -> int:
    """Show the limits in force, or change them for one patient, and say who does and why.

    Before a limit is set the patient's own last day is asked what it would have changed. A monitor
    that runs takes the change over at once; it lasts over restarts, and is recorded. Ends with
    exit code 3 when it counts but could not be recorded.
    """
    plugins = plugin_defaults()
    settings = load_config(config, data_dir, plugins)
    if action is Action.LIST:
        return list_limits(settings, plugins, patient, json=json)
    if action is Action.LOG:
        return list_changes(settings, json=json)
    who, as_role = _who(by, as_whom, role)
    if not why:
        raise typer.BadParameter('say for what reason: --why "..."', param_hint="--why")
    request = _request(action, words or [], settings, plugins, the_patient(settings, patient))
    request = msgspec.structs.replace(request, by=who, role=as_role, why=why)
    reload = reload_as_started(config, data_dir)
    decision = _decided(settings, request, reload)
    asked = _Asked(plugins, span_s or DAY_S, logs or [], recording, past, yes, json)
    _show(settings, decision, asked)
    if not _agreed(decision, asked):
        say_note("nothing is changed")
        return DONE
    return _told(change(settings, request, reload), decision, json=json)


def _who(by: str | None, as_whom: str | None, role: Role | None) -> tuple[str, Role]:
    """Return name and role: ``--by NAME --as ROLE``, or ``--as NAME --role ROLE``."""
    if role is None:
        try:
            role = Role((as_whom or Role.CARER.value).lower())
        except ValueError:
            raise typer.BadParameter(
                f"{as_whom!r} is no role: patient, carer or clinician. Write --by NAME --as ROLE, "
                f"or --as NAME --role ROLE",
                param_hint="--as",
            ) from None
    elif by is None:
        by = as_whom
    if not by or not by.strip():
        raise typer.BadParameter("who changes it? give --by NAME", param_hint="--by")
    return by.strip(), role


def _request(
    action: Action,
    words: list[str],
    settings: Config,
    plugins: PluginDefaults,
    patient: str,
) -> ChangeLimits:
    act = _ACTS[action]
    request = ChangeLimits(act, "-", Role.CARER, "-", patient)
    if action is Action.SET:
        layer = read_changes(words, in_force(settings, patient), plugins)
        return msgspec.structs.replace(request, settings={r: dict(t) for r, t in layer.items()})
    if action is Action.RESET:
        return msgspec.structs.replace(request, keys=tuple(words))
    if len(words) > 1 or (words and act is LimitAct.SCALE):
        raise typer.BadParameter(f"{action} takes no {words[-1]!r}", param_hint="WORD")
    if action is Action.PRESET and not words:
        raise typer.BadParameter("which preset?", param_hint="WORD")
    scale = 2 if action is Action.SCALE2 else 1
    return msgspec.structs.replace(request, preset=words[0] if words else "", scale=scale)


def _decided(settings: Config, request: ChangeLimits, reload: Any) -> Decision:  # noqa: ANN401
    """Return what would come of it, or say why it cannot be."""
    try:
        return decide(settings, request, now_text(), reload)
    except LimitsError as error:
        raise CommandError(str(error)) from error


def _show(settings: Config, decision: Decision, asked: _Asked) -> None:
    """Say in words what will change, and what the past says of it."""
    for line in _lines(settings, decision):
        say_note(line)
    told = decision.told
    if not told.rules or not asked.past or told.act is LimitAct.NEW_PATIENT:
        return
    chosen = bool(asked.logs) or asked.recording is not None
    if not chosen and not has_vault(settings.box.data_dir):
        say_note(
            "there is no past to ask what this would have changed (see `homeward whatif --help`)"
        )
        return
    past = nights_of(settings, asked.logs, asked.recording, None, asked.span_s)
    try:
        nights = recalled(settings, past, quiet=asked.json)
    except KeysError as error:  # no reason not to change a limit
        say_note(f"the past cannot be asked what this would have changed: {error}")
        return
    question = Question(nights, settings, told.patient, in_force(settings, told.patient))
    answer = ask(question, in_force(decision.config, told.patient))
    if not asked.json:
        print_answer(answer, axis_of(settings, nights))


def _lines(settings: Config, decision: Decision) -> list[str]:
    told = decision.told
    old = in_force(settings, told.patient)
    lines = []
    for rule, limits in told.rules.items():
        for name, value in limits.values.items():
            before = old[rule].settings[name]
            if before != value:
                unit = unit_words(name)
                lines.append(f"{told.patient}: {rule}.{name} {before:g} -> {value:g} {unit}")
        if limits.enabled and not old[rule].enabled:
            words = rule.replace("_", " ")
            lines.append(
                f"{told.patient}: {words} ALARMS again ({old[rule].priority.value} priority)"
            )
    lines += [f"{told.patient}: {warning}" for warning in decision.warnings]
    if told.act is LimitAct.NEW_PATIENT:
        lines.append(
            f"{told.patient}: somebody else lies here. Limits and facts of the one before are put "
            f"aside, what was entered, answered and paused is cleared; {told.detail}"
        )
    elif told.act is LimitAct.PRESET:
        lines.append(f"{told.patient}: {told.detail}; limits that were set one by one are gone")
        if "copd" in told.detail:
            lines.append(
                "SpO2 scale 2 of NEWS2 is not switched on by a preset: `homeward limits scale2`"
            )
    if decision.facts is not None and told.act is LimitAct.SCALE:
        scale = decision.facts.spo2_scale
        lines.append(f"{told.patient}: NEWS2 uses SpO2 scale {scale}")
    return lines or [f"{told.patient}: nothing is set otherwise by this"]


def _agreed(decision: Decision, asked: _Asked) -> bool:
    if asked.yes:
        return True
    if not sys.stdin.isatty():
        raise CommandError("nobody can be asked here whether this is meant: add --yes")
    return typer.confirm(f"Change this for {decision.told.patient}?", err=True)


def _told(answer: dict[str, Any], decision: Decision, *, json: bool) -> int:
    if json:
        for one in answer["changes"]:
            print_json(one)
        for warning in decision.warnings:
            print_json({"record": "warning", "text": warning})
        print_json(
            {
                "record": "limits",
                "act": decision.told.act,
                "patient": decision.told.patient,
                "n_changes": len(answer["changes"]),
                "live": answer["live"],
                "stored": answer["stored"],
            }
        )
    else:
        when = "in force now" if answer["live"] else "no monitor runs: in force when one starts"
        typer.echo(f"{decision.told.patient}: {when}; written down by {decision.told.by}")
    warn_unstored(stored=bool(answer["stored"]))
    return DONE if answer["stored"] else FOUND
