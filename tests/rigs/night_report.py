"""What became of a night: the figures, what had to hold, and the table."""

from __future__ import annotations

import math
from collections import Counter
from statistics import median
from typing import Any, Final

import msgspec

from tests.rigs.night_ledger import Account
from tests.rigs.night_watch import ALARM_S

MEDIAN_S, P95_S, WORST_S = 5.0, 30.0, 120.0
"""How soon a link is back, from the moment from which it can be (issue 3)."""
FLIGHT_A_DROP: Final = 5
"""A handful: what may be on its way to the reader when a link goes."""
WARM_H: Final = 2.0
"""By then most of what is bounded is full: four thousand seconds of truth, and so on."""
GROWTH_SHARE: Final = 0.06
"""RSS may end so much above what it was when warm: some bounded memories (the truth and the records
of a glucose sensor, readings, these books) take a day to fill; tracemalloc finds nothing else."""


class Mark(msgspec.Struct, frozen=True):
    """What the process holds at one moment."""

    hour: float
    rss_mb: float
    n_tasks: int
    n_threads: int
    n_files: int
    wall_s: float
    cpu_s: float


class Night(msgspec.Struct):
    """All that is known of a night.

    Attributes
    ----------
    back : list[tuple[str, str, float]]
        Cause, sensor, and seconds from the end of the cause until it was back.
    records : dict[str, tuple[int, int]]
        By sensor: records it made, and how many of them never came.
    n_both : int
        Records that came when they were made and once more from storage.
    """

    hours: float
    n_drops: int
    speed: float
    seed: int
    only: str
    causes: Counter[str]
    began_s: float = 0.0
    names: dict[str, str] = {}
    back: list[tuple[str, str, float]] = []
    marks: list[Mark] = []
    accounts: dict[str, Account] = {}
    records: dict[str, tuple[int, int]] = {}
    n_both: int = 0
    troubles: list[str] = []
    watch: dict[str, Any] = {}
    n_overflow: int = 0
    reader_error: str = ""

    @property
    def warm(self) -> list[Mark]:
        """Return the marks after the warm-up: two hours, or a third of a short night."""
        after_h = min(WARM_H, self.hours / 3)
        return [mark for mark in self.marks if mark.hour >= after_h - 1e-6]


def quantile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else math.nan


