"""What is decided without a clock, a disk or a network: when, how much, and in which order."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.egress.allowed import Content
from edge.egress.outbox import Queue
from edge.sync.backoff import (
    ASKED_S,
    MOST_S,
    REGION_S,
    Backoff,
    after_outage_s,
    after_start_s,
    share_of,
)
from edge.sync.budget import DAY_S, Budget, BudgetFile, Moment
from edge.sync.network import Routes, Watch, read_routes
from edge.sync.parcel import Item, Receipt
from edge.sync.policy import BATCH, Waiting, Waits, Ways, choose
from edge.sync.underway import FIRST_S, MAX_KNOWN, PASSED_S, UnderWay
from tests.edge.sync.standing_in import a_summary, an_alert, an_erasure, entry_uuid, words_of

ROOT = Path(__file__).parents[3]


def item(seq: int, *, urgent: bool = False) -> Item:
    handed = an_alert(seq, urgent=urgent)
    return Item(handed, Content.ALERT, words_of(handed))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40))
def test_waits_are_drawn_below_a_bound_that_doubles_to_five_minutes(chances: list[float]) -> None:
    backoff = Backoff()
    for n, chance in enumerate(chances):
        wait_s = backoff.failed(100.0, chance)
        assert wait_s == pytest.approx(chance * min(MOST_S, 2.0**n))
        assert backoff.due_s(urgent=True) <= backoff.due_s(urgent=False)
        assert backoff.due_s(urgent=True) <= 130.0


def test_what_the_other_end_asks_for_is_kept_within_an_hour() -> None:
    backoff = Backoff()
    assert backoff.failed(0.0, 0.0, 120.0) == 120.0
    assert backoff.failed(0.0, 0.0, 1e9) == ASKED_S
    assert backoff.failed(0.0, 0.0, -5.0) == 0.0
    backoff.failed(0.0, 0.0, 1e9)
    assert backoff.due_s(urgent=True) == 60.0


def test_a_region_that_gets_its_power_back_comes_over_two_minutes() -> None:
    boxes = [f"box-{n}" for n in range(2000)]
    times = sorted(after_start_s(box, 30.0) for box in boxes)
    per_second = [sum(s <= t < s + 1 for t in times) for s in range(int(REGION_S))]
    assert max(per_second) < 40  # 2000 over 120 s are 17 a second
    assert all(after_start_s(box, 86400.0) == 0.0 for box in boxes)
    assert all(after_outage_s(box, 30.0) <= 5.0 for box in boxes)
    assert max(after_outage_s(box, 600.0) for box in boxes) == pytest.approx(60.0, abs=1.0)
    assert all(after_outage_s(box, 1e6) <= REGION_S for box in boxes)
    assert {share_of(box) for box in boxes} == {share_of(box) for box in boxes}


@given(
    st.integers(0, 5), st.integers(0, 90), st.integers(0, 3), st.integers(0, 90), st.booleans(),
    st.booleans(), st.floats(0.0, 2000.0),
)  # fmt: skip
def test_alerts_go_before_all_and_what_is_held_is_only_summaries(
    n_urgent: int, n_alerts: int, n_erase: int, n_summaries: int, spent: bool, metered: bool,
    now_s: float,
) -> None:  # fmt: skip
    waiting = Waiting(min(n_urgent, n_alerts), n_alerts, n_erase, n_summaries, 100.0, 100.0)
    choice = choose(waiting, Ways(60.0, spent, metered), now_s)
    if waiting.n_urgent:
        assert choice.kind is Content.ALERT
    if choice.kind is Content.SUMMARY:
        assert not any((n_alerts, n_erase, spent, metered))
    if choice.kind is Content.ERASE:
        assert not n_alerts
    if n_alerts and now_s >= 160.0:
        assert choice.kind is Content.ALERT
    if choice.kind is None and (n_alerts or n_erase):
        assert choice.again_s < math.inf


def test_what_is_under_way_does_not_wait_again() -> None:
    waits, under_way = Waits(), UnderWay(10)
    under_way.send([item(1, urgent=True), item(2)], "letter", 5.0)
    found = waits.look(Queue("x", 1, 3, 0, 0, 1.0), under_way, 50.0)
    assert (found.n_urgent, found.n_alerts, found.alerts_s) == (0, 1, 50.0)
    many = waits.look(Queue("x", 0, BATCH + 2, 0, 0, 1.0), under_way, 50.0)
    assert choose(many, Ways(600.0), 50.0).kind is Content.ALERT


def test_numbers_go_up_and_begin_again_at_the_lowest() -> None:
    under_way = UnderWay(5)
    under_way.send([item(3), item(4)], "a", 0.0)
    assert (under_way.mark(Content.ALERT), under_way.room()) == (4, 3)
    assert under_way.overdue_s == FIRST_S
    under_way.silent(30.0)
    assert (under_way.mark(Content.ALERT), under_way.uuids, under_way.room()) == (0, (), 1)
    under_way.send([item(3)], "b", 30.0)
    assert under_way.overdue_s == 30.0 + 2 * FIRST_S
    taken = under_way.take(Receipt({entry_uuid(4): item(4).digest}))
    assert taken.stored == (entry_uuid(4),), "a receipt that comes late counts too"
    assert under_way.room() == 4
    assert under_way.done((entry_uuid(3), entry_uuid(4))) == ("b",)


def test_one_whose_receipt_is_lost_is_sent_again_while_others_go_back_and_forth() -> None:
    under_way = UnderWay(5)
    under_way.send([item(1)], "lost", 0.0)
    for seq in range(2, 5):
        under_way.send([item(seq)], "ok", 8.0 * seq)
        under_way.take(Receipt({entry_uuid(seq): item(seq).digest}))
        under_way.done([entry_uuid(seq)])
    assert under_way.overdue_s == PASSED_S, "what left later has its receipt"
    times = []
    now_s = 40.0
    for _ in range(8):
        under_way.silent(now_s)
        under_way.send([item(1)], "again", now_s)
        under_way.take(Receipt({entry_uuid(2): item(2).digest}))
        under_way.n_silent = 0  # others are vouched for
        times.append(under_way.overdue_s - now_s)
        now_s = under_way.overdue_s
    assert times == [60.0, 120.0, 240.0, 300.0, 300.0, 300.0, 300.0, 300.0]


def test_what_was_overtaken_leaves_again_soon_and_is_no_silence() -> None:
    under_way = UnderWay(10)
    under_way.send([item(1)], "dropped by a dying broker", 0.0)
    under_way.send([item(2)], "after it", 4.0)
    under_way.take(Receipt({entry_uuid(2): item(2).digest}))
    under_way.done([entry_uuid(2)])
    assert under_way.overdue_s == PASSED_S
    assert not under_way.silent(4.5)
    assert (under_way.n_silent, under_way.mark(Content.ALERT)) == (0, 0)
    assert under_way.room() == 10, "the other end does speak"
    under_way.send([item(1)], "again", 5.0)
    assert under_way.overdue_s == 5.0 + 2 * FIRST_S, "nothing has overtaken it yet"
    under_way.send([item(3)], "after it", 6.0)
    under_way.take(Receipt({entry_uuid(3): item(3).digest}))
    assert under_way.overdue_s == 5.0 + 2 * PASSED_S, "it comes more rarely each time"


def test_only_the_content_that_was_sent_is_settled() -> None:
    under_way = UnderWay(5)
    under_way.send([item(1)], "a", 0.0)
    forged = Receipt({entry_uuid(1): item(2).digest, entry_uuid(2): item(2).digest})
    assert not under_way.take(forged).stored
    assert (under_way.n_forged, under_way.n_unknown) == (1, 1)
    assert under_way.take(Receipt({entry_uuid(1): ""})).stored
    for seq in range(2, 2 * MAX_KNOWN):
        under_way.send([item(seq)], "b", 0.0)
    assert len(under_way._known) == MAX_KNOWN


def test_a_request_to_delete_is_vouched_for_by_the_ids_in_it() -> None:
    handed = an_erasure(1)
    under_way = UnderWay(5)
    under_way.send([Item(handed, Content.ERASE)], "a", 0.0)
    assert not under_way.take(Receipt({handed.uuid: item(1).digest})).stored
    vouched = hashlib.sha256(json.dumps([entry_uuid(1)]).encode()).hexdigest()
    assert under_way.take(Receipt({handed.uuid: vouched})).stored


NOON = 20_000 * DAY_S + DAY_S / 2


def test_a_day_is_over_at_midnight_and_a_clock_that_jumps_frees_nothing() -> None:
    budget = Budget()
    budget.look(Moment("boot", 100.0, NOON))
    budget.add("x", 1000)
    assert budget.spent(1000)
    assert not budget.spent(0)
    budget.look(Moment("boot", 200.0, NOON + 40 * DAY_S))
    assert budget.spent(1000)
    budget.look(Moment("boot", 300.0, NOON - 40 * DAY_S))
    budget.look(Moment("boot", 400.0, None))
    assert budget.spent(1000)
    budget.look(Moment("boot", 100.0 + DAY_S / 2 + 1.0, None))
    assert not budget.spent(1)


def test_without_a_date_a_day_is_over_after_so_long() -> None:
    budget = Budget()
    budget.look(Moment("boot", 100.0))
    budget.add("x", 1000)
    budget.look(Moment("boot", 100.0 + DAY_S - 1.0))
    assert budget.spent(1000)
    budget.look(Moment("boot", 100.0 + DAY_S))
    assert not budget.spent(1000)


def test_it_is_kept_over_a_restart(tmp_path: Path) -> None:
    file = BudgetFile(tmp_path)
    assert file.read() == Budget()
    budget = Budget()
    budget.look(Moment("boot", 100.0, NOON))
    budget.add("x", 1000)
    budget.hold("x", 120.0)
    file.write(budget)
    again = BudgetFile(tmp_path).read()
    assert again == budget
    again.look(Moment("boot", 150.0, NOON + 3 * DAY_S))
    assert again.spent(1000), "the clock was set in between"
    again.look(Moment("next", 10.0, NOON + 100.0))
    assert again.spent(1000)
    again.look(Moment("later", 10.0, NOON + DAY_S))
    assert not again.spent(1)
    (tmp_path / "budget.json").write_bytes(b"\xff{")
    assert BudgetFile(tmp_path).read() == Budget()


ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wwan0\t00000000\t0100000A\t0003\t0\t0\t700\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""
ROUTE6 = """\
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
20010db8000000000000000000000000 40 00000000000000000000000000000000 00 \
00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1
"""


def proc(folder: Path, route: str = "", route6: str = "") -> Routes:
    (folder / "route").write_text(route)
    (folder / "ipv6_route").write_text(route6)
    return read_routes(folder)


def test_routes_tell_the_way_to_a_host_and_what_it_costs(tmp_path: Path) -> None:
    found = proc(tmp_path, ROUTE, ROUTE6)
    assert found.interface_to("192.168.1.7") == "eth0"
    assert found.interface_to("8.8.8.8") == "wwan0"
    assert found.interface_to("clinic.example") == "wwan0"
    assert found.interface_to("2001:db8::5") == "eth1"
    assert found.interface_to("2001:db9::5") is None
    assert found.interface_to("localhost") == found.interface_to("::1") == ""
    assert found.metered("clinic.example", ("wwan*", "ppp*"))
    assert not found.metered("192.168.1.7", ("wwan*",))
    assert not found.metered("localhost", ("*",))


def test_without_a_route_only_this_machine_can_be_reached(tmp_path: Path) -> None:
    none = proc(tmp_path, ROUTE.splitlines()[0], ROUTE6.splitlines()[1])
    assert none.interface_to("clinic.example") is None
    assert none.interface_to("127.0.0.1") == none.interface_to("localhost") == ""
    assert none.interface_to("/media/stick") == "", "a folder needs no network"
    local = proc(tmp_path, "\n".join(ROUTE.splitlines()[::2]))
    assert local.interface_to("8.8.8.8") is None
    assert local.interface_to("broker.local") == "eth0"


def test_a_kernel_that_does_not_say_keeps_nothing_from_being_tried(tmp_path: Path) -> None:
    assert read_routes(tmp_path / "nowhere").interface_to("8.8.8.8") == ""
    assert proc(tmp_path, "cut\toff\n", "zz\n").interface_to("8.8.8.8") is None
    assert read_routes().interface_to("127.0.0.1") == ""


UP = """
import asyncio, fcntl, socket, struct, sys
from edge.sync.network import Watch, read_routes

