"""One table: how far sample times are off on a radio, and whether the stated bound covers it.

    python -m tests.bench.timeline [--seeds 200] [--minutes 30] [--only WORD] [--json]

Every row is a condition of `tests.rigs.arrivals` over that many seeds (a tenth of them where a
run has ten times the packets). Errors are those of the worse end of a run, estimated less true
time, from the second minute of a clock on; "seen from the box" leaves out the shortest delay of
the run, which no box can see. The truth is that of the model, its link included.
"""

from __future__ import annotations

import argparse
import json

import msgspec
import numpy as np

from edge.dsp.beat_clock import BeatClock
from edge.dsp.timeline import StreamClock
from edge.records import Samples, TimeArray
from tests.rigs import strap_arrivals
from tests.rigs.arrivals import Drop, Link, draw, judge

SETTLED_S = 60.0
DROPS = tuple(
    Drop(120.0 + 200.0 * i, for_s, keeps=False)
    for i, for_s in enumerate((1.0, 3.0, 10.0, 30.0, 60.0, 5.0, 20.0, 45.0))
)
KEPT = tuple(Drop(drop.at_s, drop.for_s, keeps=True) for drop in DROPS)
BOARD = {"fs_hz": 250.0, "n": 25, "clock": "us32"}
MANY = 10
"""Rows with more packets a second than these take a tenth of the seeds."""


RR_SLIP_S = 2.0


def summed_times(samples: Samples, arrived_s: float, last_s: float) -> TimeArray:
    """Return times added up from the beat before, set anew when they stray: the simple way."""
    spans_s = np.nan_to_num(samples.values.astype(np.float64)) / 1000.0
    from_last = last_s + np.cumsum(spans_s)
    if abs(from_last[-1] - arrived_s) > RR_SLIP_S or from_last[-1] > arrived_s:
        from_last = np.maximum(arrived_s - (np.sum(spans_s) - np.cumsum(spans_s)), last_s)
    return from_last


class Condition(msgspec.Struct, frozen=True):
    """One row, and what it has to reach.

    Attributes
    ----------
    link : dict
        What differs from a quiet strap, see `tests.rigs.arrivals.Link`; where it has no rates,
        the sensor's is within 50 ppm and the radio's within 20.
    p99_ms : float
        Largest allowed error of 99 % of the runs, in all; infinite: the bound has to cover it.
    exact : bool
        Stamps or numbers tell every gap to the sample.
    """

    name: str
    link: dict[str, object]
    p99_ms: float = np.inf
    exact: bool = True


def _intervals(name: str, limits_ms: dict[float, float], **link: object) -> list[Condition]:
    return [
        Condition(f"{name}, events every {ms:g} ms", {"interval_s": ms / 1000, **link}, limit_ms)
        for ms, limit_ms in limits_ms.items()
    ]


