"""The loudspeaker through real aplay and real ALSA, heard by a card without hardware."""

import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edge.annunciators import UNHEARD_S, Quiet, Rim, _aplay, _pace, sound
from edge.annunciators import _melody as melody
from edge.annunciators.sound import Loudspeaker, Settings
from edge.records import Priority
from tests.edge.annunciators.sound_analysis import faults_of, pulses_of
from tests.edge.annunciators.sound_card import FS_HZ, SoundCard

needs_aplay = pytest.mark.skipif(
    shutil.which("aplay") is None, reason="aplay is missing: apt install alsa-utils"
)

FULL = Settings(volume_dbfs=0.0, night_high_dbfs=0.0)
SHOW_MOST_S = 0.05
HEARD_MOST_S = 0.5
PROVEN_S = 9.0


def alarm(priority, category="general"):
    return Quiet(priority=priority, category=category, audible=True)


def wait_until(condition, within_s):
    """Return after how long a condition held; fail when it did not."""
    begin_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begin_s < within_s, "it did not come to pass in time"
        time.sleep(0.02)
    return time.monotonic() - begin_s


def pcm(priority, category):
    return np.rint(melody.burst(priority, category) * np.float32(32767)).astype(np.int16)


class Bench:
    """A loudspeaker and the card that hears it."""

    def __init__(self, folder, rate=1.0):
        self.card = SoundCard(folder, rate)
        os.environ["ALSA_CONFIG_PATH"] = str(self.card.config)
        self.speaker = Loudspeaker(FULL, Rim(now_s=time.monotonic))

    def show(self, what):
        """Show it; return (samples taken before, when)."""
        n, at_s = self.card.n_taken, time.monotonic()
        self.speaker.show(what)
        assert time.monotonic() - at_s < SHOW_MOST_S
        return n, at_s

    def heard_after(self, n, at_s):
        """Return how long after `at_s` the first sound after sample `n` was taken."""
        wait_until(lambda: self.card.samples(n).any(), 5.0)
        first = n + int(np.argmax(self.card.samples(n) != 0))
        return self.card.arrival_of(first) - at_s

    def works(self):
        return self.speaker.state().works

    def be_quiet(self):
        self.speaker.show(Quiet())
        time.sleep(0.7)  # the fade, what was on its way, and the rest before the next

    def close(self):
        self.speaker.close()
        self.card.unplug()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A bench that has proven its card, for the tests that break nothing."""
    before = os.environ.get("ALSA_CONFIG_PATH")
    bench = Bench(tmp_path_factory.mktemp("card"))
    wait_until(bench.works, PROVEN_S)
    yield bench
    bench.close()
    if before is None:
        del os.environ["ALSA_CONFIG_PATH"]
    else:
        os.environ["ALSA_CONFIG_PATH"] = before


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("ALSA_CONFIG_PATH", "")  # put back afterwards
    made = Bench(tmp_path)
    yield made
    made.close()


@needs_aplay
@pytest.mark.parametrize(
    ("priority", "category"), [(Priority.HIGH, "oxygenation"), (Priority.MEDIUM, "ventilation")]
)
def test_what_comes_out_is_bit_for_bit_what_was_asked(shared, priority, category):
    shared.be_quiet()
    n, at_s = shared.show(alarm(priority, category))
    assert shared.heard_after(n, at_s) < HEARD_MOST_S
    expected = pcm(priority, category)
    lead = int(np.argmax(expected != 0))
    begin = n + int(np.argmax(shared.card.samples(n) != 0)) - lead
    wait_until(lambda: shared.card.n_taken > begin + len(expected), 5.0)
    np.testing.assert_array_equal(shared.card.samples(begin)[: len(expected)], expected)
    out = shared.card.samples(max(0, begin - 4800))[: len(expected) + 9600] / 32767
    assert faults_of(pulses_of(out), priority.value) == []


@needs_aplay
def test_a_higher_priority_is_heard_at_once_through_a_running_burst(shared):
    shared.be_quiet()
    n, at_s = shared.show(alarm(Priority.LOW))
    shared.heard_after(n, at_s)
    n, at_s = shared.show(alarm(Priority.HIGH))
    expected = pcm(Priority.HIGH, "general")
    time.sleep(HEARD_MOST_S + len(expected) / FS_HZ)
    out = shared.card.samples(n)
    # The one place where the burst fits exactly.
    probe = expected[2000:2400]
    windows = np.lib.stride_tricks.sliding_window_view(out, len(probe))
    begin = int(np.flatnonzero((windows == probe).all(axis=1))[0]) - 2000
    np.testing.assert_array_equal(out[begin : begin + len(expected)], expected)
    assert shared.card.arrival_of(n + begin) - at_s < HEARD_MOST_S


@needs_aplay
def test_a_pause_is_silence_at_once_and_the_card_goes_on_taking_it(shared):
    n, at_s = shared.show(alarm(Priority.HIGH))
    shared.heard_after(n, at_s)
    n, _ = shared.show(Quiet())
    time.sleep(1.5)
    out = shared.card.samples(n)
    assert not out[round(HEARD_MOST_S * FS_HZ) :].any()
    assert len(out) == pytest.approx(1.5 * FS_HZ, rel=0.15)
    assert shared.works()


@needs_aplay
def test_the_ledger_is_told_when_a_sound_was_handed_over(shared):
    shared.be_quiet()
    before = shared.speaker.state()
    _, at_s = shared.show(alarm(Priority.LOW))
    wait_until(lambda: shared.speaker.state().n_given == before.n_given + 1, 1.0)
    assert 0 <= shared.speaker.state().given_s - at_s < 0.15


@needs_aplay
def test_the_self_test_plays_its_tone_and_says_what_it_can_not_know(shared):
    shared.be_quiet()
    n = shared.card.n_taken
    proof = shared.speaker.prove()
    time.sleep(0.4)
    assert proof.passed
    assert "only an ear can tell" in proof.finding
    assert [pulse.note for pulse in pulses_of(shared.card.samples(n) / 32767)] == [
        "C4",
        "E4",
        "G4",
        "C5",
    ]
    shared.show(alarm(Priority.LOW))
    assert "an alarm sounds just now" in shared.speaker.prove().finding


@needs_aplay
@pytest.mark.parametrize("what", [Quiet(), alarm(Priority.LOW)], ids=["quiet", "alarm"])
def test_a_card_that_hangs_proves_nothing_whether_an_alarm_sounds_or_not(bench, what, monkeypatch):
    wait_until(bench.works, PROVEN_S)
    monkeypatch.setattr(sound, "PROVE_S", 0.5)
    bench.show(what)
    bench.card.stalled.set()
    assert not bench.speaker.prove().passed


@needs_aplay
def test_by_itself_the_tone_has_the_volume_of_the_night(shared):
    shared.be_quiet()
    n = shared.card.n_taken
    assert shared.speaker.prove(soft=True).passed
    time.sleep(0.4)
    peaks = [pulse.peak_dbfs for pulse in pulses_of(shared.card.samples(n) / 32767)]
    assert peaks == pytest.approx([FULL.night_volume_dbfs] * 4, abs=0.2)


@needs_aplay
@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.7, 1.2])
def test_an_alarm_in_the_midst_of_the_tone_is_heard_as_soon_as_ever(shared, after_s):
    shared.be_quiet()
    found = []
    testing = threading.Thread(target=lambda: found.append(shared.speaker.prove()))
    testing.start()
    time.sleep(after_s)
    n, at_s = shared.show(alarm(Priority.HIGH))
    expected = pcm(Priority.HIGH, "general")
    time.sleep(HEARD_MOST_S + len(expected) / FS_HZ)
    out = shared.card.samples(n)
    probe = expected[2000:2400]
    windows = np.lib.stride_tricks.sliding_window_view(out, len(probe))
    begin = int(np.flatnonzero((windows == probe).all(axis=1))[0]) - 2000
    np.testing.assert_array_equal(out[begin : begin + len(expected)], expected)
    assert shared.card.arrival_of(n + begin) - at_s < HEARD_MOST_S
    testing.join()
    assert found[0].passed
    assert ("an alarm" in found[0].finding) is True
    assert "was played" not in found[0].finding


@needs_aplay
def test_a_player_that_was_killed_is_told_and_started_again_and_the_alarm_goes_on(bench):
    wait_until(bench.works, PROVEN_S)
    bench.speaker.show(alarm(Priority.HIGH))
    pid = bench.speaker.player_pid
    n = bench.card.n_taken
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not bench.works(), 1.0)
    assert "signal 9" in bench.speaker.state().reason
    assert not bench.speaker.prove().passed
    assert wait_until(lambda: bench.speaker.player_pid not in {None, pid}, 2.0) < 2.0
    # The alarm is heard again, whole.
    time.sleep(1.0 + len(pcm(Priority.HIGH, "general")) / FS_HZ)
    out = bench.card.samples(n)
    expected = pcm(Priority.HIGH, "general")
    probe = expected[2000:2400]
    windows = np.lib.stride_tricks.sliding_window_view(out, len(probe))
    assert (windows == probe).all(axis=1).any()
    wait_until(bench.works, PROVEN_S)


@needs_aplay
@pytest.mark.parametrize("fault", ["stalled", "unplugged", "stopped"])
def test_a_card_that_is_lost_is_told_in_time_and_found_again(bench, fault):
    wait_until(bench.works, PROVEN_S)
    if fault == "stalled":
        bench.card.stalled.set()
    elif fault == "unplugged":
        bench.card.unplug()
    else:
        os.kill(bench.speaker.player_pid, signal.SIGSTOP)
    told_s = wait_until(lambda: not bench.works(), UNHEARD_S)
    assert told_s < UNHEARD_S - 2
    assert "aplay -l" in bench.speaker.state().reason
    for _ in range(100):
        bench.show(alarm(Priority.HIGH))
        bench.show(Quiet())
    bench.show(alarm(Priority.MEDIUM))
    bench.card.stalled.clear()
    if fault == "unplugged":
        bench.card.plug_in()
    n = bench.card.n_taken
    # What is on by then is heard, without being shown again.
    wait_until(lambda: bench.card.samples(n).any(), 20.0)


@needs_aplay
def test_a_device_without_a_card_behind_it_is_not_believed(tmp_path, monkeypatch):
    config = tmp_path / "asound.conf"
    config.write_text("pcm.!default { type null }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    speaker = Loudspeaker(FULL, Rim(now_s=time.monotonic))
    try:
        spent_s = time.process_time()
        wait_until(lambda: "no sound card behind it" in speaker.state().reason, UNHEARD_S)
        assert not speaker.state().works
        assert time.process_time() - spent_s < 2.0  # it is not fed as fast as it takes
    finally:
        speaker.close()


@needs_aplay
def test_a_device_that_does_not_exist_is_told_in_the_players_own_words(tmp_path, monkeypatch):
    config = tmp_path / "asound.conf"
    config.write_text("")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    settings = Settings(device="plughw:CARD=Nowhere")
    speaker = Loudspeaker(settings, Rim(now_s=time.monotonic))
    n_files = len(list(Path("/proc/self/fd").iterdir()))
    try:
        wait_until(lambda: "audio open error" in speaker.state().reason, 3.0)
        assert "plughw:CARD=Nowhere" in speaker.state().reason
        assert not speaker.prove().passed
        time.sleep(2.0)  # two more tries
        assert len(list(Path("/proc/self/fd").iterdir())) <= n_files + 4  # at most one run's
    finally:
        speaker.close()


def test_a_missing_player_is_told_with_how_to_install_it():
    speaker = Loudspeaker(FULL, Rim(now_s=time.monotonic), program="no-such-aplay")
    try:
        wait_until(lambda: "apt install alsa-utils" in speaker.state().reason, 2.0)
        assert not speaker.state().works
        assert math.isnan(speaker.state().given_s)
    finally:
        speaker.close()


@needs_aplay
def test_players_that_a_driver_holds_do_not_take_every_process_of_the_box(tmp_path, monkeypatch):
    # A process in a driver that hangs survives SIGKILL: here, by never being sent one.
    for module, name in ((_pace, "STALL_S"), (_aplay, "LEAVE_S"), (sound, "RETRY_MOST_S")):
        monkeypatch.setattr(module, name, 0.05)
    started = []
    monkeypatch.setattr(subprocess.Popen, "kill", lambda child: started.append(child))  # noqa: PLW0108
    hanging = tmp_path / "hangs"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    speaker = Loudspeaker(FULL, Rim(now_s=time.monotonic), program=str(hanging))
    try:
        wait_until(lambda: "no more are started" in speaker.state().reason, 40.0)
        time.sleep(0.5)
        assert len(started) == sound.MOST_LEFT
        for child in started:  # the driver lets go
            child.send_signal(signal.SIGKILL)
        wait_until(lambda: len(started) > sound.MOST_LEFT, 40.0)
    finally:
        speaker.close()
        for child in started:
            child.send_signal(signal.SIGKILL)
            child.wait(5.0)


def test_while_an_alarm_is_to_sound_a_player_that_fails_is_tried_again_without_a_growing_rest(
    tmp_path,
):
    tries = tmp_path / "tries"
    fails = tmp_path / "fails"
    fails.write_text(f"#!/bin/sh\necho >> {tries}\nexit 1\n")
    fails.chmod(0o755)

    def n_tries():
        return tries.read_text().count("\n") if tries.exists() else 0

    speaker = Loudspeaker(FULL, Rim(now_s=time.monotonic), program=str(fails))
    try:
        wait_until(lambda: n_tries() >= 5, 40.0)  # rests of 0.5, 1, 2 and 4 s; the next is of 8
        speaker.show(alarm(Priority.HIGH))
        began_s, n_before = time.monotonic(), n_tries()
        wait_until(lambda: n_tries() >= n_before + 4, 7.0)
        assert time.monotonic() - began_s < 7.0  # of which the old rests would have taken 8 for one
    finally:
        speaker.close()


def test_a_thread_that_hangs_is_told_by_the_state_itself(tmp_path, monkeypatch):
    card = SoundCard(tmp_path)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(card.config))
    go_on = threading.Event()

    def never_answers():
        go_on.wait()

    speaker = Loudspeaker(FULL, Rim(now_s=time.monotonic, minute_of_day=never_answers))
    try:
        speaker.show(alarm(Priority.HIGH))
        wait_until(lambda: "has hung" in speaker.state().reason, UNHEARD_S)
        begin_s = time.monotonic()
        for _ in range(1000):
            speaker.show(alarm(Priority.HIGH))
            speaker.show(Quiet())
        assert time.monotonic() - begin_s < 2.0
    finally:
        go_on.set()
        speaker.close()
        card.unplug()


@needs_aplay
def test_closed_it_is_silent_says_so_and_leaves_nothing_behind(bench):
    wait_until(lambda: bench.speaker.player_pid is not None, 2.0)
    pid, n_threads = bench.speaker.player_pid, threading.active_count()
    bench.speaker.close()
    bench.speaker.close()
    assert not Path(f"/proc/{pid}").exists()
    assert threading.active_count() == n_threads - 1
    assert bench.speaker.state().reason == "the sound is closed"
    bench.speaker.show(alarm(Priority.HIGH))  # too late, and harmless


ORPHAN = """
import time
from edge.annunciators import Rim
from edge.annunciators.sound import Loudspeaker, Settings

speaker = Loudspeaker(Settings(), Rim(now_s=time.monotonic))
while speaker.player_pid is None:
    time.sleep(0.01)
print(speaker.player_pid, flush=True)
time.sleep(60)
"""


@needs_aplay
def test_a_monitor_that_is_killed_leaves_no_player_behind(tmp_path, monkeypatch):
    card = SoundCard(tmp_path)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(card.config))
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE) as monitor:
        assert monitor.stdout is not None
        pid = int(monitor.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        monitor.kill()
    try:
        # It would keep the card from the monitor's next start.
        wait_until(lambda: not is_running(pid), 3.0)
    finally:
        card.unplug()


def is_running(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # whoever adopts it may not collect it
