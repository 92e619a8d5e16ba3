"""Lamps, a buzzer and a button at the box's own pins: gpiozero.

    gpio         settings; the pins; the thread that switches them
    _blinking    when what is on
    _standing    what the thread says of itself

A buzzer is the second sound: it needs neither a sound card nor ALSA, and has one pitch without
harmonics, so it is no sound of the standard's shape. The button answers the alarm: it is told to
`edge.annunciators.Rim.answered`, and what comes of that the alarm engine decides.

Wiring: a lamp or a buzzer from its pin through its resistor or transistor to ground (a pin gives
16 mA at the most), a button from its pin to ground (the pull-up is switched on here). Numbers are
those of the processor (BCM): 17 is the pin GPIO17, number 11 on the header.

Whether a lamp or a buzzer is at a pin can not be known from here; that the pin is ours can.
Sources: gpiozero 2.0 documentation; RP1 and BCM2835 data sheets for the current of a pin.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta

from edge.annunciators import Annunciator, Proof, Quiet, Rim, Signal, State
from edge.annunciators._blinking import BUZZER, OFF, OUTPUTS, Pattern, patterns_of
from edge.annunciators._standing import Standing

WAIT_S: Final = 1.0
"""Longest wait of the thread: so often at least it says that it lives."""
BOUNCE_S: Final = 0.05
"""A button's contacts strike several times within this."""
TEST_S: Final = 2.0
CHIRP_S: Final = 0.2
"""A buzzer has one volume: in a test that nobody asked for it is on for so long only."""
RETRY_S: Final = 5.0
"""After pins that could not be had, or switched."""
LEAVE_S: Final = 2.0

_MISSING: Final = (
    "the Python package for the pins is missing ({}): install it with `pip install 'homeward[pi]'`"
)
_NO_PIN: Final = (
    "no pin is named: set red_pin, yellow_pin, buzzer_pin or button_pin in [annunciators.gpio] to "
    "the number of the pin it is wired to"
)

