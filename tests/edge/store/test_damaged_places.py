"""Damage that is no damaged page: a folder in a file's place, a head that is none, bent names."""

from __future__ import annotations

import errno
from pathlib import Path
from unittest import mock

import pytest

from edge.records import Outcome
from edge.store import History, Store, StoreDamagedError
from edge.store.database import move_aside
from edge.store.head import head_path
from edge.store.keeping import HeadState
from edge.store.verification import verify
from tests.edge.store.test_store import RUN, alert, summary


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db"


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_folder_in_a_files_place_is_put_aside_and_recording_goes_on(path, suffix) -> None:
    if suffix:
        Store.begin(path, RUN).close()
    path.with_name(path.name + suffix).mkdir()
    with pytest.raises(StoreDamagedError, match="is a folder"):
        History.open(path)
    with Store.begin(path, RUN) as store:
        assert store.moved_aside is not None
        assert path.with_name(f"homeward.db.damaged-1{suffix}").is_dir()
        store.add(Outcome((alert(),)), now_s=20.0)
        assert len(store.alerts()) == 1


def test_what_was_put_aside_before_is_not_in_the_way(path) -> None:
    path.with_name("homeward.db.damaged-1-wal").mkdir()
    path.write_bytes(b"this is not a database" * 100)
    path.with_name("homeward.db-wal").write_bytes(b"and no log")
    assert move_aside(path).name == "homeward.db.damaged-2"
    assert path.with_name("homeward.db.damaged-2-wal").read_bytes() == b"and no log"


def test_a_step_of_the_schema_whose_name_is_bent_is_damage_and_no_newer_version(path) -> None:
    with Store.begin(path, RUN) as store:
        store._database.execute(
            "UPDATE _sqlite_migrations SET name = '006_limi4s' WHERE name = '006_limits'"
        )
    with Store.begin(path, RUN) as store:
        assert store.moved_aside is not None


def test_a_first_start_beside_a_head_that_is_none_is_told(path) -> None:
    head_path(path).write_bytes(b"junk")
    Store.begin(path, RUN).close()
    verdict = verify(path)
    assert not verdict.whole
    assert [flaw.what for flaw in verdict.flaws] == ["break"]
    assert verdict.head_file is HeadState.SAME  # from now on


def test_a_folder_in_the_place_of_the_head_is_no_head(path) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    head_path(path).unlink()
    head_path(path).mkdir()
    assert verify(path).head_file is HeadState.MISSING
    with Store.begin(path, RUN) as store:
        assert "directory" in store.head_trouble
        store.add(Outcome((alert(2),)), now_s=20.0)


def test_an_entry_of_the_outbox_whose_record_makes_no_sense_holds_up_no_other(path) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((summary(), alert())), now_s=20.0)
        store._database.execute("UPDATE summaries SET body = '{'")
        (waiting,) = store.outbox()
        assert waiting.content.alert.id == "alert-1"
        assert store.n_unreadable == 1


def test_a_start_cut_off_after_it_left_room_says_at_the_next_that_the_file_was_begun_anew(
    path,
) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    raw = bytearray(path.read_bytes())
    raw[:512] = bytes(512)
    path.write_bytes(raw)
    with (
        mock.patch.object(Store, "_enter_run", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        Store.begin(path, RUN)
    with Store.begin(path, RUN) as store:
        assert store.moved_aside is not None
        assert store.salvage is not None
    assert [flaw.what for flaw in verify(path).flaws] == ["break"]


@pytest.mark.parametrize(
    ("error_no", "is_whole"), [(errno.EIO, True), (errno.EACCES, False)], ids=["disk", "forbidden"]
)
def test_a_head_the_disk_does_not_give_accuses_nobody_and_one_that_is_forbidden_does(
    path, error_no, is_whole, monkeypatch
) -> None:
    with Store.begin(path, RUN) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    monkeypatch.setattr("edge.store.keeping.READ_AGAIN_S", (0.0, 0.0))
    with mock.patch("edge.store.keeping.read_head", side_effect=OSError(error_no, "no")):
        Store.begin(path, RUN).close()
    verdict = verify(path)
    assert verdict.whole is is_whole
    assert any("is not known" in note for note in verdict.notes) is is_whole
