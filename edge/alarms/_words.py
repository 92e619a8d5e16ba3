"""What feature names mean to a carer (part of the rules, not one of them).

The words repeat those of the feature files, which stand on the same floor and may not be
imported from here; `tests/edge/alarms/test_anomaly.py` fails where the two differ. A name that is
not here is shown as it is, never hidden.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "ksqi": "how much the beats stand out of the ECG",
    "ssqi": "how one-sided the ECG is",
    "psqi": "share of the ECG's power where beats have theirs",
    "bassqi": "share of the ECG's power that is not slow wander",
    "hfsqi": "muscle and mains noise against the ECG",
    "flat_frac": "share of the time in which the ECG does not move",
    "clip_frac": "share of the ECG at its own highest or lowest value",
    "missing_frac": "share of the ECG that is missing",
    "quality": "quality of the ECG, 0 useless to 1 clean",
    "corr_min": "least likeness of a beat to the usual beat",
    "corr_p10": "likeness to the usual beat that nine beats in ten exceed",
    "corr_mean": "mean likeness of the beats to the usual beat",
    "resid_max": "largest difference of a beat from the usual beat",
    "width_max_ms": "widest QRS complex, ms",
    "width_median_ms": "usual width of the QRS complex, ms",
    "width_range_ms": "widest QRS complex beyond the usual width, ms",
    "amp_max_ratio": "tallest beat against the usual height",
    "amp_min_ratio": "smallest beat against the usual height",
    "area_max_ratio": "largest area under a beat against the usual",
    "slope_min_ratio": "slowest rise of a beat against the usual",
    "slope_max_ratio": "steepest rise of a beat against the usual",
    "polarity_frac": "share of beats that point the other way",
    "t_amp_max_ratio": "largest swing after a beat against the height of the beats",
    "p_amp_ratio": "height of the P wave against the height of the beats",
    "p_corr_min": "least likeness of a P wave to the usual one",
    "p_corr_mean": "mean likeness of the P waves to the usual one",
    "n_beats": "heart beats in the window",
    "hr_median_bpm": "heart rate of the middle beat, beats a minute",
    "mean_rr_ms": "mean time between beats, ms",
    "sdrr_ms": "spread of the times between beats, ms",
    "rmssd_ms": "change from one interval to the next, ms",
    "pnn50_pct": "share of intervals that differ from the one before by more than 50 ms, %",
    "cv_rr": "spread of the intervals against their mean",
    "rr_min_ratio": "shortest RR interval against the median",
    "rr_max_ratio": "longest RR interval against the median",
    "max_drr_ratio": "largest change between neighbouring intervals against the median",
    "sd1_ms": "irregularity from beat to beat, ms",
    "sd2_ms": "slower change of the heart rhythm, ms",
    "sd1_sd2": "beat-to-beat irregularity against slower change",
    "sampen": "how unpredictable the intervals are (sample entropy)",
    "cosen": "how unpredictable the intervals are for this heart rate",
    "turning_point_ratio": "how often the intervals turn from longer to shorter or back",
    "prematurity": "earliest beat against the intervals before it",
    "pause_ratio": "longest pause against the intervals before it",
    "irregular_frac": "share of beats that come clearly early or late",
}
"""Feature name -> words, then a comma and the unit or a remark where there is one."""

UNITS = frozenset({"ms", "s", "%", "beats a minute", "% a minute"})
"""What after the last comma is a unit; anything else is a remark."""


def describe(name: str, value: float, contribution: float, words: Mapping[str, str] = WORDS) -> str:
    """Return one feature, its value and how much it spoke for the alarm.

    Parameters
    ----------
    name : str
        The feature's name.
    value : float
        Its value; NaN where it could not be computed.
    contribution : float
        Its addend to the log odds.
    words : Mapping[str, str]
        Feature name -> ``"what it is, unit"``.

    Returns
    -------
    str
        In words where there are any, else with the name itself.

    Examples
    --------
    >>> describe("mean_rr_ms", 412.0, 1.93)
    'mean time between beats 412 ms (+1.9)'
    >>> describe("quality", 0.625, 0.5)
    'quality of the ECG (0 useless to 1 clean) 0.625 (+0.5)'
    >>> describe("my_own_ms", float("nan"), 0.5)
    'my_own_ms unknown (+0.5)'
    """
    what, _, last = words.get(name, name).rpartition(", ")
    number = "unknown" if math.isnan(value) else f"{value:.4g}"
    if not what:
        what = last
    elif last not in UNITS:
        what = f"{what} ({last})"
    elif number != "unknown":
        number = f"{number} {last}"
    return f"{what} {number} ({contribution:+.1f})"
