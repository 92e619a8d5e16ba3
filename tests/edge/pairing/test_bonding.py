"""What pairing must not do of itself, and how errors are told."""

from __future__ import annotations

import pytest

from edge.bluez import LOST, NO_BUS, TIMED_OUT, BluezDevice, BluezError, Method
from edge.devices import Device
from edge.pairing import PairingError, Wish, explained
from edge.pairing.bonding import _before, _like
from edge.pairing.errors import BLUETOOTH
from edge.pairing.scanning import steady

IDENTITY, PRIVATE = "C0:DE:00:00:00:01", "4A:00:00:00:00:77"


def device(address, address_type="random"):
    return BluezDevice(
        path="/org/bluez/hci0/dev_x",
        adapter="hci0",
        address=address,
        address_type=address_type,
        name="Strap",
        alias="Strap",
        paired=True,
        bonded=True,
        trusted=False,
        connected=True,
        blocked=False,
        services_resolved=True,
        rssi=None,
        uuids=(),
    )


@pytest.mark.parametrize(
    ("address", "address_type", "stays"),
    [
        (IDENTITY, "random", True),
        ("FF:00:00:00:00:00", "random", True),
        (PRIVATE, "random", False),
        ("0A:00:00:00:00:00", "random", False),
        ("80:00:00:00:00:00", "random", False),
        ("00:11:22:33:44:55", "public", True),
    ],
)
def test_an_address_that_changes_is_told_from_one_that_stays(address, address_type, stays):
    assert steady(device(address, address_type)) is stays


def test_nobody_becomes_a_known_sensor_by_claiming_its_identity():
    known = (Device(address=IDENTITY, name="Mum's strap", bonded=True),)
    with pytest.raises(PairingError, match='says that it is "Mum\'s strap"'):
        _before(known, device(IDENTITY), Wish(address=PRIVATE))
    assert _before(known, device(IDENTITY), Wish(address=PRIVATE, again=True)) == known[0]
    assert _before((), device(IDENTITY), Wish(address=PRIVATE)) is None


def test_what_is_not_said_again_stays_as_it_was():
    before = Device(address=IDENTITY, name="A", patient="p", place="chest")
    merged = _like(Wish(address=IDENTITY, place="back"), before)
    assert (merged.name, merged.patient, merged.place) == ("A", "p", "back")


@pytest.mark.parametrize("name", [*BLUETOOTH, "org.bluez.Error.SomethingNew"])
def test_every_error_says_what_was_tried_what_happened_and_what_to_do(name):
    told = str(explained(BluezError(name, "le-connection-abort-by-local"), "cannot pair X"))
    tried, _, rest = told.partition(": ")
    assert tried == "cannot pair X"
    assert "le-connection-abort-by-local" in rest
    assert "; " in rest


def test_our_own_errors_are_in_the_table():
    assert {NO_BUS, TIMED_OUT, LOST} <= BLUETOOTH.keys()


@pytest.mark.parametrize("method", Method)
def test_a_failed_proof_is_told_by_what_was_tried(method):
    error = BluezError("org.bluez.Error.AuthenticationFailed", "Authentication Failed")
    told = {str(explained(error, "x", one)) for one in Method}
    assert len(told) == len(Method)
    assert "; " in str(explained(error, "x", method))
