"""``homeward run`` with three I2C sensors on one bus, as a person would configure it."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time

import pytest

from edge.packetlog import read
from tests.rigs.i2c.i2c_rig import BUS, ROOT, VirtualBus, build

CONFIG = f"""
[[sources]]
reader = "i2c"
name = "finger"
chip = "max30102"
bus = {BUS}
place = "finger"

[[sources]]
reader = "i2c"
name = "forehead"
chip = "mlx90614"
bus = {BUS}
interval_s = 1

[[sources]]
reader = "i2c"
name = "armpit"
chip = "tmp117"
bus = {BUS}
address = 0x48
place = "armpit"
interval_s = 1
"""
WITHIN_S = 30.0

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("smbus2") is None,
    reason="smbus2 is missing: pip install 'homeward[pi]'",
)


class Box:
    """A monitor in a process of its own, and its status."""

    def __init__(self, bus, folder):
        (folder / "box.toml").write_text(CONFIG)
        self._common = ["--config", str(folder / "box.toml"), "--data-dir", str(folder / "data")]
        self._bus = bus
        self.log = folder / "night.packets"
        words = ["-W", "error", "-m", "edge", "run", *self._common, "--log", str(self.log)]
        self.running = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=bus.environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def status(self):
        """Return the facts of ``homeward status --json``, by kind."""
        asked = subprocess.run(
            [sys.executable, "-m", "edge", "status", *self._common, "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        facts = {}
        for line in asked.stdout.splitlines():
            fact = json.loads(line)
            facts.setdefault(fact["record"], []).append(fact)
        return facts

    def links(self):
        return {fact["source"]: fact["state"] for fact in self.status().get("sensor", ())}

    def until(self, true):
        end_s = time.monotonic() + WITHIN_S
        while not true():
            assert self.running.poll() is None, self.running.communicate()[1]
            assert time.monotonic() < end_s, self.status()
            time.sleep(0.2)


def test_three_sensors_on_one_bus_are_watched_and_one_that_comes_off_is_told(tmp_path):
    bus = VirtualBus(build(tmp_path), tmp_path)
    bus.set(max30102_plugged=1, mlx90614_plugged=1, tmp117_plugged=1)
    box = Box(bus, tmp_path)
    three = {"i2c-99-48", "i2c-99-57", "i2c-99-5a"}
    try:
        box.until(lambda: box.links() == dict.fromkeys(three, "connected"))
        signals = {"pleth_au", "pleth_au:red", "skin_degc", "ambient_degc", "temp_degc"}
        box.until(lambda: set(box.status()["patient"][0]["age_s"]) == signals)
        facts = box.status()
        assert facts["patient"][0]["vitals"]["temp_degc"] == pytest.approx(36.6, abs=0.01)
        assert all(fact["security"] == "wired" for fact in facts["sensor"])
        bus.set(max30102_plugged=0)
        box.until(lambda: box.links()["i2c-99-57"] == "lost")
        (lost,) = [f for f in box.status()["sensor"] if f["state"] == "lost"]
        assert "nothing answers at 0x57" in lost["reason"]
        bus.set(max30102_plugged=1)
        box.until(lambda: set(box.links().values()) == {"connected"})
    finally:
        box.running.send_signal(signal.SIGTERM)
        _, errors = box.running.communicate(timeout=WITHIN_S)
    assert box.running.returncode == 0, errors
    assert "Traceback" not in errors
    assert bus.logged("max30102 rests .*"), "its light is out when the monitor has stopped"
    assert {p.source for p in read(box.log)} >= three
