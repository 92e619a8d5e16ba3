"""Recordings as packets: WFDB records, EDF and EDF+, CSV, packet logs.

A recording is cut into frames of our own serial format (`edge.frame`), so that it enters the
monitor by the same decoder as a board on a wire. A recording has no arrival times: a packet's
`arrived_s` is the time of its first sample, and the frames carry the recording's own clock, so
what the monitor makes of it cannot depend on how it was cut. Descriptions come first and at every
tenth second of the span, whatever the size of the packets. Time 0 is the beginning of the
recording, also where ``from_s`` leaves out its beginning.

A packet log is given out as it was written, with its own arrival times.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from heapq import merge
from operator import attrgetter
from pathlib import Path

import msgspec

from edge import frame, packetlog
from edge.readers import Reader, ReadError, Rim
from edge.readers._csv import open_csv
from edge.readers._edf import open_edf
from edge.readers._recording import Group, Recording, ascii_name, fit_rate
from edge.readers._wfdb import open_wfdb, record_path
from edge.records import Packet

DESCRIBE_EVERY_S = 10
ALL = -1
"""Value of ``chunk``: the whole recording in one packet."""


class ReplaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to replay, and how.

    Attributes
    ----------
    path : str
        A WFDB record (with or without ``.hea``), an ``.edf``, a ``.csv`` or a packet log.
    chunk : int
        Samples in a packet; 0: one second's worth, `ALL`: the whole recording in one.
    speed : float
        1 plays in real time, N is N times as fast, 0 as fast as it is taken. Only `READER` waits.
    from_s, to_s : float, float | None
        Span of the recording, half open; None: to the end.
    fs_hz : float | None
        Rate of a CSV that has no time column.
    columns : Mapping[str, str]
        CSV: column -> ``time_s``, ``time_ms`` or a signal, as in `signals`.
    signals : Mapping[str, str]
        The recording's channel -> ``signal`` or ``signal:lead``; ``-`` leaves it out.
    """

    path: str
    chunk: int = 0
    speed: float = 1.0
    from_s: float = 0.0
    to_s: float | None = None
    fs_hz: float | None = None
    columns: Mapping[str, str] = {}
    signals: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        if self.chunk < ALL:
            raise ValueError("chunk must be a number of samples, 0 or -1 (all)")
        if not (math.isfinite(self.speed) and self.speed >= 0):
            raise ValueError("speed must be 0 (flat out) or more")
        if not 0 <= self.from_s < (math.inf if self.to_s is None else self.to_s):
            raise ValueError("the span must begin at 0 or later and end after it begins")
        if self.fs_hz is not None and not 0.001 <= self.fs_hz <= 100_000:
            raise ValueError("fs_hz must be between 0.001 and 100000")


class ReplayReport(msgspec.Struct):
    """What is being replayed, filled in by `packets`.

    Attributes
    ----------
    kind : str
        ``wfdb``, ``edf``, ``csv`` or ``packets``.
    name : str
        Of the record, or of the file.
    duration_s : float | None
        Length of the span that is replayed; None for a packet log, which is not read beforehand.
    fs_hz : float | None
        Rate at which the first group of channels is played; None for a packet log.
    messages : list[str]
        What had to be assumed or left out, in words.
    log : edge.packetlog.LogReport
        What was found in a packet log.
    """

    kind: str = ""
    name: str = ""
    duration_s: float | None = None
    fs_hz: float | None = None
    messages: list[str] = []
    log: packetlog.LogReport = msgspec.field(default_factory=packetlog.LogReport)


