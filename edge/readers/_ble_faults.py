"""What goes wrong on the way to a Bluetooth sensor: how it shows -> what it means -> what to do.

A table, not code: each row was seen in the field. It is read from the top, and the first row that
fits decides. `judge` never fails: what is not in the table is retried, ever more slowly.
A sign is ``type NAME`` (the error is of an exception type of that name), ``name END`` (its D-Bus
name ends so) or ``text WORDS`` (what it says holds them, in any case).

Sources: bleak issues 666, 993, 1255, 1673, 2021; bleak-retry-connector issues 226, 230, 235;
habluetooth (order of attempts, waits); BlueZ ``src/error.h`` for the words of its errors.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Action(StrEnum):
    """What is done before the next attempt.

    RETRY: nothing but wait. QUIET: the scan rests during the next attempt. RESCAN: the sensor must
    be heard again first. CLEAR: the link is closed in BlueZ, and what it remembers of a sensor
    that is not bonded is dropped. REBUILD: the connection to BlueZ is made anew. RADIO: the
    adapter is mended, see the ladder. SLOT: wait for room. PERSON: nothing helps but a person.
    """

    RETRY = "retry"
    QUIET = "quiet"
    RESCAN = "rescan"
    CLEAR = "clear"
    REBUILD = "rebuild"
    RADIO = "radio"
    SLOT = "slot"
    PERSON = "person"


class Stage(StrEnum):
    """What was being done when it went wrong."""

    SCAN = "scan"
    CONNECT = "connect"
    LINK = "link"


class Fault(msgspec.Struct, frozen=True):
    """One row.

    Attributes
    ----------
    row : str
        Its name, for logs and tests.
    words : str
        What it means, for people.
    action : Action
        What is done.
    wait_s : float
        Before the first retry; each further one waits twice as long.
    signs : tuple[str, ...]
        Any of them has to fit.
    stages : tuple[Stage, ...]
        When it counts; empty: always.
    grows : bool
        False: it always waits `wait_s`.
    """

    row: str
    words: str
    action: Action
    wait_s: float
    signs: tuple[str, ...]
    stages: tuple[Stage, ...] = ()
    grows: bool = True


PERSON_S: Final = 600.0
"""How often it is tried again where only a person can help."""
TRANSIENT_S: Final = 0.25
SLOT_S: Final = 4.0
INITIALISING_S: Final = 1.5

_SCAN, _CONNECT, _LINK = (Stage.SCAN,), (Stage.CONNECT,), (Stage.LINK,)
_RUNS = ("name .InProgress",)
_KEY_WORDS = "the pairing is lost: pair it again with `homeward pair`"
_GONE_WORDS = "the system has forgotten the sensor"
_STALE_WORDS = "what the system remembers of the sensor is no longer so"

TABLE: Final = (
    # Only a person can help.
    Fault("key lost", _KEY_WORDS, Action.PERSON, PERSON_S, ("type KeyLostError",)),
    Fault("refused", "it is not used as it is", Action.PERSON, PERSON_S, ("type RefusedError",)),
    Fault(
        "key missing",
        _KEY_WORDS,
        Action.PERSON,
        PERSON_S,
        (
            "text insufficient authentication",
            "text insufficient encryption",
            "text pin or key missing",
            "text key-missing",
            "text not paired",
            "name .AuthenticationFailed",
            "name .AuthenticationRejected",
            "name .AuthenticationCanceled",
        ),
    ),
    Fault(
        "not authorised",
        "it lets nobody use it",
        Action.PERSON,
        PERSON_S,
        ("text insufficient authorization",),
    ),
    # The way to BlueZ itself.
    Fault(
        "bus lost",
        "the system's Bluetooth service was restarted",
        Action.REBUILD,
        0.5,
        (
            "type BrokenPipeError",
            "type ConnectionError",
            "type EOFError",
            "type InvalidMessageError",
            "type FileNotFoundError",
            "name .ServiceUnknown",
            "name .NameHasNoOwner",
            "name DBus.Error.Disconnected",
            "name homeward.Error.Lost",
            "name homeward.Error.NoBus",
        ),
    ),
    # The sensor's own words.
    Fault("not now", "it will not start now", Action.RETRY, 5.0, ("type NotReadyError",)),
    Fault("silent", "nothing came any more", Action.CLEAR, TRANSIENT_S, ("type SilentError",)),
    Fault("lost", "the link broke off", Action.RESCAN, TRANSIENT_S, ("type LostError",)),
    Fault("nothing to read", "nothing we can read", Action.CLEAR, 5.0, ("type NothingError",)),
    # Transient troubles of the radio.
    Fault(
        "aborted",
        "radio noise, or the radio is busy",
        Action.QUIET,
        TRANSIENT_S,
        ("text le-connection-abort-by-local", "text le-connection-abort-by-remote"),
    ),
    Fault(
        "missed",
        "the sensor's answer was missed: Wi-Fi may be in the way",
        Action.QUIET,
        TRANSIENT_S,
        ("text software caused connection abort",),
    ),
    Fault(
        "cancelled",
        "the attempt was cancelled",
        Action.RETRY,
        TRANSIENT_S,
        ("text br-connection-canceled",),
    ),
    Fault(
        "no slot",
        "the radio has no room for another sensor",
        Action.SLOT,
        SLOT_S,
        (
            "text connection slot",
            "text available connection",
            "text connection-limit",
            "text le-connection-busy",
            "text limited resources",
        ),
        grows=False,
    ),
    # What BlueZ remembers and is no longer so.
    Fault("scan stuck", "the search is stuck", Action.RADIO, 0.5, _RUNS, _SCAN),
    Fault("connect stuck", "an old attempt is stuck", Action.CLEAR, 0.5, _RUNS, _CONNECT),
    Fault("busy", "its last command still runs", Action.RETRY, 0.5, _RUNS, _LINK),
    Fault(
        "initialising",
        "the radio is starting",
        Action.RETRY,
        INITIALISING_S,
        ("name .UnknownObject",),
        _SCAN,
        grows=False,
    ),
    Fault(
        "forgotten",
        _GONE_WORDS,
        Action.RESCAN,
        TRANSIENT_S,
        ("name .UnknownObject", "name .DoesNotExist", "type BleakDeviceNotFoundError"),
    ),
    Fault(
        "stale services",
        _STALE_WORDS,
        Action.CLEAR,
        TRANSIENT_S,
        (
            "type KeyError",
            "type BleakCharacteristicNotFoundError",
            "text org.bluez.gatt",
            "text database out of sync",
            "text invalid handle",
        ),
    ),
    Fault(
        "dropped",
        "the link broke off while the sensor was asked what it has",
        Action.CLEAR,
        TRANSIENT_S,
        ("text failed to discover services",),
    ),
    # The radio.
    Fault(
        "not ready",
        "the radio is not ready",
        Action.RADIO,
        1.0,
        ("name .NotReady", "text adapter-not-powered"),
    ),
    Fault(
        "no radio",
        "the radio is gone",
        Action.RADIO,
        1.0,
        ("type BleakBluetoothNotAvailableError", "text adapter '"),
    ),
    Fault(
        "scan failed",
        "the search for sensors cannot be started",
        Action.RADIO,
        1.0,
        ("name .Failed",),
        _SCAN,
    ),
    # Nothing came back in time, or the link went while something was asked.
    Fault(
        "scan hangs",
        "the radio does not answer",
        Action.RADIO,
        1.0,
        ("type TimeoutError", "name homeward.Error.TimedOut"),
        _SCAN,
    ),
    Fault(
        "hangs",
        "it did not answer in time",
        Action.CLEAR,
        TRANSIENT_S,
        ("type TimeoutError", "name homeward.Error.TimedOut", "name .NoReply"),
    ),
    Fault(
        "gone",
        "the link broke off",
        Action.RESCAN,
        TRANSIENT_S,
        (
            "name .NotConnected",
            "text not connected",
            "text service discovery has not been performed",
            "text unlikely error",
        ),
    ),
)
UNKNOWN: Final = Fault("unknown", "it failed in a way we do not know", Action.CLEAR, 1.0, ())
"""What is not in the table."""


def judge(error: BaseException, stage: Stage) -> Fault:
    """Return the row of an error that came at a stage; `UNKNOWN` where none fits."""
    types = {kind.__name__ for kind in type(error).__mro__}
    name = str(getattr(error, "dbus_error", "") or getattr(error, "name", "") or "")
    text = f"{error} {error.__cause__ or ''}".casefold()
    for row in TABLE:
        if row.stages and stage not in row.stages:
            continue
        if any(_fits(sign, types, name, text) for sign in row.signs):
            return row
    return UNKNOWN


def is_grave(error: BaseException, *, is_bonded: bool) -> bool:
    """Return whether an error on an open link ends it, though the link could do without.

    A sensor that is bonded and asks for a key has lost it; one that is not may keep to itself
    what it shows only to its own.
    """
    action = judge(error, Stage.LINK).action
    return action is Action.REBUILD or (is_bonded and action is Action.PERSON)


def _fits(sign: str, types: set[str], name: str, text: str) -> bool:
    kind, _, value = sign.partition(" ")
    if kind == "type":
        return value in types
    return name.endswith(value) if kind == "name" else value in text
