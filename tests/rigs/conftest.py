"""Fixtures of the rigs; what is missing on a machine skips with the package to install."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

from edge.virtual._bus import SYSTEM_BUS, PrivateBus


@pytest.fixture
def needs_rig() -> None:
    """Skip where the fast rig cannot run."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is missing: apt install dbus")
    for package in ("bumble", "bleak", "dbus_fast"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is missing: pip install 'homeward[dev]'")


@pytest.fixture
def bus(needs_rig: None, monkeypatch: pytest.MonkeyPatch):  # noqa: ARG001
    """Run a private bus that this process takes for the system bus; its address is in it."""
    with PrivateBus() as running:
        monkeypatch.setenv(SYSTEM_BUS, running.address)
        yield running


@pytest.fixture
def make_rig(bus: PrivateBus):
    """Give what makes a rig; tier (b) will be a second parameter here."""
    from tests.rigs.rig import fast_rig  # noqa: PLC0415  # needs what may be missing

    return lambda: fast_rig(bus.address)
