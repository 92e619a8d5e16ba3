"""Parts run one after the other; what hangs, fails or cannot begin stops none of the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from edge.records import SelfTestRow, Verdict
from edge.selftest import Bench, Part, row
from edge.selftest._running import Runner
from tests.edge.selftest.bench import bench

QUICK_S = 0.5


def part(name: str, check: object, **more: object) -> Part:
    return Part(name, check, "why", "cure", **{"deadline_s": 5.0, **more})


def passes(_: Bench, subject: str) -> Iterator[SelfTestRow]:
    yield row("good", Verdict.PASSED, "works", subject=subject)


def test_what_hangs_fails_after_its_deadline_and_the_rest_goes_on(tmp_path: Path) -> None:
    go_on = threading.Event()

    def hangs(_: Bench, subject: str) -> Iterator[SelfTestRow]:
        yield row("bad", Verdict.PASSED, "begun", subject=subject)
        go_on.wait()
        yield row("bad", Verdict.PASSED, "too late", subject=subject)

    runner = Runner([part("bad", hangs, deadline_s=QUICK_S), part("good", passes)], time.monotonic)
    told: list[SelfTestRow] = []
    begin_s = time.monotonic()
    found = runner.run(bench(tmp_path), told.append)
    assert QUICK_S <= time.monotonic() - begin_s < QUICK_S + 1.0
    assert list(found) == told
    assert [(one.part, one.verdict) for one in found] == [
        ("bad", Verdict.PASSED),
        ("bad", Verdict.FAILED),
        ("good", Verdict.PASSED),
    ]
    assert "it hangs" in found[1].found
    # A year of daily tests leaves one thread that hangs, and not 365.
    n_threads = threading.active_count()
    again = runner.run(bench(tmp_path), told.append)
    assert threading.active_count() == n_threads
    assert [one.found for one in again] == ["an earlier test of it still hangs", "works"]
    go_on.set()
    deadline_s = time.monotonic() + 5.0
    while threading.active_count() >= n_threads:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    healed = runner.run(bench(tmp_path), told.append)
    assert [one.found for one in healed] == ["begun", "too late", "works"]


def test_one_that_hangs_does_not_hide_its_neighbour(tmp_path: Path) -> None:
    def check(_: Bench, subject: str) -> Iterator[SelfTestRow]:
        if subject == "card":
            threading.Event().wait(5.0)
        yield row("ways", Verdict.PASSED, "lit", subject=subject)

    ways = part("ways", check, subjects=lambda _: ("card", "lamp"), deadline_s=QUICK_S)
    found = Runner([ways], time.monotonic).run(bench(tmp_path), lambda _: None)
    assert [(one.subject, one.verdict) for one in found] == [
        ("card", Verdict.FAILED),
        ("lamp", Verdict.PASSED),
    ]


def test_what_raises_has_failed_with_its_reason(tmp_path: Path) -> None:
    def broken(_: Bench, __: str) -> Iterator[SelfTestRow]:
        raise ZeroDivisionError("a bug")

    def no_subjects(_: Bench) -> tuple[str, ...]:
        raise OSError("no bus")

    parts = [part("bug", broken), part("bus", passes, subjects=no_subjects), part("good", passes)]
    found = Runner(parts, time.monotonic).run(bench(tmp_path), lambda _: None)
    assert [one.verdict for one in found] == [Verdict.FAILED, Verdict.FAILED, Verdict.PASSED]
    assert "a bug" in found[0].found
    assert "no bus" in found[1].found
    assert (found[0].why, found[0].cure) == ("why", "cure")


def test_a_person_who_is_asked_has_more_time(tmp_path: Path) -> None:
    def slow(_: Bench, __: str) -> Iterator[SelfTestRow]:
        time.sleep(2 * QUICK_S)
        yield row("slow", Verdict.PASSED, "heard")

    asking = part("slow", slow, deadline_s=QUICK_S, asks=True)
    (found,) = Runner([asking], time.monotonic).run(bench(tmp_path, listening=True), print)
    assert found.verdict is Verdict.PASSED
    assert found.took_s >= 2 * QUICK_S
    # A disk has no more time because a person is there.
    silent = part("slow", slow, deadline_s=QUICK_S)
    (found,) = Runner([silent], time.monotonic).run(bench(tmp_path, listening=True), print)
    assert found.verdict is Verdict.FAILED
