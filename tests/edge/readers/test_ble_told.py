"""What is told of a sensor's link: only what is new, and a lost key is never talked over."""

import msgspec

from edge.devices import Device
from edge.events import ASSIGN, EXPECT, LINK, LinkTold
from edge.gatt import Profile, uuid
from edge.readers import Rim
from edge.readers._ble_told import Told
from edge.records import LinkState, Security

PROFILES = (
    Profile("strap", "", uuid(0x180D), (uuid(0x2A37),), deadline_s=5.0),
    Profile("scale", "", uuid(0x181D), (uuid(0x2A9D),)),
)


def told_of(*profiles):
    got = []
    sensor = Device(address="A", name="x", patient="p1", profiles=profiles)
    return Told(sensor, Rim(got.append, lambda: 7.0, profiles=PROFILES)), got


def states(got):
    return [msgspec.json.decode(p.payload, type=LinkTold).state for p in got if p.stream == LINK]


def test_something_is_expected_only_of_a_sensor_that_sends_all_the_time():
    for profiles, wanted in (
        (("strap",), [EXPECT]),
        (("scale",), []),
        (("scale", "strap"), [EXPECT]),
    ):
        told, got = told_of(*profiles)
        told.expect()
        assert [one.stream for one in got] == wanted


def test_a_loss_is_told_once_and_only_after_a_link():
    told, got = told_of("strap")
    told.lost("never was")
    told.connected(Security.OPEN)
    told.lost("out of range")
    told.lost("still out of range")
    assert states(got) == [LinkState.CONNECTED, LinkState.LOST]
    assert [one.stream for one in got] == [LINK, ASSIGN, LINK]


def test_mending_the_radio_is_told_of_sensors_that_are_looked_for_and_of_no_others():
    told, got = told_of("strap")
    told.connected(Security.OPEN)
    told.waits("mending")
    assert states(got) == [LinkState.CONNECTED]
    told.not_usable(LinkState.KEY_LOST, "pair it again")
    told.waits("mending")
    told.lost("whatever")
    assert states(got)[1:] == [LinkState.KEY_LOST]
    other, heard = told_of("strap")
    other.waits("mending")
    other.waits("mending")
    assert states(heard) == [LinkState.LOST]


def test_the_same_refusal_is_not_told_twice():
    told, got = told_of("scale")
    for reason in ("why", "why", "why else"):
        told.not_usable(LinkState.REFUSED, reason)
    assert states(got) == [LinkState.REFUSED, LinkState.REFUSED]


def test_a_removed_sensor_is_no_longer_expected():
    told, got = told_of("strap")
    told.expect()
    told.removed()
    assert [one.stream for one in got] == [EXPECT, EXPECT, LINK]
    assert msgspec.json.decode(got[1].payload)["withdrawn"]
    assert states(got) == [LinkState.REMOVED]
