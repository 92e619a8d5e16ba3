"""The converter of the emulated Cortex-M board: what is at the other end of its UART1.

The messages are described in ``hardware/firmware/cortexm/converter_uart.c``. A conversion is named
by the number of its tick, so what it gave does not depend on when the host got round to it, and
every sample that comes out at the other end can be compared with the one that went in.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeAlias

Row: TypeAlias = tuple[int, int]
Convert: TypeAlias = Callable[[int, float], Row]
"""``convert(tick, fs_hz)``: the counts of both channels."""

_ASKED = struct.Struct("<BIHB")
_ROW = struct.Struct("<BHhhB")
_ECHO = struct.Struct("<BHIB")
_ROUND, _CONVERT, _ANSWER = b"#?!"
_CODES = (_ROUND, _CONVERT)


class Converter:
    """Answers the board in a thread of its own while the context lasts.

    Parameters
    ----------
    line : socket.socket
        The other end of UART1.
    convert : Callable
        What is measured.

    Attributes
    ----------
    lead_off : int
        Lead-off bits from now on.
    answers : bool
        Whether it answers; a converter that broke does not.
    late_us : list[int]
        How late each tick's interrupt ran, in the board's time.
    rounds : list[float]
        Rate of each round that the board began, in Hz.
    n_ticks : int
        Ticks of this round that were asked for.
    n_wrong : int
        Bytes that were no message.
    """

    def __init__(self, line: socket.socket, convert: Convert) -> None:
        self._line, self._convert = line, convert
        self.lead_off = 0
        self.answers = True
        self.late_us: list[int] = []
        self.rounds: list[float] = []
        self.n_ticks = 0
        self.n_wrong = 0
        self._thread = threading.Thread(target=self._answer_all, name="converter")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _answer_all(self) -> None:
        unread = b""
        while True:
            try:
                more = self._line.recv(4096)
                if not more:
                    return
                unread += more
                while len(unread) >= _ASKED.size:
                    # A reset cuts a message off.
                    if unread[0] not in _CODES or _sum(unread[: _ASKED.size]) != 0:
                        self.n_wrong += 1
                        unread = unread[1:]
                        continue
                    code, number, small, _ = _ASKED.unpack_from(unread)
                    unread = unread[_ASKED.size :]
                    answer = self._answer(code, number, small)
                    if self.answers:
                        self._line.sendall(answer)
            except OSError:  # the emulator has ended
                return

    def _answer(self, code: int, number: int, small: int) -> bytes:
        if code == _ROUND:
            self.rounds.append(number / 1000)
            self.n_ticks = 0
            return _checked(_ECHO.pack(_ROUND, small, 0, 0))
        self.late_us.append(small)
        rows = []
        for tick in range(self.n_ticks, number + 1):
            first, second = self._convert(tick, self.rounds[-1])
            row = _ROW.pack(_ANSWER, tick % 65536, first, second, self.lead_off)
            rows.append(_checked(row))
        self.n_ticks = number + 1
        return b"".join(rows)


def _checked(message: bytes) -> bytes:
    return message + bytes([_sum(message)])


def _sum(message: bytes) -> int:
    total = 0
    for byte in message:
        total ^= byte
    return total
