"""A sensor that never sends anything is an alert, and none once it does."""

import json

import pytest

from edge.alarms.never_heard import RULE
from edge.assemble import assemble
from edge.pipeline import PipelineSettings
from edge.readers import simulated
from edge.records import Alert, AlertState, Features, Packet


def expect(link):
    payload = json.dumps({"link": link, "patient": "patient-1"}).encode()
    return Packet("box", "box:expect", 0.5, payload)


def heard(link, at_s):
    told = {"source": "sim:clip", "patient": "patient-1", "link": link}
    return Packet("box", "box:assign", at_s, json.dumps(told).encode())


def states(packets, end_s):
    records = assemble(PipelineSettings(), "test").advance(packets, end_s).records
    return [(a.at_s, a.state) for a in records if isinstance(a, Alert) and a.rule == "never_heard"]


@pytest.mark.parametrize(("unheard_s", "present"), [(60.0, None), (60.1, True), (0.0, False)])
def test_the_limit_is_exact(unheard_s, present):
    seen = Features("p1", 0.0, 1.0, {"unheard_s": unheard_s})

    assert RULE.step(RULE.start, seen, None, RULE.settings)[1].present is present


def test_a_box_that_hears_nothing_at_all_says_so():
    assert states([expect("clip")], 80.0) == [(61.0, AlertState.RAISED)]


def test_one_silent_link_beside_one_that_speaks_is_told_and_ends_when_it_speaks():
    spoken = list(simulated.packets(simulated.Settings(duration_s=110.0, devices=("clip",))))
    packets = [expect("clip"), expect("strap"), heard("clip", 1.0), *spoken, heard("strap", 90.0)]
    packets.sort(key=lambda packet: packet.arrived_s)

    assert states(packets, 110.0) == [(61.0, AlertState.RAISED), (101.0, AlertState.ENDED)]


def test_who_expects_nothing_is_told_nothing():
    assert states([heard("clip", 1.0)], 200.0) == []
