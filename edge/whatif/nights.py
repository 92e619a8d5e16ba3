"""Where the past comes from: packet logs, the vault, a recording, a simulated patient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec

from edge import packetlog
from edge.events import BOX, ENTRY, PERSON, Entry
from edge.pipeline import ANSWER, START, Start
from edge.readers import ReadError, simulated
from edge.readers.replay import ReplayReport, ReplaySettings
from edge.readers.replay import packets as recorded
from edge.records import Packet
from edge.vault import END, HOLE, KeyRing, VaultReport, latest
from edge.vault import packets as vaulted

WARM_UP_S: Final = 600.0
"""A span that begins in the midst of a run is led up to for so long; its alarms do not count."""
BACK_S: Final = 1.0
"""Arrivals that go back by more than this are of another boot."""


class Night(msgspec.Struct, frozen=True):
    """One run of the monitor, or the part of one that counts.

    Attributes
    ----------
    run_id : str
        As the log says; empty: it does not.
    packets : Iterator
        In the order of their arrival; to be taken once.
    begin_s, end_s : float
        Boot clock: what counts. `end_s` is infinite where it is known only at its end.
    """

    run_id: str
    packets: Iterable[Packet]
    begin_s: float
    end_s: float


class Span(msgspec.Struct):
    """A run found in packet logs."""

    run_id: str
    first_s: float
    last_s: float


def from_logs(
    paths: Sequence[Path],
    span_s: float | None,
    on_found: Callable[[int], None] | None = None,
    report: packetlog.LogReport | None = None,
) -> Iterator[Night]:
    """Return the runs in packet logs, the oldest first; of the last `span_s` seconds where given.

    Parameters
    ----------
    paths : Sequence[Path]
        In the order in which they were written; each may hold several runs, and a run may go
        over several.
    span_s : float | None
        Of time that was watched; None: all.
    report : edge.packetlog.LogReport | None
        Is filled in with what was found damaged, while packets are taken.

    Raises
    ------
    edge.packetlog.LogError
        One cannot be read.
    """
    read = [None, report]  # what is wrong is told once, though all is read twice
    yield from _nights(lambda: _chained(paths, read.pop(0)), span_s, on_found)


def from_vault(
    folder: Path, ring: KeyRing, span_s: float | None, report: VaultReport | None = None
) -> Iterator[Night]:
    """Return the runs in the vault, the oldest first; of the last `span_s` seconds where given.

    What was forgotten ends a run; after it the same run is another night.

    Parameters
    ----------
    span_s : float | None
        Of time that was watched; None: all.
    report : VaultReport | None
        Is filled in with what could not be read.

    Raises
    ------
    edge.vault.VaultError
        The folder cannot be read.
    """
    told = VaultReport() if report is None else report
    wanted = latest(folder, None if span_s is None else span_s + WARM_UP_S)
    read = [VaultReport(), told]  # what is wrong is told once, though all is read twice
    yield from _nights(lambda: vaulted(folder, ring, read.pop(0), wanted), span_s, None)


def _nights(
    past: Callable[[], Iterator[Packet]],
    span_s: float | None,
    on_found: Callable[[int], None] | None,
) -> Iterator[Night]:
    spans: list[Span] = []
    for number, packet in _numbered(past()):
        if number == len(spans):
            spans.append(Span(_run_id(packet), packet.arrived_s, packet.arrived_s))
        spans[-1].last_s = max(spans[-1].last_s, packet.arrived_s)
    if on_found is not None:
        on_found(len(spans))
    begins = _begins(spans, span_s)
    source = _Source(_numbered(past()))
    for number, span in enumerate(spans):
        begin_s = begins[number]
        if begin_s is None:
            continue
        run = source.run(number)
        if begin_s > span.first_s:
            run = led_up(run, begin_s)
        yield Night(span.run_id, run, begin_s, span.last_s)


def from_recording(path: Path) -> Iterator[Night]:
    """Return a recording as one night.

    Raises
    ------
    edge.readers.ReadError
        It cannot be read.
    """
    report = ReplayReport()
    packets = recorded(ReplaySettings(path=str(path)), report)
    if report.kind == "packets":
        raise ReadError(f"{path} is a packet log; name it with --log")
    yield Night("", packets, 0.0, report.duration_s or math.inf)


def from_scenario(scenario: str, duration_s: float | None = None) -> Iterator[Night]:
    """Return a simulated patient as one night."""
    settings = simulated.Settings(scenario=scenario, duration_s=duration_s)
    yield Night("", simulated.packets(settings), 0.0, simulated.truth(settings).duration_s)


def _chained(paths: Sequence[Path], report: packetlog.LogReport | None = None) -> Iterator[Packet]:
    return chain.from_iterable(packetlog.read(path, report) for path in paths)


def _numbered(packets: Iterable[Packet]) -> Iterator[tuple[int, Packet]]:
    """Give each packet the number of its run: a start, or an earlier boot clock, begins one."""
    number, last_s = -1, math.inf
    for packet in packets:
        begins = packet.stream == START and packet.source == BOX
        if packet.source == BOX and packet.stream in (packetlog.RECAP, HOLE):
            if number < 0 or packet.stream == HOLE:
                # What was before it is gone: what stood is all there is.
                number, last_s = number + 1, packet.arrived_s
                for said in msgspec.msgpack.decode(packet.payload, type=list[Packet]):
                    yield number, msgspec.structs.replace(said, arrived_s=packet.arrived_s)
            continue
        if number < 0 or begins or packet.arrived_s < last_s - BACK_S:
            number += 1
            last_s = packet.arrived_s
        last_s = max(last_s, packet.arrived_s)
        yield number, packet


def _run_id(packet: Packet) -> str:
    if packet.stream != START:
        return ""
    try:
        return msgspec.json.decode(packet.payload, type=Start).run_id
    except msgspec.DecodeError:
        return ""


def _begins(spans: Sequence[Span], span_s: float | None) -> list[float | None]:
    """Return from when on each run counts; None: not at all."""
    left_s = math.inf if span_s is None else span_s
    begins: list[float | None] = []
    for span in reversed(spans):
        length_s = span.last_s - span.first_s
        begins.append(max(span.first_s, span.last_s - left_s) if left_s > 0.0 else None)
        left_s -= length_s
    return begins[::-1]


class _Source:
    """Hands out runs one after the other, and passes over what is not asked for."""

    def __init__(self, numbered: Iterator[tuple[int, Packet]]) -> None:
        self._numbered = numbered
        self._ahead: tuple[int, Packet] | None = None

    def run(self, number: int) -> Iterator[Packet]:
        while True:
            found = self._ahead or next(self._numbered, None)
            self._ahead = None
            if found is None:
                return
            if found[0] > number:
                self._ahead = found
                return
            if found[0] == number and found[1].stream != END:
                yield found[1]


def led_up(packets: Iterable[Packet], begin_s: float) -> Iterator[Packet]:
    """Pass on a run from `WARM_UP_S` before `begin_s` on, with what had been said until then.

    What was answered and paused before is left out: it was of alarms that are not there.
    """
    first_s = begin_s - WARM_UP_S
    said: list[Packet] | None = []
    for packet in packets:
        if packet.arrived_s >= first_s:
            if said is not None:
                yield from said
                said = None
            yield packet
        elif said is not None and packet.source in (BOX, PERSON) and packet.stream != ANSWER:
            kept = _at(packet, first_s)
            said += () if kept is None else (kept,)


def _at(packet: Packet, first_s: float) -> Packet | None:
    """Return a packet of before as if it were said at `first_s`; None: it is over by then."""
    if packet.stream != ENTRY:
        return msgspec.structs.replace(packet, arrived_s=first_s)
    passed_s = first_s - packet.arrived_s
    try:
        entry = msgspec.json.decode(packet.payload, type=Entry)
        entry = msgspec.structs.replace(
            entry, valid_for_s=entry.valid_for_s - passed_s, age_s=entry.age_s + passed_s
        )
        entry.__post_init__()
    except ValueError:
        return None
    return Packet(packet.source, packet.stream, first_s, msgspec.json.encode(entry))
