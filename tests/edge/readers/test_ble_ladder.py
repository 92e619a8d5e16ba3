"""Mending a radio: the order of the steps, what each does, and what is never done."""

import asyncio

import pytest

from edge.bluez.objects import Adapter, BluezDevice, BluezError
from edge.readers._ble_clean import clean
from edge.readers._ble_ladder import REBOOT_AFTER_S, REST_S, Ladder, Means
from tests.rigs.fast_loop import run_fast

OURS, BONDED, STRANGE = "C0:00:00:00:00:01", "C0:00:00:00:00:02", "C0:00:00:00:00:03"


class Hardware:
    """One radio with three devices, as D-Bus shows it."""

    def __init__(self):
        self.powered, self.calls, self.failing = True, [], set()
        self.known = {
            OURS: {"bonded": False, "connected": True},
            BONDED: {"bonded": True, "connected": True},
            STRANGE: {"bonded": False, "connected": False},
        }

    async def adapters(self):
        return (Adapter("/org/bluez/hci0", "hci0", "B8", self.powered, discovering=False),)

    async def devices(self, adapter=None):
        return tuple(
            BluezDevice(
                path=address,
                adapter="hci0",
                address=address,
                address_type="random",
                name="",
                alias="",
                paired=state["bonded"],
                bonded=state["bonded"],
                trusted=False,
                connected=state["connected"],
                blocked=False,
                services_resolved=False,
                rssi=None,
                uuids=(),
            )
            for address, state in self.known.items()
            if adapter in {None, "hci0"}
        )

    async def set_powered(self, _, on):
        await self._do(f"power {'on' if on else 'off'}")
        self.powered = on

    async def disconnect(self, path):
        await self._do(f"disconnect {path[-1]}")
        self.known[path]["connected"] = False

    async def remove(self, path):
        await self._do(f"remove {path[-1]}")
        del self.known[path]

    async def call(self, _path, _interface, member, _signature="", _body=(), *, to=""):
        await self._do(f"{member} of {to}")

    async def _do(self, what):
        self.calls.append(what)
        if what in self.failing:
            raise BluezError("org.bluez.Error.Failed", what)


def means(tmp_path, told, *, may_reboot=False, boot_s=REBOOT_AFTER_S):
    return Means(
        tmp_path / "radio-reset" / "request",
        may_reboot,
        lambda: boot_s,
        lambda: frozenset({OURS, BONDED}),
        told.append,
    )


def climbed(tmp_path, n, *, is_broken=True, hardware=None, **options):
    hardware, told = hardware or Hardware(), []

    async def play():
        ladder = Ladder("hci0", hardware, means(tmp_path, told, **options))
        return [await ladder.climb("it is dead", is_broken=is_broken) for _ in range(n)]

    return run_fast(play(), 50), hardware, told


def test_the_steps_are_taken_one_after_the_other_then_it_rests(tmp_path):
    steps, _, told = climbed(tmp_path, 6)
    assert steps == ["cycle", "reset", "helper", "", "", ""]
    assert [text.partition(":")[2] for text in told] == [" it is dead"] * 3


def test_a_cycle_is_off_and_on(tmp_path):
    _, hardware, _ = climbed(tmp_path, 1)
    assert hardware.calls == ["power off", "power on"]


def test_a_reset_forgets_our_unbonded_sensors_and_nothing_else(tmp_path):
    _, hardware, _ = climbed(tmp_path, 2)
    assert hardware.calls[2:] == [
        "disconnect 1",
        "remove 1",
        "disconnect 2",
        "power off",
        "power on",
    ]
    assert set(hardware.known) == {BONDED, STRANGE}


def test_the_helper_is_called_by_touching_a_file(tmp_path):
    climbed(tmp_path, 2)
    assert not (tmp_path / "radio-reset" / "request").exists()
    climbed(tmp_path, 3)
    assert (tmp_path / "radio-reset" / "request").exists()


def test_a_helper_that_cannot_be_called_does_not_stop_the_ladder(tmp_path):
    (tmp_path / "radio-reset").write_text("a file where a folder should be")
    steps, _, _ = climbed(tmp_path, 4)
    assert steps == ["cycle", "reset", "helper", ""]


REBOOT = "Reboot of org.freedesktop.login1"


@pytest.mark.parametrize(
    ("options", "reboots"),
    [
        ({}, False),
        ({"may_reboot": True}, True),
        ({"may_reboot": True, "boot_s": REBOOT_AFTER_S - 1}, False),
        ({"may_reboot": True, "is_broken": False}, False),
    ],
    ids=["not allowed", "allowed", "too soon", "only silent"],
)
def test_the_box_is_restarted_only_if_allowed_late_and_for_a_cause(tmp_path, options, reboots):
    _, hardware, _ = climbed(tmp_path, 4, **options)
    assert (REBOOT in hardware.calls) == reboots


def test_a_radio_that_came_back_begins_at_the_bottom(tmp_path):
    async def play():
        ladder = Ladder("hci0", Hardware(), means(tmp_path, []))
        first = [await ladder.climb("x", is_broken=True) for _ in range(2)]
        ladder.came_back()
        return [*first, await ladder.climb("x", is_broken=True)]

    assert run_fast(play(), 50) == ["cycle", "reset", "cycle"]


def test_after_its_rest_it_begins_again_and_rests_longer(tmp_path):
    async def play():
        ladder = Ladder("hci0", Hardware(), means(tmp_path, []))
        steps = [await ladder.climb("x", is_broken=True) for _ in range(5)]
        await asyncio.sleep(REST_S + 1)
        steps += [await ladder.climb("x", is_broken=True) for _ in range(4)]
        await asyncio.sleep(REST_S + 1)
        return [*steps, await ladder.climb("x", is_broken=True)]

    round_ = ["cycle", "reset", "helper", ""]
    assert run_fast(play(), 2000) == [*round_, "", *round_, ""]


def test_a_step_that_fails_is_followed_by_the_next(tmp_path):
    hardware = Hardware()
    hardware.failing = {"power off"}
    steps, hardware, _ = climbed(tmp_path, 3, hardware=hardware)
    assert steps == ["cycle", "reset", "helper"]
    assert hardware.calls.count("power on") >= 2  # it is never left switched off


def test_a_box_without_any_radio_goes_straight_for_help(tmp_path):
    async def play():
        ladder = Ladder("", hardware := Hardware(), means(tmp_path, []))
        for _ in range(3):
            await ladder.climb("no radio", is_broken=True)
        return hardware.calls

    assert run_fast(play(), 50) == []
    assert (tmp_path / "radio-reset" / "request").exists()


# What a crash left


def cleaned(hardware):
    run_fast(clean(hardware, frozenset({OURS, BONDED})), 50)
    return hardware.calls


def test_a_crash_is_cleared_away_without_losing_a_bond():
    hardware = Hardware()
    assert cleaned(hardware) == ["disconnect 1", "remove 1", "disconnect 2"]
    assert set(hardware.known) == {BONDED, STRANGE}


def test_a_bonded_sensor_whose_link_does_not_end_costs_a_power_cycle():
    hardware = Hardware()
    hardware.failing = {"disconnect 2"}
    assert cleaned(hardware)[-2:] == ["power off", "power on"]
    assert BONDED in hardware.known


def test_a_radio_that_was_left_in_order_is_left_alone():
    hardware = Hardware()
    hardware.known = {BONDED: {"bonded": True, "connected": False}}
    assert cleaned(hardware) == []
