"""Presets and limits of one patient: which layer stands above which, and where a value is from."""

import re

import msgspec
import pytest

from edge.assemble import facts_of, settings_of
from edge.cli._shared import plugin_defaults
from edge.config import (
    ConfigError,
    as_document,
    as_toml,
    effective,
    from_document,
    json_schema,
    load,
    preset_names,
    read_preset,
)

PLUGINS = plugin_defaults()
every_preset = pytest.mark.parametrize("name", preset_names())


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


def rows(config):
    return {row.key: (row.value, row.source) for row in effective(config, PLUGINS)}


def test_the_presets_that_were_promised_are_there():
    assert set(preset_names()) == {"adult", "older_adult", "copd", "athlete", "post_surgery"}


@every_preset
def test_a_preset_names_its_source_and_stays_within_the_limits_of_the_rules(name):
    preset = read_preset(name, PLUGINS)

    assert preset.title
    assert "NEWS2" in preset.source or "doi" in preset.source or "clinical.md" in preset.source
    for rule, settings in preset.alarms.items():
        for key, value in settings.items():
            low, high = PLUGINS.rules[rule].limits[key]
            assert low <= value <= high
            assert value != PLUGINS.rules[rule].settings[key], (rule, key)


@every_preset
def test_a_preset_sets_nothing_but_alarms_and_never_the_scale(name, write):
    config = load(write(f'[[patients]]\npreset = "{name}"\n'), PLUGINS)

    assert config.patients[0].spo2_scale == 1
    assert config.patient_alarms == {}
    preset = read_preset(name, PLUGINS)
    for rule, alarm in config.alarms.items():
        wanted = {**PLUGINS.rules[rule].settings, **preset.alarms.get(rule, {})}
        assert alarm.settings == wanted
        known = PLUGINS.rules[rule]
        assert (alarm.enabled, alarm.priority) == (known.enabled, known.priority)


def test_a_preset_is_told_as_the_origin_with_its_line(write):
    listed = rows(load(write('[[patients]]\npreset = "copd"\n'), PLUGINS))
    value, source = listed["alarms.low_spo2.limit_pct"]

    assert value == 86.0
    assert re.fullmatch(r"preset copd \(edge/config/presets/copd\.toml:\d+\)", source)
    assert listed["alarms.low_spo2.delay_s"][1] == "default (edge/alarms/low_spo2.py)"


def test_the_file_stands_above_the_preset_and_the_command_line_above_the_file(write):
    file = write('[[patients]]\npreset = "copd"\n[alarms.low_spo2]\nlimit_pct = 87\n')
    over = {"alarms.very_low_spo2.limit_pct": "83"}
    listed = rows(load(file, PLUGINS, overrides=over))

    assert listed["alarms.low_spo2.limit_pct"] == (87.0, f"{file}:4")
    assert listed["alarms.very_low_spo2.limit_pct"] == (83.0, "command line")


TWO = """
[[patients]]
id = "a"
preset = "copd"
[patients.alarms.low_hr]
limit_bpm = 45
[[patients]]
id = "b"
[alarms.high_hr]
limit_bpm = 130
"""


def test_two_patients_each_have_their_own(write):
    file = write(TWO)
    config = load(file, PLUGINS)
    told = settings_of(config)

    assert set(told.rules_of) == {"a"}
    assert told.rules_of["a"]["low_spo2"].values["limit_pct"] == 86.0
    assert told.rules_of["a"]["low_hr"].values["limit_bpm"] == 45.0
    assert told.rules_of["a"]["high_hr"].values["limit_bpm"] == 130.0
    assert told.rules["low_spo2"].values["limit_pct"] == 88.0
    listed = rows(config)
    assert listed["patients[0].alarms.low_hr.limit_bpm"] == (45.0, f"{file}:6")
    assert listed["patients[0].alarms.low_spo2.limit_pct"][1].startswith("preset copd (")
    assert "patients[0].alarms.high_hr.limit_bpm" not in listed
    assert "patients[1].alarms.low_spo2.limit_pct" not in listed


def test_a_new_patient_begins_with_the_preset_and_nothing_of_the_one_before(write):
    before = load(write(TWO), PLUGINS)
    after = load(write(TWO.replace("[patients.alarms.low_hr]\nlimit_bpm = 45\n", "")
                           .replace('id = "a"', 'id = "c"')), PLUGINS)  # fmt: skip

    assert before.patient_alarms["a"]["low_hr"].settings["limit_bpm"] == 45.0
    assert set(after.patient_alarms) == {"c"}
    assert after.patient_alarms["c"]["low_hr"].settings["limit_bpm"] == 50.0
    assert after.patient_alarms["c"]["low_spo2"].settings["limit_pct"] == 86.0


