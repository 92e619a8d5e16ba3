"""Lamps, buzzer and button: what the pins did, and when."""

import threading
import time
from itertools import pairwise

import pytest

from edge.annunciators import UNHEARD_S, Quiet, Rim
from edge.annunciators.gpio import ANNUNCIATOR, Lamps, Settings, ZeroPins
from edge.records import Priority

ALL = Settings(red_pin=17, yellow_pin=27, buzzer_pin=22, button_pin=23)
LATE_S = 0.1


class Board:
    """Pins that keep what was done to them; a wire may be pulled."""

    def __init__(self):
        self.edges = []
        self.pressed = None
        self.broken = self.hangs = self.closed = False
        self.go_on = threading.Event()

    def open(self, _settings, pressed):
        self.pressed, self.closed = pressed, False
        if self.broken:
            raise OSError(16, "Device or resource busy")
        return self

    def switch(self, name, *, on):
        if self.hangs:
            self.go_on.wait()
        if self.broken:
            raise OSError(5, "Input/output error")
        self.edges.append((time.monotonic(), name, on))

    def close(self):
        self.closed = True
        if self.broken:
            raise OSError(19, "No such device")

    def of(self, name, since_s=0.0):
        return [(at_s, on) for at_s, which, on in self.edges if which == name and at_s >= since_s]


@pytest.fixture
def board():
    return Board()


@pytest.fixture
def lamps(board):
    presses = []
    rim = Rim(now_s=time.monotonic, answered=lambda: presses.append(time.monotonic()))
    made = Lamps(ALL, rim, board.open)
    made.presses = presses
    wait_until(lambda: made.state().works, 1.0)
    yield made
    board.go_on.set()
    made.close()


def wait_until(condition, within_s):
    begin_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begin_s < within_s, "it did not come to pass in time"
        time.sleep(0.005)


def test_a_high_alarm_is_seen_at_once_and_blinks_at_its_rate(lamps, board):
    begin_s = time.monotonic()
    lamps.show(Quiet(visual=Priority.HIGH))
    time.sleep(2.7)
    edges = board.of("red", begin_s)
    assert edges[0][1]
    assert edges[0][0] - begin_s < LATE_S
    begins = [at_s for at_s, on in edges if on]
    assert [b - a for a, b in pairwise(begins)] == pytest.approx([0.5] * 5, abs=LATE_S)
    assert edges[1][0] - edges[0][0] == pytest.approx(0.2, abs=LATE_S)
    assert not board.of("yellow", begin_s)
    assert not board.of("buzzer", begin_s)
    assert 0 <= lamps.state().given_s - begin_s < 2.7


def test_the_same_signal_again_does_not_disturb_the_rhythm(lamps, board):
    begin_s = time.monotonic()
    for _ in range(8):
        lamps.show(Quiet(visual=Priority.HIGH))
        time.sleep(0.13)
    begins = [at_s for at_s, on in board.of("red", begin_s) if on]
    assert [b - a for a, b in pairwise(begins)] == pytest.approx([0.5] * 2, abs=LATE_S)


def test_a_pause_silences_the_buzzer_at_once_and_leaves_the_light(lamps, board):
    lamps.show(Quiet(priority=Priority.HIGH, audible=True, visual=Priority.HIGH))
    wait_until(lambda: board.of("buzzer")[-1][1], 1.0)
    begin_s = time.monotonic()
    lamps.show(Quiet(priority=Priority.HIGH, visual=Priority.HIGH, paused=True))
    time.sleep(1.1)
    assert [on for _, on in board.of("buzzer", begin_s)] == [False]
    assert board.of("buzzer", begin_s)[0][0] - begin_s < LATE_S
    assert [on for _, on in board.of("red", begin_s)].count(True) >= 1


def test_the_button_is_told(lamps, board):
    board.pressed()
    assert len(lamps.presses) == 1


def test_the_self_test_lights_everything_and_says_what_it_can_not_know(lamps, board):
    begin_s = time.monotonic()
    proof = lamps.prove()
    time.sleep(0.1)
    assert proof.passed
    assert "only an eye can tell" in proof.finding
    for name in ("red", "yellow", "buzzer"):
        (on_s, on), (off_s, still_on) = board.of(name, begin_s)
        assert (on, still_on) == (True, False)
        assert off_s - on_s == pytest.approx(2.0, abs=LATE_S)


def test_by_itself_the_test_lights_the_lamps_and_only_chirps(lamps, board):
    begin_s = time.monotonic()
    assert lamps.prove(soft=True).passed
    time.sleep(0.1)
    for name, length_s in (("red", 2.0), ("buzzer", 0.2)):
        (on_s, _), (off_s, _) = board.of(name, begin_s)
        assert off_s - on_s == pytest.approx(length_s, abs=LATE_S)