def packets(settings: ReplaySettings, report: ReplayReport | None = None) -> Iterator[Packet]:
    """Return the recording as packets, in the order of their arrival, without waiting.

    Parameters
    ----------
    settings : ReplaySettings
        What to replay.
    report : ReplayReport, optional
        Is filled in: at once for a recording, while they are taken for a packet log.

    Raises
    ------
    ReadError
        At the call: there is nothing to read, or it cannot be read. While packets are taken: a
        file that was there went away, or is cut.
    """
    report = ReplayReport() if report is None else report
    path = Path(settings.path)
    report.kind, report.name = kind_of(path), path.name
    if report.kind == "packets":
        return _from_log(path, settings, report)
    recording = _open(path, report.kind, settings)
    report.name = recording.name
    report.fs_hz = _said_rate(recording.groups[0])
    report.messages += recording.messages
    stop_s = min(recording.duration_s, math.inf if settings.to_s is None else settings.to_s)
    report.duration_s = stop_s - settings.from_s
    if report.duration_s <= 0:
        raise ReadError(
            f"{recording.name} is {recording.duration_s:.1f} s long, nothing of it lies after "
            f"{settings.from_s:.1f} s; choose an earlier --from"
        )
    return _from_recording(recording, settings)


def kind_of(path: Path) -> str:
    """Return ``packets``, ``edf``, ``csv`` or ``wfdb``.

    Raises
    ------
    ReadError
        There is no such recording, it is empty, or of another kind.
    """
    try:
        if path.is_file():
            if not path.stat().st_size:
                raise ReadError(f"{path} is empty; nothing can be replayed from it")
            if path.suffix.lower() == ".hwl" or packetlog.is_packet_log(path):
                return "packets"
    except OSError as error:
        raise ReadError(f"cannot open {path}: {error.strerror}; check its permissions") from error
    by_suffix = {".edf": "edf", ".csv": "csv", ".txt": "csv", ".tsv": "csv"}
    if path.is_file() and path.suffix.lower() in by_suffix:
        return by_suffix[path.suffix.lower()]
    if record_path(path) is not None:
        return "wfdb"
    if path.is_dir():
        raise ReadError(f"{path} is a folder; give one recording in it")
    if path.exists():
        raise ReadError(
            f"{path} is no kind of recording known here: a WFDB record (its .hea must lie "
            f"beside it), .edf, .csv or a packet log"
        )
    raise ReadError(f"there is no recording {path}, nor {path.name}.hea beside it; check the path")


def _open(path: Path, kind: str, settings: ReplaySettings) -> Recording:
    if kind == "edf":
        found = open_edf(path, settings.signals)
    elif kind == "csv":
        found = open_csv(path, settings.fs_hz, {**settings.columns, **settings.signals})
    else:
        found = open_wfdb(record_path(path) or path, settings.signals)
    fitted = [fit_rate(group) for group in found.groups]
    # The ECG, where there is one, is the recording's first source.
    groups = sorted(
        (g for g, _ in fitted), key=lambda g: all(c.signal != "ecg_mv" for c in g.channels)
    )
    for group in groups:
        _describe(found.name, group)  # what no frame can say is refused now, not on the way
    said = tuple(message for _, message in fitted if message)
    return Recording(found.name, tuple(groups), found.messages + said)


def _said_rate(group: Group) -> float:
    """Return the rate as a frame can say it: clock and rate must agree to the last sample."""
    return round(group.fs_hz * 1000) / 1000


def _describe(name: str, group: Group) -> bytes:
    told = frame.Description(_said_rate(group), group.channels, ascii_name(name), host_clock=True)
    try:
        body = frame.pack_description(told)
        frame.unpack_description(body)
    except (ValueError, struct.error) as error:
        raise ReadError(
            f"{name} cannot be replayed: {error}; its header is damaged, or the channel must be "
            f"left out"
        ) from error
    return body


def _is_without_ecg(group: Group) -> bool:
    return all(channel.signal != "ecg_mv" for channel in group.channels)


def _from_recording(recording: Recording, settings: ReplaySettings) -> Iterator[Packet]:
    streams = []
    for i, group in enumerate(recording.groups):
        source = f"replay:{recording.name}" + (f"#{i}" if i else "")
        streams.append(_from_group(source, recording.name, group, settings))
    return merge(*streams, key=attrgetter("arrived_s"))


