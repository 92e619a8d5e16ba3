"""What people changed with `homeward limits`, over the settings file."""

import json

import msgspec
import pytest

from edge.assemble import facts_of
from edge.cli._shared import plugin_defaults
from edge.config import ConfigError, effective, load
from edge.config.changes import in_force, laid_over, read_changes, read_sweep
from edge.config.kept import (
    FILE,
    KeptPatient,
    KeptPreset,
    KeptScale,
    KeptValue,
    Who,
    flatten,
    named,
    read_kept,
    unflatten,
    without_void,
    write_kept,
)

PLUGINS = plugin_defaults()
ANN = Who("Ann", "carer", "2026-03-01T08:00:00Z", "calm nights")
TOML = """
[alarms.low_spo2]
limit_pct = 90
[alarms.high_hr]
limit_bpm = 125
[[patients]]
id = "bed-1"
birth_year = 1954
preset = "copd"
spo2_scale = 2
spo2_scale_by = "Dr Lo"
spo2_scale_on = "2026-01-01"
spo2_scale_why = "gases"
[patients.alarms.low_hr]
limit_bpm = 45
[[patients]]
id = "bed-2"
"""


@pytest.fixture(name="config_with")
def a_file_read_with_what_is_kept(tmp_path):
    file = tmp_path / "box.toml"
    file.write_text(TOML)

    def config_with(kept, text=TOML, **overrides):
        file.write_text(text)
        return load(file, PLUGINS, overrides=overrides, kept=lambda _folder: kept)

    return config_with


def values(**rules):
    return {
        rule: {key: KeptValue(value, ANN) for key, value in table.items()}
        for rule, table in rules.items()
    }


def limit(config, patient, rule):
    one = in_force(config, patient)[rule].settings
    return one[next(key for key in one if key.startswith("limit"))]


def test_what_is_kept_stands_above_the_file_and_below_the_command_line(config_with):
    kept = {"bed-1": KeptPatient(values(low_spo2={"limit_pct": 85.0}, low_hr={"limit_bpm": 42.0}))}
    config = config_with(kept)
    assert (limit(config, "bed-1", "low_spo2"), limit(config, "bed-1", "low_hr")) == (85.0, 42.0)
    assert limit(config, "bed-1", "very_low_spo2") == 84.0  # the file's preset
    assert limit(config, "bed-2", "low_spo2") == 90.0
    typed = config_with(kept, **{"alarms.low_spo2.limit_pct": "87"})
    assert limit(typed, "bed-1", "low_spo2") == 87.0


def test_the_listing_says_who_when_and_why(config_with):
    kept = {"bed-2": KeptPatient(values(low_spo2={"limit_pct": 85.0}))}
    rows = {row.key: row for row in effective(config_with(kept), PLUGINS)}
    row = rows["patients[1].alarms.low_spo2.limit_pct"]
    assert row.value == 85.0
    assert row.source == "homeward limits, Ann (carer) on 2026-03-01: calm nights"


def test_a_preset_chosen_here_stands_above_the_box_and_leaves_the_files_own_aside(config_with):
    table = config_with({}).tables["bed-1"]
    void = {k: v for k, v in flatten(table) if k == "preset" or k.startswith("alarms.")}
    kept = {"bed-1": KeptPatient(preset=KeptPreset("athlete", ANN), void=void)}
    config = config_with(kept)
    assert limit(config, "bed-1", "low_hr") == 40.0  # athlete, not the file's 45
    assert limit(config, "bed-1", "low_spo2") == 90.0  # the box's
    assert limit(config, "bed-1", "very_low_spo2") == 85.0  # no longer copd's
    assert config.patients[0].preset == "athlete"
    assert config.patients[0].birth_year == 1954  # it is the same person
    assert config.patients[0].spo2_scale == 2
    changed = config_with(kept, TOML.replace("limit_bpm = 45", "limit_bpm = 44"))
    assert limit(changed, "bed-1", "low_hr") == 44.0  # the file says something else since


