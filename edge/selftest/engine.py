"""The alarm engine: does a made-up emergency become an alarm, in a pipeline of its own.

An oximeter that nobody wears sends, in a pipeline that nobody is watched by but that is set exactly
as the running one, a saturation and pulses beyond anything that can be set as a limit: first too
high, then too low. Every limit rule that is switched on for a patient must find it within its own
delay, the engine must raise the alert, and the signal must be audible with the right priority. It
takes made-up time, not real time, and touches nothing of the patient's.

So rules, limits, delays, engine and configuration are proven each day; a limit that somebody has
set wrongly in the file is not found here: what is wrong for this patient only a person knows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from edge.assemble import assemble, settings_of
from edge.decoders.pulse_oximeter import CONTINUOUS
from edge.events import ASSIGN, Assignment, tell
from edge.pipeline import Pipeline, PipelineSettings
from edge.records import Alert, AlertState, Packet, Priority, SelfTestRow, Verdict
from edge.selftest import Bench, Part, row

NAME: Final = "engine"
SOURCE: Final = "self-test"
SETTLE_S: Final = 10.0
"""After the longest delay: the second in which a value flows, the sound's own delay, and slack."""
_WHY: Final = "a real emergency would raise no alarm"
_CURE: Final = "homeward config (are the rules switched on?); systemctl restart homeward"


class Emergency(msgspec.Struct, frozen=True):
    """Values that no limit lets pass, and the rules that must find them.

    Attributes
    ----------
    spo2_pct, pulse_bpm : int
        Outside of the span in which limits can be set; one more every other second, so that the
        value is not a frozen one.
    rules : tuple[str, ...]
        Those that must find it, where they are switched on.
    """

    spo2_pct: int
    pulse_bpm: int
    rules: tuple[str, ...]


EMERGENCIES: Final = (
    Emergency(60, 240, ("low_spo2", "very_low_spo2", "high_hr", "very_high_hr")),
    Emergency(98, 15, ("low_hr", "very_low_hr")),
)


def check(bench: Bench, _: str) -> Iterator[SelfTestRow]:
    """Rehearse every emergency for every patient."""
    settings = settings_of(bench.config)
    for patient in bench.config.patients:
        yield judge(settings, patient.id, lambda: assemble(settings, SOURCE))


def judge(settings: PipelineSettings, patient: str, fresh: Callable[[], Pipeline]) -> SelfTestRow:
    """Return whether all rules of one patient raise their alarms.

    Parameters
    ----------
    settings : PipelineSettings
        What was configured.
    patient : str
        With whose limits.
    fresh : Callable
        Makes a pipeline that is set so, and has lived for no time.
    """
    raised: list[str] = []
    wrong: list[str] = []
    for emergency in EMERGENCIES:
        wanted = _wanted(settings, patient, emergency.rules)
        if not wanted:
            continue
        heard, trouble = _rehearse(fresh(), patient, emergency, wanted, settings)
        raised += heard
        wrong += trouble
    if wrong:
        return row(NAME, Verdict.FAILED, "; ".join(wrong), _WHY, _CURE, patient)
    if not raised:
        found = "no limit of SpO2 or heart rate is switched on"
        return row(NAME, Verdict.FAILED, found, _WHY, _CURE, patient)
    found = f"a made-up emergency was found and sounded by {', '.join(raised)}"
    return row(NAME, Verdict.PASSED, found, subject=patient)


def _wanted(
    settings: PipelineSettings, patient: str, rules: Sequence[str]
) -> Mapping[str, tuple[float, Priority]]:
    """Return those of the rules that are switched on: their delay and priority."""
    told = settings.rules_of.get(patient, settings.rules)
    return {
        name: (told[name].values["delay_s"], settings.rules[name].priority)
        for name in rules
        if name in told and told[name].enabled
    }


def _rehearse(
    pipeline: Pipeline,
    patient: str,
    emergency: Emergency,
    wanted: Mapping[str, tuple[float, Priority]],
    settings: PipelineSettings,
) -> tuple[list[str], list[str]]:
    """Return the rules that raised an alarm in time, and what was wrong."""
    since_s: dict[str, float] = {}
    end_s = round(max(delay_s for delay_s, _ in wanted.values()) + SETTLE_S)
    end_s += round(settings.alerts.signal_delay_s)
    packets = [tell(ASSIGN, Assignment(SOURCE, patient, SOURCE), 0.0)]
    for second in range(1, end_s + 1):
        packets.append(Packet(SOURCE, CONTINUOUS, second - 0.5, _payload(emergency, second)))
        for record in pipeline.advance(packets, float(second)).records:
            if isinstance(record, Alert) and record.state is AlertState.RAISED:
                since_s.setdefault(record.rule, second)
        packets = []
    late = [
        f"{rule} said nothing of {_text(emergency)} within {delay_s + SETTLE_S:.0f} s"
        for rule, (delay_s, _) in wanted.items()
        if since_s.get(rule, float("inf")) > delay_s + SETTLE_S
    ]
    return [rule for rule in wanted if rule in since_s], late + _silent(pipeline, end_s, wanted)


def _silent(
    pipeline: Pipeline, end_s: float, wanted: Mapping[str, tuple[float, Priority]]
) -> list[str]:
    """Return what is wrong with the signal."""
    worst = max((priority for _, priority in wanted.values()), key=lambda one: one.rank)
    if worst is Priority.INFORMATION:
        return ["every limit is set to information, which makes no sound"]
    signal = pipeline.signal(end_s)
    if not signal.audible:
        return ["the alarm was raised and did not sound"]
    if signal.priority is None or signal.priority.rank < worst.rank:
        return [f"the alarm sounded as {signal.priority}, and not as {worst.value}"]
    return []


def _payload(emergency: Emergency, second: int) -> bytes:
    """Return a continuous measurement; whole numbers are medical floats as they are."""
    step = second % 2
    return struct.pack("<BHH", 0, emergency.spo2_pct + step, emergency.pulse_bpm + step)


def _text(emergency: Emergency) -> str:
    return f"SpO2 {emergency.spo2_pct} % with a pulse of {emergency.pulse_bpm}"


PART = Part(NAME, check, _WHY, _CURE)
