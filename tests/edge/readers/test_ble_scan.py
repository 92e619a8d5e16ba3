"""When a radio that hears nothing is mended: silence, and what ends it."""

import asyncio

import pytest

from edge.readers._ble_ladder import Ladder
from edge.readers._ble_scan import LADDER_S, PAUSE_S, TICK_S, Ears, Scanner
from tests.edge.readers.test_ble_ladder import OURS, Hardware, means
from tests.rigs.fast_loop import run_fast

SPEED = 100.0
SLACK_S = 10.0
"""A tenth of a second of a busy machine."""


class DeafAir:
    """Scans that hear nothing."""

    def __init__(self):
        self.n_begun = 0

    async def start_scan(self, adapter, heard):  # noqa: ARG002
        self.n_begun += 1

    async def stop_scan(self, adapter):
        pass


def mended(tmp_path, story):
    """Let a story play with a deaf radio; return after how long it was switched off and on."""

    async def play():
        hardware, ears, told = Hardware(), Ears(), []
        ladder = Ladder("hci0", hardware, means(tmp_path, told))
        scanner = Scanner("hci0", DeafAir(), ears, ladder, lambda: False)
        loop = asyncio.get_running_loop()
        began_s, scanning = loop.time(), asyncio.create_task(scanner.run())
        telling = asyncio.create_task(story(scanner, ears))
        try:
            async with asyncio.timeout(4 * LADDER_S):
                while not hardware.calls:  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            return loop.time() - began_s
        finally:
            scanning.cancel()
            await asyncio.gather(scanning, return_exceptions=True)

    return run_fast(play(), SPEED)


def waited_for(trial_s, *, answers=False):
    """Return a story: waited for, tried once after 60 s without having been heard, waited for."""

    async def story(scanner, ears):
        try:
            async with asyncio.timeout(60.0):
                await ears.wait_for(OURS)
        except TimeoutError:
            await asyncio.sleep(trial_s)
        if answers:
            scanner.answered()
        await ears.wait_for(OURS)

    return story


def test_a_sensor_that_was_tried_in_vain_ends_no_silence(tmp_path):
    took_s = mended(tmp_path, waited_for(20.0))
    assert LADDER_S <= took_s <= LADDER_S + 2 * TICK_S + SLACK_S


@pytest.mark.parametrize(
    ("story", "heard_s"),
    [
        (waited_for(20.0, answers=True), 80.0),
        (waited_for(PAUSE_S + SLACK_S), 60.0 + PAUSE_S + SLACK_S),
    ],
    ids=["it answered", "nobody was waited for, for long"],
)
def test_what_ends_a_silence(tmp_path, story, heard_s):
    took_s = mended(tmp_path, story)
    assert heard_s + LADDER_S <= took_s <= heard_s + LADDER_S + 2 * TICK_S + SLACK_S
