"""The vault while a monitor runs: it waits, says so, goes on, and never holds up anybody."""

from __future__ import annotations

import os
import time

import msgspec
import pytest

from edge.daemon import vaulting as module
from edge.daemon import waiting as waiting_module
from edge.daemon.keyring import Keyring
from edge.daemon.vaulting import Vaulting
from edge.daemon.waiting import Gap, Mark, Waiting
from edge.events import (
    ASSIGN,
    BEGUN_LIMITS,
    LIMIT,
    PERSON,
    Assignment,
    BegunLimits,
    Limits,
    RuleLimits,
    tell,
)
from edge.keys import new_key
from edge.keys.keyfile import plain, under_passphrase, write_key_file
from edge.keys.ring import NAME
from edge.packetlog import RECAP
from edge.records import AlertState, LimitAct, Outcome, Packet, Priority, Role
from edge.vault import HOLE, Bounds, open_keys, packets, verify
from edge.whatif.nights import from_vault
from tests.edge.store.test_store import alert
from tests.edge.vault.kit import Clock, read, start, wave

LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "TURN_S", 0.02)
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    monkeypatch.setattr(module, "KEY_RETRY_S", 0.02)
    monkeypatch.setattr(module, "MAX_RETRY_S", 0.05)
    monkeypatch.setattr(module, "KEY_LOOK_S", 0.0)


class Running(Clock):
    """Both clocks: the boot clock runs on from 1000 s."""

    def __call__(self):
        self.boot_s = 1000.0 + time.monotonic() - _BEGAN
        return super().__call__()


_BEGAN = time.monotonic()


def begun(tmp_path, clock=None, bounds=None):
    tmp_path.mkdir(exist_ok=True)
    vault = Vaulting(tmp_path, Keyring(tmp_path), clock or Running(), bounds or Bounds())
    vault.start()
    return vault