def broken(night: Night) -> list[str]:
    """Return what did not hold; empty: the night was good."""
    accounts, took = night.accounts.values(), [s for _, _, s in night.back]
    n_in_flight = sum(one.n_in_flight for one in accounts)
    warm, late = night.warm, night.watch["alarm_after_s"]
    first, last = warm[0], warm[-1]
    most = {what: max(getattr(m, what) for m in warm[: len(warm) // 2 + 1]) for what in _COUNTED}
    checks = {
        "notifications were lost": sum(one.n_lost for one in accounts),
        "packets came twice or from nowhere": sum(a.n_twice + a.n_unasked for a in accounts),
        "packets were dropped in the queue": night.n_overflow,
        "packets of a sensor are out of order": night.watch["n_disordered"],
        "stored records were never fetched": sum(n for _, n in night.records.values()),
        "readings were recorded twice": night.watch["n_readings_twice"],
        "more in flight than a handful a drop": n_in_flight > FLIGHT_A_DROP * len(night.back),
        "the reader failed": night.reader_error,
        "drops were not made good": sum(s == math.inf for s in took),
        "median time to come back": median(took) > MEDIAN_S,
        "95th percentile of the time to come back": quantile(took, 0.95) > P95_S,
        "longest time to come back": max(took) > WORST_S,
        "silences without an alarm": night.watch["n_without_alarm"],
        "the alarm came late": sum(after_s > ALARM_S for after_s in late),
        "memory has grown": last.rss_mb / first.rss_mb - 1 > GROWTH_SHARE,
    }
    checks |= {f"{what} has grown": getattr(last, what) > most[what] for what in _COUNTED}
    return [f"{what}: {value}" for what, value in checks.items() if value]


_COUNTED: Final = ("n_tasks", "n_threads", "n_files")


def table(night: Night) -> str:
    """Return the night for people."""
    lines = [
        (
            f"{night.hours:g} simulated hours, {len(night.accounts)} sensors, "
            f"{sum(night.causes.values())} drops ({len(night.back)} links), seed {night.seed}"
        ),
        *_pace(night),
        "",
        (
            f"{'sensor':16} delivered   packets  known  in flight  lost  twice  unasked  "
            "records  never came"
        ),
    ]
    total = Account()
    for address, one in night.accounts.items():
        lines.append(_row(night.names[address], one, night.records.get(address)))
        for field in one.__struct_fields__:
            setattr(total, field, getattr(total, field) + getattr(one, field))
    n_made = sum(n for n, _ in night.records.values())
    lines.append(_row("all", total, (n_made, sum(n for _, n in night.records.values()))))
    lines += [f"{night.n_both} records came when they were made and once more from storage"]
    lines += ["", f"{'back after':24}   n  median     p95     max"]
    for kind in [*night.causes, "all"]:
        took = [s for cause, _, s in night.back if kind in {cause, "all"}]
        lines.append(
            f"{kind:24} {len(took):3} {median(took):6.1f}s {quantile(took, 0.95):6.1f}s "
            f"{max(took):6.1f}s"
        )
    lines += ["", *_seen(night.watch), "", *_held(night), ""]
    faults = broken(night)
    lines += [*(f"BROKEN {one}" for one in faults), *(f"   {one}" for one in night.troubles)]
    return "\n".join(lines if faults or night.troubles else [*lines, "all of it held"])


def _pace(night: Night) -> list[str]:
    wall_s = night.marks[-1].wall_s - night.marks[0].wall_s
    cpu_s = night.marks[-1].cpu_s - night.marks[0].cpu_s
    return [
        (
            f"{wall_s:.0f} s of wall time ({night.hours * 3600 / wall_s:.0f} times as fast), "
            f"{cpu_s / night.hours:.1f} s of CPU per simulated hour (rig, reader and pipeline)"
        )
    ]


def _row(name: str, one: Account, records: tuple[int, int] | None) -> str:
    made, never = records or ("-", "-")
    return (
        f"{name:16} {one.n_delivered:9} {one.n_packets:9} {one.n_known:6} {one.n_in_flight:10} "
        f"{one.n_lost:5} {one.n_twice:6} {one.n_unasked:8} {made:>8} {never:>11}"
    )


def _seen(watch: dict[str, Any]) -> list[str]:
    after = watch["alarm_after_s"]
    said = f"after {median(after):.1f} s (median), {max(after):.1f} s at most" if after else "never"
    return [
        (
            f"{watch['n_silences']} silences of more than {ALARM_S:g} s, "
            f"{watch['n_without_alarm']} without an alarm; alarm {said}"
        ),
        f"{watch['n_readings']} readings, {watch['n_readings_twice']} recorded twice",
        f"{watch['n_unplanned']} links lost that nobody broke {watch['reasons'] or ''}",
        f"{watch['n_overtaken']} packets with an earlier arrival than one delivered before them",
        "records: " + ", ".join(f"{n} {name}" for name, n in watch["records"].items()),
    ]


def _held(night: Night) -> list[str]:
    marks = night.warm
    first, last = marks[0], marks[-1]
    grown_mb = last.rss_mb - first.rss_mb
    return [
        (
            f"memory   {first.rss_mb:.1f} MB after {first.hour:.1f} h, {last.rss_mb:.1f} MB at "
            f"the end: {grown_mb:+.1f} MB ({100 * grown_mb / first.rss_mb:+.1f} %)"
        ),
        *(
            f"{what[2:]:8} {min(getattr(m, what) for m in marks)} to "
            f"{max(getattr(m, what) for m in marks)}, {getattr(last, what)} at the end"
            for what in _COUNTED
        ),
    ]
