"""``[sync]`` and ``[[sinks]]``: read, listed, written, and refused where they cannot be."""

import re

import msgspec
import pytest

from edge.cli._shared import plugin_defaults, sink_defaults
from edge.config import (
    ConfigError,
    SinkDefaults,
    as_document,
    as_toml,
    effective,
    from_document,
    json_schema,
    load,
)


class Options(msgspec.Struct, frozen=True):
    """Of a sink that takes everything."""

    url_file: str = "url"
    retries_n: int = 3


class Strict(msgspec.Struct, frozen=True):
    """Of a sink that needs to be told where."""

    topic: str


PLUGINS = msgspec.structs.replace(
    plugin_defaults(),
    sinks={
        "far": SinkDefaults(
            Options, "far.py", frozenset({"alerts", "summaries", "heartbeats", "numbers"})
        ),
        "near": SinkDefaults(Strict, "near.py", frozenset({"numbers"})),
    },
)
FILE = """
[sync]
box = "bed-7"
epsilon_per_day = 1
metered = ["wwan0"]

[[sinks]]
sink = "far"
name = "clinic"
content = ["alerts", "summaries"]
retries_n = 5

[[sinks]]
sink = "far"

[[sinks]]
sink = "near"
topic = "home"
"""

NOTICE = '[[notices]]\nchannel = "ntfy"\nurl_file = "x"\n'


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


def test_each_destination_is_read_with_its_sinks_options(write):
    config = load(write(FILE), PLUGINS)
    clinic, other, near = config.sinks
    assert (config.sync.box, config.sync.epsilon_per_day) == ("bed-7", 1.0)
    assert config.sync.metered == ("wwan0",)
    assert (clinic.name, clinic.content) == ("clinic", ("alerts", "summaries"))
    assert clinic.settings == Options(retries_n=5)
    assert (other.name, other.content) == ("far-2", ("alerts", "summaries", "heartbeats"))
    assert (near.name, near.content) == ("near", ("numbers",))


def test_by_default_nothing_goes_anywhere():
    config = load(None, plugin_defaults())
    assert config.sinks == ()
    assert config.sync.epsilon_per_day == 0.0


def test_the_sinks_that_exist_are_found_whatever_they_are():
    for name, sink in sink_defaults().sinks.items():
        assert sink.where == f"edge/sync/sinks/{name}.py"
        assert sink.takes <= {"alerts", "summaries", "heartbeats", "numbers"}


def test_it_survives_every_way_it_is_written(write, tmp_path):
    config = load(write(FILE), PLUGINS)
    assert plain(from_document(as_document(config), PLUGINS)) == plain(config)
    again = tmp_path / "again.toml"
    text = as_toml(config, PLUGINS)
    for written in (text, re.sub(r"(?m)^#(?=[a-z\[].*[^ \n]$)", "", text)):
        again.write_text(written, encoding="utf-8")
        assert plain(load(again, PLUGINS)).sinks == config.sinks


def test_every_setting_says_where_it_was_set(write):
    file = write(FILE)
    rows = {row.key: row for row in effective(load(file, PLUGINS), PLUGINS)}
    assert rows["sync.box"].source == f"{file}:3"
    assert rows["sinks[0].retries_n"].source == f"{file}:11"
    assert rows["sinks[1].url_file"].source == "default (far.py)"


def test_the_schema_has_a_form_for_each_sink():
    schema = json_schema(PLUGINS)
    far, near = schema["properties"]["sinks"]["items"]["oneOf"]
    assert far["properties"]["sink"] == {"const": "far"}
    assert near["properties"]["content"]["items"]["enum"] == ["numbers"]
    assert near["required"] == ["sink", "topic"]
    assert json_schema(plugin_defaults())["properties"]["sync"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[sinks]]\nsink = "fra"\n', "far"),
        ("[[sinks]]\nname = 'x'\n", "there is no sink None"),
        ('[sinks]\nsink = "far"\n', "two brackets"),
        ('[[sinks]]\nsink = "near"\n', "topic is missing"),
        ('[[sinks]]\nsink = "near"\ntopic = "x"\ncontent = ["alerts"]\n', "cannot carry 'alerts'"),
        ('[[sinks]]\nsink = "far"\ncontent = []\n', "content"),
        ('[[sinks]]\nsink = "far"\ncontent = ["raw"]\n', "content"),
        ('[[sinks]]\nsink = "far"\n' * 2 + 'name = "far"\n', "name of two"),
        ('[[sinks]]\nsink = "far"\nname = "two words"\n', "name"),
        ('[[sinks]]\nsink = "far"\npassword = "x"\n', "password"),
        ('[[sinks]]\nsink = "far"\n' * 17, "more than 16"),
        ('[sync]\nbox = "Bed 7"\n', "box"),
        ("[sync]\nepsilon_per_day = -1\n", "epsilon_per_day"),
        (
            f"{NOTICE}name = 'a'\n[[sinks]]\nsink = 'far'\nname = 'a'\n",
            "name of two",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_mend(write, text, told):
    with pytest.raises(ConfigError, match=told):
        load(write(text), PLUGINS)
