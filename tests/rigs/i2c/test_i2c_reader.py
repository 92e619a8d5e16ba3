"""The reader of I2C sensors with the real smbus2 and virtual chips on a virtual bus."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from edge.decoders import BrokenError
from edge.decoders import max30102 as pulse
from edge.decoders.mlx90614 import DECODER as INFRARED
from edge.decoders.tmp117 import DECODER as PROBE
from edge.dsp.timeline import StreamClock
from edge.records import Packet
from tests.rigs.i2c.i2c_rig import NAK, Reading, VirtualBus, build

LONG = bool(os.environ.get("HOMEWARD_LONG"))
RUN_S = 60.0 if LONG else 6.0
FS_HZ = 100.0
PPM = 300
MAX = {"chip": "max30102"}
FAST = {"interval_s": 1.0}
BUSY_S = 0.15
"""Half of what a FIFO holds: what stood still for longer may have lost samples, and proves
nothing."""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("smbus2") is None,
    reason="smbus2 is missing: pip install 'homeward[pi]'",
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def bus(library, tmp_path) -> VirtualBus:
    return VirtualBus(library, tmp_path)


def decoded(reading, decoder=pulse.DECODER):
    """Return what the decoder makes of every packet: its samples, or its error."""
    decode = decoder.open()
    found = []
    for line in reading.packets:
        packet = Packet(line["source"], line["stream"], line["at_s"], bytes.fromhex(line["hex"]))
        try:
            found.append(decode(packet))
        except BrokenError as error:
            found.append(error)
    return found


def samples_of(runs):
    """Return the numbers of the samples that came, in order, and check both LEDs."""
    red = np.concatenate([run[1].values for run in runs])
    infrared = np.concatenate([run[0].values for run in runs])
    assert (red + infrared == 200_000).all()
    return red.astype(int)


def counters_of(reading):
    return [pulse.HEAD.unpack_from(bytes.fromhex(line["hex"]))[0] for line in reading.packets]


def lives(bus):
    """Return for every span in which the chip sampled: begin, first sample, next, left in FIFO."""
    found = []
    for at_s, text in bus.log:
        if begun := re.fullmatch(r"max30102 samples next=(\d+)", text):
            found.append([at_s, int(begun[1]), None, None])
        elif ended := re.fullmatch(r"max30102 (?:off|reset|rests|end) next=(\d+) fifo=(\d+)", text):
            found[-1][2:] = int(ended[1]), int(ended[2])
    return found


def check_that_all_came(runs, bus):
    """Check that the samples came, in order, that were made, not lost in a full FIFO, not left."""
    lost = {int(found[1]) for found in bus.logged(r"max30102 lost (\d+)")}
    made = [number for _, first, end, left in lives(bus) for number in range(first, end - left)]
    wanted = [number for number in made if number not in lost]
    numbers = samples_of(runs).tolist()
    assert numbers == wanted[: len(numbers)]
    assert len(wanted) - len(numbers) <= pulse.DEPTH, "more than a poll when it was told to end"


def was_in_time(end):
    """Return whether the machine let the process run often enough for nothing to be late."""
    return end["worst_lag_s"] < BUSY_S


def test_every_sample_comes_once_in_order_and_at_its_time(bus):
    bus.set(max30102_plugged=1, max30102_ppm=PPM)
    with Reading(bus, MAX) as reading:
        reading.until(lambda r: len(r.packets) >= 50)
        end = reading.end()
        runs = decoded(reading)
        check_that_all_came(runs, bus)
        if not was_in_time(end):
            pytest.skip(f"the machine was busy for {end['worst_lag_s']:.2f} s")
        assert not bus.logged(r"max30102 lost .*")
        assert reading.states == ["connected"]
        assert reading.told[0]["security"] == "wired"
        assert {p["source"] for p in reading.packets} == {"i2c-99-57"}
        clock = StreamClock(FS_HZ, polled=False)
        (began_s, *_), first = lives(bus)[0], 0
        for run in runs:
            place = clock.place(run[0], run[0].start_s)
            true_s = began_s + (first + 1) / FS_HZ / (1 + PPM * 1e-6)
            assert place.n_skipped == 0
            assert abs(place.start_s - true_s) <= place.uncertainty_s
            first += len(run[0].values)
        assert abs(place.start_s - true_s) < 0.02  # a sample, and what a busy box adds
        assert bus.logged(r"max30102 rests .*"), "its light is out when nobody reads it"


@pytest.mark.parametrize("rate_hz", [50, 400])
def test_other_rates_are_read_as_fast_as_they_fill(bus, rate_hz):
    bus.set(max30102_plugged=1)
    with Reading(bus, MAX | {"rate_hz": rate_hz}) as reading:
        reading.until(lambda r: len(r.packets) >= 20)
        reading.end()
        runs = decoded(reading)
        assert {run[0].fs_hz for run in runs} == {rate_hz}
        check_that_all_came(runs, bus)


def test_unplugging_costs_only_what_was_not_read_yet_and_plugging_in_brings_it_back(bus):
    bus.set(max30102_plugged=1, max30102_ppm=-PPM)
    with Reading(bus, MAX) as reading:
        reading.until(lambda r: len(r.packets) >= 3)
        time.sleep(RUN_S / 2)
        bus.set(max30102_plugged=0)
        reading.until(lambda r: r.states[-1] == "lost")
        assert "nothing answers at 0x57 on /dev/i2c-99" in reading.told[-1]["reason"]
        assert "i2cdetect -y 99" in reading.told[-1]["reason"]
        bus.set(max30102_plugged=1)
        back_s = time.monotonic()
        reading.until(lambda r: r.states[-1] == "connected")
        assert time.monotonic() - back_s < 2.0
        time.sleep(RUN_S / 2)
        end = reading.end()
        # What lay in the FIFO when the wire came off went with it, and nothing else.
        runs = decoded(reading)
        check_that_all_came(runs, bus)
        left, n_lost = lives(bus)[0][3], len(bus.logged("max30102 lost .*"))
        cost_ms = 1e3 * end["cpu_s"] / end["span_s"]
        print(
            f"{len(samples_of(runs))} samples came, {n_lost} were lost, {left} went with the wire; "
            f"{cost_ms:.1f} ms CPU a second"
        )
        if was_in_time(end):
            assert n_lost == 0
            assert counters_of(reading).count(0) == 2


def test_a_gap_in_the_power_that_no_transfer_notices_is_noticed_by_the_silence(bus):
    bus.set(max30102_plugged=1)
    with Reading(bus, MAX) as reading:
        reading.until(lambda r: len(r.packets) >= 3)
        bus.set(max30102_cut=1)
        reading.until(lambda r: r.states == ["connected", "lost", "connected"])
        assert "samples no more" in reading.told[1]["reason"]
        reading.end()
        check_that_all_came(decoded(reading), bus)


@pytest.mark.parametrize(("asleep_s", "counted"), [(0.45, True), (1.2, False)])
def test_what_overflows_while_the_box_is_asleep_is_a_gap_of_its_length(bus, asleep_s, counted):
    bus.set(max30102_plugged=1)
    with Reading(bus, MAX) as reading:
        reading.until(lambda r: len(r.packets) >= 20)
        reading._running.send_signal(signal.SIGSTOP)
        time.sleep(asleep_s)
        reading._running.send_signal(signal.SIGCONT)
        n = len(reading.packets)
        reading.until(lambda r: len(r.packets) >= n + 20)
        reading.end()
        assert reading.states == ["connected"]
        runs = decoded(reading)
        n_lost = len(bus.logged(r"max30102 lost .*"))
        assert n_lost
        clock = StreamClock(FS_HZ, polled=False)
        gaps = [place for run in runs if (place := clock.place(run[0], run[0].start_s)).n_skipped]
        assert [gap.reason for gap in gaps] == ["lost" if counted else "restart"]
        # Counted by the chip, but for one in the moment of reading; or told from arrivals.
        assert abs(gaps[0].n_skipped - n_lost) <= (1 if counted else 8)
        steps = np.diff(samples_of(runs))
        assert steps.min() == 1
        assert steps.max() == n_lost + 1
        assert np.count_nonzero(steps != 1) == 1


def test_now_and_then_no_acknowledge_is_retried_and_the_chip_set_up_anew(bus):
    bus.set(max30102_plugged=1, bus_nak_every=60)
    with Reading(bus, MAX) as reading:
        reading.until(lambda r: r.states.count("connected") >= 3)
        reading.end()
        assert reading.states[:5] == ["connected", "lost"] * 2 + ["connected"]
        steps = np.diff(samples_of(decoded(reading)))
        assert (steps >= 1).all(), "no sample comes twice or out of order"
        assert len(bus.logged("opened")) == len(bus.logged("closed"))


@pytest.mark.parametrize(
    ("numbers", "settings", "words"),
    [
        ({"max30102_plugged": 1, "max30102_part": 0x11}, MAX, ("0x57", "MAX30100", "i2cdetect -y")),
        ({"tmp117_plugged": 1, "tmp117_device": 0x0116}, {"chip": "tmp117"}, ("0x48", "0x0116")),
        ({"mlx90614_plugged": 1, "mlx90614_pec_xor": 1}, {"chip": "mlx90614"}, ("0x5a", "PEC")),
        ({"bus_open_errno": errno.ENOENT}, MAX, ("raspi-config", "dtparam=i2c_arm=on")),
        ({"bus_open_errno": errno.EACCES}, MAX, ("group i2c", "usermod")),
    ],
)
def test_what_a_person_has_to_mend_is_said_to_one(bus, numbers, settings, words):
    bus.set(**numbers)
    with Reading(bus, settings) as reading:
        failed = reading.end(ask=False)["failed"]
        for word in words:
            assert word in failed
        assert not reading.told
        assert len(bus.logged("opened")) == len(bus.logged("closed"))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"bus_held": 0x57}, "dtoverlay"),
        ({"bus_errno": errno.EIO}, "pull-up"),
        ({"bus_errno": NAK}, "nothing answers"),
        ({"bus_hang_ms": 300}, "hangs"),
    ],
)
def test_a_chip_that_cannot_be_reached_yet_is_waited_for(bus, numbers, words):
    bus.set(max30102_plugged=1, **numbers)
    with Reading(bus, MAX) as reading:
        reading.until(lambda r: r.states == ["lost"])
        assert words in reading.told[0]["reason"]
        bus.set(**dict.fromkeys(numbers, 0))
        reading.until(lambda r: r.states == ["lost", "connected"])
        reading.end()


def test_a_bus_that_never_comes_back_neither_holds_the_loop_nor_the_end(bus):
    bus.set(max30102_plugged=1)
    with Reading(bus, MAX) as reading:
        reading.until(lambda r: len(r.packets) >= 3)
        bus.set(bus_hang_ms=-1)
        reading.until(lambda r: r.states[-1] == "lost", 8.0)
        assert "hangs" in reading.told[-1]["reason"]
        time.sleep(2.0)  # it is tried again meanwhile, and nothing piles up
        end = reading.end()
        assert end["left_in_s"] < 1.0
        assert end["worst_lag_s"] < 0.25
        assert end["n_threads"] == 2, "the one that hangs, and no other"


def test_a_bus_that_hung_for_a_while_is_read_on(bus):
    bus.set(max30102_plugged=1)
    with Reading(bus, MAX) as reading:
        reading.until(lambda r: len(r.packets) >= 3)
        bus.set(bus_hang_ms=-1)
        reading.until(lambda r: r.states[-1] == "lost", 8.0)
        bus.set(bus_hang_ms=0)
        reading.until(lambda r: r.states[-1] == "connected")
        reading.end()
        assert len(bus.logged("opened")) == len(bus.logged("closed"))


def test_a_data_line_that_hangs_high_gives_broken_packets_and_no_values(bus):
    bus.set(max30102_plugged=1)
    with Reading(bus, MAX) as reading:
        reading.until(lambda r: len(r.packets) >= 2)
        bus.set(max30102_high=1)
        n = len(reading.packets)
        reading.until(lambda r: len(r.packets) >= n + 3)
        reading.end()
        assert isinstance(decoded(reading)[-1], BrokenError)


def test_an_infrared_thermometer_gives_skin_and_ambient_and_a_wrong_check_is_broken(bus):
    bus.set(mlx90614_plugged=1)
    with Reading(bus, {"chip": "mlx90614"} | FAST) as reading:
        reading.until(lambda r: len(r.packets) >= 1)
        bus.set(mlx90614_pec_xor=0x80)
        reading.until(lambda r: len(r.packets) >= 2)
        bus.set(mlx90614_pec_xor=0, mlx90614_object=0x8000)
        reading.until(lambda r: len(r.packets) >= 3)
        reading.end()
        good, broken, flagged = decoded(reading, INFRARED)[:3]
        assert [run.signal for run in good] == ["skin_degc", "ambient_degc"]
        np.testing.assert_allclose([run.values[0] for run in good], [34.01, 23.75], atol=1e-4)
        assert isinstance(broken, BrokenError)
        assert np.isnan(flagged[0].values[0])
        assert not np.isnan(flagged[1].values[0])


def test_a_thermometer_on_the_skin_is_read_once_for_every_conversion(bus):
    bus.set(tmp117_plugged=1)
    with Reading(bus, {"chip": "tmp117", "place": "armpit"} | FAST) as reading:
        reading.until(lambda r: len(r.packets) >= 3)
        bus.set(tmp117_stuck=1)
        reading.until(lambda r: r.states[-1] == "lost", 12.0)
        assert "measures no more" in reading.told[-1]["reason"]
        reading.end()
        found = decoded(reading, PROBE)
        assert found[0] == (), "no conversion has ended yet"
        assert (found[2][0].signal, found[2][0].values[0]) == ("temp_degc", 4685 / 128)
        assert found[-1] == (), "the old value is not given again"
