"""``[[notices]]`` and ``[deadman]``: read, listed, written, and refused where they cannot be."""

import re

import msgspec
import pytest

from edge.cli._shared import plugin_defaults
from edge.config import (
    ConfigError,
    as_document,
    as_toml,
    effective,
    from_document,
    json_schema,
    load,
)
from edge.notices.channels.ntfy import Settings

PLUGINS = plugin_defaults()
FILE = """
[[notices]]
channel = "ntfy"
url_file = "anna.ntfy"
name = "anna"
who = ["first_carer", "Anna"]
from_priority = "medium"
quiet_from = "22:00"
quiet_to = "07:00"
answers = true

[[notices]]
channel = "apprise"
url_file = "/etc/homeward/mail"
on = "raise"

[deadman]
url_file = "deadman"
every_s = 120
"""


@pytest.fixture(autouse=True)
def _data_dir(monkeypatch):
    monkeypatch.setenv("HOMEWARD_DATA_DIR", "/var/lib/homeward-test")


@pytest.fixture
def write(tmp_path):
    def writer(text):
        path = tmp_path / "box.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return writer


def plain(config):
    return msgspec.structs.replace(config, origins={})


def test_each_destination_is_read_with_its_channels_options(write):
    config = load(write(FILE), PLUGINS)
    anna, mail = config.notices
    assert anna.who == ("first_carer", "Anna")
    assert (anna.from_priority, anna.quiet_from) == ("medium", "22:00")
    assert anna.settings == Settings(answers=True)
    assert (mail.name, mail.on, mail.who) == ("apprise", "raise", ("first_carer",))
    assert (config.deadman.url_file, config.deadman.every_s) == ("deadman", 120.0)


def test_by_default_nobody_is_told_and_nothing_is_pinged():
    config = load(None, PLUGINS)
    assert config.notices == ()
    assert config.deadman.url_file is None


def test_it_survives_every_way_it_is_written(write, tmp_path):
    config = load(write(FILE), PLUGINS)
    assert plain(from_document(as_document(config), PLUGINS)) == plain(config)
    again = tmp_path / "again.toml"
    text = as_toml(config, PLUGINS)
    for written in (text, re.sub(r"(?m)^#(?=[a-z\[].*[^ \n]$)", "", text)):
        again.write_text(written, encoding="utf-8")
        assert plain(load(again, PLUGINS)).notices == config.notices


def test_it_is_listed_with_its_line_and_its_default(write):
    file = write(FILE)
    rows = {row.key: row for row in effective(load(file, PLUGINS), PLUGINS)}
    assert rows["notices[0].from_priority"].source == f"{file}:7"
    assert rows["notices[1].technical"].source == "default (edge/notices/channels/apprise.py)"


def test_the_schema_knows_it():
    schema = json_schema(PLUGINS)
    kinds = schema["properties"]["notices"]["items"]["oneOf"]
    assert {kind["properties"]["channel"]["const"] for kind in kinds} == set(PLUGINS.channels)
    assert all(kind["required"] == ["channel", "url_file"] for kind in kinds)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[notices]]\nchannel = "nfty"\nurl_file = "x"\n', "ntfy"),
        ('[[notices]]\nurl_file = "x"\n', "there is no channel None"),
        ('[[notices]]\nchannel = "ntfy"\n', "url_file is missing"),
        ('[[notices]]\nchannel = "ntfy"\nurl_file = "x"\nurl = "https://x"\n', "url"),
        ('[[notices]]\nchannel = "ntfy"\nurl_file = "x"\nwho = []\n', "who"),
        ('[[notices]]\nchannel = "ntfy"\nurl_file = "x"\nquiet_from = "25:00"\n', "quiet_from"),
        ('[[notices]]\nchannel = "ntfy"\nurl_file = "x"\nquiet_floor = "never"\n', "quiet_floor"),
        ('[[notices]]\nchannel = "ntfy"\nurl_file = "x"\n' * 2 + 'name = "ntfy"\n', "name of two"),
        ('[notices]\nchannel = "ntfy"\n', "two brackets"),
        ("[deadman]\nevery_s = 1\n", "every_s"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(write, text, told):
    with pytest.raises(ConfigError) as refused:
        load(write(text), PLUGINS)
    assert told in str(refused.value)
    assert "box.toml" in str(refused.value)
