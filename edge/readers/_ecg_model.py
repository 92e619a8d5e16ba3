"""The simulated ECG and pleth, beat by beat.

ECG: the dynamical model of McSharry, Clifford, Tarassenko and Smith, "A dynamical model for
generating synthetic electrocardiogram signals", IEEE Trans Biomed Eng 2003;50:289-294,
doi:10.1109/TBME.2003.808805. The state runs round a limit cycle and is pulled up and down by five
Gaussian events (P, Q, R, S, T) at fixed angles. On the limit cycle the angle is known in closed
form, so each event's pull integrates to a Gaussian in time and the equations need no solver; what
is left out is their slow return to the base line, whose wander is added as such. As in the paper
the angles of P and T scale with the square root of the RR interval. The QRS keeps its width. Sizes
are those of lead II of an adult. Beats that start in a ventricle, which the paper does not have,
are wide, have no P wave, and their T wave points the other way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.readers._rhythm_model import TrueBeat
from edge.records import TimeArray

ECG_BEFORE_S, ECG_AFTER_S = 0.45, 0.75
"""How far from its R peak a beat is seen in the ECG."""
TRANSIT_S = 0.21
"""From the R peak to the foot of the pulse in the finger."""
PULSE_BEFORE_S, PULSE_AFTER_S = 0.1, 1.3

# (size in mV, centre in s, width in s at an RR interval of 1 s)
_P = (0.14, -0.17, 0.024)
_QRS = ((-0.11, -0.026, 0.008), (1.15, 0.0, 0.0105), (-0.24, 0.028, 0.0095))
_T = (0.30, 0.27, 0.052)
_T_FRONT = (0.07, 0.19, 0.04)
_PVC = ((1.55, 0.0, 0.032), (-0.55, 0.085, 0.035), (-0.42, 0.30, 0.062))
_VT = ((1.25, 0.0, 0.036), (-0.75, 0.11, 0.045))


def ecg_of_beats(times_s: TimeArray, beats: Sequence[TrueBeat]) -> NDArray[np.float64]:
    """Return the ECG of the beats in mV at ascending times, shape (n,): no noise, no base line."""
    total = np.zeros(times_s.shape)
    for beat in beats:
        first, last = np.searchsorted(times_s, (beat.at_s - ECG_BEFORE_S, beat.at_s + ECG_AFTER_S))
        if first == last:
            continue
        since_s = times_s[first:last] - beat.at_s
        for size, centre_s, width_s in _events(beat):
            total[first:last] += size * np.exp(-0.5 * ((since_s - centre_s) / width_s) ** 2)
    return total


def pleth_of_beats(times_s: TimeArray, beats: Sequence[TrueBeat]) -> NDArray[np.float64]:
    """Return the pulse wave of the beats at ascending times, shape (n,), 1 high at a sinus beat."""
    total = np.zeros(times_s.shape)
    for beat in beats:
        foot_s = beat.at_s + TRANSIT_S
        first, last = np.searchsorted(times_s, (foot_s - PULSE_BEFORE_S, foot_s + PULSE_AFTER_S))
        if first == last:
            continue
        since_s = times_s[first:last] - foot_s
        total[first:last] += beat.pulse * (
            np.exp(-0.5 * ((since_s - 0.13) / 0.058) ** 2)
            + 0.38 * np.exp(-0.5 * ((since_s - 0.36) / 0.09) ** 2)
        )
    return total


def _events(beat: TrueBeat) -> tuple[tuple[float, float, float], ...]:
    if beat.shape == "pvc":
        return _PVC
    if beat.shape == "vt":
        return _VT
    scale = min(max(beat.rr_s, 0.33), 1.5) ** 0.5
    waves = [_stretch(_T, scale), _stretch(_T_FRONT, scale)]
    if beat.shape == "sinus":
        waves.append(_stretch(_P, scale))
    return (*_QRS, *waves)


def _stretch(wave: tuple[float, float, float], scale: float) -> tuple[float, float, float]:
    size, centre_s, width_s = wave
    return size, centre_s * scale, width_s * scale
