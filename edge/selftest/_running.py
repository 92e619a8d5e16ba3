"""Run the parts: each in a thread of its own, and not one second longer than its deadline.

A thread that waits for a dead disk or a hung sound card cannot be ended from outside, so it is
left behind, as one that does not keep the monitor from stopping; until it comes back the same part
is not started again, so that a year of daily tests leaves one such thread and not 365.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence

import structlog
from msgspec.structs import replace

from edge.records import SelfTestRow, Verdict
from edge.selftest import ANSWER_S, Bench, Part, row

_log = structlog.get_logger("selftest")


class Runner:
    """Runs parts, one after the other.

    Parameters
    ----------
    parts : Sequence[Part]
        As `edge.discover` finds them.
    now_s : Callable
        The boot clock.
    """

    def __init__(self, parts: Sequence[Part], now_s: Callable[[], float]) -> None:
        self._parts, self._now_s = tuple(parts), now_s
        self._left_behind: dict[tuple[str, str], threading.Thread] = {}

    def run(self, bench: Bench, tell: Callable[[SelfTestRow], None]) -> tuple[SelfTestRow, ...]:
        """Run every part; hand each row on as it comes, and return all of them.

        Blocks for at most the sum of the deadlines.
        """
        rows = []
        for part in self._parts:
            for found in self._rows_of(part, bench):
                rows.append(found)
                tell(found)
        return tuple(rows)

    def _rows_of(self, part: Part, bench: Bench) -> Iterator[SelfTestRow]:
        try:
            subjects = part.subjects(bench)
        except Exception as error:  # noqa: BLE001  # the other parts go on
            yield _failed(part, "", f"cannot be tried ({error!r})")
            return
        for subject in subjects:
            yield from self._job(part, subject, bench)

    def _job(self, part: Part, subject: str, bench: Bench) -> Iterator[SelfTestRow]:
        key = (part.name, subject)
        before = self._left_behind.pop(key, None)
        if before is not None and before.is_alive():
            self._left_behind[key] = before
            yield _failed(part, subject, "an earlier test of it still hangs")
            return
        told: queue.SimpleQueue[SelfTestRow | None] = queue.SimpleQueue()
        thread = threading.Thread(
            target=_check, args=(part, subject, bench, told), daemon=True, name=f"test {part.name}"
        )
        last_s = self._now_s()
        until_s = last_s + part.deadline_s + (ANSWER_S if bench.listening and part.asks else 0.0)
        thread.start()
        while True:
            try:
                found = told.get(timeout=max(0.0, until_s - self._now_s()))
            except queue.Empty:
                self._left_behind[key] = thread
                _log.warning("hangs", part=part.name, subject=subject)
                yield _failed(part, subject, f"no answer within {until_s - last_s:.0f} s: it hangs")
                return
            if found is None:
                return
            now_s = self._now_s()
            yield replace(found, took_s=round(now_s - last_s, 3))
            last_s = now_s


def _check(
    part: Part, subject: str, bench: Bench, told: queue.SimpleQueue[SelfTestRow | None]
) -> None:
    try:
        for found in part.check(bench, subject):
            told.put(found)
    except Exception as error:  # noqa: BLE001  # told as what it is: the part does not work
        _log.warning("part failed", part=part.name, exc_info=True)
        told.put(_failed(part, subject, f"the test itself failed ({error!r})"))
    finally:
        told.put(None)


def _failed(part: Part, subject: str, found: str) -> SelfTestRow:
    return row(part.name, Verdict.FAILED, found, part.why, part.cure, subject)
