"""What people enter and what is known of a patient: refused where it cannot be true."""

import math

import msgspec
import pytest

from edge.events import ENTERABLE, ENTRY, LONGEST_S, Entry, Facts, tell


def entry(**changes):
    told = {"patient": "p1", "what": "temp_degc", "value": 37.2, "by": "Ana", "role": "nurse"}
    return Entry(**{**told, "valid_for_s": 3600.0, **changes})


def test_an_entry_survives_its_packet():
    told = entry(what="consciousness", value="C")

    assert msgspec.json.decode(tell(ENTRY, told, 5.0).payload, type=Entry) == told
    assert (told.signal, told.number) == ("held_acvpu_au", 1.0)


def test_a_number_is_entered_as_it_is():
    assert (entry().signal, entry().number) == ("held_temp_degc", 37.2)
    assert entry(what="resp_brpm", value=14).number == 14.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"what": "mood"}, "what can: oxygen, consciousness"),
        ({"what": "oxygen", "value": 1.0}, "write one of air, oxygen"),
        ({"what": "consciousness", "value": "a"}, "A, C, V, P, U"),
        ({"value": "37"}, "write a number from 25 to 45"),
        ({"value": 99.0}, "write a number from 25 to 45"),
        ({"value": math.nan}, "write a number from 25 to 45"),
        ({"valid_for_s": 0.0}, "at most 24 h"),
        ({"valid_for_s": LONGEST_S + 1.0}, "at most 24 h"),
        ({"valid_for_s": math.nan}, "at most 24 h"),
        ({"age_s": -1.0}, "at most 24 h old"),
        ({"age_s": 3600.0}, "measured 1 h ago and counts for 1 h: measure again"),
    ],
)
def test_what_cannot_be_true_is_refused_with_what_can(changes, said):
    with pytest.raises(ValueError, match=said):
        entry(**changes)


def test_a_payload_that_cannot_be_true_is_no_entry():
    raw = msgspec.json.encode({**msgspec.structs.asdict(entry()), "value": 99.0})

    with pytest.raises(msgspec.ValidationError, match="write a number"):
        msgspec.json.decode(raw, type=Entry)


def test_everything_enterable_expires_within_a_day():
    assert all(0.0 < known.valid_for_s <= LONGEST_S for known in ENTERABLE.values())


def test_scale_2_without_who_when_and_why_is_refused():
    with pytest.raises(ValueError, match="who decided it, when and why"):
        Facts("p1", 70, spo2_scale=2, decided_by="Dr Lo", decided_on="2026-03-01")
    with pytest.raises(ValueError, match="there are 1 and 2"):
        Facts("p1", 70, spo2_scale=3)


def test_facts_are_carried_as_signals_and_an_unknown_age_is_no_number():
    decided = Facts("p1", 70, False, 2, "Dr Lo", "2026-03-01", "hypercapnia in blood gas")

    assert decided.signals == {
        "held_years_au": 70.0,
        "held_pregnant_flag": 0.0,
        "held_spo2_scale_au": 2.0,
    }
    assert math.isnan(Facts("p1").signals["held_years_au"])
