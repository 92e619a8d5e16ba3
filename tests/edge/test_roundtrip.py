"""The round trip of a notice, from the monitor's side: asked on the board, waited for, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from edge.control import ControlError, Notices, NoticesProof, NoticesState, Way, WayProof
from edge.daemon.noticeboard import Noticed
from edge.daemon.roundtrip import ANSWER_S, verdict_of
from edge.records import Verdict
from edge.selftest.notices import DEADLINE_S
from tests.edge.test_noticeboard import Scene

ANNA = WayProof("anna", sent=True, received=True)
MAIL = WayProof("mail", sent=True, received=False)
BOB = WayProof("bob", sent=False, received=False, text="ntfy answered 500")
WORKS = NoticesState(1, (Way("anna", works=True, since_s=0.0),))


def live(body: Callable[[Scene], Awaitable[None]]) -> None:
    async def lived() -> None:
        await body(Scene())

    asyncio.run(lived())


async def notifier(scene: Scene, *ways: WayProof) -> int:
    """Wait for the asking as the notifier does, and answer it; return its number."""
    board = await scene.board.answer(Notices(-1))
    while not board.proof:
        board = await scene.board.answer(Notices(board.change, 5.0))
    await scene.board.answer(NoticesProof(board.proof, ways))
    return board.proof


def test_the_notifier_is_woken_answers_and_is_asked_no_more() -> None:
    async def body(scene: Scene) -> None:
        await scene.board.answer(WORKS)
        for n in (1, 2):
            other = asyncio.ensure_future(notifier(scene, ANNA))
            await asyncio.sleep(0.01)  # it waits for a change
            found = await scene.board.round_trip.prove(sends=True)
            assert found == (Verdict.PASSED, "a test notice went out to anna (held by its server)")
            assert await other == n
            assert scene.board.board().proof == 0

    live(body)


def test_a_notifier_that_does_not_answer_has_failed_in_time() -> None:
    async def body(scene: Scene) -> None:
        await scene.board.answer(WORKS)
        verdict, found = await scene.board.round_trip.prove(sends=True, within_s=0.05)
        assert verdict is Verdict.FAILED
        assert "no proof of a test notice within 0 s" in found
        with pytest.raises(ControlError, match="not asked for"):
            await scene.board.answer(NoticesProof(1, (ANNA,)))
        assert scene.board.board().proof == 0

    live(body)
    assert ANSWER_S < DEADLINE_S


def test_an_answer_to_another_asking_is_none() -> None:
    async def body(scene: Scene) -> None:
        await scene.board.answer(WORKS)
        asked = asyncio.ensure_future(scene.board.round_trip.prove(sends=True, within_s=5.0))
        await asyncio.sleep(0.01)
        with pytest.raises(ControlError, match="proof 7"):
            await scene.board.answer(NoticesProof(7, (ANNA,)))
        with pytest.raises(RuntimeError, match="on its way"):
            await scene.board.round_trip.prove(sends=True)
        await scene.board.answer(NoticesProof(1, (BOB,)))
        with pytest.raises(ControlError):
            await scene.board.answer(NoticesProof(1, (ANNA,)))
        assert (await asked)[0] is Verdict.FAILED

    live(body)


@pytest.mark.parametrize(
    ("noticed", "state", "sends", "verdict", "said"),
    [
        (Noticed(), None, True, Verdict.NOT_THERE, "no [[notices]]"),
        (Noticed(wanted=True), None, True, Verdict.FAILED, "the notifier does not run"),
        (Noticed(wanted=True), WORKS, False, Verdict.UNKNOWN, "notices = false"),
        (
            Noticed(wanted=True),
            NoticesState(1, (Way("anna", works=False, since_s=0.0, reason="no network"),)),
            False,
            Verdict.FAILED,
            "anna: no network",
        ),
    ],
)
def test_what_is_known_without_sending_is_said_at_once(
    noticed: Noticed, state: NoticesState | None, *, sends: bool, verdict: Verdict, said: str
) -> None:
    async def body(scene: Scene) -> None:
        scene.board.noticed = noticed
        scene.now_s += 1000.0
        if state is not None:
            await scene.board.answer(state)
        found: Any = await scene.board.round_trip.prove(sends=sends)
        assert found[0] is verdict
        assert said in found[1]

    live(body)


def test_the_sentence_names_the_ways_that_failed_and_what_is_proven_of_the_others() -> None:
    verdict, found = verdict_of((ANNA, MAIL, BOB))
    assert verdict is Verdict.FAILED
    assert found == (
        "a test notice did not go out to bob (ntfy answered 500); a test notice went out to "
        "anna (held by its server), mail (sent, no receipt)"
    )
    assert verdict_of((MAIL,)) == (
        Verdict.PASSED,
        "a test notice went out to mail (sent, no receipt)",
    )
    assert verdict_of(())[0] is Verdict.FAILED
