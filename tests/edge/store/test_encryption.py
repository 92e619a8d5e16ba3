"""Nothing of the records lies in clear, and a key that is not there destroys nothing."""

from __future__ import annotations

import os
import sqlite3 as plain_sqlite
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlite3

from edge.keys import KeyRing, KeysError, new_key, open_keys, open_sealed
from edge.keys.keyfile import plain, write_key_file
from edge.keys.ring import NAME
from edge.records import Alert, Outcome
from edge.store import History, Store, StoreDamagedError, StoreError, StoreKeyError, open_history
from edge.store import database as database_module
from edge.store.cipher import is_noise, is_under, key_path
from edge.store.database import connect
from edge.store.verification import verify
from tests.edge.store.opened import RUN, behind, open_store
from tests.edge.store.test_store import alert, summary

MARKER = "Marie Canary"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "homeward.db"


def marked(number: int) -> Alert:
    told = {name: getattr(alert(number), name) for name in Alert.__struct_fields__}
    return Alert(**{**told, "reason": MARKER, "patient": MARKER})


def forms(text: str) -> Iterator[bytes]:
    yield text.encode()
    yield text.encode("utf-16-le")
    yield text.encode().hex().encode()


def files_with(folder: Path, *texts: str) -> list[str]:
    """Return the files in which a text stands in clear."""
    found = []
    for file in sorted(folder.rglob("*")):
        raw = file.read_bytes() if file.is_file() else b""
        if any(form in raw for text in texts for form in forms(text)):
            found.append(file.name)
    return found


# --- in clear ------------------------------------------------------------------------------------


def test_no_file_of_the_store_holds_anything_in_clear(path: Path) -> None:
    words = (MARKER, "low_spo2", "alarm_events", "SQLite format 3")
    with open_store(path) as store:
        for number in range(200):
            store.add(Outcome((marked(number), summary())), now_s=20.0)
        names = {file.name for file in path.parent.iterdir()}
        assert names == {
            *(f"homeward.db{end}" for end in ("", "-wal", "-shm", ".head", ".key")),
            NAME,
        }
        assert path.with_name("homeward.db-wal").stat().st_size > 100_000
        assert files_with(path.parent, *words) == []
        assert store.alerts()[-1].alert.patient == MARKER
        store._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert files_with(path.parent, *words) == []
    assert path.stat().st_size > 100_000
    assert files_with(path.parent, *words) == []
    raw = bytearray(path.read_bytes())
    raw[5000:9000] = bytes(4000)
    path.write_bytes(raw)
    with open_store(path) as store:  # a damaged file that is put aside is as unreadable
        assert store.moved_aside is not None
    assert files_with(path.parent, *words) == []


def test_a_plain_file_would_be_found_out(path: Path) -> None:
    # The control: the same rows through SQLite as it is.
    with closing(plain_sqlite.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=wal")
        connection.execute("CREATE TABLE alerts (patient TEXT)")
        connection.execute("INSERT INTO alerts VALUES (?)", (MARKER,))
        connection.commit()
        assert "homeward.db-wal" in files_with(path.parent, MARKER)
    assert files_with(path.parent, MARKER) == ["homeward.db"]
    assert files_with(path.parent, "SQLite format 3") == ["homeward.db"]
    assert not is_noise(path)


def test_what_is_sorted_stays_in_memory(path: Path) -> None:
    def files_of_a_sort() -> list[str]:
        wide = "reason || hex(zeroblob(500)) || n"
        rows = store._database.execute(f"SELECT reason FROM alerts ORDER BY {wide}")  # noqa: S608
        assert rows.fetchone() == (MARKER,)
        found = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
        rows.close()
        return [place.name for place in found if "etilqs" in place.name]  # as SQLite names them

    with open_store(path) as store:
        store.add(Outcome(tuple(marked(number) for number in range(2_000))), now_s=20.0)
        store._database.execute("PRAGMA cache_size=10")
        assert files_of_a_sort() == []
        store._database.execute("PRAGMA temp_store=FILE")  # the control
        assert files_of_a_sort() != []


def test_a_connection_that_would_not_encrypt_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "apply_key", lambda _connection, _key: None)
    with pytest.raises(StoreError, match="would not be encrypted: cipher_status is '0'"):
        open_store(path)


def test_other_pages_or_no_check_sum_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = database_module.apply_key

    def weak(connection, key):
        real(connection, key)
        connection.execute("PRAGMA cipher_use_hmac=OFF")

    monkeypatch.setattr(database_module, "apply_key", weak)
    with pytest.raises(StoreError, match="cipher_use_hmac is '0'"):
        open_store(path)


