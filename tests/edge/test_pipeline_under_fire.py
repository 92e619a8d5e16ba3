"""Whatever comes in, the monitor goes on: damaged, doubled, hostile and impossible packets.

``HOMEWARD_LONG=1`` runs 1,000 seeds instead of a dozen.
"""

import os
import random

import msgspec
import numpy as np
import pytest

from edge import frame
from edge.assemble import assemble, open_scorer
from edge.pipeline import PipelineSettings
from edge.readers import simulated
from edge.records import Alert, Beat, Packet, Summary, encode_record

N_SEEDS = 1000 if os.environ.get("HOMEWARD_LONG") else 12
RATES_HZ = (0.1, 1.0, 2.0, 50.0, 99.9, 100.0, 250.0, 999.0, 1000.0, 4000.0, 100_000.0)
GAINS = (1e-11, 0.001, 1.0, -200.0, 1000.0, 1e11)
GATT = "0000{}-0000-1000-8000-00805f9b34fb"


class Hostile:
    """A board that says anything, in frames whose CRC is right."""

    def __init__(self, rng, name):
        self.rng, self.name = rng, name
        self.row = np.dtype("<i2")
        self.clock_us, self.sequence = rng.randrange(1 << 32), rng.randrange(1 << 16)

    def describe(self):
        rng = self.rng
        channels = tuple(
            frame.Channel(
                rng.choice(("ecg_mv", "resp_au", "spo2_pct", f"x{rng.randrange(99)}_mv")),
                f"L{i}",
                rng.choice((0, 2, 3, 4)),
                rng.choice(GAINS),
                rng.choice((0.0, -32768.0, 1e9)),
            )
            for i in range(rng.randrange(1, 5))
        )
        self.row = frame.row_type(channels)
        described = frame.Description(
            rng.choice(RATES_HZ), channels, "hostile", "0", host_clock=rng.random() < 0.3
        )
        return frame.DESCRIPTION, frame.pack_description(described)

    def say(self, at_s):
        rng = self.rng
        draw = rng.random()
        if draw < 0.1:
            kind, body = self.describe()
        elif draw < 0.15:
            kind = frame.STATUS
            body = bytes(rng.randrange(256) for _ in range(rng.randrange(4)))
        else:
            kind = frame.SAMPLES if draw < 0.97 else rng.randrange(256)
            body = rng.randbytes(self.row.itemsize * rng.randrange(1, 60) + (draw > 0.95))
        self.clock_us += rng.choice(
            (100_000, 100_000, 100_000, 0, -5_000_000, 1 << 31, 3_600_000_000)
        )
        self.sequence += rng.choice((1, 1, 1, 0, 2, 40_000))
        payload = frame.pack(kind, self.sequence, self.clock_us, body)
        return Packet(self.name, frame.STREAM, at_s, payload)


def spoil(packet, rng):
    """Return what becomes of a good packet on a bad day."""
    draw = rng.random()
    if draw < 0.80:
        return [packet]
    if draw < 0.84:
        return []
    if draw < 0.88:
        return [packet, packet]
    raw = bytearray(packet.payload)
    if draw < 0.94 and raw:
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    else:
        del raw[rng.randrange(len(raw) + 1) :]
    return [msgspec.structs.replace(packet, payload=bytes(raw))]


def stray(at_s, rng):
    stream = rng.choice(
        (GATT.format("2a37"), GATT.format("2a5f"), GATT.format("2a5e"), "person:answer",
         "box:assign", "box:start", "box:else", "unknown")
    )  # fmt: skip
    return Packet(rng.choice(("a", "b", "person")), stream, at_s, rng.randbytes(rng.randrange(24)))


def bad_day(seed, length_s=90.0):
    rng = random.Random(seed)  # noqa: S311  # for a test
    settings = simulated.Settings(
        scenario=rng.choice(("faults", "arrhythmia", "demo")),
        duration_s=length_s,
        devices=("board", "clip", "strap", "motion", "thermometer"),
    )
    boards = [Hostile(rng, "sim:board" if seed % 3 == 0 else "hostile"), Hostile(rng, "other")]
    for packet in simulated.packets(settings):
        yield from spoil(packet, rng)
        if rng.random() < 0.15:
            yield rng.choice(boards).say(packet.arrived_s)
        if rng.random() < 0.05:
            yield stray(packet.arrived_s, rng)


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_a_bad_day_stops_nothing_and_is_the_same_twice(seed):
    packets = list(bad_day(seed))
    outcomes = []
    for _ in range(2):
        pipeline = assemble(PipelineSettings(), "fire", scorer=open_scorer())
        outcomes.append(pipeline.advance(packets, 94.0).records)
    records = outcomes[0]

    assert [encode_record(r) for r in records] == [encode_record(r) for r in outcomes[1]]
    assert any(isinstance(r, Summary) for r in records)
    assert all(r.at_s <= 94.0 for r in records if isinstance(r, Beat))
    assert pipeline.live().now_s == 94.0
    for record in records:
        if isinstance(record, Alert):
            assert record.reason
            assert all(np.isfinite(value) for value in record.evidence.values())