async def main():
    watch = Watch(look_s=60.0)
    assert watch.told
    flags = struct.pack("16sH14x", b"lo", 0x1)
    loop = asyncio.get_running_loop()
    with socket.socket() as any_socket:
        loop.call_later(0.2, fcntl.ioctl, any_socket, 0x8914, flags)  # SIOCSIFFLAGS: lo is up
        await asyncio.wait_for(watch.change(), 20.0)
    watch.close()
    assert read_routes().interface_to("8.8.8.8") is None
    print("told")

asyncio.run(main())
"""


def test_the_kernel_tells_when_the_network_changes() -> None:
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody have a network namespace (unshare)")
    words = [*alone, sys.executable, "-c", UP]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert found.stdout == "told\n", found.stderr


def test_where_nothing_tells_of_changes_they_are_looked_for() -> None:
    async def scenario() -> None:
        watch = Watch(look_s=0.05)
        async with asyncio.timeout(5.0):
            await watch.change()
        watch.close()
        watch.close()

    asyncio.run(scenario())


def test_summaries_and_requests_count_by_their_kind() -> None:
    under_way = UnderWay(5)
    handed = a_summary(2)
    under_way.send([Item(handed, Content.SUMMARY, words_of(handed))], "a", 0.0)
    assert under_way.n(Content.SUMMARY) == 1
    assert under_way.n(Content.ALERT) == under_way.n_urgent == 0
