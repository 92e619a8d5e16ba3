"""What is known of one patient: every signal that came, the lead that is watched, windows of it.

Nothing here decides anything; `edge.pipeline` asks for windows and hands them to the features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from edge.dsp.beat_clock import BeatClock
from edge.dsp.beats import FS_HZ
from edge.dsp.breaths import Breaths
from edge.dsp.ecg import EcgLead
from edge.dsp.held import HeldValues
from edge.dsp.plausible import range_of
from edge.dsp.ring import Series
from edge.dsp.several import SAID_S, Several
from edge.dsp.timeline import Placement
from edge.dsp.track import Track
from edge.records import Beat, Samples, TimeArray, Window

SLOW_FS_HZ: Final = 2.0
"""Below this rate samples are kept one by one with their times: a thermometer has no waveform."""
CURRENT_S: Final = (2.0, 60.0)
"""A value that comes one by one covers one and a half of its own intervals, within these."""
MAX_SIGNALS: Final = 64
"""Signals of a patient that are kept apart; more means that something makes names up."""
SWITCH_S: Final = 10.0
"""When the watched lead has sent nothing for so long, another lead that sends is watched."""
SAME_BEAT_S: Final = 0.25
"""A beat that lies no further after one a strap told of is that beat."""
SILENT_S: Final = 5.0
"""When the strap whose beats count has sent none for so long, another strap's count."""
LATE_S: Final = 3.0
"""A second whose ECG is still on its way is judged by the quality of one at most this old."""
GONE_S: Final = 15.0
"""What has been silent for so long is not waited for when a window is cut."""
BEATS: Final = "rr_ms"
QUALITY: Final = "ecg_quality_au"
"""The ECG's quality, second by second."""
WAVE: Final = "resp_au"
BREATHS: Final = "breath_brpm"
"""Of every breath in a breathing wave, the rate since the one before."""
MOVEMENT: Final = ("accel_g", "accel_g:y", "accel_g:z")
"""Waves that are looked at every second: nobody who fell should wait for the next window."""
LEAD_OFF: Final = "lead_off_flag"
ON_AGAIN_S: Final = 2.0
"""An electrode that is on again has samples of the time before still on their way: at its rail a
wave swings as no breath does, and nothing learnt from that would ever find one."""
ECG_OFF: Final = "ecg_off_flag"
"""What the board whose ECG is watched says of its electrodes: a spare one must not speak for it."""
DERIVED: Final = frozenset({BEATS, QUALITY, BREATHS, ECG_OFF})
"""What may be made here of another signal and covers nothing of its own."""


class Values:
    """A signal whose values come one by one, and what has been noticed of it."""

    def __init__(self, signal: str) -> None:
        self.series = Series()
        self.n_implausible = 0
        self.implausible_of: dict[str, int] = {}
        """How many of them came from whom."""
        self._low, self._high = range_of(signal)
        self.last_s = -math.inf  # of the newest value that was one
        self.spacing_s = CURRENT_S[0]
        self.n_covered = 0
        self.source = ""
        """Whose the newest value was."""
        self._value = math.nan
        self._since_s = 0.0

    def take(self, at_s: float, value: float, *, awaited: bool = True) -> None:
        """Take one value; NaN is a value the sensor called invalid.

        After one that is not `awaited` (a spot check) nobody waits for the next.
        """
        if not self._low <= value <= self._high:
            if value == value:  # noqa: PLR0124  # NaN is no wrong value
                self.n_implausible += 1
                self.implausible_of[self.source] = self.implausible_of.get(self.source, 0) + 1
            value = math.nan
        self.series.append(at_s, value)
        if value != value or not awaited:  # noqa: PLR0124  # NaN
            return
        if self.last_s > -math.inf:
            self.spacing_s = at_s - self.last_s
        if value != self._value:
            self._value, self._since_s = value, at_s
        self.last_s = at_s

    @property
    def newest(self) -> float:
        """The newest value that was one; NaN: none yet."""
        return self._value

    @property
    def frozen_s(self) -> float:
        """How long the newest value has been repeated exactly."""
        last_s, since_s = self.last_s, self._since_s
        return last_s - since_s if last_s > since_s else 0.0

    def note_second(self, now_s: float) -> None:
        """Count this second as covered when the newest value still stands for it."""
        age_s = now_s - self.last_s
        low_s, high_s = CURRENT_S
        if age_s <= low_s or (age_s <= high_s and age_s <= 1.5 * self.spacing_s):
            self.n_covered += 1


