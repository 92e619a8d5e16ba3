"""Config -> settings with their origin, JSON schema, TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli._shared import plugin_defaults
from edge.config import (
    PluginDefaults,
    ReaderDefaults,
    RuleDefaults,
    as_toml,
    effective,
    json_schema,
    load,
    unit_of,
)
from edge.config.toml_text import toml_value
from edge.records import Priority


class Link(msgspec.Struct, frozen=True):
    """What to read.

    More that is not for a schema.
    """

    address: str
    names: Mapping[str, str] = {}
    to_s: float | None = None


PLUGINS = PluginDefaults(
    rules={
        "low_spo2": RuleDefaults(
            priority=Priority.MEDIUM,
            settings={"limit_pct": 88.0, "n_readings": 3.0},
            limits={"limit_pct": (70.0, 95.0), "n_readings": (1.0, 9.0)},
            where="edge/alarms/low_spo2.py",
            source="somewhere",
        )
    },
    readers={"link": ReaderDefaults(settings=Link, where="edge/readers/link.py")},
)

FILE = """
[box]
name = "Über \\"box\\"\\n"
[[patients]]
id = "a"
[[sources]]
reader = "link"
address = "C0\\u007f"
names = {"x.y" = "z"}
[alarms]
low_spo2.limit_pct = 85
[model]
bundle = "folder"
"""


@pytest.fixture(autouse=True)
def _data_dir(monkeypatch):
    monkeypatch.setenv("HOMEWARD_DATA_DIR", "/var/lib/homeward-test")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "homeward.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def _without_origins(config):
    return msgspec.structs.replace(config, origins={})


def test_each_setting_has_its_unit_and_where_it_was_set(file):
    config = load(file, PLUGINS, overrides={"ring.capacity_s": "90"})
    rows = {row.key: row for row in effective(config, PLUGINS)}
    limit = rows["alarms.low_spo2.limit_pct"]
    assert (limit.value, limit.unit, limit.source) == (85.0, "pct", f"{file}:11")
    count = rows["alarms.low_spo2.n_readings"]
    assert (count.value, count.unit) == (3, "n")
    assert count.source == "default (edge/alarms/low_spo2.py)"
    assert rows["sources[0].to_s"].source == "default (edge/readers/link.py)"
    assert rows["sources[0].address"].source == f"{file}:8"
    assert rows["box.data_dir"].source == "environment HOMEWARD_DATA_DIR"
    assert rows["ring.capacity_s"].source == "command line"
    assert rows["patients[0].birth_year"].value is None
    assert next(iter(rows)) == "box.name"


def test_every_setting_that_is_a_number_names_a_unit():
    config = load(None, plugin_defaults())
    numbers = [
        row.key
        for row in effective(config, plugin_defaults())
        if isinstance(row.value, float) and not row.unit
    ]
    assert numbers == []


@pytest.mark.parametrize("name", ["limit_pct", "n_beats", "at_s", "hr_bpm", "temp_degc"])
def test_a_unit_is_the_last_word(name):
    assert unit_of(name) in {"pct", "n", "s", "bpm", "degc"}


@pytest.mark.parametrize("name", ["name", "s", "data_dir", "n", ""])
def test_a_name_without_unit_has_none(name):
    assert unit_of(name) == ""


def test_the_toml_is_read_back_into_the_same_configuration(file, tmp_path):
    for config in (load(None, PLUGINS), load(file, PLUGINS)):
        again = tmp_path / "again.toml"
        again.write_text(as_toml(config, PLUGINS), encoding="utf-8")
        assert _without_origins(load(again, PLUGINS)) == _without_origins(config)


def test_the_toml_with_all_its_defaults_written_out_is_the_same_configuration(file, tmp_path):
    config = load(file, PLUGINS)
    text = re.sub(r"(?m)^#(?=[a-z\[].*[^ \n]$)", "", as_toml(config, PLUGINS))
    assert tomllib.loads(text)["alarms"]["low_spo2"]["n_readings"] == 3
    again = tmp_path / "again.toml"
    again.write_text(text, encoding="utf-8")
    assert _without_origins(load(again, PLUGINS)) == _without_origins(config)


def test_the_toml_of_everything_found_here_is_read_back(tmp_path):
    plugins = plugin_defaults()
    again = tmp_path / "again.toml"
    text = as_toml(load(None, plugins), plugins)
    again.write_text(re.sub(r"(?m)^#(?=[a-z\[].*[^ \n]$)", "", text), encoding="utf-8")
    first = next(iter(plugins.readers))
    assert f"[[sources]]\nreader = {first!r}".replace("'", '"') in again.read_text("utf-8")
    again.write_text(text, encoding="utf-8")
    assert _without_origins(load(again, plugins)) == _without_origins(load(None, plugins))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_the_toml(text):
    assert tomllib.loads(f"x = {toml_value(text)}")["x"] == text


@given(st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1) | st.booleans())
def test_any_number_survives_the_toml(value):
    again = tomllib.loads(f"x = {toml_value(value)}")["x"]
    assert again == value
    assert type(again) is type(value)


def test_the_schema_bounds_each_number_and_names_its_unit():
    schema = json_schema(PLUGINS)
    rule = schema["properties"]["alarms"]["properties"]["low_spo2"]["properties"]
    assert rule["limit_pct"] == {
        "type": "number",
        "default": 88.0,
        "minimum": 70.0,
        "maximum": 95.0,
        "description": "Unit: percent.",
    }
    assert rule["n_readings"]["type"] == "integer"
    assert set(rule["priority"]["enum"]) == {"high", "medium", "low", "information"}
    reraise = schema["$defs"]["Alerts"]["properties"]["reraise_s"]
    assert (reraise["minimum"], reraise["maximum"]) == (15.0, 120.0)
    assert "seconds" in reraise["description"]


def test_the_schema_refuses_what_the_loader_refuses():
    schema = json_schema(PLUGINS)
    tables = [schema, *schema["$defs"].values(), schema["properties"]["alarms"]]
    (link,) = schema["properties"]["sources"]["items"]["oneOf"]
    tables += [link, *schema["properties"]["alarms"]["properties"].values()]
    assert all(table["additionalProperties"] is False for table in tables)
    assert link["required"] == ["reader", "address"]
    assert link["properties"]["reader"] == {"const": "link"}
    assert link["properties"]["to_s"] == {"type": "number", "description": "Unit: seconds."}
    assert link["description"] == "What to read."


def test_the_schema_knows_every_setting_there_is():
    plugins = plugin_defaults()
    schema = json.loads(json.dumps(json_schema(plugins)))
    for row in effective(load(None, plugins), plugins):
        table, _, name = row.key.rpartition(".")
        if table.startswith(("alarms.", "annunciators.")):
            above, _, plugin = table.partition(".")
            known = schema["properties"][above]["properties"][plugin]
        elif table.startswith("patients"):
            known = schema["$defs"]["Patient"]
        else:
            known = schema["$defs"][schema["properties"][table]["$ref"].rpartition("/")[2]]
        assert name in known["properties"], row.key
