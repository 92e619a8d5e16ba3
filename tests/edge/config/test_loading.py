"""TOML -> Config, and every fault with its line and its mend."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.cli._shared import plugin_defaults
from edge.config import (
    Config,
    ConfigError,
    Patient,
    PluginDefaults,
    ReaderDefaults,
    RuleDefaults,
    as_document,
    default_data_dir,
    from_document,
    load,
)
from edge.records import Priority


class Strap(msgspec.Struct, frozen=True):
    address: str
    log: Path | None = None
    rate_hz: float = 4.0
    n_tries: int = 3

    def __post_init__(self) -> None:
        if self.rate_hz <= 0:
            raise ValueError("rate_hz must be more than 0")


def _rule(where, **settings):
    return RuleDefaults(
        priority=Priority.MEDIUM,
        settings={name: default for name, (default, _, _) in settings.items()},
        limits={name: (low, high) for name, (_, low, high) in settings.items()},
        where=where,
    )


PLUGINS = PluginDefaults(
    rules={
        "low_hr": _rule("low_hr.py", limit_bpm=(45.0, 25.0, 150.0), delay_s=(10.0, 0.0, 60.0)),
        "high_hr": _rule("high_hr.py", limit_bpm=(120.0, 60.0, 200.0), delay_s=(10.0, 0.0, 60.0)),
        "low_spo2": _rule("low_spo2.py", limit_pct=(88.0, 70.0, 95.0), n_readings=(3.0, 1.0, 9.0)),
        "temp": _rule(
            "temp.py", limit_low_degc=(35.5, 30.0, 42.0), limit_high_degc=(38.5, 30.0, 42.0)
        ),
    },
    readers={
        "strap": ReaderDefaults(settings=Strap, where="edge/readers/strap.py"),
        "simulated": ReaderDefaults(settings=msgspec.defstruct("Nothing", []), where="sim.py"),
    },
)


@pytest.fixture(autouse=True)
def _data_dir(monkeypatch):
    monkeypatch.setenv("HOMEWARD_DATA_DIR", "/var/lib/homeward-test")


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "homeward.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def _refused(path, **named):
    with pytest.raises(ConfigError) as refused:
        load(path, PLUGINS, **named)
    return refused.value.problems


def test_without_a_file_everything_has_its_default():
    config = load(None, PLUGINS)
    assert config.patients == (Patient(id="patient-1"),)
    assert config.sources == ()
    assert config.alarms["low_spo2"].settings == {"limit_pct": 88.0, "n_readings": 3.0}
    assert config.alarms["low_spo2"].priority is Priority.MEDIUM
    assert all(alarm.enabled for alarm in config.alarms.values())
    assert config.alerts.reraise_s == 120.0
    assert config.box.socket == Path("/var/lib/homeward-test/control.sock")


def test_a_file_changes_what_it_names_and_nothing_else(write):
    path = write(
        """
        [box]
        data_dir = "kept"
        [[patients]]
        id = "a"
        [[patients]]
        id = "b"
        birth_year = 1950
        [[sources]]
        reader = "strap"
        patient = "b"
        address = "C0:FF"
        log = "../x.log"
        [[sources]]
        reader = "strap"
        patient = "a"
        address = "C0:EE"
        [alarms.low_spo2]
        limit_pct = 85
        priority = "high"
        [alarms.temp]
        enabled = false
        [model]
        bundle = ""
        """
    )
    config = load(path, PLUGINS)
    first, second = config.sources
    assert config.box.data_dir == path.parent / "kept"
    assert config.box.socket == path.parent / "kept/control.sock"
    assert (first.name, first.patient, second.name) == ("strap", "b", "strap-2")
    assert first.settings == Strap(address="C0:FF", log=path.parent.parent / "x.log")
    assert config.patients[1].birth_year == 1950
    assert config.alarms["low_spo2"].settings == {"limit_pct": 85.0, "n_readings": 3.0}
    assert config.alarms["low_spo2"].priority is Priority.HIGH
    assert not config.alarms["temp"].enabled
    assert config.alarms["high_hr"] == load(None, PLUGINS).alarms["high_hr"]
    assert config.model.bundle is None
    assert config.origins["alarms.low_spo2.limit_pct"] == f"{path}:19"


@pytest.mark.parametrize(
    ("text", "line", "what", "mend"),
    [
        ("[alrms]\n", 1, "no such table", "write alarms"),
        ("[box]\npacket_log_mb = 5", 2, "no such setting any more", "say in [vault]"),
        ("\n[box]\nnam = 'x'", 3, "box.nam: there is no such setting", "write name"),
        ("[box]\nname = 7", 2, 'must be text in "quotes", not 7', "correct it"),
        ("[box]\nname = ''", 2, "not the text ''", "correct it"),
        ("box = 1", 1, "must be a table", "[box]"),
        ("[box]\ndata_dir = ''", 2, "must be a path", "correct it"),
        ('[box]\ndata_dir = "a\\u0000b"', 2, "must be a path", "correct it"),
        (f"[box]\nsocket = '/{'s' * 107}'", 2, "108 bytes", "shorter"),
        ("[alerts]\nreraise_s = '60 s'", 2, "a number (seconds)", "reraise_s = 60, without"),
        ("[alerts]\nreraise_s = true", 2, "from 15 to 120, not true", "correct it"),
        ("[alerts]\nreraise_s = 5", 2, "from 15 to 120, not 5", "correct it"),
        ("[alerts]\nreraise_s = nan", 2, "not nan", "correct it"),
        ("[alerts]\nreraise_min = 2", 2, "no such setting", "seconds: write reraise_s"),
        ("[alerts]\npause_s = 121", 2, "from 10 to 120, not 121", "correct it"),
        ("[alerts]\nsignal_delay_s = 11", 2, "from 0 to 10, not 11", "correct it"),
        (
            "[escalation]\nhigh_second_carer_s = 4",
            *(2, "is 4, before high_first_carer_s = 15", "give 15 or more"),
        ),
        ("[alarms.low_sp02]", 1, "no such alarm rule", "write low_spo2"),
        ("[alarms]\nlow_spo2 = 85", 2, "must be a table, not 85", "[alarms]"),
        ("[alarms.low_spo2]\nlimit = 88", 2, "no such setting", "in percent: write limit_pct"),
        ("[alarms.low_spo2]\nlimit_percent = 8", 2, "no such", "percent: write limit_pct"),
        ("[alarms.low_spo2]\nlimit_bpm = 88", 2, "no such setting", "percent: write limit_pct"),
        ("[alarms.low_spo2]\nlimit_pct = '88 %'", 2, "(percent)", "limit_pct = 88, without"),
        ("[alarms.low_spo2]\nlimit_pct = 96", 2, "from 70 to 95, not 96", "the line out for 88"),
        ("[alarms.low_spo2]\nlimit_pct = inf", 2, "from 70 to 95, not inf", "out for 88"),
        (f"[alarms.low_spo2]\nlimit_pct = 1{'0' * 400}", 2, "from 70 to 95", "out for 88"),
        ("[alarms.low_spo2]\nlimit_pct = true", 2, "not true", "out for 88"),
        ("[alarms.low_spo2]\nn_readings = 2.5", 2, "a whole number from 1 to 9", "out for 3"),
        ("[alarms.low_spo2]\nreadings = 2", 2, "no such setting", "write n_readings"),
        ("[alarms.low_spo2]\npriority = 'urgent'", 2, 'one of "high"', "correct it"),
        ("[alarms.low_hr]\nlimit_bpm = 130", 2, "130 is not below high_hr", "raise the second"),
        ("[alarms.high_hr]\nlimit_bpm = 130\n[alarms.low_hr]\nlimit_bpm = 130", 4, "not below", ""),
        ("[alarms.temp]\nlimit_high_degc = 35", 2, "temp.limit_high_degc = 35", "lower the first"),
        ("patients = []", 1, "nobody is watched", "[[patients]]"),
        ("[patients]\nid = 'a'", 1, "list of tables", "[[patients]]"),
        ("[[patients]]\nid = 'Anna Smith'", 2, "letters, digits", "correct it"),
        ("[[patients]]\nid = 'a'\n[[patients]]\nid = 'a'", 4, "'a' is there twice", "its own"),
        ("[[patients]]\n[[patients]]", 2, "id is missing", "patient-2"),
        ("[[sources]]\nname = 'x'", 1, "reader is missing", "strap"),
        ("[[sources]]\nreader = 'strp'", 2, "no reader 'strp'", "write strap"),
        ("[[sources]]\nreader = 'strap'", 1, "address is missing", "add it"),
        ("[[sources]]\nreader = 'strap'\naddress = 1", 3, "must be text", "correct it"),
        ("[[sources]]\nreader = 'strap'\naddress = 'x'\nrate_hz = 0", 1, "more than 0", "config"),
        ("[[sources]]\nreader = 'strap'\naddres = 'x'", 3, "no such setting", "write address"),
        ("[[sources]]\nreader = 'simulated'\npatient = 'b'", 3, "no patient 'b'", '"patient-1"'),
        ("sources = [\n{reader = 'simulated'},\n7]", 3, "must be a table, not 7", "[sources]"),
        (
            "[[sources]]\nreader='simulated'\nname='x'\n[[sources]]\nreader='simulated'\nname='x'",
            6,
            "'x' is there twice",
            "its own",
        ),
        (
            "[[patients]]\nid='a'\n[[patients]]\nid='b'\n[[sources]]\nreader='simulated'",
            5,
            "patient is missing",
            '"a", "b"',
        ),
    ],
)
def test_a_fault_names_its_line_and_its_mend(write, text, line, what, mend):
    path = write(text)
    problems = _refused(path)
    assert any(
        problem.startswith(f"{path}:{line}: ") and what in problem and mend in problem
        for problem in problems
    ), problems


@pytest.mark.parametrize(
    ("text", "line", "mend"),
    [
        ("a = 88 %", 1, "a number has no unit"),
        ("\nname = homeward", 2, 'text in "quotes"'),
        ("[box]\nname = 'a'\nname = 'b'\n\n", 3, "twice"),
        ("[box]\n[box]", 2, "twice"),
        ("[box\nname = 1", 1, "as many ]"),
        ("x = [1", 1, "]"),
        ("x = 'a\n", 1, "quotes"),
        ("name", 1, "NAME = VALUE"),
        (f"x = {'9' * 5000}", 1, "fewer digits"),
        (f"x = {'[' * 5000}", 1, "nested too deep"),
    ],
)
def test_what_is_not_toml_is_told_with_its_line(write, text, line, mend):
    path = write(text)
    (problem,) = _refused(path)
    assert problem.startswith(f"{path}:{line}: this is not TOML"), problem
    assert mend in problem


def test_all_faults_are_told_in_the_order_of_the_file(write):
    path = write("[alerts]\nreraise_s = 1\n[box]\nname = 1\n[foo]\n[alarms.low_hr]\nlimit = 3\n")
    lines = [int(problem.split(":")[1]) for problem in _refused(path)]
    assert lines == [2, 4, 5, 7]


def test_tables_that_are_not_asked_for_are_not_looked_at(write):
    path = write("[box]\nname = 'bedroom'\n[alarms.low_hr]\nlimit_bpm = 9\n[model]\nno = 1\n")
    config = load(path, PluginDefaults(), only=("box", "deadman"))
    assert config.box.name == "bedroom"
    assert (config.alarms, config.model) == ({}, load(None, PLUGINS).model)
    with pytest.raises(ConfigError, match="boxes"):
        load(write("[boxes]\n"), PluginDefaults(), only=("box",))


def test_rules_switched_off_do_not_contradict(write):
    load(write("[alarms.low_hr]\nlimit_bpm = 130\nenabled = false"), PLUGINS)


def test_a_missing_file_says_how_to_write_one(tmp_path):
    (problem,) = _refused(tmp_path / "none.toml")
    assert "no such file" in problem
    assert "homeward config --toml" in problem


def test_a_folder_and_a_file_in_another_encoding_are_refused(tmp_path, write):
    assert "cannot be read" in _refused(tmp_path)[0]
    assert "save the file as UTF-8" in _refused(write("[box]\nname = 'é'".encode("latin-1")))[0]


def test_a_file_from_a_windows_editor_is_read(write):
    config = load(write(b"\xef\xbb\xbf[box]\r\nname = 'x'\r\n"), PLUGINS)
    assert config.box.name == "x"


def test_the_command_line_stands_above_the_file(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = {"box.data_dir": "7", "alarms.low_spo2.limit_pct": "80", "model.enabled": "false"}
    config = load(write("[box]\ndata_dir = '/x'"), PLUGINS, overrides=overrides)
    assert config.box.data_dir == tmp_path / "7"
    assert config.alarms["low_spo2"].settings["limit_pct"] == 80.0
    assert not config.model.enabled
    assert config.origins["box.data_dir"] == "command line"


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("alarms.low_spo2.limit", "80", "command line: alarms.low_spo2.limit: there is no such"),
        ("alarms.low_spo2.limit_pct", "low", "must be a number (percent)"),
        ("sources", "1", "cannot be set here"),
        ("box.name.first", "x", "cannot be set here"),
    ],
)
def test_a_wrong_override_is_told_as_such(write, key, value, told):
    path = write("[[sources]]\nreader = 'simulated'\n[box]\nname = 'x'")
    (problem,) = _refused(path, overrides={key: value})
    assert problem.startswith("command line: ")
    assert told in problem


def test_the_data_dir_comes_from_the_environment_first(monkeypatch, tmp_path):
    assert default_data_dir()[1] == "environment HOMEWARD_DATA_DIR"
    monkeypatch.delenv("HOMEWARD_DATA_DIR")
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/other")
    assert default_data_dir() == (tmp_path, "environment STATE_DIRECTORY")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_dir()[0] == Path("/var/lib/homeward")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir()[0] == tmp_path / "homeward"


def test_a_stored_document_is_the_same_configuration_again(write):
    path = write("[[sources]]\nreader = 'strap'\naddress = 'x'\n[alarms.low_hr]\ndelay_s = 3")
    config = load(path, PLUGINS)
    stored = msgspec.json.decode(msgspec.json.encode(as_document(config)))
    again = from_document(stored, PLUGINS)
    assert msgspec.structs.replace(again, origins={}) == msgspec.structs.replace(config, origins={})


def test_a_stored_document_that_no_longer_fits_is_refused():
    stored = as_document(load(None, PLUGINS))
    stored["alarms"]["gone"] = {"limit_pct": 3}
    with pytest.raises(ConfigError, match=r"stored: alarms\.gone: there is no such alarm rule"):
        from_document(stored, PLUGINS)


_WORDS = ["[", "[[", "]", "]]", "=", ".", ",", "{", "}", "\n", '"', "'", "#", " ", "nan", "88", "x"]
_WORDS += ["box", "alarms", "low_spo2", "limit_pct", "sources", "patients", "reader", "strap", "id"]


@given(st.text() | st.lists(st.sampled_from(_WORDS), max_size=30).map("".join))
@example("sources = [[]]")
@example("alarms = []\npatients = 3")
@example("[[sources]]\nreader = ['x']")
@example("'' = 1")
def test_any_text_is_either_read_or_refused_with_its_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    read, problems = None, ()
    try:
        read = load(path, PLUGINS)
    except ConfigError as error:
        problems = error.problems
    assert isinstance(read, Config) or problems
    assert all(problem.startswith(str(path)) for problem in problems)


@given(
    st.sampled_from(sorted(PLUGINS.rules)).flatmap(
        lambda rule: st.tuples(st.just(rule), st.sampled_from(sorted(PLUGINS.rules[rule].settings)))
    ),
    st.floats() | st.integers(-10, 300),
)
def test_no_setting_outside_its_limits_is_ever_taken(where, value):
    rule, name = where
    low, high = PLUGINS.rules[rule].limits[name]
    try:
        config = load(None, PLUGINS, overrides={f"alarms.{rule}.{name}": repr(value)})
    except ConfigError:
        return
    taken = config.alarms[rule].settings[name]
    assert math.isfinite(taken)
    assert low <= taken <= high
    assert taken == value


def test_what_the_rules_and_readers_here_bring_along_is_within_its_own_limits():
    plugins = plugin_defaults()
    config = load(None, plugins)
    assert config.alarms.keys() == plugins.rules.keys()
    assert "simulated" in plugins.readers
    for rule in plugins.rules.values():
        for name, (low, high) in rule.limits.items():
            assert low <= rule.settings[name] <= high, (rule.where, name)
