"""What the rules are told of a patient's sensors themselves, by the names people gave them."""

from __future__ import annotations

from collections.abc import Mapping

from edge.pipeline.watched import Watched
from edge.sensors import Sensors
from edge.sources import Sources


def equipment_of(
    patient: Watched, now_s: float, sensors: Sensors, sources: Sources
) -> Mapping[str, float]:
    """Return what is told of each sensor of a patient.

    Returns
    -------
    Mapping[str, float]
        ``battery_pct:<sensor>``: its charge. ``silent_s:<sensor>`` and ``rhythm_s:<sensor>``: how
        long it has been silent and how far apart it speaks, where no signal's age tells.
        ``n_implausible``: values of all that could not be true, and, where there are any,
        ``n_implausible:<signal>:<sensor>``. Where two sensors have one name, of the worse.
    """
    bedside, name_of = patient.bedside, sensors.name_of
    n_implausible = bedside.n_implausible
    told: dict[str, float] = {"n_implausible": float(n_implausible)}
    for source, pct in sensors.batteries.items():
        if sources.patient_of(source) == bedside.patient:
            name = f"battery_pct:{name_of(source)}"
            told[name] = min(pct, told.get(name, pct))
    for source, silence_s, rhythm_s in patient.listening.silent(now_s, bedside.age_s):
        name = f"silent_s:{name_of(source)}"
        if silence_s >= told.get(name, 0.0):
            told |= {name: silence_s, f"rhythm_s:{name_of(source)}": rhythm_s}
    if n_implausible:
        for (signal, source), n in bedside.implausible().items():
            name = f"n_implausible:{signal}:{name_of(source)}"
            told[name] = told.get(name, 0.0) + n
    return told
