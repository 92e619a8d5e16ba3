"""What a fault campaign found: one row's result, its bars, and the table of all rows."""

from __future__ import annotations

import math
from collections import Counter
from statistics import median

import msgspec

from edge.readers._ble_faults import TABLE, UNKNOWN
from tests.rigs.fault_rows import NOT_MADE, ROWS, Row

MEDIAN_S, P95_S, MAX_S, ALERT_S = 5.0, 30.0, 120.0, 10.0
_ACTIONS = {one.row: one.action.value for one in (*TABLE, UNKNOWN)}


class Result(msgspec.Struct):
    """What became of one row.

    Attributes
    ----------
    n_injected : int
        Injections.
    recovered_s : list[float]
        Time to recover of each that did.
    alerts_s : list[float]
        Where data stayed away for more than 10 s: how long after the last sample ``signal_lost``
        stood; inf: not at all.
    did : Counter
        In how many injections the reader met or did what.
    n_disturbed : int
        Injections in which the other sensor fell silent, though nothing had happened to it.
    n_lost, n_double : int
        Of what reached the box's radio: what the reader did not deliver, or did twice.
    n_double_starts : int
        Scans that were started twice.
    failures, notes : list[str]
        What went wrong in the play itself; what is to be looked at.
    """

    row: str
    n_injected: int = 0
    recovered_s: list[float] = []
    alerts_s: list[float] = []
    did: dict[str, int] = {}
    n_disturbed: int = 0
    n_lost: int = 0
    n_double: int = 0
    n_double_starts: int = 0
    failures: list[str] = []
    notes: list[str] = []
    wall_s: float = 0.0
    speed: float = 1.0

    def quantile_s(self, share: float) -> float:
        """Return a quantile of the recoveries; NaN where there was none."""
        known = sorted(self.recovered_s)
        return known[math.ceil(share * len(known)) - 1] if known else math.nan

    def missed(self, row: Row) -> list[str]:
        """Return the bars that were missed."""
        lost_alerts = [one for one in self.alerts_s if one > ALERT_S]
        bars = (
            (len(self.recovered_s) == self.n_injected > 0, "recover"),
            (bool(self.recovered_s), "none"),
            (bool(self.recovered_s) and self.median_s <= MEDIAN_S + row.given_s, "median"),
            (self.quantile_s(0.95) <= P95_S + row.given_s, "p95"),
            (self.quantile_s(1.0) <= MAX_S, "max"),
            (not lost_alerts, "alert"),
            (not self.n_disturbed, "disturbed"),
            (not self.n_double, "double"),
            (not self.n_double_starts, "scan twice"),
            (not self.failures, "play"),
            (not row.meets or any(self.did.get(one) for one in row.meets), "not met"),
        )
        return [name for held, name in bars if not held]

    @property
    def median_s(self) -> float:
        """Return the median of the recoveries."""
        return median(self.recovered_s)


HEAD = (
    f"{'row':34} {'ref':5} {'from':6} {'x':>4} {'inj':>4} {'back':>4} {'median':>7} {'p95':>6} "
    f"{'max':>6} {'given':>5} {'alert':>12} {'lost':>5} {'dup':>4} {'dist':>4}  "
    f"{'missed':18} what the reader did"
)


def line(row: Row, result: Result) -> str:
    """Return the line of a row."""
    due = len(result.alerts_s)
    in_time = sum(one <= ALERT_S for one in result.alerts_s)
    worst = f"{max(result.alerts_s):.1f}" if due else ""
    alert = f"{in_time}/{due} {worst}s" if due else "not due"
    middle_s = result.median_s if result.recovered_s else math.nan
    return (
        f"{row.name:34} {row.source:5} {row.counts:6} {result.speed:4.0f} {result.n_injected:4d} "
        f"{len(result.recovered_s):4d} {middle_s:7.1f} {result.quantile_s(0.95):6.1f} "
        f"{result.quantile_s(1.0):6.1f} {row.given_s:5.0f} {alert:>12} {result.n_lost:5d} "
        f"{result.n_double:4d} {result.n_disturbed:4d}  {','.join(result.missed(row)) or '-':18} "
        f"{_did(result)}"
    )


def _did(result: Result) -> str:
    most = sorted(result.did.items(), key=lambda one: -one[1])[:5]
    words = (
        f"{what[1:] if what[0] == '!' else what}"
        f"{' > ' + _ACTIONS[what] if what in _ACTIONS else ''} {n}"
        for what, n in most
    )
    return ", ".join(words)


def everything(results: list[Result]) -> Result:
    """Return all rows as one."""
    did: Counter[str] = Counter()
    for one in results:
        did.update(one.did)
    return Result(
        "all",
        sum(one.n_injected for one in results),
        [at for one in results for at in one.recovered_s],
        [at for one in results for at in one.alerts_s],
        dict(did),
        sum(one.n_disturbed for one in results),
        sum(one.n_lost for one in results),
        sum(one.n_double for one in results),
        sum(one.n_double_starts for one in results),
        [text for one in results for text in one.failures],
        [text for one in results for text in one.notes],
        sum(one.wall_s for one in results),
        0.0,
    )


def unmapped() -> list[str]:
    """Return the rows of the reader's own table that no injection is to meet."""
    meant = {name for row in ROWS for name in row.meets}
    return [one.row for one in (*TABLE, UNKNOWN) if one.row not in meant]


def show(rows: list[Row], results: list[Result]) -> None:
    """Print the table."""
    print(HEAD)
    for row, result in zip(rows, results, strict=True):
        print(line(row, result))
    whole = everything(results)
    print(line(msgspec.structs.replace(rows[0], name="ALL", source="", counts="", given_s=0.0,
                                       meets=()), whole))  # fmt: skip
    print(f"scans started twice: {whole.n_double_starts}; {whole.wall_s:.0f} s")
    for row in rows:
        if row.given_s:
            print(f"given: {row.name}: {row.given_s:.0f} s, {row.why}")
    for result in results:
        for text in result.failures:
            print(f"failed: {result.row}: {text}")
        for text in result.notes[:5]:
            print(f"note: {result.row}: {text}")
    for what, why in NOT_MADE.items():
        print(f"not made: {what}: {why}")
    for name in unmapped():
        print(f"not made: reader's row `{name}`: no injection")
