"""What people did and what the box noticed: one function for each stream it comes as."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from edge.alerts import Answer
from edge.events import (
    ASSIGN,
    BEGUN_LIMITS,
    DEVICE_CLOCK,
    ENTRY,
    EXPECT,
    FACTS,
    HEALTH,
    LIMIT,
    LINK,
    MODEL,
    SELF_TEST,
    Assignment,
    BoxHealth,
    DeviceClock,
    Entry,
    Expectation,
    Facts,
    LinkTold,
    ModelTold,
    SelfTestTold,
)
from edge.pipeline.kept import moved_by_s, unpack
from edge.pipeline.limits import change_scale, follow
from edge.pipeline.parts import Parts
from edge.pipeline.settings import ANSWER, MAX_LINKS, START, Start
from edge.records import LinkState, Packet


def take_told(packet: Packet, parts: Parts, tick_s: float) -> None:
    """Take a packet of one of the streams that are no sensor's.

    Parameters
    ----------
    packet : Packet
        Of `edge.pipeline.settings.EVENTS`. One that cannot be followed is noted.
    parts : Parts
        Of the pipeline it is told to.
    tick_s : float
        The tick it belongs to.
    """
    try:
        _TAKE[packet.stream](packet, parts, tick_s)
    # No such payload, alert or state; a number no float holds; nested without an end.
    except (ValueError, OverflowError, RecursionError) as error:
        parts.note(f"{packet.stream} from {packet.source}: {error}")


def _begin(packet: Packet, parts: Parts, tick_s: float) -> None:
    start = msgspec.json.decode(packet.payload, type=Start)
    kept = start.alerts
    if kept is not None and not parts.alarms.started:
        by_s = moved_by_s(kept, tick_s)
        if by_s is not None:
            for patient, held in unpack(kept.state).held.items():
                parts.patient_told(patient).bedside.held.restore(held, by_s)
    parts.give_alerts(parts.alarms.begin(start, tick_s))


def _take_answer(packet: Packet, parts: Parts, tick_s: float) -> None:
    answer = msgspec.json.decode(packet.payload, type=Answer)
    parts.give_alerts(parts.alarms.answer(answer, tick_s))


def _take_entry(packet: Packet, parts: Parts, tick_s: float) -> None:
    entry = msgspec.json.decode(packet.payload, type=Entry)
    held, until_s = parts.patient_told(entry.patient).bedside.held, tick_s + entry.left_s
    held.take(entry.signal, tick_s - entry.age_s, entry.number, until_s)


def _take_facts(packet: Packet, parts: Parts, tick_s: float) -> None:
    facts = msgspec.json.decode(packet.payload, type=Facts)
    parts.out += change_scale(parts.patient_told(facts.patient), facts, tick_s)
    for signal, value in facts.signals.items():
        parts.patient_told(facts.patient).bedside.held.take(signal, tick_s, value)


def _follow_limits(packet: Packet, parts: Parts, tick_s: float) -> None:
    parts.out += follow(packet, parts.patient_told, parts.alarms, tick_s)


def _take_health(packet: Packet, parts: Parts, _: float) -> None:
    parts.box.know(HEALTH, msgspec.json.decode(packet.payload, type=BoxHealth))


def _take_self_test(packet: Packet, parts: Parts, _: float) -> None:
    test = msgspec.json.decode(packet.payload, type=SelfTestTold)
    parts.box.know(SELF_TEST, test.health(packet.arrived_s))
    if test.test is not None and not test.known:
        parts.out.append(test.test)


def _take_model(packet: Packet, parts: Parts, tick_s: float) -> None:
    said = msgspec.json.decode(packet.payload, type=ModelTold)
    parts.scoring.take(said, parts.patients.values(), tick_s)


def _assign(packet: Packet, parts: Parts, _: float) -> None:
    told = msgspec.json.decode(packet.payload, type=Assignment)
    if parts.sources.assign(told.source, told.patient):
        for watched in parts.patients.values():
            watched.listening.forget(told.source)
            watched.bedside.forget_words(told.source)
    if told.source in parts.link_of or len(parts.link_of) < MAX_LINKS:
        parts.link_of[told.source] = told.link


def _expect(packet: Packet, parts: Parts, tick_s: float) -> None:
    awaited = msgspec.json.decode(packet.payload, type=Expectation)
    unheard = parts.patient_told(awaited.patient).unheard
    unheard.pop(awaited.link, None)
    if not awaited.withdrawn:
        unheard[awaited.link] = tick_s


def _take_link(packet: Packet, parts: Parts, tick_s: float) -> None:
    told = msgspec.json.decode(packet.payload, type=LinkTold)
    patient = parts.sources.patient_of(told.source)
    change = parts.sensors.take_link(told, patient, tick_s)
    if change is None:
        return
    parts.out.append(change)
    watched = parts.patient(patient)
    watched.sources.add(told.source)
    if told.state is LinkState.REMOVED:
        watched.sources.discard(told.source)
        watched.listening.forget(told.source)
        watched.bedside.forget(told.source)


def _take_clock(packet: Packet, parts: Parts, _: float) -> None:
    parts.sensors.take_clock(msgspec.json.decode(packet.payload, type=DeviceClock))


_Take: TypeAlias = Callable[[Packet, Parts, float], None]
_TAKE: Final[dict[str, _Take]] = {
    START: _begin,
    ANSWER: _take_answer,
    ENTRY: _take_entry,
    FACTS: _take_facts,
    LIMIT: _follow_limits,
    BEGUN_LIMITS: _follow_limits,
    HEALTH: _take_health,
    SELF_TEST: _take_self_test,
    MODEL: _take_model,
    ASSIGN: _assign,
    EXPECT: _expect,
    LINK: _take_link,
    DEVICE_CLOCK: _take_clock,
}
