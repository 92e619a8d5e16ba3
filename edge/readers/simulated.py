"""A simulated patient with simulated devices: no hardware, and the truth is known.

The patient (ECG after McSharry et al. 2003, doi:10.1109/TBME.2003.808805) lives through a
scenario: a TOML file that says what happens when, to the patient and to the links. The devices send
the same bytes as real ones; nothing behind this file can tell. The same scenario, devices and seed
give the same packets, byte for byte; every part draws from its own random numbers, so a fault of
one device changes nothing in another.

Devices, by name; their packets' source is ``sim:`` and the name:

- ``board``: ECG lead II and breath at 250 Hz, ten frames a second
- ``motion``: acceleration in three axes at 50 Hz, five frames a second
- ``thermometer``: body temperature every ten seconds
- ``pleth``: pulse wave at 75 Hz, five frames a second
- ``clip``: finger clip, Bluetooth 0x2A5F, once a second
- ``strap``: chest strap with RR intervals, Bluetooth 0x2A37, once a second
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
import numpy as np

from edge import frame
from edge.readers import NowS, Reader, ReadError, Rim
from edge.readers import _scenario as told
from edge.readers._boards_model import BOARDS, run_board
from edge.readers._body_model import Body
from edge.readers._links_model import Boot, carry, plan_boots
from edge.readers._rhythm_model import TrueBeat, play_beats
from edge.readers._vitals_model import Vitals
from edge.readers._wearables_model import CLIP_STREAM, STRAP_STREAM, run_clip, run_strap
from edge.records import Packet, TimeArray


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to simulate.

    Attributes
    ----------
    scenario : str
        Name of a built-in scenario, or path of a TOML file.
    seed : int | None
        Replaces the scenario's own: another patient with the same story.
    devices : tuple[str, ...] | None
        What the patient wears; None: what the scenario says.
    speed : float
        How many times faster than real time the clock handed to the reader runs.
    duration_s : float | None
        Replaces the scenario's own length.
    """

    scenario: str = "demo"
    seed: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)] | None = None
    devices: tuple[told.DeviceName, ...] | None = None
    speed: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    duration_s: Annotated[float, msgspec.Meta(gt=0)] | None = None


class Episode(msgspec.Struct, frozen=True):
    """One event of the scenario: its kind, and its span, half open."""

    name: str
    start_s: float
    end_s: float
    event: told.Event


class Truth(msgspec.Struct, frozen=True):
    """What was played, for comparing with what the monitor saw.

    Attributes
    ----------
    duration_s : float
        Length of the simulation; all times count from its start.
    patient : Patient
        Who it was.
    episodes : tuple[Episode, ...]
        The scenario's events, in its order.
    beats : tuple[TrueBeat, ...]
        Every beat in ``[0, duration_s)``.
    boots : Mapping[str, tuple[Boot, ...]]
        For each source, the lives of its device: what its clock said when.
    vitals : Vitals
        ``hr_bpm``, ``spo2_pct``, ``temp_degc``, ``resp_brpm`` ... at any times (n,).
    """

    duration_s: float
    patient: told.Patient
    episodes: tuple[Episode, ...]
    beats: tuple[TrueBeat, ...]
    boots: Mapping[str, tuple[Boot, ...]]
    vitals: Vitals

    def episodes_named(self, name: str) -> tuple[Episode, ...]:
        """Return the episodes of one kind, in the scenario's order."""
        return tuple(episode for episode in self.episodes if episode.name == name)

    def sample_times_s(self, source: str, first_idx: int, n: int, boot_idx: int = 0) -> TimeArray:
        """Return when samples `first_idx` ... of one boot of a board were truly taken, (n,)."""
        fs_hz = BOARDS[source.removeprefix("sim:")].description.fs_hz
        return self.boots[source][boot_idx].true_s((first_idx + np.arange(n)) / fs_hz)