Pin = Annotated[int, Meta(ge=0, le=27)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[annunciators.gpio]``: lamps, a buzzer and a button at the pins (BCM numbers).

    Raises
    ------
    ValueError
        Two things at one pin.
    """

    red_pin: Annotated[
        Pin | None, Meta(description="Lamp of a high alarm, blinking; none where not set.")
    ] = None
    yellow_pin: Annotated[
        Pin | None,
        Meta(description="Lamp of a medium alarm, blinking, and of a low one, steady."),
    ] = None
    cyan_pin: Annotated[
        Pin | None, Meta(description="Lamp of a low alarm, where it has one of its own.")
    ] = None
    buzzer_pin: Annotated[
        Pin | None, Meta(description="A buzzer that sounds while its pin is on.")
    ] = None
    button_pin: Annotated[
        Pin | None, Meta(description="A button to ground, which answers the alarm.")
    ] = None
    active_high: Annotated[
        bool, Meta(description="Whether a lamp is lit while its pin is at 3.3 V.")
    ] = True

    def __post_init__(self) -> None:
        named = [self.red_pin, self.yellow_pin, self.cyan_pin, self.buzzer_pin, self.button_pin]
        pins = [pin for pin in named if pin is not None]
        for pin in pins:
            if pins.count(pin) > 1:
                raise ValueError(f"two things are wired to pin {pin}; give each its own")

    def outputs(self) -> Mapping[str, int]:
        """Return the pins that are switched, by what is at them."""
        pins = (self.red_pin, self.yellow_pin, self.cyan_pin, self.buzzer_pin)
        return {name: pin for name, pin in zip(OUTPUTS, pins, strict=True) if pin is not None}


class Pins(Protocol):
    """The pins of one box, taken."""

    def switch(self, name: str, *, on: bool) -> None:
        """Switch what is at a pin; raises what the driver raises."""
        ...

    def close(self) -> None:
        """Switch everything off and give the pins back."""
        ...


OpenPins = Callable[[Settings, Callable[[], None]], Pins]
"""Given the settings and what a press of the button calls."""


class ZeroPins:
    """Pins through gpiozero.

    Parameters
    ----------
    settings : Settings
        Which.
    pressed : Callable
        Called in a thread of gpiozero's at every press of the button.

    Raises
    ------
    ImportError
        gpiozero is not there, or no driver of pins.
    Exception
        What its driver raises.
    """

    def __init__(self, settings: Settings, pressed: Callable[[], None]) -> None:
        from gpiozero import Button, DigitalOutputDevice  # noqa: PLC0415  # only on a Pi

        self._outputs: dict[str, DigitalOutputDevice] = {}
        self._button: Button | None = None
        try:
            for name, pin in settings.outputs().items():
                self._outputs[name] = DigitalOutputDevice(pin, active_high=settings.active_high)
            if settings.button_pin is not None:
                self._button = Button(settings.button_pin, pull_up=True, bounce_time=BOUNCE_S)
                self._button.when_pressed = pressed
        except Exception:
            self.close()
            raise

    def switch(self, name: str, *, on: bool) -> None:
        """Switch what is at a pin."""
        self._outputs[name].value = on

    def close(self) -> None:
        """Switch everything off and give the pins back."""
        for device in (*self._outputs.values(), self._button):
            if device is not None:
                device.close()


class Lamps:
    """Shows what is shown, for ever, until it is closed.

    Parameters
    ----------
    settings : Settings
        What is wired where.
    rim : Rim
        The clock, and who is told of the button.
    open_pins : Callable
        How the pins are had.
    """

    def __init__(self, settings: Settings, rim: Rim, open_pins: OpenPins = ZeroPins) -> None:
        self._settings, self._rim, self._open_pins = settings, rim, open_pins
        self._standing = Standing("light", "starting: the pins are not yet ours", rim.now_s)
        self._cyan_lamp = settings.cyan_pin is not None
        self._slot = (0, patterns_of(Quiet(), cyan_lamp=self._cyan_lamp))
        self._test_until_s = self._buzz_until_s = -math.inf
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="light", daemon=True)
        self._thread.start()

    def show(self, signal: Signal) -> None:
        """Take what should be seen from now on; never waits, never raises."""
        n, before = self._slot
        wanted = patterns_of(signal, cyan_lamp=self._cyan_lamp)
        if wanted != before:
            self._slot = (n + 1, wanted)
            self._wake.set()

    def state(self) -> State:
        """Return whether it can be seen; never waits."""
        return msgspec.structs.replace(self._standing.state(), n_shown=self._slot[0])

    def prove(self, *, soft: bool = False) -> Proof:
        """Switch everything on for two seconds, unless an alarm is shown just now."""
        state = self.state()
        if not state.works:
            return Proof(passed=False, finding=state.reason)
        names = " and ".join(self._settings.outputs())
        if not names:
            return Proof(passed=True, finding="the button's pin is ours; press it to try it")
        if any(pattern != OFF for pattern in self._slot[1].values()):
            return Proof(passed=True, finding=f"{names}: the pins are ours; an alarm shows now")
        now_s = self._rim.now_s()
        self._buzz_until_s = now_s + (CHIRP_S if soft else TEST_S)
        self._test_until_s = now_s + TEST_S
        self._wake.set()
        threading.Event().wait(TEST_S)
        state = self.state()
        found = f"{names} switched on for {TEST_S:.0f} s; whether they shine only an eye can tell"
        if self._test_until_s < now_s:
            found = f"{names}: an alarm began in the midst of the test and took its place"
        return Proof(passed=state.works, finding=found if state.works else state.reason)

    def close(self) -> None:
        """Switch everything off and give the pins back; may be called twice."""
        self._standing.closed = True
        self._wake.set()
        self._thread.join(LEAVE_S)

    def _serve(self) -> None:
        while not self._standing.closed:
            reason = self._open_and_switch()
            if not self._standing.closed:
                self._standing.tell(works=False, reason=reason)
                self._rest()

    def _test_ends_s(self) -> Mapping[str, float]:
        """Return until when each output is on because of a test."""
        until_s = self._test_until_s
        buzz_s = min(until_s, self._buzz_until_s)
        return {name: buzz_s if name == BUZZER else until_s for name in OUTPUTS}

    def _rest(self) -> None:
        until_s = self._standing.turn() + RETRY_S
        while not self._standing.closed and self._standing.turn() < until_s:
            self._wake.wait(WAIT_S)
            self._wake.clear()

    def _open_and_switch(self) -> str:
        """Switch pins until that fails or it is closed; return what failed."""
        if not has_pins(self._settings):
            return _NO_PIN
        try:
            pins = self._open_pins(self._settings, self._rim.answered)
        except ModuleNotFoundError as error:
            return _MISSING.format(error)
        except Exception as error:  # noqa: BLE001  # drivers have no error in common
            return (
                f"the pins can not be had ({error!r}): see that no other program uses them "
                f"and that this one may (group gpio)"
            )
        try:
            self._switch_for_ever(pins)
        except Exception as error:  # noqa: BLE001  # the same
            return f"a pin can not be switched ({error!r}); it is tried again"
        finally:
            # Pins that went away cannot be given back; the thread goes on and asks for them anew.
            with contextlib.suppress(Exception):
                pins.close()
        return ""

    def _switch_for_ever(self, pins: Pins) -> None:
        is_on: dict[str, bool] = {}
        n, began_s = -1, dict.fromkeys(OUTPUTS, self._rim.now_s())
        patterns: Mapping[str, Pattern] = dict.fromkeys(OUTPUTS, OFF)
        while not self._standing.closed:
            self._wake.clear()
            now_s = self._standing.turn()
            if n != self._slot[0]:
                n, wanted = self._slot
                # What goes on as it was keeps its rhythm.
                changed = [name for name in OUTPUTS if wanted[name] != patterns[name]]
                began_s |= dict.fromkeys(changed, now_s)
                patterns = wanted
            if any(pattern != OFF for pattern in patterns.values()):
                self._test_until_s = -math.inf  # an alarm: nothing may hide its rhythm
            ends_s = self._test_ends_s()
            for name in self._settings.outputs():
                on = now_s < ends_s[name] or patterns[name].is_on(now_s - began_s[name])
                if is_on.get(name) is not on:
                    pins.switch(name, on=on)
                    is_on[name] = on
            self._standing.give(n, now_s)
            self._standing.tell(works=True, reason="")
            changes_s = [began_s[k] + patterns[k].next_change_s(now_s - began_s[k]) for k in is_on]
            due_s = min([*changes_s, *(end_s for end_s in ends_s.values() if end_s > now_s)])
            self._wake.wait(max(0.0, min(due_s - self._rim.now_s(), WAIT_S)))


def has_pins(settings: Settings) -> bool:
    """Return whether anything is wired."""
    return bool(settings.outputs()) or settings.button_pin is not None


def gives(settings: Settings) -> tuple[str, ...]:
    """Return what it means for an alert that it came out here.

    A lamp for only some priorities proves nothing of the others: it takes red and yellow.
    """
    buzzer = settings.buzzer_pin is not None
    lamps = settings.red_pin is not None and settings.yellow_pin is not None
    return (*(["sounded"] if buzzer else []), *(["shown"] if lamps else []))


def open_lamps(settings: Settings, rim: Rim) -> Lamps:
    """Open them; returns at once."""
    return Lamps(settings, rim)


ANNUNCIATOR = Annunciator(
    name="gpio", settings=Settings, open=open_lamps, wanted=has_pins, gives=gives
)
