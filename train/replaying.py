"""A recording through the monitor, as `homeward replay` runs it.

The same reader, the same decoders, the same pipeline; only the rules and the model are left out,
for they change no feature.
"""

from __future__ import annotations

from edge import decoders, features
from edge.decoders import Decoder
from edge.discover import discover
from edge.features import FeatureFamily
from edge.pipeline import Pipeline, PipelineSettings
from edge.playback import replay_packets
from edge.readers.replay import ReplayReport, ReplaySettings, packets
from edge.records import Record
from train.recordings import Recording


def replay(recording: Recording) -> list[Record]:
    """Return every record the monitor gives out for a recording, its last beats included.

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
    report = ReplayReport()
    source = packets(ReplaySettings(recording.path), report)
    found: list[Record] = []
    replay_packets(source, pipeline, found.append, end_s=report.duration_s)
    return found