def packets(settings: Settings) -> Iterator[Packet]:
    """Return the packets of the simulation in order of arrival, counted from 0.0 s.

    They are made as they are asked for, a few seconds at a time.

    Raises
    ------
    ReadError
        The scenario cannot be read, or no device was chosen.
    """
    scenario, seed, duration_s = _plan(settings)
    body = Body(scenario, seed)
    streams = [
        _device(device, body, scenario, seed, duration_s)
        for device in sorted(set(_worn(settings, scenario)))
    ]
    return heapq.merge(*streams, key=_arrived_s)


def scenario_of(settings: Settings) -> told.Scenario:
    """Return what is to happen.

    Raises
    ------
    ReadError
        The scenario cannot be read, or no device was chosen.
    """
    return _plan(settings)[0]


def truth(settings: Settings) -> Truth:
    """Return what `packets` plays with the same settings; computed apart, so ask at any time.

    Raises
    ------
    ReadError
        The scenario cannot be read, or no device was chosen.
    """
    scenario, seed, duration_s = _plan(settings)
    vitals = Vitals(scenario, seed)
    beats = []
    for beat in play_beats(vitals, scenario.events, seed):
        if beat.at_s >= duration_s:
            break
        if beat.at_s >= 0.0:
            beats.append(beat)
    return Truth(
        duration_s,
        scenario.patient,
        tuple(
            Episode(str(event.__struct_config__.tag), event.at_s, event.end_s, event)
            for event in scenario.events
        ),
        tuple(beats),
        {
            f"sim:{name}": plan_boots(name, scenario, duration_s, seed)
            for name in _worn(settings, scenario)
        },
        vitals,
    )


async def run(settings: Settings, rim: Rim) -> None:
    """Deliver the packets when they are due by the rim's clock, until the scenario ends.

    Raises
    ------
    ReadError
        The scenario cannot be read, or no device was chosen.
    """
    now_s = rim.now_s
    start_s = now_s()
    for packet in packets(settings):
        await _until(start_s + packet.arrived_s, now_s, settings.speed)
        rim.deliver(msgspec.structs.replace(packet, arrived_s=now_s()))


async def _until(due_s: float, now_s: NowS, speed: float) -> None:
    # Even a late packet gives way once, so that a simulation in arrears cannot stop the others.
    wait_s = due_s - now_s()
    await asyncio.sleep(max(wait_s, 0.0) / speed)
    while (wait_s := due_s - now_s()) > 0.0:  # noqa: ASYNC110  # a clock sets no events
        # A clock that runs `speed` times as fast needs the shorter sleep.
        await asyncio.sleep(wait_s / speed)


def _plan(settings: Settings) -> tuple[told.Scenario, int, float]:
    scenario = told.read_scenario(settings.scenario)
    if not _worn(settings, scenario):
        known = ", ".join((*BOARDS, "clip", "strap"))
        raise ReadError(f"the simulation has no device; choose at least one of {known}")
    seed = scenario.seed if settings.seed is None else settings.seed
    return scenario, seed, settings.duration_s or scenario.duration_s


def _worn(settings: Settings, scenario: told.Scenario) -> tuple[told.DeviceName, ...]:
    return scenario.devices if settings.devices is None else settings.devices


def _device(
    device: told.DeviceName, body: Body, scenario: told.Scenario, seed: int, duration_s: float
) -> Iterator[Packet]:
    boots = plan_boots(device, scenario, duration_s, seed)
    if device == "clip":
        return carry(run_clip(body, boots, scenario), device, CLIP_STREAM, scenario, seed)
    if device == "strap":
        return carry(run_strap(body, boots, scenario), device, STRAP_STREAM, scenario, seed)
    frames = run_board(device, body, boots, scenario, seed)
    return carry(frames, device, frame.STREAM, scenario, seed)


def _arrived_s(packet: Packet) -> float:
    return packet.arrived_s


READER = Reader(name="simulated", settings=Settings, run=run)
