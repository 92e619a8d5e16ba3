"""A real monitor, a real notifier beside it, and a small ntfy: the whole way to a carer."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.clock import BootClock
from edge.control import ControlError, Delivered, Status
from tests.edge.alarms.box_night import DUE_S
from tests.edge.cli.box import Box, killed, status_of, stopped, wait_for
from tests.edge.cli.test_watched_box import alert_of
from tests.edge.notices.far_away import TOPIC, Far, serving, wretched

CLOCK = BootClock()
START_S = 40.0
ALARM_S = 40.0
STOP_S = 15.0
MAX_RSS_KIB = 64 * 1024
"""It takes 50 MiB, and 52 on Python 3.13."""

LOW_SPO2 = """\
title = "A patient whose oxygen is too low from the start"
duration_s = 600
[patient]
spo2_pct = 80
"""

NOTICES = """
[box]
name = "bedroom"

[escalation]
high_first_carer_s = 2
high_second_carer_s = 4

[[notices]]
channel = "ntfy"
name = "anna"
url_file = "anna.ntfy"

[[notices]]
channel = "ntfy"
name = "second"
who = ["second_carer"]
url_file = "second.ntfy"
details = true

[deadman]
url_file = "deadman"
every_s = 10
"""


class Told(msgspec.Struct, frozen=True):
    """A monitor whose alarm was told, the notifier, and who was told."""

    box: Box
    far: Far
    notifier: subprocess.Popen[str]
    alert: dict[str, Any]


def notified_box(folder: Path, far: Far) -> Box:
    box = Box(folder)
    box.data_dir.mkdir(mode=0o700)
    (folder / "low.toml").write_text(LOW_SPO2)
    box.config.write_text(box.config.read_text() + NOTICES)
    write_secret(box, "anna.ntfy", f"{far.url}/{TOPIC}")
    write_secret(box, "second.ntfy", f"{far.url}/{TOPIC}-second")
    write_secret(box, "deadman", f"{far.url}/ping/0123456789abcdef")
    return box


def write_secret(box: Box, name: str, text: str) -> None:
    path = box.data_dir / name
    path.touch(mode=0o600)
    path.write_text(text + "\n")


def notify(box: Box) -> subprocess.Popen[str]:
    return subprocess.Popen(
        box.arguments("notify"),
        cwd=Path(__file__).parents[3],
        env=box.environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> str:
    errors = stopped(process, STOP_S)
    assert process.returncode == 0, errors
    return errors


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with serving(Far()) as far:
        box = notified_box(tmp_path_factory.mktemp("notified"), far)
        monitor = box.start("--simulate", str(box.folder / "low.toml"))
        notifier = notify(box)
        try:
            alerts = wait_for(
                lambda: (status_of(box) or {}).get("live", {}).get("alerts"),
                START_S + ALARM_S,
                "the alarm",
            )
            alert = next(one for one in alerts if one["rule"] == "very_low_spo2")
            yield Told(box, far, notifier, alert)
        finally:
            errors = end(monitor), end(notifier)
        for words in errors:
            assert "Traceback" not in words
            assert TOPIC not in words
            assert "0123456789abcdef" not in words


def test_carers_are_told_in_their_turn_and_nothing_was_measured_in_it(told: Told) -> None:
    first = wait_for(lambda: told.far.topic(TOPIC), ALARM_S, "the first carer")[0]
    assert first["title"] == "HIGH alarm: very low SpO2"
    assert first["message"].startswith("patient-1 at bedroom, since ")
    assert "Nobody has answered yet." in first["message"]
    assert "%" not in first["message"]
    assert first["priority"] == 5
    second = wait_for(lambda: told.far.topic(f"{TOPIC}-second"), ALARM_S, "the second")[0]
    assert "(nobody came so far)" in second["message"]
    assert "80 %" in second["message"]  # details = true


def test_the_monitor_is_told_how_far_it_came(told: Told) -> None:
    wait_for(lambda: told.far.topic(TOPIC), ALARM_S, "the notice")

    def ways() -> Any:
        notices = status_of(told.box)["notices"]
        known = [way for way in notices["ways"] if way["sent_s"] is not None]
        return known if len(known) == 2 and notices["deadman"]["sent_s"] is not None else None

    (anna, second) = wait_for(ways, 40.0, "the notifier's state")
    assert (anna["name"], anna["works"], second["works"]) == ("anna", True, True)
    notices = status_of(told.box)["notices"]
    assert (notices["trouble"], notices["wanted"]) == ("", True)
    shown = told.box.call("status").stdout
    assert "notices through anna: works, last" in shown
    assert "notices through deadman: works, last" in shown
    pings = told.far.posts("/ping/0123456789abcdef")
    assert pings
    assert all(body == "" for *_, body in pings)


def test_a_press_on_the_phone_is_a_receipt_and_no_answer(told: Told) -> None:
    message = wait_for(lambda: told.far.topic(TOPIC), ALARM_S, "the notice")[0]
    (button,) = message["actions"]
    assert (button["label"], button["action"]) == ("Seen", "http")
    reply_topic = button["url"].rpartition("/")[2]
    told.far.publish(reply_topic, "a word nobody was given", {})
    told.far.publish(reply_topic, button["body"], {})

    def forgotten() -> bool:
        kept = json.loads((told.box.data_dir / "notices.json").read_text())
        return button["body"] not in kept["tokens"]

    wait_for(forgotten, 50.0, "the receipt")
    alert = next(a for a in status_of(told.box)["live"]["alerts"] if a["id"] == told.alert["id"])
    assert alert["answered_by"] == ""


def test_the_notifier_is_small_and_keeps_what_it_knows_to_its_user(told: Told) -> None:
    wait_for(lambda: told.far.topic(TOPIC), ALARM_S, "the notice")
    status = Path(f"/proc/{told.notifier.pid}/status").read_text()
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    print(f"the notifier took {int(peak) // 1024} MiB at most")
    assert int(peak) <= MAX_RSS_KIB
    kept = told.box.data_dir / "notices.json"
    assert kept.stat().st_mode & 0o077 == 0
    content = kept.read_text()
    assert TOPIC not in content.replace(f"{TOPIC}-second", "")


def test_a_second_notifier_is_refused(told: Told) -> None:
    twice = told.box.call("notify")
    assert twice.returncode == 1
    assert "a notifier is running here already" in twice.stderr


def test_an_unknown_alert_and_a_stage_that_is_none_are_refused(told: Told) -> None:
    with pytest.raises(ControlError, match="no alert 'made-up'"):
        told.box.ask(Delivered("made-up", "sent", "x", 1.0))
    assert told.box.ask(Delivered(told.alert["id"], "sent", "x", 1.0)) == {"stored": True}


def test_who_answers_and_that_it_is_over_is_told_to_those_who_were_told(told: Told) -> None:
    wait_for(lambda: told.far.topic(f"{TOPIC}-second"), ALARM_S, "the second carer")
    assert told.box.call("ack", told.alert["id"], "--by", "Bob", "--handled").returncode == 0
    for topic in (TOPIC, f"{TOPIC}-second"):

        def follow_up(topic: str = topic) -> Any:
            return [m for m in told.far.topic(topic) if m["title"] == "Handled: very low SpO2"]

        (message,) = wait_for(follow_up, 20.0, "the follow-up")
        assert "handled by Bob " in message["message"]
        assert message["priority"] == 2


def test_check_says_who_is_told_when_and_what_is_missing(told: Told) -> None:
    said = told.box.call("notify", "--check")
    assert said.returncode == 0
    assert "after 2 s without an answer" in said.stdout
    assert "after 4 s without an answer" in said.stdout
    *plan, last = map(json.loads, told.box.call("notify", "--check", "--json").stdout.splitlines())
    assert len(plan) == 6
    assert last == {"record": "notify_check", "n_ways": 2, "troubles": []}


def test_test_sends_to_everybody_and_says_what_is_proven(told: Told) -> None:
    said = told.box.call("notify", "--test", "--json")
    assert said.returncode == 0, said.stderr
    *proofs, last = map(json.loads, said.stdout.splitlines())
    assert [proof["name"] for proof in proofs] == ["anna", "second", "deadman"]
    assert all(proof["sent"] and proof["received"] for proof in proofs)
    assert "the server holds it (message m" in proofs[0]["proven"]
    assert (last["n_sent"], last["n_failed"]) == (3, 0)
    assert any(m["title"] == "Test from bedroom" for m in told.far.topic(TOPIC))
    assert TOPIC not in said.stdout + said.stderr


def notices_row(box: Box) -> dict[str, Any]:
    """Test the alarm path, and return the row on the notices."""
    lines = map(json.loads, box.call("doctor", "--alarm-path", "--json").stdout.splitlines())
    (row,) = [line for line in lines if line.get("part") == "notices"]
    return row


def test_the_self_test_sends_a_notice_through_the_notifier_and_says_what_failed(
    told: Told,
) -> None:
    row = notices_row(told.box)
    assert row["verdict"] == "passed", row
    assert row["found"] == (
        "a test notice went out to anna (held by its server), second (held by its server)"
    )
    for topic in (TOPIC, f"{TOPIC}-second"):
        (test,) = [m for m in told.far.topic(topic) if m["title"].endswith("nothing to do")]
        assert test["priority"] == 2
    status = list(map(json.loads, told.box.call("status", "--json").stdout.splitlines()))
    (notices,) = [line for line in status if line["record"] == "notices"]
    assert (notices["proof"]["verdict"], notices["proof"]["found"]) == ("passed", row["found"])
    told.far.fault = {"status": 403}
    try:
        row = notices_row(told.box)
        assert row["verdict"] == "failed"
        assert "did not go out to anna (ntfy answered 403" in row["found"]
        assert row["cure"] == "homeward notify --test"
        failed = alert_of(told.box, "self_test_failed")  # a clock nobody sets may have failed too
        shown = " ".join(told.box.call("status").stdout.split())
        assert re.search(
            r"notices last tested \S+ s ago: FAILED: a test notice did not go out to anna", shown
        )
        wait_for(lambda: "notices" in (failed() or {"reason": ""})["reason"], 10.0, "the alert")
    finally:
        told.far.fault = {}
    assert notices_row(told.box)["verdict"] == "passed"


def test_without_anybody_to_tell_it_says_so(tmp_path: Path) -> None:
    box = Box(tmp_path)
    said = box.call("notify")
    assert said.returncode == 1
    assert "there is nobody to tell" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_setting_of_the_monitor_that_is_wrong_keeps_nobody_from_being_told(
    tmp_path: Path,
) -> None:
    with serving(Far()) as far:
        box = notified_box(tmp_path, far)
        box.config.write_text(box.config.read_text() + "[alarms.low_spo2]\nlimit_pct = 300\n")
        said = box.call("notify", "--test")
        assert said.returncode == 0, said.stderr
        assert len(far.topic(TOPIC)) == 1
        checked = box.call("notify", "--check")
        assert checked.returncode == 2
        assert "limit_pct" in checked.stderr


def test_a_setting_of_its_own_that_is_wrong_is_told(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.config.write_text(box.config.read_text() + "[deadman]\nevery_s = -1\n[nobody]\nx = 1\n")
    said = box.call("notify")
    assert said.returncode == 2
    assert "every_s" in said.stderr
    assert "nobody" in said.stderr


def test_a_notifier_that_is_killed_is_an_alarm_until_it_runs_again(tmp_path: Path) -> None:
    with serving(Far()) as far:
        box = notified_box(tmp_path, far)
        monitor, notifier = box.start("--simulate", "quiet"), notify(box)
        try:
            wait_for(lambda: (status_of(box) or {}).get("notices", {}).get("ways"), START_S, "it")
            assert status_of(box)["notices"]["trouble"] == ""
            assert alert_of(box, "cannot_notify")() is None
            killed_s = CLOCK.now_s()
            killed(notifier)
            alert = wait_for(alert_of(box, "cannot_notify"), 2 * DUE_S, "cannot_notify")
            print(f"raised {alert['at_s'] - killed_s:.1f} s after the notifier was killed")
            assert 0.0 < alert["at_s"] - killed_s <= DUE_S
            assert (alert["priority"], alert["patient"]) == ("medium", "")
            assert "the notifier does not run" in box.ask(Status())["notices"]["trouble"]
            assert "! notices do not go out: the notifier does not run" in box.call("status").stdout
            row = notices_row(box)
            assert (row["verdict"], row["why"]) == (
                "failed",
                "nobody outside this room is told of an alarm",
            )
            assert "the notifier does not run" in row["found"]
            assert row["took_s"] < 5.0
            notifier = notify(box)
            wait_for(lambda: alert_of(box, "cannot_notify")() is None, START_S, "the end")
            assert box.ask(Status())["notices"]["trouble"] == ""
        finally:
            killed(notifier)
            end(monitor)


def test_a_network_at_its_worst_changes_nothing_at_the_box(tmp_path: Path) -> None:
    kinds = {"silent": "silent", "drip": "drip", "junk": "junk"}
    with contextlib.ExitStack() as stack:
        far = stack.enter_context(serving(Far()))
        box = notified_box(tmp_path, far)
        destinations = {
            f"{scheme}-{name}": f"{scheme}://localhost:{stack.enter_context(wretched(kind))}/t0pic"
            for scheme in ("http", "https")
            for name, kind in kinds.items()
        }
        destinations["no-name"] = "https://no-such-host.invalid/t0pic"
        text = [box.config.read_text()]
        for name, url in destinations.items():
            write_secret(box, name, url)
            text.append(
                f'[[notices]]\nchannel = "ntfy"\nname = "{name}"\nurl_file = "{name}"\n'
                'on = "raise"\n'
            )
        box.config.write_text("\n".join(text))
        far.fault = {"status": 429, "retry_after": 1}
        monitor = box.start("--simulate", str(box.folder / "low.toml"))
        notifier = notify(box)
        try:
            wait_for(
                lambda: (status_of(box) or {}).get("live", {}).get("alerts"),
                START_S + ALARM_S,
                "the alarm",
            )
            wait_for(lambda: len(far.posts(f"/{TOPIC}")) >= 2, 30.0, "a second try after 429")
            lags = []
            for _ in range(40):
                began_s = time.monotonic()
                status = box.ask(Status())
                lags.append(time.monotonic() - began_s)
                assert status["monitor"]["now_s"] - status["live"]["now_s"] < 2.0
                assert status["live"]["signal"]["priority"] == "high"
                time.sleep(0.25)
            assert sorted(lags)[20] < 0.25
            far.fault = {}
            wait_for(lambda: far.topic(TOPIC), 30.0, "the one that can be told")
            trouble = wait_for(
                lambda: box.ask(Status())["notices"]["trouble"], 30.0, "the broken ways"
            )
            assert "https-silent: " in trouble
            peak = (
                Path(f"/proc/{notifier.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
            )
            print(f"the notifier took {int(peak) // 1024} MiB at most")
            print(f"the monitor answers in {1e3 * sorted(lags)[20]:.0f} ms (median)")
            assert int(peak) <= MAX_RSS_KIB
        finally:
            errors = end(notifier), end(monitor)
        for words in errors:
            assert "Traceback" not in words
            assert "t0pic" not in words
