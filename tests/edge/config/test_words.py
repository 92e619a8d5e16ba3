"""Who decided on a limit and why stands with the records; the numbers stand in the file."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from edge.config.kept import (
    FILE,
    Kept,
    KeptPatient,
    KeptPreset,
    KeptScale,
    KeptValue,
    Who,
    holds_words,
    named,
    read_kept,
    without_void,
    write_kept,
)
from edge.config.void import is_void, void_value
from edge.config.words import LOCKED, needs_words, new_ref, with_refs, with_words, words_of

BY, WHY = "Ottilie Wunderlich", "gefallen am Teich"


def kept_by(ref: str = "") -> Kept:
    who = Who(BY, "clinician", "2026-03-01T08:00:00Z", WHY, ref)
    other = Who(f"{BY} II", "clinician", "2026-03-02T08:00:00Z", WHY, ref and f"{ref}2")
    return {
        "p1": KeptPatient(
            {"low_spo2": {"limit_pct": KeptValue(85.0, who), "enabled": KeptValue(True, other)}},
            KeptPreset("copd", who),
            KeptScale(2, who),
            {},
            who,
        )
    }


def test_the_file_says_the_numbers_and_no_name(tmp_path: Path) -> None:
    kept = kept_by("ref1")
    write_kept(tmp_path, kept)
    text = (tmp_path / FILE).read_text()
    assert BY not in text
    assert WHY not in text
    assert "85.0" in text
    found = named(read_kept(tmp_path), ["p1"])
    assert needs_words(found)
    assert not holds_words(tmp_path)
    assert with_words(found, words_of(kept)) == kept
    locked = with_words(found, ())
    assert locked["p1"].scale is not None
    assert locked["p1"].scale.who.by == LOCKED.by
    assert locked["p1"].alarms["low_spo2"]["limit_pct"].value == 85.0
    assert words_of(locked) == ()  # what is not known does not take the place of what is


def test_a_control_without_references_has_the_names_in_the_file(tmp_path: Path) -> None:
    write_kept(tmp_path, kept_by())
    assert BY in (tmp_path / FILE).read_text()
    assert holds_words(tmp_path)


def test_a_file_of_before_is_read_and_written_without_names(tmp_path: Path) -> None:
    write_kept(tmp_path, kept_by())
    path = tmp_path / FILE
    old = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**old, "version": 1}))
    inode = os.open(path, os.O_RDONLY)
    kept = with_refs(with_words(named(read_kept(tmp_path), ["p1"]), ()))
    assert kept["p1"].scale is not None
    assert kept["p1"].scale.who.by == BY
    assert len(words_of(kept)) == 2  # one decision, one reference
    write_kept(tmp_path, kept)
    assert BY.encode() not in path.read_bytes()
    assert BY.encode() not in os.pread(inode, 100_000, 0)  # the old file's bytes are overwritten
    os.close(inode)
    assert with_words(named(read_kept(tmp_path), ["p1"]), words_of(kept)) == kept


@pytest.mark.parametrize("value", [BY, 1950, "2026-03-01", "", True])
def test_what_does_not_count_is_known_again_and_not_written_down(value: object) -> None:
    told = void_value("spo2_scale_by", value)
    assert BY not in str(told)
    assert is_void(told, value)
    assert not is_void(told, "somebody else")
    assert told != void_value("spo2_scale_by", value)  # salted
    assert void_value("preset", "copd") == "copd"


def test_a_table_is_without_what_does_not_count_until_it_says_something_else() -> None:
    table = {"id": "p1", "spo2_scale_by": BY, "preset": "copd"}
    void = {"spo2_scale_by": void_value("spo2_scale_by", BY), "preset": "copd"}
    assert without_void(table, void) == {}
    assert without_void({**table, "spo2_scale_by": "Jan"}, void) == {"spo2_scale_by": "Jan"}


def test_references_are_random() -> None:
    assert len({new_ref() for _ in range(1_000)}) == 1_000


def test_the_patient_stands_in_the_file_as_a_digest_that_is_known_again(tmp_path: Path) -> None:
    kept = kept_by("ref1")
    write_kept(tmp_path, kept)
    first = read_kept(tmp_path)
    assert "p1" not in first
    assert set(named(first, ["p2", "p1"])) == {"p1"}
    write_kept(tmp_path, first)  # of a patient who is not in the settings now
    assert read_kept(tmp_path) == first
