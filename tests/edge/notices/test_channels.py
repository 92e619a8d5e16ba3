"""ntfy and Apprise against real servers: what arrives there, what is proven, what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from edge.notices import NoticesError, content
from edge.notices.channels import SendError, Sent, ntfy
from edge.notices.channels.apprise import CHANNEL as APPRISE
from edge.notices.channels.apprise import Settings as AppriseSettings
from edge.notices.channels.ntfy import CHANNEL as NTFY
from edge.notices.channels.ntfy import Settings
from edge.notices.content import Item
from edge.records import Priority
from edge.secret import Secret
from tests.edge.notices.far_away import TOKEN, TOPIC, Far, authority, server_side, serving
from tests.edge.notices.untold import free, sent


@pytest.fixture
def far() -> Iterator[Far]:
    with serving(Far()) as server:
        yield server


def item(**more: Any) -> Item:
    known: dict[str, Any] = {"id": "hw0123", "about": "alarm", "alerts": ("a1",)}
    known |= {"priority": Priority.HIGH, "title": "HIGH alarm: very low SpO2", "text": "Anna, é"}
    return Item(**{**known, **more})


def send(far: Far, what: Item, settings: Settings | None = None, token: str = "") -> Sent:
    lines = (f"{far.url}/{TOPIC}", token) if token else (f"{far.url}/{TOPIC}",)
    return sent(NTFY.open(settings or Settings(), Secret(lines)), what)


@pytest.mark.parametrize(
    ("priority", "loudness"),
    [("high", 5), ("medium", 4), ("low", 3), ("information", 2)],
)
def test_a_notice_arrives_with_its_loudness_and_its_id(
    far: Far, priority: str, loudness: int
) -> None:
    told = send(far, item(priority=Priority(priority), title="Übergabe"))
    (message,) = far.topic(TOPIC)
    assert (message["message"], message["priority"]) == ("Anna, é", loudness)
    assert str(make_header(decode_header(message["title"]))) == "Übergabe"
    assert message["sequence_id"] == "hw0123"
    assert told == Sent(message["id"], held=True)


def test_that_the_server_holds_it_is_asked_not_believed(far: Far) -> None:
    far.publish = lambda *_: {"event": "message", "id": "m1"}  # type: ignore[method-assign]
    assert send(far, item()) == Sent("m1", held=False)


@pytest.mark.parametrize("sequences", [True, False])
def test_what_arrived_although_nobody_said_so_is_found(sequences: bool) -> None:
    with serving(Far(sequences=sequences)) as far:
        far.fault = {"lose": True}
        opened = NTFY.open(Settings(), Secret((f"{far.url}/{TOPIC}",)))
        with pytest.raises(SendError) as told:
            sent(opened, item())
        assert told.value.arrived
        assert asyncio.run(opened.holds(item().out())) is True
        assert asyncio.run(opened.holds(item(id="hw9", text="another").out())) is False


def test_a_token_is_sent_to_the_server_and_never_in_a_notice(far: Far) -> None:
    far.token = TOKEN
    with pytest.raises(SendError, match="401: the token is wrong") as told:
        send(far, item())
    assert not told.value.arrived
    send(far, item(tokens={"seen": "w0rd"}), token=TOKEN)
    assert TOKEN not in json.dumps(far.topic(TOPIC))


def test_buttons_lead_to_a_topic_nobody_can_guess(far: Far) -> None:
    send(far, item(tokens={"seen": "w0rd", "coming": "w1rd"}))
    seen, coming = far.topic(TOPIC)[0]["actions"]
    assert (seen["label"], seen["body"], seen["method"]) == ("Seen", "w0rd", "POST")
    assert (coming["label"], coming["body"]) == ("I take care", "w1rd")
    assert seen["url"] == f"{far.url}/{ntfy.reply_topic(TOPIC)}"
    assert TOPIC not in seen["url"]


def test_words_are_heard_once(far: Far) -> None:
    opened = free(NTFY.open(Settings(), Secret((f"{far.url}/{TOPIC}",))))
    assert asyncio.run(opened.replies()) == ()
    for word in ("one", "two"):
        far.publish(ntfy.reply_topic(TOPIC), word, {})
    assert asyncio.run(opened.replies()) == ("one", "two")
    assert asyncio.run(opened.replies()) == ()


def test_buttons_are_as_configured() -> None:
    assert NTFY.buttons(Settings()) == {"seen": False}
    assert NTFY.buttons(Settings(answers=True)) == {"seen": False, "coming": True}
    none = Settings(seen_button=False)
    assert NTFY.buttons(none) == {}
    opened = NTFY.open(none, Secret(("https://localhost:1/x",)))
    assert asyncio.run(opened.replies()) is None


@pytest.mark.parametrize(
    ("fault", "arrived", "retry_s"),
    [
        ({"status": 500}, True, None),
        ({"status": 503, "retry_after": 9}, True, 9.0),
        ({"status": 429, "retry_after": 120}, False, 120.0),
        ({"status": 413}, False, None),
        ({"status": 302}, False, None),
    ],
)
def test_a_refusal_says_whether_it_may_have_arrived_and_when_to_come_again(
    far: Far, fault: dict[str, Any], arrived: bool, retry_s: float | None
) -> None:
    far.fault = fault
    with pytest.raises(SendError) as told:
        send(far, item())
    assert (told.value.arrived, told.value.retry_after_s) == (arrived, retry_s)


def test_a_page_that_answers_everything_with_200_is_no_ntfy(far: Far) -> None:
    far.publish = lambda *_: {"welcome": "to our hotel"}  # type: ignore[method-assign]
    with pytest.raises(SendError, match="no ntfy"):
        send(far, item())


def test_ten_megabytes_after_the_answer_change_nothing(far: Far) -> None:
    far.fault = {"big": True}
    assert send(far, item()).held


def test_a_text_longer_than_ntfy_takes_is_cut_between_letters(far: Far) -> None:
    send(far, item(text="é" * 5000))
    assert far.topic(TOPIC)[0]["message"] == "é" * 2000


def test_only_the_server_of_ones_own_authority_is_told(tmp_path: Path) -> None:
    ours, theirs = authority(tmp_path, "ours"), authority(tmp_path, "theirs")
    with serving(Far(server_side(ours))) as far:
        assert send(far, item(), Settings(ca_file=ours)).held
        with pytest.raises(SendError, match="not who it should be"):
            send(far, item(), Settings(ca_file=theirs))


@pytest.mark.parametrize(
    "url",
    ["tgram://x/y", "https://ntfy.sh", "https://ntfy.sh/", "https://tk@ntfy.sh/x", "http://["],
)
def test_what_is_no_topic_is_refused(url: str) -> None:
    with pytest.raises(NoticesError):
        NTFY.open(Settings(), Secret((url,)))


def apprise(far: Far, query: str = "", **more: Any) -> Sent:
    kind = "jsons" if far.scheme == "https" else "json"
    url = f"{kind}://localhost:{far.server_address[1]}/{TOPIC}{query}"
    return sent(APPRISE.open(AppriseSettings(**more), Secret((url,))), item())


def test_apprise_sends_and_that_is_all_it_can_say(far: Far) -> None:
    assert apprise(far) == Sent("", held=False)
    (request,) = far.posts(f"/{TOPIC}/") or far.posts(f"/{TOPIC}")
    told = json.loads(request[3])
    assert (told["title"], told["message"]) == ("HIGH alarm: very low SpO2", "Anna, é")
    assert told["type"] == "failure"


def test_apprise_says_why_not_without_the_address(far: Far) -> None:
    far.fault = {"status": 500}
    with pytest.raises(SendError, match="500") as told:
        apprise(far)
    assert TOPIC not in str(told.value)


def test_apprise_may_not_leave_certificates_unchecked(tmp_path: Path) -> None:
    ours = authority(tmp_path, "ours")
    with serving(Far(server_side(ours))) as far:
        with pytest.raises(SendError, match="take verify=no out"):
            apprise(far, "?verify=no")
        with pytest.raises(SendError):
            apprise(far)
        assert far.requests == []
        assert apprise(far, ca_file=ours) == Sent()


def test_apprise_bears_ten_megabytes(far: Far) -> None:
    far.fault = {"big": True}
    assert apprise(far) == Sent()


def test_an_address_apprise_does_not_know_is_told() -> None:
    opened = APPRISE.open(AppriseSettings(), Secret(("nosuchservice://x",)))
    with pytest.raises(SendError, match="knows no such address") as told:
        sent(opened, content.test("a", "box", "1"))
    assert not told.value.arrived
