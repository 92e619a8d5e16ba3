"""A board whose every sample says which it is: the truth about its times is known."""

import math

import numpy as np

import edge.decoders
from edge import frame
from edge.decoders import Decoder
from edge.discover import discover
from edge.export.gather import gather
from edge.export.placing import placed
from edge.export.span import Origin, Span
from edge.export.spool import Spool
from edge.frame import Channel
from edge.records import Packet

FS_HZ = 250.0
STARTS_S = 20.0
PER_PACKET = 25
I4 = 2
DESCRIPTION = frame.Description(
    FS_HZ, (Channel("ecg_mv", "II", I4, 1000.0, 0.0),), "drifting", host_clock=False
)


def true_times_s(idx, ppm):
    """When samples were taken, by the box's clock."""
    return STARTS_S + np.asarray(idx) * (1 + ppm * 1e-6) / FS_HZ


def drifting(length_s, ppm=200.0, lost=(), seed=5, latency_s=0.004, jitter_s=0.003):
    """Packets of a board whose clock is slower by so much; sample number n has the value n/1000.

    `lost`: half open spans in which nothing arrives.
    """
    rng = np.random.default_rng(seed)
    body = frame.pack_description(DESCRIPTION)
    n = int(length_s * FS_HZ / (1 + ppm * 1e-6))
    found = []
    for number, first in enumerate(range(0, n - PER_PACKET, PER_PACKET)):
        clock_us = round(first / FS_HZ * 1e6)
        sent_s = float(true_times_s(first + PER_PACKET - 1, ppm))
        arrived_s = sent_s + latency_s + float(rng.exponential(jitter_s))
        idx = np.arange(first, first + PER_PACKET)
        rows = idx.astype("<i4")
        if number % 100 == 0:
            told = frame.pack(frame.DESCRIPTION, number % 65536, clock_us, body)
            found.append(Packet("uart:board", frame.STREAM, arrived_s, told))
        told = frame.pack(frame.SAMPLES, number % 65536, clock_us, frame.pack_rows(rows))
        if not any(a <= sent_s < b for a, b in lost):
            found.append(Packet("uart:board", frame.STREAM, arrived_s, told))
    return sorted(found, key=lambda packet: packet.arrived_s)


def span_of(packets, folder, from_s=0.0, to_s=math.inf, origin=None, records=()):
    """The packets as a span ready to be written; the second value ends the spool."""
    spool = Spool(folder)
    decoders = discover(edge.decoders, "DECODER", Decoder)
    found = gather(placed(packets, decoders), spool, from_s, to_s)
    found.notebook.take(records)
    channels = tuple(spool.channels())
    found.notebook.add_gaps(channels, found.from_s, found.to_s)
    return Span(
        "night",
        found.patient,
        found.from_s,
        found.to_s,
        channels,
        found.notebook,
        False,
        origin or Origin(),
        "1.0",
    ), spool
