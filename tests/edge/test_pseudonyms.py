"""What patients are called outside: random, kept, and another one for another patient."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config import Config, Patient
from edge.config.names import looks_like_name, names_among
from edge.config.settings import Box
from edge.daemon.resume import pseudonyms_in
from edge.doctor import Health
from edge.doctor import check_names as checked
from edge.pseudonyms import Pseudonym, Pseudonyms, new_id
from edge.store import Store, Wanted
from edge.store.verification import verify
from tests.edge.store.test_store import RUN


def test_ids_are_random_and_say_nothing_of_the_patient() -> None:
    made = {new_id() for _ in range(2_000)}
    assert len(made) == 2_000
    assert all(len(one) == 19 and one.startswith("hw-") and one.islower() for one in made)


def test_a_patient_keeps_one_id_and_the_box_has_none() -> None:
    kept: list[Pseudonym] = []
    names = Pseudonyms(keep=kept.append)
    assert names.known == {}
    first = names.of("p1")
    assert names.of("p1") == first != names.of("p2")
    assert names.of("") == ""
    assert [one.patient for one in kept] == ["p1", "p2"]
    assert kept[0].id == first


def test_who_lies_there_next_is_called_something_else_once_per_act() -> None:
    names = Pseudonyms([Pseudonym("p1", "hw-old")])
    names.succeed("p1", 100.0)
    second = names.of("p1")
    names.succeed("p1", 100.0)
    assert names.of("p1") == second != "hw-old"
    names.succeed("p1", 200.0)
    assert names.of("p1") != second
    names.succeed("p9", 200.0)
    assert "p9" not in names.known


def test_ids_outlive_a_restart_and_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "homeward.db"
    assert pseudonyms_in(path) == ()
    with Store.begin(path, RUN) as store:
        names = Pseudonyms(keep=lambda one: store.backlog.name(one, 20.0))
        names.of("p1")
        names.renew("p1")
        names.of("p2")
        store.flush(21.0)
    again = Pseudonyms()
    again.know(pseudonyms_in(path))
    assert again.known == names.known


@pytest.mark.parametrize(("wanted", "left"), [(Wanted(patient="p1"), ["p2"]), (Wanted(), [])])
def test_who_is_forgotten_is_called_something_else_afterwards(
    tmp_path: Path, wanted: Wanted, left: list[str]
) -> None:
    path = tmp_path / "homeward.db"
    with Store.begin(path, RUN) as store:
        for patient in ("p1", "p2"):
            store.backlog.name(Pseudonym(patient, f"hw-{patient}"), 20.0)
        store.flush(21.0)
        told = store.forget(wanted, "Ann", 22.0)
        assert [one.patient for one in store.pseudonyms()] == left
        assert told.n == {"of_people": 2 - len(left)}
    assert b"hw-p1" not in path.read_bytes()
    assert verify(path).whole


@pytest.mark.parametrize("patient", ["Anna", "Anna-Maria", "MUSTER", "a.Muster", "MUSTER-1"])
def test_an_id_that_looks_like_a_name_is_warned_of(patient: str, tmp_path: Path) -> None:
    assert looks_like_name(patient)
    config = Config(box=box_of(tmp_path), patients=(Patient(id=patient),))
    (finding,) = checked(config)
    assert finding.health is Health.WARN
    assert "looks like a name" in finding.found


@pytest.mark.parametrize(
    "patient", ["patient-1", "Patient_2", "P7", "bed3", "ICU-4", "Room.2", "x"]
)
def test_an_id_that_says_nothing_is_not(patient: str, tmp_path: Path) -> None:
    assert not list(names_among(Config(box=box_of(tmp_path), patients=(Patient(id=patient),))))


def box_of(folder: Path) -> Box:
    return Box(data_dir=folder, socket=folder / "control.sock")