CONDITIONS = [
    *_intervals("ECG 130 Hz", {7.5: 5, 15: 5, 30: 5, 50: 5, 100: 10, 400: 20, 1000: 40}),
    *_intervals(
        "board 250 Hz", {7.5: 5, 15: 10, 30: 15, 50: 60, 100: 110, 400: 110, 1000: 120}, **BOARD
    ),
    Condition("ECG, -100 ppm", {"ppm": -100.0}, 5),
    Condition("ECG, +100 ppm", {"ppm": 100.0}, 5),
    Condition("ECG, no event fails", {"loss": 0.0}, 5),
    Condition("ECG, 10 % of the events fail", {"loss": 0.1}, 5),
    Condition("ECG, 30 % of the events fail", {"loss": 0.3}, 5),
    Condition("ECG, 400 ms, 30 % fail", {"loss": 0.3, "interval_s": 0.4}, 20),
    Condition("1 sample a packet", {"n": 1, "clock": "us32"}, 10),
    Condition("5 samples a packet", {"n": 5, "clock": "us32"}, 5),
    Condition("36 samples a packet", {"n": 36, "clock": "us32"}, 5),
    Condition("25 Hz, 1 sample a packet", {"n": 1, "fs_hz": 25.0, "clock": "us32"}, 15),
    Condition("1 Hz, 1 sample a packet", {"n": 1, "fs_hz": 1.0, "clock": "us32"}, 60),
    Condition("5 % of the notifications lost", {"lost": 0.05}, 5),
    Condition("27 % of the notifications lost", {"lost": 0.27}, 5),
    Condition("5 % of the notifications twice", {"twice": 0.05}, 5),
    Condition("8 drops of 1-60 s, lost", {"drops": DROPS}, 5),
    Condition("8 drops of 1-60 s, kept", {"drops": KEPT}, 5),
    Condition("interval 50 -> 400 -> 15 ms", {"updates": ((600.0, 0.4), (1200.0, 0.015))}, 10),
    Condition("clock back to 2019, twice", {"resets": (600.0, 1200.0)}, 6),
    Condition(
        "board off for 3 s and 20 s", {"restarts": ((600.0, 3.0), (1200.0, 20.0)), **BOARD}, 60
    ),
    Condition(
        "board, 32 bit wrap, drops, 5 % lost",
        {"first_tick": 2**32 - 600_000_000, "drops": DROPS, "lost": 0.05, **BOARD},
        60,
    ),
    Condition("no clock", {"clock": "count"}, 5, exact=False),
    Condition("no clock, 0.8 % off", {"clock": "count", "ppm": 8000.0}, 10, exact=False),
    Condition("no clock, 1 % lost", {"clock": "count", "lost": 0.01}, exact=False),
    Condition("no clock, drops, lost", {"clock": "count", "drops": DROPS}, exact=False),
    Condition("no clock, drops, kept", {"clock": "count", "drops": KEPT}, 5, exact=False),
]


def link_of(condition: Condition, seed: int, length_s: float) -> Link:
    """Return one link of a condition."""
    rng = np.random.default_rng([seed, 9])
    rates = {"ppm": rng.uniform(-50, 50), "central_ppm": rng.uniform(-20, 20)}
    return msgspec.convert({**rates, "length_s": length_s, **condition.link}, Link, strict=False)


def measure(condition: Condition, n_seeds: int, length_s: float) -> dict[str, object]:
    """Return one row of the table."""
    errors, seen, early, bounds, covered, covered_early = [], [], [], [], [], []
    n_gaps = n_right = n_false = n_missing = n_told = 0
    seam_s = 0.0
    for seed in range(n_seeds):
        link = link_of(condition, seed, length_s)
        arrivals = draw(link, seed)
        found = judge(arrivals, StreamClock(link.fs_hz), link.n)
        late = found.since_s > SETTLED_S
        inside = np.abs(found.error_s) <= found.bound_s
        errors.append(found.error_s[late])
        seen.append(found.error_s[late] - found.least_s)
        early.append(found.error_s[~late])
        bounds.append(found.bound_s[late])
        covered.append(inside[late])
        covered_early.append(inside[~late])
        # How long a sensor was off that began anew can only be told from two arrivals.
        anew = np.diff(found.life, prepend=found.life[0]) > 0
        slack = np.where(anew & (found.n_missing > 0), (link.interval_s + 0.2) * link.fs_hz, 0)
        right = np.abs(found.n_skipped - found.n_missing) <= slack
        n_gaps += int((found.n_missing > 0).sum())
        n_right += int((right & (found.n_missing > 0)).sum())
        n_false += int((~right & (found.n_missing == 0)).sum())
        n_missing += int(found.n_missing.sum())
        n_told += int(found.n_skipped.sum())
        seam_s = max(seam_s, float(np.abs(found.seam_s[found.n_skipped == 0]).max()))
        assert (found.step_s > 0).all()
        assert found.n_stale == found.n_repeated

    def ms(parts: list[np.ndarray], share: float) -> float:
        return round(float(np.quantile(np.abs(np.concatenate(parts)), share)) * 1e3, 1)

    return {
        "condition": condition.name,
        "runs": n_seeds,
        "median, ms": ms(errors, 0.5),
        "p99": ms(errors, 0.99),
        "max": ms(errors, 1.0),
        "p99 seen from the box": ms(seen, 0.99),
        "p99, first minute": ms(early, 0.99),
        "stated": ms(bounds, 0.5),
        "covered, %": round(float(np.concatenate(covered).mean()) * 100, 2),
        "first minute, %": round(float(np.concatenate(covered_early).mean()) * 100, 2),
        "gaps": n_gaps,
        "right": n_right,
        "false": n_false,
        "samples missing": n_missing,
        "told": n_told,
        "seam, us": round(seam_s * 1e6, 3),
    }