def until(condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def raised(at_s, priority=Priority.HIGH, **more):
    return msgspec.structs.replace(alert(int(at_s)), at_s=at_s, priority=priority, **more)


def test_what_entered_is_in_the_vault_at_the_end_and_it_is_closed_in_order(tmp_path):
    given = [start(), *wave(300)]
    vault = begun(tmp_path)
    for packet in given:
        vault.add([packet], Outcome())
    assert vault.close(LIMIT_S)
    assert read(tmp_path) == given
    assert verify(tmp_path / "vault", open_keys(tmp_path)).whole
    assert vault.report().n_waiting == vault.report().n_dropped == 0


def test_a_high_alarm_puts_all_on_the_medium_at_once_and_pins_its_minutes(tmp_path):
    vault = begun(tmp_path)
    vault.add([start(), *wave(5)], Outcome((raised(1001.0),)))
    until(lambda: vault.report().synced_s is not None)
    assert len(read(tmp_path)) == 6
    assert vault.close(LIMIT_S)


def test_another_alarm_is_pinned_and_outlives_the_process(tmp_path):
    vault = begun(tmp_path)
    vault.add([start(), *wave(5)], Outcome((raised(1001.0, Priority.MEDIUM),)))
    until(lambda: vault.report().protection is not None)
    until(lambda: len(read(tmp_path)) == 6)  # nobody has closed it
    assert vault.close(LIMIT_S)


def test_each_alert_asks_once_for_each_priority_it_has(tmp_path):
    vault = Vaulting(tmp_path, Keyring(tmp_path), Running(), Bounds())
    told = raised(1.0, Priority.MEDIUM)
    assert vault._mark_of(told) == Mark(1.0, f"medium {told.rule} {told.id}", urgent=False)
    assert vault._mark_of(told) is None
    again = raised(1.0, Priority.HIGH, state=AlertState.ACTIVE)
    assert vault._mark_of(again).urgent
    assert vault._mark_of(raised(2.0, state=AlertState.ENDED)) is None


# --- keys ----------------------------------------------------------------------------------------


def test_without_the_key_packets_wait_and_are_written_when_the_passphrase_is_typed(tmp_path):
    write_key_file(tmp_path / NAME, under_passphrase(new_key(), "correct horse"))
    vault = begun(tmp_path)
    given = [start(), *wave(50)]
    vault.add(given, Outcome())
    until(lambda: vault.report().n_failures > 1)
    report = vault.report()
    assert report.kind == "key"
    assert "homeward unlock" in report.trouble
    assert report.n_waiting == 51
    with pytest.raises(module.KeysError, match="not the passphrase"):
        vault.keyring.unlock("battery staple")
    vault.keyring.unlock("correct horse")
    vault.nudge()
    until(lambda: not vault.report().trouble)
    assert vault.close(LIMIT_S)
    ring = open_keys(tmp_path, passphrase=lambda: "correct horse", make=False)
    assert list(packets(tmp_path / "vault", ring)) == given


def test_a_key_that_is_gone_is_told_and_the_vault_goes_on_when_it_is_brought_back(tmp_path):
    first = begun(tmp_path)
    first.add([start("one"), *wave(5)], Outcome())
    assert first.close(LIMIT_S)
    (tmp_path / NAME).rename(tmp_path / "taken")
    vault = begun(tmp_path)
    vault.add([start("two"), *wave(5)], Outcome())
    until(lambda: vault.report().kind == "key")
    assert not (tmp_path / NAME).exists()  # no other is made
    (tmp_path / "taken").rename(tmp_path / NAME)
    until(lambda: not vault.report().trouble)
    assert vault.close(LIMIT_S)
    assert len(read(tmp_path)) == 12


def test_a_key_that_goes_while_it_is_used_is_told_before_the_next_start_needs_it(tmp_path):
    vault = begun(tmp_path)
    vault.add([start()], Outcome())
    until(lambda: vault.report().protection == "file")
    (tmp_path / NAME).rename(tmp_path / "taken")
    until(lambda: vault.report().kind == "key")
    assert "before you restart" in vault.report().trouble
    (tmp_path / "taken").rename(tmp_path / NAME)
    until(lambda: not vault.report().trouble)
    assert vault.close(LIMIT_S)


def test_the_passphrase_in_a_file_is_tried_once(tmp_path, monkeypatch):
    write_key_file(tmp_path / NAME, under_passphrase(new_key(), "correct horse"))
    typed = tmp_path / "typed"
    typed.write_text("wrong one\n")
    monkeypatch.setenv("HOMEWARD_PASSPHRASE_FILE", str(typed))
    keyring = Keyring(tmp_path)
    for words in ("not the passphrase", "homeward unlock", "homeward unlock"):
        with pytest.raises(module.KeysError, match=words):
            keyring.ring()
    typed.write_text("correct horse\n")
    assert keyring.ring().protection == "passphrase"


def test_a_plain_key_needs_no_unlocking(tmp_path):
    write_key_file(tmp_path / NAME, plain(new_key()))
    with pytest.raises(module.KeysError, match="nothing to unlock"):
        Keyring(tmp_path).unlock("whatever")


# --- what cannot be written ----------------------------------------------------------------------


def test_a_disk_that_refuses_loses_nothing_and_is_tried_again(tmp_path, monkeypatch):
    vault = begun(tmp_path)
    given = [start(), *wave(400)]
    vault.add(given[:100], Outcome((raised(1001.0),)))
    until(lambda: vault.report().synced_s is not None)
    real, refuses = os.pwrite, [True]

    def pwrite(*args):
        if refuses[0]:
            raise OSError(28, "No space left on device")
        return real(*args)

    monkeypatch.setattr(os, "pwrite", pwrite)
    vault.add(given[100:], Outcome((raised(1002.0),)))
    until(lambda: vault.report().kind == "write")
    assert "No space left" in vault.report().trouble
    refuses[0] = False
    until(lambda: not vault.report().trouble)
    assert vault.close(LIMIT_S)
    assert read(tmp_path) == given
    assert vault.report().n_dropped == 0


def test_a_disk_that_hangs_holds_up_nobody_and_the_end_does_not_wait_for_ever(
    tmp_path, monkeypatch
):
    vault = begun(tmp_path)
    hangs = [True]

    def fdatasync(_):
        while hangs[0]:
            time.sleep(0.01)

    vault.add([start()], Outcome())
    until(lambda: vault.report().protection)
    monkeypatch.setattr(os, "fdatasync", fdatasync)
    vault.add(wave(5), Outcome((raised(1001.0),)))
    until(lambda: vault.report().busy_s is not None)
    began_s = time.monotonic()
    for _ in range(100):
        vault.add(wave(1), Outcome((raised(1002.0),)))
    assert time.monotonic() - began_s < 5.0
    assert not vault.close(0.2)
    hangs[0] = False
    assert vault.close(LIMIT_S)


def test_what_was_given_up_is_a_hole_after_which_all_that_stood_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting_module, "MAX_WAITING", 100)
    rules = {name: RuleLimits(enabled=True, values={"limit_pct": 88.0}) for name in ("a", "b")}
    off = {"a": RuleLimits(enabled=False, values={"limit_pct": 88.0})}
    said = Limits(LimitAct.SET, "p2", "Ann", Role.CLINICIAN, "x", off)
    vault = Vaulting(tmp_path, Keyring(tmp_path), Running(), Bounds())
    vault.add(
        [
            start(),
            tell(ASSIGN, Assignment("strap", "p2"), 1000.0),
            tell(BEGUN_LIMITS, BegunLimits("p2", rules), 1000.0),
            Packet(PERSON, LIMIT, 1000.0, msgspec.json.encode(said)),
            *wave(500),
        ],
        Outcome(),
    )
    assert vault.report().n_dropped == 404
    vault.start()
    assert vault.close(LIMIT_S)
    found = list(packets(tmp_path / "vault", open_keys(tmp_path)))
    assert found[0].stream == HOLE
    assert found[1:] == wave(500)[-100:]
    (night,) = from_vault(tmp_path / "vault", open_keys(tmp_path), None)
    lived = list(night.packets)
    assert night.run_id == "run"
    assert ASSIGN in [p.stream for p in lived]
    (begun_with,) = [p for p in lived if p.stream == BEGUN_LIMITS]
    decoded = msgspec.json.decode(begun_with.payload, type=BegunLimits)
    assert decoded.rules == {**rules, **off}
    assert verify(tmp_path / "vault", open_keys(tmp_path)).whole


