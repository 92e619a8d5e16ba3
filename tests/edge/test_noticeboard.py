"""What the monitor tells the notifier, and what it takes from it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from edge.assemble import assemble
from edge.clock import BootClock, WallLog
from edge.control import (
    Acknowledge,
    Alerts,
    ControlError,
    Delivered,
    Live,
    Notices,
    NoticesState,
    Ping,
    Status,
    Trace,
    Way,
)
from edge.control.board import HEARD_S, plain_words
from edge.daemon import noticeboard as noticeboard_module
from edge.daemon.intake import LinkReport, LinkState
from edge.daemon.noticeboard import Noticeboard, Noticed
from edge.events import EXPECT, Expectation, tell
from edge.pipeline import Pipeline, PipelineSettings
from edge.records import AlertState, Role, Step
from edge.store import Run

WORDS = Noticed("bedroom", wanted=True, patients=("p1",))


class Scene:
    """A real pipeline in which one technical alert comes to stand: a source that is never heard."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.run = Run("run", BootClock().boot_id, 1000.0, "0", "", "")
        settings = PipelineSettings()
        self.pipeline: Pipeline = assemble(settings, "run", start_s=self.now_s)
        self.links: list[LinkReport] = []
        self.acknowledged: list[Acknowledge] = []
        self.board = Noticeboard(
            self.pipeline, self.run, lambda: self.now_s, WallLog(), lambda: self.links, self._ack
        )
        self.board.noticed = WORDS

    async def _ack(self, said: Acknowledge) -> Any:
        self.acknowledged.append(said)
        return {"alert": said.id}

    def advance(self, until_s: float, *packets: Any) -> None:
        while self.now_s < until_s:
            self.now_s += 0.25
            outcome = self.pipeline.advance(packets, self.now_s)
            packets = ()
            for record in outcome.records:
                self.board.note(record)

    def alarmed(self) -> Any:
        self.advance(1000.5, tell(EXPECT, Expectation("strap", "p1"), 1000.1))
        self.advance(1000.0 + 400.0)
        (alert, *_) = self.board.board().standing
        return alert

    def ask(self, request: Any) -> Any:
        return asyncio.run(self.board.answer(request))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_what_stands_is_told_in_plain_words_with_how_far_it_was_carried(scene: Scene) -> None:
    alert = scene.alarmed()
    assert (alert.words, alert.patient, alert.kind) == ("never heard", "p1", "technical")
    assert alert.step in {Step.FIRST_CARER, Step.SECOND_CARER}
    assert alert.reason == ""
    assert scene.ask(Notices(details=True)).standing[0].reason != ""
    board = scene.board.board()
    assert (board.box, board.run_id, board.ready) == ("bedroom", "run", True)
    assert board.tick_s == scene.now_s


def test_before_its_first_tick_a_monitor_is_not_ready(scene: Scene) -> None:
    assert not scene.board.board().ready
    scene.advance(1001.0)
    assert scene.board.board().ready


def test_who_waits_is_told_at_the_change_and_who_lags_behind_at_once(scene: Scene) -> None:
    async def live() -> None:
        change = scene.board.board().change
        loop = asyncio.get_running_loop()
        waiting = loop.create_task(scene.board.answer(Notices(change, 30.0)))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        alert = scene.alarmed()
        board = await asyncio.wait_for(waiting, 1.0)
        assert board.change > change
        assert [one.id for one in board.standing] == [alert.id]
        late = await asyncio.wait_for(scene.board.answer(Notices(change, 30.0)), 0.5)
        assert late.change == board.change
        began_s = loop.time()
        await scene.board.answer(Notices(board.change, 0.2))
        assert 0.15 < loop.time() - began_s < 1.0

    asyncio.run(live())


def test_an_alert_that_has_ended_is_told_with_how_far_it_came(scene: Scene) -> None:
    alert = scene.alarmed()
    scene.advance(scene.now_s + 1.0, tell(EXPECT, Expectation("strap", "p1", withdrawn=True), 1e3))
    scene.advance(scene.now_s + 60.0)
    board = scene.board.board()
    ended = {one.id: one for one in board.ended}
    assert alert.id not in {one.id for one in board.standing}
    assert ended[alert.id].state is AlertState.ENDED
    assert ended[alert.id].step.rank >= Step.FIRST_CARER.rank