def test_an_alarm_in_the_midst_of_the_test_has_its_own_rhythm_at_once(lamps, board):
    found = []
    testing = threading.Thread(target=lambda: found.append(lamps.prove()))
    testing.start()
    time.sleep(0.5)
    begin_s = time.monotonic()
    lamps.show(Quiet(visual=Priority.HIGH))
    time.sleep(1.3)
    # Lit when it came, so its first edge is the end of the first flash; what is no part of it
    # goes out at once.
    edges = board.of("red", begin_s)
    assert edges[0][1] is False
    assert edges[0][0] - begin_s == pytest.approx(0.2, abs=LATE_S)
    assert [on for _, on in edges].count(True) == 2
    assert board.of("yellow", begin_s)[0][0] - begin_s < LATE_S
    testing.join()
    assert found[0].passed
    assert "an alarm began in the midst" in found[0].finding


def test_a_pin_that_fails_is_told_and_had_again(lamps, board):
    board.broken = True
    lamps.show(Quiet(visual=Priority.LOW))
    wait_until(lambda: not lamps.state().works, 1.0)
    assert "Input/output error" in lamps.state().reason
    assert not lamps.prove().passed
    board.broken = False
    wait_until(lambda: lamps.state().works, UNHEARD_S)
    assert board.of("yellow")[-1][1]  # what was shown meanwhile


def test_a_driver_that_hangs_is_told_and_nobody_waits(lamps, board):
    board.hangs = True
    lamps.show(Quiet(visual=Priority.HIGH))
    wait_until(lambda: "has hung" in lamps.state().reason, UNHEARD_S)
    begin_s = time.monotonic()
    for k in range(1000):
        lamps.show(Quiet(visual=Priority.LOW if k % 2 else None))
    assert time.monotonic() - begin_s < 0.5


def test_closed_the_pins_are_given_back(lamps, board):
    lamps.close()
    assert board.closed
    assert not lamps.state().works


def test_pins_that_are_taken_are_told_with_what_to_do(board):
    board.broken = True
    lamps = Lamps(ALL, Rim(now_s=time.monotonic), board.open)
    try:
        wait_until(lambda: "no other program" in lamps.state().reason, 1.0)
        assert not lamps.state().works
    finally:
        lamps.close()


def test_two_things_at_one_pin_are_refused():
    with pytest.raises(ValueError, match="pin 17"):
        Settings(red_pin=17, buzzer_pin=17)


# With gpiozero itself, and the pins it makes for tests.


@pytest.fixture
def factory():
    why = "gpiozero is missing: pip install 'homeward[pi]'"
    device = pytest.importorskip("gpiozero", reason=why).Device
    mock = pytest.importorskip("gpiozero.pins.mock", reason=why)
    before, device.pin_factory = device.pin_factory, mock.MockFactory()
    yield device.pin_factory
    device.pin_factory.reset()
    device.pin_factory = before


def test_gpiozero_switches_the_pins_and_tells_of_the_button(factory):
    pressed = threading.Event()
    lamps = Lamps(ALL, Rim(now_s=time.monotonic, answered=pressed.set), open_pins=ZeroPins)
    try:
        wait_until(lambda: lamps.state().works, 2.0)
        lamps.show(Quiet(visual=Priority.LOW))
        wait_until(lambda: factory.pin(27).state, 1.0)
        assert not factory.pin(17).state
        factory.pin(23).drive_low()
        assert pressed.wait(1.0)
    finally:
        lamps.close()
    assert factory.pin(27).function == "input"  # given back


def test_a_lamp_to_the_supply_is_dark_while_its_pin_is_high(factory):
    settings = Settings(red_pin=17, active_high=False)
    lamps = Lamps(settings, Rim(now_s=time.monotonic), open_pins=ZeroPins)
    try:
        wait_until(lambda: lamps.state().works, 2.0)
        assert factory.pin(17).state
        lamps.show(Quiet(visual=Priority.HIGH))
        wait_until(lambda: not factory.pin(17).state, 1.0)
    finally:
        lamps.close()


@pytest.mark.parametrize(
    ("pins", "given"),
    [
        ({"buzzer_pin": 22}, ("sounded",)),
        ({"red_pin": 17, "yellow_pin": 27}, ("shown",)),
        ({"red_pin": 17}, ()),  # a medium alarm would be shown by nothing
        ({"red_pin": 17, "yellow_pin": 27, "buzzer_pin": 22}, ("sounded", "shown")),
        ({"button_pin": 23}, ()),
    ],
)
def test_it_proves_what_its_pins_can_give(pins, given):
    assert ANNUNCIATOR.gives(Settings(**pins)) == given


def test_what_was_shown_is_counted_before_and_after_it_came_out(lamps):
    before = lamps.state()
    lamps.show(Quiet(priority=Priority.HIGH, audible=True, visual=Priority.HIGH))
    assert lamps.state().n_shown == before.n_shown + 1
    wait_until(lambda: lamps.state().n_given == lamps.state().n_shown, UNHEARD_S)
