"""Two tables: what an hour of one ECG lead costs, by stage, and what the processes weigh.

    python -m tests.bench [--minutes 30] [--repeats 5] [--json]

Everything is measured side by side in one run: the pipeline is run again and again over the same
packets with one more stage switched on each time, in turns, and the medians are compared. CPU is
`time.process_time`, one thread. Machines are noisy: read ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys

from tests.bench import cost, footprint


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="ECG per run")
    parser.add_argument("--repeats", type=int, default=5, help="runs of every stage")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of tables")
    chosen = parser.parse_args()
    tables = {
        "cost": cost.measure(chosen.minutes * 60.0, chosen.repeats),
        "footprint": footprint.measure(chosen.repeats),
    }
    for name, rows in tables.items():
        if chosen.json:
            for row in rows:
                print(json.dumps({"table": name, **row}))
        else:
            show({"cost": cost.TITLE, "footprint": footprint.TITLE}[name], rows)


def show(title: str, rows: list[dict[str, object]]) -> None:
    """Print one table in Markdown."""
    columns = list(rows[0])
    cells = [[str(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    print(f"\n{title}\n")
    for line in [columns, ["-" * width for width in widths], *cells]:
        print("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |")


def median(values: list[float]) -> float:
    """Return the median; benchmarks never use a mean."""
    return statistics.median(values)


if __name__ == "__main__":
    sys.exit(main())
