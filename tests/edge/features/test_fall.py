"""Made traces of falls and of what is none; no recording of a real fall was at hand."""

import math

import numpy as np
import pytest

from edge.alarms import fall as rule
from edge.assemble import assemble
from edge.features.fall import AXES, FEATURES, compute
from edge.pipeline import PipelineSettings, RuleSettings
from edge.readers import simulated
from edge.records import Alert, Features, Priority, Samples, Window

UP = np.array([0.985, 0.05, 0.165])
BACK = np.array([0.06, 0.10, 0.993])
SIDE = np.array([0.10, -0.985, 0.14])


class Trace:
    """Thirty-one seconds of acceleration, (3, n), piece by piece."""

    def __init__(self, fs_hz=50.0, seed=1):
        self.fs_hz, self.rng, self.pieces = fs_hz, np.random.default_rng(seed), []

    def rest(self, for_s, gravity=UP):
        self.pieces.append(np.outer(gravity, np.ones(round(for_s * self.fs_hz))))
        return self

    def walk(self, for_s):
        at_s = np.arange(round(for_s * self.fs_hz)) / self.fs_hz
        step = 2.0 * np.pi * 1.9 * at_s
        swing = np.stack([0.35 * np.sin(step), 0.1 * np.sin(step / 2), 0.15 * np.sin(step + 1)])
        self.pieces.append(UP[:, np.newaxis] + swing)
        return self

    def drop(self, for_s=0.4, share=0.12):
        return self.rest(for_s, share * UP)

    def blow(self, size_g=4.0, along=(0.45, -0.85, 0.28), for_s=0.12):
        half = np.sin(np.pi * np.arange(round(for_s * self.fs_hz)) / (for_s * self.fs_hz))
        self.pieces.append(np.outer(along, size_g * half) + np.outer(SIDE, np.ones(half.size)))
        return self

    def turn(self, to, from_=UP, for_s=1.0):
        share = np.linspace(0.0, 1.0, round(for_s * self.fs_hz))
        self.pieces.append(np.outer(from_, 1.0 - share) + np.outer(to, share))
        return self

    def window(self, lost=None):
        axes = np.concatenate(self.pieces, axis=1)
        axes = axes + self.rng.normal(0.0, 0.006, axes.shape)
        n = round(31.0 * self.fs_hz)
        assert axes.shape[1] >= n
        axes = axes[:, -n:].astype(np.float32)
        if lost is not None:
            axes[:, lost] = np.nan
        signals = {}
        for name, values in zip(AXES, axes, strict=True):
            values.setflags(write=False)
            signals[name] = Samples(name, 100.0, self.fs_hz, values)
        return Window("p", 130.0, 1.0, 30.0, signals, {}, {}, {})


def says(trace, lost=None, **more):
    values = {**compute(trace.window(lost)), **more}
    return rule.step(None, Features("p", 130.0, 1.0, values), None, rule.RULE.settings)[1]


def fallen(fs_hz=50.0, lies=SIDE, **blow):
    return Trace(fs_hz).walk(16).drop().blow(**blow).rest(15, lies)


@pytest.mark.parametrize("fs_hz", [25.0, 50.0, 100.0, 200.0])
@pytest.mark.parametrize("lies", [SIDE, BACK, -BACK, -SIDE], ids=["side", "back", "front", "other"])
def test_a_fall_is_found_however_somebody_lies(fs_hz, lies):
    found = says(fallen(fs_hz, lies))

    assert found.present is True
    assert "lying still for ten seconds" in found.reason
    assert found.evidence["upright_g"] < 0.4


NONE = {
    "walking": Trace().walk(32),
    "sitting down hard": Trace().walk(16).rest(0.3, 0.5 * UP).blow(2.5, UP).rest(15),
    "dropping onto a couch and leaning back": Trace()
    .walk(16).rest(0.3, 0.5 * UP).blow(2.5, UP).turn((UP + BACK) / 1.5).rest(15, (UP + BACK) / 1.5),
    "turning in bed": Trace().rest(16, BACK).turn(SIDE, BACK, 0.8).rest(15, SIDE),
    "lying down slowly": Trace().walk(16).turn(BACK, UP, 3.0).rest(14, BACK),
    "stumbling without falling": Trace().walk(16).drop(0.3).blow(3.0, UP).walk(15),
    "a knock on the sensor": Trace().rest(16).blow(5.0).rest(15),
    "up again within ten seconds": Trace().walk(16).drop().blow().rest(5, SIDE)
    .turn(UP, SIDE).walk(9),
}  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_fall_is_none(name):
    assert says(NONE[name]).present is False


def test_a_dropped_sensor_looks_like_a_fall_unless_it_says_that_it_is_off():
    dropped = Trace().walk(16).drop(0.45, 0.02).blow(6.0).rest(15, -BACK)

    assert says(dropped).present is True  # the limit of the method, and a reason it is off
    assert says(dropped, contact_flag=0.0).present is None
    assert says(dropped, lead_off_flag=1.0).present is None


def test_a_fall_is_not_told_before_it_can_be_and_then_at_once():
    early = Trace().walk(25).drop().blow().rest(9.5, SIDE)
    due = Trace().walk(25).drop().blow().rest(10.5, SIDE)

    assert (says(early).present, says(due).present) == (False, True)


def test_a_slow_or_missing_or_broken_sensor_tells_nothing():
    two = fallen().window()
    signals = {name: two.signals[name] for name in AXES[:2]}
    parts = {name: getattr(two, name) for name in Window.__struct_fields__}

    assert all(map(math.isnan, compute(Window(**(parts | {"signals": signals}))).values()))
    assert says(Trace(10.0).walk(16).drop().blow(for_s=0.3).rest(15, SIDE)).present is None
    assert says(fallen(), lost=slice(0, 400)).present is None


def test_a_few_lost_samples_hide_no_fall_and_an_impact_nobody_can_judge_is_not_none():
    n = round(31 * 50.0)
    impact = n - 15 * 50 - 6

    assert says(fallen(), lost=slice(impact + 150, impact + 200)).present is True
    assert says(fallen(), lost=slice(impact + 95, impact + 125)).present is None


def test_it_is_off_unless_somebody_switches_it_on(tmp_path):
    path = tmp_path / "fall.toml"
    path.write_text(
        'title = "A fall"\nduration_s = 90\ndevices = ["motion"]\n'
        '[[events]]\nkind = "exercise"\nat_s = 5\nfor_s = 30\n'
        '[[events]]\nkind = "fall"\nat_s = 34\nfor_s = 50\n'
    )
    packets = list(simulated.packets(simulated.Settings(scenario=str(path))))
    on = {"fall": RuleSettings(rule.RULE.settings, Priority.HIGH)}
    told = []
    for rules in ({}, on):
        watched = assemble(PipelineSettings(rules=rules), "run")
        records = watched.advance(packets, 90.0).records
        told.append([r for r in records if isinstance(r, Alert) and r.rule == "fall"])

    assert told[0] == []
    assert (told[1][0].priority, told[1][-1].state.value) == (Priority.HIGH, "latched")
    assert 44.0 <= told[1][0].at_s <= 48.0


def test_its_names_are_those_it_gives():
    assert set(compute(fallen().window())) == set(FEATURES.names)
