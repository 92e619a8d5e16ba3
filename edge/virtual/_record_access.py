"""The side of the record access control point (0x2A52) that has the records.

Request: op code, operator, operand. Op codes: 1 report records, 2 delete them, 3 abort, 4 report
how many there are. Operators: 0 none, 1 all, 2 up to, 3 from, 4 between, 5 first, 6 last; 2, 3
and 4 come with a filter type (1: the record's number, 16 bit) and one or two numbers.

Answer, indicated when all is done: ``05 00 NN NN`` (so many records) or ``06 00 OO RR`` (how
request O ended: 1 well, 2 op code not supported, 3 invalid operator, 4 operator not supported, 5
invalid operand, 6 no records found, 7 abort failed, 8 not completed, 9 operand not supported).

Source: GATT Specification Supplement, Record Access Control Point; codes compared with those of
Nordic's ``ble_racp.h``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from edge.bits import uint16
from edge.gatt import RECORD_ACCESS
from edge.virtual import Port

REPORT, DELETE, ABORT, COUNT, HOW_MANY, RESPONSE = 1, 2, 3, 4, 5, 6
ALL, UP_TO, FROM, BETWEEN, FIRST, LAST = 1, 2, 3, 4, 5, 6
BY_NUMBER: Final = 1
"""The one filter type that is understood: sequence number, or minutes for a glucose sensor."""
CAPACITY: Final = 1000
"""Records a device keeps; the oldest makes room."""


class Ended(IntEnum):
    """How a request ended."""

    WELL = 1
    NO_SUCH_OP_CODE = 2
    INVALID_OPERATOR = 3
    NO_SUCH_OPERATOR = 4
    INVALID_OPERAND = 5
    NO_RECORDS = 6
    ABORT_FAILED = 7
    NOT_COMPLETED = 8
    NO_SUCH_OPERAND = 9


class Kept(msgspec.Struct, frozen=True):
    """One record.

    Attributes
    ----------
    number : int
        Its sequence number, or its time offset: what requests filter by.
    sent : tuple[tuple[str, bytes], ...]
        What is sent for it: characteristic and payload, in order.
    """

    number: int
    sent: tuple[tuple[str, bytes], ...]


class RecordAccess:
    """Keeps a device's records, and answers what is written to its control point.

    Parameters
    ----------
    numbered : bool
        Whether records can be asked for by number, and the first or last alone; otherwise only
        all of them (pulse oximeters).
    pause_s : float
        Between two records: what a connection interval does to a real device.

    Attributes
    ----------
    records : list[Kept]
        Oldest first.
    """

    def __init__(self, *, numbered: bool = True, pause_s: float = 0.02) -> None:
        self.records: list[Kept] = []
        self._operators = {ALL, UP_TO, FROM, BETWEEN, FIRST, LAST} if numbered else {ALL}
        self._pause_s = pause_s
        self._busy = self._aborted = False

    def keep(self, number: int, *sent: tuple[str, bytes]) -> None:
        """Store a record."""
        self.records.append(Kept(number, sent))
        del self.records[:-CAPACITY]

    async def answer(self, port: Port, request: bytes) -> None:
        """Do what a request asks, and say so.

        Returns when that is done, so the caller must let an abort in meanwhile. A second request
        would be refused by an ATT error (procedure already in progress); a `Peripheral` has no
        means to, so it ends as *not completed*.
        """
        op_code = request[0] if request else 0
        ended: Ended | None
        if op_code == ABORT:
            self._aborted = self._busy
            ended = Ended.WELL if request == bytes([ABORT, 0]) else Ended.INVALID_OPERATOR
        elif self._busy:
            ended = Ended.NOT_COMPLETED
        elif op_code not in {REPORT, DELETE, COUNT}:
            ended = Ended.NO_SUCH_OP_CODE
        else:
            wanted = self._select(request)
            if isinstance(wanted, list) and op_code == COUNT:
                number = len(wanted).to_bytes(2, "little")
                await port.send(RECORD_ACCESS, bytes([HOW_MANY, 0]) + number)
                return
            ended = await self._do(port, op_code, wanted) if isinstance(wanted, list) else wanted
        if ended is not None:
            await port.send(RECORD_ACCESS, bytes([RESPONSE, 0, op_code, ended]))

    async def _do(self, port: Port, op_code: int, wanted: list[Kept]) -> Ended | None:
        """Report or delete records; None where nothing is to be said afterwards."""
        if not wanted:
            return Ended.NO_RECORDS
        if op_code == DELETE:
            self.records = [record for record in self.records if record not in wanted]
            return Ended.WELL
        self._busy, self._aborted = True, False
        try:
            return await self._report(port, wanted)
        finally:
            self._busy = False

    async def _report(self, port: Port, wanted: list[Kept]) -> Ended | None:
        for record in wanted:
            for characteristic, payload in record.sent:
                if self._aborted:
                    return None
                if not await port.send(characteristic, payload):
                    # Nobody listens to the records, or nobody is there at all.
                    return Ended.NOT_COMPLETED
            await port.sleep(self._pause_s)
        return None if self._aborted else Ended.WELL

    def _select(self, request: bytes) -> list[Kept] | Ended:
        """Return the records a request is about, or why it cannot be."""
        operator, operand = (request[1], request[2:]) if len(request) > 1 else (0, b"")
        if not ALL <= operator <= LAST:
            return Ended.INVALID_OPERATOR
        if operator not in self._operators:
            return Ended.NO_SUCH_OPERATOR
        if operator in {UP_TO, FROM, BETWEEN}:
            return self._filter(operator, operand)
        if operand:
            return Ended.INVALID_OPERAND
        return {ALL: self.records[:], FIRST: self.records[:1], LAST: self.records[-1:]}[operator]

    def _filter(self, operator: int, operand: bytes) -> list[Kept] | Ended:
        if operand and operand[0] != BY_NUMBER:
            return Ended.NO_SUCH_OPERAND
        if len(operand) != (5 if operator == BETWEEN else 3):
            return Ended.INVALID_OPERAND
        low = 0 if operator == UP_TO else uint16(operand, 1)
        high = 0xFFFF if operator == FROM else uint16(operand, len(operand) - 2)
        if low > high:
            return Ended.INVALID_OPERAND
        return [record for record in self.records if low <= record.number <= high]
