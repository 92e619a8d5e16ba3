"""Damage while the monitor runs: begun anew once, and not again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.store import Store as StoreSettings
from edge.daemon.mending import AGAIN_S, MAX_AGAIN_S
from edge.daemon.storing import Storing
from edge.records import Outcome
from edge.store import DATABASE, History, StoreDamagedError
from edge.store.asides import asides
from tests.edge.store.opened import RUN
from tests.edge.store.test_store import alert


class Box:
    """A store and a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / DATABASE
        self.now_s = 1000.0
        self.storing = Storing(self.path, RUN, lambda: self.now_s, StoreSettings(ballast_mb=0.0))

    def alarm(self, number: int) -> str:
        """Have an alert written; return why it was not."""
        self.storing.backlog.add(Outcome((alert(number),)), self.now_s)
        return self.storing.write(everything=True)

    def write(self) -> str:
        return self.storing.write(everything=True)

    def damage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the next commit find the file damaged, and leave it so."""
        store = self.storing.store
        assert store is not None

        def refuse(_: object) -> None:
            raise StoreDamagedError(f"{self.path} is damaged")

        monkeypatch.setattr(store, "commit", refuse)

    def spoil(self) -> None:
        """Overwrite the file behind the back of a closed store."""
        n = self.path.stat().st_size
        with self.path.open("r+b") as file:
            file.seek(n - n // 8)
            file.write(b"\xff" * (n // 8))


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def broken(box: Box, monkeypatch: pytest.MonkeyPatch, number: int) -> str:
    """Damage the file while it is used."""
    box.damage(monkeypatch)
    said = box.alarm(number)
    box.spoil()
    return said


def test_damage_in_the_midst_of_a_run_is_begun_anew_and_recovered(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [box.alarm(number) for number in range(90)] == [""] * 90
    assert "is damaged" in broken(box, monkeypatch, 100)
    assert len(box.storing.backlog) == 1
    assert box.write() == ""
    assert len(box.storing.backlog) == 0
    assert box.storing.moved_aside.endswith("damaged-1")
    for _ in range(200):
        box.now_s += 0.2
        assert box.write() == ""
        if (report := box.storing.salvage()) is not None and report.finished:
            break
    else:
        raise AssertionError("it is not recovered")
    box.storing.close()
    with History.open(box.path) as history:
        ids = [a.alert.id for a in history.alerts()]
    assert ids[-1] == "alert-100"
    assert len(ids) == len(set(ids)) > 60


def test_damaged_twice_within_a_minute_it_waits_in_memory_and_longer_each_time(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert box.alarm(0) == ""
    waited = []
    broken(box, monkeypatch, 1)
    assert box.write() == ""  # the first time at once
    for number in range(2, 7):
        box.now_s += 2.0
        broken(box, monkeypatch, number)
        began_s = box.now_s
        while box.write():
            assert box.now_s - began_s <= MAX_AGAIN_S + 2.0
            assert "damaged again within a minute" in box.write()
            box.now_s += 2.0
        waited.append(box.now_s - began_s)
        assert len(box.storing.backlog) == 0
    assert waited[0] == pytest.approx(AGAIN_S, abs=2.0)
    assert waited == sorted(waited)
    assert waited[-1] == pytest.approx(MAX_AGAIN_S, abs=2.0)
    box.storing.close()
    assert len(asides(box.path)) == 6  # of the first of a run: those to be recovered stay


def test_damage_long_after_the_last_is_begun_anew_at_once(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert box.alarm(0) == ""
    for number in range(1, 4):
        broken(box, monkeypatch, number)
        assert box.write() == ""
        box.now_s += 3600.0
    box.storing.close()


def test_in_the_meantime_what_happens_waits_and_nothing_of_it_is_lost(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert box.alarm(0) == ""
    broken(box, monkeypatch, 1)
    box.write()
    broken(box, monkeypatch, 2)
    assert [bool(box.alarm(number)) for number in range(3, 10)] == [True] * 7
    assert len(box.storing.backlog) == 8
    box.now_s += AGAIN_S
    assert box.write() == ""
    box.storing.close()
    with History.open(box.path) as history:
        assert {f"alert-{n}" for n in range(2, 10)} <= {a.alert.id for a in history.alerts()}
