"""Every serial device there is, made up, at a real tty in real time, read by the real reader."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

from edge import decoders
from edge.assemble import every_wire
from edge.decoders import Decoder
from edge.discover import discover
from edge.events import BOX
from edge.readers import Rim
from edge.readers import uart as read
from edge.records import Packet
from tests.rigs.serial.cable import Cable
from tests.rigs.serial_senders import Sender, Sent, by_wire, disagreement

SENT_S = 6.0
FOUND_OUT_S = 25.0
"""The last device is known when all others have been listened for."""
LACKS = 80
"""Samples that may wait for the next frame or packet of the device."""

SENDERS = by_wire()


def decoder_of(stream: str) -> Decoder:
    return next(d for d in discover(decoders, "DECODER", Decoder) if stream in d.streams)


async def play(cable: Cable, sender: Sender, until_s: float) -> list[Sent]:
    """Send in time, from when it is told to if it has to be; return what was sent."""
    written = b""
    while sender.started_by not in written:
        await asyncio.sleep(0.01)
        written += cable.read()
    sent: list[Sent] = []
    began_s = time.monotonic()
    for one in sender.run(3):
        await asyncio.sleep(max(0.0, began_s + one.due_s - time.monotonic()))
        if time.monotonic() > until_s:
            break
        cable.write(one.line)
        sent.append(one)
    return sent


async def watch(folder: Path, wire: str, device: str, span_s: float) -> tuple[list, list]:
    """Return what a device sent, and the packets the reader made of it."""
    cable, packets = Cable(folder / f"usb-Rig_{wire}_0001-if00"), list[Packet]()
    cable.plug()
    rim = Rim(packets.append, time.monotonic, None, (), every_wire())
    settings = read.Settings(port=str(cable.name), device=device)
    reading = asyncio.ensure_future(read.run(settings, rim))
    await asyncio.sleep(0.3)
    sent = await play(cable, SENDERS[wire], time.monotonic() + span_s)
    await asyncio.sleep(0.5)
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    cable.unplug()
    return sent, [packet for packet in packets if packet.source != BOX]


def test_every_wire_has_a_sender():
    assert set(SENDERS) == {wire.name for wire in every_wire()}


def test_what_each_device_sends_is_read_to_the_value(tmp_path):
    async def scene():
        return await asyncio.gather(
            *(watch(tmp_path, wire, device=wire, span_s=SENT_S) for wire in SENDERS)
        )

    wrong = {}
    for wire, (sent, packets) in zip(SENDERS, asyncio.run(scene()), strict=True):
        decode = decoder_of(packets[0].stream)
        batch = decode.open_batch()(packets)
        assert not batch.errors, (wire, batch.errors)
        assert batch.n_damaged == 0, wire
        wrong[wire] = disagreement([samples for samples, _ in batch.found], sent, LACKS)
    assert not {wire: words for wire, words in wrong.items() if words}


def test_each_device_is_found_out_by_listening(tmp_path):
    async def scene():
        return await asyncio.gather(
            *(watch(tmp_path, wire, device="", span_s=FOUND_OUT_S) for wire in SENDERS)
        )

    streams = {wire.name: wire.stream for wire in every_wire()}
    for wire, (_, packets) in zip(SENDERS, asyncio.run(scene()), strict=True):
        assert {packet.stream for packet in packets} == {streams[wire]}, wire
