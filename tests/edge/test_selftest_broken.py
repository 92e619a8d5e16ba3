"""A self-test that itself breaks off: it ends, it has failed, and another can follow."""

from __future__ import annotations

from pathlib import Path

from edge.control import BeginSelfTest, FollowSelfTest
from edge.records import SelfTestRow, Verdict
from edge.selftest._running import Runner
from tests.edge.test_selftests import Box, Clock, lived


class Broken(Runner):
    """A runner whose machine has no thread left."""

    def __init__(self) -> None:
        super().__init__((), lambda: 0.0)

    def run(self, *_: object) -> tuple[SelfTestRow, ...]:
        raise RuntimeError("out of threads")


def test_a_self_test_that_breaks_off_has_an_end_and_is_not_the_last(tmp_path: Path) -> None:
    async def story(box: Box) -> None:
        box.tests._runner = Broken()
        begun = await box.tests.answer(BeginSelfTest("Ann"))
        await box.ended()
        told = await box.tests.answer(FollowSelfTest(begun["id"], 0))
        assert told["done"]
        assert "NOT proven" in told["words"]
        (found,) = told["lines"][-1].rows
        assert (found.verdict, found.part) == (Verdict.FAILED, "self-test")
        assert "out of threads" in found.found
        box.tests._runner = None
        await box.tests.answer(BeginSelfTest("Ann"))
        await box.ended()
        assert box.tests.live().proven

    lived(Box(tmp_path, Clock()), story)
