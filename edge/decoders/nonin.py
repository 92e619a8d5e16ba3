"""Nonin oximeters at a cable: data formats 2, 7 and 8 (OEM III, Xpod, 3150, 9560 and others).

9600 baud, 8N1. Which format it is has been chosen at the device; nothing is sent to it.

**Formats 2 and 7**: 75 frames a second, 25 of them are a packet:

    2    01 SS PP TT CC         7    SS PP PP TT CC

- S: status; bit 7 is always set, 6 sensor disconnected, 5 artefact (while a pulse lasts), 4 out of
  track, 3 sensor alarm (no finger), 2 and 1 amplitude of the pulse (not used), 0 first of a packet
- P: pleth; in format 7 16 bits, high byte first
- T: what it is depends on the frame's place in the packet: 1 and 2 pulse rate, 3 saturation,
  4 revision, 8 status 2 (bit 0 low battery), and others that are not read. Said to be below 128,
  but a 9560 has the revision 94
- C: sum of the bytes before it, modulo 256

**Format 8**: once a second, no checksum; only S has bit 7:

    SS RR OO UU

- S: bit 6 sensor disconnected, 5 out of track, 4 and 3 low and marginal perfusion, 2 artefact,
  1 and 0 pulse rate bits 8 and 7; R: pulse rate bits 6 to 0; O: saturation
- U: status 2: bit 3 sensor faulty, 2 spot check, 1 battery critical, 0 battery low

The pulse rate is ``(first & 3) << 7 | second & 0x7F`` bpm, 511 = none; saturation in per cent, 127
= none. Known errors of other parsers: mdpnp/OpenICE shifts by 8 instead of 7 and keeps the other
bits (wrong from 128 bpm on), and puts the value for the display over the one that was measured;
NoninAndroid writes ``<< 7 &`` instead of ``<< 7 |`` (0 or 128 bpm, never another).

- A packet says its rate and saturation four times over. Read is the average of four beats *for
  recording* (frames 1 to 3): it ends at once when the finger is gone. That *for display* (9, 20,
  21) stays for ten seconds more, which no monitor may show; the fast and the beat-to-beat ones
  (10, 11) are noisier, the extended ones (14 to 17) are four beats later.
- Values come from whole packets only: a lost frame cannot put one in another's place. In the pleth
  it becomes a hole of as many samples as are missing up to the next packet.
- They are told when they change, and once a second: not three times.
- Out of track, sensor disconnected or in alarm: there is no value, whatever the bytes say. An
  artefact alone takes none away: a beat that comes early is one, and the average leaves it out.
- A low battery is no charge in per cent; nothing is made of it.
- The timer of frames 6 and 7 (three counts a second) is reserved in format 7: no clock.

Sources: the description of format 7 in noninRead.R and the Cordova plug-in of Oxford's IBME, which
quote Nonin's 6470_ENG (WristOx2 3150); mattjlewis/NoninPulseOx (formats 2 and 8, and a packet of a
9560); Pez Globo's Pufferfish (format 2 of an OEM III, and a packet); drphrozen/javautilityclasses
NoninAndroid (format 8); mdpnp/mdpnp devices/nonin. From memory: that 321 is the highest rate, and
8N1 for those that are no 9560. The command for the format, 02 70 02 02 NN 03 (9560) or 02 70 04 02
NN OO CC 03 (3150), is documented for Bluetooth only and is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from edge.decoders import Batch, Decode, DecodeBatch, Decoder
from edge.decoders._line import open_line, open_line_with_holes
from edge.decoders._nonin_packets import (
    FORM_2,
    FORM_7,
    FRAME_BYTES,
    HIGHEST_BPM,
    NO_PULSE,
    NO_SPO2,
    Packets,
    df2_at,
    df7_at,
    pulse_of,
    values_of,
)
from edge.records import Packet, Samples
from edge.wire import Wire

DF2: Final = "uart:nonin_df2"
DF7: Final = "uart:nonin_df7"
DF8: Final = "uart:nonin_df8"
BAUD: Final = 9600

DF8_BYTES: Final = 4
DF8_DISCONNECTED: Final = 0x40
DF8_OUT_OF_TRACK: Final = 0x20
DF8_FAULTY: Final = 0x08

N_SURE_DF8: Final = 5
"""Frames and nothing else: bytes without a checksum, four a second."""


def df8_at(line: bytes, at: int) -> int:
    """Return the length of the frame of format 8 that begins here; see `edge.wire.FrameAt`."""
    if line[at] < 0x80 or not line[at + 1 : at + DF8_BYTES].isascii():
        return -1
    n_bytes = len(line) - at
    if n_bytes < DF8_BYTES:
        return 0
    # What follows at once must begin a frame: otherwise a byte too many is in this one.
    return -1 if n_bytes > DF8_BYTES and line[at + DF8_BYTES] < 0x80 else DF8_BYTES


def read_df8(frames: Sequence[bytes], arrived_s: float) -> tuple[Samples, ...]:
    """Return ``pulse_bpm``, ``spo2_pct`` and ``contact_flag`` of every frame of format 8."""
    found: list[Samples] = []
    for status, low, spo2, status2 in frames:
        contact = not (status & DF8_DISCONNECTED or status2 & DF8_FAULTY)
        trusted = contact and not status & DF8_OUT_OF_TRACK
        said = (pulse_of(status, low), spo2) if trusted else (NO_PULSE, NO_SPO2)
        found += values_of(*said, contact, arrived_s)
    return tuple(found)


_DF8_LINE: Final = re.compile(
    rb"[\x00-\xff]{0,7}?((?:[\x80-\xff][\x00-\x7f][\x00-\x64\x7f][\x00-\x7f]){%d,})"
    rb"(?:[\x80-\xff][\x00-\x7f]{0,2})?" % N_SURE_DF8
)


def recognise_df8(line: bytes) -> bool:
    """Return whether these bytes are frames of format 8 that can be true, and nothing else.

    Before them may be the rest of a frame, and what a port brings as it is opened.
    """
    found = _DF8_LINE.fullmatch(line)
    if found is None:
        return False
    frames = found[1]
    pulses = map(pulse_of, frames[::DF8_BYTES], frames[1::DF8_BYTES])
    return all(0 < pulse <= HIGHEST_BPM or pulse == NO_PULSE for pulse in pulses)


_OPENED: Final = {
    DF2: open_line_with_holes(df2_at, lambda: Packets(FORM_2).read, FRAME_BYTES, weak=True),
    DF7: open_line_with_holes(df7_at, lambda: Packets(FORM_7).read, FRAME_BYTES, weak=True),
    DF8: open_line(df8_at, lambda: read_df8, DF8_BYTES),
}


def _open() -> Decode:
    lines = {stream: opened() for stream, (opened, _) in _OPENED.items()}
    return lambda packet: lines[packet.stream](packet)


def _open_batch() -> DecodeBatch:
    lines = {stream: opened() for stream, (_, opened) in _OPENED.items()}

    def decode_batch(packets: Sequence[Packet]) -> Batch:
        # All packets of a call are of one stream.
        return lines[packets[0].stream](packets) if packets else Batch([], [])

    return decode_batch


def _wire(name: str, words: str, stream: str, recognise: Callable[[bytes], bool]) -> Wire:
    return Wire(
        name=name,
        words=words,
        stream=stream,
        recognise=recognise,
        baud=BAUD,
        # Five frames of format 8 have to come before it is known.
        listen_s=N_SURE_DF8 + 2.0 if stream == DF8 else 2.0,
        # Four bytes a second trickle in; there is nothing to be won by leaving them on the line.
        gather_s=0.02 if stream == DF8 else 0.2,
    )


DECODER = Decoder(
    name="nonin",
    streams=(DF2, DF7, DF8),
    signals=("pleth_au", "pulse_bpm", "spo2_pct", "contact_flag"),
    open=_open,
    open_batch=_open_batch,
    wires=(
        _wire("nonin_df2", "Nonin oximeter, data format 2", DF2, FORM_2.recognise),
        _wire("nonin_df7", "Nonin oximeter, data format 7", DF7, FORM_7.recognise),
        _wire("nonin_df8", "Nonin oximeter, data format 8", DF8, recognise_df8),
    ),
)
