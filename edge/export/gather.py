"""One pass over the packets: samples to the spool, what happened to the notebook, packets to a log.

What lies before the span is lived through too, for descriptions, clocks and alarms have a past.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import numpy as np

from edge.export.notes import Notebook
from edge.export.placing import Run, Second
from edge.export.spool import ExportError, Spool
from edge.records import Alert, Packet, Reading

MAX_READINGS: Final = 100_000
LONGEST_S: Final = 366 * 86_400.0
"""A longer span is a clock that leapt: a file would hold years without a sample."""
LATE_S: Final = 10.0
"""Packets are read on for so long after the span: what belongs in it may arrive late."""

OnPacket = Callable[[Packet], None]
OnSecond = Callable[[float], None]


class Gathered(msgspec.Struct):
    """What the pass brought.

    Attributes
    ----------
    start_s : float
        When the first packet arrived: from there a span is counted.
    from_s, to_s : float
        The span, by the box's clock.
    patient : str
        Whose it is.
    notebook : Notebook
        Annotations.
    readings : list[Reading]
        Measurements of their own.
    alerts : dict[str, list[Alert]]
        The states of every alert, by its id.
    """

    start_s: float
    from_s: float
    to_s: float
    patient: str
    notebook: Notebook
    readings: list[Reading] = []
    alerts: dict[str, list[Alert]] = {}


def gather(
    seconds: Iterable[Second],
    spool: Spool,
    from_s: float,
    to_s: float,
    patient: str | None = None,
    *,
    on_packet: OnPacket = lambda _: None,
    on_second: OnSecond = lambda _: None,
) -> Gathered:
    """Read the span; return what there is beside the samples, which are in the spool.

    Parameters
    ----------
    seconds : Iterable[Second]
        From `edge.export.placing.placed`.
    from_s, to_s : float
        The span, counted from the first packet's arrival; infinity: to the end.
    patient : str | None
        Whose; None: there is only one.
    on_packet : Callable
        Is handed every packet of the span.
    on_second : Callable
        Is told after every second how far it is, counted as the span.

    Raises
    ------
    ExportError
        There is nothing in the span, or more than one patient.
    """
    found: Gathered | None = None
    kept = _Kept(spool, patient)
    for second in seconds:
        if found is None:
            if not second.packets:
                continue
            start_s = second.packets[0].arrived_s
            found = Gathered(start_s, start_s + from_s, start_s + to_s, "", Notebook())
        kept.add(second.runs, found.from_s, found.to_s)
        for packet in second.packets:
            if found.from_s <= packet.arrived_s < found.to_s:
                on_packet(packet)
        _take(second, found)
        on_second(second.end_s - found.start_s)
        if second.end_s > found.to_s + LATE_S:
            break
    return _whose(found, kept)


class _Kept:
    """Puts the samples of a span into a spool, and notes whose they are."""

    def __init__(self, spool: Spool, patient: str | None) -> None:
        self._spool, self._patient = spool, patient
        self.patients: dict[str, None] = {}
        self.end_s = -math.inf

    def add(self, runs: Iterable[Run], from_s: float, to_s: float) -> None:
        """Keep what lies in the span."""
        for run in runs:
            if self._patient not in {None, run.patient}:
                continue
            kept = trimmed(run, from_s, to_s)
            if kept is not None:
                self.patients[run.patient] = None
                self._spool.add(kept)
                self.end_s = max(self.end_s, kept.start_s + len(kept.values) * kept.step_s)


def _take(second: Second, found: Gathered) -> None:
    found.notebook.take(second.records)
    for record in second.records:
        if isinstance(record, Alert):
            found.alerts.setdefault(record.id, []).append(record)
        elif isinstance(record, Reading) and len(found.readings) < MAX_READINGS:
            found.readings.append(record)


def _whose(found: Gathered | None, kept: _Kept) -> Gathered:
    patients = kept.patients
    if found is None or not patients:
        raise ExportError("no samples lie in this span; choose another (`--span FROM..TO`)")
    if len(patients) > 1:
        raise ExportError(
            f"the samples are of {len(patients)} patients, and a file is of one: choose with "
            f"--patient {' or '.join(sorted(patients))}"
        )
    found.to_s = min(found.to_s, kept.end_s)
    if found.to_s - found.from_s > LONGEST_S:
        days = (found.to_s - found.from_s) / 86_400.0
        raise ExportError(f"the span is {days:.0f} days long; choose a shorter (`--span FROM..TO`)")
    found.patient = next(iter(patients))
    found.notebook.patient = found.patient
    found.readings = [r for r in found.readings if r.patient == found.patient]
    return found


def trimmed(run: Run, from_s: float, to_s: float) -> Run | None:
    """Return what of a run lies in a span; None where nothing does."""
    if from_s <= run.start_s and run.start_s + len(run.values) * run.step_s <= to_s:
        return run if run.start_s < to_s else None
    times_s = run.start_s + run.step_s * np.arange(len(run.values))
    first, last = np.searchsorted(times_s, (from_s, to_s))
    if first >= last:
        return None
    return msgspec.structs.replace(
        run, start_s=float(times_s[first]), values=run.values[first:last]
    )
