"""A private bus: its own address, gone when it is closed, and the variable only when asked."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from edge.virtual._bus import SYSTEM_BUS, BusError, PrivateBus, private_bus

daemon = pytest.mark.skipif(
    shutil.which("dbus-daemon") is None, reason="dbus-daemon is missing: apt install dbus"
)


def listens(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(address.removeprefix("unix:path="))
        except OSError:
            return False
    return True


@daemon
def test_a_bus_listens_until_it_is_closed_and_leaves_nothing() -> None:
    with private_bus() as address:
        assert listens(address)
        folder = Path(address.removeprefix("unix:path=")).parent
    assert not listens(address)
    assert not folder.exists()


@daemon
def test_the_variable_is_set_only_when_asked_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SYSTEM_BUS, "unix:path=/before")
    with private_bus():
        assert os.environ[SYSTEM_BUS] == "unix:path=/before"
    with private_bus(as_system_bus=True) as address:
        assert os.environ[SYSTEM_BUS] == address
    assert os.environ[SYSTEM_BUS] == "unix:path=/before"
    monkeypatch.delenv(SYSTEM_BUS)
    with private_bus(as_system_bus=True):
        assert SYSTEM_BUS in os.environ
    assert SYSTEM_BUS not in os.environ


@daemon
def test_a_bus_that_died_comes_back_at_the_same_address() -> None:
    with PrivateBus() as bus:
        before = bus.address
        bus.die()
        assert not listens(bus.address)
        bus.rise()
        assert listens(bus.address)
        assert bus.address == before


def test_without_the_program_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BusError, match="sudo apt install dbus"), private_bus():
        pass


@daemon
def test_a_daemon_that_will_not_start_is_told_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.virtual._bus._CONFIGURATION", "<nonsense>{socket}")
    with pytest.raises(BusError, match="exit code 1"), PrivateBus():
        pass
