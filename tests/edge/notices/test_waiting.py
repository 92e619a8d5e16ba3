"""The queue of one destination: its order, its rate, its patience."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.notices import content
from edge.notices.content import Item
from edge.notices.waiting import BACKOFF_MOST_S, MAX_WAITING, Waiting
from edge.records import Priority


def item(number: int, priority: Priority = Priority.MEDIUM, **more: Any) -> Item:
    known: dict[str, Any] = {"about": "alarm", "alerts": (f"a{number}",), "text": "."}
    title = f"{priority.value}: no {number}"
    return Item(id=f"i{number}", priority=priority, title=title, **{**known, **more})


def waiting(n_burst: int = 3, refill_s: float = 60.0) -> Waiting:
    return Waiting(n_burst, refill_s, 0.0)


def send(queue: Waiting, now_s: float) -> tuple[Item, ...]:
    items = queue.take(now_s)
    queue.sent(items, now_s) if items else None
    return items


def test_the_worst_goes_first_then_the_oldest() -> None:
    queue = waiting()
    for number, priority in enumerate([Priority.LOW, Priority.MEDIUM, Priority.HIGH]):
        queue.put(item(number, priority), 0.0)
    assert [send(queue, 0.0)[0].id for _ in range(2)] == ["i2", "i1"]


def test_what_was_taken_stays_until_it_was_sent() -> None:
    queue = waiting()
    queue.put(item(1), 0.0)
    assert queue.take(0.0) == queue.take(0.0)
    queue.sent(queue.take(0.0), 0.0)
    assert queue.take(0.0) == ()
    assert queue.due_s(0.0) == math.inf


def test_the_same_notice_is_not_put_twice() -> None:
    queue = waiting()
    queue.put(item(1), 0.0)
    queue.put(item(1), 0.0)
    assert len(queue.items) == 1


def test_a_storm_becomes_one_notice_that_counts() -> None:
    queue = waiting(n_burst=3, refill_s=60.0)
    sent: list[tuple[Item, ...]] = []
    for number in range(10):
        queue.put(item(number), 0.1 * number)
        sent.append(send(queue, 0.1 * number))
    assert [len(batch) for batch in sent[:3]] == [1, 1, 1]
    assert all(batch == () for batch in sent[3:])
    assert queue.due_s(1.0) == pytest.approx(60.0, abs=1.0)
    assert queue.take(59.0) == ()
    together = queue.take(62.0)
    assert len(together) == 7
    summary = content.summary("anna", together)
    assert summary.title == "7 more alarms"
    assert summary.alerts == tuple(f"a{n}" for n in range(3, 10))
    queue.combine(together, summary)
    assert queue.take(62.0) == (summary,)


@given(st.lists(st.sampled_from(list(Priority)), max_size=60))
def test_high_priority_waits_for_no_rate_and_is_never_put_together(
    priorities: list[Priority],
) -> None:
    queue = waiting(n_burst=1, refill_s=3600.0)
    for number, priority in enumerate(priorities):
        queue.put(item(number, priority), 0.0)
    n_high = priorities.count(Priority.HIGH)
    for _ in range(n_high):
        (one,) = send(queue, 0.0)
        assert one.priority is Priority.HIGH
    assert not any(one.priority is Priority.HIGH for one in queue.items)


def test_what_may_have_arrived_is_cleared_up_before_more_is_said() -> None:
    queue = waiting(n_burst=1, refill_s=3600.0)
    queue.put(item(1, Priority.LOW, begun=True), 0.0)
    queue.put(item(2, Priority.MEDIUM), 0.0)
    assert [one.id for one in queue.take(0.0)] == ["i1"]


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40))
def test_the_wait_after_a_failure_is_chance_within_bounds_that_double(
    chances: list[float],
) -> None:
    queue, now_s = waiting(), 0.0
    queue.put(item(1), now_s)
    for number, chance in enumerate(chances):
        wait_s = queue.failed(now_s, lambda chance=chance: chance)
        assert 1.0 <= wait_s <= min(BACKOFF_MOST_S, max(1.0, 2.0**number))
        assert queue.take(now_s + 0.99 * wait_s) == ()
        now_s += wait_s
        assert queue.take(now_s + 1e-6)


def test_after_a_success_the_wait_begins_anew() -> None:
    queue = waiting()
    queue.put(item(1), 0.0)
    for _ in range(9):
        queue.failed(0.0, lambda: 1.0)
    queue.sent(queue.items, 300.0)
    queue.put(item(2), 300.0)
    assert queue.failed(300.0, lambda: 1.0) == 1.0


def test_a_new_alarm_of_high_priority_does_not_wait_out_the_backoff() -> None:
    queue = waiting()
    queue.put(item(1), 0.0)
    for _ in range(12):
        queue.failed(0.0, lambda: 1.0)
    assert queue.due_s(0.0) == 300.0
    queue.put(item(2, Priority.HIGH), 10.0)
    assert [one.id for one in queue.take(10.0)] == ["i2"]


@pytest.mark.parametrize(("asked_s", "wait_s"), [(7.0, 7.0), (0.0, 1.0), (9e9, 300.0)])
def test_what_the_service_asks_for_is_the_least_even_for_high_priority(
    asked_s: float, wait_s: float
) -> None:
    queue = waiting()
    queue.put(item(1), 0.0)
    assert queue.failed(0.0, lambda: 0.0, asked_s) == wait_s
    queue.put(item(2, Priority.HIGH), 0.5)
    assert queue.take(wait_s - 0.1) == ()
    assert queue.take(wait_s)


def test_an_alarm_that_was_never_told_is_replaced_by_what_became_of_it() -> None:
    queue = waiting()
    queue.put(item(1, Priority.HIGH), 0.0)
    over = item(2, Priority.INFORMATION, about="over", alerts=("a1",))
    queue.put(over, 1.0)
    (one,) = queue.items
    assert (one.id, one.priority) == ("i2", Priority.LOW)
    assert one.text.endswith("It could not be told before.")


def test_an_alarm_that_may_have_arrived_is_not_replaced() -> None:
    queue = waiting()
    queue.put(item(1, Priority.HIGH, begun=True), 0.0)
    queue.put(item(2, Priority.INFORMATION, about="over", alerts=("a1",)), 1.0)
    assert [one.id for one in queue.items] == ["i1", "i2"]


def test_the_queue_is_bounded_and_gives_up_what_matters_least() -> None:
    queue = waiting()
    queue.put(item(-1, Priority.INFORMATION, about="over"), 0.0)
    for number in range(MAX_WAITING - 1):
        assert queue.put(item(number, Priority.HIGH), 0.0) is None
    given_up = queue.put(item(MAX_WAITING, Priority.HIGH), 0.0)
    assert given_up is not None
    assert given_up.id == "i-1"
    assert queue.put(item(MAX_WAITING + 1, Priority.HIGH), 0.0) is not None
    assert len(queue.items) == MAX_WAITING
    assert queue.n_dropped == 2
