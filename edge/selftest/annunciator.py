"""Sound and light: are the alarms heard and seen.

Every way there is to be heard or seen is tried, one by one. Each plays or lights for a moment,
softly where nobody is there who asked for it, and gives way to a real alarm at once. That sound
left the card is measured; that it reached an ear only a person can say: with ``--listen`` one is
asked, and the answer is recorded with the name.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final

from edge.annunciators import UNHEARD_S, Opened
from edge.records import SelfTestRow, Verdict
from edge.selftest import Bench, Part, row

NAME: Final = "annunciator"
DEADLINE_S: Final = 25.0
"""`UNHEARD_S` for one that is only starting, and what the loudspeaker itself gives its tone."""
LOOK_S: Final = 0.1
_WHY: Final = "an alarm would not be heard or seen at this box"
_CURE: Final = "homeward status says what does not work; then homeward doctor --alarm-path --listen"
_LISTEN: Final = "homeward doctor --alarm-path --listen"


def subjects(bench: Bench) -> Sequence[str]:
    """Return every way to be heard or seen that is in use; an empty name: there is none."""
    return (*bench.opened, *bench.unopened) or ("",)


def check(bench: Bench, name: str) -> Iterator[SelfTestRow]:
    """Try one of them, and ask the person who listens."""
    if name in bench.unopened:
        yield row(NAME, Verdict.FAILED, bench.unopened[name], _WHY, _CURE, name)
        return
    opened = bench.opened.get(name)
    if opened is None:
        cure = "switch one on under [annunciators]"
        yield row(NAME, Verdict.NOT_THERE, "nothing sounds or shines at this box", _WHY, cure)
        return
    _wait_until_started(opened)
    proof = opened.prove(soft=not bench.listening)
    if not proof.passed:
        yield row(NAME, Verdict.FAILED, proof.finding, _WHY, _CURE, name)
        return
    if not bench.listening:
        yield row(NAME, Verdict.PASSED, proof.finding, subject=name)
        return
    yield _asked(bench, name, proof.finding)


def _asked(bench: Bench, name: str, finding: str) -> SelfTestRow:
    heard = bench.ask(f"Did you hear or see the test ({name})?")
    if heard is None:
        found = f"{finding}; nobody answered whether it was heard"
        return row(NAME, Verdict.UNKNOWN, found, _WHY, _LISTEN, name)
    if heard.yes:
        found = f"{finding}; heard or seen by {heard.by}"
        return SelfTestRow(NAME, name, Verdict.PASSED, found, by=heard.by)
    found = f"{finding}; but {heard.by} did not hear or see it"
    cure = "see that it is plugged in, switched on and turned up (`alsamixer`)"
    return SelfTestRow(NAME, name, Verdict.FAILED, found, _WHY, cure, by=heard.by)


def _wait_until_started(opened: Opened) -> None:
    """Wait for one that has just been opened: a sound card is believed after some seconds."""
    pause = threading.Event()
    for _ in range(round(UNHEARD_S / LOOK_S)):
        if opened.state().works:
            return
        pause.wait(LOOK_S)


PART = Part(NAME, check, _WHY, _CURE, subjects, DEADLINE_S, asks=True)
