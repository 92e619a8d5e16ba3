"""The judge of all campaigns sees every fault there is: each history below has one."""

from __future__ import annotations

import random

import msgspec
import pytest

from tests.rigs.sync.history import Came, Made, Verdict, check

MADE = [Made(f"box-{n % 2}", f"u{n}", n + 1, ("alert", "summary")[n // 2 % 2]) for n in range(40)]
CAME = [Came(one.box, one.uuid, one.seq, one.kind) for one in MADE]
ALL = {one.uuid for one in MADE}


def test_a_history_without_fault_is_found_without_fault() -> None:
    verdict = check(MADE, MADE, ALL, CAME)
    assert verdict == Verdict(n_made=40, n_stored=40, n_again=0)
    assert verdict.faults == []


def test_coming_again_and_going_ahead_are_no_faults() -> None:
    rng = random.Random(3)  # noqa: S311
    again = [one for one in CAME for _ in range(rng.randint(1, 3))]
    early = msgspec.structs.replace(CAME[30], early=True)
    verdict = check(MADE, MADE, ALL, [early, *again])
    assert verdict.faults == []
    assert verdict.n_again == len(again) + 1 - 40


@pytest.mark.parametrize(
    ("fault", "stored", "settled", "came"),
    [
        ("missing", MADE[:-1], ALL - {"u39"}, CAME[:-1]),
        ("lied", MADE[:-1], ALL, CAME[:-1]),
        ("double", [*MADE, MADE[7]], ALL, CAME),
        ("foreign", [*MADE, Made("box-0", "stranger", 99, "alert")], ALL, CAME),
        ("changed", [*MADE[:-1], Made("box-1", "u39", 41, "summary")], ALL, CAME),
        ("changed", [*MADE[:-1], Made("box-0", "u39", 40, "summary")], ALL, CAME),
        ("late", MADE, ALL, [CAME[4], *CAME]),
        ("clashing", [*MADE[:-1], Made("box-1", "u39", 38, "summary")], ALL, CAME),
        ("unsettled", MADE, ALL - {"u3"}, CAME),
    ],
)
def test_every_fault_is_seen(
    fault: str, stored: list[Made], settled: set[str], came: list[Came]
) -> None:
    verdict = check(MADE, stored, settled, came)
    assert getattr(verdict, fault), verdict
    assert any(fault in line for line in verdict.faults)


def test_another_content_under_the_same_id_is_seen_where_both_know_it() -> None:
    made = [Made("b", "u", 1, "alert", "aa")]
    assert check(made, [Made("b", "u", 1, "alert", "bb")], {"u"}).changed == ("u",)
    assert check(made, [Made("b", "u", 1, "alert")], {"u"}).faults == []


def test_order_is_of_a_box_and_a_kind_not_between_them() -> None:
    by_box = sorted(CAME, key=lambda one: (one.box, one.kind, one.seq))
    assert check(MADE, MADE, ALL, by_box).faults == []
    assert check(MADE, MADE, ALL, by_box[::-1]).faults
    assert check(MADE, MADE, ALL, by_box[::-1], ordered=False).faults == []
