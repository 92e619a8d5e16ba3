"""What rules are told of sensors that fell silent while others go on (`edge.alarms._last_word`)."""

from __future__ import annotations

from collections.abc import Mapping

from edge.alarms._last_word import ANSWERED, WORD
from edge.bedside import Bedside
from edge.pipeline.alarms import Alarms
from edge.records import AlertState


def words_of(bedside: Bedside, now_s: float, alarms: Alarms) -> Mapping[str, float]:
    """Return the last words of a patient's silent sensors.

    Returns
    -------
    Mapping[str, float]
        As `Bedside.last_words`; where there are any also ``answered:<rule>`` of each alert of the
        patient that a person has answered, and that still stands. As a rule empty.
    """
    words = bedside.last_words(now_s)
    if words:
        words |= answers_of(bedside.patient, alarms)
    return words


def answers_of(patient: str, alarms: Alarms) -> dict[str, float]:
    """Return ``answered:<rule>`` of each alert of a patient that stands and was answered."""
    return {
        f"{ANSWERED}{alert.rule}": 1.0
        for alert in alarms.standing()
        if alert.patient == patient and alert.state is AlertState.ACKNOWLEDGED
    }


def answered_here(patient: str, values: dict[str, float], alarms: Alarms) -> dict[str, float]:
    """Return what rules were told, with the answers to the alerts that stand in these alarms.

    Whoever asks the rules again under other limits has other alerts than there were then.
    """
    if not any(name.startswith(WORD) for name in values):
        return values
    kept = {name: value for name, value in values.items() if not name.startswith(ANSWERED)}
    return kept | answers_of(patient, alarms)
