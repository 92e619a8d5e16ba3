"""``homeward whatif``: the patient's own past under other limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from edge.cli import DONE, FOUND
from edge.cli._past import axis_of, nights_of, recalled, say_note, the_patient
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
from edge.cli._whatif import danger, headline, print_answer, print_sweep, question
from edge.config.changes import in_force, laid_over, read_changes, read_sweep
from edge.whatif.axis import Axis
from edge.whatif.comparing import RuleChange
from edge.whatif.study import Answer, Question, SweepRow, ask, picture, summary, sweep
from edge.whatif.worlds import Episode

WEEK_S: Final = 7 * 86400.0


def command(  # noqa: PLR0913  # each is an option of the command
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="LIMIT=VALUE",
            help="What would be set otherwise, e.g. alarms.low_spo2.limit_pct=86; repeat it for "
            "more.",
        ),
    ] = None,
    sweeping: Annotated[
        str | None,
        typer.Option(
            "--sweep",
            metavar="LIMIT=LOW..HIGH",
            help="One line for each value, e.g. alarms.low_spo2.limit_pct=84..92.",
        ),
    ] = None,
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="ID", help="Whose limits and alarms.")
    ] = None,
    span_s: Annotated[
        float | None,
        typer.Option(
            "--span", metavar="SPAN", parser=parse_span, help="The last of it, default 7d."
        ),
    ] = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(
            "--log",
            metavar="FILE",
            help="A packet log, the oldest first. Default: those the monitor keeps.",
        ),
    ] = None,
    recording: Annotated[
        Path | None, typer.Option(metavar="RECORDING", help="A recording instead.")
    ] = None,
    simulate: Annotated[
        str | None, typer.Option(metavar="SCENARIO", help="A simulated patient instead.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it as an SVG picture.")
    ] = None,
    json: AsJson = False,
) -> int:
    """Ask the patient's own past what other limits would have changed.

    The same past is lived through twice, with the limits in force now and with those of --set,
    each all the time, and compared: alarms that would not have come, new ones, later ones, and
    for how long a value was beyond the limit in force and nobody would have been told. Nothing
    is changed by asking. Ends with exit code 3 when an alarm would be missed.
    """
    plugins = plugin_defaults()
    settings = load_config(config, data_dir, plugins)
    who = the_patient(settings, patient)
    now = in_force(settings, who)
    after = laid_over(now, read_changes(changes or [], now, plugins))
    swept = read_sweep(sweeping, now, plugins) if sweeping is not None else None
    if svg is not None and not svg.absolute().parent.is_dir():
        raise CommandError(f"there is no folder {svg.absolute().parent} for the picture")
    nights = recalled(
        settings, nights_of(settings, logs or [], recording, simulate, span_s or WEEK_S), quiet=json
    )
    asked = Question(nights, settings, who, now)
    answer = ask(asked, after)
    axis = axis_of(settings, nights)
    rows = [] if swept is None else sweep(asked, *swept, answer.before)
    if json:
        _print_json(answer, axis, rows)
    else:
        if swept is None or changes:
            print_answer(answer, axis)
        if swept is not None:
            print_sweep(rows, swept[0], swept[1])
    if svg is not None:
        svg.write_text(_drawn(answer, axis), encoding="utf-8")
        say_note(f"the picture is in {svg}")
    return FOUND if any(rule.missed for rule in answer.rules) else DONE


def _drawn(answer: Answer, axis: Axis) -> str:
    title, _, rest = headline(answer).partition(": ")
    lost = [line for line in danger(answer, axis) if line.startswith("!")]
    return picture(answer, axis, title, [*question(answer), rest, *lost])


def _print_json(answer: Answer, axis: Axis, rows: list[SweepRow]) -> None:
    for change in answer.rules:
        print_json(_rule_fact(change))
        for kept in change.kept:
            fact = _episode_fact(kept.before, "kept", axis)
            after = [{"at_s": e.raised_s, "length_s": e.length_s} for e in kept.after]
            print_json({**fact, "later_s": kept.later_s, "after": after})
        for change_name, episodes in (("missed", change.missed), ("new", change.new)):
            for episode in episodes:
                print_json(_episode_fact(episode, change_name, axis))
    for one in answer.untold:
        fact = msgspec.structs.asdict(one)
        print_json({"record": "untold", **fact, "at": axis.label(one.night, one.at_s)})
    for row in rows:
        print_json(row)
    print_json(summary(answer))


def _rule_fact(change: RuleChange) -> dict[str, object]:
    middle_s, most_s = change.delays_s()
    return {
        "record": "rule",
        "rule": change.rule,
        "n_before": change.n_before,
        "n_after": change.n_after,
        "n_kept": len(change.kept),
        "n_missed": len(change.missed),
        "n_new": len(change.new),
        "later_median_s": middle_s,
        "later_most_s": most_s,
        "standing_before_s": change.s_before,
        "standing_after_s": change.s_after,
    }


def _episode_fact(episode: Episode, change: str, axis: Axis) -> dict[str, object]:
    return {
        "record": "episode",
        "change": change,
        "rule": episode.rule,
        "priority": episode.priority.value,
        "night": episode.night,
        "at_s": episode.raised_s,
        "length_s": episode.length_s,
        "at": axis.label(episode.night, episode.raised_s),
        "reason": episode.reason,
    }