def n_seeds_of(condition: Condition, n_seeds: int) -> int:
    """Return the seeds a row takes."""
    link = link_of(condition, 0, 60.0)
    return max(1, n_seeds // 10) if link.fs_hz / link.n > MANY - 1 else n_seeds


STRAPS = {
    "a packet a second": {},
    "a packet a beat": {"timer": False},
    "a second, 100 ppm": {"ppm": 100.0},
    "a second, 30 % of the events fail": {"loss": 0.3},
    "a second, events every 400 ms": {"interval_s": 0.4},
    "a second, heart in step with it": {"rr_s": 1.0, "spread_s": 0.005},
    "a second, 2 % lost": {"lost": 0.02},
    "a beat, 2 % lost": {"timer": False, "lost": 0.02},
}


def measure_beats(name: str, n_seeds: int, length_s: float) -> dict[str, object]:
    """Return one row of the table of beats: three ways of timing them."""
    ways: dict[str, list[np.ndarray]] = {"arrival": [], "sum": [], "line": []}
    inside = []
    for seed in range(n_seeds):
        rate = {"rr_s": np.random.default_rng([seed, 5]).uniform(0.6, 1.1), "length_s": length_s}
        strap = msgspec.convert({**rate, **STRAPS[name]}, strap_arrivals.Strap)
        clock, last_s = BeatClock(), -np.inf
        for sent in strap_arrivals.draw(strap, seed):
            times_s, bound_s = clock.place(sent.run, sent.arrived_s)
            summed_s = summed_times(sent.run, sent.arrived_s, last_s)
            last_s = summed_s[-1]
            inside.append(np.abs(times_s - sent.true_s) <= bound_s)
            if sent.true_s[0] > 50.0 + SETTLED_S:
                ways["arrival"].append(sent.arrived_s - sent.true_s)
                ways["sum"].append(summed_s - sent.true_s)
                ways["line"].append(times_s - sent.true_s)
    row: dict[str, object] = {"strap": name, "runs": n_seeds}
    for way, parts in ways.items():
        off_ms = np.abs(np.concatenate(parts)) * 1e3
        row[f"{way}: median, ms"] = round(float(np.median(off_ms)), 1)
        row[f"{way}: p99"] = round(float(np.quantile(off_ms, 0.99)), 1)
    row["covered, %"] = round(float(np.concatenate(inside).mean()) * 100, 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.timeline", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", default="", help="rows with this in their name")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    length_s = chosen.minutes * 60.0
    samples = [
        measure(condition, n_seeds_of(condition, chosen.seeds), length_s)
        for condition in CONDITIONS
        if chosen.only in condition.name
    ]
    beats = [
        measure_beats(name, max(1, chosen.seeds // 4), length_s)
        for name in STRAPS
        if chosen.only in name
    ]
    for rows in (samples, beats):
        if chosen.json:
            for row in rows:
                print(json.dumps(row))
        elif rows:
            print("| " + " | ".join(rows[0]) + " |")
            print("|" + " --- |" * len(rows[0]))
            for row in rows:
                print("| " + " | ".join(str(value) for value in row.values()) + " |")
            print()


if __name__ == "__main__":
    main()
