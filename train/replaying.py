"""A recording through the monitor, as `homeward replay` runs it.

The same reader, the same decoders, the same pipeline; only the rules and the model are left out,
for they change no feature.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge import decoders, features
from edge.decoders import Decoder
from edge.discover import discover
from edge.features import FeatureFamily
from edge.pipeline import WINDOW_LAG_S, Pipeline, PipelineSettings
from edge.readers.replay import ReplaySettings, packets
from edge.records import Packet, Record
from train.recordings import Recording

STEP_S: Final = 10.0
"""Packets are handed over in steps of this; the pipeline runs its own ticks within."""


def replay(recording: Recording) -> Iterator[Record]:
    """Yield every record the monitor gives out for a recording, the last window included.

    Raises
    ------
    edge.readers.ReadError
        The recording cannot be read.
    """
    pipeline = Pipeline(
        PipelineSettings(default_patient=recording.subject),
        discover(decoders, "DECODER", Decoder),
        discover(features, "FEATURES", FeatureFamily),
        rules=(),
        scorer=None,
        run_id=recording.name,
    )
    waiting: list[Packet] = []
    now_s = 0.0
    for packet in packets(ReplaySettings(recording.path, speed=0.0)):
        while packet.arrived_s > now_s + STEP_S:
            now_s += STEP_S
            yield from pipeline.advance(waiting, now_s).records
            waiting = []
        waiting.append(packet)
    end_s = waiting[-1].arrived_s if waiting else now_s
    yield from pipeline.advance(waiting, end_s + 2 * WINDOW_LAG_S).records
