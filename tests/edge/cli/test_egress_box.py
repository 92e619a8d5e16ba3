"""A real monitor, a real notifier, and a server that records all it gets: the ledger is true."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.control import ChangeConsent, ControlError, Leaves
from edge.control.client import ControlClient
from edge.egress.allowed import Content
from edge.egress.consent import Switch
from edge.egress.departure import Departure
from tests.edge.cli.box import Box, killed, status_of, wait_for
from tests.edge.cli.test_notified_box import LOW_SPO2, end, notify, write_secret
from tests.edge.notices.far_away import TOPIC, Far, serving

START_S, ALARM_S = 40.0, 60.0
SAMPLE = "31.41592"
"""Stands in every sample of the raw signals."""
PATIENT, CARER, SENSOR, WHY = "zz-patient", "ZzCarer", "ZzSensorOfMary", "ZzReasonOfMary"

SETTINGS = f"""
[box]
name = "bedroom"

[escalation]
high_first_carer_s = 2
high_second_carer_s = 4

[[patients]]
id = "{PATIENT}"

[[sources]]
reader = "simulated"
scenario = "FOLDER/low.toml"

[[sources]]
reader = "replay"
name = "{SENSOR}"
path = "FOLDER/canary.csv"

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
needs = "progress"
"""


def recorded_box(folder: Path, far: Far, more: str = "") -> Box:
    box = Box(folder)
    box.data_dir.mkdir(mode=0o700)
    signs = ("", "-")
    rows = [f"{n / 4:.2f},{signs[n % 2]}{SAMPLE},{signs[n // 2 % 2]}{SAMPLE}" for n in range(2400)]
    (folder / "canary.csv").write_text("\n".join(["Time [s],ecg_mv,pleth_au", *rows]))
    (folder / "low.toml").write_text(LOW_SPO2)
    settings = SETTINGS.replace("FOLDER", str(folder))
    box.config.write_text(box.config.read_text() + settings + more)
    write_secret(box, "anna.ntfy", f"{far.url}/{TOPIC}")
    write_secret(box, "second.ntfy", f"{far.url}/{TOPIC}-second")
    write_secret(box, "deadman", f"{far.url}/ping/0123456789abcdef")
    return box


def lines(box: Box, *words: str) -> list[dict[str, Any]]:
    said = box.call(*words, "--json")
    assert said.returncode in (0, 3), said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()]


class Night(msgspec.Struct, frozen=True):
    """What was recorded at the far end, and the box, stopped."""

    box: Box
    requests: list[tuple[str, str, dict[str, str], str]]
    ledger: list[dict[str, Any]]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with serving(Far()) as far:
        box = recorded_box(tmp_path_factory.mktemp("egress"), far)
        monitor = box.start()
        wait_for(lambda: status_of(box), START_S, "the monitor")
        notifier: subprocess.Popen[str] = notify(box)
        try:
            for topic in (TOPIC, f"{TOPIC}-second"):
                wait_for(lambda topic=topic: far.topic(topic), ALARM_S, topic)
            wait_for(lambda: far.posts("/ping/0123456789abcdef"), START_S, "a ping")
            alert = next(
                one for one in status_of(box)["live"]["alerts"] if one["rule"] == "very_low_spo2"
            )
            told = box.call("ack", alert["id"], "--by", CARER, "--handled")
            assert told.returncode == 0, told.stderr
            wait_for(lambda: any("andled" in m["title"] for m in far.messages), 20.0, "the answer")
            assert box.call("notify", "--test").returncode == 0
            with pytest.raises(ControlError, match="not on the list"):
                box.ask(Leaves(Departure("u", 1.0, "x", "x", "x", Content.BOARD, 1)))
        finally:
            errors = end(notifier), end(monitor)
        for words in errors:
            assert "Traceback" not in words
        yield Night(box, list(far.requests), lines(box, "ledger"))


def messages(night: Night, *kinds: str) -> list[dict[str, Any]]:
    return [m for m in night.ledger if m["record"] == "egress" and m["kind"] in kinds]


def said(headers: dict[str, str]) -> tuple[str, ...]:
    return tuple(headers.get(name, "") for name in ("X-Title", "X-Priority", "X-Sequence-ID"))


def unaccounted(night: Night, requests: Any) -> Counter[Any]:
    """Return bodies that arrived and are not in the ledger, or the other way round (negative)."""
    bodies: Counter[Any] = Counter(
        (body, *said(headers)) for _, _, headers, body in requests if body
    )
    bodies.subtract((m["body"], *said(m["headers"])) for m in night.ledger if m.get("size"))
    return Counter({key: n for key, n in bodies.items() if n})


def test_every_body_that_arrived_is_in_the_ledger_and_nothing_else(night: Night) -> None:
    assert unaccounted(night, night.requests) == Counter()
    assert len(messages(night, "notice", "self_test")) >= 4


def test_a_body_that_went_past_the_ledger_would_be_found(night: Night) -> None:
    extra = ("POST", f"/{TOPIC}", {}, "sent past the witness")
    assert sum(unaccounted(night, [*night.requests, extra]).values()) == 1
    assert sum(unaccounted(night, [r for r in night.requests if not r[3]]).values()) < 0


def test_every_empty_message_is_counted(night: Night) -> None:
    n_pings = sum("/ping/" in path for _, path, _, _ in night.requests)
    n_polls = sum(verb == "GET" for verb, *_ in night.requests)
    assert n_pings == sum(m["times"] for m in messages(night, "ping"))
    assert n_polls == sum(m["times"] for m in messages(night, "question"))
    assert n_pings + n_polls + len(messages(night, "notice", "self_test")) == len(night.requests)


def test_what_became_of_each_is_told(night: Night) -> None:
    for message in messages(night, "notice", "self_test"):
        assert message["became"][:1] == ["sent"], message
        assert message["time_quality"] is not None
    assert any("received" in m["became"] for m in messages(night, "notice"))
    alarm = next(m for m in messages(night, "notice") if m["about"] == "alarm")
    assert alarm["refs"]
    assert (alarm["destination"], alarm["host"]) == ("anna", "localhost")
    assert alarm["process"] == "notify"


def test_no_canary_left_beyond_what_is_on_the_list(night: Night) -> None:
    for verb, path, headers, body in night.requests:
        whole = f"{verb} {path} {headers} {body}"
        assert SAMPLE not in whole
        assert SAMPLE[:5] not in whole
        assert SENSOR not in whole
        assert WHY not in whole
        if CARER in whole:  # the name of who answered is on the list, in notices that say so
            assert headers["X-Title"].startswith(("Handled", "Over"))
        if PATIENT in whole:
            assert PATIENT in body
        if re.search(r"\d %", body):  # details = true
            assert path.endswith("-second")


def test_no_secret_is_in_the_ledger(night: Night) -> None:
    text = json.dumps(night.ledger)
    assert TOPIC not in text
    assert "0123456789abcdef" not in text
    for _, _, headers, _ in night.requests:
        for action in json.loads(headers.get("X-Actions", "[]")):
            assert action["body"] not in text


def test_one_is_shown_word_for_word_and_the_record_is_whole(night: Night) -> None:
    alarm = messages(night, "notice")[0]
    shown = night.box.call("ledger", "show", str(alarm["n"])).stdout
    assert alarm["body"] in shown
    assert f"X-Title: {alarm['headers']['X-Title']}" in shown
    assert alarm["sha256"] in shown
    assert night.box.call("alerts", "verify").returncode == 0
    listed = night.box.call("ledger", "--kind", "notice", "--to", "anna").stdout
    assert "HIGH alarm: very low SpO2" in listed
    assert "today to anna: " in listed
    assert "second" not in listed


def test_what_was_said_is_forgotten_on_request_and_the_rest_stays(night: Night) -> None:
    before = messages(night, "notice", "self_test")
    refused = night.box.call("ledger", "forget", "--all")
    assert refused.returncode == 2
    done = night.box.call("ledger", "forget", "--all", "--by", "ZzForgetter", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"erased what {len(before)} messages said" in done.stdout
    assert "`homeward sync` asks them" in done.stdout
    after = [m for m in lines(night.box, "ledger") if m["record"] == "egress"]
    again = [m for m in after if m["kind"] in ("notice", "self_test")]
    assert [(m["uuid"], m["sha256"], m["size"]) for m in again] == [
        (m["uuid"], m["sha256"], m["size"]) for m in before
    ]
    assert all(m["erased"] and m["body"] is None for m in again)
    kept = b"".join(
        one.read_bytes() for one in night.box.data_dir.glob("homeward.db*") if one.is_file()
    )
    for message in before:
        assert message["body"].encode() not in kept
    whole = night.box.call("alerts", "verify")
    assert whole.returncode == 0, whole.stdout
    assert "requests to delete wait" in night.box.call("ledger").stdout


def test_with_consent_off_nothing_arrives_until_it_is_on_again(tmp_path: Path) -> None:
    with serving(Far()) as far:
        box = recorded_box(tmp_path, far, "\n[consent]\npings = false\n")
        words = ("--by", CARER, "--why", WHY)
        told = box.call("consent", "set", "notices", "off", *words, "--yes")
        assert told.returncode == 0, told.stderr
        assert "NOBODY OUTSIDE THIS ROOM IS TOLD OF ANY ALARM" in told.stderr
        monitor = box.start()
        notifier = None
        try:
            wait_for(lambda: status_of(box), START_S, "the monitor")
            notifier = notify(box)

            def escalated() -> Any:
                status = status_of(box)
                kept_back = status["consent"]["n_withheld"].get("notices", 0)
                return kept_back and status["live"]["alerts"]

            alerts = wait_for(escalated, ALARM_S, "the alarm")
            assert "nobody outside this room is told" in box.call("status").stdout
            wait_for(
                lambda: (
                    "withheld: consent to notices is off"
                    in box.call("alerts", "show", alerts[0]["id"]).stdout
                ),
                20.0,
                "what the story of the alert says",
            )
            assert far.requests == []
            with ControlClient(box.data_dir / "control.sock") as client:
                client.ask(ChangeConsent(Switch.NOTICES, True, CARER, WHY))
            wait_for(lambda: far.topic(TOPIC), ALARM_S, "the notice")
            assert far.posts("/ping/0123456789abcdef") == []
            rows = {row["switch"]: row for row in lines(box, "consent") if "switch" in row}
            assert (rows["notices"]["on"], rows["pings"]["on"]) == (True, False)
            assert rows["notices"]["said_by"].startswith(f"{CARER} on ")
            assert rows["notices"]["n_withheld"] > 0
        finally:
            if notifier is not None:
                killed(notifier)
            end(monitor)
        assert box.call("alerts", "verify").returncode == 0