def test_damage_is_not_printed_past_our_log(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_store(path).close()
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    with pytest.raises(StoreDamagedError):
        connect(path)
    assert "hmac" not in capfd.readouterr().err


# --- the key -------------------------------------------------------------------------------------


def test_the_key_is_its_own_and_random_and_wrapped(path: Path) -> None:
    open_store(path).close()
    ring = open_keys(path.parent)
    key = open_sealed(key_path(path), ring)
    assert key is not None
    assert path.read_bytes()[:16] == key.salt
    for file in path.parent.iterdir():
        assert key.secret not in file.read_bytes()
        assert key.secret.hex() not in file.read_bytes().decode("latin-1")
    assert key.secret != ring.newest.secret


def kept(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("what", ["away", "device", "both copies", "sealed away", "sealed other"])
def test_a_wrong_or_missing_key_is_trouble_and_no_damage(path: Path, what: str) -> None:
    with open_store(path) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    right = kept(path.parent)
    place = key_path(path)
    if what == "away":
        (path.parent / NAME).unlink()
    elif what == "device":
        write_key_file(path.parent / NAME, plain(new_key()))
    elif what == "both copies":
        place.write_bytes(bytes(8192))
    elif what == "sealed away":
        place.unlink()
    else:  # a whole key, under the right device key, of another database
        other = path.parent / "other"
        other.mkdir()
        (other / NAME).write_bytes(right[NAME])
        (other / NAME).chmod(0o600)
        open_store(other / "homeward.db").close()
        place.write_bytes((other / place.name).read_bytes())
        for file in other.iterdir():
            file.unlink()
        other.rmdir()
    before = kept(path.parent)
    for attempt in (lambda: open_store(path), lambda: History.open(path), lambda: verify(path)):
        for _ in range(2):
            with pytest.raises(StoreKeyError, match="backup"):
                attempt()
    assert kept(path.parent) == before
    for name, raw in right.items():
        (path.parent / name).write_bytes(raw)
        (path.parent / name).chmod(0o600)
    with open_store(path) as store:
        assert store.moved_aside is None
        assert len(store.alerts()) == 1


def test_keys_that_come_later_are_waited_for(path: Path) -> None:
    ring: list[KeyRing] = []

    def keys() -> KeyRing:
        if not ring:
            raise KeysError("half of the device's key is on a USB stick: plug it in")
        return ring[0]

    for _ in range(3):
        with pytest.raises(StoreKeyError, match="plug it in"):
            Store.begin(path, RUN, keys=keys)
        assert not path.exists()
    ring.append(KeyRing((new_key(),)))
    with Store.begin(path, RUN, keys=keys) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    with open_history(path.parent, keys) as history:
        assert len(history.alerts()) == 1


def test_who_may_not_read_the_key_is_told_what_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(path).close()
    real = Path.open

    def refused(self, *args, **named):
        if self.name == NAME:
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **named)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(StoreKeyError, match=r"Permission denied.*as the user of the monitor"):
        History.open(path)


@pytest.mark.parametrize(
    ("damage", "is_damaged"),
    [
        (lambda raw: raw.__setitem__(slice(0, 16), b"\x55" * 16), False),  # the salt: not needed
        (lambda raw: raw.__setitem__(100, raw[100] ^ 1), True),
        (lambda raw: raw.__setitem__(slice(0, 1024), os.urandom(1024)), True),
        (lambda raw: raw.__setitem__(slice(0, len(raw)), bytes(len(raw))), True),
        (lambda raw: raw.__delitem__(slice(700, None)), True),
    ],
    ids=["salt", "bit", "page", "all", "cut"],
)
def test_damage_under_the_right_key_is_damage(path: Path, damage, is_damaged: bool) -> None:
    with open_store(path) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    raw = bytearray(path.read_bytes())
    damage(raw)
    path.write_bytes(raw)
    with open_store(path) as store:
        assert (store.moved_aside is not None) is is_damaged
        store.add(Outcome((alert(2),)), now_s=20.0)
        aside = store.moved_aside
    if aside is not None:
        assert aside.read_bytes() == bytes(raw)
        assert key_path(aside) == key_path(path)


def test_what_was_put_aside_opens_under_the_same_key(path: Path) -> None:
    with open_store(path) as store:
        store.add(Outcome((alert(),)), now_s=20.0)
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    with open_store(path) as store:
        aside = store.moved_aside
    assert aside is not None
    aside.write_bytes(whole)
    with closing(connect(aside, read_only=True)) as database:
        assert database.execute("SELECT count(*) FROM alerts").fetchone() == (1,)


def test_pages_are_known_by_their_key(path: Path) -> None:
    open_store(path).close()
    ring = open_keys(path.parent)
    key = open_sealed(key_path(path), ring)
    assert key is not None
    raw = bytearray(path.read_bytes())
    raw[:16] = bytes(16)
    path.write_bytes(raw)
    assert is_under(path, key)
    assert is_noise(path)
    path.write_bytes(os.urandom(20 * 1024))
    assert not is_under(path, key)
    assert is_noise(path)


def test_a_row_that_was_swapped_by_pages_is_found(path: Path) -> None:
    # A page in another's place does not open: its number is vouched for.
    with open_store(path) as store:
        for number in range(100):
            store.add(Outcome((alert(number),)), now_s=20.0)
    raw = bytearray(path.read_bytes())
    raw[4096:5120], raw[5120:6144] = raw[5120:6144], raw[4096:5120]
    path.write_bytes(raw)
    with open_store(path) as store:
        assert store.moved_aside is not None


def test_the_error_classes_are_the_encrypted_ones(path: Path) -> None:
    # sqlcipher3's errors are not those of Python's sqlite3: what catches these must know.
    assert not issubclass(sqlite3.Error, plain_sqlite.Error)
    open_store(path).close()
    with (
        closing(behind(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="only ever appended"),
    ):
        connection.execute("UPDATE runs SET n = n")
