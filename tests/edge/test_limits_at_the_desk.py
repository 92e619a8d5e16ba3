"""Limits changed while the monitor runs, and what else of it has to know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from edge.cli._shared import plugin_defaults
from edge.clock import WallLog
from edge.config import Config, load
from edge.config.kept import Kept
from edge.control import BeginSelfTest, ChangeLimits
from edge.daemon.answers import Answers
from edge.daemon.remembering import Remembering
from edge.events import ENTRY, PERSON, Entry
from edge.pipeline.kept import unpack
from edge.records import LimitAct, Packet, Role
from edge.selftest.engine import PART as ENGINE
from edge.store import History
from tests.edge.test_selftests import Box, Clock

SAID = ("Ann", Role.CLINICIAN, "x")


class Desk:
    """A monitor without its tick, whose limits can be changed."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.box = Box(folder, self.clock, ENGINE)
        box = self.box
        self.answers = Answers(
            box.pipeline, box.intake, box.recorder, box.run_facts, self.clock.now_s, WallLog()
        )
        self.answers.self_tests = box.tests
        self.remembering = Remembering(box.pipeline, self.clock, box.recorder)

        def reload(kept: Kept) -> Config:
            where = {"box.data_dir": str(folder)}
            file = folder / "box.toml"
            return load(file, plugin_defaults(), overrides=where, kept=lambda _: kept)

        self.answers.let_limits_change(reload({}), reload, "")

    def tick(self) -> None:
        self.clock.boot_s += 0.25
        outcome = self.box.pipeline.advance(self.box.intake.take(), self.clock.boot_s)
        for record in outcome.records:
            self.answers.note(record)
        self.remembering.keep(outcome, self.clock.boot_s)

    async def ask(self, request: Any) -> Any:
        asked = asyncio.ensure_future(self.answers.answer(request))
        while not asked.done():
            await asyncio.sleep(0.02)
            self.tick()
        return asked.result()

    async def change(self, act: LimitAct, **what: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.ask(ChangeLimits(act, *SAID, "patient-1", **what))
        return answer

    def entered(self) -> Any:
        """Return what a start after a kill would find."""
        with History.open(self.box.recorder.path) as history:
            kept = history.kept_alerts()
        assert kept is not None
        return unpack(kept.state).held


def play(folder: Path, body: Callable[[Desk], Awaitable[None]]) -> None:
    async def live() -> None:
        desk = Desk(folder)
        recording = asyncio.ensure_future(desk.box.recorder.run())
        desk.box.tests.start()
        try:
            await body(desk)
        finally:
            await desk.box.tests.stop()
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)
            await desk.box.recorder.close()

    asyncio.run(live())


def test_a_self_test_goes_by_the_limits_that_are_in_force_now(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        off = {"very_low_spo2": {"enabled": False}, "low_spo2": {"limit_pct": 86.0}}
        answer = await desk.change(LimitAct.SET, settings=off)
        assert len(answer["changes"]) == 2
        await desk.ask(BeginSelfTest("Ann", listen=False))
        await desk.box.ended()
        (row,) = desk.box.tests.live().last.rows  # type: ignore[union-attr]
        assert "very_low_spo2" not in row.found
        assert "low_spo2" in row.found

    play(tmp_path, body)


def test_what_was_entered_of_the_last_patient_does_not_outlive_a_kill(tmp_path: Path) -> None:
    async def body(desk: Desk) -> None:
        entry = Entry("patient-1", "oxygen", "oxygen", "Ann", Role.CARER, 3600.0)
        said = Packet(PERSON, ENTRY, desk.clock.boot_s, msgspec.json.encode(entry))
        desk.box.intake.put(said)
        desk.tick()
        assert await desk.box.recorder.stored()
        assert desk.entered()
        await desk.change(LimitAct.NEW_PATIENT)
        assert not desk.entered()

    play(tmp_path, body)
