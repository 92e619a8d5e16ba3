"""Fetching the records a device kept, over its record access control point (0x2A52).

What was delivered once is not delivered again: known by sequence number, where records have one,
and by their bytes. Nothing of it survives a restart of the reader; then all records come again,
and the pipeline knows a measurement by its own time.

Source: Record Access Control Point, GATT Specification Supplement; Glucose Service 1.0.1.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

from edge.gatt import RECORD_ACCESS, Records
from edge.readers._ble_gatt import Characteristic, Connection

QUIET_S: Final = 10.0
"""A device that sends neither record nor answer for so long has forgotten the request."""
LONGEST_S: Final = 600.0
"""No fetch takes longer: two weeks of a glucose sensor come in half of it."""
ABORT_S: Final = 5.0
MOST_KNOWN: Final = 8192
"""Records remembered, so that they are not delivered twice; the oldest go first."""

ABORT: Final = bytes([0x03, 0x00])
_ANSWER, _REPORT, _ABORT_OP = 0x06, 0x01, 0x03
_SUCCESS, _NO_RECORDS = 0x01, 0x06
_NO_FILTER: Final = frozenset({0x02, 0x03, 0x04, 0x05, 0x09})
"""Answers that mean: not so; operation, operator or operand is not known to it."""

_log = structlog.get_logger("ble")


class Memory:
    """What of one device's records was delivered already; it outlives links."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._last: dict[str, int] = {}
        self._epochs: dict[str, bytes] = {}

    def begin(self, stream: str, epoch: bytes) -> None:
        """Take since when the numbers of a stream run; forget the last when that has changed."""
        if self._epochs.get(stream, epoch) != epoch:
            self._last.pop(stream, None)
        self._epochs[stream] = epoch

    def last(self, stream: str) -> int | None:
        """Return the newest sequence number of a stream; None: nothing came yet."""
        return self._last.get(stream)

    def is_new(self, stream: str, records: Records, payload: bytes) -> bool:
        """Return whether a record was not delivered before, and remember it."""
        key = stream, payload
        if key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        number = records.sequence(payload)
        if number is not None and number > self._last.get(stream, -1):
            self._last[stream] = number
        return True


class Fetch:
    """One fetch over an open link.

    Parameters
    ----------
    connection : Connection
        The link; the control point and the records' characteristic are subscribed to already.
    places : tuple[Characteristic, Characteristic]
        The control point, and where the records come.
    records : Records
        How to ask.
    stream : str
        Name the records are delivered under.
    memory : Memory
        What was delivered before.
    deliver : Callable
        Takes a record that is new.
    """

    def __init__(  # one for each thing it needs; called in one place
        self,
        connection: Connection,
        places: tuple[Characteristic, Characteristic],
        records: Records,
        stream: str,
        memory: Memory,
        deliver: Callable[[str, bytes], None],
    ) -> None:
        self._connection, self._records = connection, records
        self.point, self.on = places
        self._stream, self._memory, self._deliver = stream, memory, deliver
        # What comes live from here on is newer, and must not hide what lies between.
        self._after = memory.last(stream)
        self._answer: bytes | None = None
        self._stirred = asyncio.Event()
        self.n_new = self.n_known = 0
        self.is_running = False
        """Whether what comes now was asked for."""
        self.is_done = False
        """Whether all there was has come."""

    def take(self, payload: bytes) -> None:
        """Take a record."""
        self._stirred.set()
        if self._memory.is_new(self._stream, self._records, payload):
            self.n_new += 1
            self._deliver(self._stream, payload)
        else:
            self.n_known += 1

    def pass_by(self, payload: bytes) -> None:
        """Take note of a record that came live, once all that lay before it has been fetched."""
        if self.is_done:
            self._memory.is_new(self._stream, self._records, payload)

    def answered(self, payload: bytes) -> None:
        """Take what the control point says."""
        self._answer = payload
        self._stirred.set()

    async def run(self) -> None:
        """Fetch what is new; a device that will not is left alone until the next link."""
        after = self._after
        self.is_running = True
        try:
            result = await self._ask(self._records.request(after))
            if result in _NO_FILTER and after is not None:
                result = await self._ask(self._records.request(None))
        finally:
            self.is_running = False
        self.is_done = result in {_SUCCESS, _NO_RECORDS}
        if not self.is_done:
            _log.warning("stored records not given", result=result, n_new=self.n_new)
        elif self.n_new:
            _log.info("stored records fetched", n_new=self.n_new, n_known=self.n_known)

    async def _ask(self, request: bytes) -> int | None:
        """Return the result of a request; None: no answer came, and it was called off."""
        self._answer = None
        try:
            async with asyncio.timeout(LONGEST_S):
                await self._connection.write(self.point, request, response=True)
                return await self._result(request[0], QUIET_S)
        except TimeoutError:
            await self._call_off()
            return None

    async def _call_off(self) -> None:
        try:
            async with asyncio.timeout(ABORT_S):
                self._answer = None
                await self._connection.write(self.point, ABORT, response=True)
                await self._result(_ABORT_OP, ABORT_S)
        except TimeoutError:
            _log.warning("stored records: the device does not answer")

    async def _result(self, operation: int, quiet_s: float) -> int:
        while True:
            self._stirred.clear()
            answer = self._answer
            # 06 00 operation result; a number of records (05 ...) is not what was asked for.
            if answer is not None and len(answer) >= 4 and answer[0] == _ANSWER:
                if answer[2] == operation:
                    return answer[3]
                self._answer = None
            async with asyncio.timeout(quiet_s):
                await self._stirred.wait()


def control_point(connection: Connection, service: str) -> Characteristic | None:
    """Return the control point of a service; None where it has none."""
    return next(
        (
            one
            for one in connection.found
            if one.uuid == RECORD_ACCESS and one.service == service and one.can_notify
        ),
        None,
    )
