"""A window is cut as soon as all of it is there, and holds what it would hold a second later."""

from __future__ import annotations

import math

import msgspec
import pytest

from edge.assemble import assemble, open_scorer
from edge.pipeline import TICK_S, PipelineSettings, watched
from edge.readers import simulated
from edge.records import Features, Packet, Score, encode_record

PROMPT_S, LATE_S = 1.25, 2.25
SCORER = open_scorer()


def packets_of(scenario: str, duration_s: float) -> list[Packet]:
    told = simulated.Settings(scenario=scenario, duration_s=duration_s)
    return list(simulated.packets(told))


def lags_s(packets: list[Packet], end_s: float) -> list[float]:
    """Return how long after its window's end each score came."""
    pipeline = assemble(PipelineSettings(), "test", scorer=SCORER)
    lags = []
    for tick in range(1, round(end_s / TICK_S)):
        now_s, late = tick * TICK_S, len(packets)
        for i, packet in enumerate(packets):
            if packet.arrived_s > now_s:
                late = i
                break
        given, packets = packets[:late], packets[late:]
        records = pipeline.advance(given, now_s).records
        lags += [now_s - r.start_s - r.length_s for r in records if isinstance(r, Score)]
    return lags


def test_a_score_comes_a_second_and_a_tick_after_its_window() -> None:
    assert lags_s(packets_of("demo", 60.0), 60.0) == [PROMPT_S] * 5


def test_a_link_that_delivers_in_bursts_is_waited_for_a_second_longer() -> None:
    bursts = [
        msgspec.structs.replace(p, arrived_s=2.0 * math.ceil(p.arrived_s / 2.0))
        for p in packets_of("demo", 60.0)
    ]

    assert set(lags_s(bursts, 60.0)) == {LATE_S}


@pytest.mark.parametrize("scenario", ["arrhythmia", "faults"])
def test_what_a_window_holds_does_not_depend_on_when_it_is_cut(
    scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packets = packets_of(scenario, 300.0)

    def windows() -> list[bytes]:
        pipeline = assemble(PipelineSettings(), "test", scorer=SCORER)
        records = pipeline.advance(packets, 304.0).records
        return [encode_record(r) for r in records if isinstance(r, Features | Score)]

    prompt = windows()
    monkeypatch.setattr(watched, "SETTLED_LAG_S", watched.WINDOW_LAG_S)
    assert sorted(windows()) == sorted(prompt)
