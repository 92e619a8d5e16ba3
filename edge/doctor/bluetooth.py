"""Check the way to the Bluetooth sensors: BlueZ, its radio, its settings, the bonds.

A box that has no Bluetooth sensor needs none of it: there nothing is worse than a remark.
"""

from __future__ import annotations

import asyncio
import configparser
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edge.config import Config
from edge.devices import Device, DevicesError, load
from edge.doctor.findings import Finding, Health

if TYPE_CHECKING:
    from edge.bluez import Adapter, BluezDevice
    from edge.bluez.rfkill import Block

MAIN_CONF: Final = Path("/etc/bluetooth/main.conf")
_ADVICE: Final = (
    ("General", "ControllerMode", "dual", "le", "classic Bluetooth has holes that LE has not"),
    (
        "General",
        "JustWorksRepairing",
        "never",
        "never",
        "a stranger could replace a bond that was made without proof",
    ),
    ("GATT", "KeySize", "0", "16", "a sensor could be made to use a key that can be guessed"),
)
"""Group, key, BlueZ's default, what it should be, why. Source: BlueZ ``src/main.conf`` (5.82)."""


class Seen(msgspec.Struct, frozen=True):
    """What BlueZ has; `trouble`: why it could not be asked."""

    adapters: tuple[Adapter, ...] = ()
    devices: tuple[BluezDevice, ...] = ()
    trouble: str = ""


def check_bluetooth(config: Config, main_conf: Path = MAIN_CONF) -> Iterator[Finding]:
    """Return whether Bluetooth sensors can be read, and each of them as it should be."""
    try:
        known = load(config.box.data_dir)
    except DevicesError as error:
        why = "no Bluetooth sensor is read"
        yield Finding("sensors", Health.FAIL, str(error), why, "see there")
        return
    needed = bool(known) or any(source.reader == "ble" for source in config.sources)
    if importlib.util.find_spec("dbus_fast") is None:
        if needed:
            cure = "pip install 'homeward[pi]'"
            why = "no Bluetooth sensor can be read"
            yield Finding("BlueZ", Health.FAIL, "dbus-fast is not installed", why, cure)
        return
    # dbus-fast may be missing, and takes a moment.
    from edge.bluez.rfkill import blocked  # noqa: PLC0415

    seen = asyncio.run(look())
    yield from check_bluez(seen, blocked(), needed=needed)
    if seen.trouble:
        return
    yield from check_sensors(known, seen)
    if needed:
        yield from check_settings(main_conf)


async def look() -> Seen:
    """Return what BlueZ has, or why it cannot be asked."""
    from edge.bluez import Bluez, BluezError  # noqa: PLC0415

    try:
        async with Bluez.connect() as bluez:
            return Seen(await bluez.adapters(), await bluez.devices())
    except BluezError as error:
        return Seen(trouble=f"{error.short}: {error.text}" if error.text else error.short)


def check_bluez(seen: Seen, blocks: Sequence[Block], *, needed: bool) -> Iterator[Finding]:
    """Return whether BlueZ runs and has a radio that is on."""
    if seen.trouble:
        cure = "sudo apt install bluez dbus && sudo systemctl enable --now bluetooth"
        yield _bad("BlueZ", f"cannot be asked ({seen.trouble})", cure, needed=needed)
        return
    yield Finding("BlueZ", Health.OK, "running")
    on = [one for one in seen.adapters if one.powered]
    if on:
        names = ", ".join(f"{one.name} ({one.address})" for one in on)
        yield Finding("Bluetooth radio", Health.OK, f"{names} on")
    elif blocks:
        hard = any(block.hard for block in blocks)
        cure = "move its switch" if hard else "sudo rfkill unblock bluetooth"
        yield _bad("Bluetooth radio", "switched off by the system (rfkill)", cure, needed=needed)
    elif seen.adapters:
        yield _bad("Bluetooth radio", "off", "bluetoothctl power on", needed=needed)
    else:
        cure = "plug an adapter in; on a Pi: dmesg | grep -i bluetooth, and no dtoverlay=disable-bt"
        yield _bad("Bluetooth radio", "there is none", cure, needed=needed)


def check_sensors(known: Sequence[Device], seen: Seen) -> Iterator[Finding]:
    """Return whether the bond with every sensor stands."""
    for device in known:
        name = f"sensor {device.name}"
        have = [one.adapter for one in seen.devices if one.address == device.address and one.bonded]
        if not device.bonded:
            found = "used without a bond: anybody near can pretend to be it"
            cure = f"if it can pair: homeward pair --again {device.address}"
            why = "its values may be false; they are marked as open"
            yield Finding(name, Health.WARN, found, why, cure)
        elif not have:
            cure = (
                f"if you have reset it or this box yourself: homeward pair --again {device.address}"
            )
            yield Finding(name, Health.FAIL, "its bond is lost", "it is not read", cure)
        elif device.adapter and device.adapter not in have:
            found = f"bonded on {', '.join(have)}, and was paired on {device.adapter}"
            yield Finding(name, Health.OK, found)
        else:
            yield Finding(name, Health.OK, f"bonded, {device.security}")


def check_settings(main_conf: Path) -> Iterator[Finding]:
    """Return whether BlueZ is set as a box for health data should be."""
    name = "BlueZ settings"
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        settings.read_string(main_conf.read_text("utf-8", "replace"))
    except FileNotFoundError:
        pass  # then BlueZ has its defaults
    except (OSError, configparser.Error) as error:
        yield Finding(name, Health.OK, f"{main_conf} cannot be read ({error}), not checked")
        return
    wrong = [
        (group, key, wanted, why)
        for group, key, default, wanted, why in _ADVICE
        if settings.get(group, key, fallback=default).strip() != wanted
    ]
    if not wrong:
        yield Finding(name, Health.OK, "LE only, full keys, no silent pairing anew")
        return
    found = ", ".join(f"{key} is not {wanted}" for _, key, wanted, _ in wrong)
    why = "; ".join(reason for *_, reason in wrong)
    lines = ", ".join(f"{key}={wanted} under [{group}]" for group, key, wanted, _ in wrong)
    cure = f"in {main_conf}: {lines}; then sudo systemctl restart bluetooth"
    yield Finding(name, Health.WARN, found, why, cure)


def _bad(name: str, found: str, cure: str, *, needed: bool) -> Finding:
    if not needed:
        return Finding(name, Health.OK, f"{found}; no sensor needs it")
    return Finding(name, Health.FAIL, found, "no Bluetooth sensor can be read", cure)