def test_a_hole_in_the_midst_of_a_run_begins_another_night(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting_module, "MAX_WAITING", 100)
    vault = begun(tmp_path)
    first, rest = [start(), *wave(50)], wave(500, at_s=1010.0)
    vault.add(first, Outcome())
    until(lambda: vault._writer is not None and vault._writer.n_taken == 51)
    monkeypatch.setattr(vault, "_opened", _refuses)
    vault.add(rest, Outcome())
    until(lambda: vault.report().kind == "write")
    monkeypatch.undo()
    assert vault.close(LIMIT_S)
    one, two = from_vault(tmp_path / "vault", open_keys(tmp_path), None)
    lived = [[p for p in night.packets if p.stream == "wave"] for night in (one, two)]
    assert lived == [first[1:], rest[-100:]]
    assert (one.run_id, two.run_id) == ("run", "run")


def _refuses():
    raise OSError(5, "Input/output error")


def test_a_vault_that_somebody_took_away_is_begun_anew(tmp_path):
    vault = begun(tmp_path)
    vault.add([start(), *wave(5)], Outcome((raised(1001.0),)))
    until(lambda: vault.report().synced_s is not None)
    (tmp_path / "vault").rename(tmp_path / "aside")
    vault.add(wave(5, at_s=1020.0), Outcome((raised(1021.0),)))
    vault.add(wave(200, at_s=5000.0), Outcome())  # another segment is due
    until(lambda: (tmp_path / "vault").is_dir() and vault.report().trouble == "")
    assert vault.close(LIMIT_S)
    assert wave(200, at_s=5000.0)[-1] in read(tmp_path)


def test_a_fault_of_ours_costs_no_more_than_a_moment(tmp_path, monkeypatch):
    vault = begun(tmp_path)
    vault.add([start()], Outcome())
    until(lambda: vault.report().protection)
    monkeypatch.setattr(vault, "_look", lambda *_: 1 / 0)
    until(lambda: "ZeroDivisionError" in vault.report().trouble)
    monkeypatch.undo()
    vault.add(wave(10), Outcome())
    until(lambda: not vault.report().trouble)
    assert vault.close(LIMIT_S)
    assert read(tmp_path) == [start(), *wave(10)]


# --- standing aside ------------------------------------------------------------------------------


def test_standing_aside_others_may_write_and_then_it_goes_on_without_a_hole(tmp_path):
    vault = begun(tmp_path)
    vault.add([start(), *wave(20)], Outcome())
    assert vault.stand_aside(60.0, LIMIT_S)
    assert vault.report().aside
    module.VaultWriter(tmp_path / "vault", open_keys(tmp_path), Running()).close()
    vault.add(wave(20, at_s=1010.0), Outcome())
    assert len(read(tmp_path)) == 21
    vault.come_back()
    assert vault.close(LIMIT_S)
    found = list(packets(tmp_path / "vault", open_keys(tmp_path)))
    assert [p.stream for p in found].count(RECAP) == 1  # so that the later part can be read alone
    (night,) = from_vault(tmp_path / "vault", open_keys(tmp_path), None)
    assert list(night.packets) == [start(), *wave(20), *wave(20, at_s=1010.0)]


def test_whoever_does_not_give_it_back_loses_it(tmp_path):
    vault = begun(tmp_path)
    vault.add([start()], Outcome())
    assert vault.stand_aside(0.1, LIMIT_S)
    until(lambda: not vault.report().aside)
    until(lambda: vault.report().protection)
    assert vault.close(LIMIT_S)


# --- the line ------------------------------------------------------------------------------------


def test_the_line_gives_up_the_oldest_and_says_where_they_are_missing(monkeypatch):
    monkeypatch.setattr(waiting_module, "MAX_WAITING", 10)
    line = Waiting()
    line.add(wave(14))
    gap = line.next()
    assert isinstance(gap, Gap)
    assert (gap.from_s, gap.to_s, gap.n, line.n_dropped) == (1000.0, 1000.3, 4, 4)
    assert line.next() == wave(14)[4]


def test_what_was_handed_out_and_comes_back_is_first_again_unless_younger_ones_are_gone(
    monkeypatch,
):
    monkeypatch.setattr(waiting_module, "MAX_WAITING", 3)
    line = Waiting()
    line.add(wave(3))
    first = line.next()
    line.put_back(first)
    assert line.next() == first
    line.add(wave(3, at_s=2000.0))
    line.put_back(first)
    gap = line.next()
    assert (gap.n, gap.from_s) == (3, 1000.0)
    line.put_back(gap)
    line.add(wave(1, at_s=3000.0))
    merged = line.next()
    assert (merged.n, merged.from_s, merged.to_s) == (4, 1000.0, 2000.0)


def test_bytes_bound_the_line_too(monkeypatch):
    monkeypatch.setattr(waiting_module, "MAX_WAITING_BYTES", 10_000)
    line = Waiting()
    line.add(wave(100, n_bytes=1000))
    assert len(line) == 8
