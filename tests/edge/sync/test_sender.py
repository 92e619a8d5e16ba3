"""Exactly once by id, in order, settled by nothing but a receipt: whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock import TimeQuality
from edge.config.sync import Sync
from edge.egress.allowed import Content
from edge.sync.network import Routes
from edge.sync.outgoing import N_SET_ASIDE
from edge.sync.parcel import Receipt
from tests.edge.sync.standing_in import (
    FarEnd,
    Monitor,
    Scene,
    Trusting,
    a_summary,
    an_alert,
    an_erasure,
    entry_uuid,
    routes,
    run_virtual,
)

ORDERLY = ("ok", "lost", "unclear", "hang", "late", "never", "twice", "partly", "forged", "unknown")
FAULTS = (*ORDERLY, "vanished")


def outbox(n: int) -> list:
    """Alerts, a summary after each third, a request to delete in the middle."""
    made = []
    for seq in range(1, n + 1):
        if seq % 4 == 0:
            made.append(a_summary(seq))
        elif seq == n // 2:
            made.append(an_erasure(seq))
        else:
            made.append(an_alert(seq, urgent=seq % 5 == 0))
    return made


def drained(far: FarEnd, n: int, *, limit_s: float = 6 * 3600.0) -> Monitor:
    async def scenario() -> Monitor:
        monitor = Monitor(outbox(n))
        monitor.known = far.held.__contains__
        far.receipts = asyncio.Queue(100)
        async with Scene(monitor, far) as scene:
            await scene.until(lambda: not monitor.waiting, limit_s)
        return monitor

    return run_virtual(scenario())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(FAULTS), max_size=25), st.integers(1, 60), st.integers(1, 60))
def test_whatever_happens_all_is_there_once_and_settled_by_receipts(
    faults: list[str], n: int, window: int
) -> None:
    far = FarEnd(faults, window)
    monitor = drained(far, n)
    assert monitor.n_baseless == 0
    assert not monitor.rejected
    assert far.held.keys() == {entry_uuid(seq) for seq in range(1, n + 1)} == {*monitor.settled}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(ORDERLY), max_size=25), st.integers(1, 60))
def test_each_kind_arrives_in_its_order_but_what_is_early(faults: list[str], n: int) -> None:
    far = FarEnd(faults)
    drained(far, n)
    for kind in ("alert", "summary", "erase"):
        order = [seq for what, seq, early in far.first if what == kind and not early]
        assert order == sorted(order)


def test_control_a_sender_that_trusts_its_transport_loses() -> None:
    far = Trusting(["ok", "vanished", "ok"])
    monitor = drained(far, 30)
    assert monitor.n_baseless > 0
    assert far.held.keys() < {entry_uuid(seq) for seq in range(1, 31)}


def test_every_message_was_told_before_it_left() -> None:
    far = FarEnd(["ok", "lost", "unclear", "ok"])
    monitor = drained(far, 30)
    told = {uuid for what in monitor.left for uuid in what.known_as.split()}
    assert told >= far.held.keys()
    assert {what.process for what in monitor.left} == {"sync"}
    assert all(what.kind is not Content.ALERT or what.refs for what in monitor.left)


def test_an_urgent_alert_leaves_at_once_and_before_all_others() -> None:
    async def scenario() -> None:
        monitor, far = Monitor(), FarEnd()
        async with Scene(monitor, far, settings=Sync(batch_s=600.0)) as scene:
            await asyncio.sleep(100.0)
            monitor.add(*(an_alert(seq) for seq in range(1, 6)), an_alert(6, urgent=True))
            took_s = await scene.until(lambda: far.held)
            assert took_s < 1.0
        assert far.first[0] == ("alert", 6, True)
        assert [one[1] for one in far.first[1:]] == [1, 2, 3, 4, 5]

    run_virtual(scenario())


def test_summaries_wait_for_more_and_alerts_go_with_them_first() -> None:
    async def scenario() -> None:
        monitor, far = Monitor(), FarEnd()
        async with Scene(monitor, far, settings=Sync(batch_s=60.0)) as scene:
            await asyncio.sleep(5.0)
            monitor.add(a_summary(1))
            await asyncio.sleep(40.0)
            assert not far.held
            monitor.add(a_summary(2), a_summary(3))
            took_s = await scene.until(lambda: len(monitor.settled) == 3)
            assert 15.0 < took_s < 25.0
            for seq in range(4, 60):
                monitor.add(a_summary(seq))
            assert await scene.until(lambda: len(monitor.settled) == 59) < 5.0

    run_virtual(scenario())


def test_refused_together_one_by_one_and_the_one_is_set_aside() -> None:
    far = FarEnd()
    far.never = {entry_uuid(7)}
    monitor = drained(far, 20)
    assert monitor.rejected == {entry_uuid(7): "422"}
    assert len(monitor.settled) == 19


def test_one_that_refuses_everything_does_not_empty_the_outbox() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(seq) for seq in range(1, 200)]), FarEnd()
        far.never = {entry_uuid(seq) for seq in range(1, 200)}
        async with Scene(monitor, far, chance=lambda: 1.0) as scene:
            await asyncio.sleep(3600.0)
            assert N_SET_ASIDE < len(monitor.rejected) < 25
            assert "refuses all" in scene.sender.post.trouble

    run_virtual(scenario())


def test_what_the_receiver_will_never_take_is_set_aside_with_its_reason() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1), an_alert(2)]), FarEnd(["never"] * 100)
        async with Scene(monitor, far) as scene:
            await scene.until(lambda: len(far.held) == 2)
            far.receipts.put_nowait(Receipt({}, {entry_uuid(1): "not for this clinic"}))
            await scene.until(lambda: monitor.rejected)
        assert monitor.rejected == {entry_uuid(1): "not for this clinic"}
        assert not monitor.settled

    run_virtual(scenario())


def test_a_receiver_that_holds_something_else_never_settles_and_is_told() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1)]), FarEnd(["forged"] * 100)
        async with Scene(monitor, far) as scene:
            await scene.until(lambda: monitor.rejected)
            assert scene.sender.post.state().n_forged >= 5
        assert not monitor.settled
        assert "something else" in monitor.rejected[entry_uuid(1)]

    run_virtual(scenario())


def test_no_receipt_and_one_asks_with_growing_pauses() -> None:
    async def scenario() -> None:
        monitor = Monitor([an_alert(seq) for seq in range(1, 100)])
        far = FarEnd(["never"] * 10_000)
        async with Scene(monitor, far) as scene:
            await asyncio.sleep(3600.0)
            assert len(far.tries_s) < 40
            assert all(len(message) == 1 for message in far.messages[-5:])
            assert "no receipt" in scene.sender.post.trouble
            far._faults = iter(())
            assert await scene.until(lambda: not monitor.waiting) < 320.0
            assert not scene.sender.post.trouble

    run_virtual(scenario())


def test_while_nobody_answers_the_tries_grow_apart_and_what_waits_stays() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1)]), FarEnd()
        far.down = True
        async with Scene(monitor, far, chance=lambda: 1.0) as scene:
            await asyncio.sleep(3600.0)
            gaps = [b - a for a, b in zip(far.tries_s, far.tries_s[1:], strict=False)]
            assert 15 < len(far.tries_s) < 25
            assert max(gaps) == pytest.approx(300.0, abs=1.0)
            assert scene.sender.post.state().trouble == "nobody answers"
            monitor.add(an_alert(2, urgent=True))
            n = len(far.tries_s)
            assert await scene.until(lambda: len(far.tries_s) > n) <= 31.0
            far.down = False
            assert await scene.until(lambda: not monitor.waiting) < 310.0
            assert scene.sender.post.state().works

    run_virtual(scenario())


def test_an_old_urgent_alert_does_not_keep_the_tries_going() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1, urgent=True)]), FarEnd()
        far.down = True
        async with Scene(monitor, far, chance=lambda: 1.0):
            await asyncio.sleep(900.0)
            n = len(far.tries_s)
            assert n >= 30
            await asyncio.sleep(7200.0)
            assert len(far.tries_s) - n <= 26

    run_virtual(scenario())


def test_a_sink_the_monitor_does_not_know_is_said() -> None:
    async def scenario() -> None:
        async with Scene(Monitor(), FarEnd()) as scene:
            await asyncio.sleep(1.0)
            board = scene.sender.post.board
            scene.sender.look(msgspec.structs.replace(board, queues=()))
            await asyncio.sleep(0.1)
            assert "no such sink" in scene.sender.post.state().quiet

    run_virtual(scenario())


def test_without_a_network_nothing_is_tried_and_its_return_is_enough() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1)]), FarEnd()
        far.down = True
        async with Scene(monitor, far) as scene:
            await scene.until(lambda: len(far.tries_s) > 5)
            scene.sender.network(Routes([]))
            await asyncio.sleep(1.0)
            n = len(far.tries_s)
            await asyncio.sleep(86400.0)
            assert len(far.tries_s) == n
            assert scene.sender.post.state().quiet == "no network"
            far.down = False
            scene.sender.network(routes())
            assert await scene.until(lambda: not monitor.waiting) <= 121.0

    run_virtual(scenario())


def test_after_a_regions_outage_boxes_are_spread_and_urgent_alerts_are_not_held() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1, urgent=True)]), FarEnd()
        async with Scene(monitor, far) as scene:
            scene.sender.network(Routes([]))
            await asyncio.sleep(3600.0)
            scene.sender.network(routes())
            assert await scene.until(lambda: not monitor.waiting) <= 6.0

    run_virtual(scenario())


@pytest.mark.parametrize("quality", [None, TimeQuality.UNSYNCED])
def test_certificates_wait_for_the_clock_ten_minutes_at_most(quality: TimeQuality | None) -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1, urgent=True)]), FarEnd()
        far.uses_tls, monitor.quality = True, quality
        async with Scene(monitor, far) as scene:
            await asyncio.sleep(590.0)
            assert not far.tries_s
            assert "clock" in scene.sender.post.state().quiet
            assert await scene.until(lambda: not monitor.waiting) < 15.0

    run_virtual(scenario())


def test_a_clock_that_is_set_ends_the_wait() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1, urgent=True)]), FarEnd()
        far.uses_tls, monitor.quality = True, TimeQuality.UNSYNCED
        async with Scene(monitor, far) as scene:
            await asyncio.sleep(60.0)
            monitor.quality = TimeQuality.SYNCED
            monitor.moved()
            assert await scene.until(lambda: not monitor.waiting) < 2.0

    run_virtual(scenario())


def test_a_budget_that_is_spent_keeps_summaries_and_no_alert() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([a_summary(1)]), FarEnd()
        settings = Sync(batch_s=1.0, budget_mb_per_day=0.00001)
        async with Scene(monitor, far, settings=settings) as scene:
            await scene.until(lambda: not monitor.waiting)
            monitor.add(a_summary(2), an_alert(3))
            await scene.until(lambda: entry_uuid(3) in monitor.settled)
            await asyncio.sleep(3600.0)
            assert [one.seq for one in monitor.waiting] == [2]
            assert "spent" in scene.sender.post.state().quiet
            assert scene.sender.idle

    run_virtual(scenario())


def test_a_link_that_costs_money_keeps_summaries_a_day() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([a_summary(1), an_alert(2)]), FarEnd()
        async with Scene(monitor, far) as scene:
            scene.sender.network(routes("wwan0"))
            await scene.until(lambda: entry_uuid(2) in monitor.settled)
            took_s = await scene.until(lambda: not monitor.waiting, 100_000.0)
            assert took_s == pytest.approx(86400.0, abs=60.0)

    run_virtual(scenario())


def test_what_people_withhold_is_not_sent_and_nothing_spins() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([a_summary(1), an_alert(2)]), FarEnd()
        monitor.withheld = ("summaries",)
        async with Scene(monitor, far) as scene:
            await scene.until(lambda: entry_uuid(2) in monitor.settled)
            await asyncio.sleep(600.0)
            assert entry_uuid(1) not in far.held
            assert monitor.n_fetched < 20

    run_virtual(scenario())


def test_what_the_monitor_refuses_is_not_sent() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1, urgent=True)]), FarEnd()
        monitor.no = "not sent: the disk does not take what left"
        async with Scene(monitor, far) as scene:
            await asyncio.sleep(120.0)
            assert not far.tries_s
            assert monitor.n_fetched < 40
            monitor.no = ""
            assert await scene.until(lambda: not monitor.waiting) < 10.0

    run_virtual(scenario())


def test_a_receipt_waits_for_a_monitor_that_is_away() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1)]), FarEnd(["late"])
        async with Scene(monitor, far) as scene:
            await scene.until(lambda: far.held)
            monitor.away = True
            await asyncio.sleep(600.0)
            assert not monitor.settled
            assert len(far.tries_s) == 1
            monitor.away = False
            await scene.until(lambda: not monitor.waiting, 30.0)

    run_virtual(scenario())


def test_heartbeats_and_numbers_are_told_at_their_times() -> None:
    async def scenario() -> None:
        monitor, far = Monitor(), FarEnd()
        content = ("alerts", "heartbeats", "numbers")
        async with Scene(monitor, far, content=content, settings=Sync(heartbeat_s=300.0)) as scene:
            await asyncio.sleep(3000.0)
            assert 8 <= far.states.count(Content.HEARTBEAT) <= 11
            assert 200 <= far.states.count(Content.NUMBERS) <= 300
            monitor.withheld = ("numbers", "heartbeats")
            monitor.moved()
            await asyncio.sleep(1.0)
            n = len(far.states)
            await asyncio.sleep(3000.0)
            assert len(far.states) == n
            assert scene.sender.post.state().works

    run_virtual(scenario())


def test_a_fault_in_putting_one_into_words_holds_up_no_other() -> None:
    async def scenario() -> None:
        monitor, far = Monitor([an_alert(1), an_alert(2)]), FarEnd()
        async with Scene(monitor, far) as scene:

            def words(handed: object) -> Sequence[object]:
                if handed.seq == 1:  # type: ignore[attr-defined]
                    raise KeyError("spo2_pct 91")
                return ({},)

            scene.common.content = words  # type: ignore[assignment]
            await scene.until(lambda: not monitor.waiting)
        assert monitor.rejected == {entry_uuid(1): "it cannot be put into FHIR (KeyError)"}
        assert entry_uuid(2) in monitor.settled

    run_virtual(scenario())


def test_a_backlog_needs_few_questions() -> None:
    far = FarEnd(window=200, n_fit=15)
    monitor = drained(far, 1000)
    assert len(far.messages) < 120
    assert monitor.n_fetched < 2 * len(far.messages) + 20
