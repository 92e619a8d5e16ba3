"""Feed decoders what a fuzzer thinks up: ``python -m tests.fuzz [--runs N] [DECODER ...]``.

Coverage-guided (atheris, libFuzzer), from the captures as its first examples. A decoder may raise
`DecodeError` and nothing else, gives only finite or NaN values of signals it named, and takes at
most 10 ms a packet. The short tier in CI runs a few thousand inputs a decoder; the long one is

    python -m tests.fuzz --runs 1000000

Prints one table; ends with 1 where a decoder failed, with the input that made it fail.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

import edge.decoders
from edge.decoders import Decoder
from edge.discover import discover

CAPTURES = Path(__file__).parents[1] / "captures"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("decoders", nargs="*", metavar="DECODER", help="default: every decoder")
    parser.add_argument("--runs", type=int, default=5000, help="inputs a decoder")
    chosen = parser.parse_args()
    found = {d.name: d for d in discover(edge.decoders, "DECODER", Decoder)}
    unknown = set(chosen.decoders) - set(found)
    if unknown:
        parser.error(f"no such decoder: {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    print(f"{'decoder':16} {'inputs':>9} {'a second':>9} {'peak MB':>8}  result")
    failed = False
    for name in chosen.decoders or found:
        failed |= not fuzz(found[name], chosen.runs)
    return int(failed)


def fuzz(decoder: Decoder, n_runs: int) -> bool:
    """Fuzz one decoder in a process of its own; return whether it held."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for at, (stream, payload) in enumerate(captured(decoder)):
            (corpus / f"{at}").write_bytes(bytes([stream, len(payload) & 0xFF]) + payload)
        command = [sys.executable, "-m", "tests.fuzz.target", decoder.name, str(corpus)]
        began_s = time.monotonic()
        ended = subprocess.run(
            [
                *command,
                f"-runs={n_runs}",
                "-max_len=1200",
                f"-artifact_prefix={folder}/",
                "-seed=1",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        span_s = time.monotonic() - began_s
        peak = re.findall(r"rss: (\d+)Mb", ended.stderr)
        runs = re.search(r"Done (\d+) runs", ended.stderr)
        held = ended.returncode == 0 and runs is not None and int(runs[1]) >= n_runs
        n_done = int(runs[1]) if runs else 0
        print(
            f"{decoder.name:16} {n_done:9} {n_done / span_s:9.0f} {peak[-1] if peak else '-':>8}  "
            f"{'held' if held else 'FAILED'}"
        )
        if not held:
            print(ended.stderr[-4000:])
            for crash in Path(folder).glob("*-*"):
                print(f"input: {crash.name} {crash.read_bytes().hex()}")
        return held


def captured(decoder: Decoder) -> list[tuple[int, bytes]]:
    """Return the number of the stream and the bytes of every captured payload."""
    found = []
    for path in sorted((CAPTURES / decoder.name).glob("*.json")):
        capture = msgspec.json.decode(path.read_bytes())
        payloads = [bytes.fromhex(text) for text in capture["payload_hex"]]
        streams = capture.get("streams") or [capture["stream"]] * len(payloads)
        found += [(decoder.streams.index(s), p) for s, p in zip(streams, payloads, strict=True)]
    return found


if __name__ == "__main__":
    sys.exit(main())
