"""``[annunciators.<name>]``: what is set reaches the annunciator, what cannot be is told."""

import msgspec
import pytest

from edge.annunciators.sound import Settings
from edge.cli._shared import plugin_defaults
from edge.config import ConfigError, as_document, effective, from_document, load

PLUGINS = plugin_defaults()


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


def test_every_annunciator_is_set_and_on_when_nobody_says_otherwise():
    config = load(None, PLUGINS)

    assert set(config.annunciators) == set(PLUGINS.annunciators) >= {"sound", "gpio"}
    assert all(one.enabled for one in config.annunciators.values())
    assert config.annunciators["sound"].settings == Settings()


def test_what_is_set_arrives_and_is_listed_with_its_line(write):
    file = write('[annunciators.sound]\nenabled = false\ndevice = "hw:1"\nvolume_dbfs = -3\n')
    config = load(file, PLUGINS)

    assert not config.annunciators["sound"].enabled
    assert config.annunciators["sound"].settings == Settings(device="hw:1", volume_dbfs=-3.0)
    rows = {row.key: (row.value, row.source) for row in effective(config, PLUGINS)}
    assert rows["annunciators.sound.device"] == ("hw:1", f"{file}:3")
    where = "default (edge/annunciators/sound.py)"
    assert rows["annunciators.sound.night_high_dbfs"] == (-6.0, where)


def test_a_stored_configuration_has_them_again(write):
    config = load(write("[annunciators.gpio]\nred_pin = 17\nbutton_pin = 22\n"), PLUGINS)
    again = from_document(as_document(config), PLUGINS)

    assert again.annunciators == config.annunciators
    assert msgspec.structs.asdict(again.annunciators["gpio"].settings)["red_pin"] == 17


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[annunciators.sund]\n", "sound"),
        ("[annunciators.sound]\nvolumne_dbfs = -1\n", "volume_dbfs"),
        ("[annunciators.sound]\nenabled = 1\n", "true or false"),
        ("[annunciators.sound]\nbuffer_ms = 5000\n", "60 to 200"),
        ('[annunciators.sound]\nnight_from = "25:00"\n', "a time of day"),
        ("[annunciators.sound]\nnight_high_dbfs = -40\n", "-12"),
        ("[annunciators.gpio]\nred_pin = 17\nbutton_pin = 17\n", "two things are wired to pin 17"),
        ("annunciators = 3\n", "must be a table"),
        ("[annunciators]\nsound = 3\n", "must be a table"),
    ],
)
def test_what_would_make_an_alarm_unheard_is_refused_with_its_place(write, text, told):
    with pytest.raises(ConfigError) as refused:
        load(write(text), PLUGINS)

    assert told in str(refused.value)
    assert "box.toml:" in str(refused.value)
    assert "annunciators" in str(refused.value)
