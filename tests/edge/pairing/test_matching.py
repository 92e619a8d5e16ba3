"""What a device is said to be, before and after it was asked."""

from __future__ import annotations

import pytest

from edge.devices import Device, DevicesError
from edge.gatt import Profile, Quirk, uuid
from edge.pairing.matching import Known, Readable, judge, match
from edge.pairing.names import MAX_NAME, chosen, clean, free

HEART, OWN, BATTERY = uuid(0x180D), uuid(0xFE00), uuid(0x180F)
RATE, WAVE = uuid(0x2A37), uuid(0xFE01)
STRAP = Profile("heart_rate", "strap", HEART, (RATE,))
BOARD = Profile("board", "board", HEART, (RATE, WAVE), quirk=Quirk(name="Board", service=OWN))
MAKER = Profile("maker", "band", HEART, (RATE,), quirk=Quirk(manufacturer="Acme"))
ALL = (STRAP, BOARD)


def test_a_service_we_read_is_enough_without_a_quirk():
    found = judge("Any name", (HEART, BATTERY), ALL)
    assert (found.readable, found.profiles, found.words) == (Readable.YES, ("heart_rate",), "strap")


def test_a_quirk_whose_every_word_fits_goes_before_the_standard():
    found = judge("Board 7", (HEART, OWN), ALL)
    assert (found.readable, found.profiles) == (Readable.YES, ("board",))


def test_the_name_of_a_quirk_alone_is_only_a_maybe():
    found = judge("Board 7", (BATTERY,), ALL)
    assert (found.readable, found.profiles) == (Readable.MAYBE, ("board",))


def test_what_only_the_maker_tells_is_a_maybe_until_it_was_asked():
    assert judge("x", (HEART,), (MAKER,)).readable is Readable.MAYBE
    has = {"name": "x", "services": frozenset({HEART}), "characteristics": frozenset({RATE})}
    assert match(Known(**has, manufacturer="Acme Inc", model=""), (STRAP, MAKER)) == (MAKER,)
    assert match(Known(**has, manufacturer="Other", model=""), (STRAP, MAKER)) == (STRAP,)


@pytest.mark.parametrize(
    ("name", "services", "readable"),
    [("Toothbrush", (BATTERY,), "no"), ("Thing", (), "maybe"), ("", (), "no")],
)
def test_the_rest_is_told_apart(name, services, readable):
    found = judge(name, services, ALL)
    assert found.readable == readable
    assert found.why


def test_a_service_without_anything_to_listen_to_is_no_match():
    assert match(Known("x", frozenset({HEART}), frozenset({WAVE}), "", ""), (STRAP,)) == ()


def test_no_characteristic_is_listened_to_twice():
    sharing = Profile("both", "both", HEART, (RATE, WAVE))
    has = Known("x", frozenset({HEART}), frozenset({RATE}), "", "")
    assert match(has, (STRAP, sharing)) == (STRAP,)
    more = Known("x", frozenset({HEART}), frozenset({RATE, WAVE}), "", "")
    assert match(more, (STRAP, sharing)) == (STRAP, sharing)


def test_names_from_the_air_are_made_harmless():
    assert clean("\x1b]0;title\x07\x00A\u202eB\n") == "]0;title A B"
    assert len(clean("x" * 248)) == MAX_NAME


def test_a_chosen_name_is_one_line_and_nobody_elses():
    known = (Device(address="C0:DE:00:00:00:01", name="Strap"),)
    assert chosen(known, "Strap", "C0:DE:00:00:00:01") == "Strap"
    assert chosen(known, "Other", "C0:DE:00:00:00:02") == "Other"
    for bad in ("", "  ", "a\nb", "x" * (MAX_NAME + 1), "STRAP", "c0:de:00:00:00:01"):
        with pytest.raises(DevicesError):
            chosen(known, bad, "C0:DE:00:00:00:02")


def test_a_free_name_is_found_for_any_number_of_the_same():
    known: tuple[Device, ...] = ()
    for n in range(12):
        address = f"C0:DE:00:00:00:{n:02X}"
        name = free(known, "S" * 60, address)
        assert len(name) <= MAX_NAME
        assert name not in {one.name for one in known}
        known += (Device(address=address, name=name),)
    assert free(known, "\x00", "C0:DE:00:00:00:99") == "sensor"
