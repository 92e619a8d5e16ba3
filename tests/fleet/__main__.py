"""What a fleet of boxes costs, against real brokers on this machine.

    python -m tests.fleet                        all of it (15 min on two quiet cores)
    python -m tests.fleet idle --boxes 10000     idle connections, PUBACK/s: one mosquitto, plain
    python -m tests.fleet mtls --boxes 3000      the same with certificates: handshakes, memory
    python -m tests.fleet nats --boxes 3000      a cluster of three nats-servers
    python -m tests.fleet storm --boxes 2000     a broker that comes back, without and with jitter
    python -m tests.fleet receive --entries 20000  from outbox to settled
    python -m tests.fleet night --boxes 300 --hours 8 --speed 240    traffic and outages
    python -m tests.fleet sums                   what 10,000 and 1,000,000 boxes come to

Tables in Markdown. Boxes and brokers share the processors: measure while nothing else runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.bench.__main__ import show
from tests.fleet import arithmetic, measure
from tests.fleet.traffic import night
from tests.rigs.net import broker, nats
from tests.rigs.net.programs import many_files

PARTS = ("idle", "mtls", "nats", "storm", "receive", "night", "sums")
USUAL = {"idle": 10_000, "mtls": 3_000, "nats": 3_000, "storm": 2_000, "night": 300}


def run(part: str, folder: Path, chosen: argparse.Namespace) -> bool:
    """Measure one part and print it; return whether all was as promised."""
    n = chosen.boxes or USUAL.get(part, 0)
    if part in {"idle", "mtls"}:
        show(part, [measure.idle(folder, n, secure=part == "mtls")])
    elif part == "nats":
        show(
            part, [measure.nats_idle(folder / str(q), m, qos=q) for q, m in ((0, n), (1, n // 10))]
        )
    elif part == "storm":
        rows = [
            measure.storm(
                folder / f"{secure}-{jitter}", n, jitter=jitter, spread_s=s, secure=secure
            )
            for secure, s in ((False, 10.0), (True, 30.0))
            for jitter in (False, True)
        ]
        show(part, rows)
    elif part == "receive":
        rows = [
            measure.receiving(folder / str(batch), chosen.entries, batch=batch) for batch in (1, 8)
        ]
        show(part, rows)
    elif part == "night":
        done = night(folder, n, chosen.hours, chosen.speed)
        print(f"\n{done.line}")
        return not done.verdict.faults
    else:
        one = arithmetic.One()
        fleets = [arithmetic.fleet(10_000, one), arithmetic.fleet(1_000_000, one, cores=48)]
        show(part, [msgspec.to_builtins(each) for each in fleets])
    return True


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fleet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--boxes", type=int, default=0)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--speed", type=float, default=240.0)
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for why in filter(None, (broker.why_not(), nats.why_not())):
        parser.error(why)
    many_files()
    held = True
    for part in chosen.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            held &= run(part, Path(folder) / part, chosen)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
