"""Which profiles a device is read by."""

from edge.gatt import Profile, Quirk, uuid
from edge.readers._ble_gatt import Characteristic, Identity, choose, fits, pick

HEART, RATE, BODY = uuid(0x180D), uuid(0x2A37), uuid(0x2A38)
OXIMETER, CONTINUOUS, SPOT = uuid(0x1822), uuid(0x2A5F), uuid(0x2A5E)
PRIVATE = "cd5c7491-4448-7db8-ae4c-d1da8cba36d0"


def characteristic(service, which, *can, handle=0):
    return Characteristic(handle or hash((service, which)), service, which, frozenset(can))


RATE_FOUND = characteristic(HEART, RATE, "notify")
FOUND = (RATE_FOUND, characteristic(HEART, BODY, "read"))
HEART_PROFILE = Profile("heart", "strap", HEART, (RATE,), read=(BODY,))


def names(uses):
    return [use.profile.name for use in uses]


def test_a_service_that_is_there_is_read_by_its_profile():
    (use,) = choose([HEART_PROFILE], FOUND, Identity())
    assert use.profile is HEART_PROFILE
    assert [one.uuid for one in use.listen] == [RATE]
    assert [one.uuid for one in use.read] == [BODY]


def test_a_service_without_anything_to_listen_to_is_not_read():
    assert choose([HEART_PROFILE], (characteristic(HEART, BODY, "read"),), Identity()) == ()


def test_a_characteristic_that_cannot_notify_is_passed_over():
    assert choose([HEART_PROFILE], (characteristic(HEART, RATE, "read"),), Identity()) == ()


def test_a_quirk_that_fits_goes_before_the_plain_profile_whatever_the_order():
    quirk = Profile("odd", "", HEART, (RATE,), quirk=Quirk(manufacturer="Proto"), prefix="odd:")
    who = Identity("ProtoCentral", "v5", "healthypi move")
    assert names(choose([HEART_PROFILE, quirk], FOUND, who)) == ["odd"]
    assert names(choose([quirk, HEART_PROFILE], FOUND, who)) == ["odd"]
    assert names(choose([quirk, HEART_PROFILE], FOUND, Identity("Polar"))) == ["heart"]


def test_of_two_quirks_the_one_that_asks_for_more_goes_first():
    some = Profile("some", "", HEART, (RATE,), quirk=Quirk(name="heal"))
    more = Profile("more", "", HEART, (RATE,), quirk=Quirk(name="heal", model="v5"))
    assert names(choose([some, more], FOUND, Identity("", "v5.1", "healthypi"))) == ["more"]
    assert names(choose([some, more], FOUND, Identity("", "v4", "healthypi"))) == ["some"]


def test_a_quirk_by_service_needs_that_service():
    quirk = Quirk(service=PRIVATE)
    assert fits(quirk, {HEART, PRIVATE}, Identity())
    assert not fits(quirk, {HEART}, Identity())


def test_a_quirk_that_asks_for_nothing_fits_nobody():
    assert not fits(Quirk(), {HEART}, Identity("a", "b", "c"))


def test_a_plain_profile_keeps_what_a_quirk_has_not_taken():
    plain = Profile("plain", "", OXIMETER, (CONTINUOUS, SPOT))
    quirk = Profile("quirk", "", OXIMETER, (CONTINUOUS,), quirk=Quirk(name="h"), prefix="q:")
    found = (
        characteristic(OXIMETER, CONTINUOUS, "notify"),
        characteristic(OXIMETER, SPOT, "indicate"),
    )
    first, second = choose([plain, quirk], found, Identity(name="h"))
    assert (first.profile.name, [one.uuid for one in first.listen]) == ("quirk", [CONTINUOUS])
    assert (second.profile.name, [one.uuid for one in second.listen]) == ("plain", [SPOT])


def test_several_services_are_read_side_by_side():
    oximeter = Profile("oximeter", "", OXIMETER, (CONTINUOUS,))
    found = (*FOUND, characteristic(OXIMETER, CONTINUOUS, "notify"))
    assert sorted(names(choose([HEART_PROFILE, oximeter], found, Identity()))) == [
        "heart",
        "oximeter",
    ]


def test_of_two_characteristics_of_a_name_the_one_in_the_service_is_picked():
    other = characteristic(OXIMETER, RATE, "notify", handle=1)
    mine = characteristic(HEART, RATE, "notify", handle=2)
    assert pick((other, mine), RATE, HEART) is mine
    assert pick((other, mine), RATE) is other
    assert pick((other, mine), BODY) is None
