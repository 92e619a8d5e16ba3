"""What the rules are told of a patient's sensors themselves, by the names people gave them."""

from __future__ import annotations

from collections.abc import Mapping

from edge.bedside import Bedside
from edge.sensors import Sensors
from edge.sources import Sources


def equipment_of(bedside: Bedside, sensors: Sensors, sources: Sources) -> Mapping[str, float]:
    """Return the charge of each battery, and how many values could not be true, by sensor.

    Returns
    -------
    Mapping[str, float]
        ``battery_pct:<sensor>``; where two sensors have one name, of the emptier. ``n_implausible``
        in all and, where there are any, ``n_implausible:<signal>:<sensor>``.
    """
    n_implausible = bedside.n_implausible
    told: dict[str, float] = {"n_implausible": float(n_implausible)}
    for source, pct in sensors.batteries.items():
        if sources.patient_of(source) == bedside.patient:
            name = f"battery_pct:{sensors.name_of(source)}"
            told[name] = min(pct, told.get(name, pct))
    if n_implausible:
        for (signal, source), n in bedside.implausible().items():
            name = f"n_implausible:{signal}:{sensors.name_of(source)}"
            told[name] = told.get(name, 0.0) + n
    return told