def test_the_command_line_stands_above_one_patients_own_limits(write):
    config = load(write(TWO), PLUGINS, overrides={"alarms.low_hr.limit_bpm": "41"})

    assert config.patient_alarms["a"]["low_hr"].settings["limit_bpm"] == 41.0


def test_a_rule_can_be_off_for_one_patient(write):
    config = load(write('[[patients]]\nid = "a"\n[patients.alarms.fall]\n'.replace(
        "fall", "anomaly") + "enabled = false\n"), PLUGINS)  # fmt: skip

    assert config.alarms["anomaly"].enabled
    assert not config.patient_alarms["a"]["anomaly"].enabled


@pytest.mark.parametrize("text", [TWO, '[[patients]]\npreset = "athlete"\n'])
def test_both_ways_back_give_the_same_configuration(write, tmp_path, text):
    config = load(write(text), PLUGINS)

    def plain(one):
        return msgspec.structs.replace(one, origins={})

    assert plain(from_document(as_document(config), PLUGINS)) == plain(config)
    again = tmp_path / "again.toml"
    again.write_text(as_toml(config, PLUGINS), encoding="utf-8")
    assert plain(load(again, PLUGINS)) == plain(config)


DECIDED = """
[[patients]]
birth_year = 1954
preset = "copd"
spo2_scale = 2
spo2_scale_by = "Dr Lo"
spo2_scale_on = "2026-03-01"
spo2_scale_why = "hypercapnia in the blood gas, target 88-92 %"
"""


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('[[patients]]\npreset = "copdd"\n', 2, "there is no preset 'copdd'; write copd"),
        ("[[patients]]\n[patients.alarms.low_spo]\n", 2, "write low_spo2"),
        ("[[patients]]\n[patients.alarms.low_spo2]\nlimit_pct = 20\n", 3, "from 80 to 95"),
        ('[[patients]]\n[patients.alarms.low_hr]\npriority = "low"\n', 3, "in [alarms.low_hr]"),
        ("[[patients]]\n[patients.alarms.disk_low]\nbad_pct = 9\n", 2, "in [alarms.disk_low]"),
        ("[[patients]]\nalarms = 3\n", 2, "must be a table"),
        ("[[patients]]\n[patients.alarms]\nvery_high_hr.limit_bpm = 100\n", 3, "from 110 to 220"),
        ("[[patients]]\nspo2_scale = 2\n", 2, "scale 2 is a clinician's decision"),
        (
            '[[patients]]\nspo2_scale = 2\nspo2_scale_by = "Lo"\nspo2_scale_on = "2026-03-01"\n',
            2,
            "add who, when and why",
        ),
        (DECIDED.replace("2026-03-01", "1 March"), 7, 'write it as "2026-03-01"'),
        ("[[patients]]\nspo2_scale = 3\n", 2, "one of "),
        ("[[patients]]\nbirth_year = 1850\n", 2, "from 1900 to 2100"),
    ],
)
def test_a_fault_names_its_line_and_its_mend(write, text, line, told):
    file = write(text)
    with pytest.raises(ConfigError) as found:
        load(file, PLUGINS)

    assert f"{file}:{line}: " in str(found.value)
    assert told in str(found.value)


def test_a_decision_for_scale_2_is_carried_with_who_when_and_why(write):
    (facts,) = facts_of(load(write(DECIDED), PLUGINS), 2026)

    assert (facts.spo2_scale, facts.decided_by, facts.decided_on) == (2, "Dr Lo", "2026-03-01")
    assert "hypercapnia" in facts.why


@pytest.mark.parametrize(
    ("birth_year", "year", "years"), [(1954, 2026, 71), (2010, 2026, 15), (2026, 2026, 0)]
)
def test_who_may_not_have_had_a_birthday_yet_is_a_year_younger(write, birth_year, year, years):
    config = load(write(f"[[patients]]\nbirth_year = {birth_year}\n"), PLUGINS)

    assert facts_of(config, year)[0].at_least_years == years


def test_a_clock_that_is_not_set_tells_no_age():
    config = load(None, PLUGINS)

    assert facts_of(config, 2026)[0].at_least_years is None
    config = msgspec.structs.replace(
        config, patients=(msgspec.structs.replace(config.patients[0], birth_year=1950),)
    )
    assert facts_of(config, 1970)[0].at_least_years is None


def test_the_schema_knows_presets_and_limits_of_one_patient():
    known = json_schema(PLUGINS)["$defs"]["Patient"]["properties"]

    assert known["preset"]["enum"] == list(preset_names())
    own = known["alarms"]["properties"]["low_spo2"]
    assert "limit_pct" in own["properties"]
    assert "priority" not in own["properties"]
    assert "disk_low" not in known["alarms"]["properties"]
    assert own["additionalProperties"] is False
