"""What stood when the monitor was last alive, for a start that goes on with it.

Where the key of the records cannot be had yet the start does not wait for it: it is one without.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from edge.clock import TimeQuality, WallEntry, WallLog
from edge.pipeline import Kept
from edge.pseudonyms import Pseudonym
from edge.records import SelfTest
from edge.store import History, KeptAlerts, Keys, StoredSelfTest, StoreError
from edge.store.of_people import pseudonym_from
from edge.store.salvage import places_of, rows_of

_log = structlog.get_logger("resume")


def kept_in(path: Path, now: WallEntry, keys: Keys | None = None) -> Kept | None:
    """Return what the alert engine remembered, from the store; None: nothing that can be read.

    A start without it is safe: what still holds is raised again, and nothing is paused.
    """
    for place in places_of(path, keys):
        try:
            with History.open(place, keys) as history:
                kept = history.kept_alerts()
        except StoreError as error:
            _log.warning("alerts begin anew", error=str(error))
            continue
        if kept is not None:
            return as_of(kept, now)
    return None


def clock_was_set(path: Path, boot_id: str, keys: Keys | None = None) -> bool:
    """Return whether the store knows that the wall clock was set in this boot."""
    if not path.exists():
        return False
    try:
        with History.open(path, keys) as history:
            return any(e.boot_id == boot_id and e.synchronised for e in history.clock_log())
    except StoreError as error:
        _log.warning("the log of the clock cannot be read", error=str(error))
        return False


def as_of(kept: KeptAlerts, now: WallEntry) -> Kept:
    """Return the state with what the clocks say of the time between.

    Across a boot only wall time can tell, and only where both moments were synchronised: a Pi
    without a clock of its own comes up with the time at which it went down.
    """
    at = kept.at
    if at.boot_id == now.boot_id:
        return Kept(kept.state, at.boot_s, same_boot=True)
    away_s = now.wall_s - at.wall_s
    known = at.synchronised and now.synchronised and away_s >= 0.0
    return Kept(kept.state, at.boot_s, same_boot=False, away_s=away_s if known else None)


def pseudonyms_in(path: Path, keys: Keys | None = None) -> tuple[Pseudonym, ...]:
    """Return what patients are called outside, as far as that can be read.

    Of a damaged file that is what still reads of it. Patients of whom it does not are called
    something new: that a receiver sees two where there is one is the lesser harm.
    """
    found: list[Pseudonym] = []
    for place in reversed(places_of(path, keys)):  # the last of a patient counts
        try:
            with History.open(place, keys) as history:
                found += history.pseudonyms()
        except StoreError as error:
            _log.warning("what patients are called outside cannot be read", error=str(error))
            found += _pseudonyms_left(place, keys)
    return tuple(found)


def _pseudonyms_left(damaged: Path, keys: Keys | None) -> list[Pseudonym]:
    try:
        return [pseudonym_from(row) for row in rows_of(damaged, "pseudonyms", keys)]
    except (StoreError, KeyError, TypeError, ValueError):
        return []  # the trouble was just told


class Tested(msgspec.Struct, frozen=True):
    """The self-tests before this start, with times on the clock of this boot.

    Attributes
    ----------
    last : SelfTest | None
        The last one; None: there was none, or nobody knows how long ago it was.
    ended_s, proven_s : float, float | None
        When it ended, and when the last one that passed did; may lie before the boot.
    """

    last: SelfTest | None = None
    ended_s: float = 0.0
    proven_s: float | None = None


def tested_in(path: Path, now: WallEntry, keys: Keys | None = None) -> Tested:  # noqa: PT028  # no test
    """Return the self-tests that are on record; one whose age nobody knows is as good as none."""
    if not path.exists():
        return Tested()
    try:
        with History.open(path, keys) as history:
            stored, log = history.self_tests(), WallLog(history.clock_log())
    except StoreError as error:
        _log.warning("no self-test is known of", error=str(error))
        return Tested()
    ended = [(one.test, _on_this_boot(one, log, now)) for one in stored]
    known = [(test, ended_s) for test, ended_s in ended if ended_s is not None]
    if not known or ended[-1][1] is None:
        return Tested()
    proven = [ended_s for test, ended_s in known if test.passed]
    return Tested(*known[-1], max(proven, default=None))


def _on_this_boot(stored: StoredSelfTest, log: WallLog, now: WallEntry) -> float | None:
    """Return when a self-test ended, on the clock of this boot; None where nobody knows."""
    ended_s = stored.test.ended_s
    if stored.boot_id == now.boot_id:
        return ended_s if ended_s <= now.boot_s else None
    try:
        utc, quality = log.utc_of(ended_s, stored.boot_id)
    except LookupError:
        return None
    ago_s = now.wall_s - utc.timestamp()
    known = now.synchronised and quality is not TimeQuality.UNSYNCED and ago_s >= 0.0
    return now.boot_s - ago_s if known else None
