"""What every way to be heard or seen must do; a new one is tested by being dropped in."""

import time
from typing import get_type_hints

import msgspec
import pytest

import edge.annunciators
from edge.annunciators import UNHEARD_S, Annunciator, Quiet, Rim
from edge.config.fields import meaning
from edge.discover import discover, plugin_names
from edge.records import Priority

ANNUNCIATORS = discover(edge.annunciators, "ANNUNCIATOR", Annunciator)
every_annunciator = pytest.mark.parametrize("kind", ANNUNCIATORS, ids=lambda kind: kind.name)
SIGNALS = [
    Quiet(priority=priority, category=category, audible=audible, reminder=not audible)
    for priority in (None, *Priority)
    for category in ("general", "oxygenation", "no such category", "")
    for audible in (True, False)
]


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A box that has neither a sound card nor pins, so that a test is never heard."""
    config = tmp_path / "asound.conf"
    config.write_text("")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))


def test_one_is_found():
    assert "sound" in plugin_names(edge.annunciators)


@every_annunciator
def test_its_name_is_its_files(kind):
    assert kind.name in plugin_names(edge.annunciators)


@every_annunciator
def test_every_setting_has_a_default_and_a_meaning(kind):
    defaults = kind.settings()
    assert msgspec.convert(msgspec.to_builtins(defaults), kind.settings) == defaults
    for name, field_type in get_type_hints(kind.settings, include_extras=True).items():
        assert meaning(field_type).endswith("."), name


@every_annunciator
def test_a_setting_that_is_not_known_is_refused(kind):
    with pytest.raises(msgspec.ValidationError, match="volumne"):
        msgspec.convert({"volumne": 1}, kind.settings)


@every_annunciator
@pytest.mark.usefixtures("nowhere")
def test_without_its_hardware_it_opens_says_so_in_time_and_never_makes_anyone_wait(kind):
    begin_s = time.monotonic()
    opened = kind.open(kind.settings(), Rim(now_s=time.monotonic))
    try:
        for signal in SIGNALS:
            opened.show(signal)
            opened.state()
        assert time.monotonic() - begin_s < 0.5
        while not opened.state().reason or "starting" in opened.state().reason:
            assert time.monotonic() - begin_s < UNHEARD_S
            time.sleep(0.02)
        assert not opened.state().works
        assert not opened.prove().passed
    finally:
        opened.close()
        opened.close()
    assert not opened.state().works


@every_annunciator
def test_it_says_what_it_means_for_an_alert_that_it_came_out(kind):
    assert set(kind.gives(kind.settings())) <= {"sounded", "shown"}
