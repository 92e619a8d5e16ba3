"""How the box and its patients are at this moment, as that may leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, TypeAlias

from edge.clock import TimeQuality, WallLog
from edge.egress.alert import VitalsOut, vitals_of
from edge.egress.board import outside
from edge.egress.bounds import MAX_NAME, checked, counted, cut, within
from edge.egress.messages import HeartbeatOut
from edge.egress.numbers import NumbersOut
from edge.live import Live
from edge.store import Run

FRESH_S: Final = 60.0
"""A value that is older is none of now."""

At: TypeAlias = tuple[WallLog, float, Run]
"""What wall time it is, the boot clock, and the run."""


def heartbeat(
    live: Live, at: At, box: str, uuid: str, facts: tuple[int, int, bool]
) -> HeartbeatOut:
    """Return how the box is.

    Parameters
    ----------
    facts : tuple[int, int, bool]
        Patients, messages that wait, whether all is watched that should be.

    Raises
    ------
    edge.egress.EgressError
        It does not keep to its bounds.
    """
    wall, now_s, run = at
    n_patients, n_unsent, watching = facts
    utc, quality = _utc(wall, now_s, run)
    return checked(
        HeartbeatOut(
            uuid,
            box,
            cut(run.version, MAX_NAME),
            cut(run.model_id, 2 * MAX_NAME),
            utc,
            quality,
            now_s,
            watching,
            n_patients,
            counted(len(live.alerts)),
            counted(n_unsent),
            within(live.box.get("disk_free_pct"), 0.0, 100.0) or 0.0,
        )
    )


def numbers(
    live: Live, at: At, box: str, patients: Sequence[str], pseudonym: Callable[[str], str]
) -> list[NumbersOut]:
    """Return how each patient is; one of whom nothing is known too.

    Raises
    ------
    edge.egress.EgressError
        It does not keep to its bounds.
    """
    wall, now_s, run = at
    utc, quality = _utc(wall, now_s, run)
    found = []
    for patient in patients:
        standing = [alert for alert in live.alerts if alert.patient == patient]
        worst = max((alert.priority for alert in standing), key=lambda one: one.rank, default=None)
        ages = [source.age_s for source in live.sources if source.patient == patient]
        values = VitalsOut()
        for one in live.patients:
            if one.patient == patient:
                fresh = [n for n in one.vitals if one.age_s.get(n, 0.0) <= FRESH_S]
                values = vitals_of({name: one.vitals[name] for name in fresh})
        who, is_watched = outside(patient, pseudonym), min(ages, default=FRESH_S) < FRESH_S
        n = counted(len(standing))
        out = NumbersOut(box, who, utc, quality, is_watched, worst, n, values)
        found.append(checked(out))
    return found


def _utc(wall: WallLog, now_s: float, run: Run) -> tuple[datetime | None, TimeQuality | None]:
    with suppress(LookupError):
        return wall.utc_of(now_s, run.boot_id)
    return None, None
