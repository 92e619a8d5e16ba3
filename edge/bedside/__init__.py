"""What is known of one patient: every signal that came, the lead that is watched, windows of it.

    this file   what came goes its way; which lead is watched; beats; windows
    signals     every signal that came, or was made here of another
    values      one that comes value by value
    breathing   the breathing wave that is watched
    straps      whose intervals count, and when each beat was

Nothing here decides anything; `edge.pipeline` asks for windows and hands them to the features.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edge.bedside.breathing import Breathing
from edge.bedside.signals import (
    BEATS,
    DERIVED,
    ECG_OFF,
    LEAD_OFF,
    MAX_SIGNALS,
    QUALITY,
    Signals,
    mean_quality,
)
from edge.bedside.straps import Straps
from edge.bedside.values import CURRENT_S
from edge.dsp.beats import FS_HZ
from edge.dsp.ecg import EcgLead
from edge.dsp.held import HeldValues
from edge.dsp.several import Several
from edge.dsp.timeline import Placement
from edge.dsp.track import Track
from edge.records import Beat, Samples, Window

__all__ = ["BEATS", "Bedside"]

SLOW_FS_HZ: Final = 2.0
"""Below this rate samples are kept one by one with their times: a thermometer has no waveform."""
SWITCH_S: Final = 10.0
"""When the watched lead has sent nothing for so long, another lead that sends is watched."""
SAME_BEAT_S: Final = 0.25
"""A beat that lies no further after one a strap told of is that beat."""
GONE_S: Final = 15.0
"""What has been silent for so long is not waited for when a window is cut."""
MOVEMENT: Final = ("accel_g", "accel_g:y", "accel_g:z")
"""Waves that are looked at every second: nobody who fell should wait for the next window."""


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
        self._kept = kept = Signals()
        self.signals = kept.names
        """Every signal the patient ever had."""
        self.n_beats = 0
        self.n_refused = 0
        """Runs and values of signals beyond `MAX_SIGNALS`."""
        self._capacity_s = capacity_s
        self._tracks, self._shown, self._values = kept.tracks, kept.shown, kept.values
        self._straps = Straps()
        self._ecg_tells = False
        """Whether the ECG has shown its first beat; until then a strap's intervals count."""
        self._several = Several()
        self._ecg: EcgLead | None = None
        self._breathing = Breathing(kept)
        self.held = HeldValues()
        """What people entered and spot checks measured, and the patient's facts."""

    def take_run(self, samples: Samples, place: Placement, source: str) -> None:
        """Take a placed run of a fixed-rate signal."""
        if samples.fs_hz < SLOW_FS_HZ:
            if samples.signal not in self._values and len(self._values) >= MAX_SIGNALS:
                self.n_refused += 1
                return
            slow = self._kept.value_of(samples.signal)
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
        of_beats = samples.signal == BEATS
        if of_beats and not self._strap_counts(source, arrived_s):
            return []
        if samples.signal not in self._values and len(self._values) >= MAX_SIGNALS:
            self.n_refused += 1
            return []
        if samples.spot:
            self.held.take_spot(samples, arrived_s)
        values = self._kept.value_of(samples.signal)
        values.source = source
        if of_beats:
            times_s = self._straps.times_s(samples, arrived_s, source)
        else:
            times_s = np.full(len(samples.values), arrived_s)
        beats, awaited = [], not samples.spot
        for at_s, value in zip(times_s.tolist(), samples.values.tolist(), strict=True):
            worst = self._several.worst(samples.signal, source, at_s, value)
            values.take(at_s, worst, awaited=awaited)
            self._note_ecg_off(samples.signal, source, at_s, value)
            if of_beats:
                beats.append(self._beat(at_s, value, source, "", -1))
        return beats

    def _note_ecg_off(self, signal: str, source: str, at_s: float, value: float) -> None:
        """Keep what the board whose ECG is watched says of its electrodes."""
        if signal == LEAD_OFF and self._ecg is not None and self._ecg.track.source == source:
            off = self._kept.value_of(ECG_OFF)
            off.source = source
            off.take(at_s, value)

    def _strap_counts(self, source: str, arrived_s: float) -> bool:
        """Return whether a strap's intervals are the ones that count: no ECG shows the beats."""
        if self._ecg is not None and self._ecg_tells:
            return False
        return self._straps.counts(source, arrived_s)

    def forget(self, source: str) -> None:
        """Stop waiting for a source: a person has taken its sensor away."""
        self._kept.forget(source)
        if self._ecg is not None and self._ecg.track.source == source:
            self._ecg = None
            self._values.pop(QUALITY, None)
        self._breathing.forget(source)
        self._several.forget(source)

    def forget_words(self, source: str) -> None:
        """Let what a sensor said last count no more: it is another patient's now."""
        self._several.forget(source)

    def last_words(self, now_s: float) -> dict[str, float]:
        """Return the last numbers of sensors that fell silent while others go on.

        Returns
        -------
        dict[str, float]
            ``last:<signal>:<source>`` and how old it is, ``last_s:<signal>:<source>``. Of heart
            rates none while an ECG comes: it is the ECG's rate that counts then.
        """
        words: dict[str, float] = {}
        for signal, source, told, age_s in self._several.last_words(now_s):
            if signal != "hr_bpm" or not self._has_ecg(now_s):
                words[f"last:{signal}:{source}"] = told
                words[f"last_s:{signal}:{source}"] = age_s
        return words

    def _has_ecg(self, now_s: float) -> bool:
        ecg = self._ecg
        return ecg is not None and self._ecg_tells and now_s - ecg.track.last_s <= SWITCH_S

    def n_saying(self, signal: str, value: float, now_s: float) -> int:
        """Return how many sensors say this of themselves now."""
        return self._several.count(signal, now_s, value)

    def advance(self, until_s: float) -> list[Beat]:
        """Let the samples taken before `until_s` flow; return the beats found in them."""
        ecg = self._ecg
        watched = ecg.track if ecg else None
        wave = self._breathing.track
        for track in self._tracks.values():
            if track is not watched and track is not wave:
                track.flow(until_s)
        self._breathing.advance(until_s)
        beats = self._watch(ecg, until_s) if ecg else []
        if watched is None or until_s - watched.last_s > SWITCH_S:
            self._switch_lead(until_s)
        for signal, values in self._values.items():
            if signal not in DERIVED:
                values.note_second(until_s)
        return beats

    def _watch(self, ecg: EcgLead, until_s: float) -> list[Beat]:
        beats: list[Beat] = []
        if found := ecg.advance(until_s):
            track, intervals = ecg.track, self._kept.value_of(BEATS)
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
            self._kept.value_of(QUALITY).take(middle_s, quality)
        return beats

    def second(self, now_s: float, length_s: float, context_s: float) -> Window:
        """Return the window of the second that ends now: values and beats; of waves, movement."""
        start_s = now_s - length_s - context_s
        signals = self._kept.cut_values(start_s, now_s)
        for signal in MOVEMENT:
            if signal in self._shown:
                self._kept.cut_wave(signal, start_s, now_s, signals)
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
        signals = self._kept.cut_values(start_s, end_s)
        for signal in self._shown:
            self._kept.cut_wave(signal, start_s, end_s, signals)
        return self._window(end_s, length_s, context_s, signals, now_s)

    def close_period(self, length_s: float) -> dict[str, float]:
        """Return each signal's coverage since the last call, as a share of `length_s`."""
        return self._kept.close_period(length_s)

    def age_s(self, now_s: float) -> dict[str, float]:
        """Return the time since the newest value of every signal that had one."""
        return self._kept.ages_and_frozen_s(now_s)[0]

    def trace(self, signal: str, length_s: float, now_s: float) -> Samples | None:
        """Return a copy of the last seconds of a fixed-rate signal; None where there is none."""
        return self._kept.trace(signal, length_s, now_s)

    @property
    def n_implausible(self) -> int:
        """Values that could be no measurement (`edge.dsp.plausible`) and were taken for missing."""
        return self._kept.n_implausible

    def implausible(self) -> dict[tuple[str, str], int]:
        """Return how many values could be no measurement, by signal and source."""
        return self._kept.implausible()

    @property
    def n_overrun(self) -> int:
        """Runs that were dropped while too many waited for their time."""
        return self._kept.n_overrun

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
        self._breathing.begin(track)
        return track

    def _replace(self, old: Track, new: Track) -> None:
        """Go on with a signal whose board came back with another rate."""
        for name, track in self._shown.items():
            if track is old:
                self._shown[name] = new
        self._breathing.replace(old, new)
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

    def _beat(self, at_s: float, rr_ms: float, source: str, lead: str, idx: int) -> Beat:
        self.n_beats += 1
        known = None if math.isnan(rr_ms) else round(rr_ms, 3)
        return Beat(self.patient, round(at_s, 6), known, source, lead, idx)

    def _window(
        self,
        end_s: float,
        length_s: float,
        context_s: float,
        signals: dict[str, Samples],
        now_s: float | None = None,
    ) -> Window:
        ages, frozen = self._kept.ages_and_frozen_s(end_s if now_s is None else now_s)
        quality: dict[str, float] = {}
        if self._ecg is not None and QUALITY in signals:
            assessed = mean_quality(signals[QUALITY], end_s, length_s)
            if assessed is not None:
                quality["ecg_mv"] = assessed
        signals |= self.held.standing(end_s)
        start_s = end_s - length_s
        return Window(self.patient, start_s, length_s, context_s, signals, quality, ages, frozen)


def _can_be_watched(track: Track) -> bool:
    """Return whether beats can be found in a signal at all."""
    return track.signal == "ecg_mv" and FS_HZ[0] <= track.fs_hz <= FS_HZ[1]
