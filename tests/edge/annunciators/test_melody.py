"""The alarm sounds, measured from their samples, and the measuring checked against bad sounds."""

import wave

import numpy as np
import pytest

from edge.annunciators import _melody as melody
from edge.records import Priority
from tests.edge.annunciators.sound_analysis import (
    FS_HZ,
    NOTES_HZ,
    bursts_of,
    faults_of,
    pulse_faults,
    pulses_of,
    spacings_of,
)

SOUNDING = (Priority.HIGH, Priority.MEDIUM, Priority.LOW)
# clinical.md §6.2, written out again; `equipment` is from memory.
TUNES = {
    "general": "C4 C4 C4 C4 C4",
    "cardiovascular": "C4 E4 G4 G4 C5",
    "oxygenation": "C5 B4 A4 G4 F4",
    "ventilation": "C4 A4 F4 A4 F4",
    "temperature": "C4 D4 E4 F4 G4",
    "equipment": "C5 C4 C4 C5 C4",
}
EACH = [(priority, category) for priority in SOUNDING for category in TUNES]
GAP = np.zeros(FS_HZ // 10)


def measured(priority, category):
    return pulses_of(np.concatenate([GAP, melody.burst(priority, category), GAP]))


def tune_of(priority, category):
    notes = TUNES[category].split()
    return {Priority.HIGH: notes * 2, Priority.MEDIUM: notes[:3], Priority.LOW: ["E4", "C4"]}[
        priority
    ]


@pytest.mark.parametrize(("priority", "category"), EACH)
def test_every_burst_measures_as_its_priority(priority, category):
    burst = measured(priority, category)
    assert faults_of(burst, priority.value) == []


@pytest.mark.parametrize(("priority", "category"), EACH)
def test_every_burst_plays_its_melody_in_tune(priority, category):
    burst = measured(priority, category)
    assert [pulse.note for pulse in burst] == tune_of(priority, category)
    heard = np.array([pulse.fundamental_hz for pulse in burst])
    meant = np.array([NOTES_HZ[pulse.note] for pulse in burst])
    # 10 cents are a tenth of a semitone; few hear less.
    assert np.abs(1200 * np.log2(heard / meant)).max() < 10


@pytest.mark.parametrize("priority", SOUNDING)
def test_pulses_measure_what_the_defaults_say(priority):
    burst = measured(priority, "general")
    high = priority is Priority.HIGH
    duration_s = melody.HIGH_PULSE_S if high else melody.OTHER_PULSE_S
    for pulse in burst:
        assert pulse.duration_s == pytest.approx(duration_s, abs=0.003)
        assert pulse.rise_s == pytest.approx(melody.RISE_FRACTION * duration_s, abs=0.002)
        assert pulse.fall_s == pytest.approx(melody.FALL_S, abs=0.002)
    x = melody.HIGH_SPACING_S if high else melody.OTHER_SPACING_S
    half = [x, x, 2 * x + duration_s, x]
    meant = [*half, melody.HIGH_GROUPS_S, *half] if high else [x] * (len(burst) - 1)
    assert spacings_of(burst) == pytest.approx(meant, abs=0.003)


def test_the_melodies_of_high_and_medium_tell_the_categories_apart():
    for priority in (Priority.HIGH, Priority.MEDIUM):
        assert len({tuple(tune_of(priority, category)) for category in TUNES}) == len(TUNES)


def test_a_higher_priority_is_never_quieter():
    for category in TUNES:
        levels = [measured(p, category)[0].peak_dbfs for p in SOUNDING]
        assert levels == sorted(levels, reverse=True)
        assert levels == pytest.approx([melody.LEVEL_DB[p] for p in SOUNDING], abs=0.2)


def test_no_sample_is_over_full_scale():
    for priority, category in EACH:
        assert np.abs(melody.burst(priority, category)).max() <= 1.0
    assert np.abs(melody.test_tone()).max() <= 1.0


def test_every_sound_begins_and_ends_without_a_step():
    for sound in (melody.burst(Priority.HIGH, "general"), melody.reminder(), melody.test_tone()):
        assert abs(sound[0]) < 0.001
        assert abs(sound[-1]) < 0.001


def test_a_category_that_is_not_known_is_heard_as_general():
    for priority in SOUNDING:
        odd = melody.burst(priority, "gravitation")
        np.testing.assert_array_equal(odd, melody.burst(priority, "general"))


def test_information_makes_no_alarm_sound():
    with pytest.raises(ValueError, match="only high, medium and low"):
        melody.burst(Priority.INFORMATION, "general")


def test_the_reminder_and_the_self_test_are_no_alarm():
    reminder, tone = pulses_of(melody.reminder()), pulses_of(melody.test_tone())
    assert [pulse.note for pulse in reminder] == ["C5"]
    assert [pulse.note for pulse in tone] == ["C4", "E4", "G4", "C5"]
    # The shape of one pulse is that of the alarms; their number or tune is not.
    assert [fault for pulse in reminder + tone for fault in pulse_faults(pulse, 125, 250)] == []
    assert faults_of(tone, "high")[0] == "4 pulses"
    assert faults_of(tone, "medium")[0] == "4 pulses"


def test_a_fundamental_without_four_harmonics_is_refused():
    for fundamental_hz in (100.0, 1200.0):
        with pytest.raises(ValueError, match="harmonics"):
            melody.pulse(0.2, fundamental_hz)


def test_written_for_listening_the_file_holds_the_same_samples(tmp_path):
    path = tmp_path / "high.wav"
    burst = melody.burst(Priority.HIGH, "oxygenation")
    melody.write_wav(path, burst, level_dbfs=-6.0)
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (FS_HZ, 1, 2)
        read = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2") / 32767
    assert np.abs(read - burst * 10 ** (-6 / 20)).max() < 1 / 32767


# The analyser must find fault with sounds that are not of the shape.


def beep(
    *, duration_s=0.16, rise_s=0.03, fall_s=0.03, f0_hz=440.0, levels_db=(0, -3, -3, -3, -3, -3)
):
    """A pulse with straight ramps; lengths are of the whole ramps."""
    n = round((rise_s + duration_s + fall_s) * FS_HZ)
    t = np.arange(n) / FS_HZ
    shape = np.interp(t, [0, rise_s, rise_s + duration_s, t[-1]], [0, 1, 1, 0])
    tones = [
        10 ** (db / 20) * np.sin(2 * np.pi * k * f0_hz * t + k * k)
        for k, db in enumerate(levels_db, 1)
    ]
    total = np.sum(tones, axis=0) * shape
    return total / np.abs(total).max() / 2


def burst_of(pulse, n=3, gap_s=0.12):
    gap = np.zeros(round(gap_s * FS_HZ))
    return np.concatenate([GAP, *([pulse, gap] * n)])


def test_the_analyser_passes_a_good_sound_that_is_not_ours():
    assert faults_of(pulses_of(burst_of(beep())), "medium") == []


BAD = {
    "a pure sine": (lambda: burst_of(beep(levels_db=(0,))), "harmonics"),
    "three harmonics": (lambda: burst_of(beep(levels_db=(0, -3, -3, -3, -18))), "harmonics"),
    "a rise that startles": (lambda: burst_of(beep(rise_s=0.004)), "rises in"),
    "a rise that drags": (lambda: burst_of(beep(rise_s=0.12)), "rises in"),
    "a short pulse": (lambda: burst_of(beep(duration_s=0.05)), "lasts"),
    "a long pulse": (lambda: burst_of(beep(duration_s=0.40)), "lasts"),
    "a low hum": (lambda: burst_of(beep(f0_hz=120.0)), "fundamental"),
    "pulses too close": (lambda: burst_of(beep(), gap_s=0.02), "y 0.0"),
    "pulses too far": (lambda: burst_of(beep(), gap_s=0.4), "y 0.4"),
    "a pulse too many": (lambda: burst_of(beep(), n=4), "4 pulses"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_analyser_finds_the_fault(name):
    sound, fault = BAD[name]
    assert any(fault in found for found in faults_of(pulses_of(sound()), "medium"))


def test_the_analyser_finds_ten_even_pulses_to_be_no_high_burst():
    even = burst_of(beep(duration_s=0.1), n=10, gap_s=0.06)
    assert any("2x + t_d" in found for found in faults_of(pulses_of(even), "high"))
    assert len(bursts_of(pulses_of(even))) == 1
