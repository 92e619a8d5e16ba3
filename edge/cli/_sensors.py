"""What the commands for Bluetooth sensors share, and needs nothing heavy."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Final

from edge.cli._shared import CommandError

if TYPE_CHECKING:
    from edge.config import Config
    from edge.devices import Device

SECURITY_WORDS: Final = {
    "open": "open: anybody can pretend to be it",
    "encrypted": "encrypted; who paired was not proved",
    "authenticated": "encrypted and proved by a number",
    "secure": "encrypted and proved, LE Secure Connections",
    "wired": "a cable",
    "unknown": "not known",
}
SECURITY_STYLE: Final = {"open": "red", "encrypted": "yellow", "unknown": "yellow"}


def need_bluetooth() -> None:
    """Check that what speaks to BlueZ is installed.

    Raises
    ------
    CommandError
        It is not, and the command that installs it.
    """
    if importlib.util.find_spec("dbus_fast") is None:
        raise CommandError(
            "Bluetooth needs a package that is not installed (dbus-fast): pip install "
            "'homeward[pi]'"
        )


def patient_complaint(settings: Config, patient: str) -> str | None:
    """Return what is wrong with a patient's id; None: it is one of the configuration's."""
    ids = [one.id for one in settings.patients]
    if patient in ids:
        return None
    return (
        f"there is no patient {patient!r}; the configuration has {', '.join(ids)} (add a "
        f"[[patients]] table with this id)"
    )


def made_by(device: Device) -> str:
    """Return maker, model and firmware, as far as the sensor has told them."""
    return " ".join(part for part in (device.manufacturer, device.model, device.firmware) if part)


def fact(device: Device, bond: str | None = None) -> dict[str, object]:
    """Return a sensor as one JSON fact."""
    import msgspec

    told = {} if bond is None else {"bond": bond}
    return {"record": "sensor", **msgspec.to_builtins(device), **told}
