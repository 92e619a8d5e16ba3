"""``homeward`` with the tests' own sinks among the others: ``python -m`` this."""

from __future__ import annotations

import sys
from pathlib import Path

import edge.sync.sinks
from edge.__main__ import main

if __name__ == "__main__":
    edge.sync.sinks.__path__.append(str(Path(__file__).parent / "more_sinks"))
    sys.exit(main())