@pytest.mark.parametrize(
    "request_",
    [Status(), Live(), Alerts(), Trace("ecg_mv"), Acknowledge("a", "Anna")],
    ids=lambda request: type(request).__name__,
)
def test_on_its_socket_nothing_raw_is_answered_and_nothing_acknowledged(
    scene: Scene, request_: Any
) -> None:
    with pytest.raises(ControlError, match="and no more"):
        scene.ask(request_)
    assert scene.ask(Ping())["run_id"] == "run"


def test_only_where_it_is_configured_an_answer_from_afar_is_taken_and_as_a_carer(
    scene: Scene,
) -> None:
    scene.board.noticed = msgspec.structs.replace(WORDS, answers=True)
    scene.ask(Acknowledge("a", "anna"))
    assert [said.by for said in scene.acknowledged] == ["anna"]
    with pytest.raises(ControlError):
        scene.ask(Acknowledge("a", "anna", Role.CLINICIAN))


def test_reports_are_taken_of_known_alerts_only_and_kept_bounded(scene: Scene) -> None:
    alert = scene.alarmed()
    scene.ask(Delivered(alert.id, "sent", "ntfy:anna", 1.0))
    assert [told.stage for told in scene.board.delivered] == ["sent"]
    with pytest.raises(ControlError, match="no alert 'made-up'"):
        scene.ask(Delivered("made-up", "sent", "ntfy:anna", 1.0))
    for _ in range(noticeboard_module.N_DELIVERED + 5):
        scene.ask(Delivered(alert.id, "queued", "ntfy:anna", 1.0))
    assert len(scene.board.delivered) == noticeboard_module.N_DELIVERED


def test_where_there_is_a_ledger_it_decides_what_is_believed(scene: Scene) -> None:
    took: list[Delivered] = []

    async def keep(told: Delivered) -> Any:
        took.append(told)
        if told.stage == "received":
            raise ControlError("not before it was sent")
        return {"stored": True}

    scene.board.ledger = keep
    assert scene.ask(Delivered("a1", "sent", "ntfy:anna", 1.0)) == {"stored": True}
    with pytest.raises(ControlError, match="not before"):
        scene.ask(Delivered("a1", "received", "ntfy:anna", 1.0))
    assert len(took) == 2


def test_that_notices_do_not_go_out_is_known_with_for_how_long(scene: Scene) -> None:
    scene.now_s += 59.0
    assert scene.board.report().trouble == ""  # it may be starting
    scene.now_s += 2.0
    report = scene.board.report()
    assert "the notifier does not run" in report.trouble
    assert (report.failing_s, report.age_s, report.since_s) == (61.0, None, 1000.0)
    scene.ask(NoticesState(1, (Way("anna", works=True, since_s=0.0),)))
    report = scene.board.report()
    assert (report.trouble, report.failing_s, report.age_s) == ("", None, 0.0)
    broken = Way("anna", works=False, since_s=scene.now_s - 12.0, reason="no network")
    scene.ask(NoticesState(1, (broken,)))
    report = scene.board.report()
    assert (report.trouble, report.failing_s) == ("anna: no network", 12.0)
    assert report.since_s == broken.since_s
    spoke_s = scene.now_s
    scene.now_s += HEARD_S + 0.5
    report = scene.board.report()
    assert (report.failing_s, report.since_s) == (HEARD_S + 0.5, spoke_s)


def test_without_anybody_to_tell_nothing_is_amiss(scene: Scene) -> None:
    scene.board.noticed = Noticed()
    scene.now_s += 1000.0
    assert scene.board.report().trouble == ""


def test_what_it_should_watch_and_does_not_is_said(scene: Scene) -> None:
    scene.advance(1001.0)
    assert scene.board.board().not_watching == ()
    scene.advance(1000.0 + noticeboard_module.UNHEARD_S + 1.0)
    assert scene.board.board().not_watching == ("nothing is heard of p1",)
    scene.links = [LinkReport("strap", "ble", LinkState.WAITING, 0, 0, 3, 1.0, "AA:BB at 80 %")]
    scene.now_s += 31.0
    assert scene.board.board().not_watching == (
        "the monitor does not come on",
        "the source strap has failed",
        "nothing is heard of p1",
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("very_low_spo2", "very low SpO2"),
        ("high_resp", "high breathing rate"),
        ("news2_urgent", "NEWS2 urgent"),
        ("signal_lost", "signal lost"),
    ],
)
def test_a_rule_is_called_as_people_say_it(rule: str, words: str) -> None:
    assert plain_words(rule) == words
