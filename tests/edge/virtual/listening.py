"""What a decoder makes of what a virtual wearable sent, beside what the wearable measured."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from edge.decoders import Decoder
from edge.records import Packet, Samples
from edge.virtual._date import Truth
from tests.edge.virtual.port import Sent


def decode(decoder: Decoder, sent: Iterable[Sent], prefix: str = "") -> list[tuple[float, Samples]]:
    """Return the samples in what was sent, with the time each arrived."""
    read = decoder.open()
    return [
        (one.at_s, samples)
        for one in sent
        if prefix + one.uuid in decoder.streams
        for samples in read(Packet("virtual", prefix + one.uuid, one.at_s, one.payload))
    ]


def values_of(found: Iterable[tuple[float, Samples]], signal: str) -> list[float]:
    return [v for _, s in found if s.signal == signal for v in s.values.tolist()]


def agree(found: list[tuple[float, Samples]], truth: Iterable[Truth]) -> None:
    """Compare all values, in their order, signal by signal."""
    told: dict[str, list[float]] = {}
    for one in truth:
        told.setdefault(one.signal, []).append(one.value)
    assert {samples.signal for _, samples in found} == set(told)
    for signal, values in told.items():
        got = values_of(found, signal)
        np.testing.assert_allclose(got, np.float32(values), rtol=1e-6, err_msg=signal)


def stamps_agree(found: list[tuple[float, Samples]], truth: Iterable[Truth], date: object) -> None:
    """Compare the times the wearable wrote into its payloads with when it measured."""
    shown_s = [date.shown_s(one.at_s) for one in truth]
    got_s = [s.stamp.ticks for _, s in found]
    assert got_s == pytest.approx(shown_s, abs=1.0)
    assert all(a <= b for a, b in zip(got_s, shown_s, strict=True))
