"""`homeward forget`, with the monitor running and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.control import Alerts, Enter
from edge.store import DATABASE, History
from tests.edge.cli.box import Box, killed, status_of, stopped, wait_for
from tests.edge.cli.test_running_box import LOW_SPO2
from tests.edge.cli.test_vault_command import a_night
from tests.edge.store.opened import every_page

CARER = "Ottilie Wunderlich"
BY = ("--by", "Ann", "--yes")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    box = Box(tmp_path)
    (tmp_path / "low.toml").write_text(LOW_SPO2)
    return box


def lines(done: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def content(box: Box) -> bytes:
    """Return every page of the records, decrypted, and all other files."""
    database = box.data_dir / DATABASE
    beside = [p for p in sorted(box.data_dir.rglob("*")) if not p.name.startswith(DATABASE)]
    return b"".join([every_page(database), *(p.read_bytes() for p in beside if p.is_file())])


def standing(box: Box) -> Any:
    status = status_of(box)
    return status and status["live"]["alerts"]


def test_records_are_forgotten_while_the_monitor_runs_and_after(box: Box) -> None:
    monitor = box.start("--simulate", str(box.folder / "low.toml"))
    try:
        alert = wait_for(lambda: standing(box), 60.0, "the alarm")[0]
        box.ask(Enter("consciousness", "A", CARER, "carer"))
        wait_for(lambda: CARER.encode() in content(box), 20.0, "the entry on the disk")
        planned = box.call("forget", "--span", "1h..", "--dry-run", "--json", *BY)
        assert planned.returncode == 0, planned.stderr
        assert lines(planned)[0]["n"]["ledger"] > 0
        assert CARER.encode() in content(box)
        done = box.call("forget", "--span", "1h..", "--json", *BY)
        assert done.returncode == 3, done.stderr  # the alert that stands stays
        assert lines(done)[0]["n_standing"] >= 1
        assert CARER.encode() not in every_page(box.data_dir / DATABASE)
        assert alert["id"] in {one["alert"]["id"] for one in box.ask(Alerts())["history"]}
        verified = box.call("alerts", "verify")
        assert verified.returncode == 0, verified.stdout
        assert "forgotten on request of Ann" in verified.stdout + verified.stderr
        assert status_of(box)["store"]["trouble"] == ""
        errors = stopped(monitor, 40.0)
    finally:
        killed(monitor)
    assert "Traceback" not in errors
    again = box.call("forget", "--all", "--json", *BY)
    assert lines(again)[0]["n_standing"] >= 1  # the next start goes on with it
    assert box.call("alerts", "verify").returncode == 0
    assert CARER.encode() not in content(box)


def test_all_takes_the_raw_packets_and_what_was_put_aside_with_it(box: Box) -> None:
    box.data_dir.mkdir(mode=0o700)
    a_night(box)
    aside = box.data_dir / f"{DATABASE}.damaged-1"
    aside.write_bytes(CARER.encode())
    entered = box.call(
        "limits", "set", "low_spo2.limit_pct=86", "--by", CARER, "--why", "thin", "--yes"
    )
    assert entered.returncode in (0, 3), entered.stderr
    assert CARER.encode() in content(box)
    done = box.call("forget", "--all", *BY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "raw packets are gone" in done.stdout
    assert not aside.exists()
    with History.open(box.data_dir / DATABASE) as history:
        assert history.setting_changes() == []
    assert CARER.encode() not in (box.data_dir / DATABASE).read_bytes()
    nothing = box.call("replay", "vault:", "--summary")
    assert nothing.returncode != 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "say what"),
        (("--all", "--before", "30d"), "say what"),
        (("--span", "2h..8h"), "ends before it begins"),
        (("--span", "yesterday"), "no span"),
        (("--before", "soon"), "neither"),
    ],
)
def test_what_is_not_clear_is_refused(box: Box, words: tuple[str, ...], why: str) -> None:
    done = box.call("forget", *words, *BY)
    assert done.returncode == 2
    assert why in done.stderr


def test_nobody_who_can_answer_means_yes_must_be_given(box: Box) -> None:
    done = box.call("forget", "--all", "--by", "Ann")
    assert done.returncode == 1
    assert "give --yes" in done.stderr


def test_where_nothing_was_recorded_there_is_nothing_to_forget(box: Box) -> None:
    done = box.call("forget", "--all", *BY)
    assert (done.returncode, done.stdout.strip()) == (0, "forgotten: nothing")


def test_who_set_a_limit_is_with_the_records_and_told_after_a_restart(box: Box) -> None:
    words = ("limits", "set", "low_spo2.limit_pct=86", "--by", CARER, "--why", "thin", "--yes")
    for n in range(2):
        monitor = box.start("--simulate", str(box.folder / "low.toml"))
        try:
            wait_for(lambda: status_of(box), 60.0, "the monitor")
            if n == 0:
                done = box.call(*words)
                assert done.returncode in (0, 3), done.stderr
            limits = (box.data_dir / "limits.json").read_text()
            assert CARER not in limits
            assert "86" in limits
            shown = box.call("config").stdout
            assert f"homeward limits, {CARER}" in shown
            stopped(monitor, 40.0)
        finally:
            killed(monitor)
    box.call("forget", "--all", *BY)
    assert CARER.encode() not in content(box)
    shown = box.call("config").stdout
    assert "homeward limits, somebody on record" in shown
    assert CARER not in shown
