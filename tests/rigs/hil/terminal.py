"""A terminal program at the end of an emulated board's line: tells it things, shows what it says.

The reader of the monitor only ever starts a board and sets its rate; here everything can be told.
"""

from __future__ import annotations

import time
from typing import Self

import serial

from edge import frame
from edge.frame import Code

ANSWER_S = 5.0
"""Half a second by the book; QEMU takes up to a second to see that somebody opened the line."""
_NUMBER = 77


class Terminal:
    """The line, open while the context lasts.

    Parameters
    ----------
    port : str
        Path of the pseudo terminal.
    """

    def __init__(self, port: str) -> None:
        self._line = serial.Serial(port, 115_200, timeout=0.02, exclusive=True)
        self._unread = b""
        self._heard: list[frame.Frame] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def listen(self, span_s: float) -> list[frame.Frame]:
        """Return what has come since the last call or answer, and comes for so long."""
        until_s = time.monotonic() + span_s
        while time.monotonic() < until_s:
            self._take()
        heard, self._heard = self._heard, []
        return heard

    def tell(self, code: Code, fs_hz: float | None = None) -> frame.Answer:
        """Return the answer to a command; what came before it is passed over.

        Raises
        ------
        TimeoutError
            There was none.
        """
        self._line.write(frame.command(code, _NUMBER, fs_hz))
        until_s = time.monotonic() + ANSWER_S
        while time.monotonic() < until_s:
            self._take()
            while self._heard:
                whole = self._heard.pop(0)
                if whole.kind == frame.ANSWER:
                    answer = frame.unpack_answer(whole.body)
                    assert (answer.code, answer.sequence) == (code, _NUMBER)
                    return answer
        raise TimeoutError(f"no answer to {code!r}")

    def _take(self) -> None:
        *ended, self._unread = (self._unread + self._line.read(4096)).split(b"\0")
        self._heard += [frame.unpack(piece) for piece in ended if piece]
