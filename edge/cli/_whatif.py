"""A what-if on the terminal: numbers, what is not told any more, and a timeline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from rich.text import Text

from edge.cli._tables import console, span_text, table
from edge.whatif.axis import Axis, span_label
from edge.whatif.comparing import RuleChange, Untold, by_priority
from edge.whatif.study import Answer, SweepRow, changed_words, curves_of, unit_words
from edge.whatif.worlds import Episode, World

COLUMNS: Final = 72
HOUR_S: Final = 3600.0
SHOWN: Final = 12
"""So many single spans are listed; the rest is counted."""
_BARS: Final = " ▁▂▃▄▅▆▇█"
ANSWERS: Final = (
    "Answers are followed as they were given: a pause is a pause; an acknowledgement goes to the "
    "alarm of the same rule that stands then"
)


def print_answer(answer: Answer, axis: Axis) -> None:
    """Print all of it."""
    out = console()
    out.print(Text(headline(answer), style="bold"))
    for line in question(answer):
        out.print(Text(line))
    out.print()
    out.print(table("", ("", "in force", "what if", ""), _totals(answer.before, answer.after)))
    out.print()
    if answer.rules:
        heads = ("rule", "in force", "what if", "kept", "missed", "new", "later", "standing")
        out.print(table("Alarms by rule", heads, [_rule_row(one) for one in answer.rules]))
        out.print()
    for line in danger(answer, axis):
        out.print(Text(line, style="bold yellow" if line.startswith("!") else ""))
    for drawn in timeline(answer, axis):
        out.print(drawn)
    passed = answer.after.n_passed_over - answer.before.n_passed_over
    more = f"; {passed} found none and were passed over" if passed > 0 else ""
    out.print(Text(f"{ANSWERS}{more}.", style="dim"))


def headline(answer: Answer) -> str:
    """Return the answer in one sentence."""
    before, after = len(answer.before.episodes), len(answer.after.episodes)
    span = span_text(answer.before.watched_s)
    who = f"{answer.patient}, {span} watched"
    later = [one.later_s for rule in answer.rules for one in rule.kept if one.later_s > 0.0]
    if before == after and not any(rule.differs for rule in answer.rules):
        return f"{who}: {before} alarms, and these limits would have changed nothing"
    tail = f", {len(later)} of them later, by up to {max(later):.0f} s" if later else ""
    missed = sum(len(rule.missed) for rule in answer.rules)
    lost = f"; {missed} would not have come" if missed else ""
    return f"{who}: {after} alarms instead of {before}{tail}{lost}"


def question(answer: Answer) -> list[str]:
    """Return what was asked, a line a setting."""
    lines = []
    for key, (old, new) in changed_words(answer).items():
        unit = unit_words(key.rpartition(".")[2])
        lines.append(f"  {key}: {_value(old)} -> {_value(new)} {unit}".rstrip())
    return lines or ["  nothing is set otherwise (--set alarms.low_spo2.limit_pct=86)"]


def danger(answer: Answer, axis: Axis) -> Iterator[str]:
    """Give the lines about what nobody would be told any more."""
    by_rule: dict[str, list[Untold]] = {}
    for one in answer.untold:
        by_rule.setdefault(one.rule, []).append(one)
    for rule, found in by_rule.items():
        watched = answer.watched[rule]
        limit = answer.alarms_before[rule].settings[watched.limit]
        unit = unit_words(watched.limit)
        side, pick = ("below", min) if watched.below else ("above", max)
        total_s = sum(one.seconds for one in found)
        alone = [one for one in found if not one.also]
        extreme = "lowest" if watched.below else "highest"
        worst = pick(one.worst for one in found)
        yield (
            f"! {rule} would not tell of {span_text(total_s)} {side} {limit:g} {unit} in "
            f"{len(found)} spans; {extreme} {worst:.1f} {unit}"
        )
        alone_s = sum(one.seconds for one in alone)
        if alone:
            yield (
                f"! of these {span_text(alone_s)} with no other alarm of this number; "
                f"{extreme} {pick(o.worst for o in alone):.1f} {unit}"
            )
        for one in sorted(found, key=lambda o: -o.seconds)[:SHOWN]:
            also = f" ({', '.join(one.also)} would tell)" if one.also else ""
            at = axis.label(one.night, one.at_s)
            yield f"    {at:>20}  {one.seconds:4.0f} s, {one.worst:.1f} {unit}{also}"
        if len(found) > SHOWN:
            yield f"    and {len(found) - SHOWN} shorter ones"
        yield ""


def timeline(answer: Answer, axis: Axis) -> Iterator[Text]:
    """Give a drawing of every rule that is set or alarms otherwise."""
    touched = {key.partition(".")[0] for key in changed_words(answer)}
    for change in answer.rules:
        if change.rule not in touched and not change.differs:
            continue
        yield Text(change.rule, style="bold")
        watched = answer.watched.get(change.rule)
        if watched is not None:
            found = curves_of(answer.nights, answer.patient, watched.features)
            parts = axis.envelope(found, COLUMNS)
            values = [part[1] if watched.below else part[2] for part in parts]
            yield Text(f"  {_curve_name(values):>12} ").append(_sparks(values), style="dim")
        missed, new = ({id(e) for e in part} for part in (change.missed, change.new))
        before = _lane(answer.before.of(change.rule), missed, "x", axis)
        after = _lane(answer.after.of(change.rule), new, "+", axis)
        yield Text(f"  {'in force':>12} ").append(before, style="blue")
        yield Text(f"  {'what if':>12} ").append(after, style="red")
        yield Text("")
    length = span_label(axis.length_s)
    yield Text(f"  {'':>12} 0{length:>{COLUMNS - 1}}   x missed, + new", style="dim")


def print_sweep(rows: Sequence[SweepRow], rule: str, setting: str) -> None:
    """Print a small table: limit -> alarms."""
    unit = unit_words(setting)
    heads = (f"{rule}.{setting}", "its alarms", "all", "a day", "missed", "new", "min", "not told")
    lines = []
    for row in rows:
        mark = "  <- in force" if row.in_force else ""
        cells = (
            f"{row.value:g} {unit}".rstrip(),
            str(row.n_rule),
            str(row.n_all),
            f"{row.a_day:.1f}",
            str(row.n_missed),
            str(row.n_new),
            f"{row.alarm_min:.1f}",
            span_text(row.untold_s) + mark,
        )
        style = "bold" if row.in_force else ""
        lines.append([Text(cell, style=style) for cell in cells])
    out = console()
    out.print(table("What each limit would have given", heads, lines))
    out.print(
        Text("not told: time beyond the limit in force without this rule's alarm\n", style="dim")
    )


def _totals(before: World, after: World) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, float, float, int]] = [
        ("alarms", len(before.episodes), len(after.episodes), 0),
        (
            "  a day",
            before.a_day(len(before.episodes)),
            after.a_day(len(after.episodes)),
            1,
        ),
    ]
    was, now = by_priority(before), by_priority(after)
    rows += [(f"  {priority.value}", was[priority], now[priority], 0) for priority in was]
    rows += [
        ("minutes in alarm", before.alarm_s / 60.0, after.alarm_s / 60.0, 1),
        ("  a day", before.a_day(before.alarm_s) / 60.0, after.a_day(after.alarm_s) / 60.0, 1),
        ("minutes audible", before.audible_s / 60.0, after.audible_s / 60.0, 1),
    ]
    if before.watched_s < HOUR_S:  # so short a time says nothing of a day
        rows = [row for row in rows if row[0] != "  a day"]
    return [(name, f"{a:.{n}f}", f"{b:.{n}f}", _signed(b - a, n)) for name, a, b, n in rows]


def _signed(value: float, decimals: int) -> str:
    text = f"{value:+.{decimals}f}"
    return "" if float(text) == 0.0 else text


def _rule_row(change: RuleChange) -> tuple[str, ...]:
    middle_s, most_s = change.delays_s()
    later = "-"
    if any(one.later_s for one in change.kept):
        later = f"{middle_s:+.0f} s (most {most_s:+.0f})"
    return (
        change.rule,
        str(change.n_before),
        str(change.n_after),
        str(len(change.kept)),
        str(len(change.missed)),
        str(len(change.new)),
        later,
        f"{span_text(change.s_before)} -> {span_text(change.s_after)}",
    )


def _lane(episodes: Sequence[Episode], odd: set[int], mark: str, axis: Axis) -> str:
    cells = ["·"] * COLUMNS
    for episode in episodes:
        first = int(axis.place(episode.night, episode.raised_s) * COLUMNS)
        last = int(axis.place(episode.night, episode.ended_s) * COLUMNS)
        for cell in range(min(first, COLUMNS - 1), min(last, COLUMNS - 1) + 1):
            cells[cell] = mark if id(episode) in odd else "█"
    return "".join(cells)


def _sparks(values: Sequence[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return " " * len(values)
    low, high = min(known), max(known)
    span = high - low or 1.0
    return "".join(
        " " if math.isnan(value) else _BARS[1 + round(7 * (value - low) / span)] for value in values
    )


def _curve_name(values: Sequence[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    return f"{min(known):.0f}..{max(known):.0f}" if known else ""


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
