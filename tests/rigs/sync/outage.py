"""The store of a box that was without a network for three days: real store, real records.

What is made lies over 72 hours of another boot: alerts with their states, summaries by the minute,
the clock's log. Everything goes through `edge.store.Store`, so each record has its entry in the
outbox, its place in the chain, and its time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.clock import WallEntry
from edge.records import Alert, AlertState, Kind, Outcome, Priority, Record, Summary
from edge.store import DATABASE, Run, Store
from tests.edge.store.opened import behind
from tests.rigs.sync.history import Made

HOURS: Final = 72.0
PATIENT: Final = "patient"
BOOT: Final = "boot-of-the-outage"
WALL_S: Final = 1_763_000_000.0
_RULES: Final = (
    ("very_low_spo2", Priority.HIGH, "spo2_pct"),
    ("low_spo2", Priority.MEDIUM, "spo2_pct"),
    ("high_pulse_rate", Priority.MEDIUM, "pulse_bpm"),
)


def fill(data_dir: Path, n: int, seed: int = 5, *, summaries: bool = True) -> None:
    """Make so many entries of the outbox, every other one a summary, or none."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    run = Run("run-of-the-outage", BOOT, 0.0, "0", "digest", "")
    with Store.begin(data_dir / DATABASE, run) as store:
        now_s = 0.0
        for at, (now_s, record) in enumerate(_records(n, seed, 2 if summaries else 1)):
            store.add(Outcome((record,)), now_s)
            if at % 50 == 0:
                entry = WallEntry(BOOT, now_s, WALL_S + now_s, synchronised=True)
                store.backlog.add_clock(entry)
                store.flush(now_s)
        store.flush(now_s)


def _records(n: int, seed: int, every: int) -> Iterator[tuple[float, Record]]:
    chance = random.Random(seed)  # noqa: S311
    step_s = HOURS * 3600.0 / n
    standing: list[Alert] = []
    for i in range(n):
        at_s = (i + 1) * step_s
        if i % every:
            yield at_s, _summary(at_s, chance)
        elif standing and chance.random() < 0.5:
            alert = standing.pop()
            yield at_s, _alert(alert, AlertState.ENDED, at_s)
        else:
            alert = _raised(i, at_s, chance)
            standing.append(alert)
            yield at_s, alert


def _raised(i: int, at_s: float, chance: random.Random) -> Alert:
    rule, priority, name = _RULES[i // 2 % len(_RULES)]
    value = float(chance.randint(70, 140))
    return Alert(
        id=f"outage-{i}",
        patient=PATIENT,
        episode=f"{PATIENT}/{rule}/{i}",
        rule=rule,
        kind=Kind.PHYSIOLOGICAL,
        priority=priority,
        state=AlertState.RAISED,
        since_s=at_s,
        at_s=at_s,
        reason=f"{name} {value:.0f} for 10 s",
        evidence={name: value},
    )


def _alert(alert: Alert, state: AlertState, at_s: float) -> Alert:
    return Alert(
        **{
            **{name: getattr(alert, name) for name in alert.__struct_fields__},
            "state": state,
            "at_s": at_s,
        }
    )


def _summary(at_s: float, chance: random.Random) -> Summary:
    middle = float(chance.randint(55, 95))
    vitals = {
        name: {"n": 60.0, "min": middle - 5, "p50": middle, "max": middle + 5}
        for name in ("hr_bpm", "spo2_pct")
    }
    return Summary(PATIENT, at_s - 60.0, 60.0, {"ecg_mv": 0.98}, vitals, 61, 0, 0, {})


def outbox(data_dir: Path, box: str) -> tuple[list[Made], set[str]]:
    """Return what stands in the outbox of a box that is not running, and what of it is settled."""
    database = behind(data_dir / DATABASE)
    try:
        rows = database.execute(
            "SELECT n, uuid, alert, settled_s FROM outbox ORDER BY n"
        ).fetchall()
    finally:
        database.close()
    made = [
        Made(box, uuid, n, "summary" if alert is None else "alert") for n, uuid, alert, _ in rows
    ]
    return made, {uuid for _, uuid, _, settled_s in rows if settled_s is not None}
