"""Whatever lies in a packet of a person or of the box: it is followed or noted, never raised."""

import json
import os

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.alerts import Answer
from edge.assemble import assemble
from edge.events import (
    ASSIGN,
    BEGUN_LIMITS,
    DEVICE_CLOCK,
    ENTERABLE,
    ENTRY,
    EXPECT,
    FACTS,
    HEALTH,
    LIMIT,
    LINK,
    MODEL,
    SELF_TEST,
    Assignment,
    BegunLimits,
    BoxHealth,
    DeviceClock,
    Entry,
    Expectation,
    Facts,
    Limits,
    LinkTold,
    ModelState,
    ModelTold,
    SelfTestTold,
)
from edge.pipeline import ANSWER, START, PipelineSettings, Start
from edge.pipeline.settings import EVENTS
from edge.records import LimitAct, LinkState, Packet, Priority, Role, Security, encode_record
from tests.edge.test_pipeline_news2 import oximeter

LONG = os.environ.get("HOMEWARD_LONG") == "1"
KINDS = {
    ANSWER: Answer,
    START: Start,
    ASSIGN: Assignment,
    EXPECT: Expectation,
    LINK: LinkTold,
    DEVICE_CLOCK: DeviceClock,
    ENTRY: Entry,
    FACTS: Facts,
    LIMIT: Limits,
    BEGUN_LIMITS: BegunLimits,
    HEALTH: BoxHealth,
    MODEL: ModelTold,
    SELF_TEST: SelfTestTold,
}
ACTIONS = ("acknowledge", "pause_audio", "pause_alarms", "audio_off", "resume", "hand_off")
WORDS = [
    *("", "patient-1", "clip", "sim:board", "aGFsbG8=", "read", "assumed", "air", "C", "\\ud800"),
    *("\x00", "\u202e", "é" * 65, *ACTIONS, *Priority, *Role, *LinkState, *Security, *ENTERABLE),
    *(*LimitAct, *ModelState),
]
NUMBERS = [0, 1, 2, -1, 16, 1e-300, 119.9, 120, 121, 3600, 86400, 1e18, 1e300, -1e300, 10**400]
PLAIN = st.one_of(
    st.sampled_from(WORDS), st.sampled_from(NUMBERS), st.none(), st.booleans(), st.text(max_size=8)
)
STATE = st.fixed_dictionaries({}, optional=dict.fromkeys(("state", "kept_s", "same_boot"), PLAIN))
FACTS_OF_BOX = st.dictionaries(st.sampled_from(WORDS), PLAIN, max_size=3)
RULES = st.dictionaries(
    st.sampled_from(["low_spo2", "very_low_spo2", "battery_low", ""]),
    st.fixed_dictionaries(
        {"enabled": st.booleans() | PLAIN},
        optional={"values": st.dictionaries(st.sampled_from(["limit_pct", ""]), PLAIN)},
    ),
    max_size=2,
)
VALUES = PLAIN | STATE | FACTS_OF_BOX | RULES


def payloads(stream):
    """Return payloads with the right names and any values, and mere bytes."""
    names = KINDS[stream].__struct_fields__
    told = st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES))
    return st.binary(max_size=40) | told.map(lambda o: json.dumps(o).encode())


PACKETS = st.sampled_from(sorted(EVENTS)).flatmap(
    lambda stream: st.tuples(st.just(stream), payloads(stream))
)


def live_through(told):
    """Let a monitor with an ill patient take these; return it, all of it having been written."""
    events = [
        Packet(stream.partition(":")[0], stream, 20.0 + i / 4, payload)
        for i, (stream, payload) in enumerate(told)
    ]
    watched = assemble(PipelineSettings(), "x")
    packets = sorted([*oximeter(0, 30, 80, 70), *events], key=lambda p: p.arrived_s)
    for now_s in (25.0, 40.0, 200.0):
        arrived = [p for p in packets if p.arrived_s <= now_s]
        packets = packets[len(arrived) :]
        for record in watched.advance(arrived, now_s).records:
            encode_record(record)
        watched.signal(now_s)
        msgspec.json.encode(watched.live())
        watched.alert_state()
    return watched


def test_every_stream_of_people_and_of_the_box_is_tried():
    assert set(KINDS) == EVENTS


@settings(max_examples=3000 if LONG else 100, deadline=None)
@given(told=st.lists(PACKETS, max_size=12))
def test_no_packet_of_a_person_or_of_the_box_is_raised(told):
    live_through(told)


@pytest.mark.parametrize(
    ("stream", "payload"),
    [
        (FACTS, b'{"patient":"p","at_least_years":1' + b"0" * 400 + b"}"),
        (FACTS, b'{"patient":"p","x":' + b"[" * 100_000),
        (ANSWER, b"[" * 100_000),
        (ANSWER, b'{"action":"resume","by":"a","x":' + b'{"a":' * 50_000),
        (START, b'{"run_id":"r","x":' + b"[" * 100_000),
        (LINK, b"\xff\xfe"),
    ],
    ids=["no float holds it", "deep", "deep answer", "deep object", "deep start", "no text"],
)
def test_a_packet_that_cannot_be_read_is_noted_and_the_alarm_goes_on(stream, payload):
    watched = live_through([(stream, payload)])

    assert stream in watched.live().notes[0]
    assert "very_low_spo2" in {alert.rule for alert in watched.live().alerts}
