"""Viatom and Wellue oximeter rings: O2Ring, SleepU, WearO2, Checkme O2, KidsO2, Oxylink.

They say nothing until asked. The question is written to 8b00ace7, its answer comes on 0734594a
in notifications of up to 20 bytes. Both have this form, little endian:

    SS CC ~C BB BB LL LL <L bytes> XX

- S: AA in a question, 55 in an answer
- C: command; in an answer its status, 0 = done; then the same byte inverted
- B: block of a file (not used); L: bytes of content
- X: CRC-8 of all before it (polynomial 07, start 0, no reflection)

The answer to 17 (read the sensors) has 13 bytes:

    OO HH hh ?? ?? ?? ?? BB CC MM PP WW ??

- O: oxygen saturation in per cent; FF without a finger
- H: pulse rate in bpm; h is 0, or FF without a finger. Files and the newer command 1B have a
  16-bit pulse there, others call h a flag; only ``h == 0`` is read, which both agree on.
- B: battery charge in per cent; C: 0 in use, 1 charging, 2 charged (not used)
- M: movement, in units of the device
- P: perfusion index in tenths of a per cent, 0 = none. No source names its scale: it is that of
  other oximeters of this maker (LepuDemo: "0 % - 25.5 %"), and fits what is captured.
- W: 1 = worn, 0 = not. The maker says that all others are errors (LepuDemo; 2 = off, VTO2Lib),
  viatom-ble and o2r take them for worn: they are not worn here.

A saturation and a pulse of 0 mean that it is still finding the pulse: they become NaN, and so does
all that a device that is not worn says of the patient. An answer does not name its question:
one that is not of 13 bytes is to another command and gives nothing, as does a bad status.

Not this protocol: O2Ring S (service e8fb0001), and others that use the same UUIDs for other bytes
(ER1, ER2, BP2: A5 first; lamps, locks): *not mine*.

Sources: ecostech/viatom-ble (offsets, poll), MackeyStingray/o2r o2state.py (captures, status),
viatom-develop/LepuBle and LepuDemo, viatom-dev/VTO2Lib (the maker's own),
home-health-hub/viatom-o2ring-ble (the disagreements). None of them is a data sheet.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edge.bits import crc8, uint16
from edge.decoders import BrokenError, Decode, Decoder, NotMineError
from edge.gatt import Profile, Write
from edge.records import Packet, Samples

SERVICE: Final = "14839ac4-7d7e-415c-9a42-167340cf2339"
WRITE: Final = "8b00ace7-eb0b-49b0-bbe9-9aee0a26e1a3"
NOTIFY: Final = "0734594a-a8e7-4b1a-a6b1-cd5243059a57"

POLL: Final = bytes.fromhex("AA17E8000000001B")
POLL_S: Final = 2.0
"""As often as viatom-ble and o2r ask."""

ANSWER: Final = 0x55
DONE: Final = 0
HEAD_BYTES: Final = 7
LIVE_BYTES: Final = 13
MAX_CONTENT_BYTES: Final = 1_024
"""The longest answers are files and the device's description, in blocks of 512."""

HIGHEST_PCT: Final = 100.0
PAI_STEP_PCT: Final = 0.1
WORN: Final = 1


class _Ring:
    """One ring: the beginning of an answer, while the rest is on its way."""

    def __init__(self) -> None:
        self._half = b""
        self._known = False  # it has sent an answer with a good CRC

    def decode(self, packet: Packet) -> tuple[Samples, ...]:
        """Return what the answer holds that ends in one notification.

        Returns
        -------
        tuple[Samples, ...]
            ``spo2_pct``, ``pulse_bpm``, ``pai_pct``, ``movement_au``, ``battery_pct`` and
            ``contact_flag``, each (1,); empty while the answer goes on, and where it is to
            another command.

        Raises
        ------
        DecodeError
            The bytes are no answer, or it is cut or fails its CRC.
        """
        payload = packet.payload
        # The device sends every answer from the beginning of a notification. One or two bytes
        # that look like it are the end of an answer, whose CRC may be anything.
        cut = bool(self._half) and len(payload) > 2 and _begins(payload)
        self._half = payload if cut else self._half + payload
        content = self._content()
        if content is not None:
            return _live(content, packet.arrived_s) if len(content) == LIVE_BYTES else ()
        if cut:
            raise BrokenError("the answer before this notification never came to its end")
        return ()

    def _content(self) -> bytes | None:
        """Return the content of the answer that is here; None while it is not whole."""
        half = self._half
        if not _begins(half):
            self._half = b""
            if self._known:
                raise BrokenError("the beginning of this answer is missing")
            raise NotMineError("this is no beginning of a Viatom ring's answer")
        if len(half) < HEAD_BYTES:
            return None
        n_content = uint16(half, 5)
        end = HEAD_BYTES + n_content
        if n_content > MAX_CONTENT_BYTES:
            self._half = b""
            raise BrokenError(f"the answer claims {n_content} of at most {MAX_CONTENT_BYTES} bytes")
        if len(half) <= end:
            return None
        self._half = b""
        if crc8(half[:end]) != half[end]:
            raise BrokenError("the answer fails its CRC")
        self._known = True
        return half[HEAD_BYTES:end] if half[1] == DONE else b""


def _begins(payload: bytes) -> bool:
    """Return whether bytes can be the beginning of an answer, as far as they go."""
    if payload[:1] != bytes([ANSWER]):
        return False
    return len(payload) < 3 or payload[1] ^ payload[2] == 0xFF


def _live(content: bytes, arrived_s: float) -> tuple[Samples, ...]:
    spo2, pulse, high, amplitude = content[0], content[1], content[2], content[10]
    worn = content[11] == WORN
    values = (
        ("spo2_pct", spo2 if worn and 0 < spo2 <= HIGHEST_PCT else math.nan),
        ("pulse_bpm", pulse if worn and 0 < pulse < 0xFF and not high else math.nan),
        ("pai_pct", amplitude * PAI_STEP_PCT if worn and amplitude else math.nan),
        ("movement_au", content[9]),
        ("battery_pct", content[7] if content[7] <= HIGHEST_PCT else math.nan),
        ("contact_flag", worn),
    )
    return tuple(
        Samples(signal, arrived_s, 0.0, np.array([value], np.float32)) for signal, value in values
    )


def _open() -> Decode:
    return _Ring().decode


DECODER = Decoder(
    name="viatom",
    streams=(NOTIFY,),
    signals=("spo2_pct", "pulse_bpm", "pai_pct", "movement_au", "battery_pct", "contact_flag"),
    open=_open,
    profiles=(
        Profile(
            name="viatom",
            words="Viatom or Wellue oximeter ring",
            service=SERVICE,
            listen=(NOTIFY,),
            poll=Write(WRITE, POLL, response=False),
            poll_s=POLL_S,
            deadline_s=10.0,
        ),
    ),
)