def test_of_the_one_who_lay_here_before_nothing_is_left(config_with):
    table = config_with({}).tables["bed-1"]
    kept = {"bed-1": KeptPatient(preset=KeptPreset("", ANN), void=dict(flatten(table)))}
    config = config_with(kept)
    assert in_force(config, "bed-1") == in_force(config, "bed-2")
    one = facts_of(config, 2026)[0]
    assert (one.at_least_years, one.spo2_scale, config.patients[0].preset) == (None, 1, None)
    new = config_with(kept, TOML.replace("1954", "1971"))
    assert facts_of(new, 2026)[0].at_least_years == 54
    assert new.patients[0].spo2_scale == 1


def test_scale_2_is_there_with_who_decided_it(config_with):
    kept = {"bed-2": KeptPatient(scale=KeptScale(2, ANN))}
    facts = facts_of(config_with(kept), 2026)[1]
    assert (facts.spo2_scale, facts.decided_by, facts.why) == (2, "Ann", "calm nights")
    assert facts.decided_on == "2026-03-01"


def test_no_preset_that_exists_switches_scale_2_on(config_with):
    for name in ("adult", "athlete", "copd", "older_adult", "post_surgery"):
        kept = {"bed-2": KeptPatient(preset=KeptPreset(name, ANN))}
        assert config_with(kept).patients[1].spo2_scale == 1


def test_what_was_kept_and_does_not_suit_any_more_is_refused_with_its_place(config_with):
    kept = {"bed-2": KeptPatient(values(low_spo2={"limit_pct": 20.0}))}
    with pytest.raises(ConfigError, match=r"limits\.json \(see `homeward limits`\).*from 80 to 95"):
        config_with(kept)


def test_what_is_written_is_read_back_and_nothing_is_left_beside_it(tmp_path):
    kept = {"bedside": KeptPatient(values(low_spo2={"limit_pct": 85.0}), scale=KeptScale(2, ANN))}
    (tmp_path / ".limits-left").write_text("of a program that was killed")
    write_kept(tmp_path, {})
    write_kept(tmp_path, kept)
    assert named(read_kept(tmp_path), ["other", "bedside"]) == kept
    assert "bedside" not in (tmp_path / FILE).read_text()
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    assert read_kept(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("flip", range(0, 300, 7))
def test_a_bit_that_flipped_is_noticed(tmp_path, flip):
    write_kept(tmp_path, {"bed": KeptPatient(values(low_spo2={"limit_pct": 85.0}))})
    file = tmp_path / FILE
    text = bytearray(file.read_bytes())
    before = json.loads(text)
    text[flip % len(text)] ^= 4
    file.write_bytes(text)
    try:
        same = json.loads(text) == before
    except ValueError:
        same = False
    if same:  # white space
        read_kept(tmp_path)
        return
    with pytest.raises(ConfigError, match=r"limits\.json"):
        read_kept(tmp_path)


def test_a_disk_that_will_not_have_it_leaves_the_old_file(tmp_path):
    folder = tmp_path / "data"
    write_kept(folder, {})
    before = (folder / FILE).read_bytes()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):  # noqa: PT011  # any of them
        write_kept(tmp_path / "file", {"a": KeptPatient()})
    assert (folder / FILE).read_bytes() == before


def test_tables_are_flattened_and_back():
    table = {"birth_year": 1, "alarms": {"low_hr": {"limit_bpm": 45, "delay_s": 3}}}
    assert unflatten(dict(flatten({"id": "x", **table}))) == table
    void = {"birth_year": 1, "alarms.low_hr.limit_bpm": 44}
    assert without_void(table, void) == {"alarms": table["alarms"]}


def test_limits_as_people_type_them():
    before = in_force(load(None, PLUGINS), "patient-1")
    layer = read_changes(["alarms.low_spo2.limit_pct=86", "low_hr.enabled=false"], before, PLUGINS)
    assert layer == {"low_spo2": {"limit_pct": 86.0}, "low_hr": {"enabled": False}}
    after = laid_over(before, layer)
    assert after["low_spo2"].settings == {**before["low_spo2"].settings, "limit_pct": 86.0}
    assert not after["low_hr"].enabled
    rule, name, swept = read_sweep("low_spo2.limit_pct=84..85:0.5", before, PLUGINS)
    assert (rule, name, swept) == ("low_spo2", "limit_pct", (84.0, 84.5, 85.0))


def test_who_is_told_in_words():
    assert ANN.words == "Ann (carer) on 2026-03-01: calm nights"
    assert msgspec.json.decode(msgspec.json.encode(ANN), type=Who) == ANN
