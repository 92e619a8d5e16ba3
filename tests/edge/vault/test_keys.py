"""Where the device key comes from, how it is protected and changed, and that it is never lost."""

import os
import shutil
import stat

import pytest

from edge.keys import keyfile as keyfile_module
from edge.keys import new_key
from edge.keys.keyfile import COPY_AT, STICK_FILE, plain, shared, under_passphrase, write_key_file
from edge.keys.ring import NAME, NEW, find_keys
from edge.vault import (
    KeysError,
    Protection,
    VaultError,
    VaultReport,
    open_keys,
    open_writer,
    rotate,
    verify,
)
from edge.vault.folder import device_ids
from tests.edge.vault.kit import SMALL, Clock, read, start, wave, write

SECRET = "correct horse battery"  # noqa: S105


def test_the_first_use_makes_a_key_that_only_its_user_can_read(tmp_path):
    ring = open_keys(tmp_path / "data")
    path = tmp_path / "data" / NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ring.protection is Protection.FILE
    assert "takes the card" in ring.sentence
    assert open_keys(tmp_path / "data").newest.secret == ring.newest.secret


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    open_keys(tmp_path)
    (tmp_path / NAME).chmod(mode)
    with pytest.raises(KeysError, match="open to other users"):
        open_keys(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(tmp_path):
    open_keys(tmp_path)
    os.chown(tmp_path / NAME, 12345, 12345)
    with pytest.raises(KeysError, match="not a file of this user"):
        open_keys(tmp_path)


@pytest.mark.parametrize("form", ["json", "hex", "raw"])
def test_a_credential_of_systemd_stands_before_the_file(tmp_path, monkeypatch, form):
    key = new_key()
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    if form == "json":
        write_key_file(credentials / NAME, plain(key))
    else:
        raw = key.secret.hex().encode() + b"\n" if form == "hex" else key.secret
        (credentials / NAME).write_bytes(raw)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    open_keys(tmp_path, credentials=tmp_path / "nothing")
    ring = open_keys(tmp_path)
    assert ring.newest.secret == key.secret
    assert ring.protection is Protection.CREDENTIAL
    assert len(ring.keys) == 2  # what the file wrapped before still opens


def test_no_key_is_made_where_something_is_encrypted_already(tmp_path):
    write(tmp_path, [start()])
    (tmp_path / NAME).rename(tmp_path / "elsewhere")
    with pytest.raises(KeysError, match="is gone"):
        open_keys(tmp_path, device_ids(tmp_path / "vault"))
    assert not (tmp_path / NAME).exists()


def test_a_monitor_that_has_lost_its_key_is_told_and_one_that_has_it_goes_on(tmp_path):
    for run in ("one", "two"):
        writer = open_writer(tmp_path, Clock())
        writer.append(start(run))
        writer.close()
    assert len(read(tmp_path)) == 2
    (tmp_path / NAME).unlink()
    with pytest.raises(KeysError, match="begins anew"):
        open_writer(tmp_path, Clock())


def test_a_wrong_key_reads_nothing_and_destroys_nothing(tmp_path):
    write(tmp_path, [start(), *wave(200)], bounds=SMALL)
    right = (tmp_path / NAME).read_bytes()
    before = {p.name: p.read_bytes() for p in (tmp_path / "vault").iterdir()}
    write_key_file(tmp_path / NAME, plain(new_key()))
    report = VaultReport()
    assert read(tmp_path, report) == []
    assert report.n_unreadable > 0
    assert "bring that key back" in report.messages[0]
    with pytest.raises(KeysError, match="nothing was touched"):
        rotate(tmp_path, tmp_path / "vault", open_keys(tmp_path), plain)
    more = [start("two", 2000.0)]
    write(tmp_path, more)  # the monitor goes on, under the key it has
    after = {p.name: p.read_bytes() for p in (tmp_path / "vault").iterdir()}
    assert {name: raw for name, raw in after.items() if name in before} == before
    (tmp_path / NAME).write_bytes(right)
    assert len(read(tmp_path)) == 201


def test_a_passphrase_opens_and_a_wrong_one_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(keyfile_module, "SCRYPT_N", 1 << 10)
    key = new_key()
    write_key_file(tmp_path / NAME, under_passphrase(key, SECRET))
    assert key.secret.hex() not in (tmp_path / NAME).read_text()
    assert find_keys(tmp_path)[0].protection is Protection.PASSPHRASE
    assert open_keys(tmp_path, passphrase=lambda: SECRET).newest.secret == key.secret
    with pytest.raises(KeysError, match="not the passphrase"):
        open_keys(tmp_path, passphrase=lambda: SECRET + "x")
    with pytest.raises(KeysError, match="nobody to ask"):
        open_keys(tmp_path)
    with pytest.raises(KeysError, match="too short"):
        under_passphrase(key, "short")


def test_both_halves_make_the_key_and_neither_alone(tmp_path):
    key, stick = new_key(), tmp_path / "stick"
    stick.mkdir()
    mine, theirs = shared(key, stick)
    write_key_file(tmp_path / NAME, mine)
    with pytest.raises(KeysError, match="plug it in"):
        open_keys(tmp_path)
    write_key_file(stick / STICK_FILE, theirs)
    ring = open_keys(tmp_path)
    assert ring.newest.secret == key.secret
    assert ring.protection is Protection.SHARE
    assert key.secret.hex() not in (tmp_path / NAME).read_text() + (stick / STICK_FILE).read_text()
    other = shared(new_key(), stick)[1]
    write_key_file(stick / STICK_FILE, other)
    with pytest.raises(KeysError, match="another key"):
        open_keys(tmp_path)


@pytest.mark.parametrize("raw", [b"", b"{}", b"garbage", b'{"homeward_key": 2}', b"\xff" * 40])
def test_a_damaged_key_file_is_told_and_left_alone(tmp_path, raw):
    (tmp_path / NAME).write_bytes(raw)
    (tmp_path / NAME).chmod(0o600)
    with pytest.raises(KeysError):
        open_keys(tmp_path)
    assert (tmp_path / NAME).read_bytes() == raw


@pytest.mark.parametrize("page", [0, COPY_AT])
def test_damage_to_one_copy_of_the_key_loses_nothing(tmp_path, page):
    key = open_keys(tmp_path).newest
    whole = (tmp_path / NAME).read_bytes()
    for at in range(page, page + whole.index(b"\n")):
        raw = bytearray(whole)
        raw[at] ^= 1  # also one that is still JSON, with another key in it
        (tmp_path / NAME).write_bytes(raw)
        assert open_keys(tmp_path).newest.secret == key.secret, at
    raw[page : page + COPY_AT] = bytes(COPY_AT)
    (tmp_path / NAME).write_bytes(raw[: len(whole)])
    assert open_keys(tmp_path).newest.secret == key.secret


def test_a_key_file_of_before_is_read(tmp_path):
    key = new_key()
    text = f'{{"homeward_key":1,"id":"{key.id.hex()}","kind":"plain","key":"{key.secret.hex()}"}}'
    (tmp_path / NAME).write_text(text + "\n")
    (tmp_path / NAME).chmod(0o600)
    assert open_keys(tmp_path).newest.secret == key.secret


def test_after_a_rotation_the_old_key_opens_nothing_and_the_new_one_everything(tmp_path):
    packets = [start(), *wave(300)]
    write(tmp_path, packets, bounds=SMALL)
    old = (tmp_path / NAME).read_bytes()
    n = len(list((tmp_path / "vault").glob("*.hwv")))
    blocks = [p.read_bytes() for p in sorted((tmp_path / "vault").glob("*.hwv"))]
    told = rotate(tmp_path, tmp_path / "vault", open_keys(tmp_path), plain)
    assert told.n_wrapped == n
    assert told.left == []
    assert [p.read_bytes() for p in sorted((tmp_path / "vault").glob("*.hwv"))] == blocks
    assert read(tmp_path) == packets
    assert not (tmp_path / NEW).exists()
    (tmp_path / NAME).write_bytes(old)
    assert read(tmp_path, report := VaultReport()) == []
    assert report.n_unreadable == n


def test_a_rotation_that_is_killed_at_any_step_leaves_a_vault_that_opens(tmp_path):
    # A child is killed before its k-th system call that changes a file, for every k.
    packets = [start(), *wave(120)]
    write(tmp_path / "first", packets, bounds=SMALL)
    old_id = open_keys(tmp_path / "first").newest.id
    for k in range(400):
        box = tmp_path / str(k)
        shutil.copytree(tmp_path / "first", box)
        pid = os.fork()
        if not pid:
            _rotate_and_die_at(box, k)
        done = os.waitpid(pid, 0)[1] == 0
        assert read(box) == packets, k
        rotate(box, box / "vault", open_keys(box), plain)  # goes on, or does it once more
        ring = open_keys(box)
        assert len(ring.keys) == 1
        assert ring.newest.id != old_id
        assert device_ids(box / "vault") == {ring.newest.id}
        assert read(box) == packets
        assert verify(box / "vault", ring).whole
        shutil.rmtree(box)
        if done:
            break
    else:
        pytest.fail("it never ended")
    assert k > 15


def _rotate_and_die_at(data_dir, k):
    left = [k]

    def dying(real):
        def call(*args, **named):
            if left[0] == 0:
                os._exit(9)
            left[0] -= 1
            return real(*args, **named)

        return call

    for name in ("write", "pwrite", "fsync", "rename", "replace", "unlink", "ftruncate"):
        setattr(os, name, dying(getattr(os, name)))
    rotate(data_dir, data_dir / "vault", open_keys(data_dir), plain)
    os._exit(0)


def test_a_key_is_not_changed_while_a_monitor_writes(tmp_path):
    writer = write(tmp_path, [start()], close=False)
    with pytest.raises(VaultError, match="another process"):
        rotate(tmp_path, tmp_path / "vault", open_keys(tmp_path), plain)
    writer.close()
    rotate(tmp_path, tmp_path / "vault", open_keys(tmp_path), plain)
    assert len(read(tmp_path)) == 1


def test_with_a_credential_the_new_key_waits_for_a_person_and_both_open(tmp_path, monkeypatch):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_key_file(credentials / NAME, plain(new_key()))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    packets = [start(), *wave(50)]
    write(tmp_path, packets)
    told = rotate(tmp_path, tmp_path / "vault", open_keys(tmp_path), plain)
    assert "systemd-creds" in told.left[0]
    assert read(tmp_path) == packets
    (tmp_path / NEW).rename(credentials / NAME)
    assert read(tmp_path) == packets
    assert len(open_keys(tmp_path).keys) == 1
