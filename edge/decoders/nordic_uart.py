"""Boards with the Nordic UART service that send our own frames: ``hardware/PACKET.md``.

The service (6e400001-b5a3-f393-e0a9-e50e24dcca9e) is a serial line over Bluetooth: the board
notifies on 6e400003, and what it notifies is a piece of the byte stream and nothing more. The
frames are those of `edge.decoders.homeward_serial`, ended by a zero; how they are put together
again, and what is counted, stands in `edge.decoders._homeward_line`.

Sources: hardware/PACKET.md; Nordic UART Service, nRF Connect SDK documentation (UUIDs).
"""

from __future__ import annotations

from typing import Final

from edge.decoders import Decoder
from edge.decoders._homeward_line import open_batch, open_one
from edge.gatt import Profile

SERVICE: Final = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
WRITE: Final = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
NOTIFY: Final = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"

DECODER = Decoder(
    name="nordic_uart",
    streams=(NOTIFY,),
    signals=("*", "lead_off_flag", "contact_flag", "battery_pct"),
    open=open_one,
    open_batch=open_batch,
    profiles=(
        Profile(
            name="nordic_uart",
            words="board with Nordic UART",
            service=SERVICE,
            listen=(NOTIFY,),
            # A board needs no command: it describes itself every ten seconds, and sends.
            deadline_s=5.0,
            mtu=247,
        ),
    ),
)