def _from_group(source: str, name: str, group: Group, settings: ReplaySettings) -> Iterator[Packet]:
    fs_hz = _said_rate(group)
    start = math.ceil(settings.from_s * fs_hz)
    stop = group.n_samples
    if settings.to_s is not None:
        stop = min(stop, math.ceil(settings.to_s * fs_hz))
    if start >= stop:
        return
    step = {ALL: stop - start, 0: max(1, round(fs_hz))}.get(settings.chunk, settings.chunk)
    body = _describe(name, group)
    sequence = 0

    def pack(kind: int, at_s: float, body: bytes) -> Packet:
        nonlocal sequence
        clock_us = round(at_s * 1e6)
        payload = frame.pack(kind, sequence, clock_us, body)
        # A description bears the number of the samples frame that follows it.
        sequence += kind == frame.SAMPLES
        return Packet(source, frame.STREAM, at_s, payload)

    describe_s = start / fs_hz
    for at in range(start, stop, step):
        while describe_s <= at / fs_hz:
            yield pack(frame.DESCRIPTION, describe_s, body)
            describe_s = _next_description(describe_s)
        rows = group.rows(at, min(at + step, stop))
        yield pack(frame.SAMPLES, at / fs_hz, frame.pack_rows(rows))
    while describe_s < stop / fs_hz:
        yield pack(frame.DESCRIPTION, describe_s, body)
        describe_s = _next_description(describe_s)


def _next_description(after_s: float) -> float:
    return (after_s // DESCRIBE_EVERY_S + 1) * DESCRIBE_EVERY_S


def _from_log(path: Path, settings: ReplaySettings, report: ReplayReport) -> Iterator[Packet]:
    try:
        logged = packetlog.read(path, report.log)
    except packetlog.LogError as error:
        raise ReadError(str(error)) from error
    return _span_of(logged, settings.from_s, settings.to_s)


def _span_of(logged: Iterator[Packet], from_s: float, to_s: float | None) -> Iterator[Packet]:
    """Pass on the packets of a span that is counted from the first packet's arrival."""
    first_s: float | None = None
    try:
        for packet in logged:
            if first_s is None:
                first_s = packet.arrived_s
            if packet.arrived_s - first_s >= from_s and (
                to_s is None or packet.arrived_s - first_s < to_s
            ):
                yield packet
    except packetlog.LogError as error:
        raise ReadError(str(error)) from error


class _Shift:
    """Moves packets to another time, and with them the clocks that were the box's own."""

    def __init__(self, by_s: float) -> None:
        self._by_s = by_s
        self._host_clock: dict[str, bool] = {}

    def __call__(self, packet: Packet) -> Packet:
        payload = packet.payload
        if packet.stream == frame.STREAM:
            with suppress(frame.FrameError):  # damaged on the wire: passed on as it was
                payload = self._frame(packet.source, payload)
        return Packet(packet.source, packet.stream, packet.arrived_s + self._by_s, payload)

    def _frame(self, source: str, payload: bytes) -> bytes:
        found = frame.unpack(payload)
        if found.kind == frame.DESCRIPTION:
            self._host_clock[source] = frame.unpack_description(found.body).host_clock
        if not self._host_clock.get(source):
            return payload
        clock_us = found.clock_us + round(self._by_s * 1e6)
        return frame.pack(found.kind, found.sequence, clock_us, found.body)


async def _run(settings: ReplaySettings, rim: Rim) -> None:
    """Deliver the recording as if it began now, paced by ``settings.speed``."""
    found = await asyncio.to_thread(packets, settings)
    loop = asyncio.get_running_loop()
    shift: _Shift | None = None
    first_s = begun_s = 0.0
    for packet in found:
        if shift is None:
            shift = _Shift(rim.now_s() - packet.arrived_s)
            first_s, begun_s = packet.arrived_s, loop.time()
        wait_s = 0.0
        if settings.speed:
            wait_s = begun_s + (packet.arrived_s - first_s) / settings.speed - loop.time()
        # Also without a wait the loop gets its turn: whoever takes the packets must keep up.
        await asyncio.sleep(max(wait_s, 0.0))
        rim.deliver(shift(packet))


READER = Reader(name="replay", settings=ReplaySettings, run=_run)
