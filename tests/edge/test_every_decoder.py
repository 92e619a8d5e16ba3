"""What every decoder promises, checked on whatever `discover` finds.

A new file is tested by existing, and brings captures: ``tests/captures/<name>/*.json`` with
``stream``, ``payload_hex`` and, for each payload, the ``expected`` runs of values (null is NaN), or
``{"not_mine": true}`` or ``{"broken": true}`` where it must be refused. A capture over several
streams names the stream of each payload in ``streams``.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge import decoders
from edge.decoders import (
    Batch,
    BrokenError,
    Decode,
    DecodeError,
    Decoder,
    NotMineError,
    one_by_one,
)
from edge.discover import discover, plugin_names
from edge.records import Packet, Samples, check_signal

CAPTURES = Path(__file__).parents[1] / "captures"
LIMIT_S = 0.010

FOUND = discover(decoders, "DECODER", Decoder)
every_decoder = pytest.mark.parametrize("decoder", FOUND, ids=lambda d: d.name)
LONG = bool(os.environ.get("HOMEWARD_LONG"))
"""The long tier: 100,000 byte strings for every decoder."""
hunt = settings(
    max_examples=100_000 if LONG else 60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Run(msgspec.Struct, forbid_unknown_fields=True):
    signal: str
    lead: str
    fs_hz: float
    values: list[float | None]
    spot: bool = False
    backfilled: bool = False
    stamp: tuple[int, float] | None = None


class Refused(msgspec.Struct, forbid_unknown_fields=True):
    not_mine: bool = False
    broken: bool = False

    @property
    def error(self) -> type[DecodeError]:
        assert self.not_mine != self.broken
        return NotMineError if self.not_mine else BrokenError


class Capture(msgspec.Struct, forbid_unknown_fields=True):
    about: str
    stream: str
    payload_hex: list[str]
    expected: list[list[Run] | Refused]
    streams: list[str] = []

    @property
    def payloads(self) -> list[bytes]:
        return [bytes.fromhex(text) for text in self.payload_hex]

    def packets(self, payloads: list[bytes], first_s: float = 0.0) -> list[Packet]:
        """Return payloads as packets of one device, one a second."""
        streams = self.streams or [self.stream] * len(self.payload_hex)
        count = len(streams)
        return [
            Packet("test", streams[i % count], first_s + i, payload)
            for i, payload in enumerate(payloads)
        ]


def captures_of(decoder: Decoder) -> dict[str, Capture]:
    return {
        path.stem: msgspec.convert(json.loads(path.read_text()), Capture)
        for path in sorted((CAPTURES / decoder.name).glob("*.json"))
    }


ALL_CAPTURES = [
    pytest.param(decoder, capture, id=f"{decoder.name}-{name}")
    for decoder in FOUND
    for name, capture in captures_of(decoder).items()
]


@every_decoder
def test_its_name_is_its_file_and_it_brings_captures_of_every_stream(decoder):
    assert decoder.name in plugin_names(decoders)
    captures = captures_of(decoder).values()
    captured = {stream for capture in captures for stream in (capture.stream, *capture.streams)}
    assert captured == set(decoder.streams)


def test_every_capture_belongs_to_a_decoder():
    assert {path.name for path in CAPTURES.iterdir()} == {decoder.name for decoder in FOUND}


def test_no_two_decoders_claim_the_same_stream():
    streams = [stream for decoder in FOUND for stream in decoder.streams]
    assert len(streams) == len(set(streams))


def test_no_two_profiles_have_the_same_name_and_a_quirk_has_streams_of_its_own():
    profiles = [profile for decoder in FOUND for profile in decoder.profiles]
    names = [profile.name for profile in profiles]
    assert len(names) == len(set(names))
    for profile in profiles:
        assert bool(profile.quirk) == bool(profile.prefix)
        assert profile.listen
        assert profile.service == profile.service.lower()


@every_decoder
def test_what_its_profiles_bring_is_what_it_reads(decoder):
    for profile in decoder.profiles:
        assert set(profile.streams) <= set(decoder.streams)


@pytest.mark.parametrize(("decoder", "capture"), ALL_CAPTURES)
def test_it_reads_its_captures_to_the_values_written_beside_them(decoder, capture):
    decode = decoder.open()
    assert len(capture.payloads) == len(capture.expected) > 0
    for packet, expected in zip(
        capture.packets(capture.payloads, 12.5), capture.expected, strict=True
    ):
        if isinstance(expected, Refused):
            with pytest.raises(expected.error):
                decode(packet)
            continue
        found = decode(packet)
        assert [(s.signal, s.lead, s.fs_hz) for s in found] == [
            (run.signal, run.lead, run.fs_hz) for run in expected
        ]
        for samples, run in zip(found, expected, strict=True):
            wanted = np.array([np.nan if v is None else v for v in run.values], np.float32)
            np.testing.assert_allclose(samples.values, wanted, rtol=1e-6, err_msg=run.signal)
            assert samples.start_s == packet.arrived_s
            assert (samples.spot, samples.backfilled) == (run.spot, run.backfilled)
            if run.stamp is not None:
                assert samples.stamp is not None
                assert (samples.stamp.ticks, samples.stamp.tick_s) == run.stamp
        check(decoder, found)


@every_decoder
@given(payload=st.binary(max_size=300))
@hunt
def test_it_survives_any_bytes(decoder, payload):
    for stream in decoder.streams:
        survive(decoder, [Packet("test", stream, 1.0, payload)])


@pytest.mark.parametrize(("decoder", "capture"), ALL_CAPTURES)
@given(data=st.data())
@hunt
def test_it_survives_its_own_captures_damaged(decoder, capture, data):
    payloads = capture.payloads
    which = data.draw(st.integers(0, len(payloads) - 1))
    payloads[which] = damaged(payloads[which], data)
    survive(decoder, capture.packets(payloads))


@pytest.mark.parametrize(("decoder", "capture"), ALL_CAPTURES)
def test_it_survives_its_own_captures_cut_anywhere(decoder, capture):
    for which, payload in enumerate(capture.payloads):
        for n in range(len(payload)):
            survive(decoder, capture.packets([*capture.payloads[:which], payload[:n]]))


@pytest.mark.parametrize(("decoder", "capture"), ALL_CAPTURES)
def test_two_devices_do_not_disturb_each_other(decoder, capture):
    alone, other = decoder.open(), decoder.open()
    packets = capture.packets(capture.payloads)
    for at, packet in enumerate(packets):
        first, expected = attempt(alone, packet), capture.expected[at]
        # The second device is one packet behind, so its state differs throughout.
        if at:
            attempt(other, packets[at - 1])
        assert len(first) == (0 if isinstance(expected, Refused) else len(expected))


def attempt(decode: Decode, packet: Packet) -> tuple[Samples, ...]:
    try:
        return decode(packet)
    except DecodeError:
        return ()


@pytest.mark.parametrize(("decoder", "capture"), ALL_CAPTURES)
@given(data=st.data())
@hunt
def test_reading_packets_together_gives_what_reading_them_one_by_one_gives(decoder, capture, data):
    if decoder.open_batch is None:
        return
    payloads = capture.payloads * 2
    for _ in range(data.draw(st.integers(0, 3))):
        which = data.draw(st.integers(0, len(payloads) - 1))
        payloads[which] = damaged(payloads[which], data)
    packets = capture.packets(payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(packets)), max_size=4)))
    ends = [*cuts, len(packets)]
    together = decoder.open_batch()
    batches = [together(packets[a:b]) for a, b in zip([0, *cuts], ends, strict=True)]
    alone = one_by_one(decoder.open())(packets)

    assert values_of(batches) == values_of([alone])
    assert [str(e) for b in batches for e in b.errors] == [str(e) for e in alone.errors]


def values_of(batches: list[Batch]) -> dict[tuple[str, str], bytes]:
    """Return all values by signal and lead, in their order, to the bit."""
    values: dict[tuple[str, str], bytes] = {}
    for batch in batches:
        for samples, _ in batch.found:
            key = (samples.signal, samples.lead)
            values[key] = values.get(key, b"") + np.ascontiguousarray(samples.values).tobytes()
    return values


def damaged(payload: bytes, data: st.DataObject) -> bytes:
    raw = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(raw) - 1, 0)))
        how = data.draw(st.sampled_from(("flip", "drop", "insert", "cut")))
        if how == "insert" or not raw:
            raw.insert(place, data.draw(st.integers(0, 255)))
        elif how == "flip":
            raw[place] ^= 1 << data.draw(st.integers(0, 7))
        elif how == "drop":
            del raw[place]
        else:
            del raw[place:]
    return bytes(raw)


def survive(decoder: Decoder, packets: list[Packet]) -> None:
    """Decode the packets as one device's; only `DecodeError` may come out, and soon."""
    # Up to three tries, because the machine may be busy with something else.
    assert any(_slowest_s(decoder, packets) < LIMIT_S for _ in range(3))


def _slowest_s(decoder: Decoder, packets: list[Packet]) -> float:
    decode, slowest_s = decoder.open(), 0.0
    for packet in packets:
        start_s = time.thread_time()
        try:
            found = decode(packet)
        except DecodeError as error:
            assert str(error)  # noqa: PT017  # every kind of decoder error must say something
            found = ()
        slowest_s = max(slowest_s, time.thread_time() - start_s)
        check(decoder, found)
    return slowest_s


def check(decoder: Decoder, found: tuple[Samples, ...]) -> None:
    for samples in found:
        check_signal(samples.signal)
        assert samples.signal in decoder.signals or "*" in decoder.signals
        assert samples.values.dtype == np.float32
        assert samples.values.ndim == 1
        assert samples.values.size >= 1
        assert not np.isinf(samples.values).any()
        assert np.isfinite(samples.fs_hz)
        assert samples.fs_hz >= 0.0
