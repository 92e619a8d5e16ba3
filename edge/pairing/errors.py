"""What BlueZ's errors mean to a person who pairs, and what to do: a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

from edge.bluez import LOST, NO_BUS, TIMED_OUT, BluezError, Method


class PairingError(RuntimeError):
    """A sensor cannot be found, paired or forgotten; the text says why and what to do."""


BLUETOOTH: Final[Mapping[str, tuple[str, str]]] = {
    NO_BUS: (
        "there is no D-Bus system bus here",
        "sudo apt install dbus bluez  (to try Homeward without Bluetooth: `homeward demo`)",
    ),
    "org.freedesktop.DBus.Error.ServiceUnknown": (
        "BlueZ is not running",
        "sudo apt install bluez && sudo systemctl enable --now bluetooth",
    ),
    "org.freedesktop.DBus.Error.NameHasNoOwner": (
        "BlueZ is not running",
        "sudo apt install bluez && sudo systemctl enable --now bluetooth",
    ),
    "org.freedesktop.DBus.Error.Spawn.ServiceNotFound": (
        "BlueZ is not running",
        "sudo apt install bluez && sudo systemctl enable --now bluetooth",
    ),
    "org.freedesktop.DBus.Error.AccessDenied": (
        "this user may not use Bluetooth",
        "sudo usermod -aG bluetooth $USER, then log in again; or run it with sudo",
    ),
    "org.freedesktop.DBus.Error.NoReply": (
        "BlueZ does not answer",
        "sudo systemctl restart bluetooth",
    ),
    TIMED_OUT: (
        "BlueZ does not answer",
        "sudo systemctl restart bluetooth",
    ),
    LOST: (
        "the connection to BlueZ was lost",
        "see `systemctl status bluetooth dbus`, and try again",
    ),
    "org.bluez.Error.NotReady": (
        "the radio is off",
        "bluetoothctl power on  (and `homeward doctor` if it stays off)",
    ),
    "org.bluez.Error.Blocked": (
        "the radio is switched off by the system",
        "sudo rfkill unblock bluetooth",
    ),
    "org.bluez.Error.InProgress": (
        "the radio is busy with something that has not ended",
        "try again in a minute; if it stays so: sudo systemctl restart bluetooth",
    ),
    "org.bluez.Error.NotAuthorized": (
        "this user may not be a pairing agent",
        "sudo usermod -aG bluetooth $USER, then log in again; or run it with sudo",
    ),
    "org.bluez.Error.AuthenticationTimeout": (
        "it did not answer in time",
        "keep it near and awake, put it into pairing mode if it has one, and try again",
    ),
    "org.bluez.Error.AuthenticationCanceled": (
        "the pairing was called off",
        "try again when you are ready; the window is open for a minute",
    ),
    "org.bluez.Error.AuthenticationRejected": (
        "it refused to pair",
        "put it into pairing mode, or make it forget its old pairings (its manual says how)",
    ),
    "org.bluez.Error.ConnectionAttemptFailed": (
        "no link to it could be made",
        "bring it nearer and wake it; a phone that holds it must let go of it first",
    ),
    "org.freedesktop.DBus.Error.UnknownObject": (
        "it has gone out of range",
        "bring it nearer, wake it, and try again",
    ),
    "org.freedesktop.DBus.Error.UnknownMethod": (
        "it has gone out of range",
        "bring it nearer, wake it, and try again",
    ),
    "org.bluez.Error.DoesNotExist": (
        "it has gone out of range",
        "bring it nearer, wake it, and try again",
    ),
    "org.bluez.Error.NotConnected": (
        "the link to it was lost",
        "bring it nearer and try again",
    ),
    "org.bluez.Error.Failed": (
        "the link to it was lost",
        "bring it nearer and try again; `homeward doctor` checks the radio",
    ),
}
"""BlueZ's error -> what happened, what to do. BlueZ's names: its ``doc/org.bluez.Device.rst``;
causes: ``le-connection-abort-by-local`` and the like are all told as ``Failed``."""

_WRONG: Final[Mapping[Method, tuple[str, str]]] = {
    Method.PASSKEY_ENTRY: (
        "the passkey was not the one it shows",
        "try again: it shows a new one each time",
    ),
    Method.PASSKEY_DISPLAY: (
        "the passkey typed on it was not the one shown here",
        "try again with the new one",
    ),
    Method.NUMERIC_COMPARISON: (
        "the numbers were not confirmed on both sides",
        "try again, and confirm on the sensor too, only if both show the same number",
    ),
    Method.JUST_WORKS: (
        "it will not pair in this way",
        (
            "put it into pairing mode and try again; one that offers no pairing at all can only be "
            "used with --unpaired"
        ),
    ),
}
"""How it was being proved when the authentication failed -> what happened, what to do."""


def explained(error: BluezError, doing: str, method: Method | None = None) -> PairingError:
    """Return BlueZ's error as a person can use it.

    Parameters
    ----------
    error : BluezError
        As BlueZ told it.
    doing : str
        What was tried, and with what: ``cannot pair HM-Strap (C0:DE:...)``.
    method : Method | None
        How the sensor was being proved, where it was.
    """
    if method is not None and error.short == "AuthenticationFailed":
        happened, cure = _WRONG[method]
    else:
        happened, cure = BLUETOOTH.get(
            error.name,
            (str(error), "try again; `homeward doctor` checks the radio"),
        )
    said = f" ({error.text})" if error.text and error.text not in happened else ""
    return PairingError(f"{doing}: {happened}{said}; {cure}")


@contextlib.contextmanager
def telling(doing: str) -> Iterator[None]:
    """Turn BlueZ's errors into `PairingError`.

    Parameters
    ----------
    doing : str
        As for `explained`.
    """
    try:
        yield
    except BluezError as error:
        raise explained(error, doing) from error