class Bedside:
    """Signals, beats and windows of one patient.

    Parameters
    ----------
    patient : str
        Pseudonymous id.
    capacity_s : float
        Span of samples kept.
    """

    def __init__(self, patient: str, capacity_s: float) -> None:
        self.patient = patient
        self.signals: set[str] = set()
        """Every signal the patient ever had."""
        self.n_beats = 0
        self.n_refused = 0
        """Runs and values of signals beyond `MAX_SIGNALS`."""
        self._capacity_s = capacity_s
        self._tracks: dict[tuple[str, str, str], Track] = {}
        self._shown: dict[str, Track] = {}
        self._values: dict[str, Values] = {}
        self._beats_by = ("", -math.inf)
        self._ecg_tells = False
        """Whether the ECG has shown its first beat; until then a strap's intervals count."""
        self._beat_clocks: dict[str, BeatClock] = {}
        self._several = Several()
        self._ecg: EcgLead | None = None
        self._wave: Breaths | None = None
        self._off_s = -math.inf
        """When an electrode was last told to be off."""
        self.held = HeldValues()
        """What people entered and spot checks measured, and the patient's facts."""

    def take_run(self, samples: Samples, place: Placement, source: str) -> None:
        """Take a placed run of a fixed-rate signal."""
        if samples.fs_hz < SLOW_FS_HZ:
            if samples.signal not in self._values and len(self._values) >= MAX_SIGNALS:
                self.n_refused += 1
                return
            slow = self._value_of(samples.signal)
            slow.source = source
            for i, value in enumerate(samples.values.tolist()):
                at_s = place.start_s + i * place.step_s
                slow.take(at_s, self._several.worst(samples.signal, source, at_s, value))
                self._note_ecg_off(samples.signal, source, at_s, value)
            return
        track = self._tracks.get((samples.signal, samples.lead, source))
        if track is None or track.fs_hz != samples.fs_hz:
            if track is None and len(self._tracks) >= MAX_SIGNALS:
                self.n_refused += 1
                return
            track = self._add_track(samples, source, track)
        track.take(samples.values, place)

    def take_values(self, samples: Samples, arrived_s: float, source: str) -> list[Beat]:
        """Take values that carry no time; return the beats among them.

        Intervals of a strap count only where no ECG shows the beats themselves, and only of one
        strap at a time: two would count every beat twice.
        """
        if samples.signal == BEATS and not self._tells_beats(source, arrived_s):
            return []
        if samples.signal not in self._values and len(self._values) >= MAX_SIGNALS:
            self.n_refused += 1
            return []
        if samples.spot:
            self.held.take_spot(samples, arrived_s)
        values = self._value_of(samples.signal)
        values.source = source
        times_s = self._times_s(samples, arrived_s, source)
        beats, awaited = [], not samples.spot
        for at_s, value in zip(times_s.tolist(), samples.values.tolist(), strict=True):
            worst = self._several.worst(samples.signal, source, at_s, value)
            values.take(at_s, worst, awaited=awaited)
            self._note_ecg_off(samples.signal, source, at_s, value)
            if samples.signal == BEATS:
                beats.append(self._beat(at_s, value, source, "", -1))
        return beats

    def _note_ecg_off(self, signal: str, source: str, at_s: float, value: float) -> None:
        """Keep what the board whose ECG is watched says of its electrodes."""
        if signal == LEAD_OFF and self._ecg is not None and self._ecg.track.source == source:
            off = self._value_of(ECG_OFF)
            off.source = source
            off.take(at_s, value)

    def _tells_beats(self, source: str, arrived_s: float) -> bool:
        """Return whether the intervals of a source are the ones that count now."""
        if self._ecg is not None and self._ecg_tells:
            return False
        teller, last_s = self._beats_by
        if source != teller and arrived_s - last_s <= SILENT_S:
            return False
        self._beats_by = (source, arrived_s)
        return True

    def _times_s(self, samples: Samples, arrived_s: float, source: str) -> TimeArray:
        """Return when values were taken: intervals tell their distance, others only arrive."""
        if samples.signal != BEATS:
            return np.full(len(samples.values), arrived_s)
        clock = self._beat_clocks.get(source)
        if clock is None:
            if len(self._beat_clocks) >= MAX_SIGNALS:
                self._beat_clocks.clear()
            clock = self._beat_clocks[source] = BeatClock()
        return clock.place(samples, arrived_s)[0]

    def forget(self, source: str) -> None:
        """Stop waiting for a source: a person has taken its sensor away."""
        self._tracks = {key: track for key, track in self._tracks.items() if key[2] != source}
        self._shown = {name: t for name, t in self._shown.items() if t.source != source}
        if self._ecg is not None and self._ecg.track.source == source:
            self._ecg = None
            self._values.pop(QUALITY, None)
        if self._wave is not None and self._wave.track.source == source:
            waves = (t for t in self._tracks.values() if t.signal == WAVE)
            wave = next(waves, None)
            self._wave = Breaths(wave) if wave is not None else None
            self._values.pop(BREATHS, None)
        self._values = {n: v for n, v in self._values.items() if v.source != source}
        self._several.forget(source)

    def n_saying(self, signal: str, value: float, now_s: float) -> int:
        """Return how many sensors say this of themselves now."""
        return self._several.count(signal, now_s, value)

    def advance(self, until_s: float) -> list[Beat]:
        """Let the samples taken before `until_s` flow; return the beats found in them."""
        ecg = self._ecg
        watched = ecg.track if ecg else None
        wave = self._wave.track if self._wave else None
        for track in self._tracks.values():
            if track is not watched and track is not wave:
                track.flow(until_s)
        if self._wave is not None:
            self._breathe(self._wave, until_s)
        beats = self._watch(ecg, until_s) if ecg else []
        if watched is None or until_s - watched.last_s > SWITCH_S:
            self._switch_lead(until_s)
        for signal, values in self._values.items():
            if signal not in DERIVED:
                values.note_second(until_s)
        return beats

    def _breathe(self, wave: Breaths, until_s: float) -> None:
        for at_s, rate_brpm in wave.advance(until_s):
            self._value_of(BREATHS).take(at_s, rate_brpm)
        off = self._values.get(LEAD_OFF)
        if off is not None and off.newest == 1.0 and until_s - off.last_s <= SAID_S:
            self._off_s = until_s
        if until_s - self._off_s <= ON_AGAIN_S:
            wave.start_anew()
        if BREATHS in self._values:
            # Since when one could have been seen; minus infinity while no wave is recognised.
            self._values[BREATHS].last_s = wave.last_s

    def _watch(self, ecg: EcgLead, until_s: float) -> list[Beat]:
        beats: list[Beat] = []
        if found := ecg.advance(until_s):
            track, intervals = ecg.track, self._value_of(BEATS)
            # At first, what a strap has told of until now.
            told_s = -math.inf if self._ecg_tells else intervals.series.last_s + SAME_BEAT_S
            self._ecg_tells = True
            for idx, at_s, rr_ms in found:
                if at_s < told_s:
                    continue
                intervals.take(at_s, rr_ms)
                # A beat without a known interval is still a beat.
                intervals.last_s = at_s
                beats.append(self._beat(at_s, rr_ms, track.source, track.lead, idx))
        for middle_s, quality in ecg.qualities:
            self._value_of(QUALITY).take(middle_s, quality)
        return beats

    def second(self, now_s: float, length_s: float, context_s: float) -> Window:
        """Return the window of the second that ends now: values and beats; of waves, movement."""
        start_s = now_s - length_s - context_s
        signals = self._cut_values(start_s, now_s)
        for signal in MOVEMENT:
            if signal in self._shown:
                self._cut_wave(signal, start_s, now_s, signals)
        return self._window(now_s, length_s, context_s, signals)

    def has_settled(self, end_s: float) -> bool:
        """Return whether all that was measured before `end_s` is here.

        So it is when the ECG has come for as long as the detector takes to be sure of a beat, every
        other wave has come up to `end_s`, and so have a strap's intervals. A signal that has fallen
        silent is not waited for.
        """
        ecg = self._ecg
        for track in self._tracks.values():
            awaited_s = end_s + (ecg.delay_s if ecg is not None and track is ecg.track else 0.0)
            if end_s - GONE_S < track.ring.end_s < awaited_s:
                return False
        beats = self._values.get(BEATS)
        if beats is None or self._ecg_tells:
            return True
        return not end_s - GONE_S < beats.series.last_s < end_s

    def window(self, end_s: float, length_s: float, context_s: float, now_s: float) -> Window:
        """Return the window that ends at `end_s`, with waveforms."""
        start_s = end_s - length_s - context_s
        signals = self._cut_values(start_s, end_s)
        for signal in self._shown:
            self._cut_wave(signal, start_s, end_s, signals)
        return self._window(end_s, length_s, context_s, signals, now_s)

    def _cut_wave(
        self, signal: str, start_s: float, end_s: float, into: dict[str, Samples]
    ) -> None:
        track = self._shown[signal]
        cut = track.ring.cut(start_s, end_s)
        if cut is not None:
            bound_s = track.uncertainty_s
            into[signal] = Samples(signal, cut[0], track.fs_hz, cut[1], track.lead, bound_s)

    def close_period(self, length_s: float) -> dict[str, float]:
        """Return each signal's coverage since the last call, as a share of `length_s`."""
        coverage: dict[str, float] = {}
        for signal, track in self._shown.items():
            share = track.count_valid() / (track.fs_hz * length_s)
            coverage[signal] = round(min(1.0, share), 3)
        for signal, values in self._values.items():
            if signal not in DERIVED:
                coverage[signal] = round(min(1.0, values.n_covered / length_s), 3)
            values.n_covered = 0
        return dict(sorted(coverage.items()))

    def age_s(self, now_s: float) -> dict[str, float]:
        """Return the time since the newest value of every signal that had one."""
        return self._ages_and_frozen_s(now_s)[0]

    @property
    def n_implausible(self) -> int:
        """Values that could be no measurement (`edge.dsp.plausible`) and were taken for missing."""
        return sum(track.n_implausible for track in self._tracks.values()) + sum(
            values.n_implausible for values in self._values.values()
        )

    def implausible(self) -> dict[tuple[str, str], int]:
        """Return how many values could be no measurement, by signal and source."""
        found: dict[tuple[str, str], int] = {}
        for track in self._tracks.values():
            key = (track.signal, track.source)
            found[key] = found.get(key, 0) + track.n_implausible
        for signal, values in self._values.items():
            found |= {(signal, source): n for source, n in values.implausible_of.items()}
        return {key: n for key, n in found.items() if n}

    @property
    def n_overrun(self) -> int:
        """Runs that were dropped while too many waited for their time."""
        return sum(track.n_overrun for track in self._tracks.values())

    def trace(self, signal: str, length_s: float, now_s: float) -> Samples | None:
        """Return a copy of the last seconds of a fixed-rate signal; None where there is none."""
        track = self._shown.get(signal)
        cut = track.ring.cut(now_s - length_s, now_s) if track else None
        if track is None or cut is None:
            return None
        bound_s = track.uncertainty_s
        return Samples(signal, cut[0], track.fs_hz, cut[1].copy(), track.lead, bound_s)

    def _add_track(self, samples: Samples, source: str, old: Track | None) -> Track:
        track = Track(samples, source, self._capacity_s)
        self._tracks[samples.signal, samples.lead, source] = track
        self.signals.add(samples.signal)
        if old is not None:
            self._replace(old, track)
            return track
        # The first lead carries the signal's name; further leads and sources stand beside it.
        if samples.signal not in self._shown:
            self._shown[samples.signal] = track
        else:
            self._shown.setdefault(f"{samples.signal}:{samples.lead or source}", track)
        if self._ecg is None and _can_be_watched(track):
            self._ecg = EcgLead(track)
            self._ecg_tells = False
        if self._wave is None and track.signal == WAVE:
            self._wave = Breaths(track)
        return track

    def _replace(self, old: Track, new: Track) -> None:
        """Go on with a signal whose board came back with another rate."""
        for name, track in self._shown.items():
            if track is old:
                self._shown[name] = new
        if self._wave is not None and self._wave.track is old:
            self._wave = Breaths(new)
        if self._ecg is not None and self._ecg.track is old:
            self._ecg = EcgLead(new) if _can_be_watched(new) else None
            self._ecg_tells = False

    def _switch_lead(self, now_s: float) -> None:
        """Watch another lead that sends, in place of one that has fallen silent."""
        for track in self._tracks.values():
            sends = track.last_s > now_s - CURRENT_S[0]
            if sends and _can_be_watched(track):
                self._ecg = EcgLead(track)
                self._ecg_tells = False
                self._values.pop(ECG_OFF, None)  # of the board that was watched before
                self._shown["ecg_mv"] = track
                return

    def _value_of(self, signal: str) -> Values:
        values = self._values.get(signal)
        if values is None:
            values = self._values[signal] = Values(signal)
            self.signals.add(signal)
        return values

    def _beat(self, at_s: float, rr_ms: float, source: str, lead: str, idx: int) -> Beat:
        self.n_beats += 1
        known = None if math.isnan(rr_ms) else round(rr_ms, 3)
        return Beat(self.patient, round(at_s, 6), known, source, lead, idx)

    def _cut_values(self, start_s: float, end_s: float) -> dict[str, Samples]:
        signals: dict[str, Samples] = {}
        for signal, values in self._values.items():
            cut = values.series.cut(start_s, end_s)
            if cut is not None:
                times_s, found = cut
                signals[signal] = Samples(
                    signal, times_s.item(0), 0.0, found, "", 0.0, None, times_s
                )
        return signals

    def _window(
        self,
        end_s: float,
        length_s: float,
        context_s: float,
        signals: dict[str, Samples],
        now_s: float | None = None,
    ) -> Window:
        ages, frozen = self._ages_and_frozen_s(end_s if now_s is None else now_s)
        quality: dict[str, float] = {}
        if self._ecg is not None and QUALITY in signals:
            assessed = self._quality(signals[QUALITY], end_s, length_s)
            if assessed is not None:
                quality["ecg_mv"] = assessed
        signals |= self.held.standing(end_s)
        start_s = end_s - length_s
        return Window(self.patient, start_s, length_s, context_s, signals, quality, ages, frozen)

    def _ages_and_frozen_s(self, now_s: float) -> tuple[dict[str, float], dict[str, float]]:
        ages: dict[str, float] = {}
        frozen: dict[str, float] = {}
        for kept in (self._shown, self._values):
            for signal, one in kept.items():
                frozen[signal] = one.frozen_s
                last_s = one.last_s
                if last_s > -math.inf:
                    ages[signal] = now_s - last_s if last_s < now_s else 0.0
        return ages, frozen

    def _quality(self, found: Samples, end_s: float, length_s: float) -> float | None:
        """Return the mean quality of the window's seconds; seconds without ECG count as 0.

        None: no ECG came lately, so that there is nothing to assess.
        """
        if found.times_s is None:
            return None
        if length_s <= 1.0:
            # One late packet must not blank a second: its neighbour stands for it.
            fresh = end_s - found.times_s.item(-1) <= LATE_S
            return found.values.item(-1) if fresh else None
        low = int(np.searchsorted(found.times_s, end_s - length_s))
        inside: Iterable[float] = found.values[low:].tolist()
        return math.fsum(inside) / length_s


def _can_be_watched(track: Track) -> bool:
    """Return whether beats can be found in a signal at all."""
    return track.signal == "ecg_mv" and FS_HZ[0] <= track.fs_hz <= FS_HZ[1]
