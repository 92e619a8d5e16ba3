"""The store: does it take a transaction and hold it. Through the recorder itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.records import SelfTestRow, Verdict
from edge.selftest import Bench, Part, row
from edge.store import StoreError

NAME: Final = "store"
_WHY: Final = "alarms sound, but nothing is recorded"
_CURE: Final = "homeward doctor"


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Commit a transaction with the connection that records alarms, and read it back."""
    try:
        took_s = bench.prove_store()
    except StoreError as error:
        yield row(NAME, Verdict.FAILED, str(error), _WHY, _CURE)
        return
    found = f"a transaction was on the medium after {1000 * took_s:.0f} ms and was read back"
    yield row(NAME, Verdict.PASSED, found)


PART = Part(NAME, check, _WHY, _CURE)
