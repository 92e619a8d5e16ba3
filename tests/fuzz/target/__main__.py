"""One decoder under libFuzzer: ``python -m tests.fuzz.target DECODER [libFuzzer options]``."""

from __future__ import annotations

import importlib
import sys
import time

import atheris

with atheris.instrument_imports(include=["edge"]):
    import numpy as np

    from edge.decoders import DecodeError, Decoder
    from edge.records import Packet, check_signal

    DECODER: Decoder = importlib.import_module(f"edge.decoders.{sys.argv[1]}").DECODER

LIMIT_S = 0.010
MAX_PACKETS = 8


def packets(given: bytes) -> list[Packet]:
    """Cut the fuzzer's bytes into packets: number of the stream, length, payload."""
    found, at = [], 0
    while at + 2 <= len(given) and len(found) < MAX_PACKETS:
        stream = DECODER.streams[given[at] % len(DECODER.streams)]
        end = at + 2 + given[at + 1]
        found.append(Packet("fuzz", stream, float(len(found)), given[at + 2 : end]))
        at = end
    return found


def feed(given: bytes) -> None:
    # Three tries, because the machine may be busy with something else.
    assert any(slowest_s(packets(given)) < LIMIT_S for _ in range(3)), "a packet took over 10 ms"


def slowest_s(found: list[Packet]) -> float:
    decode, slowest = DECODER.open(), 0.0
    for packet in found:
        began_s = time.thread_time()
        try:
            runs = decode(packet)
        except DecodeError as error:
            assert str(error)  # noqa: PT017  # every refusal says why
            runs = ()
        slowest = max(slowest, time.thread_time() - began_s)
        for samples in runs:
            check_signal(samples.signal)
            assert samples.signal in DECODER.signals or "*" in DECODER.signals
            assert samples.values.dtype == np.float32
            assert samples.values.size >= 1
            assert not np.isinf(samples.values).any()
            assert np.isfinite(samples.fs_hz)
    return slowest


if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], feed)
    atheris.Fuzz()
