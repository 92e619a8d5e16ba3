"""What every channel of notices must do; a new one is tested by being dropped in."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

import edge.notices.channels
from edge.config.fields import meaning
from edge.discover import discover, plugin_names
from edge.notices import content
from edge.notices.channels import SEND_S, Channel, SendError
from edge.records import Priority
from edge.secret import Secret, SecretError
from tests.edge.notices.far_away import wretched
from tests.edge.notices.untold import sent

CHANNELS = discover(edge.notices.channels, "CHANNEL", Channel)
every_channel = pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)

NOWHERE = {
    "ntfy": "http://localhost:1/aTopicNobodyGuesses",
    "apprise": "json://localhost:1/aTopicNobodyGuesses",
}
"""An address of each channel at which nobody listens; a new channel adds its own."""


def test_two_are_found() -> None:
    assert {"ntfy", "apprise"} <= set(plugin_names(edge.notices.channels))


@every_channel
def test_its_name_is_its_files_and_its_file_tells_of_the_service(channel: Channel) -> None:
    assert channel.name in plugin_names(edge.notices.channels)
    module = inspect.getmodule(channel.open)
    assert module is not None
    assert len(module.__doc__ or "") > 300


@every_channel
def test_every_setting_has_a_default_and_a_meaning(channel: Channel) -> None:
    defaults = channel.settings()
    assert msgspec.convert(msgspec.to_builtins(defaults), channel.settings) == defaults
    for name, field_type in get_type_hints(channel.settings, include_extras=True).items():
        assert meaning(field_type).endswith("."), name


@every_channel
def test_a_setting_that_is_not_known_is_refused(channel: Channel) -> None:
    with pytest.raises(msgspec.ValidationError, match="urrl"):
        msgspec.convert({"urrl": 1}, channel.settings)


@every_channel
def test_no_setting_holds_an_address_or_a_token(channel: Channel) -> None:
    names = {field.encode_name for field in msgspec.structs.fields(channel.settings)}
    assert not {name for name in names if any(w in name for w in ("url", "token", "topic", "key"))}


@every_channel
@pytest.mark.parametrize(
    "text", ["", "::", "https://", "no address", "http://[", "x" * 5000, "https://h\x00/x", "://"]
)
def test_an_address_that_is_none_is_refused_or_fails_and_nothing_of_it_is_told(
    channel: Channel, text: str
) -> None:
    try:
        opened = channel.open(channel.settings(), Secret((text,)))
    except SecretError as error:
        told = str(error)
    else:
        with pytest.raises(SendError) as failed:
            sent(opened, content.test("a", "box", "1"))
        told = str(failed.value)
    assert len(text) < 12 or text not in told


@every_channel
def test_where_nobody_listens_it_says_so_and_tells_no_secret(channel: Channel) -> None:
    secret = Secret((NOWHERE[channel.name],))
    opened = channel.open(channel.settings(), secret)
    began_s = time.monotonic()
    with pytest.raises(SendError) as told:
        sent(opened, content.test("a", "box", "1"))
    assert time.monotonic() - began_s < SEND_S
    assert "aTopicNobodyGuesses" not in f"{told.value}{told.value!r}{secret!r}"


@every_channel
def test_a_letter_is_the_notice_and_holds_no_secret(channel: Channel) -> None:
    secret = Secret((NOWHERE[channel.name], "tk_TokenOfNobody"))
    opened = channel.open(channel.settings(), secret)
    item = content.Item("hw1", "alarm", ("a1",), Priority.HIGH, "HIGH alarm: é", "Look after p1")
    item.tokens = {button: f"w0rdOf{button}" for button in channel.buttons(channel.settings())}
    letter = opened.letter(item.out())
    told = f"{letter.shown}{letter.body.decode()}{opened.host}"
    assert "Look after p1" in told
    for word in ("aTopicNobodyGuesses", "tk_TokenOfNobody", *item.tokens.values()):
        assert word not in told
    assert set(letter.shown) == set(letter.headers)
    assert opened.letter(item.out()) == letter


@every_channel
def test_nothing_is_asked_where_nobody_is_told(channel: Channel) -> None:
    opened = channel.open(channel.settings(), Secret((NOWHERE[channel.name],)))
    with contextlib.suppress(SendError):
        assert asyncio.run(opened.replies()) is None
    with pytest.raises(SendError, match="nothing leaves unseen"):
        asyncio.run(opened.asking())


@every_channel
def test_to_open_it_reaches_for_nothing(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a network connection at the start")

    monkeypatch.setattr("socket.socket.connect", never)
    monkeypatch.setattr("socket.getaddrinfo", never)
    began_s = time.monotonic()
    channel.open(channel.settings(), Secret((NOWHERE[channel.name],)))
    assert time.monotonic() - began_s < 1.0


@every_channel
def test_a_server_that_hangs_is_left_in_time(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.fetch.WHOLE_S", 1.0)
    monkeypatch.setattr("edge.notices.channels.apprise.WHOLE_S", 2.0)
    for kind in ("silent", "drip"):
        with wretched(kind) as port:
            address = NOWHERE[channel.name].replace(":1/", f":{port}/")
            opened = channel.open(channel.settings(), Secret((address,)))
            began_s = time.monotonic()
            with pytest.raises(SendError) as told:
                sent(opened, content.test("a", "box", "1"))
            assert told.value.arrived
            assert time.monotonic() - began_s < 5.0
    assert no_child_is_left()


def no_child_is_left() -> bool:
    children = Path("/proc/self/task").glob("*/children")
    return not any("_apprise_once" in command(pid) for c in children for pid in pids(c))


def pids(children: Path) -> list[str]:
    return children.read_text().split()


def command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
