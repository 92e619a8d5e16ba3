"""What sensors sent: read, placed on the time axis, and laid at the bedside."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edge.bedside import BEATS
from edge.dsp.timeline import Placement
from edge.pipeline.parts import Parts
from edge.pipeline.settings import BATTERY
from edge.pipeline.watched import Watched
from edge.records import Samples, Stamp
from edge.sources import Stream


def take_sent(stream: Stream, parts: Parts, now_s: float) -> None:
    """Read and place what a stream sent since it was last read."""
    n_broken = stream.n_broken
    found = stream.decode()
    if not found and stream.n_broken == n_broken:
        return
    if stream.by_values is not False:
        stream.by_values = all(_is_number(samples) for samples, _ in found)
    patient = parts.patient(stream.patient)
    patient.tally.n_broken += stream.n_broken - n_broken
    patient.listening.note(stream.source, now_s, found)
    if patient.unheard and _has_value(found):
        patient.unheard.pop(parts.link_of.get(stream.source, ""), None)
    place: Placement | None = None
    stamp: Stamp | float | None = None
    channels: set[tuple[str, str]] = set()
    for samples, arrived_s in found:
        if samples.fs_hz == 0.0:
            _take_values(patient, stream, samples, arrived_s, parts)
            continue
        # The channels of one packet were sampled together and are placed together.
        sent = arrived_s if samples.stamp is None else samples.stamp
        channel = (samples.signal, samples.lead)
        if place is None or not (sent is stamp or sent == stamp) or channel in channels:
            place, gap = stream.place(samples, arrived_s)
            stamp, channels = sent, set()
            if gap is not None:
                patient.tally.n_gaps += 1
                parts.out.append(gap)
        channels.add(channel)
        if place.n_stale < len(samples.values):
            patient.bedside.take_run(samples, place, stream.source)


def _take_values(
    patient: Watched, stream: Stream, samples: Samples, arrived_s: float, parts: Parts
) -> None:
    """Take values that come one by one; a measurement of its own is also recorded."""
    if samples.spot or samples.backfilled:
        readings, past = parts.sensors.read(samples, arrived_s, stream.source, stream.patient)
        parts.out.extend(readings)
        if past:
            return
    elif samples.signal == BATTERY:
        parts.sensors.take_battery(samples, stream.source)
    beats = patient.bedside.take_values(samples, arrived_s, stream.source)
    patient.tally.n_beats += len(beats)
    parts.out.extend(beats)


def _is_number(samples: Samples) -> bool:
    """Return whether samples are numbers of this moment: no wave, no beats, no spot check."""
    return samples.fs_hz == 0.0 and samples.signal != BEATS and not samples.spot


def _has_value(found: Iterable[tuple[Samples, float]]) -> bool:
    """Return whether there is a measurement among samples: no battery, and no mere flag."""
    return any(
        samples.signal != BATTERY
        and not samples.signal.endswith("_flag")
        and not np.isnan(samples.values).all()
        for samples, _ in found
    )
