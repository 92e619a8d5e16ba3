"""The ping is sent while the monitor really comes on, and not because this process lives."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.config import Deadman
from edge.control.board import Board
from edge.notices import deadman as deadman_module
from edge.notices.deadman import Progress, Watcher, ping
from edge.secret import Secret
from tests.edge.notices.far_away import Far, serving
from tests.edge.notices.untold import alone

URL = "/ping/0123456789abcdef"


def board(tick_s: float, **more: Any) -> Board:
    known: dict[str, Any] = {"ready": True, "time_quality": None}
    return Board(
        change=1, run_id="run", boot_id="b", box="x", tick_s=tick_s, now_s=tick_s,
        **{**known, **more},
    )  # fmt: skip


def test_a_monitor_that_comes_on_is_pinged_for() -> None:
    progress = Progress(Deadman())
    for now_s in (100.0, 160.0, 220.0):
        assert progress.look(board(now_s - 0.2), now_s - 0.1, now_s) == "ping"
        assert progress.reason == ""


def test_a_tick_that_stands_still_is_a_failure_even_if_the_monitor_answers() -> None:
    progress = Progress(Deadman())
    assert progress.look(board(100.0), 100.0, 100.0) == "ping"
    assert progress.look(board(100.0), 110.0, 110.0) == "fail"
    assert progress.reason == "the monitor does not come on"
    assert progress.look(board(119.0), 120.0, 120.0) == "ping"


@pytest.mark.parametrize(
    ("seen", "seen_s", "reason"),
    [
        (None, 100.0, "the monitor does not answer"),
        (board(160.0), 100.0, "the monitor does not answer"),
        (board(100.0), 160.0, "the monitor does not come on"),
        (board(160.0, ready=False), 160.0, "the monitor does not come on"),
        (board(160.0, not_watching=("nothing is heard of p1",)), 160.0, "nothing is heard of p1"),
    ],
)
def test_what_does_not_watch_is_not_pinged_for(
    seen: Board | None, seen_s: float, reason: str
) -> None:
    progress = Progress(Deadman())
    assert progress.look(seen, seen_s, 160.0) == "fail"
    assert progress.reason == reason
    assert Progress(Deadman(fails=False)).look(seen, seen_s, 160.0) == ""


def test_patients_that_are_not_heard_may_be_left_to_the_alarms() -> None:
    away = board(160.0, not_watching=("nothing is heard of p1",))
    assert Progress(Deadman(needs="progress")).look(away, 160.0, 160.0) == "ping"


def test_a_monitor_that_began_again_has_come_on() -> None:
    progress = Progress(Deadman())
    assert progress.look(board(160.0), 160.0, 160.0) == "ping"
    anew = msgspec.structs.replace(board(30.0), run_id="next")
    assert progress.look(anew, 31.0, 31.0) == "ping"


def test_pings_and_failures_reach_the_watcher_without_a_word_about_anybody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(deadman_module, "RETRY_S", 0.05)
    now = [1000.0]

    async def live(far: Far) -> None:
        told: list[Board | None] = [board(1000.0)]
        secret = Secret((far.url + URL,))
        settings = msgspec.structs.replace(Deadman(), every_s=1.0)
        seen = (lambda: (told[0], now[0]), lambda: now[0])
        watcher = Watcher(settings, secret, *seen, alone(tmp_path))
        task = asyncio.get_running_loop().create_task(watcher.run())
        try:
            # The watcher has it before its answer is here, and so before it counts as sent.
            await until(lambda: far.posts(URL) and watcher.state().sent_s == 1000.0)
            assert watcher.state().works
            await until(lambda: far.posts(f"{URL}/fail") and not watcher.state().works)
            assert watcher.state().reason == "the monitor does not come on"
            now[0], told[0] = 1060.0, board(1060.0)
            await until(lambda: len(far.posts(URL)) == 2)
            far.fault = {"status": 404}
            now[0], told[0] = 1120.0, board(1120.0)
            await until(lambda: "404" in watcher.state().reason)
            assert "0123456789abcdef" not in watcher.state().reason
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert {body for *_, body in far.requests} == {""}

    with serving(Far()) as far:
        asyncio.run(live(far))


async def until(done: Any) -> None:
    for _ in range(400):
        if done():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen within 8 s")


def test_a_watcher_that_cannot_be_reached_is_told_without_its_address(tmp_path: Path) -> None:
    told = asyncio.run(ping(Secret(("http://localhost:1" + URL,)), "ping", alone(tmp_path)))
    assert "localhost cannot be asked" in told
    assert "0123456789abcdef" not in told
