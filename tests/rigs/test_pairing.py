"""Every way to prove a sensor, consent, bonds of before and lost keys."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from edge.bluez import Bond, Method, read_bond
from edge.devices import load, save
from edge.pairing import Bonded, PairingError, bonds, forget
from edge.pairing.window import secured
from edge.records import Security
from edge.virtual._face import Face
from tests.rigs.pairing_rig import OTHER, PI, STRAP, Keeper, on_air, reads_display, run_at_home


@pytest.fixture
def at_home(bus, tmp_path):
    return lambda scenario: run_at_home(bus.address, tmp_path, scenario)


# How a sensor is proved


def test_just_works_gives_a_bond_that_proves_nothing_more(at_home):
    async def scenario(home):
        strap = await on_air(home)
        made = await home.pair(name="Strap", patient="p1", place="chest")
        assert made.security is Security.ENCRYPTED
        assert (made.bonded, made.consent) == (True, False)
        assert (made.address, made.adapter, made.place) == (STRAP, "hci0", "chest")
        assert (made.profiles, made.words) == (("heart_rate",), "heart rate strap")
        assert (made.manufacturer, made.model) == ("Homeward", "virtual")
        assert load(home.folder) == (made,)
        state = await home.state()
        assert (state.bonded, state.trusted, state.connected) == (True, True, False)
        assert strap.bonded

    at_home(scenario)


def test_a_typed_passkey_proves_the_sensor(at_home):
    async def scenario(home):
        strap = await on_air(home, face=Face.DISPLAY)
        keeper = Keeper()
        keeper.given_passkey = reads_display(strap)
        made = await home.pair(keeper)
        assert keeper.asked == ["passkey"]
        assert made.security is Security.AUTHENTICATED

    at_home(scenario)


def test_a_shown_passkey_is_typed_on_the_sensor(at_home):
    async def scenario(home):
        strap = await on_air(home, face=Face.KEYBOARD)

        shown = asyncio.get_running_loop().create_future()
        strap.screen.get_number = lambda: shown  # its owner waits for the number, and types it
        keeper = Keeper()
        keeper.on_show = shown.set_result
        made = await home.pair(keeper)
        assert keeper.asked == ["show"]
        assert made.security is Security.AUTHENTICATED

    at_home(scenario)


def test_two_equal_numbers_prove_the_sensor(at_home):
    async def scenario(home):
        strap = await on_air(home, face=Face.YES_NO)
        keeper = Keeper()
        made = await home.pair(keeper)
        assert keeper.asked == ["confirm"]
        assert made.security is Security.AUTHENTICATED
        assert strap.bonded

    at_home(scenario)


def test_the_key_that_bluez_keeps_shows_secure_connections(at_home):
    async def scenario(home):
        strap = await on_air(home, face=Face.DISPLAY)
        home.keep_key(authenticated=3)
        keeper = Keeper()
        keeper.given_passkey = reads_display(strap)
        assert (await home.pair(keeper)).security is Security.SECURE

    at_home(scenario)


@pytest.mark.parametrize(
    ("method", "bond", "reached"),
    [
        (Method.JUST_WORKS, None, Security.ENCRYPTED),
        (Method.NUMERIC_COMPARISON, None, Security.AUTHENTICATED),
        (Method.PASSKEY_ENTRY, Bond(True, False, False, 16), Security.AUTHENTICATED),
        (Method.PASSKEY_ENTRY, Bond(True, True, False, 16), Security.SECURE),
        (Method.JUST_WORKS, Bond(False, True, False, 16), Security.ENCRYPTED),
        # What BlueZ has kept stands above what we believe to have seen.
        (Method.PASSKEY_ENTRY, Bond(False, True, False, 16), Security.ENCRYPTED),
        (Method.PASSKEY_ENTRY, Bond(True, True, True, 16), Security.ENCRYPTED),
    ],
)
def test_no_more_is_claimed_than_is_proved(method, bond, reached):
    assert secured(method, bond) is reached


@pytest.mark.parametrize("kind", range(5))
def test_every_kind_of_stored_key_is_told_apart(kind, tmp_path):
    path = tmp_path / PI / STRAP / "info"
    path.parent.mkdir(parents=True)
    path.write_text(f"[LongTermKey]\nAuthenticated={kind}\nEncSize=16\n")
    bond = read_bond(PI, STRAP, tmp_path)
    assert bond == Bond(kind in {1, 3}, kind in {2, 3, 4}, kind == 4, 16)


@pytest.mark.parametrize(
    "text", ["", "[General]\nName=x\n", "[LongTermKey]\nEncSize=many\n", "no ini at all", "[Long"]
)
def test_a_key_file_that_says_nothing_proves_nothing(text, tmp_path):
    path = tmp_path / PI / STRAP / "info"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert read_bond(PI, STRAP, tmp_path) is None
    assert read_bond(PI, OTHER, tmp_path) is None


def test_the_shortest_key_of_a_bond_counts(tmp_path):
    path = tmp_path / PI / STRAP / "info"
    path.parent.mkdir(parents=True)
    path.write_text(
        "[LongTermKey]\nAuthenticated=1\nEncSize=16\n[SlaveLongTermKey]\nAuthenticated=1\nEncSize=7"
    )
    assert read_bond(PI, STRAP, tmp_path).key_bytes == 7


# Consent, bonds of before, lost keys


def test_without_a_bond_only_with_consent_and_marked(at_home):
    async def scenario(home):
        strap = await on_air(home)
        with pytest.raises(PairingError, match="not agreed to"):
            await home.pair(Keeper(unpaired=False), unpaired=True)
        assert load(home.folder) == ()
        keeper = Keeper()
        made = await home.pair(keeper, unpaired=True)
        assert keeper.asked == ["unpaired"]
        assert (made.consent, made.bonded, made.security) == (True, False, Security.OPEN)
        assert not strap.bonded

    at_home(scenario)


def test_a_bond_of_before_is_taken_over_only_on_a_persons_word(at_home):
    async def scenario(home):
        await on_air(home)
        await home.pair()
        save(home.folder, ())
        with pytest.raises(PairingError, match="not made for the monitor"):
            await home.pair(Keeper(adopt=False))
        assert load(home.folder) == ()
        assert (await home.state()).bonded
        home.keep_key(authenticated=2)
        made = await home.pair()
        assert (made.bonded, made.security) == (True, Security.ENCRYPTED)

    at_home(scenario)


def test_a_paired_sensor_is_not_paired_twice(at_home):
    async def scenario(home):
        await on_air(home)
        await home.pair()
        with pytest.raises(PairingError, match="paired already"):
            await home.pair()

    at_home(scenario)


def test_a_lost_bond_is_made_anew_only_when_told_and_keeps_its_place(at_home):
    async def scenario(home):
        strap = await on_air(home)
        first = await home.pair(name="Mum's strap", patient="p2", place="chest")
        await forget(home.bluez, STRAP)
        assert await bonds(home.bluez, [first]) == {STRAP: Bonded.LOST}
        with pytest.raises(PairingError, match="pair --again"):
            await home.pair()
        again = await home.pair(again=True, place="left of the chest")
        assert again == msgspec.structs.replace(first, place="left of the chest")
        # The sensor has lost its key: BlueZ still has the old bond.
        strap.forget_bond()
        assert (await home.pair(again=True)).bonded
        assert await bonds(home.bluez, [first]) == {STRAP: Bonded.BONDED}
        assert len(load(home.folder)) == 1

    at_home(scenario)


def test_forgetting_removes_the_bond(at_home):
    async def scenario(home):
        await on_air(home)
        await home.pair()
        assert await forget(home.bluez, STRAP) == 1
        assert await forget(home.bluez, STRAP) == 0
        assert await home.state() is None

    at_home(scenario)
