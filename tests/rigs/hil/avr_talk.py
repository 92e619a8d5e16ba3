"""Somebody at an emulated Arduino's port who can tell the board everything, by its own time.

`tests.rigs.hil.terminal` does the same for boards whose time is the wall clock's.
"""

from __future__ import annotations

from typing import Self

import pytest

from edge import frame
from edge.frame import Code, Frame
from tests.rigs.hil.avr import Avr

serial = pytest.importorskip("serial", reason="pyserial is not installed: pip install pyserial")

WAIT_S = 20.0
"""True time in which whatever a test waits for has happened."""


class Talk:
    """Somebody who has the board's port open and reads and writes by hand.

    Attributes
    ----------
    frames : list[Frame]
        Every frame so far.
    at_s : list[float]
        True time by which each was there.
    n_answered : int
        Number of the frame that answered last.
    n_damaged : int
        Pieces of the line that were no frame.
    """

    def __init__(self, avr: Avr, baud: int = 115_200) -> None:
        self._avr = avr
        self._line = serial.Serial(str(avr.port), baud, timeout=0.002, write_timeout=5.0)
        self._rest = b""
        self._is_first = True
        self.frames: list[Frame] = []
        self.at_s: list[float] = []
        self.n_answered = 0
        self.n_damaged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    def tell(self, code: int, fs_hz: float | None = None, sequence: int = 0) -> None:
        """Send a command; one of a newer version has no `Code`."""
        if code in set(Code):
            self._line.write(frame.command(Code(code), sequence, fs_hz))
        else:
            self._line.write(b"\0" + frame.pack(frame.COMMAND, sequence, 0, bytes([code])) + b"\0")

    def write(self, payload: bytes) -> None:
        """Write whatever it is."""
        self._line.write(payload)

    def listen(self, span_s: float) -> list[Frame]:
        """Return the frames of so much true time."""
        n_before, until_s = len(self.frames), self._avr.now_s() + span_s
        while self._avr.now_s() < until_s:
            self._take()
        return self.frames[n_before:]

    def until(self, kind: int, after: int = 0) -> Frame:
        """Return the first frame of a kind behind so many others."""
        until_s = self._avr.now_s() + WAIT_S
        while self._avr.now_s() < until_s:
            for one in self.frames[after:]:
                if one.kind == kind:
                    return one
            self._take()
        raise AssertionError(f"no frame of kind {kind} in {WAIT_S} s")

    def ask(self, code: int, fs_hz: float | None = None, sequence: int = 0) -> frame.Answer:
        """Send a command and return the answer to it."""
        n_before = len(self.frames)
        self.tell(code, fs_hz, sequence)
        answer = self.until(frame.ANSWER, n_before)
        self.n_answered = n_before + self.frames[n_before:].index(answer)
        return frame.unpack_answer(answer.body)

    def _take(self) -> None:
        assert self._avr.is_running()
        *ended, self._rest = (self._rest + self._line.read(4096)).split(b"\0")
        self._avr.taken()
        for piece in ended:
            try:
                self.frames += [frame.unpack(piece)] if piece else []
            except frame.FrameError:
                self.n_damaged += not self._is_first  # we may have come in its middle
            self._is_first = False
        self.at_s += [self._avr.now_s()] * (len(self.frames) - len(self.at_s))
